package optim

import "math"

// SGD returns stochastic gradient descent.
//
//	p ← p - rate·g
//
// Options: [WithL2], [WithWeightDecay]. It is PyTorch's SGD without momentum.
func SGD(rate float64, opts ...Option) Optimizer {
	return build(&rule{name: "sgd", rate: rate, takes: []string{"WithL2"},
		formula: sgd, own: sgdScalars}, opts)
}

func sgdScalars(_ *rule, s Step) []float64 { return []float64{s.Rate} }

// Momentum returns gradient descent with a heavy ball, mu in [0, 1).
//
//	v ← mu·v + g
//	p ← p - rate·v
//
// Slot: "momentum_buffer" (v, from 0). Options: [WithL2], [WithWeightDecay]. It is PyTorch's
// SGD(momentum=mu).
//
// Reference: B. T. Polyak, Some methods of speeding up the convergence of iteration methods, 1964.
func Momentum(rate, mu float64, opts ...Option) Optimizer {
	return ball("momentum", rate, mu, momentum, opts)
}

// Nesterov returns gradient descent with Nesterov's momentum, mu in [0, 1).
//
//	v ← mu·v + g
//	p ← p - rate·(g + mu·v)
//
// Slot: "momentum_buffer" (v, from 0). Options: [WithL2], [WithWeightDecay]. It is PyTorch's
// SGD(momentum=mu, nesterov=True).
//
// Reference: I. Sutskever et al., On the importance of initialization and momentum in deep
// learning, 2013.
func Nesterov(rate, mu float64, opts ...Option) Optimizer {
	return ball("nesterov", rate, mu, nesterov, opts)
}

func ball(name string, rate, mu float64, f formula, opts []Option) Optimizer {
	r := &rule{name: name, rate: rate, slots: []string{"momentum_buffer"}, takes: []string{"WithL2", "momentum"}, formula: f, own: ballScalars}
	r.set("momentum", &r.momentum, mu, mu >= 0 && mu < 1, "a number in [0, 1)")
	return build(r, opts)
}

func ballScalars(r *rule, s Step) []float64 { return []float64{s.Rate, r.momentum} }

// Adam returns adaptive moment estimation. At step n,
//
//	m ← m + (1-β1)(g - m)
//	v ← β2·v + (1-β2)·g²
//	p ← p - rate/(1-β1ⁿ) · m / (√v/√(1-β2ⁿ) + ε)
//
// Slots: "exp_avg" (m), "exp_avg_sq" (v), from 0. Options: [WithBetas] (.9, .999), [WithEpsilon]
// (1e-8), [WithL2], [WithWeightDecay].
//
// Reference: D. P. Kingma and J. Ba, Adam: A Method for Stochastic Optimization, 2015.
func Adam(rate float64, opts ...Option) Optimizer {
	return adamRule("adam", rate, 0, []string{"WithBetas", "WithEpsilon", "WithL2"}, opts)
}

// AdamW returns [Adam] with a decoupled weight decay, 0.01 unless [WithWeightDecay] says otherwise.
//
//	p ← p·(1 - rate·λ), then Adam's update
//
// Options: [WithBetas], [WithEpsilon], [WithWeightDecay].
//
// Reference: I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, 2019.
func AdamW(rate float64, opts ...Option) Optimizer {
	return adamRule("adamw", rate, 0.01, []string{"WithBetas", "WithEpsilon"}, opts)
}

func adamRule(name string, rate, decay float64, takes []string, opts []Option) Optimizer {
	return build(&rule{name: name, rate: rate, decay: decay, beta1: 0.9, beta2: 0.999, eps: 1e-8, takes: takes,
		slots: []string{"exp_avg", "exp_avg_sq"}, formula: adam, own: adamScalars}, opts)
}

func adamScalars(r *rule, s Step) []float64 {
	n := float64(s.N)
	// the root is multiplied, as a product is cheaper than a quotient
	return []float64{s.Rate / (1 - math.Pow(r.beta1, n)), 1 - r.beta1, r.beta2, 1 - r.beta2, 1 / math.Sqrt(1-math.Pow(r.beta2, n)), r.eps}
}

// RMSProp returns gradient descent scaled by a moving average of squared gradients.
//
//	v ← α·v + (1-α)·g²
//	p ← p - rate·g / (√v + ε)
//
// Slot: "square_avg" (v, from 0). Options: [WithAlpha] (.99), [WithEpsilon] (1e-8, outside the
// root), [WithL2], [WithWeightDecay].
//
// Reference: T. Tieleman and G. Hinton, Lecture 6.5 - RMSProp, Coursera, 2012.
func RMSProp(rate float64, opts ...Option) Optimizer {
	return build(&rule{name: "rmsprop", rate: rate, beta2: 0.99, eps: 1e-8, slots: []string{"square_avg"},
		takes: []string{"WithAlpha", "WithEpsilon", "WithL2"}, formula: rmsprop, own: rmspropScalars}, opts)
}

func rmspropScalars(r *rule, s Step) []float64 {
	return []float64{s.Rate, r.beta2, 1 - r.beta2, r.eps}
}

// Adagrad returns gradient descent scaled by the root of all squared gradients so far. At step n,
//
//	v ← v + g²
//	p ← p - rate/(1 + (n-1)·d) · g / (√v + ε)
//
// Slot: "sum" (v, from [WithInitial], 0). Options: [WithRateDecay] (d, 0), [WithInitial],
// [WithEpsilon] (1e-10), [WithL2], [WithWeightDecay].
//
// Reference: J. Duchi, E. Hazan and Y. Singer, Adaptive Subgradient Methods for Online Learning and
// Stochastic Optimization, 2011.
func Adagrad(rate float64, opts ...Option) Optimizer {
	return build(&rule{name: "adagrad", rate: rate, eps: 1e-10, slots: []string{"sum"},
		takes: []string{"WithRateDecay", "WithInitial", "WithEpsilon", "WithL2"}, formula: adagrad, own: adagradScalars}, opts)
}

func adagradScalars(r *rule, s Step) []float64 {
	return []float64{s.Rate / (1 + float64(float64(s.N-1)*r.rateDecay)), r.eps}
}

// Lion returns the sign of an interpolated momentum.
//
//	u ← β1·m + (1-β1)·g
//	p ← p - rate·sign(u)         sign(0) = 0
//	m ← β2·m + (1-β2)·g
//
// Slot: "exp_avg" (m, from 0). Options: [WithBetas] (.9, .99), [WithWeightDecay], which the paper
// applies as the decoupled decay of this package.
//
// Reference: X. Chen et al., Symbolic Discovery of Optimization Algorithms, 2023.
func Lion(rate float64, opts ...Option) Optimizer {
	return build(&rule{name: "lion", rate: rate, beta1: 0.9, beta2: 0.99, slots: []string{"exp_avg"},
		takes: []string{"WithBetas"}, formula: lion, own: lionScalars}, opts)
}

func lionScalars(r *rule, s Step) []float64 {
	// -0 is the bit of the sign
	return []float64{s.Rate, r.beta1, 1 - r.beta1, r.beta2, 1 - r.beta2, math.Copysign(0, -1)}
}
