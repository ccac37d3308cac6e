package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// The divergences of rows of probabilities, and what else is a function of sums over the entries of
// two rows. Values that sums have lost too many digits of are left to the row functions.

// termsOf are the terms of a loss with parameters, for both derivatives.
func termsOf(l tensorops.RowLoss, p ...float64) (terms [2]tensorops.RowTerms) {
	for k := range terms {
		terms[k] = tensorops.RowTerms{Loss: l, Wrt: k}
		copy(terms[k].P[:], p)
	}
	return terms
}

// finiteRow reports whether all that a row adds up to is finite, and no number so large that the
// terms may have overflowed on the way.
func finiteRow(s *tensorops.RowSum) bool {
	return core.Finite(s.Terms) && s.X <= 0x1p1000 && s.T <= 0x1p1000
}

// straight makes c the curve of a loss whose derivatives do not depend on its values, which value
// writes.
func (c rowCurve) straight(slopes [2]float64, value func(v []float64, s []tensorops.RowSum)) rowCurve {
	c.slopes = &slopes
	c.of = func(v, slope []float64, s []tensorops.RowSum, wrt int) {
		value(v, s)
		for i := range slope {
			slope[i] = slopes[wrt]
		}
	}
	return c
}

// scaledTerms are the values scale·Σ f.
func scaledTerms(scale float64) func(v []float64, s []tensorops.RowSum) {
	return func(v []float64, s []tensorops.RowSum) {
		v = v[:len(s)]
		for i := range s {
			r := &s[i]
			if v[i] = r.Terms * scale; !finiteRow(r) {
				v[i] = math.NaN()
			}
		}
	}
}

// totalVariationRows are those of TotalVariation.
func totalVariationRows(_ *core.Settings, d core.Dims) core.Kernels {
	return rowsOf(d, func(float64) rowCurve {
		return rowCurve{terms: termsOf(tensorops.AbsoluteTerms)}.straight([2]float64{0.5, 0.5}, scaledTerms(0.5))
	})
}

// kullbackRows are those of Σ t·log(t/p) where masses is set, and else of Σ t·log(t/p) - t + p; of
// exchanged operands where swapped is.
func kullbackRows(d core.Dims, masses, swapped bool) core.Kernels {
	return rowsOf(d, func(least float64) rowCurve {
		c := rowCurve{terms: termsOf(tensorops.QuotientTerms, 1), swapped: swapped}
		if c.terms[1].P[2] = 1; !masses {
			c.terms[0].P[2], c.terms[1].P[2] = 1, 0
		}
		if swapped {
			c.terms[0], c.terms[1] = c.terms[1], c.terms[0]
		}
		return c.straight([2]float64{1, 1}, func(v []float64, all []tensorops.RowSum) {
			for i := range all {
				s := &all[i]
				l := s.Terms - (s.T - s.X)
				switch dp, dt := s.X-1, s.T-1; {
				case !(l > least*(s.T+s.X) && finiteRow(s)):
					l = math.NaN()
				case masses && formula.NearUnity(dp, dt):
					l = formula.AddMass(l, dp, dt, -1, 1)
				case masses:
					l = s.Terms
				}
				v[i] = l
			}
		})
	})
}

// mixedRows are those of JensenShannon for weights of 0 < β < 1.
func mixedRows(d core.Dims, beta float64) core.Kernels {
	return rowsOf(d, func(least float64) rowCurve {
		least *= 2 * min(beta, 1-beta)
		return rowCurve{terms: termsOf(tensorops.MixedTerms, beta, 1-beta)}.straight([2]float64{1, 1}, func(v []float64, all []tensorops.RowSum) {
			for i := range all {
				s := &all[i]
				if v[i] = s.Terms; !(s.Terms > least*(s.X+s.T) && finiteRow(s)) {
					v[i] = math.NaN()
				}
			}
		})
	})
}

// An overlapCurve is a function of S for many rows at a time: it replaces S - 1 by the values and S
// by the derivatives times slope.
type overlapCurve func(z, s []float64, slope float64)

// proportional is scale·(S - 1).
func proportional(scale float64) overlapCurve {
	return func(z, s []float64, slope float64) {
		s = s[:len(z)]
		for i := range z {
			z[i], s[i] = scale*z[i], scale*slope
		}
	}
}

// logarithmic is scale·log S.
func logarithmic(scale float64) overlapCurve {
	return func(z, s []float64, slope float64) {
		var buf [256]float64
		for ; len(z) > 0; z, s = z[min(len(z), len(buf)):], s[min(len(s), len(buf)):] {
			z, s, log := z[:min(len(z), len(buf))], s[:min(len(s), len(buf))], buf[:min(len(z), len(buf))]
			vec.Log(log, s)
			for i, v := range z {
				z[i] = formula.Pick(math.Abs(v) > 0.5, 0, v) // S has the digits
			}
			vec.Log1p(z, z)
			for i, v := range z {
				z[i], s[i] = scale*formula.Pick(v == 0, log[i], v), scale/s[i]*slope
			}
		}
	}
}

// root is √(1 - S), and 0 where S is more than 1.
func root(z, s []float64, slope float64) {
	s = s[:len(z)]
	for i, v := range z {
		l, d := math.Sqrt(-v), 0.0
		if d = -1 / (2 * l) * slope; v >= 0 {
			l, d = 0, 0
		}
		z[i], s[i] = l, d
	}
}

// overlapRows are those of a curve of S = Σ t^α·p^(1-α).
func overlapRows(d core.Dims, alpha float64, curve overlapCurve) core.Kernels {
	beta := 1 - alpha
	return rowsOf(d, func(least float64) rowCurve {
		var c rowCurve
		var slopes [2]float64
		var sums func(z, total []float64, all []tensorops.RowSum) // writes S-1 and S
		switch alpha {
		case 0.5: // S - 1 is -½·Σ (√t-√p)² for rows that sum to 1
			c.terms, slopes = termsOf(tensorops.RootTerms), [2]float64{0.5, 0.5}
			sums = rootSums
		case 2: // and Σ (t-p)²/p
			c.terms, slopes = termsOf(tensorops.SquareTerms), [2]float64{-1, 2}
			sums = squareSums(least)
		default:
			least *= 64 // these differ from their own differences in the last places
			c.terms, slopes = termsOf(tensorops.PowerTerms, beta), [2]float64{beta, alpha}
			sums = powerSums(least, alpha, beta)
		}
		c.of = func(value, slope []float64, all []tensorops.RowSum, wrt int) {
			sums(value, slope, all)
			value, slope = value[:len(all)], slope[:len(all)]
			for i := range all {
				z, total := math.Abs(value[i]), slope[i]
				if !(z >= least && z >= least*total && total > 0 && z <= 0x1p100 && finiteRow(&all[i])) {
					value[i], slope[i] = math.NaN(), math.NaN()
				}
			}
			curve(value, slope, slopes[wrt])
		}
		return c
	})
}

func rootSums(z, total []float64, all []tensorops.RowSum) {
	z, total = z[:len(all)], total[:len(all)]
	for i := range all {
		s := &all[i]
		z[i], total[i] = s.Products-1, s.Products
		if dp, dt := s.X-1, s.T-1; formula.NearUnity(dp, dt) {
			z[i] = -formula.AddMass(2*s.Terms, dp, dt, -2, -2) / 4
		}
	}
}

func squareSums(least float64) func(z, total []float64, all []tensorops.RowSum) {
	return func(z, total []float64, all []tensorops.RowSum) {
		for i := range all {
			s := &all[i]
			dp, dt := s.X-1, s.T-1
			gap := s.Terms + 2*dt - dp
			switch {
			case formula.NearUnity(dp, dt):
				gap = 2 * formula.AddMass(s.Terms/2, dp, dt, -0.5, 1)
			case !(math.Abs(gap) >= least*(s.X+s.T)):
				gap = math.NaN()
			}
			z[i], total[i] = gap, s.Terms+(2*s.T-s.X)
		}
	}
}

func powerSums(least, alpha, beta float64) func(z, total []float64, all []tensorops.RowSum) {
	return func(z, total []float64, all []tensorops.RowSum) {
		for i := range all {
			s := &all[i]
			dp, dt := s.X-1, s.T-1
			gap := s.Terms - alpha*s.T - beta*s.X
			z[i], total[i] = s.Terms-1, s.Terms
			switch near := formula.NearUnity(dp, dt); {
			case near && !(math.Abs(gap) >= least*(math.Abs(alpha)*s.T+math.Abs(beta)*s.X+s.Terms)):
				z[i] = math.NaN()
			case near:
				z[i] = -alpha * beta * formula.AddMass(-gap/(alpha*beta), dp, dt, -1/alpha, -1/beta)
			}
		}
	}
}

// logProbRows are those of KLFromLogProb. Divergences below 2^-10 may be those of nearly equal
// distributions, of which sums of terms of either sign have lost digits.
func logProbRows(s *core.Settings, d core.Dims) core.Kernels {
	terms := tensorops.LogTerms
	if s.LogTarget {
		terms = tensorops.LogTargetTerms
	}
	return rowsOf(d, func(float64) rowCurve {
		return rowCurve{terms: termsOf(terms)}.straight([2]float64{-1, 1}, func(v []float64, all []tensorops.RowSum) {
			for i := range all {
				s := &all[i]
				v[i] = s.Terms
				if l := math.Abs(s.Terms); !(l >= 0x1p-10 && l <= math.MaxFloat64 && s.X <= math.MaxFloat64) {
					v[i] = math.NaN()
				}
			}
		})
	})
}

// fromProbRows are those of CrossEntropyFromProb: labels without smoothing are read alone.
func fromProbRows(s *core.Settings, d core.Dims) core.Kernels {
	dense := rowsOf(d, func(float64) rowCurve {
		c := rowCurve{terms: termsOf(tensorops.QuotientTerms, 0, 1), goal: &mixedGoal{s.ClassWeights, s.Smoothing}}
		c.terms[1].P[3] = 1
		return c.straight([2]float64{1, 1 - s.Smoothing}, scaledTerms(1))
	})
	if s.Smoothing != 0 {
		return dense
	}
	return core.Kernels{F32: orLabels(fromProbLabels[float32](s.ClassWeights), dense.F32), F64: orLabels(fromProbLabels[float64](s.ClassWeights), dense.F64)}
}

func orLabels[F core.Float](labels, soft core.Kernel[F]) core.Kernel[F] {
	return func(r *core.Range[F]) (sum float64, ok bool) {
		if r.X[1] == nil {
			return labels(r)
		}
		return soft(r)
	}
}
