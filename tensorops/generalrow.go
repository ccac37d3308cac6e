package tensorops

import (
	"math"
	"sync"
)

// float64 scratch rows for what the fast kernels are not made for: class weights, temperatures, smoothing beside
// masked classes, elements beyond the anchors. A row in flight costs a few rows of memory, whatever the batch.
var scratchRows = sync.Pool{New: func() any { return new([]float64) }}

func scratch(n int) *[]float64 {
	s := scratchRows.Get().(*[]float64)
	if cap(*s) < n {
		*s = make([]float64, n)
	}
	*s = (*s)[:n]
	return s
}

// generalCrossEntropy is the cross-entropy of a row with every option, in float64. The target is t, or the label
// y where t is nil. With a dst it writes g times the gradient.
func generalCrossEntropy[F Float](dst, x, t []F, y int, g float64, o *CrossEntropyOptions) float64 {
	n := len(x)
	buf := scratch(2 * n)
	defer scratchRows.Put(buf)
	z, mass := (*buf)[:n], (*buf)[n:]
	scale := 1.0
	if o != nil && o.Scale != 0 {
		scale = o.Scale
	}
	for i, v := range x {
		z[i] = float64(v) * scale
	}
	targetMass(mass, z, t, y, o)
	k := active64
	var total rowTotal
	k.rowTotal(&total, z, forLogs)
	if !ordinary(total.max) {
		fill(dst, math.NaN())
		return math.NaN()
	}
	l, sum := 0.0, 0.0
	for i, a := range mass {
		if a != 0 {
			l += a * ((total.max - z[i]) + total.logSum)
			sum += a
		}
	}
	label := math.NaN()
	if t == nil {
		label = k.negLog(z, y)
		if o.smoothing() == 0 {
			l = mass[y] * label
			if mass[y] == 0 {
				l = 0
			}
		}
	}
	if dst == nil {
		return l
	}
	k.writeShares(z, z, &total, 1, false)
	for i, p := range z {
		dst[i] = F(g * scale * (sum*p - mass[i]))
	}
	if t == nil {
		// sum·p - mass of the label, with 1 - p of the label taken from the others.
		others := sum - mass[y]
		dst[y] = F(g * scale * (sum*math.Expm1(-label) + others))
	}
	return l
}

// targetMass writes w_c t'_c.
func targetMass[F Float](mass, z []float64, t []F, y int, o *CrossEntropyOptions) {
	eps := o.smoothing()
	each := 0.0
	if eps > 0 {
		open := 0
		for _, v := range z {
			if !math.IsInf(v, -1) {
				open++
			}
		}
		each = eps / float64(open)
	}
	for i := range mass {
		a := 0.0
		if t != nil {
			a = (1 - eps) * float64(t[i])
		} else if i == y {
			a = 1 - eps
		}
		if !math.IsInf(z[i], -1) {
			a += each
		}
		if o != nil && o.Weights != nil {
			a *= o.Weights[i]
		}
		mass[i] = a
	}
}
