package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// LogSumExp returns log Σ exp(x) along an axis, which it removes.
//
//	y = log Σ_c exp(x_c)        dy/dx_j = softmax(x)_j
//
// x is a node of any rank >= 1 and dtype float32 or float64; the result has its shape without the
// axis.
//
// Options: [WithAxis] (default -1, the last axis).
//
// A row of only -Inf gives -Inf (and gradient NaN), a row with +Inf gives +Inf (and gradient NaN at
// the +Inf entries, 0 elsewhere), a NaN makes its row NaN.
//
// Reference: standard.
func LogSumExp(x *G.Node, opts ...Option) (*G.Node, error) { return buildNode(&logSumExp, opts, x) }

var logSumExp = core.Definition{
	Name: "LogSumExp", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "* C"}}, Takes: core.OptAxis,
	Row:  func(*core.Settings, core.Dims) core.RowFunc { return logSumExpRow },
	Fast: func(*core.Settings, core.Dims) core.FastFunc { return logSumExps },
}

// logSumExpRow is the function of one row.
func logSumExpRow(r *core.Block) float64 {
	p := formula.Softmax(r, 0, 1)
	if g := r.Grad[0]; g != nil {
		copy(g, p.P)
		if math.IsInf(p.Max, 1) {
			for j, x := range r.X[0] {
				g[j] = 0 * (x - p.Max) // NaN at +Inf
				if !math.IsInf(x, 1) {
					g[j] = 0
				}
			}
		}
	}
	if h := r.Hess[0]; h != nil {
		p.Jacobian(h, r.Dir[0], 1)
	}
	if math.IsInf(p.Max, 0) {
		return p.Max
	}
	return p.Max + p.L1
}

// Softmax returns exp(x)/Σ exp(x) along an axis: the distribution whose logits are x.
//
//	y_j = exp(x_j)/Σ_c exp(x_c)        Σ u·dy/dx_j = y_j·(u_j - ⟨y, u⟩)
//
// x is a node of any rank >= 1 and dtype float32 or float64; the result has its shape. Softmax of
// -x is what PyTorch calls softmin.
//
// Options: [WithAxis] (default -1, the last axis).
//
// -Inf gives exactly 0. A row of only -Inf, one with +Inf and one with NaN are NaN. A loss on the
// result should be taken from the logits instead: [CrossEntropy], [KL], [Entropy].
//
// Reference: standard.
func Softmax(x *G.Node, opts ...Option) (*G.Node, error) { return buildMap(&softmax, opts, x) }

// The row function of a row-to-row node f is the scalar ⟨a, f(x)⟩ of x and a: its derivative by a
// is f, its derivative by x the vector-Jacobian product, and its second derivatives are those of
// the node.
var softmax = core.Definition{
	Name: "Softmax", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "* C"}}, Takes: core.OptAxis,
	Row:  func(*core.Settings, core.Dims) core.RowFunc { return softmaxRow },
	Fast: func(*core.Settings, core.Dims) core.FastFunc { return softmaxes },
}

// softmaxRow is the function of one row.
func softmaxRow(r *core.Block) float64 {
	p := formula.Softmax(r, 0, 1)
	if g := r.Grad[1]; g != nil {
		copy(g, p.P)
	}
	a := r.X[1]
	if g := r.Grad[0]; g != nil {
		p.Jacobian(g, a, 1)
	}
	if h := r.Hess[0]; h != nil {
		formula.Fill(h, 0)
		if v := r.Dir[0]; v != nil {
			u := r.Buf(len(v))
			ma, mv := core.Dot(p.P, a), core.Dot(p.P, v)
			for j := range u {
				u[j] = a[j]*v[j] - a[j]*mv - v[j]*ma
			}
			p.Jacobian(h, u, 1)
		}
		if v := r.Dir[1]; v != nil {
			d := r.Buf(len(v))
			p.Jacobian(d, v, 1)
			formula.AddTo(h, d)
		}
	}
	if h := r.Hess[1]; h != nil {
		formula.Fill(h, 0)
		if v := r.Dir[0]; v != nil {
			p.Jacobian(h, v, 1)
		}
	}
	return 0
}

// LogSoftmax returns x - log Σ exp(x) along an axis: the logarithm of [Softmax], computed from x.
//
//	y_j = x_j - log Σ_c exp(x_c)        Σ u·dy/dx_j = u_j - softmax(x)_j·Σ u
//
// x is a node of any rank >= 1 and dtype float32 or float64; the result has its shape.
//
// Options: [WithAxis] (default -1, the last axis).
//
// Values near 0 keep their relative accuracy. -Inf stays -Inf; a row of only -Inf, one with +Inf
// and one with NaN are NaN.
//
// Reference: standard.
func LogSoftmax(x *G.Node, opts ...Option) (*G.Node, error) { return buildMap(&logSoftmax, opts, x) }

var logSoftmax = core.Definition{
	Name: "LogSoftmax", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "* C"}}, Takes: core.OptAxis,
	Row: func(*core.Settings, core.Dims) core.RowFunc { return logSoftmaxRow },
	Fast: func(_ *core.Settings, d core.Dims) core.FastFunc {
		if d.Cols <= 128 { // the row function keeps more digits
			return nil
		}
		return logSoftmaxes
	},
}

// logSoftmaxRow is the function of one row.
func logSoftmaxRow(r *core.Block) float64 {
	p := formula.Softmax(r, 0, 1)
	if g := r.Grad[1]; g != nil {
		for j := range g {
			g[j] = -p.NLL(j)
		}
	}
	a := r.X[1]
	sum := 0.0
	for _, v := range a {
		sum += v
	}
	if g := r.Grad[0]; g != nil {
		for j, v := range a {
			g[j] = v - p.P[j]*sum
			if v == sum {
				g[j] = v * p.OneMinus(j)
			}
		}
	}
	if h := r.Hess[0]; h != nil {
		formula.Fill(h, 0)
		if v := r.Dir[0]; v != nil {
			p.Jacobian(h, v, -sum)
		}
		if v := r.Dir[1]; v != nil {
			moved := 0.0
			for _, u := range v {
				moved += u
			}
			for j, u := range v {
				h[j] += u - p.P[j]*moved
			}
		}
	}
	if h := r.Hess[1]; h != nil {
		formula.Fill(h, 0)
		if v := r.Dir[0]; v != nil {
			p.LogProbDeriv(h, v, 1)
		}
	}
	return 0
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
func LogSigmoid(x *G.Node, opts ...Option) (*G.Node, error) { return buildNode(&logSigmoid, opts, x) }

// log σ(x) is -softplus(-x).
var logSigmoid = core.Definition{
	Name: "LogSigmoid", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "*"}},
	Block: func(*core.Settings, core.Dims) core.BlockFunc { return softplusOf(-1) },
}

// softplusOf is the block function of sign·log(1 + e^(sign·x)).
func softplusOf(sign float64) core.BlockFunc {
	return func(r *core.Block) {
		x := r.X[0]
		if sign < 0 {
			x = r.Buf(len(x))
			for i, v := range r.X[0] {
				x[i] = -v
			}
		}
		b := formula.LogisticOf(r, x, r.Out != nil)
		for i := range r.Out {
			r.Out[i] = sign * b.Softplus(i)
		}
		for i := range r.Grad[0] {
			r.Grad[0][i], _ = b.Sigmoids(i)
		}
		for i := range r.Hess[0] {
			yes, no := b.Sigmoids(i)
			r.Hess[0][i] = sign * yes * no * r.Dir[0][i]
		}
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
func Softplus(x *G.Node, opts ...Option) (*G.Node, error) { return buildNode(&softPlus, opts, x) }

var softPlus = core.Definition{
	Name: "Softplus", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "*"}},
	Block: func(*core.Settings, core.Dims) core.BlockFunc { return softplusOf(1) },
}

// Entropy returns the entropy, in nats, of the softmax of logits along an axis, which it removes.
//
// With p = softmax(x),
//
//	H = -Σ_c p_c·log p_c        dH/dx_j = -p_j·(log p_j + H)
//
// logits is a node of any rank >= 1 and dtype float32 or float64; the result has its shape without
// the axis.
//
// Options: [WithAxis] (default -1, the last axis).
//
// A class masked by -Inf adds nothing and has gradient 0. Rows of only -Inf and rows with +Inf or
// NaN are NaN.
//
// [EntropyFromProb] takes probabilities.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func Entropy(logits *G.Node, opts ...Option) (*G.Node, error) {
	return buildNode(&entropy, opts, logits)
}

var entropy = core.Definition{
	Name: "Entropy", Operands: []core.Operand{{Name: "logits", Holds: core.Logits, Shape: "* C"}}, Takes: core.OptAxis,
	Row:  func(*core.Settings, core.Dims) core.RowFunc { return entropyRow },
	Fast: func(*core.Settings, core.Dims) core.FastFunc { return entropies },
}

// entropyRow is the function of one row.
var entropyRow = entropyOf(1)

// EntropyFromProb returns the entropy, in nats, of given probabilities along an axis, which it
// removes.
//
//	H = -Σ_c p_c·log p_c        dH/dp_j = -(log p_j + 1), 0 where p_j = 0
//
// prob is a node of numbers >= 0, of any rank >= 1 and dtype float32 or float64; the result has its
// shape without the axis. Rows are taken as they are and not normalised.
//
// Options: [WithAxis] (default -1, the last axis).
//
// 0·log 0 is 0. [Entropy] takes logits and is the better choice where they are at hand.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func EntropyFromProb(prob *G.Node, opts ...Option) (*G.Node, error) {
	return buildNode(&entropyFromProb, opts, prob)
}

var entropyFromProb = core.Definition{
	Name: "EntropyFromProb", Operands: []core.Operand{{Name: "prob", Holds: core.Probabilities, Shape: "* C"}},
	Takes: core.OptAxis,
	Row: func(*core.Settings, core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			h := 0.0
			for j, p := range r.X[0] {
				log := formula.Log(p)
				h -= formula.Times(p, log)
				if r.Grad[0] != nil {
					r.Grad[0][j] = -(log + 1)
					if p == 0 {
						r.Grad[0][j] = 0
					}
				}
				if r.Hess[0] != nil {
					r.Hess[0][j] = -r.Dir[0][j] / p
					if p == 0 {
						r.Hess[0][j] = 0
					}
				}
			}
			return h
		}
	},
}

func logSumExps(b *core.Block, _ int, value, grad []float64) {
	clear(value)
	if b.Out != nil {
		tensorops.LogSumExpRows(value, b.X[0], b.Cols)
	}
	if grad != nil {
		tensorops.LogSumExpGradRows(grad, b.X[0], ones(b), b.Cols)
	}
}

// softmaxes: the derivative by operand 1 is the softmax itself, that by operand 0 its Jacobian
// times operand 1.
func softmaxes(b *core.Block, wrt int, value, grad []float64) {
	clear(value)
	if grad == nil {
		return
	}
	tensorops.SoftmaxRows(grad, b.X[0], b.Cols)
	if wrt == 0 {
		tensorops.SoftmaxGradRows(grad, grad, b.X[1], b.Cols)
	}
}

func logSoftmaxes(b *core.Block, wrt int, value, grad []float64) {
	clear(value)
	switch {
	case grad == nil:
	case wrt == 1:
		tensorops.LogSoftmaxRows(grad, b.X[0], b.Cols)
	default:
		tensorops.LogSoftmaxLogitGradRows(grad, b.X[0], b.X[1], b.Cols)
	}
}

func entropies(b *core.Block, _ int, value, grad []float64) {
	g := ones(b)
	if grad != nil {
		tensorops.EntropyGradRows(value, grad, b.X[0], b.Cols, g)
		return
	}
	tensorops.EntropyRows(value, b.X[0], b.Cols, g)
}

// ones returns a factor of 1 for each row.
func ones(b *core.Block) []float64 {
	g := b.Buf(b.Rows)
	formula.Fill(g, 1)
	return g
}

// Log1mExp returns log(1 - e^x), element by element: the log-probability of the complement of an
// event from its own.
//
//	y = log(1 - e^x)        dy/dx = -1/(e^-x - 1)
//
// x is a node of any shape and dtype float32 or float64.
//
// Options: none.
//
// It keeps its digits on both sides of -log 2. 0 gives -Inf with gradient -Inf, -Inf gives 0 with
// gradient 0, numbers above 0 give NaN.
//
// Reference: M. Mächler, Accurately Computing log(1 - exp(-|a|)), 2012.
func Log1mExp(x *G.Node, opts ...Option) (*G.Node, error) { return buildNode(&log1mExp, opts, x) }

var log1mExp = core.Definition{
	Name: "Log1mExp", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "*"}},
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return func(b *core.Block) {
			for i, x := range b.X[0] {
				d := -1 / math.Expm1(0-x) // 0 - 0 is no -0
				if x > 0 {
					d = math.NaN()
				}
				if b.Out != nil {
					b.Out[i] = formula.Log1mExp(x)
				}
				if b.Grad[0] != nil {
					b.Grad[0][i] = d
				}
				if b.Hess[0] != nil { // e^x/(1-e^x)² = d·(d-1), negated
					b.Hess[0][i] = formula.Times(b.Dir[0][i], d*(1-d))
				}
			}
		}
	},
}
