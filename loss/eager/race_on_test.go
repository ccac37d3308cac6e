//go:build race

package eager_test

// raceEnabled: the race detector makes pools drop what they hold, so memory is not counted then.
const raceEnabled = true
