package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// A curve of the surprisal s = -log p gives its value with the first and second derivative; p =
// e^-s, u = 1 - p without cancellation. s is +Inf at p = 0.
type curve func(s, p, u float64) (l, d, dd float64)

// power is u^γ, without the cost of a general power where γ is an integer up to 4.
func power(u, gamma float64) float64 {
	switch gamma {
	case 0:
		return 1
	case 1:
		return u
	case 2:
		return u * u
	case 3:
		return u * u * u
	case 4:
		return (u * u) * (u * u)
	}
	return math.Pow(u, gamma)
}

// bySurprisal is the loss Σ_c w_c·t_c·φ(-log p_c) with p the softmax of logits; curve is φ of many
// surprisals, and phi has the second derivative too. With a_c = w_c·t_c,
//
//	dl/dx_j = p_j·Σ_c a_c·φ'_c - a_j·φ'_j        dl/dt_j = w_j·φ_j
func bySurprisal(set *core.Settings, curves func(value, slope, nll []float64), phi curve) core.RowFunc {
	return func(r *core.Block) float64 {
		p := formula.Softmax(r, 0, 1)
		if p.L1 != p.L1 {
			return formula.SetNaN(r)
		}
		n := len(p.P)
		c := smoothed(r, set, func(int) bool { return true })
		nll, values, slopes, first := r.Buf(n), r.Buf(n), r.Buf(n), r.Buf(n) // first: a·φ'
		for j := range nll {
			nll[j] = p.NLL(j)
		}
		curves(values, slopes, nll)
		value, pull := 0.0, 0.0
		for j, a := range c.a {
			if first[j] = 0; a != 0 {
				value += a * values[j]
				first[j] = a * slopes[j]
				pull += first[j]
			}
		}
		if g := r.Grad[0]; g != nil {
			for j, f := range first {
				if g[j] = pull*p.P[j] - f; f == pull {
					g[j] = -f * p.OneMinus(j)
				}
			}
		}
		for j := range r.Grad[1] {
			r.Grad[1][j] = formula.Times(c.rate(j), values[j])
		}
		h, cross, v, w := r.Hess[0], r.Hess[1], r.Dir[0], r.Dir[1]
		if h == nil && cross == nil {
			return value
		}
		formula.Fill(h, 0)
		formula.Fill(cross, 0)
		second := r.Buf(n) // a·φ''
		for j, a := range c.a {
			if second[j] = 0; a != 0 {
				_, _, dd := phi(nll[j], p.P[j], -math.Expm1(-nll[j]))
				second[j] = a * dd
			}
		}
		if v != nil {
			ds := r.Buf(n)
			p.NLLDeriv(ds, v)
			moved := 0.0
			for j := range second {
				second[j] = formula.Times(ds[j], second[j])
				moved += second[j]
			}
			for j := range h {
				turn := p.P[j]*moved - second[j]
				if second[j] == moved {
					turn = -moved * p.OneMinus(j)
				}
				h[j] = turn - p.P[j]*pull*ds[j]
			}
			for j := range cross {
				cross[j] = c.rate(j) * formula.Times(ds[j], slopes[j])
			}
		}
		if w != nil && h != nil {
			moved := 0.0
			for j, u := range w {
				second[j] = formula.Times(u*c.rate(j), slopes[j])
				moved += second[j]
			}
			for j := range h {
				h[j] += p.P[j]*moved - second[j]
			}
		}
		return value
	}
}

// bySurprisalFast is bySurprisal for many rows of soft targets, at a temperature.
func bySurprisalFast(set *core.Settings, temperature float64, curves func(value, slope, nll []float64), d core.Dims) core.FastFunc {
	if d.Cols == 1 {
		return nil
	}
	inv := 1 / temperature
	return func(b *core.Block, wrt int, value, grad []float64) {
		n := len(b.X[0])
		if b.X[1] == nil {
			formula.Fill(value, math.NaN())
			return
		}
		p, a := formula.ExpsOf(b, b.X[0], temperature), b.X[1]
		nll, values, slopes := b.Buf(n), b.Buf(n), b.Buf(n)
		for i, log := range p.Log {
			row := nll[i*b.Cols : (i+1)*b.Cols]
			for j, x := range b.X[0][i*b.Cols : (i+1)*b.Cols] {
				row[j] = log - inv*x
			}
		}
		curves(values, slopes, nll)
		if w := set.ClassWeights; w != nil {
			a = b.Buf(n)
			for i := range value {
				vec.Multiply(a[i*b.Cols:(i+1)*b.Cols], b.X[1][i*b.Cols:(i+1)*b.Cols], w)
			}
		}
		if wrt == 1 && grad != nil {
			copy(grad, values)
			for i := 0; set.ClassWeights != nil && i < n; i += b.Cols {
				vec.Multiply(grad[i:i+b.Cols], set.ClassWeights, grad[i:i+b.Cols])
			}
		}
		vec.Multiply(values, a, values)
		vec.Multiply(slopes, a, slopes)
		for i, log := range p.Log {
			lo, hi := i*b.Cols, (i+1)*b.Cols
			value[i] = formula.Sum(values[lo:hi])
			pull := formula.Sum(slopes[lo:hi])
			if !formula.Keeps(b, math.Abs(value[i]), math.Abs(pull)*(1+math.Abs(log))) {
				value[i] = math.NaN() // a surprisal near 0 is a difference
			}
			if grad != nil && wrt == 0 {
				formula.Blend(grad[lo:hi], p.E[lo:hi], slopes[lo:hi], inv*pull/p.Sum[i], -inv)
			}
		}
	}
}

// SoftmaxFocal returns the focal loss of target against the softmax of logits: cross-entropy with
// less weight on examples that are already right.
//
// With p = softmax(x), s = -log p, u = 1 - p, and w the class weights (1 by default),
//
//	l = w_y·u_y^γ·s_y                  φ' = u^γ·(1 + γ·p·s/u)        dl/dx_j = w_y·φ'_y·(p_j - [j = y])
//	l = Σ_c w_c·t_c·u_c^γ·s_c          for a soft target             dl/dt_j = w_j·u_j^γ·s_j
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithGamma] (γ >= 0, default 2), [WithAxis] (the class axis, default -1),
// [WithIgnoreIndex] (labels only, default -100), [WithClassWeights], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Gradient and second derivative are finite at p = 1 for γ < 1 too, where the power's own are not.
//
// Keras's has a factor alpha beside, 0.25 by default. γ = 0 is [CrossEntropy]. [SigmoidFocal] is
// for independent classes.
//
// Reference: T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017.
func SoftmaxFocal(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&softmaxFocal, opts, logits, target)
}

var softmaxFocal = core.Definition{
	Name: "SoftmaxFocal", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.Options(core.ClassOptions, core.OptGamma),
	Kernel:   curved(func(s *core.Settings) surprisalCurve { return focalCurve(s.Gamma) }),
	Defaults: core.Settings{Ignore: []int{-100}, Gamma: 2},
	Laws:     core.ShiftInvariant | core.NonNegative,
	Keras:    "CategoricalFocalCrossentropy(from_logits=True, alpha=1)",
	Row: func(set *core.Settings, _ core.Dims) core.RowFunc {
		return bySurprisal(set, focalCurve(set.Gamma).ofSurprisal, focalOf(set.Gamma))
	},
	Fast: func(set *core.Settings, d core.Dims) core.FastFunc {
		return bySurprisalFast(set, 1, focalCurve(set.Gamma).ofSurprisal, d)
	},
}

// focalOf is the curve u^γ·s of the surprisal.
func focalOf(gamma float64) curve {
	return func(s, p, u float64) (l, d, dd float64) {
		rho := s / u
		if u == 0 {
			rho = 1
		}
		pr, w := formula.Times(p, rho), power(u, gamma)
		// At p = 1 the power grows without bound for γ < 1; what it multiplies there is 0.
		return formula.Times(w, s), w * (1 + gamma*pr), formula.Times(gamma*p, power(u, gamma-1)*(2+gamma*pr-rho))
	}
}

// PolyCrossEntropy returns cross-entropy with one more term of its expansion in powers of 1 - p set
// free.
//
// With p = softmax(x), t the target (one-hot for a label y) and w the class weights (1 by default),
//
//	l = Σ_c w_c·t_c·(-log p_c + ε·(1-p_c))        dl/dx_j = Σ_c w_c·t_c·(1+ε·p_c)·(p_j - [j = c])
//	                                              dl/dt_j = w_j·(-log p_j + ε·(1-p_j))
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithEpsilon] (ε, any finite number, default 2), [WithAxis] (the class axis, default
// -1), [WithIgnoreIndex] (labels only, default -100), [WithClassWeights], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// ε = 0 is [CrossEntropy]. Below ε = -1 the loss no longer falls all the way to p = 1.
//
// Reference: Z. Leng et al., PolyLoss: A Polynomial Expansion Perspective of Classification Loss
// Functions, 2022.
func PolyCrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&polyCrossEntropy, opts, logits, target)
}

var polyCrossEntropy = core.Definition{
	Name: "PolyCrossEntropy", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.Options(core.ClassOptions, core.OptEpsilon),
	Kernel:   curved(func(s *core.Settings) surprisalCurve { return polyCurve(s.Epsilon) }),
	Defaults: core.Settings{Ignore: []int{-100}, Epsilon: 2},
	Laws:     core.ShiftInvariant,
	Optax:    "poly_loss_cross_entropy",
	Row: func(set *core.Settings, _ core.Dims) core.RowFunc {
		epsilon := set.Epsilon
		return bySurprisal(set, polyCurve(epsilon).ofSurprisal, func(s, p, u float64) (l, d, dd float64) {
			return s + epsilon*u, 1 + epsilon*p, -epsilon * p
		})
	},
	Fast: func(set *core.Settings, d core.Dims) core.FastFunc {
		return bySurprisalFast(set, 1, polyCurve(set.Epsilon).ofSurprisal, d)
	},
}

// GeneralizedCrossEntropy returns a loss between cross-entropy and 1 - p that a share of wrong
// labels harms less.
//
// With p = softmax(x), t the target (one-hot for a label y) and w the class weights (1 by default),
//
//	l = Σ_c w_c·t_c·(1-p_c^q)/q        dl/dx_j = Σ_c w_c·t_c·p_c^q·(p_j - [j = c])
//	                                   dl/dt_j = w_j·(1-p_j^q)/q
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithQ] (q in (0, 1], default 0.7), [WithAxis] (the class axis, default -1),
// [WithIgnoreIndex] (labels only, default -100), [WithClassWeights], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The loss is at most 1/q: a masked true class (logit -Inf) has loss 1/q and gradient 0. Small q
// lose no digits.
//
// q → 0 is [CrossEntropy], q = 1 is 1 - p, half the absolute error of p.
//
// Reference: Z. Zhang, M. R. Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural
// Networks with Noisy Labels, 2018.
func GeneralizedCrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&generalizedCrossEntropy, opts, logits, target)
}

var generalizedCrossEntropy = core.Definition{
	Name: "GeneralizedCrossEntropy", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.Options(core.ClassOptions, core.OptQ),
	Kernel:   curved(func(s *core.Settings) surprisalCurve { return generalizedCurve(s.Q) }),
	Defaults: core.Settings{Ignore: []int{-100}, Q: 0.7},
	Laws:     core.ShiftInvariant | core.NonNegative,
	Row: func(set *core.Settings, _ core.Dims) core.RowFunc {
		q := set.Q
		return bySurprisal(set, generalizedCurve(q).ofSurprisal, func(s, _, _ float64) (l, d, dd float64) {
			d = math.Exp(-q * s)
			return -math.Expm1(-q*s) / q, d, -q * d
		})
	},
	Fast: func(set *core.Settings, d core.Dims) core.FastFunc {
		return bySurprisalFast(set, 1, generalizedCurve(set.Q).ofSurprisal, d)
	},
}

// SigmoidFocal returns the focal loss of independent yes/no targets against the sigmoid of logits.
//
// With x a logit, y its target, p = σ(x), u = p(1-y) + (1-p)y the probability of being wrong, b the
// binary cross-entropy and a = α·y + (1-α)·(1-y) (1 without α),
//
//	l = a·u^γ·b        dl/dx = a·u^γ·(p - y + γ·b·p(1-p)(1-2y)/u)
//	                   dl/dy = a·u^γ·(γ·b·(1-2p)/u - x) + (2α-1)·u^γ·b
//
// logits and target have the same shape (any rank); targets lie in [0, 1]. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithGamma] (γ >= 0, default 2), [WithAlpha] (α in [0, 1], default off),
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Gradient and second derivative by logits are finite for γ < 1 too, and logits of ±Inf give the
// limits 0, 0 and +Inf.
//
// γ = 0 without α is [BinaryCrossEntropy]. [SoftmaxFocal] is for classes of which exactly one is
// true.
//
// Reference: T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017.
func SigmoidFocal(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&sigmoidFocal, opts, logits, target)
}

var sigmoidFocal = core.Definition{
	Name: "SigmoidFocal", Operands: elements("logits", core.Logits, "target", core.UnitInterval), Takes: core.Options(core.ReduceOptions, core.OptGamma, core.OptAlpha), Defaults: core.Settings{Gamma: 2},
	Kernel: points(false, sigmoidFocalPoint),
	Laws:   core.NonNegative,
	Torch:  "torchvision.ops.sigmoid_focal_loss", Keras: "BinaryFocalCrossentropy(from_logits=True)", Optax: "sigmoid_focal_loss",
	Check: func(s *core.Settings) error {
		if s.Alpha < 0 || s.Alpha > 1 {
			return fmt.Errorf("WithAlpha is %v, want a number in [0, 1]", s.Alpha)
		}
		return nil
	},
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		gamma, base, slope := s.Gamma, 1.0, 0.0
		if s.Given.Has(core.OptAlpha) {
			base, slope = 1-s.Alpha, 2*s.Alpha-1
		}
		at := func(o formula.Odds, x, y float64, _ int) formula.Partials {
			j := focalJet(o, x, y, gamma)
			a := base + slope*y
			return formula.Partials{
				L: formula.Times(a, j.L), P: a * j.P, T: formula.Times(a, j.T) + formula.Times(slope, j.L),
				PP: a * j.PP, PT: a*j.PT + slope*j.P, TT: formula.Times(a, j.TT) + formula.Times(2*slope, j.T),
			}
		}
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				b, t := formula.LogisticOf(r, r.X[0], true), r.X[1][:len(dst)]
				powers := wrongPowers(r, &b, t, gamma)
				for i, y := range t {
					o := b.Odds(i)
					dst[i] = (base + slope*y) * powers[i] * (y*o.Won + (1-y)*o.Lost)
					if !(math.Abs(b.X[i]) < ordinaryLogit) {
						dst[i] = at(o, b.X[i], y, 0).L
					}
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				b, t := formula.LogisticOf(r, r.X[0], true), r.X[1][:len(dst)]
				powers := wrongPowers(r, &b, t, gamma)
				for i, y := range t {
					o := b.Odds(i)
					u := o.Yes*(1-y) + o.No*y
					ux := o.Yes * o.No * (1 - 2*y) / u // ∂u/u
					l := y*o.Won + (1-y)*o.Lost
					dst[i] = (base + slope*y) * powers[i] * (formula.Pick(y == 1, -o.No, o.Yes-y) + gamma*ux*l)
					if !(math.Abs(b.X[i]) < ordinaryLogit) {
						dst[i] = at(o, b.X[i], y, 0).P
					}
				}
			},
		}.Completed(formula.ByOdds(at))
	},
}

// wrongPowers returns u^γ of the probabilities u of being wrong. Powers that are no small integers are
// taken for the whole block by logarithms.
func wrongPowers(r *core.Block, b *formula.Logistic, t []float64, gamma float64) []float64 {
	w := r.Buf(len(t))
	for i, y := range t {
		yes, no := b.Sigmoids(i)
		w[i] = yes*(1-y) + no*y
	}
	switch gamma {
	case 0, 1, 2, 3, 4:
		for i, u := range w {
			w[i] = power(u, gamma)
		}
	default:
		vec.Log(w, w)
		formula.Scale(w, gamma)
		vec.Exp(w, w)
	}
	return w
}

// ordinaryLogit is the size of a logit below which no probability underflows.
const ordinaryLogit = 700

// focalJet is u^γ·b. It works with the quotients of u's derivatives and u, which stay finite as u
// falls to 0.
func focalJet(o formula.Odds, x, y, gamma float64) formula.Partials {
	b := binaryJet(o, x, y, 1)
	p, q := o.Yes, o.No
	var u, ux, uxx, bu float64 // u, ∂u/u, ∂²u/u, b/u
	switch y {
	case 0:
		u, ux, uxx = p, q, q*(q-p)
	case 1:
		u, ux, uxx = q, -p, p*(p-q)
	default:
		u = p*(1-y) + q*y
		ux = p * q * (1 - 2*y) / u
		uxx = ux * (q - p)
	}
	if bu = b.L / u; u == 0 {
		bu = 1
	}
	w := power(u, gamma)
	wx, wxx := gamma*ux, gamma*((gamma-1)*ux*ux+uxx) // ∂w/w, ∂²w/w
	uy := q - p                                      // ∂u/∂y
	// ∂b/∂x over u is -1 and 1 at the ends.
	bx := b.P / u
	if y == 0 {
		bx = 1
	} else if y == 1 {
		bx = -1
	}
	return formula.Partials{
		L:  formula.Times(w, b.L),
		P:  w * (b.P + formula.Times(wx, b.L)),
		T:  formula.Times(w, b.T) + gamma*w*uy*bu,
		PP: w * (b.PP + 2*wx*b.P + formula.Times(wxx, b.L)),
		PT: formula.Times(w, b.PT) + formula.Times(w*wx, b.T) + gamma*w*(formula.Times((gamma-1)*ux*uy-2*p*q, bu)+uy*bx),
		TT: formula.Times(gamma, formula.Times(power(u, gamma-1), uy*((gamma-1)*uy*bu+2*b.T))),
	}
}

func sigmoidFocalPoint(s *core.Settings) tensorops.Point {
	p := tensorops.Point{Loss: tensorops.SigmoidFocal, A: s.Gamma, B: 1, C: 1}
	if s.Has(core.OptAlpha) {
		p.B, p.C = 1-s.Alpha, s.Alpha
	}
	return p
}
