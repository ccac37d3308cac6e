package tensorops

import "math"

// PointLoss is an elementwise loss of a number x and a target t that [PointSum] computes.
type PointLoss uint8

// The losses, with e = x - t. A, B and C are the parameters in [Point].
const (
	// SquaredError is e². HalfSquaredError is half of it.
	SquaredError PointLoss = iota
	HalfSquaredError
	// AbsoluteError is |e|, with the derivative 0 at 0.
	AbsoluteError
	// Huber is c·(|e| - c/2) with c = min(|e|, A). SmoothL1 is that divided by A, and |e| for A =
	// 0.
	Huber
	SmoothL1
	// LogCosh is log cosh e.
	LogCosh
	// PseudoHuber is A²·(√(1 + (e/A)²) - 1).
	PseudoHuber
	// Charbonnier is √(e² + A²).
	Charbonnier
	// Cauchy is log(1 + z²/2), GemanMcClure 2z²/(z² + 4) and Welsch 1 - exp(-z²/2), with z = e/A.
	Cauchy
	GemanMcClure
	Welsch
	// Tukey is A²/6·(1 - (1 - z²)³) with z = e/A, and A²/6 for |z| > 1.
	Tukey
	// Barron is b/A·((1 + z²/b)^(A/2) - 1) with z = e/B and b = |A - 2|, and its limits z²/2 for A
	// = 2 and log(1 + z²/2) for A = 0.
	Barron
	// Wing is A·log(1 + |e|/B) for |e| < A, else |e| - A + A·log(1 + A/B).
	Wing
	// Quantile is (1-A)·e for e > 0, else A·|e|, with the derivative 1/2 - A at 0.
	Quantile
	// Expectile is (1-A)·e² for e > 0, else A·e².
	Expectile
	// EpsilonInsensitive is max(|e| - A, 0).
	EpsilonInsensitive
	// MAPE is |e|/max(|t|, A).
	MAPE
	// SMAPE is 2·|e|/(|x| + |t|), 0 where both are 0. Derivatives on a corner are the mean of their
	// sides.
	SMAPE
	// MSLE is (log(1+p) - log(1+q))² with p = max(x, 1e-7) and q = max(t, 1e-7). The derivative is
	// 0 for x < 1e-7.
	MSLE
	// Poisson is exp(x) - t·x for finite t >= 0.
	Poisson
	// Gamma is t·exp(-x) + x for finite t > 0.
	Gamma
	// Tweedie is -t·exp((1-A)·x)/(1-A) + exp((2-A)·x)/(2-A) for finite t >= 0 and 1 < A < 2,
	// Poisson for A = 1 and Gamma for A = 2.
	Tweedie
	// NegativeBinomial is (t + 1/A)·log(1 + A·exp(x)) - t·x for finite t >= 0.
	NegativeBinomial
	// BinaryCrossEntropy is v·y·log(1 + exp(-x)) + (1-y)·log(1 + exp(x)) of a logit x and a target
	// t in [0, 1], with the label smoothing A in y = t·(1-A) + A/2 and the weight v of the positive
	// class, 1 without [PointData.V].
	BinaryCrossEntropy
	// BinaryCrossEntropyFromProb is -t·log x - (1-t)·log(1-x) of a probability x and a target t,
	// both in [0, 1].
	BinaryCrossEntropyFromProb
	// SigmoidFocal is w·u^A·l of a logit x and a target t in [0, 1], with the binary cross-entropy
	// l, u = σ(x)·(1-t) + σ(-x)·t and w = B·(1-t) + C·t. An infinite loss without weight is 0.
	SigmoidFocal
	// BernoulliKL is p·(x - t) + log((1 + exp(t))/(1 + exp(x))) of the logits x and t with p =
	// sigmoid(x): the divergence of the probability sigmoid(t) from p, to the digits of float32.
	BernoulliKL
	// SoftMargin is log(1 + exp(-m)), Hinge max(0, 1 - m), SquaredHinge the square of that and
	// Perceptron max(0, -m), of m = t·x for a logit x and a target t of -1 or 1. ModifiedHuber is
	// SquaredHinge for m >= -1, else -4m.
	SoftMargin
	Hinge
	SquaredHinge
	ModifiedHuber
	Perceptron
	// HingeEmbedding is x for t = 1 and max(0, A - x) for t = -1.
	HingeEmbedding
	// StandardGaussian is (exp(x) - 1 - x + t²)/2 of a logarithm of a variance x and a mean t.
	StandardGaussian
	// Asymmetric is t·(1-p)^A·-log p + (1-t)·m^B·-log(1-m) of a logit x and a target t in [0, 1], with
	// p = σ(x) and m = max(p - C, 0).
	Asymmetric
	pointLosses
)

// Point is an elementwise loss with its parameters, whose meaning is described beside the losses.
// Parameters that a loss does not have are ignored.
type Point struct {
	Loss    PointLoss
	A, B, C float64
}

// PointData is a range of elements. The slices that are not nil have the length of X.
type PointData[F Float] struct {
	// X and T are the predictions and the targets.
	X, T []F

	// W has the weight w of each element, nil stands for 1. Where it is 0, X and T do not count and
	// may hold anything.
	W []F

	// V has the weight of the positive class for each element, nil stands for 1. Only
	// BinaryCrossEntropy reads it.
	V []F

	// Values receives w·l. It must not overlap any other slice.
	Values []F

	// Dst receives g·w·dl/dx. It may be X or T and must not overlap them otherwise.
	Dst []F

	// Stream writes Dst past the caches, which pays from about 16 MB on, where Dst is aligned to 64
	// bytes.
	Stream bool
}

// PointSum returns Σ w·l over the elements and writes what d asks for, on the caller's core. It
// panics with "tensorops: length mismatch". Lengths of 0 are allowed.
//
// A target outside the domain of its loss has the loss NaN. The sum is NaN or infinite where the
// loss of an element is. What is written for an element depends on that element alone: not on its
// neighbours, its place or the number of elements. The sum of the same elements has the same bits
// wherever they lie. PointSum does not allocate.
//
// float32 elements are computed with in float32 or in float64, as the loss needs it; see "Numbers".
// Elements whose loss is no number of the type that it is computed in, and all elements where
// [HasPoint] is false, are computed in float64 one by one.
func PointSum[F Float](p Point, d *PointData[F], g float64) float64 {
	d.check()
	n := len(d.X)
	if n == 0 {
		return 0
	}
	r := newPointRun(p, d, g)
	if r == nil {
		return pointEach(p, d, g)
	}
	sum := 0.0
	if n <= pointBlock {
		sum += r.block(d)
	} else {
		sum = r.blocks(d)
	}
	r.put()
	return sum
}

// check panics where lengths do not fit.
func (d *PointData[F]) check() {
	n := len(d.X)
	mustLen(d.T, n)
	if d.Dst != nil {
		mustLen(d.Dst, n)
	}
	if d.W != nil {
		mustLen(d.W, n)
	}
	if d.V != nil {
		mustLen(d.V, n)
	}
	if d.Values != nil {
		mustLen(d.Values, n)
	}
}

// HasPoint reports whether there is a kernel for elements of type F that computes the loss with
// these parameters to its accuracy. Where there is none, as for scales whose square or inverse
// leaves the type, PointSum is right too, and slow. The float64 elements of [BernoulliKL],
// [NegativeBinomial], [BinaryCrossEntropyFromProb], [Asymmetric], [Barron] and [SigmoidFocal] have
// none, but for shapes of 0, 1 and 2 and the exponent 2; [Asymmetric] has none for a shift below
// 2^-10.
func HasPoint[F Float](p Point) bool {
	single := isFloat32[F]()
	return (single || p.plan().kernel < pointFocalPower) && p.within(single)
}

// within reports whether kernels compute the loss with these parameters to its accuracy, for
// elements of the type for which there is a kernel.
func (p Point) within(single bool) bool {
	// The losses that are computed in float64 for both types take any scale that float64 has the
	// square of.
	within := func(v, bound float64) bool { return v >= 1/bound && v <= bound }
	scale := func(v float64) bool { return within(v, 0x1p100) && (!single || within(v, 0x1p20)) }
	switch p.Loss {
	case SmoothL1:
		return p.A == 0 || scale(p.A)
	case Huber, PseudoHuber, Charbonnier, Cauchy:
		return scale(p.A)
	case GemanMcClure, Welsch, Tukey, NegativeBinomial, MAPE:
		return within(p.A, 0x1p60)
	case EpsilonInsensitive, HingeEmbedding:
		return p.A == 0 || within(math.Abs(p.A), 0x1p60)
	case Wing:
		return within(p.A, 0x1p60) && within(p.B, 0x1p60) && p.A/p.B < 0x1p90
	case Barron:
		switch p.A {
		case 0, 1, 2:
			return scale(p.B)
		}
		return within(p.B, 0x1p60) && within(math.Abs(p.A), 0x1p20) && math.Abs(p.A) <= 64 && math.Abs(p.A-2) >= 0x1p-20
	case Quantile, Expectile:
		return within(p.A, 0x1p60) && within(1-p.A, 0x1p60)
	case Tweedie:
		return p.A == 1 || p.A == 2 || within(p.A-1, 0x1p60) && within(2-p.A, 0x1p60)
	case BinaryCrossEntropy:
		return p.A == 0 || within(p.A, 0x1p60) && p.A <= 1
	case Asymmetric:
		return p.A >= 0 && p.A <= 0x1p20 && p.B >= 0 && p.B <= 0x1p20 && p.C >= 0x1p-10 && p.C < 1
	case SigmoidFocal:
		weight := func(w float64) bool { return w == 0 || within(math.Abs(w), 0x1p60) }
		return p.A >= 0 && p.A <= 0x1p20 && weight(p.B) && weight(p.C)
	}
	return p.Loss < pointLosses
}

// pointPlan is how a kernel computes a loss: it is scale times the kernel's, and its derivative
// gain times the kernel's.
type pointPlan struct {
	kernel      int
	scale, gain float64
	a, b, c     float64 // the kernel's parameters
	flags       uint32
}

func (p Point) plan() pointPlan {
	r := pointPlan{scale: 1, gain: 1, a: p.A, b: p.B, c: p.C}
	switch p.Loss {
	case SquaredError:
		r.kernel, r.gain = pointSquared, 2
	case HalfSquaredError:
		r.kernel, r.scale = pointSquared, 0.5
	case AbsoluteError:
		r.kernel = pointAbsolute
	case Huber:
		r.kernel = pointHuber
	case SmoothL1:
		if r.kernel = pointAbsolute; p.A != 0 {
			r.kernel, r.scale, r.gain = pointHuber, 1/p.A, 1/p.A
		}
	case LogCosh:
		r.kernel = pointLogCosh
	case PseudoHuber:
		r.kernel, r.b, r.gain = pointPseudoHuber, p.A*p.A, p.A
	case Charbonnier:
		r.kernel, r.a = pointCharbonnier, p.A*p.A
	case Cauchy:
		r.kernel, r.a, r.gain = pointCauchy, 1/p.A, 1/p.A
	case GemanMcClure:
		r.kernel, r.a, r.gain = pointGemanMcClure, 1/p.A, 1/p.A
	case Welsch:
		r.kernel, r.a, r.gain = pointWelsch, 1/p.A, 1/p.A
	case Tukey:
		r.kernel, r.a, r.scale, r.gain = pointTukey, 1/p.A, p.A*p.A/6, p.A
	case Barron:
		return p.barron()
	case Wing:
		r.kernel, r.c = pointWing, p.A-p.A*math.Log1p(p.A/p.B)
	case Quantile:
		r.kernel, r.a, r.b, r.c = pointQuantile, 1-p.A, -p.A, 0.5-p.A
	case Expectile:
		r.kernel, r.a, r.b, r.gain = pointExpectile, 1-p.A, p.A, 2
	case EpsilonInsensitive:
		r.kernel = pointInsensitive
	case MAPE:
		r.kernel = pointRelative
	case SMAPE:
		r.kernel = pointSymmetric
	case MSLE:
		r.kernel, r.a, r.gain = pointLogGap, logFloor, 2
	case Poisson:
		r.kernel = pointPoisson
	case Gamma:
		r.kernel = pointGamma
	case Tweedie:
		switch p.A {
		case 1:
			r.kernel = pointPoisson
		case 2:
			r.kernel = pointGamma
		default:
			r.kernel, r.a, r.b = pointTweedie, 1-p.A, 2-p.A
			r.scale = 1 / (r.a * r.b)
		}
	case NegativeBinomial:
		r.kernel, r.a, r.b = pointNegativeBinomial, math.Log(p.A), 1/p.A
	case BinaryCrossEntropy:
		if r.kernel = pointBinary; p.A != 0 {
			r.kernel = pointBinaryOptions
		}
		r.a, r.b = 1-p.A, p.A/2
	case BinaryCrossEntropyFromProb:
		r.kernel = pointProbability
	case SigmoidFocal:
		r.a, r.b, r.c = p.B, p.C-p.B, p.A
		switch {
		case p.A == 2:
			r.kernel = pointFocal
		case p.A == 0 && p.B == 1 && p.C == 1:
			r.kernel = pointBinary
		default:
			r.kernel = pointFocalPower
		}
	case BernoulliKL:
		r.kernel = pointBernoulli
	case SoftMargin:
		r.kernel = pointMargin
	case Hinge:
		r.kernel, r.a = pointHinge, 1
	case Perceptron:
		r.kernel, r.a = pointHinge, 0
	case SquaredHinge:
		r.kernel, r.a, r.gain = pointBentHinge, math.Inf(1), 2
	case ModifiedHuber:
		r.kernel, r.a, r.gain = pointBentHinge, 2, 2
	case HingeEmbedding:
		r.kernel = pointEmbedding
	case StandardGaussian:
		r.kernel = pointGaussian
	case Asymmetric:
		r.kernel = pointAsymmetric
	}
	return r
}

// barron plans for the losses that are special cases by their own kernels.
func (p Point) barron() pointPlan {
	per := 1 / p.B
	switch p.A {
	case 0:
		return Point{Loss: Cauchy, A: p.B}.plan()
	case 1:
		r := Point{Loss: PseudoHuber, A: p.B}.plan()
		r.scale, r.gain = per*per, per
		return r
	case 2:
		return pointPlan{kernel: pointSquared, scale: per * per / 2, gain: per * per}
	}
	b := math.Abs(p.A - 2)
	return pointPlan{kernel: pointBarron, scale: b / p.A, gain: per, a: per, b: 1 / b, c: p.A / 2}
}
