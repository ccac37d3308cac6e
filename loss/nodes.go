package loss

import (
	"math"

	G "gorgonia.org/gorgonia"
)

// LogSumExp returns log Σ exp(x) along an axis, which it removes.
//
//	y = log Σ_c exp(x_c)        dy/dx_j = softmax(x)_j
//
// x is a node of any rank >= 1 and dtype float32 or float64; the result has its shape without the axis.
//
// Options: [WithAxis] (default -1, the last axis).
//
// A row of only -Inf gives -Inf (and gradient NaN), a row with +Inf gives +Inf (and gradient NaN at the +Inf entries, 0
// elsewhere), a NaN makes its row NaN.
//
// Reference: standard.
func LogSumExp(x *G.Node, opts ...Option) (*G.Node, error) { return logSumExp.one(x, opts) }

var logSumExp = definition{
	name: "LogSumExp", takes: knobAxis, defaults: settings{axis: -1}, names: []string{"x"},
	fast: fast{f32: logSumExpDirect[float32], f64: logSumExpDirect[float64]},
	rows: func(*settings, int, int) rowFunc {
		return func(r *row) float64 {
			p := r.softmax(0, 1)
			if g := r.grad[0]; g != nil {
				copy(g, p.p)
				if math.IsInf(p.max, 1) {
					for j, x := range r.x[0] {
						g[j] = 0 * (x - p.max) // NaN at +Inf
						if !math.IsInf(x, 1) {
							g[j] = 0
						}
					}
				}
			}
			if h := r.hess[0]; h != nil {
				p.jacobian(h, r.dir[0], 1)
			}
			if math.IsInf(p.max, 0) {
				return p.max
			}
			return p.max + p.l1
		}
	},
}

// Softmax returns exp(x)/Σ exp(x) along an axis: the distribution whose logits are x.
//
//	y_j = exp(x_j)/Σ_c exp(x_c)        Σ u·dy/dx_j = y_j·(u_j - ⟨y, u⟩)
//
// x is a node of any rank >= 1 and dtype float32 or float64; the result has its shape. Softmax of -x is what
// PyTorch calls softmin.
//
// Options: [WithAxis] (default -1, the last axis).
//
// -Inf gives exactly 0. A row of only -Inf, one with +Inf and one with NaN are NaN. A loss on the result should be
// taken from the logits instead: [CrossEntropy], [KL], [Entropy].
//
// Reference: standard.
func Softmax(x *G.Node, opts ...Option) (*G.Node, error) { return softmax.rowMap(x, opts) }

// The row function of a row-to-row node f is the scalar ⟨a, f(x)⟩ of x and a: its derivative by a is f, its
// derivative by x the vector-Jacobian product, and its second derivatives are those of the node.
var softmax = definition{
	name: "Softmax", takes: knobAxis, defaults: settings{axis: -1}, names: []string{"x"},
	fast: fast{f32: softmaxDirect[float32], f64: softmaxDirect[float64]},
	rows: func(*settings, int, int) rowFunc {
		return func(r *row) float64 {
			p := r.softmax(0, 1)
			if g := r.grad[1]; g != nil {
				copy(g, p.p)
			}
			a := r.x[1]
			if g := r.grad[0]; g != nil {
				p.jacobian(g, a, 1)
			}
			if h := r.hess[0]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					u := r.buf(len(v))
					ma, mv := dot(p.p, a), dot(p.p, v)
					for j := range u {
						u[j] = a[j]*v[j] - a[j]*mv - v[j]*ma
					}
					p.jacobian(h, u, 1)
				}
				if v := r.dir[1]; v != nil {
					d := r.buf(len(v))
					p.jacobian(d, v, 1)
					addTo(h, d)
				}
			}
			if h := r.hess[1]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					p.jacobian(h, v, 1)
				}
			}
			return 0
		}
	},
}

// LogSoftmax returns x - log Σ exp(x) along an axis: the logarithm of [Softmax], computed from x.
//
//	y_j = x_j - log Σ_c exp(x_c)        Σ u·dy/dx_j = u_j - softmax(x)_j·Σ u
//
// x is a node of any rank >= 1 and dtype float32 or float64; the result has its shape.
//
// Options: [WithAxis] (default -1, the last axis).
//
// Values near 0 keep their relative accuracy. -Inf stays -Inf; a row of only -Inf, one with +Inf and one with NaN are NaN.
//
// Reference: standard.
func LogSoftmax(x *G.Node, opts ...Option) (*G.Node, error) { return logSoftmax.rowMap(x, opts) }

var logSoftmax = definition{
	name: "LogSoftmax", takes: knobAxis, defaults: settings{axis: -1}, names: []string{"x"},
	fast: fast{f32: logSoftmaxDirect[float32], f64: logSoftmaxDirect[float64]},
	rows: func(*settings, int, int) rowFunc {
		return func(r *row) float64 {
			p := r.softmax(0, 1)
			if g := r.grad[1]; g != nil {
				for j := range g {
					g[j] = -p.nll(j)
				}
			}
			a := r.x[1]
			sum := 0.0
			for _, v := range a {
				sum += v
			}
			if g := r.grad[0]; g != nil {
				for j, v := range a {
					g[j] = v - p.p[j]*sum
					if v == sum {
						g[j] = v * p.others(j)
					}
				}
			}
			if h := r.hess[0]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					p.jacobian(h, v, -sum)
				}
				if v := r.dir[1]; v != nil {
					moved := 0.0
					for _, u := range v {
						moved += u
					}
					for j, u := range v {
						h[j] += u - p.p[j]*moved
					}
				}
			}
			if h := r.hess[1]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					p.along(h, v, 1)
				}
			}
			return 0
		}
	},
}

// rowMap builds a node that maps rows to rows.
func (d *definition) rowMap(x *G.Node, opts []Option) (*G.Node, error) {
	set, err := configure(d.name, d.takes, d.defaults, opts)
	if err != nil {
		return nil, err
	}
	s := &spec{def: d, set: set, operands: 2, bare: true}
	if err := s.bindFirst("x", x); err != nil {
		return nil, err
	}
	s.seal()
	return apply(newOp(s, plan{mode: modeGrad, k: 1}), G.Nodes{x})
}

// LogSigmoid returns the logarithm of the sigmoid, element by element.
//
//	y = -log(1 + e^-x)        dy/dx = σ(-x) = 1/(1 + e^x)
//
// x is a node of any shape and dtype float32 or float64; the result has its shape.
//
// Options: none.
//
// Nothing overflows: x far below 0 gives x, x far above 0 gives -e^-x to full relative accuracy.
//
// Reference: standard.
func LogSigmoid(x *G.Node, opts ...Option) (*G.Node, error) { return logSigmoid.one(x, opts) }

// log σ(x) is -softplus(-x).
var logSigmoid = definition{
	name: "LogSigmoid", defaults: settings{axis: -1}, elementwise: true, names: []string{"x"},
	rows: func(*settings, int, int) rowFunc { return softplusOf(-1) },
}

// softplusOf is the row function of sign·log(1 + e^(sign·x)).
func softplusOf(sign float64) rowFunc {
	return func(r *row) float64 {
		x := r.x[0]
		if sign < 0 {
			x = r.buf(len(x))
			for i, v := range r.x[0] {
				x[i] = -v
			}
		}
		b := r.logistic(x, r.out != nil)
		for i := range r.out {
			r.out[i] = sign * b.softplus(i)
		}
		for i := range r.grad[0] {
			r.grad[0][i], _ = b.sigmoids(i)
		}
		for i := range r.hess[0] {
			yes, no := b.sigmoids(i)
			r.hess[0][i] = sign * yes * no * r.dir[0][i]
		}
		return 0
	}
}

// Softplus returns log(1 + e^x), element by element: a smooth max(x, 0).
//
//	y = log(1 + e^x)        dy/dx = σ(x) = 1/(1 + e^-x)
//
// x is a node of any shape and dtype float32 or float64; the result has its shape.
//
// Options: none.
//
// It is exact at every x: there is no threshold above which it turns into x.
//
// Reference: standard.
func Softplus(x *G.Node, opts ...Option) (*G.Node, error) { return softPlus.one(x, opts) }

var softPlus = definition{
	name: "Softplus", defaults: settings{axis: -1}, elementwise: true, names: []string{"x"},
	rows: func(*settings, int, int) rowFunc { return softplusOf(1) },
}

// Entropy returns the entropy, in nats, of the softmax of logits along an axis, which it removes.
//
// With p = softmax(x),
//
//	H = -Σ_c p_c·log p_c        dH/dx_j = -p_j·(log p_j + H)
//
// logits is a node of any rank >= 1 and dtype float32 or float64; the result has its shape without the axis.
//
// Options: [WithAxis] (default -1, the last axis).
//
// A class masked by -Inf adds nothing and has gradient 0. Rows of only -Inf and rows with +Inf or NaN are NaN.
//
// [EntropyFromProb] takes probabilities.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func Entropy(logits *G.Node, opts ...Option) (*G.Node, error) { return entropy.one(logits, opts) }

var entropy = definition{
	name: "Entropy", takes: knobAxis, defaults: settings{axis: -1}, pred: Logits,
	fast: fast{f32: entropyDirect[float32], f64: entropyDirect[float64]},
	rows: func(*settings, int, int) rowFunc {
		return func(r *row) float64 {
			p := r.softmax(0, 1)
			// Every term p·(max - x) is >= 0: nothing cancels.
			h := p.l1
			for j, q := range p.p {
				h += times(q, p.max-p.z[j])
			}
			slope := func(j int) float64 { return times(-p.p[j], h-p.nll(j)) }
			if g := r.grad[0]; g != nil {
				for j := range g {
					g[j] = slope(j)
				}
			}
			if d := r.hess[0]; d != nil {
				v := r.dir[0]
				moved, mean := 0.0, dot(p.p, v)
				for j, u := range v {
					moved += slope(j) * u
				}
				for j, u := range v {
					d[j] = -times(p.p[j]*(u-mean), h-p.nll(j)) - p.p[j]*(u-mean+moved)
				}
			}
			return h
		}
	},
}

// EntropyFromProb returns the entropy, in nats, of given probabilities along an axis, which it removes.
//
//	H = -Σ_c p_c·log p_c        dH/dp_j = -(log p_j + 1), 0 where p_j = 0
//
// prob is a node of numbers >= 0, of any rank >= 1 and dtype float32 or float64; the result has its shape without the
// axis. Rows are taken as they are and not normalised.
//
// Options: [WithAxis] (default -1, the last axis).
//
// 0·log 0 is 0. [Entropy] takes logits and is the better choice where they are at hand.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func EntropyFromProb(prob *G.Node, opts ...Option) (*G.Node, error) {
	return entropyFromProb.one(prob, opts)
}

var entropyFromProb = definition{
	name: "EntropyFromProb", takes: knobAxis, defaults: settings{axis: -1}, pred: Probabilities,
	rows: func(*settings, int, int) rowFunc {
		return func(r *row) float64 {
			h := 0.0
			for j, p := range r.x[0] {
				log := ln(p)
				h -= times(p, log)
				if r.grad[0] != nil {
					r.grad[0][j] = -(log + 1)
					if p == 0 {
						r.grad[0][j] = 0
					}
				}
				if r.hess[0] != nil {
					r.hess[0][j] = -r.dir[0][j] / p
					if p == 0 {
						r.hess[0][j] = 0
					}
				}
			}
			return h
		}
	},
}
