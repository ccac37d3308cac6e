package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// Divergences of softmaxes, of many rows at a time.

// A measure is a row w/sum, which adds up to 1 + over.
type measure struct {
	w         []float64
	sum, over float64
}

// nearly is Σ t·a for a = d + shift, which is log t - log p, with the digits that it has where t and
// p are nearly equal, and as it stands. t and a are what it returns besides, in buf, which has room
// for three rows.
func nearly(buf []float64, t, p measure, d []float64, shift float64) (value, mean float64, g goal) {
	n := len(d)
	g = goal{t: buf[:n], log: buf[n : 2*n], over: t.over}
	q := buf[2*n : 3*n]
	for j := range d {
		g.t[j], g.log[j], q[j] = t.w[j]/t.sum, d[j]+shift, p.w[j]/p.sum
	}
	value, mean = g.against(q, p.over, wholeRow)
	return value + 0*value, mean, g // NaN for an infinite value
}

// klFast is KL against logits or log-probabilities: with d the difference of what exponentials are
// taken of, l = Σ t·d and the difference of the logarithms of the sums.
func klFast(s *core.Settings, dims core.Dims) core.FastFunc {
	if dims.Cols == 1 || !s.LogTarget && !s.TargetLogits {
		return nil
	}
	inv := 1 / s.Temperature
	return func(b *core.Block, wrt int, value, grad []float64) {
		n := len(b.X[0])
		d, td, buf := b.Buf(n), b.Buf(n), b.Buf(3*b.Cols)
		p, t := formula.ExpsOf(b, b.X[0], s.Temperature), formula.Exps{}
		if s.TargetLogits {
			t = formula.ExpsOf(b, b.X[1], s.Temperature)
			formula.Blend(d, b.X[1], b.X[0], inv, -inv)
		} else {
			t.E = b.Buf(n)
			vec.Exp(t.E, b.X[1])
			formula.Blend(d, b.X[1], b.X[0], 1, -inv)
		}
		vec.Multiply(td, t.E, d)
		for i := range value {
			lo, hi := i*b.Cols, (i+1)*b.Cols
			e, q := p.E[lo:hi], t.E[lo:hi]
			mass, sum, shift := 1.0, 1.0, 0.0 // of t, which is q/sum; what is to be added to d
			if s.TargetLogits {
				sum, shift = t.Sum[i], math.Log(p.Sum[i]/t.Sum[i])
			} else {
				mass, shift = formula.Sum(q), p.Log[i]
			}
			part, moved := formula.Sum(td[lo:hi])/sum, mass*shift
			mean, near := part+moved, goal{}
			if value[i] = mean; !formula.Keeps(b, mean, 1+math.Abs(part)+math.Abs(moved)) || mean <= 0x1p-10 && s.LogTarget {
				over := 0.0
				if s.LogTarget { // what rounding its entries does to the mass
					over = formula.SumMinusOne(q)
				}
				value[i], mean, near = nearly(buf, measure{q, sum, over}, measure{e, p.Sum[i], 0}, d[lo:hi], shift)
			}
			switch {
			case grad == nil:
			case wrt == 1 && near.t != nil:
				near.gradient(grad[lo:hi], mean, s)
			case wrt == 0:
				formula.Blend(grad[lo:hi], e, q, inv*mass/p.Sum[i], -inv/sum)
			case s.TargetLogits:
				formula.Blend(grad[lo:hi], td[lo:hi], q, inv/sum, inv/sum*(shift-mean))
			default:
				formula.Blend(grad[lo:hi], td[lo:hi], q, 1, shift+1)
			}
		}
	}
}

// reverseKLFast is ReverseKL: with d the difference of what exponentials are taken of, l = Σ p·d and
// the difference of the logarithms of the sums.
func reverseKLFast(s *core.Settings, dims core.Dims) core.FastFunc {
	if dims.Cols == 1 {
		return nil
	}
	inv := 1 / s.Temperature
	return func(b *core.Block, wrt int, value, grad []float64) {
		n, x, target := len(b.X[0]), b.X[0], b.X[1]
		d, pd, buf := b.Buf(n), b.Buf(n), b.Buf(3*b.Cols)
		p, t := formula.ExpsOf(b, x, s.Temperature), formula.Exps{}
		switch {
		case s.TargetLogits:
			t = formula.ExpsOf(b, target, s.Temperature)
			formula.Blend(d, x, target, inv, -inv)
		case s.LogTarget:
			formula.Blend(d, x, target, inv, -1)
		default:
			formula.Blend(d, x, formula.LogsOf(b, target), inv, -1)
		}
		vec.Multiply(pd, p.E, d)
		for i := range value {
			lo, hi := i*b.Cols, (i+1)*b.Cols
			e, share, shift := p.E[lo:hi], 1/p.Sum[i], -p.Log[i]
			if s.TargetLogits {
				shift = math.Log(t.Sum[i] / p.Sum[i])
			}
			part := formula.Sum(pd[lo:hi]) * share
			// what rounding the entries of a target does to its mass counts in small values
			mean, near := part+shift, goal{}
			if value[i] = mean; !formula.Keeps(b, mean, 1+math.Abs(part)+math.Abs(shift)) || mean <= 0x1p-10 && !s.TargetLogits {
				q := measure{w: target[lo:hi], sum: 1}
				switch {
				case s.TargetLogits:
					q.w, q.sum = t.Row(i), t.Sum[i]
				case s.LogTarget:
					q.w = b.Buf(b.Cols)
					vec.Exp(q.w, target[lo:hi])
					q.over = formula.SumMinusOne(q.w)
				default:
					q.over = formula.SumMinusOne(q.w)
				}
				value[i], mean, near = nearly(buf, measure{e, p.Sum[i], 0}, q, d[lo:hi], shift)
			}
			switch {
			case grad == nil:
			case wrt == 0 && near.t != nil:
				for j, q := range near.t {
					grad[lo+j] = inv * tilt(q, near.log[j], mean)
				}
			case wrt == 0:
				formula.Blend(grad[lo:hi], pd[lo:hi], e, inv*share, inv*share*(shift-mean))
			case s.TargetLogits:
				formula.Blend(grad[lo:hi], t.Row(i), e, inv/t.Sum[i], -inv*share)
			case s.LogTarget:
				formula.Blend(grad[lo:hi], e, e, -share, 0)
			default:
				for j, q := range target[lo:hi] {
					grad[lo+j] = formula.Quotient(-share*e[j], q)
				}
			}
		}
		formula.LeaveNaN(b, value, target)
	}
}

// klFromLogProbFast is KLFromLogProb: with d = log-targets - log-probabilities, l = Σ t·d.
func klFromLogProbFast(s *core.Settings, _ core.Dims) core.FastFunc {
	return func(b *core.Block, wrt int, value, grad []float64) {
		n, q, target := len(b.X[0]), b.X[0], b.X[1]
		d, td, buf := b.Buf(n), b.Buf(n), b.Buf(4*b.Cols)
		t := target
		if s.LogTarget {
			t = b.Buf(n)
			vec.Exp(t, target)
			formula.Blend(d, target, q, 1, -1)
		} else {
			formula.Blend(d, formula.LogsOf(b, target), q, 1, -1)
		}
		vec.Multiply(td, t, d)
		for i := range value {
			lo, hi := i*b.Cols, (i+1)*b.Cols
			mean := formula.Sum(td[lo:hi])
			// what rounding the entries does to the masses counts in small values
			if value[i] = mean + 0*mean; !(mean > 0x1p-3) {
				p := measure{w: buf[3*b.Cols:], sum: 1}
				vec.Exp(p.w, q[lo:hi])
				p.over = formula.SumMinusOne(p.w)
				value[i], _, _ = nearly(buf, measure{t[lo:hi], 1, formula.SumMinusOne(t[lo:hi])}, p, d[lo:hi], 0)
			}
		}
		formula.LeaveNaN(b, value, q)
		switch {
		case grad == nil:
		case wrt == 0:
			formula.Blend(grad, t, t, -1, 0)
		case s.LogTarget:
			formula.Blend(grad, td, t, 1, 1)
		default:
			for j, a := range d {
				if grad[j] = a + 1; t[j] == 0 {
					grad[j] = 0
				}
			}
		}
	}
}
