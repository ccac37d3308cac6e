package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// WithDispersion sets the dispersion α > 0 of each element of [NegativeBinomial], a node of the
// shape and dtype of pred, in place of the one number of [WithAlpha]. There are gradients with
// respect to it.
func WithDispersion(alpha *G.Node) Option { return operand(core.OptDispersion, alpha) }

// dispersedCounts is the likelihood of negative binomial distributions with a dispersion for each
// element.
func dispersedCounts(full bool) core.BlockFunc {
	return func(b *core.Block) {
		f, t, alpha := b.X[0], b.X[1], b.X[2]
		mu := b.Buf(len(f))
		vec.Exp(mu, f)
		at := func(i int) dispersed { return newDispersed(f[i], t[i], mu[i], alpha[i]) }
		if b.Out != nil || b.Grad[1] != nil {
			log := b.Buf(len(f))
			for i := range log {
				u := at(i).u
				log[i] = formula.Pick(u > 1, 1/u, u)
			}
			vec.Log1p(log, log)
			for i := range b.Out {
				b.Out[i] = at(i).value(log[i], full)
				if alpha[i] > math.MaxFloat64 && t[i] > 0 {
					b.Out[i] = math.Inf(1)
				}
			}
			for i := range b.Grad[1] {
				b.Grad[1][i] = at(i).byTarget(log[i], full)
			}
		}
		for i := range b.Grad[0] {
			b.Grad[0][i] = at(i).slope
		}
		for i := range b.Grad[2] {
			p := at(i)
			first, _ := shapeTerms(p.t, p.shape)
			misfit, _ := p.misfit()
			b.Grad[2][i] = -misfit - first
		}
		if b.Hess[0] == nil && b.Hess[1] == nil && b.Hess[2] == nil {
			return
		}
		for i := range f {
			hessian := at(i).second(full)
			for k, to := range b.Hess[:3] {
				if to == nil {
					continue
				}
				to[i] = 0
				for m, v := range b.Dir[:3] {
					if v != nil {
						to[i] += formula.Times(v[i], hessian[k][m])
					}
				}
			}
		}
	}
}

// A dispersed is a log-mean f and a count t under a dispersion α, with μ = exp(f), the shape r =
// 1/α, the odds u = αμ and the slope dl/df.
type dispersed struct{ f, t, mu, alpha, shape, u, slope float64 }

func newDispersed(f, t, mu, alpha float64) dispersed {
	alpha = min(max(alpha, 0x1p-1022), math.MaxFloat64) // within which 1/α is finite and not 0
	u := alpha * mu
	p := dispersed{f, t, mu, alpha, 1 / alpha, u, (mu - t) / (1 + u)}
	if !(u <= math.MaxFloat64) {
		p.slope = p.shape * (1 - t/mu)
	}
	return p
}

// value returns l; log is the log1p of u or 1/u.
func (p dispersed) value(log float64, full bool) float64 {
	rise, fall, miss := logsOfOdds(p.f, p.u, log, formula.Log(p.alpha))
	return withGammas(p.shape*rise+formula.Times(p.t, fall), p.f, p.t, p.shape, rise, miss, full)
}

// byTarget returns dl/dt.
func (p dispersed) byTarget(log float64, full bool) float64 {
	_, fall, miss := logsOfOdds(p.f, p.u, log, formula.Log(p.alpha))
	if full {
		first, _ := psiGap(p.t, p.shape)
		return miss + first
	}
	// ψ(t+r) by its series at b = t+r+n
	rest, n, b := 0.0, 0.0, p.t+p.shape
	for ; b < seriesFrom; b++ {
		rest -= 1 / b
		n++
	}
	y := 1 / (b * b)
	series, _ := divided(psiSeries[:], y, y)
	rest -= 1/(2*b) + series
	if p.t <= p.shape && p.shape > 1 { // the logarithm of r cancels
		return fall - math.Log1p((p.t+n)/p.shape) - rest
	}
	return miss - math.Log(b) - rest
}

// misfit returns r²·H and r³·(2H - y²), with y = (μ - t)/(r + μ) and H = -log(1 - y) - y: what of
// dl/dα and d²l/dα² depends on the mean. They are of the second and third order in y.
func (p dispersed) misfit() (second, third float64) {
	r, s := p.shape, p.slope // s = r·y
	y := max(p.alpha*s, -math.MaxFloat64)
	switch {
	case math.Abs(y) < 0.1:
		series := 0.0 // Σ y^k/(k+3)
		for k := 18.0; k >= 3; k-- {
			series = series*y + 1/k
		}
		return s * s * (0.5 + y*series), 2 * s * s * s * series
	case y > 0.5: // 1 - y = (r + t)/(r + μ)
		x := (p.mu - p.t) / (r + p.t)
		log := math.Log1p(x)
		if x > math.MaxFloat64 {
			log = p.f + math.Log(p.alpha) - math.Log1p(p.alpha*p.t)
		}
		second = r * (r * (log - y))
	case y < -0.5:
		second = r * (-s - r*math.Log1p(-y))
	default:
		second = r * r * formula.Log1pmx(-y)
	}
	return second, r * (2*second - s*s)
}

// second returns the Hessian by f, t and α.
func (p dispersed) second(full bool) (h [3][3]float64) {
	r, s, t := p.shape, p.slope, p.t
	rest, moved := 1/(1+p.u), p.mu/(1+p.u) // 1/(1+u) = r/(r+μ), and times μ
	spread := (1 + p.alpha*t) * moved * rest
	if !(p.u <= math.MaxFloat64) {
		moved = r
		spread = (t + r) / p.u
	}
	h[0] = [3]float64{spread, -rest, -s * moved}
	// ψ' by its series at b = t+r+n
	b, n, tail, mixed := t+r, 0.0, 0.0, 0.0
	for ; b < seriesFrom; b++ {
		tail += 1 / b / b
		mixed += (r / b) * (r / b)
		n++
	}
	y := 1 / (b * b)
	series, _ := divided(psiSlopes[:], y, y)
	tail += 1/b + y/2 + series/b
	share := r / b
	mixed += share * (s - n*rest + share/2 + r*series)
	if full {
		_, gap := psiGap(t, r)
		tail = -gap
	}
	h[1] = [3]float64{-rest, -tail, mixed}
	_, third := p.misfit()
	_, own := shapeTerms(t, r)
	h[2] = [3]float64{h[0][2], mixed, third + r/(r+t)*t*s*s + own}
	return h
}

// seriesFrom is where the asymptotic series of ψ and its derivatives begin. The first term left out
// of them, times the cube of the argument, is below 2e-15 there.
const seriesFrom = 16

// The coefficients of ψ(x) = log x - 1/(2x) - Σ B_2k/2k·x^-2k for k from 1, and those of
// ψ'(x) = 1/x + 1/(2x²) + Σ B_2k·x^-2k/x.
var (
	psiSeries = [...]float64{1. / 12, -1. / 120, 1. / 252, -1. / 240, 1. / 132, -691. / 32760, 1. / 12}
	psiSlopes = [...]float64{1. / 6, -1. / 30, 1. / 42, -1. / 30, 5. / 66, -691. / 2730, 7. / 6}
)

// divided returns p(x) of the polynomial p = c_0·x + c_1·x² + ... and (p(x) - p(y))/(x - y).
func divided(c []float64, x, y float64) (value, quotient float64) {
	for i := len(c) - 1; i >= 0; i-- {
		quotient = quotient*y + value
		value = value*x + c[i]
	}
	return value * x, quotient*y + value
}

// shapeTerms returns what of dl/dα and d²l/dα² does not depend on the mean: r²·W and r³·(2W +
// r·dW/dr) with W = (ψ(r) - log r) - (ψ(t+r) - log(t+r)). Every difference of terms at r and at t+r
// is written as a multiple of t.
func shapeTerms(t, r float64) (first, second float64) {
	// W(r) - W(r+n), times r², and its derivative; all terms of a sum have one sign.
	step, slope, n, x := 0.0, 0.0, 0.0, r
	for ; x < seriesFrom; x++ {
		b := x + t
		a, c, rise := r/x, r/b, t/b
		step -= r*(r*formula.Log1pmx(t/x/(b+1))) + a*rise*(r/(b+1))
		slope += (t*(a*a+a*c+c*c) + rise*(a*a+a*c)) / (b + 1) / (x + 1)
		n++
	}
	// The series, at x = r+n and b = t+x.
	b := x + t
	a, rise := x/b, t/b
	at, other := 1/(b*b), 1/(x*x)
	_, psi := divided(psiSeries[:], at, other)
	series, gap := divided(psiSlopes[:], at, other)
	first = -a*t/2 - rise*(1+a)*psi
	square := a * t * a * t
	second = a*t*(a*a*leading(at)+(1+a)*(gap-2*psi)) - square/2
	if n == 0 {
		return first, second
	}
	w := r / x
	change := rise*(1+a)*(0.5+gap/x) + x*rise*series
	return step + w*w*first, r*(2*step+r*slope) + w*w*(w*second-n*r*change)
}

// leading is the series of ψ' divided by its variable.
func leading(y float64) float64 {
	value := 0.0
	for i := len(psiSlopes) - 1; i >= 0; i-- {
		value = value*y + psiSlopes[i]
	}
	return value
}
