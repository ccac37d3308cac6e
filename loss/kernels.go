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

// The kernels of the losses: which function of tensorops computes a loss under its settings. What a
// kernel lacks goes to the loss's block function.

// streamBytes is the size from which results are written past the caches.
const streamBytes = 16 << 20

// points makes the kernels of an elementwise loss. A residual loss is a function of pred - target,
// so that its derivative by the target is the negative of that by the prediction.
func points(residual bool, point func(s *core.Settings) tensorops.Point) func(*core.Settings, core.Dims) core.Kernels {
	return func(s *core.Settings, d core.Dims) (k core.Kernels) {
		p := point(s)
		if tensorops.HasPoint[float32](p) {
			k.F32 = pointKernel[float32](p, residual, s, d)
		}
		if tensorops.HasPoint[float64](p) {
			k.F64 = pointKernel[float64](p, residual, s, d)
		}
		return k
	}
}

func pointKernel[F core.Float](p tensorops.Point, residual bool, s *core.Settings, d core.Dims) core.Kernel[F] {
	positive := newClassTiles[F](s.PosWeight, d)
	return func(r *core.Range[F]) (sum float64, ok bool) {
		g := r.Scale
		if r.Wrt != 0 {
			if g = -g; r.Wrt != 1 || !residual {
				return 0, false
			}
		}
		data := &r.Point
		data.X, data.T, data.W, data.Values = r.X[0][r.Lo:r.Hi], r.X[1][r.Lo:r.Hi], r.W, r.Out
		data.V, data.Dst, data.Stream = nil, nil, false
		if positive != nil {
			data.V = positive.cut(r.Lo, r.Hi)
		}
		if r.Dst != nil {
			data.Dst = r.Dst[r.Lo:r.Hi]
			data.Stream = uintptr(len(r.Dst))*unsafe.Sizeof(r.Dst[0]) >= streamBytes
		}
		return tensorops.PointSum(p, data, g), true
	}
}

// plain is a loss without parameters.
func plain(l tensorops.PointLoss) func(*core.Settings) tensorops.Point {
	return func(*core.Settings) tensorops.Point { return tensorops.Point{Loss: l} }
}

// classTiles repeat one number per class in the order of elements, so that any range of them can be
// cut out.
type classTiles[F core.Float] struct {
	once   sync.Once
	w      []float64
	d      core.Dims
	period int
	tiles  []F
}

// tileRange is the largest range of elements that is cut out.
const tileRange = 1 << 14

func newClassTiles[F core.Float](w []float64, d core.Dims) *classTiles[F] {
	if w == nil {
		return nil
	}
	t := &classTiles[F]{w: w, d: d, period: d.Classes * d.Stride}
	if len(w) == 1 {
		t.period = 1
	}
	return t
}

// cut returns the numbers of the elements from lo up to hi.
func (t *classTiles[F]) cut(lo, hi int) []F {
	t.once.Do(func() {
		t.tiles = make([]F, min(t.period, t.d.Rows)+tileRange)
		for i := range t.tiles {
			w := t.w[0]
			if len(t.w) > 1 {
				w = t.w[t.d.Class(i)]
			}
			t.tiles[i] = F(w)
		}
	})
	at := lo % t.period
	return t.tiles[at : at+hi-lo]
}

// labelled makes the kernels of a loss of softmax rows against labels: a function of the label's
// surprisal, -log p.
func labelled(options func(s *core.Settings, o *tensorops.LabelSoftmax)) func(*core.Settings, core.Dims) core.Kernels {
	return softmaxRows(options, nil)
}

// softmaxRows makes the kernels of a loss of softmax rows against labels and against soft targets;
// nil: none.
func softmaxRows(labels func(*core.Settings, *tensorops.LabelSoftmax), targets func(*core.Settings, *tensorops.TargetSoftmax)) func(*core.Settings, core.Dims) core.Kernels {
	return func(s *core.Settings, d core.Dims) core.Kernels {
		switch {
		case s.LogPrior != nil && s.Softcap != 0: // the slopes of a softcap stand between the two
			return core.Kernels{}
		case s.LogPrior != nil:
			return core.Kernels{F32: priorKernel[float32](s, d, labels, targets), F64: priorKernel[float64](s, d, labels, targets)}
		}
		return core.Kernels{F32: softmaxKernel[float32](s, d, labels, targets), F64: softmaxKernel[float64](s, d, labels, targets)}
	}
}

func softmaxKernel[F core.Float](s *core.Settings, d core.Dims, labels func(*core.Settings, *tensorops.LabelSoftmax), targets func(*core.Settings, *tensorops.TargetSoftmax)) core.Kernel[F] {
	scale := 1.0
	if s.Temperature != 0 {
		scale = 1 / s.Temperature
	}
	l := tensorops.LabelSoftmax{Classes: d.Cols, Inner: d.Inner, Scale: scale, Weights: s.ClassWeights}
	t := tensorops.TargetSoftmax{Classes: d.Cols, Inner: d.Inner, Scale: scale, Weights: s.ClassWeights}
	if labels != nil {
		labels(s, &l)
	}
	byTarget := t
	if targets != nil {
		targets(s, &t)
		byTarget = t
		byTarget.Wrt = 1
	}
	return func(r *core.Range[F]) (sum float64, ok bool) {
		switch {
		case r.Rests != nil:
			tensorops.ExpSumRows(r.Values, r.Rests, r.X[0], r.Lo, r.Hi, &l)
			return 0, true
		case r.BesideMax != nil:
			shardRows(r, l)
			return 0, true
		case r.X[1] == nil && labels != nil && r.Wrt == 0:
			tensorops.LabelSoftmaxRows(r.Values, r.Dst, r.X[0], r.Lo, r.Hi, r.Labels, r.Factor, &l)
			return 0, true
		case r.X[1] != nil && targets != nil && r.Wrt == 0:
			return rowsValid(tensorops.TargetSoftmaxRows(r.Values, r.Dst, r.X[0], r.X[1], r.Lo, r.Hi, r.Factor, &t))
		case r.X[1] != nil && targets != nil && r.Wrt == 1:
			return rowsValid(tensorops.TargetSoftmaxRows(r.Values, r.Dst, r.X[0], r.X[1], r.Lo, r.Hi, r.Factor, &byTarget))
		}
		return 0, false
	}
}

// shardRows are rows against labels of which some classes are on other ranks. The only curve is
// that of a log-probability, which is a surprisal but for the sign.
func shardRows[F core.Float](r *core.Range[F], l tensorops.LabelSoftmax) {
	l.BesideMax, l.BesideRest, l.BesideWeight = r.BesideMax, r.BesideRest, r.BesideWeight
	factor := r.Factor
	if l.Curve != nil {
		l.Curve = nil
		factor = make([]float64, len(r.Factor))
		for i, g := range r.Factor {
			factor[i] = -g
		}
		defer func() {
			for i, v := range r.Values {
				r.Values[i] = 0 - v
			}
		}()
	}
	tensorops.LabelSoftmaxRows(r.Values, r.Dst, r.X[0], r.Lo, r.Hi, r.Labels, factor, &l)
}

// rowsValid returns what a kernel does for rows whose targets are all in their domain, or are not.
func rowsValid(valid bool) (sum float64, ok bool) {
	if valid {
		return 0, true
	}
	return math.NaN(), false
}

// noPoint is a loss without kernels.
var noPoint = tensorops.Point{Loss: tensorops.PointLoss(255)}

func crossEntropyLabels(s *core.Settings, o *tensorops.LabelSoftmax) {
	o.Softcap, o.Smoothing, o.ZLoss = s.Softcap, s.Smoothing, s.ZLoss
}

func crossEntropyTargets(s *core.Settings, o *tensorops.TargetSoftmax) {
	o.Softcap, o.Smoothing, o.ZLoss = s.Softcap, s.Smoothing, s.ZLoss
}

// nllKernels read the label's entry of each row and write one entry of the gradient.
func nllKernels(s *core.Settings, _ core.Dims) core.Kernels {
	return core.Kernels{F32: nllKernel[float32](s.ClassWeights), F64: nllKernel[float64](s.ClassWeights)}
}

func nllKernel[F core.Float](weights []float64) core.Kernel[F] {
	return labelKernel[F](weights, func(q, w float64) (l, slope float64) { return formula.Times(w, -q), -w })
}

// labelKernel makes the kernel of a loss of the label's entry and class weight alone.
func labelKernel[F core.Float](weights []float64, of func(x, w float64) (l, slope float64)) core.Kernel[F] {
	return func(r *core.Range[F]) (sum float64, ok bool) {
		if r.Dst != nil {
			clearRange(r)
		}
		if r.Values != nil {
			clear(r.Values)
		}
		for i, y := range r.Labels {
			if y < 0 || r.Factor[i] == 0 {
				continue
			}
			w := 1.0
			if weights != nil {
				w = weights[y]
			}
			at := r.Dims.Place(r.Lo+i) + y*r.Dims.Inner
			l, slope := of(float64(r.X[0][at]), w)
			if r.Values != nil {
				r.Values[i] = l
			}
			if r.Dst != nil {
				r.Dst[at] = F(r.Factor[i] * slope)
			}
		}
		return 0, true
	}
}

// clearRange writes 0 to the derivatives of all rows.
func clearRange[F core.Float](r *core.Range[F]) {
	if r.Dims.Inner == 1 {
		clear(r.Dst[r.Lo*r.Dims.Cols : r.Hi*r.Dims.Cols])
		return
	}
	for i := r.Lo; i < r.Hi; i++ {
		at := r.Dims.Place(i)
		for range r.Dims.Cols {
			r.Dst[at] = 0
			at += r.Dims.Inner
		}
	}
}

// fromProbLabels is -log p of the label's class. A row with a NaN anywhere is NaN, and one with a
// number below 0 an error.
func fromProbLabels[F core.Float](weights []float64) core.Kernel[F] {
	nll := labelKernel[F](weights, func(p, w float64) (l, slope float64) {
		return formula.Times(w, -formula.Log(p)), formula.Quotient(-w, p)
	})
	return func(r *core.Range[F]) (sum float64, ok bool) {
		sum, ok = nll(r)
		d := &r.Dims
		if d.Inner == 1 && vec.Within(r.X[0][r.Lo*d.Cols:r.Hi*d.Cols], 0, F(math.Inf(1))) {
			return sum, ok
		}
		for i, g := range r.Factor {
			at := d.Place(r.Lo + i)
			for c := 0; c < d.Cols && g != 0; c++ {
				if !(r.X[0][at] >= 0) {
					if r.Left = append(r.Left, r.Lo+i); r.Values != nil {
						r.Values[i] = 0
					}
					break
				}
				at += d.Inner
			}
		}
		return sum, ok
	}
}
