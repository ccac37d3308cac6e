package gradcheck_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain fixes the seed of the property tests, so that a run that passed passes again;
// -rapid.seed=N draws other graphs.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.seed"); f != nil && f.Value.String() == "0" {
		if err := f.Value.Set("20261120"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
