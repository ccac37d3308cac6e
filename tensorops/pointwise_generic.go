package tensorops

import "math"

// The generic kernels for entropies and for losses of two numbers.

func xlogxGeneric[F Float](t []F) (sum float64) {
	for _, v := range t {
		if v != 0 {
			sum += float64(v) * math.Log(float64(v))
		}
	}
	return sum
}

func logGapGeneric[F Float](dst, t, x []F, c, factor float64, _ bool) {
	for i, v := range t {
		if v == 0 {
			dst[i] = 0
			continue
		}
		dst[i] = F((math.Log(float64(v)) + (c - float64(x[i]))) * factor)
	}
}

func expGapGeneric[F Float](x []F, anchor, low, c float64) (sum float64) {
	for _, v := range x {
		if !(float64(v) < low) {
			sum += expAnchored(float64(v), anchor) * (c - float64(v))
		}
	}
	return sum
}

func expScaleGapGeneric[F Float](dst, x []F, anchor, low, factor, c, d float64, _ bool) {
	for i, v := range x {
		if float64(v) < low {
			dst[i] = 0
			continue
		}
		dst[i] = F(expAnchored(float64(v), anchor) * factor * ((c - float64(v)) + d))
	}
}

// Losses of two numbers, in float64 with one rounding at the end. Both forms add in the same order.

func squaredSum[F Float](x, t []F, _, _ float64) (sum float64) {
	for i, v := range x {
		e := float64(v) - float64(t[i])
		sum += e * e
	}
	return sum
}

func squaredBoth[F Float](dst, x, t []F, factor, _, _ float64, _ bool) (sum float64) {
	for i, v := range x {
		e := float64(v) - float64(t[i])
		sum += e * e
		dst[i] = F(2 * e * factor)
	}
	return sum
}

func absoluteSum[F Float](x, t []F, _, _ float64) (sum float64) {
	for i, v := range x {
		sum += math.Abs(float64(v) - float64(t[i]))
	}
	return sum
}

func absoluteBoth[F Float](dst, x, t []F, factor, _, _ float64, _ bool) (sum float64) {
	for i, v := range x {
		slope := float64(v) - float64(t[i])
		sum += math.Abs(slope)
		switch {
		case slope > 0:
			slope = 1
		case slope < 0:
			slope = -1
		}
		dst[i] = F(slope * factor)
	}
	return sum
}

func huberSum[F Float](x, t []F, delta, _ float64) (sum float64) {
	for i, v := range x {
		m := math.Abs(float64(v) - float64(t[i]))
		c := min(m, delta)
		sum += c * (m - c/2)
	}
	return sum
}

func huberBoth[F Float](dst, x, t []F, factor, delta, _ float64, _ bool) (sum float64) {
	for i, v := range x {
		e := float64(v) - float64(t[i])
		m := math.Abs(e)
		c := min(m, delta)
		sum += c * (m - c/2)
		dst[i] = F(math.Copysign(c, e) * factor)
	}
	return sum
}

// A point is the value of a loss at x and t with its derivative by x.
type point func(x, t, a, b float64) (value, slope float64)

func sumOf[F Float](p point) func(x, t []F, a, b float64) float64 {
	return func(x, t []F, a, b float64) (sum float64) {
		for i, v := range x {
			l, _ := p(float64(v), float64(t[i]), a, b)
			sum += l
		}
		return sum
	}
}

func bothOf[F Float](p point) func(dst, x, t []F, factor, a, b float64, _ bool) float64 {
	return func(dst, x, t []F, factor, a, b float64, _ bool) (sum float64) {
		for i, v := range x {
			l, slope := p(float64(v), float64(t[i]), a, b)
			sum += l
			dst[i] = F(slope * factor)
		}
		return sum
	}
}

// logCoshPoint is |e| - log 2 + log(1 + exp(-2|e|)), or for small e, where that cancels, ½·log(1 + sinh² e).
func logCoshPoint(x, t, _, _ float64) (value, slope float64) {
	e := x - t
	if a := math.Abs(e); a >= 1 {
		value = a - math.Ln2 + math.Log1p(math.Exp(-2*a))
	} else {
		s := math.Sinh(e)
		value = math.Log1p(s*s) / 2
	}
	return value, math.Tanh(e)
}

// pseudoHuberPoint is √(1+z²) - 1 for z = a·(x-t).
func pseudoHuberPoint(x, t, a, _ float64) (value, slope float64) {
	z := a * (x - t)
	root := math.Hypot(1, z)
	if math.Abs(z) > 1e100 {
		return math.Abs(z), math.Copysign(1, z)
	}
	return z * z / (1 + root), z / root
}

// cauchyPoint is log(1 + z²/2) for z = a·(x-t).
func cauchyPoint(x, t, a, _ float64) (value, slope float64) {
	z := a * (x - t)
	if m := math.Abs(z); m > 1e100 {
		return 2*math.Log(m) - math.Ln2, 2 / z
	}
	return math.Log1p(z / 2 * z), z / (1 + z/2*z)
}

// poissonPoint is exp(x) - t·x, where an infinite x without a count costs what exp(x) does.
func poissonPoint(x, t, _, _ float64) (value, slope float64) {
	rate := math.Exp(x)
	if value = rate; t != 0 && !math.IsInf(rate, 1) {
		value -= t * x
	}
	if !(t >= 0) || math.IsInf(t, 1) {
		value = math.NaN()
	}
	return value, rate - t
}

// gammaPoint is t·exp(-x) + x.
func gammaPoint(x, t, _, _ float64) (value, slope float64) {
	e := t * math.Exp(-x)
	switch value = e + x; {
	case !(t > 0) || math.IsInf(t, 1):
		value = math.NaN()
	case math.IsInf(x, -1):
		value = math.Inf(1)
	}
	return value, 1 - e
}

// A logit is what the losses of a logit x and a target t in [0, 1] are made of.
type logit struct {
	sign float64 // 1 for x >= 0, else -1
	q    float64 // the cost of a unit of |x|: 1-t for x >= 0, else t
	s    float64 // the smaller of σ(x) and σ(-x)
	l    float64 // |x|·q + log(1 + exp(-|x|))
}

func logitOf(x, t float64) logit {
	a, o := math.Abs(x), logit{sign: -1, q: t}
	if x >= 0 {
		o.sign, o.q = 1, 1-t
	}
	z := math.Exp(-a)
	o.s, o.l = z/(1+z), math.Log1p(z)
	if o.q != 0 { // an infinite logit on the right side costs nothing
		o.l += a * o.q
	}
	if !(t >= 0 && t <= 1) {
		o.l = math.NaN()
	}
	return o
}

func binaryPoint(x, t, _, _ float64) (value, slope float64) {
	o := logitOf(x, t)
	return o.l, o.sign * (o.q - o.s)
}

func marginPoint(x, t, _, _ float64) (value, slope float64) {
	o := logitOf(x*t, 1)
	if o.sign < 0 {
		o.s = 1 - o.s
	}
	if t != 1 && t != -1 {
		o.l = math.NaN()
	}
	return o.l, -t * o.s
}

// focalPoint is (a + b·t)·u²·l with u = σ(x)·(1-t) + σ(-x)·t, whose derivative is ±s·(1-s)·(2q-1). An infinite loss without weight
// is 0.
func focalPoint(x, t, a, b float64) (value, slope float64) {
	o := logitOf(x, t)
	w, u := a+b*t, o.s+o.q*(1-2*o.s)
	rate := 0.0
	if o.s != 0 {
		rate = 2 * o.s * (1 - o.s) * (2*o.q - 1) * o.l
	}
	slope = o.sign * w * u * (u*(o.q-o.s) + rate)
	if value = u * u * o.l; w != 0 || value != value {
		value *= w
	} else {
		value = 0
	}
	return value, slope
}

// bernoulliPoint is p·(x-t) + log((1+e^t)/(1+e^x)) with p = σ(x), to the digits of float32.
func bernoulliPoint(x, t, _, _ float64) (value, slope float64) {
	a, b, gap := x, t, 0.0
	if x != t { // equal infinities have no gap
		gap = x - t
	}
	h := -gap
	if a > 0 {
		a, b, h = -a, -b, gap
	}
	e := math.Exp(a)
	p := e / (1 + e)
	if rate := p / (1 + e); rate != 0 || gap != gap {
		slope = rate * gap
	}
	ph := 0.0
	if p != 0 {
		ph = p * h
	}
	switch m := math.Abs(h); {
	case m < 0x1p-12:
		value = p * (1 - p) / 2 * h * h * (1 + (1-2*p)*h/3)
	case m < 30:
		value = math.Log1p(p*math.Expm1(h)) - ph
	case math.IsInf(b, 1):
		value = b
	default:
		value = max(b, 0) + math.Log1p(math.Exp(-math.Abs(b))) - math.Log1p(e) - ph
	}
	return value, slope
}
