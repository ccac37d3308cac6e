package loss

import (
	"math"
	"sync"
	"unsafe"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// priorRows is memory for the rows of a range in float64: of sums of logits and a prior, which
// become gradients, and of targets.
type priorRows struct{ z, t []float64 }

var priorPool = sync.Pool{New: func() any { return new(priorRows) }}

// priorKernel is the kernel of softmax losses of z = scale·x + prior: the sums are taken in float64,
// and so is the loss.
func priorKernel[F core.Float](s *core.Settings, d core.Dims, labels func(*core.Settings, *tensorops.LabelSoftmax), targets func(*core.Settings, *tensorops.TargetSoftmax)) core.Kernel[F] {
	scale := 1 / s.Temperature
	l := tensorops.LabelSoftmax{Classes: d.Cols, Inner: 1, Scale: 1, Weights: s.ClassWeights}
	t := tensorops.TargetSoftmax{Classes: d.Cols, Inner: 1, Scale: 1, Weights: s.ClassWeights}
	labels(s, &l)
	targets(s, &t)
	byTarget := t
	byTarget.Wrt = 1
	return func(r *core.Range[F]) (sum float64, ok bool) {
		rows := priorPool.Get().(*priorRows)
		defer priorPool.Put(rows)
		n := r.Hi - r.Lo
		z := gatherRows(&rows.z, r.X[0], r)
		for i := range n {
			row := z[i*d.Cols:][:d.Cols]
			for c, prior := range s.LogPrior {
				v := scale*row[c] + prior
				if math.IsInf(prior, -1) { // masks a class whatever its logit
					v = prior
				}
				row[c] = v
			}
		}
		dst, by := z, scale
		if r.Dst == nil {
			dst = nil
		}
		if r.X[1] == nil {
			if r.Wrt != 0 {
				return 0, false
			}
			tensorops.LabelSoftmaxRows(r.Values, dst, z, 0, n, r.Labels, r.Factor, &l)
			scatterRows(r, dst, by)
			return 0, true
		}
		o := &t
		if r.Wrt == 1 {
			o, by = &byTarget, 1
		}
		valid := tensorops.TargetSoftmaxRows(r.Values, dst, z, gatherRows(&rows.t, r.X[1], r), 0, n, r.Factor, o)
		if valid {
			scatterRows(r, dst, by)
		}
		return rowsValid(valid)
	}
}

// gatherRows returns the rows of a range, one after another.
func gatherRows[F core.Float](buf *[]float64, x []F, r *core.Range[F]) []float64 {
	n, cols, inner := r.Hi-r.Lo, r.Dims.Cols, r.Dims.Inner
	if cap(*buf) < n*cols {
		*buf = make([]float64, n*cols)
	}
	dst := (*buf)[:n*cols]
	if inner == 1 {
		x = x[r.Lo*cols : r.Hi*cols]
		if narrow, ok := any(x).([]float32); ok {
			vec.Widen(dst, narrow)
		} else {
			copy(dst, any(x).([]float64))
		}
		return dst
	}
	for i := range n {
		at := r.Dims.Place(r.Lo + i)
		for c := range cols {
			dst[i*cols+c] = float64(x[at])
			at += inner
		}
	}
	return dst
}

// scatterRows writes rows of gradients, times scale, to where those of the range lie.
func scatterRows[F core.Float](r *core.Range[F], rows []float64, scale float64) {
	cols, inner := r.Dims.Cols, r.Dims.Inner
	if inner == 1 && len(rows) > 0 && unsafe.Sizeof(r.Dst[0]) == 4 {
		vec.Narrow(any(r.Dst[r.Lo*cols:r.Hi*cols]).([]float32), rows, scale)
		return
	}
	for i := 0; i*cols < len(rows); i++ {
		at := r.Dims.Place(r.Lo + i)
		for _, v := range rows[i*cols:][:cols] {
			r.Dst[at] = F(v * scale)
			at += inner
		}
	}
}

// cappedPriorFast is the cross-entropy of c·tanh(x/c)/T + prior: kernels take the sum of capped
// logits and a prior, and gradients meet the slopes afterwards.
func cappedPriorFast(s *core.Settings, d core.Dims) core.FastFunc {
	if s.LogPrior == nil || s.Softcap == 0 || d.Cols == 1 {
		return nil
	}
	l := tensorops.LabelSoftmax{Classes: d.Cols, Inner: 1, Scale: 1, Weights: s.ClassWeights, Smoothing: s.Smoothing, ZLoss: s.ZLoss}
	t := tensorops.TargetSoftmax{Classes: d.Cols, Inner: 1, Scale: 1, Weights: s.ClassWeights, Smoothing: s.Smoothing, ZLoss: s.ZLoss}
	byTarget := t
	byTarget.Wrt = 1
	inv := 1 / s.Temperature
	return func(b *core.Block, wrt int, value, grad []float64) {
		n, x := len(b.X[0]), b.X[0]
		z, slopes := b.Buf(n), b.Buf(n)
		formula.Blend(z, x, x, 2/s.Softcap, 0)
		vec.Expm1(z, z) // w: tanh is w/(w + 2), its slope 4·(w + 1)/(w + 2)²
		for lo := 0; lo < n; lo += b.Cols {
			for c, prior := range s.LogPrior {
				w := z[lo+c]
				r := 1 / (w + 2)
				z[lo+c], slopes[lo+c] = inv*s.Softcap*(w*r)+prior, inv*4*(w+1)*r*r
				if math.IsInf(x[lo+c], -1) || math.IsInf(prior, -1) { // a masked class stays masked
					z[lo+c], slopes[lo+c] = math.Inf(-1), 0
				}
			}
		}
		valid := true
		switch {
		case b.X[1] == nil:
			tensorops.LabelSoftmaxRows(value, grad, z, 0, b.Rows, b.Label, ones(b), &l)
		case wrt == 1:
			valid = tensorops.TargetSoftmaxRows(value, grad, z, b.X[1], 0, b.Rows, ones(b), &byTarget)
		default:
			valid = tensorops.TargetSoftmaxRows(value, grad, z, b.X[1], 0, b.Rows, ones(b), &t)
		}
		if grad != nil && wrt == 0 {
			vec.Multiply(grad, slopes, grad)
		}
		if !valid {
			formula.Fill(value, math.NaN())
		}
	}
}
