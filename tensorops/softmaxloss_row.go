package tensorops

import "math"

// A softmaxRow computes softmax losses of one row in float64, with every option: all of them where
// there is no assembly, and those that the kernels leave.
type softmaxRow struct {
	z, p, a []float64 // logits after softcap and scale; exp(z - max); what the surprisals are weighed by
	slope   []float64 // dz/dx, nil where it is the scale throughout
	buf     [4][]float64
	scale   float64
	mass    float64 // Σ a

	max, rest, logSum float64 // Σ exp(z - max) is 1 + rest, logSum its logarithm

	value, curve, nll [1]float64 // for one call of a curve
}

// read takes the row that begins at index at.
func readRow[F Float](r *softmaxRow, x []F, at, classes, step int, scale, softcap float64) {
	r.z, r.p, r.a = sized(&r.buf[0], classes), sized(&r.buf[1], classes), sized(&r.buf[2], classes)
	r.slope, r.scale = nil, scale
	if step == 1 {
		for c, v := range x[at : at+classes] {
			r.z[c] = float64(v)
		}
	} else {
		for c := range r.z {
			r.z[c] = float64(x[at+c*step])
		}
	}
	if softcap != 0 {
		r.slope = sized(&r.buf[3], classes)
		for c, v := range r.z {
			if math.IsInf(v, -1) {
				r.slope[c] = 0
				continue
			}
			cosh := math.Cosh(v / softcap)
			r.z[c], r.slope[c] = softcap*math.Tanh(v/softcap), scale/cosh/cosh
		}
	}
	if scale != 1 {
		for c := range r.z {
			r.z[c] *= scale
		}
	}
	r.max, r.rest = ExpRow(r.p, r.z)
	r.logSum = math.Log1p(r.rest)
}

// sums returns the largest logit and the rest, 0 where there is nothing but -Inf.
func (r *softmaxRow) sums() (largest, rest float64) {
	if math.IsInf(r.max, -1) {
		return r.max, 0
	}
	return r.max, r.rest
}

// beside adds classes to those that were read, whose sum is exp(largest)·(1 + rest).
func (r *softmaxRow) beside(largest, rest float64) {
	switch {
	case math.IsInf(r.max, -1) && !math.IsInf(largest, -1): // none of those read counts
		clear(r.p)
		r.max, r.rest = largest, rest
	case largest > r.max:
		f := math.Exp(r.max - largest)
		for c := range r.p {
			r.p[c] *= f
		}
		r.max, r.rest = largest, rest+(1+r.rest)*f
	default:
		r.rest += (1 + rest) * math.Exp(largest-r.max)
	}
	r.logSum = math.Log1p(r.rest)
}

// labelBeside returns the loss of the row that was read where the label, of that weight, is not in
// it.
func (r *softmaxRow) labelBeside(weight float64) float64 {
	clear(r.a)
	r.mass = weight
	return 0 * r.logSum
}

// surprisal returns -log p_c, to full relative accuracy near p = 1.
func (r *softmaxRow) surprisal(c int) float64 { return r.max - r.z[c] + r.logSum }

// share returns p_c, and others the sum of the other probabilities without cancellation.
func (r *softmaxRow) share(c int) float64 { return r.p[c] / (1 + r.rest) }

func (r *softmaxRow) others(c int) float64 {
	if r.p[c] == 1 {
		return r.rest / (1 + r.rest)
	}
	return (1 + (r.rest - r.p[c])) / (1 + r.rest)
}

// spread sets a from the target that a holds: w·((1-ε)·t + ε/K).
func (r *softmaxRow) spread(smoothing float64, weights []float64) {
	share := 0.0
	if smoothing > 0 {
		open := 0
		for _, v := range r.z {
			if !math.IsInf(v, -1) {
				open++
			}
		}
		share = smoothing / float64(open)
	}
	r.mass = 0
	for c, t := range r.a {
		t *= 1 - smoothing
		if share > 0 && !math.IsInf(r.z[c], -1) {
			t += share
		}
		if weights != nil {
			t *= weights[c]
		}
		r.a[c] = t
		r.mass += t
	}
}

// cross returns Σ a·(-log p) + ζ·(log Σ exp z)².
func (r *softmaxRow) cross(zloss float64) float64 {
	sum := 0.0
	for c, a := range r.a {
		if a != 0 {
			sum += a * r.surprisal(c)
		}
	}
	if zloss != 0 {
		total := r.max + r.logSum
		sum += zloss * total * total
	}
	return sum + 0*r.logSum
}

// gradient replaces p by g times the gradient.
func (r *softmaxRow) gradient(g, zloss float64) []float64 {
	drift := 0.0
	if zloss != 0 {
		drift = 2 * zloss * (r.max + r.logSum)
	}
	for c, a := range r.a {
		d, share := 0.0, r.share(c)
		if a == r.mass {
			d = -r.mass * r.others(c)
		} else {
			d = r.mass*share - a
		}
		if drift != 0 {
			d += drift * share
		}
		slope := r.scale
		if r.slope != nil {
			slope = r.slope[c]
		}
		r.z[c] = g * (d * slope) // z and p are read at c last
	}
	return r.z
}

// write stores the row v.
func writeRow[F Float](dst []F, at, step int, v []float64) {
	for c, d := range v {
		dst[at+c*step] = F(d)
	}
}

// labelRow is row i of LabelSoftmaxRows.
func labelRow[F Float](w *softmaxWork, values []float64, dst, x []F, i, lo, y int, g float64, o *LabelSoftmax) {
	at, r := place(i, o.Classes, o.Inner), &w.row
	l := 0.0
	if y < 0 || g == 0 {
		if dst != nil {
			for c := range o.Classes {
				dst[at+c*o.Inner] = 0
			}
		}
	} else {
		readRow(r, x, at, o.Classes, o.Inner, o.Scale, o.Softcap)
		if o.BesideMax != nil {
			r.beside(o.BesideMax[i-lo], o.BesideRest[i-lo])
		}
		if y == o.Classes {
			l = r.labelBeside(o.BesideWeight[i-lo])
		} else {
			l = r.label(y, &g, o)
		}
		if dst != nil {
			writeRow(dst, at, o.Inner, r.gradient(g, o.ZLoss))
		}
	}
	if values != nil {
		values[i-lo] = l
	}
}

// label returns the loss of the row that was read and prepares the gradient, whose factor becomes
// g.
func (r *softmaxRow) label(y int, g *float64, o *LabelSoftmax) float64 {
	clear(r.a)
	r.a[y] = 1
	if o.Curve == nil {
		r.spread(o.Smoothing, o.Weights)
		return r.cross(o.ZLoss)
	}
	weight := 1.0
	if o.Weights != nil {
		weight = o.Weights[y]
	}
	r.mass = 1
	r.nll[0] = r.surprisal(y)
	if r.logSum != r.logSum {
		*g = math.NaN()
		return math.NaN()
	}
	o.Curve(r.value[:], r.curve[:], r.nll[:])
	*g *= times(weight, r.curve[0])
	return times(weight, r.value[0])
}

// targetRow is row i of TargetSoftmaxRows.
func targetRow[F Float](w *softmaxWork, values []float64, dst, x, t []F, i, lo int, g float64, o *TargetSoftmax) (valid bool) {
	at, r := place(i, o.Classes, o.Inner), &w.row
	l := 0.0
	valid = true
	if g == 0 {
		if dst != nil {
			for c := range o.Classes {
				dst[at+c*o.Inner] = 0
			}
		}
	} else {
		readRow(r, x, at, o.Classes, o.Inner, o.Scale, o.Softcap)
		for c := range r.a {
			q := float64(t[at+c*o.Inner])
			valid = valid && q >= 0 && q <= math.MaxFloat64
			r.a[c] = q
		}
		l = r.target(o)
		switch {
		case dst == nil:
		case o.Wrt == 0:
			writeRow(dst, at, o.Inner, r.gradient(g, o.ZLoss))
		default:
			writeRow(dst, at, o.Inner, r.targetGradient(g, o))
		}
	}
	if values != nil {
		values[i-lo] = l
	}
	return valid
}

// target returns the loss of the row that was read against the target in a, which it spreads.
func (r *softmaxRow) target(o *TargetSoftmax) float64 {
	r.spread(o.Smoothing, o.Weights)
	l := r.cross(o.ZLoss)
	if !o.KL {
		return l
	}
	l = 0
	if o.ZLoss != 0 {
		total := r.max + r.logSum
		l = o.ZLoss * total * total
	}
	return l + r.divergence(o) + 0*r.logSum
}

// divergence returns Σ a·(log t' - log p). Near t' = p it is a sum of differences that cancel to
// the second order; what cancels is Σ t' - Σ p, so that there the terms are t'·log(t'/p) - t' + p,
// each >= 0, and Σ t' - 1 is added apart.
func (r *softmaxRow) divergence(o *TargetSoftmax) float64 {
	sum, near := 0.0, 0.0
	over, lost := -1.0, 0.0 // Σ t' - 1, and what its additions lost
	for c, a := range r.a {
		s := over + a
		if math.Abs(over) >= math.Abs(a) {
			lost += over - s + a
		} else {
			lost += a - s + over
		}
		over = s
		if a == 0 {
			near += r.share(c)
			continue
		}
		d := math.Log(r.unweighted(c, o)) + r.surprisal(c)
		sum += a * d
		if math.Abs(d) <= 0.5 {
			near += a * expExcess(-d)
		} else {
			near += a*d + (r.share(c) - a)
		}
	}
	over += lost
	switch miss := math.Abs(over); {
	case o.Weights != nil || !(miss <= 0.5):
		return sum
	case miss <= 0x1p-48 || miss <= 0x1p-22 && near <= 0x1p10*miss:
		return near // a distribution but for the rounding of its weights
	}
	return near + over
}

// expExcess returns exp(y) - 1 - y for |y| <= 0.5.
func expExcess(y float64) float64 {
	even, odd := excessParts(y)
	return even + odd
}

// excessParts returns the even and the odd powers of the series of expExcess.
func excessParts(y float64) (evenPart, oddPart float64) {
	z := y * y
	even := 1.0/2 + z*(1.0/24+z*(1.0/720+z*(1.0/40320+z*(1.0/3628800+z*(1.0/479001600+z*(1.0/87178291200+z*(1.0/20922789888000)))))))
	odd := 1.0/6 + z*(1.0/120+z*(1.0/5040+z*(1.0/362880+z*(1.0/39916800+z*(1.0/6227020800+z*(1.0/1307674368000))))))
	return z * even, z * (y * odd)
}

// unweighted returns t'_c.
func (r *softmaxRow) unweighted(c int, o *TargetSoftmax) float64 {
	if o.Weights == nil || r.a[c] == 0 {
		return r.a[c]
	}
	return r.a[c] / o.Weights[c]
}

// targetGradient replaces p by g times the gradient by the targets.
func (r *softmaxRow) targetGradient(g float64, o *TargetSoftmax) []float64 {
	for c := range r.p {
		rate, d := 1-o.Smoothing, r.surprisal(c)
		if o.Weights != nil {
			rate *= o.Weights[c]
		}
		if o.KL {
			if q := r.unweighted(c, o); q == 0 {
				rate = 0
			} else {
				d += math.Log(q) + 1
			}
		}
		r.p[c] = g * (times(rate, d) + 0*r.logSum)
	}
	return r.p
}
