package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// Divergences of rows of probabilities, of many rows at a time. Logarithms of ratios are taken from
// differences, so that nearly equal entries keep their digits.

// nearlyEqual is the divergence below which rows are left to the row function, which loses none of
// the digits of results.
func nearlyEqual(b *core.Block) float64 {
	if b.Single {
		return 0x1p-30
	}
	return 0x1p-10
}

// kullbackFast is Σ t·log(t/p) of operands t and p, where masses counts what the masses of the rows
// add, and Σ t·log(t/p) - t + p where it does not.
func kullbackFast(t, p int, masses bool) core.FastFunc {
	return func(b *core.Block, wrt int, value, grad []float64) {
		from, to, n := b.X[t], b.X[p], len(b.X[t])
		log, terms := b.Buf(n), b.Buf(n)
		if grad == nil || wrt == p {
			for i, q := range to {
				terms[i] = (from[i] - q) / q
			}
			vec.Log1p(log, terms)
			switch {
			case grad == nil:
			case masses:
				for i, q := range to {
					grad[i] = -formula.Quotient(from[i], q)
				}
			default:
				formula.Blend(grad, terms, terms, -1, 0)
				if !vec.Within(from, math.SmallestNonzeroFloat64, math.MaxFloat64) {
					for i, u := range from {
						if u == 0 {
							grad[i] = 1
						}
					}
				}
			}
		} else { // the logarithm alone, also of ratios near 0
			for i, q := range to {
				u := from[i]
				terms[i] = math.Abs(u-q) / min(u, q)
			}
			vec.Log1p(log, terms)
			for i, q := range to {
				log[i] = math.Copysign(log[i], from[i]-q)
			}
			for i, a := range log {
				if masses {
					a++
				}
				if grad[i] = a; from[i] == 0 {
					grad[i] = 0
				}
			}
		}
		vec.Multiply(terms, from, log)
		for i := range value {
			lo, hi := i*b.Cols, (i+1)*b.Cols
			mt, mp := formula.Sum(from[lo:hi]), formula.Sum(to[lo:hi])
			l := formula.Sum(terms[lo:hi]) - (mt - mp)
			switch {
			case !(l > nearlyEqual(b)*(mt+mp) && l <= math.MaxFloat64) || masses && !formula.NearUnity(mp-1, mt-1):
				l = math.NaN()
			case masses:
				l = formula.AddMass(l, mp-1, mt-1, -1, 1)
			}
			value[i] = l
		}
	}
}

// jensenFast is the Jensen-Shannon divergence of weights that are not near 0 or 1: with d = c·(p -
// t)/t, log(t/m) is -log(1 + d).
func jensenFast(beta float64) core.FastFunc {
	rest := 1 - beta
	return func(b *core.Block, wrt int, value, grad []float64) {
		p, t, n := b.X[0], b.X[1], len(b.X[0])
		logT, logP := b.Buf(n), b.Buf(n)
		for i, v := range p {
			u := t[i]
			logT[i], logP[i] = rest*((v-u)/u), beta*((u-v)/v)
		}
		vec.Log1p(logT, logT)
		vec.Log1p(logP, logP)
		if grad != nil {
			own, log, factor := p, logP, -rest
			if wrt == 1 {
				own, log, factor = t, logT, -beta
			}
			for i, a := range log {
				if grad[i] = factor * a; own[i] == 0 {
					grad[i] = 0
				}
			}
		}
		vec.Multiply(logT, t, logT)
		vec.Multiply(logP, p, logP)
		formula.Blend(logT, logT, logP, -beta, -rest)
		for i := range value {
			lo, hi := i*b.Cols, (i+1)*b.Cols
			l := formula.Sum(logT[lo:hi])
			if !(l > nearlyEqual(b)*(formula.Sum(p[lo:hi])+formula.Sum(t[lo:hi])) && l <= math.MaxFloat64) {
				l = math.NaN()
			}
			value[i] = l
		}
	}
}

// overlapFast is a curve of S = Σ t^α·p^(1-α), for the two α that need no power: ½, where S - 1 is
// -½·Σ (√t-√p)² for rows that sum to 1, and 2, where it is Σ (t-p)²/p. Other α have none.
func overlapFast(alpha float64, curve func(z, s, shift float64) (l, d, dd float64)) core.FastFunc {
	if alpha != 0.5 && alpha != 2 {
		return nil
	}
	return func(b *core.Block, wrt int, value, grad []float64) {
		p, t, n := b.X[0], b.X[1], len(b.X[0])
		a, c, terms := b.Buf(n), b.Buf(n), b.Buf(n)
		if alpha == 2 {
			for i, q := range p {
				u := t[i]
				r := u / q
				a[i], terms[i] = r, (u-q)*(r-1)
			}
		} else {
			vec.Sqrt(a, p)
			vec.Sqrt(c, t)
			formula.Blend(terms, a, c, 1, -1)
			vec.Multiply(terms, terms, terms)
		}
		for i := range value {
			lo, hi := i*b.Cols, (i+1)*b.Cols
			gap, dp, dt := formula.Sum(terms[lo:hi]), formula.Sum(p[lo:hi])-1, formula.Sum(t[lo:hi])-1
			z := 0.0
			if alpha == 2 {
				z = 2 * formula.AddMass(gap/2, dp, dt, -0.5, 1)
			} else {
				z = -formula.AddMass(2*gap, dp, dt, -2, -2) / 4
			}
			l, d, _ := curve(z, 1+z, 0)
			if !(math.Abs(z) >= nearlyEqual(b) && z > -1 && math.Abs(z) <= 0x1p100 && formula.NearUnity(dp, dt)) {
				l = math.NaN()
			}
			value[i] = l
			if grad == nil {
				continue
			}
			g := grad[lo:hi]
			switch {
			case alpha == 2 && wrt == 0: // -(t/p)²
				for j, u := range a[lo:hi] {
					g[j] = -d * u * u
				}
			case alpha == 2: // 2·t/p
				for j, u := range a[lo:hi] {
					g[j] = 2 * d * u
				}
			case wrt == 0:
				for j, u := range a[lo:hi] {
					g[j] = d / 2 * c[lo+j] / u
				}
			default:
				for j, u := range c[lo:hi] {
					g[j] = d / 2 * a[lo+j] / u
				}
			}
			if !vec.Within(p[lo:hi], 0x1p-1022, math.MaxFloat64) || !vec.Within(t[lo:hi], 0x1p-1022, math.MaxFloat64) {
				value[i] = math.NaN()
			}
		}
	}
}
