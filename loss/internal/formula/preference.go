package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
)

// PolicyPairs lifts a function of u = β·(c - c') and v = β·(r - r') to the log-probabilities c, r of a
// chosen and a rejected completion and c', r' of the reference, in the order c, r, c', r'. Up to two
// logits, functions of u and v, come with their odds.
func PolicyPairs(beta float64, f func(u, v float64, o *[2]Odds) Partials, logits ...func(u, v float64) float64) core.BlockFunc {
	return func(b *core.Block) {
		u, v := b.Buf(len(b.X[0])), b.Buf(len(b.X[0]))
		Blend(u, b.X[0], b.X[2], 1, -1)
		Blend(v, b.X[1], b.X[3], 1, -1)
		Scale(u, beta)
		Scale(v, beta)
		var odds [2]Logistic
		for k, logit := range logits {
			x := b.Buf(len(u))
			for i := range x {
				x[i] = logit(u[i], v[i])
			}
			odds[k] = LogisticOf(b, x, true)
		}
		var o [2]Odds
		out, g, bends := b.Out, b.Grad, false
		for _, h := range b.Hess {
			bends = bends || h != nil
		}
		for i := range u {
			for k := range logits {
				o[k] = odds[k].Odds(i)
			}
			j := f(u[i], v[i], &o)
			if out != nil {
				out[i] = j.L
			}
			if g[0] != nil {
				g[0][i] = beta * j.P
			}
			if g[1] != nil {
				g[1][i] = beta * j.T
			}
			if g[2] != nil {
				g[2][i] = -(beta * j.P)
			}
			if g[3] != nil {
				g[3][i] = -(beta * j.T)
			}
			if bends {
				bendPairs(b, i, beta*beta, &j)
			}
		}
	}
}

// bendPairs writes the second derivatives of element i, given those by u and v.
func bendPairs(b *core.Block, i int, square float64, j *Partials) {
	second := [2][2]float64{{square * j.PP, square * j.PT}, {square * j.PT, square * j.TT}}
	signs := [4]float64{1, 1, -1, -1}
	for k, sign := range signs {
		h := b.Hess[k]
		if h == nil {
			continue
		}
		h[i] = 0
		for m, other := range signs {
			if dir := b.Dir[m]; dir != nil {
				h[i] += Times(dir[i], sign*other*second[k%2][m%2])
			}
		}
	}
}

// Preferences writes -(1-ε)·log σ(d) - ε·log σ(-d) and its derivative for all of d; nil is not
// requested.
func Preferences(b *core.Block, value, deriv, d []float64, eps float64) {
	target, p := b.Buf(len(d)), tensorops.Point{Loss: tensorops.SoftMargin} // which keeps the digits of σ(-d)
	if eps != 0 {
		p.Loss = tensorops.BinaryCrossEntropy
	}
	Fill(target, 1-eps)
	tensorops.PointSum(p, &tensorops.PointData[float64]{X: d, T: target, Values: value, Dst: deriv}, 1)
}

// PreferredPairs is PolicyPairs of -(1-ε)·log σ(u-v) - ε·log σ(v-u), which all has for what is beyond
// first derivatives.
func PreferredPairs(beta, eps float64, all core.BlockFunc) core.BlockFunc {
	return func(b *core.Block) {
		for _, h := range b.Hess {
			if h != nil {
				all(b)
				return
			}
		}
		d, v, deriv := b.Buf(len(b.X[0])), b.Buf(len(b.X[0])), b.Buf(len(b.X[0]))
		Blend(d, b.X[0], b.X[2], 1, -1)
		Blend(v, b.X[1], b.X[3], 1, -1)
		Scale(d, beta)
		Scale(v, beta)
		Blend(d, d, v, 1, -1)
		Preferences(b, b.Out, deriv, d, eps)
		for k, g := range b.Grad[:4] {
			if g != nil {
				Blend(g, deriv, deriv, [4]float64{beta, -beta, -beta, beta}[k], 0)
			}
		}
	}
}

// OfDifference returns the partials by u and v of a function of u - v.
func OfDifference(l, d, dd float64) Partials {
	return Partials{L: l, P: d, T: -d, PP: dd, PT: -dd, TT: dd}
}

// Preferred is -(1-ε)·log σ(x) - ε·log σ(-x) with its derivatives.
func (o *Odds) Preferred(eps float64) (l, first, second float64) {
	return Times(1-eps, o.Won) + Times(eps, o.Lost), eps*o.Yes - (1-eps)*o.No, o.Yes * o.No
}

// Sigmoid is σ(x) with its derivatives.
func (o *Odds) Sigmoid() (l, first, second float64) {
	return o.Yes, o.Yes * o.No, o.Yes * o.No * (o.No - o.Yes)
}

// Softplus is log(1+e^x) with its derivatives.
func (o *Odds) Softplus() (l, first, second float64) { return o.Lost, o.Yes, o.Yes * o.No }

// Reversed returns the odds of -x.
func (o *Odds) Reversed() *Odds { return &Odds{Won: o.Lost, Lost: o.Won, Yes: o.No, No: o.Yes} }

// SoftplusOf returns log(1+e^x) with its derivatives.
func SoftplusOf(x float64) (l, first, second float64) {
	o := OddsOf(x)
	return o.Softplus()
}

// OddsRatio is log1p(q(1-p)/(p(1-q))) for p = e^c and q = e^r, with its derivatives by c and r: the
// logarithmic loss of the odds ratio. Everything is said by t = p/q, a = 1 - p and b = 1 - q, so
// that nothing cancels near p = 1 and nothing underflows.
func OddsRatio(c, r float64) Partials {
	switch a, b := -math.Expm1(c), -math.Expm1(r); {
	case a == 0 && b == 0:
		return Partials{L: math.Ln2, P: math.Inf(-1), T: math.Inf(1), PP: math.NaN(), PT: math.NaN(), TT: math.NaN()}
	default:
		t, p, q := math.Exp(c-r), 1-a, 1-b
		e := Times(b, t) + a
		l, _, _ := SoftplusOf(r - c + Log1mExp(c) - Log1mExp(r))
		return Partials{L: l, P: -1 / e, T: a / b / e,
			PP: Times(b-q, t) / e / e, PT: -t / e / e, TT: a / b * (e - b*(a-p)) / b / e / e}
	}
}
