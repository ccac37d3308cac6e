package tensorops

import "math"

// The elementwise losses in float64. They take any parameters and operands, and are what the
// kernels are tested against.

// pointFunc returns a loss and its derivative by x.
type pointFunc func(p Point, x, t, v float64) (l, slope float64)

var pointFuncs = [pointLosses]pointFunc{
	SquaredError: func(_ Point, x, t, _ float64) (l, slope float64) {
		e := x - t
		return e * e, 2 * e
	},
	HalfSquaredError: func(_ Point, x, t, _ float64) (l, slope float64) {
		e := x - t
		return e * e / 2, e
	},
	AbsoluteError: absoluteValue,
	Huber:         func(p Point, x, t, _ float64) (l, slope float64) { return huberValue(x-t, p.A) },
	SmoothL1: func(p Point, x, t, v float64) (l, slope float64) {
		if p.A == 0 {
			return absoluteValue(p, x, t, v)
		}
		l, slope = huberValue(x-t, p.A)
		return l / p.A, slope / p.A
	},
	LogCosh:                    func(_ Point, x, t, _ float64) (l, slope float64) { return logCoshValue(x - t) },
	PseudoHuber:                func(p Point, x, t, _ float64) (l, slope float64) { return pseudoHuberValue(x-t, p.A) },
	Charbonnier:                charbonnierValue,
	Cauchy:                     func(p Point, x, t, _ float64) (l, slope float64) { return cauchyValue(x-t, p.A) },
	GemanMcClure:               gemanMcClureValue,
	Welsch:                     welschValue,
	Tukey:                      tukeyValue,
	Barron:                     barronValue,
	Wing:                       wingValue,
	Quantile:                   quantileValue,
	Expectile:                  expectileValue,
	EpsilonInsensitive:         insensitiveValue,
	MAPE:                       relativeValue,
	SMAPE:                      symmetricValue,
	MSLE:                       logGapValue,
	Poisson:                    func(_ Point, x, t, _ float64) (l, slope float64) { return poissonValue(x, t) },
	Gamma:                      func(_ Point, x, t, _ float64) (l, slope float64) { return gammaValue(x, t) },
	Tweedie:                    tweedieValue,
	NegativeBinomial:           negativeBinomialValue,
	BinaryCrossEntropy:         binaryValue,
	BinaryCrossEntropyFromProb: probabilityValue,
	SigmoidFocal:               focalValue,
	BernoulliKL:                bernoulliValue,
	SoftMargin:                 marginValue,
	Hinge:                      func(_ Point, x, t, _ float64) (l, slope float64) { return hingeValue(x, t, 1) },
	SquaredHinge:               func(_ Point, x, t, _ float64) (l, slope float64) { return bentHingeValue(x, t, math.Inf(1)) },
	ModifiedHuber:              func(_ Point, x, t, _ float64) (l, slope float64) { return bentHingeValue(x, t, 2) },
	Perceptron:                 func(_ Point, x, t, _ float64) (l, slope float64) { return hingeValue(x, t, 0) },
	HingeEmbedding:             embeddingValue,
	StandardGaussian:           gaussianValue,
	Asymmetric:                 asymmetricValue,
}

// times is a·b with 0·Inf = 0: what has no weight has no part in a sum.
func times(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a * b
}

// signOf returns -1, 0 or 1, and NaN for NaN.
func signOf(x float64) float64 {
	if math.Abs(x) > 0 {
		return math.Copysign(1, x)
	}
	return x
}

// inDomain returns l, or NaN where the target is outside the domain.
func inDomain(inside bool, l float64) float64 {
	if inside {
		return l
	}
	return math.NaN()
}

func absoluteValue(_ Point, x, t, _ float64) (l, slope float64) {
	return math.Abs(x - t), signOf(x - t)
}

func huberValue(e, delta float64) (l, slope float64) {
	m := math.Abs(e)
	c := min(m, delta)
	return c * (m - c/2), math.Copysign(c, e)
}

// logCoshValue is |e| - log 2 + log(1 + exp(-2|e|)), or for small e, where that cancels, ½·log(1 +
// sinh² e).
func logCoshValue(e float64) (l, slope float64) {
	if a := math.Abs(e); a >= 1 {
		l = a - math.Ln2 + math.Log1p(math.Exp(-2*a))
	} else {
		s := math.Sinh(e)
		l = math.Log1p(s*s) / 2
	}
	return l, math.Tanh(e)
}

func pseudoHuberValue(e, delta float64) (l, slope float64) {
	root := math.Hypot(delta, e)
	if math.IsInf(root, 0) {
		return root, delta * signOf(e)
	}
	return e * (delta * (e / (delta + root))), delta * (e / root)
}

func charbonnierValue(p Point, x, t, _ float64) (l, slope float64) {
	e := x - t
	root := math.Hypot(p.A, e)
	if math.IsInf(root, 0) {
		return root, signOf(e)
	}
	return root, e / root
}

// large is the size of z from which on squares are avoided.
const large = 0x1p500

// logSquare returns log(1 + z²/b).
func logSquare(z, b float64) float64 {
	x := z / math.Sqrt(b)
	if math.Abs(x) > large {
		return 2 * math.Log(math.Abs(x))
	}
	return math.Log1p(x * x)
}

func cauchyValue(e, scale float64) (l, slope float64) {
	z := e / scale
	if math.Abs(z) > large {
		return logSquare(z, 2), 2 / z / scale
	}
	return math.Log1p(z / 2 * z), z / (1 + z/2*z) / scale
}

func gemanMcClureValue(p Point, x, t, _ float64) (l, slope float64) {
	z := (x - t) / p.A
	if math.Abs(z) > large {
		return 2, 0
	}
	y := 1 / (1 + z*z/4)
	return z * z / 2 * y, z * y * y / p.A
}

func welschValue(p Point, x, t, _ float64) (l, slope float64) {
	z := (x - t) / p.A
	v := -z * z / 2
	return -math.Expm1(v), times(math.Exp(v), z) / p.A
}

func tukeyValue(p Point, x, t, _ float64) (l, slope float64) {
	c := p.A
	e := max(-c, min(c, x-t))
	z := e / c
	w := (1 - z) * (1 + z)
	return e / 6 * e * (1 + w + w*w), e * w * w
}

func barronValue(p Point, x, t, _ float64) (l, slope float64) {
	alpha, z := p.A, (x-t)/p.B
	switch alpha {
	case 1:
		l, slope = pseudoHuberValue(z, 1)
		return l, slope / p.B
	case 2:
		return z * z / 2, z / p.B
	}
	b := math.Abs(alpha - 2)
	log := logSquare(z, b)
	if l = b / alpha * math.Expm1(alpha/2*log); math.Abs(alpha) < 1e-18 {
		l = b / 2 * log
	}
	switch slope = z * math.Exp((alpha/2-1)*log); {
	case math.IsInf(z, 0) && alpha < 1:
		slope = 0
	case math.IsInf(z, 0):
		slope = z
	}
	return l, slope / p.B
}

func wingValue(p Point, x, t, _ float64) (l, slope float64) {
	e := x - t
	switch m := math.Abs(e); {
	case m < p.A:
		return p.A * math.Log1p(m/p.B), signOf(e) * p.A / (p.B + m)
	default:
		return m - (p.A - p.A*math.Log1p(p.A/p.B)), signOf(e)
	}
}

func quantileValue(p Point, x, t, _ float64) (l, slope float64) {
	switch e := x - t; {
	case e > 0:
		return (1 - p.A) * e, 1 - p.A
	case e < 0:
		return -p.A * e, -p.A
	default:
		return e, e + (0.5 - p.A)
	}
}

func expectileValue(p Point, x, t, _ float64) (l, slope float64) {
	e, k := x-t, p.A
	if e > 0 {
		k = 1 - p.A
	}
	return k * e * e, 2 * k * e
}

func insensitiveValue(p Point, x, t, _ float64) (l, slope float64) {
	e := x - t
	if m := math.Abs(e); !(m <= p.A) {
		return m - p.A, signOf(e)
	}
	return 0, 0
}

func relativeValue(p Point, x, t, _ float64) (l, slope float64) {
	m := max(math.Abs(t), p.A)
	return math.Abs(x-t) / m, signOf(x-t) / m
}

func symmetricValue(_ Point, x, t, _ float64) (l, slope float64) {
	a, b := math.Abs(x), math.Abs(t)
	size := a + b
	switch side := signOf(x) * signOf(t); {
	case size == size && math.IsInf(x, 0) != math.IsInf(t, 0):
		return 2, 0
	case size == 0:
		return 0, 0
	case side < 0:
		return 2, 0
	case side == 0: // one of them 0
		return 2, 2 * (signOf(x-t) - signOf(x)) / size
	}
	if math.IsInf(size, 1) && !math.IsInf(x, 0) { // the value is one of ratios
		l, slope = symmetricValue(Point{}, x/4, t/4, 0)
		return l, slope / 4
	}
	return 2 * (math.Abs(x-t) / size), 4 * signOf(a-b) * signOf(x) * (b / size) / size
}

// logFloor is the number at which MSLE cuts off both of its operands.
const logFloor = 1e-7

func logGapValue(_ Point, x, t, _ float64) (l, slope float64) {
	a, b := max(x, logFloor), max(t, logFloor)
	size := math.Log1p(math.Abs(a-b) / (1 + min(a, b)))
	switch {
	case x < logFloor || math.IsInf(size, 0):
		slope = 0
	default:
		slope = 2 * math.Copysign(size, a-b) / (1 + x)
	}
	return size * size, slope
}

// poissonValue: an infinite x without a count costs what exp(x) does.
func poissonValue(x, t float64) (l, slope float64) {
	rate := math.Exp(x)
	if l = rate; !math.IsInf(rate, 1) {
		l -= times(t, x)
	}
	return inDomain(t >= 0 && !math.IsInf(t, 1), l), rate - t
}

func gammaValue(x, t float64) (l, slope float64) {
	e := t * math.Exp(-x)
	if l = e + x; math.IsInf(x, -1) {
		l = math.Inf(1)
	}
	return inDomain(t > 0 && !math.IsInf(t, 1), l), 1 - e
}

func tweedieValue(p Point, x, t, _ float64) (l, slope float64) {
	switch p.A {
	case 1:
		return poissonValue(x, t)
	case 2:
		return gammaValue(x, t)
	}
	a, b := 1-p.A, 2-p.A
	u, v := times(t, math.Exp(a*x)), math.Exp(b*x)
	return inDomain(t >= 0 && !math.IsInf(t, 1), v/b-u/a), v - u
}

func negativeBinomialValue(p Point, x, t, _ float64) (l, slope float64) {
	shape, logAlpha := 1/p.A, math.Log(p.A)
	g := x + logAlpha
	z := math.Exp(-math.Abs(g))
	log := math.Log1p(z)
	rise, fall := log+max(g, 0), log+max(logAlpha, -x) // log(1+u) and log(1+u) - x for u = exp(g)
	if g <= 0 {
		slope = (shape*z - t) / (1 + z)
	} else {
		slope = (shape - t*z) / (1 + z)
	}
	return inDomain(t >= 0 && !math.IsInf(t, 1), shape*rise+times(t, fall)), slope
}

// A logit is what the losses of a logit x and a target t in [0, 1] are made of, with p = t and n =
// 1 - t.
type logit struct {
	s    float64 // the smaller of the two probabilities
	q    float64 // the cost of a unit of |x|: n for x >= 0, else p
	l    float64 // |x|·q + (n+p)·log(1 + exp(-|x|))
	sign float64 // that of x
}

func logitOf(x, p, n float64) logit {
	a, z := math.Abs(x), math.Exp(-math.Abs(x))
	o := logit{q: p, sign: -1, s: z / (1 + z)}
	if x >= 0 {
		o.q, o.sign = n, 1
	}
	o.l = times(n+p, math.Log1p(z)) + times(o.q, a) // an infinite logit on the right side costs nothing
	if x != x {
		o.l = x
	}
	return o
}

func binaryValue(p Point, x, t, v float64) (l, slope float64) {
	yes := v * (t*(1-p.A) + p.A/2)
	no := (1-t)*(1-p.A) + p.A/2
	o := logitOf(x, yes, no)
	slope = o.sign * (o.q - times(yes+no, o.s))
	if x != x {
		slope = x
	}
	return inDomain(t >= 0 && t <= 1, o.l), slope
}

func probabilityValue(_ Point, x, t, _ float64) (l, slope float64) {
	l = times(t, -math.Log(x)) + times(1-t, -math.Log1p(-x))
	slope = times(1-t, 1/(1-x)) - times(t, 1/x)
	if !(x >= 0 && x <= 1) {
		l, slope = math.NaN(), math.NaN()
	}
	return inDomain(t >= 0 && t <= 1, l), slope
}

func marginValue(_ Point, x, t, _ float64) (l, slope float64) {
	o := logitOf(x*t, 1, 0)
	if o.sign < 0 {
		o.s = 1 - o.s
	}
	return inDomain(t == 1 || t == -1, o.l), -t * o.s
}

// focalValue: u = σ(x)·(1-t) + σ(-x)·t has the derivative ±s·(1-s)·(2q-1). An infinite loss without
// weight is 0.
func focalValue(p Point, x, t, _ float64) (l, slope float64) {
	o := logitOf(x, t, 1-t)
	w, u := p.B*(1-t)+p.C*t, o.s+o.q*(1-2*o.s)
	power := math.Pow(u, p.A)
	rate := 0.0
	if o.s != 0 {
		rate = p.A * o.s * (1 - o.s) * (2*o.q - 1) * (o.l / u)
	}
	l = times(w*power, o.l)
	if x != x {
		l, w = x, x
	}
	return inDomain(t >= 0 && t <= 1, l), w * power * o.sign * (o.q - o.s + rate)
}

// bernoulliValue is p·(x-t) + log((1+e^t)/(1+e^x)) with p = σ(x), to the digits of float32.
func bernoulliValue(_ Point, x, t, _ float64) (l, slope float64) {
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
		l = p * (1 - p) / 2 * h * h * (1 + (1-2*p)*h/3)
	case m < 30:
		l = math.Log1p(p*math.Expm1(h)) - ph
	case math.IsInf(b, 1):
		l = b
	default:
		l = max(b, 0) + math.Log1p(math.Exp(-math.Abs(b))) - math.Log1p(e) - ph
	}
	return l, slope
}

func hingeValue(x, t, bound float64) (l, slope float64) {
	m := x * t
	switch {
	case m < bound:
		l, slope = bound-m, -t
	case m != m:
		l, slope = m, m
	}
	return inDomain(t == 1 || t == -1, l), slope
}

func bentHingeValue(x, t, cut float64) (l, slope float64) {
	short := max(1-x*t, 0)
	c := min(short, cut)
	if l = c * (2*short - c); math.IsInf(c, 1) {
		l = c
	}
	return inDomain(t == 1 || t == -1, l), -2 * c * t
}

func embeddingValue(p Point, x, t, _ float64) (l, slope float64) {
	switch {
	case t > 0:
		l, slope = x, 1
	case x < p.A:
		l, slope = p.A-x, -1
	}
	if x != x {
		l, slope = x, x
	}
	return inDomain(t == 1 || t == -1, l), slope
}

func gaussianValue(_ Point, x, t, _ float64) (l, slope float64) {
	slope = math.Expm1(x)
	switch {
	case math.Abs(x) < 0.5: // exp(x) - 1 - x by its series, of which the next term is below 2^-53 of the result
		bend := 0.0
		for n := 15.0; n >= 2; n-- {
			bend = (1 + bend) * x / n
		}
		l = (bend*x + t*t) / 2
	case math.IsInf(x, 1):
		l = x + t*t
	default:
		l = (slope - x + t*t) / 2
	}
	return l, slope / 2
}

func asymmetricValue(p Point, x, t, _ float64) (l, slope float64) {
	yes, no := logitOf(x, 1, 0), logitOf(x, 0, 1)
	q, n := 1-yes.s, yes.s // σ(x) and σ(-x)
	if x < 0 {
		q, n = n, q
	}
	up := math.Pow(n, p.A)
	l, slope = times(t, times(up, yes.l)), -t*times(up, times(p.A*q, yes.l)+n)
	if m := q - p.C; m > 0 {
		down, cost, rest := (1-t)*math.Pow(m, p.B), -math.Log1p(-m), n+p.C
		if p.C == 0 {
			cost = no.l
		}
		l += times(down, cost)
		slope += times(down, (1/rest+p.B/m*cost)*q*n)
	}
	if x != x {
		l, slope = x, x
	}
	return inDomain(t >= 0 && t <= 1, l), slope
}
