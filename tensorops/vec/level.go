package vec

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Level is the set of instructions that tensorops, vec, mat and optim compute with.
//
// AVX2 and AVX512 give the same bits. Generic gives the same bits in optim; in tensorops, vec
// and mat its results lie within the documented error of the exact ones, but round otherwise.
type Level uint8

// The levels, from slow to fast.
const (
	Generic Level = iota // Go code: every processor, and the only level under the build tag purego
	AVX2                 // amd64 with AVX2, FMA and BMI2
	AVX512               // AVX2 and AVX-512 F, BW, DQ and VL

	Levels = iota // the number of levels
)

// String returns the name by which SURPRISAL_LEVEL knows the level.
func (l Level) String() string {
	if l >= Levels {
		return fmt.Sprintf("Level(%d)", uint8(l))
	}
	return [Levels]string{"generic", "avx2", "avx512"}[l]
}

// LevelVariable is the environment variable that chooses the level at the start of a program:
// generic, avx2 or avx512. It is meant for a comparison, where a result differs from another
// machine's. Without it the highest available level is in use. With another value, or with a level
// that the build or the processor lacks, one line on standard error names the problem and the
// program goes on as if the variable were not set.
const LevelVariable = "SURPRISAL_LEVEL"

var active = initial(os.Getenv(LevelVariable))

// Active returns the level in use.
func Active() Level { return active }

// Available returns the levels that this build has and this processor runs, in increasing order.
// The first is Generic.
func Available() []Level { return available() }

// Use makes l the level of tensorops, vec, mat and optim, and returns an error where it is not
// available. It must not run beside any function of these packages: it is for tests and
// comparisons, not for a program at work.
func Use(l Level) error {
	if !slices.Contains(available(), l) {
		return fmt.Errorf("vec.Use: level %v is not available, want one of %v", l, available())
	}
	active = l
	return nil
}

// initial returns the level to begin with, given the value of the environment variable.
func initial(value string) Level {
	l, err := choose(value, available())
	if err != nil {
		fmt.Fprintln(os.Stderr, "surprisal:", err)
	}
	return l
}

// choose returns the named level, or the last of all with the reason.
func choose(name string, all []Level) (Level, error) {
	best := all[len(all)-1]
	if name == "" {
		return best, nil
	}
	for l := range Level(Levels) {
		if l.String() != strings.ToLower(name) {
			continue
		}
		if !slices.Contains(all, l) {
			return best, fmt.Errorf("%s=%s: not available, want one of %v; using %v", LevelVariable, name, all, best)
		}
		return l, nil
	}
	return best, fmt.Errorf("%s=%q: unknown level, want one of %v; using %v", LevelVariable, name, all, best)
}
