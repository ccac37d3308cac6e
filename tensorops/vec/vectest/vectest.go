// Package vectest runs tests at every processor level of [vec].
//
// A level is one for all of tensorops, vec, mat and optim, so tests that use this package must not
// run in parallel with others of the same binary.
package vectest

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// RequireVariable is the environment variable with levels, separated by commas, that a test run
// must cover: [Each] fails where one of them is not available.
const RequireVariable = "SURPRISAL_REQUIRE"

// Each runs a test as a subtest level=NAME at every available level.
func Each(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, name := range missing(os.Getenv(RequireVariable), vec.Available()) {
		t.Errorf("%s names level %s, which this build or processor does not have", RequireVariable, name)
	}
	for _, l := range vec.Available() {
		t.Run("level="+l.String(), func(t *testing.T) { At(l, func() { test(t) }) })
	}
}

// At calls f at level l, and goes back to the level before. It panics where l is not available.
func At(l vec.Level, f func()) {
	before := vec.Active()
	if err := vec.Use(l); err != nil {
		panic(err)
	}
	defer func() {
		if err := vec.Use(before); err != nil {
			panic(err)
		}
	}()
	f()
}

// missing returns the required names that are not among all.
func missing(required string, all []vec.Level) (names []string) {
	for name := range strings.SplitSeq(required, ",") {
		if name != "" && !slices.ContainsFunc(all, func(l vec.Level) bool { return l.String() == name }) {
			names = append(names, name)
		}
	}
	return names
}
