package loss

import (
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
