//go:build !race

package eager_test

const raceEnabled = false
