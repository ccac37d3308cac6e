// Package optim holds the update rules of training: optimizers, learning-rate schedules, parameter
// groups and clipping.
//
// An [Optimizer] is settings and a formula. It owns no parameters and no memory of past steps: both
// are plain slices that the caller keeps, so that saving them saves the run. The rules agree step
// by step with PyTorch's optimizers of the same name (Lion with its paper). All arithmetic is done
// in the parameters' own type, float32 or float64, with AVX-512 or AVX2 where the processor has
// them and the same bits everywhere. Long parameters are shared among the cores.
//
// The package imports no graph.
package optim

import (
	"fmt"
	"math"
)

// A Step says which update is made, and with what rate.
type Step struct {
	N     int     // counts from 1
	Rate  float64 // learning rate of this step
	Decay float64 // decoupled weight decay λ: parameters are first multiplied by 1 - Rate·λ
	L2    float64 // λ: λ·parameter, after the decay, is added to the gradient
}

// An Optimizer changes parameters by their gradients.
type Optimizer interface {
	// Name is the rule's name, such as "adam".
	Name() string
	// Rate is the learning rate before a schedule.
	Rate() float64
	// Decay is the decoupled weight decay of parameters whose group does not say otherwise.
	Decay() float64
	// L2 is the factor of the parameter that is added to its gradient where the parameter's group
	// does not say otherwise.
	L2() float64
	// Slots names the memory that the rule needs for each parameter, such as "exp_avg". Each slot
	// is a slice as long as the parameter that starts at [Optimizer.Start].
	Slots() []string
	// Start is the value that every number of a slot begins with.
	Start() float64
	// Settings lists everything else that determines the rule, for a checkpoint to be compared
	// with.
	Settings() map[string]float64
	// Check returns an error when a setting is out of its range.
	Check() error
	// Update32 makes step s on a parameter p with gradient g. It touches each index by itself, so a
	// caller may cut long parameters into pieces. slots holds one slice per name of Slots.
	Update32(s Step, p, g []float32, slots [][]float32)
	// Update64 is Update32 for float64.
	Update64(s Step, p, g []float64, slots [][]float64)
}

// formula is one of the update rules.
type formula uint8

const (
	sgd formula = iota
	momentum
	nesterov
	adam
	rmsprop
	adagrad
	lion
	formulas = 7
)

// constants is the number of scalars of an update, unused ones 0: first the factor of the decay,
// the weight of the L2 term and the rate, then the rule's own.
const constants = 8

// rule is every optimizer of this package.
type rule struct {
	name      string
	rate      float64
	decay     float64
	l2        float64
	momentum  float64
	beta1     float64
	beta2     float64
	eps       float64
	rateDecay float64
	start     float64
	slots     []string
	takes     []string
	formula   formula
	own       func(*rule, Step) []float64 // the constants from the rate on
	err       error
}

// An Option changes a setting of an optimizer. An option that the optimizer does not take, or a
// value out of range, is reported by [Optimizer.Check].
type Option func(*rule)

func (r *rule) set(option string, field *float64, v float64, ok bool, want string) {
	known := false
	for _, t := range r.takes {
		known = known || t == option
	}
	switch {
	case r.err != nil:
	case !known:
		r.err = fmt.Errorf("optim.%s: %s is not an option of this optimizer", r.name, option)
	case !ok || math.IsNaN(v) || math.IsInf(v, 0):
		r.err = fmt.Errorf("optim.%s: %s is %v, want %s", r.name, option, v, want)
	default:
		*field = v
	}
}

// WithWeightDecay sets the decoupled decay λ >= 0: parameters shrink by the factor 1 - rate·λ
// before each update, whatever the gradient (Loshchilov and Hutter, Decoupled Weight Decay
// Regularization, 2019). Default 0, and 0.01 for [AdamW]. Parameter groups may replace it. All
// optimizers take it.
func WithWeightDecay(lambda float64) Option {
	return func(r *rule) {
		r.set("WithWeightDecay", &r.decay, lambda, lambda >= 0, "a finite number >= 0")
	}
}

// WithL2 adds λ·parameter to the gradient, PyTorch's weight_decay outside AdamW. λ >= 0, default 0.
// Beside [WithWeightDecay] the parameter is the one that the decay has already shrunk: with both,
// [SGD] makes p·(1-rate·decay)·(1-rate·λ) - rate·g of p. Parameter groups may replace it. SGD,
// Momentum, Nesterov, Adam, RMSProp and Adagrad take it.
func WithL2(lambda float64) Option {
	return func(r *rule) { r.set("WithL2", &r.l2, lambda, lambda >= 0, "a finite number >= 0") }
}

// WithBetas sets the decay rates of the two moving averages, each in [0, 1). Adam, AdamW (default
// .9, .999) and Lion (.9, .99) take it.
func WithBetas(beta1, beta2 float64) Option {
	return func(r *rule) {
		r.set("WithBetas", &r.beta1, beta1, beta1 >= 0 && beta1 < 1, "beta1 in [0, 1)")
		r.set("WithBetas", &r.beta2, beta2, beta2 >= 0 && beta2 < 1, "beta2 in [0, 1)")
	}
}

// WithEpsilon sets the number added to the root in the denominator, >= 0. Adam, AdamW, RMSProp
// (default 1e-8) and Adagrad (1e-10) take it.
func WithEpsilon(eps float64) Option {
	return func(r *rule) { r.set("WithEpsilon", &r.eps, eps, eps >= 0, "a finite number >= 0") }
}

// WithAlpha sets the decay rate of the moving average of squares, in [0, 1). RMSProp takes it;
// default 0.99.
func WithAlpha(alpha float64) Option {
	return func(r *rule) {
		r.set("WithAlpha", &r.beta2, alpha, alpha >= 0 && alpha < 1, "a number in [0, 1)")
	}
}

// WithRateDecay divides the rate of step n by 1 + (n-1)·d, d >= 0. Adagrad takes it; default 0.
func WithRateDecay(d float64) Option {
	return func(r *rule) { r.set("WithRateDecay", &r.rateDecay, d, d >= 0, "a finite number >= 0") }
}

// WithInitial sets the value >= 0 that Adagrad's sum of squares begins with. Default 0.
func WithInitial(v float64) Option {
	return func(r *rule) { r.set("WithInitial", &r.start, v, v >= 0, "a finite number >= 0") }
}

func build(r *rule, opts []Option) Optimizer {
	r.takes = append(r.takes, "WithWeightDecay")
	if !(r.rate > 0) || math.IsInf(r.rate, 1) {
		r.err = fmt.Errorf("optim.%s: rate is %v, want a finite number > 0", r.name, r.rate)
	}
	for _, o := range opts {
		if o != nil {
			o(r)
		}
	}
	return r
}

func (r *rule) Name() string    { return r.name }
func (r *rule) Rate() float64   { return r.rate }
func (r *rule) Decay() float64  { return r.decay }
func (r *rule) L2() float64     { return r.l2 }
func (r *rule) Slots() []string { return append([]string(nil), r.slots...) }
func (r *rule) Start() float64  { return r.start }
func (r *rule) Check() error    { return r.err }

func (r *rule) Settings() map[string]float64 {
	return map[string]float64{
		"rate": r.rate, "decay": r.decay, "l2": r.l2, "momentum": r.momentum, "beta1": r.beta1,
		"beta2": r.beta2, "eps": r.eps, "rate_decay": r.rateDecay, "start": r.start,
	}
}

func (r *rule) Update32(s Step, p, g []float32, slots [][]float32) {
	apply(r.formula, scalars[float32](r, s), p, g, slots)
}

func (r *rule) Update64(s Step, p, g []float64, slots [][]float64) {
	apply(r.formula, scalars[float64](r, s), p, g, slots)
}

// scalars returns the constants of a step, each rounded once from float64.
func scalars[F float32 | float64](r *rule, s Step) *[constants]F {
	c := &[constants]F{F(1 - float64(s.Rate*s.Decay)), F(s.L2)}
	for i, v := range r.own(r, s) {
		c[2+i] = F(v)
	}
	return c
}
