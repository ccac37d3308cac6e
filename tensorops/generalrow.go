package tensorops

import (
	"math"
	"sync"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// float64 scratch rows for what the fast kernels are not made for: temperatures, soft targets under
// class weights, smoothing beside masked classes, elements beyond the anchors. A row in flight
// costs a few rows of memory, whatever the batch.
var scratchRows = sync.Pool{New: func() any { return new([]float64) }}

func scratch(n int) *[]float64 {
	s := scratchRows.Get().(*[]float64)
	if cap(*s) < n {
		*s = make([]float64, n)
	}
	*s = (*s)[:n]
	return s
}

// generalCrossEntropy is the cross-entropy of a row with every option. The target is t, or the
// label y where t is nil. With a dst it writes g times the gradient. It computes in float64 but for
// labels whose row needs no scaling.
func generalCrossEntropy[F Float](dst, x, t []F, y int, g float64, o *CrossEntropyOptions) float64 {
	scale, weight := 1.0, 1.0
	if o != nil && o.Scale != 0 {
		scale = o.Scale
	}
	if o != nil && o.Weights != nil && t == nil {
		weight = o.Weights[y]
	}
	single := t == nil && o.smoothing() == 0
	if single && scale == 1 {
		return weightedLabel(active[F](), dst, x, y, g, weight)
	}
	buf := scratch(2 * len(x))
	defer scratchRows.Put(buf)
	z, mass := (*buf)[:len(x)], (*buf)[len(x):]
	scaled(z, x, scale)
	var out []float64
	var l float64
	if single {
		if dst != nil {
			out = mass // memory beside z, where the terms of the sum can be kept
		}
		l = weightedLabel(active[float64](), out, z, y, g*scale, weight)
	} else {
		if dst != nil {
			out = z
		}
		targetMass(mass, z, t, y, o)
		l = massCrossEntropy(out, z, mass, y, g*scale)
	}
	if dst != nil {
		narrowed(dst, out)
	}
	return l
}

// weightedLabel is the cross-entropy against the label y times its class weight. A weight of 0 lets
// nothing but NaN through.
func weightedLabel[F Float](k *kernels[F], dst, x []F, y int, g, weight float64) float64 {
	var l float64
	switch {
	case weight == 0:
		var t rowTotal
		k.rowTotal(&t, x, forShares)
		if !ordinary(t.max) {
			l = math.NaN()
		}
		fill(dst, l)
		return l
	case dst == nil:
		l = k.crossEntropyRow(new(rowTotal), x, y, nil)
	default:
		l = k.crossEntropyGradRow(new(rowTotal), dst, x, y, g*weight, nil, false)
	}
	return weight * l
}

// massCrossEntropy returns Σ mass·(-log softmax(z)). dst is nil or z; where it is z, g times the
// gradient is written to it. y is the label that mass was made from, or negative for a soft target.
func massCrossEntropy(dst, z, mass []float64, y int, g float64) float64 {
	k := active[float64]()
	var total rowTotal
	k.rowTotal(&total, z, forLogs)
	if !ordinary(total.max) {
		fill(dst, math.NaN())
		return math.NaN()
	}
	s := k.target(mass, z, total.max, false)
	l := s.gap + s.mass*total.logSum
	if dst == nil {
		return l
	}
	label := 0.0
	if y >= 0 {
		// mass·p - mass[y] of the label, with 1 - p of the label taken from the others.
		label = g * (s.mass*math.Expm1(-k.negLog(z, y)) + (s.mass - mass[y]))
	}
	anchor, low, m, ok := scaling[float64](total.anchor, g*s.mass/total.sum)
	if ok && !total.beyondAnchors {
		k.expScaleAdd(dst, z, mass, anchor, low, m, -g, 0, false)
	} else {
		k.writeShares(dst, z, &total, 1, false)
		for i, p := range dst {
			dst[i] = g * (s.mass*p - mass[i])
		}
	}
	if y >= 0 {
		dst[y] = label
	}
	return l
}

// scaled writes x·scale in float64.
func scaled[F Float](z []float64, x []F, scale float64) {
	x64, ok := any(x).([]float64)
	if !ok {
		vec.Widen(z, any(x).([]float32))
		x64 = z
	}
	if scale != 1 {
		active[float64]().scale(z, x64, scale, math.Inf(-1), false)
	} else if ok {
		copy(z, x64)
	}
}

// narrowed writes z in type F.
func narrowed[F Float](dst []F, z []float64) {
	if narrow, ok := any(dst).([]float32); ok {
		vec.Narrow(narrow, z, 1)
		return
	}
	copy(any(dst).([]float64), z)
}

// targetMass writes w_c t'_c.
func targetMass[F Float](mass, z []float64, t []F, y int, o *CrossEntropyOptions) {
	eps := o.smoothing()
	if t == nil {
		clear(mass)
		mass[y] = 1 - eps
	} else {
		scaled(mass, t, 1-eps)
	}
	if eps > 0 {
		_, open := active[float64]().gapSumRow(z, 0)
		each := eps / open
		if int(open) == len(z) {
			for i := range mass {
				mass[i] += each
			}
		} else {
			for i, v := range z {
				if v != math.Inf(-1) {
					mass[i] += each
				}
			}
		}
	}
	if o != nil && o.Weights != nil {
		for i, w := range o.Weights {
			mass[i] *= w
		}
	}
}
