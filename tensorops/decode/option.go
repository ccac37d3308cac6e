package decode

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops"
)

// settings are the values of all options.
type settings struct {
	blank      int
	start, end []float64
	epsilon    float64
	iterations int
	threshold  float64
}

// An Option changes a setting from its default. An option that a function does not list is an
// error.
type Option struct {
	name string
	set  func(*settings)
	bad  string // what is wrong with its value, if anything
}

// limited returns an option whose value fits, or else is not what the option wants.
func limited(name string, value any, fits bool, want string, set func(*settings)) Option {
	o := Option{name: name, set: set}
	if !fits {
		o.bad = fmt.Sprintf("%s(%v), want %s", name, value, want)
	}
	return o
}

// WithBlank sets the class of the blank, by default 0. A negative one counts from the end: -1 is
// the last class.
func WithBlank(class int) Option {
	return Option{name: "WithBlank", set: func(s *settings) { s.blank = class }}
}

// WithStart adds a score for each tag to begin with.
func WithStart[F tensorops.Float](scores []F) Option {
	v := widen(scores)
	return Option{name: "WithStart", set: func(s *settings) { s.start = v }}
}

// WithEnd adds a score for each tag to end with.
func WithEnd[F tensorops.Float](scores []F) Option {
	v := widen(scores)
	return Option{name: "WithEnd", set: func(s *settings) { s.end = v }}
}

// WithEpsilon sets the strength of the entropic regularisation, a positive number, by default 0.1.
// It is in the units of the cost.
func WithEpsilon(epsilon float64) Option {
	return limited("WithEpsilon", epsilon, epsilon > 0 && !math.IsInf(epsilon, 1), "a positive number",
		func(s *settings) { s.epsilon = epsilon })
}

// WithIterations limits the iterations, by default to 2000.
func WithIterations(n int) Option {
	return limited("WithIterations", n, n >= 1, "at least 1", func(s *settings) { s.iterations = n })
}

// WithThreshold sets the error of the marginal at which the iteration ends, a positive number, by
// default 1e-9.
func WithThreshold(err float64) Option {
	return limited("WithThreshold", err, err > 0 && !math.IsInf(err, 1), "a positive number",
		func(s *settings) { s.threshold = err })
}

// configure returns the settings of the function name, which takes the options listed.
func configure(name string, opts []Option, takes ...string) (settings, error) {
	s := settings{epsilon: 0.1, iterations: 2000, threshold: 1e-9}
	for _, o := range opts {
		switch {
		case !slices.Contains(takes, o.name):
			return s, fail(ErrOption, name, "option %q, want %s", o.name, strings.Join(takes, " or "))
		case o.bad != "":
			return s, fail(ErrOption, name, "%s", o.bad)
		}
		o.set(&s)
	}
	return s, nil
}

// widen returns a copy in float64.
func widen[F tensorops.Float](x []F) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
