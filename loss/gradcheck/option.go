package gradcheck

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"gorgonia.org/tensor"
)

// The kinds of fault that [Check] returns as an error, for errors.Is. What is wrong with a gradient
// is no error: it stands in the report.
var (
	// ErrInput: an input's value, shape or dtype cannot be checked.
	ErrInput = errors.New("invalid input")
	// ErrOption: an option outside its range, or one that does not fit the function.
	ErrOption = errors.New("invalid option")
	// ErrBuild: the builder failed, panicked, or built something that cannot be checked.
	ErrBuild = errors.New("cannot build the function")
	// ErrRun: the function cannot be evaluated at the point.
	ErrRun = errors.New("cannot evaluate the function")
)

// A Pass is a way to the analytic gradient.
type Pass uint8

const (
	// Grad is gorgonia.Grad (Backpropagate where there is an upstream), run on a TapeMachine.
	Grad Pass = iota
	// Reverse is loss.VJP, run on a TapeMachine.
	Reverse
	// Lisp is the LispMachine, which calls the operations' DoDiff.
	Lisp
	// Given is the gradient nodes that exist in the graph of [CheckNode], run on a TapeMachine.
	Given
	// Machine is loss.VJP, run on the machine of package loss/machine.
	Machine
)

// String returns the pass's name.
func (p Pass) String() string {
	switch p {
	case Grad:
		return "Grad"
	case Reverse:
		return "Reverse"
	case Lisp:
		return "Lisp"
	case Given:
		return "Given"
	case Machine:
		return "Machine"
	}
	return fmt.Sprintf("Pass(%d)", uint8(p))
}

// config is the folded options.
type config struct {
	dtype      tensor.Dtype
	passes     []Pass
	upstream   []float64
	random     bool // random upstream
	sample     int  // elements per input, 0 for all
	directions int  // random directions instead of elements
	second     int  // directions of the second order
	seed       uint64
	budget     time.Duration
	zeros      map[string][][]int // elements whose derivative must be exactly 0
	reference  func(in [][]float64) ([]float64, error)
	big        func(in [][]*big.Float) ([]*big.Float, error)
	ulps       float64
	local      bool // the check of one operation, to find a cause
}

// An Option changes what [Check] does.
type Option func(*config) error

func configure(opts []Option) (*config, error) {
	c := &config{dtype: tensor.Float64, passes: []Pass{Grad}, seed: 1}
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o(c); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrOption, err)
		}
	}
	return c, nil
}

// WithDType sets the dtype of the graph whose gradient is checked: tensor.Float64 (the default) or
// tensor.Float32. The differences are always taken in float64, on a second build of the function at
// the same float32 point.
func WithDType(dt tensor.Dtype) Option {
	return func(c *config) error {
		if !isFloat(dt) {
			return fmt.Errorf("dtype is %v, want float32 or float64", dt)
		}
		c.dtype = dt
		return nil
	}
}

// WithPasses sets the ways to the gradient that are checked; the default is [Grad] alone. The
// differences are taken once for all of them.
func WithPasses(passes ...Pass) Option {
	return func(c *config) error {
		if len(passes) == 0 {
			return fmt.Errorf("no pass, want at least one")
		}
		for i, p := range passes {
			if p == Given || p > Machine {
				return fmt.Errorf("pass is %v, want Grad, Reverse, Lisp or Machine", p)
			}
			if slices.Contains(passes[:i], p) {
				return fmt.Errorf("pass %v is given twice", p)
			}
		}
		c.passes = slices.Clone(passes)
		return nil
	}
}

// WithUpstream sets the gradient that flows into the result, in row-major order: the check is of Σ
// upstream·result. Without it the result must be a scalar, and the upstream is 1.
func WithUpstream(upstream ...float64) Option {
	return func(c *config) error {
		for i, u := range upstream {
			if !finite(u) {
				return fmt.Errorf("upstream is %v at %d, want finite numbers", u, i)
			}
		}
		if len(upstream) == 0 {
			return fmt.Errorf("upstream is empty, want one number per value of the result")
		}
		c.upstream, c.random = slices.Clone(upstream), false
		return nil
	}
}

// WithRandomUpstream draws the upstream from [0.5, 1.5] with random signs. It suits results of any
// shape.
func WithRandomUpstream() Option {
	return func(c *config) error {
		c.upstream, c.random = nil, true
		return nil
	}
}

// WithSample checks k random elements of each input (all where it has no more) instead of every
// one.
func WithSample(k int) Option {
	return func(c *config) error {
		if k < 1 {
			return fmt.Errorf("sample is %d, want at least 1", k)
		}
		c.sample = k
		return nil
	}
}

// WithDirections checks the derivative along n random directions over all inputs together instead
// of single elements. A direction costs a few evaluations, however many elements there are, and
// shows that something is wrong, but not where.
func WithDirections(n int) Option {
	return func(c *config) error {
		if n < 1 {
			return fmt.Errorf("directions is %d, want at least 1", n)
		}
		c.directions = n
		return nil
	}
}

// WithSecondOrder also checks Hessian-vector products along n random directions, every element
// against differences of the gradient, and that the Hessian is symmetric. The gradient and its
// derivative come from loss.VJP.
func WithSecondOrder(n int) Option {
	return func(c *config) error {
		if n < 1 {
			return fmt.Errorf("second order directions is %d, want at least 1", n)
		}
		c.second = n
		return nil
	}
}

// WithSeed sets the seed of everything random; the default is 1. The report prints it.
func WithSeed(seed uint64) Option {
	return func(c *config) error {
		c.seed = seed
		return nil
	}
}

// WithBudget bounds the time spent on differences. Elements that are not reached count as skipped
// in the report, which says so. The elements are then visited in random order.
func WithBudget(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("budget is %v, want more than 0", d)
		}
		c.budget = d
		return nil
	}
}

// WithZero names elements of an input, by their coordinates, whose derivative must be exactly 0:
// masked or ignored entries. Without coordinates it is the whole input.
func WithZero(input string, at ...[]int) Option {
	return func(c *config) error {
		if c.zeros == nil {
			c.zeros = make(map[string][][]int)
		}
		if len(at) == 0 {
			at = [][]int{nil}
		}
		for _, index := range at {
			c.zeros[input] = append(c.zeros[input], slices.Clone(index))
		}
		return nil
	}
}

// WithReference compares the result, as computed in the dtype of the check, with f of the inputs in
// row-major order (integers as numbers, booleans as 0 and 1): each value may be ulps units in the
// last place away.
func WithReference(ulps float64, f func(in [][]float64) ([]float64, error)) Option {
	return func(c *config) error {
		if f == nil || !(ulps >= 0) {
			return fmt.Errorf("reference needs a function and ulps >= 0, has ulps %v", ulps)
		}
		c.reference, c.big, c.ulps = f, nil, ulps
		return nil
	}
}

// WithBigReference is [WithReference] for a function of big floats, which come with a precision of
// 256 bits. It must not be given infinite inputs.
func WithBigReference(ulps float64, f func(in [][]*big.Float) ([]*big.Float, error)) Option {
	return func(c *config) error {
		if f == nil || !(ulps >= 0) {
			return fmt.Errorf("reference needs a function and ulps >= 0, has ulps %v", ulps)
		}
		c.reference, c.big, c.ulps = nil, f, ulps
		return nil
	}
}
