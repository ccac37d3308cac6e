package tensorops

import (
	"fmt"
	"math"
	"math/big"
	"runtime"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

type pointLoss[F Float] struct {
	name  string
	signs bool // the targets are -1 and 1
	sum   func(x, t []F) float64
	grad  func(dst, x, t []F, g float64) float64
	value func(x, t float64) expected
}

// expected is the value of a loss, its slope, and the size of the larger of the two numbers whose
// difference the slope is.
type expected struct{ l, slope, size float64 }

func ofDifference(l, slope float64) expected { return expected{l, slope, math.Abs(slope)} }

// expectBinary works by the side of 0: what is left of the target on the other side counts with
// |x|. It returns s, the smaller probability, and q too.
func expectBinary(x, t float64) (e expected, s, q float64) {
	a, z, sign := math.Abs(x), math.Exp(-math.Abs(x)), -1.0
	if q = t; x > 0 {
		q, sign = 1-t, 1
	}
	s = z / (1 + z)
	return expected{a*q + math.Log1p(z), sign * (q - s), max(q, s)}, s, q
}

func pointLossesOf[F Float]() []pointLoss[F] {
	return []pointLoss[F]{
		{"BinaryCrossEntropy", false, BinaryCrossEntropySum[F], BinaryCrossEntropyGrad[F], func(x, t float64) expected {
			e, _, _ := expectBinary(x, t)
			return e
		}},
		{"SquaredError", false, SquaredErrorSum[F], SquaredErrorGrad[F], func(x, t float64) expected {
			return ofDifference((x-t)*(x-t), 2*(x-t))
		}},
		{"AbsoluteError", false, AbsoluteErrorSum[F], AbsoluteErrorGrad[F], func(x, t float64) expected {
			if x == t {
				return expected{}
			}
			return ofDifference(math.Abs(x-t), math.Copysign(1, x-t))
		}},
		{"Huber", false, func(x, t []F) float64 { return HuberSum(x, t, 0.7) },
			func(dst, x, t []F, g float64) float64 { return HuberGrad(dst, x, t, 0.7, g) },
			func(x, t float64) expected {
				e := x - t
				if math.Abs(e) <= 0.7 {
					return ofDifference(e*e/2, e)
				}
				return ofDifference(0.7*(math.Abs(e)-0.35), math.Copysign(0.7, e))
			}},
		{"LogCosh", false, LogCoshSum[F], LogCoshGrad[F], func(x, t float64) expected {
			// ½·log(1 + sinh²) does not cancel; beyond 20 e^-2|e| does not count
			e := x - t
			if a := math.Abs(e); a > 20 {
				return ofDifference(a-math.Ln2, math.Copysign(1, e))
			}
			return ofDifference(math.Log1p(math.Sinh(e)*math.Sinh(e))/2, math.Tanh(e))
		}},
		{"PseudoHuber", false, func(x, t []F) float64 { return PseudoHuberSum(x, t, 0.7) },
			func(dst, x, t []F, g float64) float64 { return PseudoHuberGrad(dst, x, t, 0.7, g) },
			func(x, t float64) expected {
				z := (x - t) / 0.7
				return ofDifference(0.49*z*z/(1+math.Hypot(1, z)), 0.7*z/math.Hypot(1, z))
			}},
		{"Cauchy", false, func(x, t []F) float64 { return CauchySum(x, t, 0.7) },
			func(dst, x, t []F, g float64) float64 { return CauchyGrad(dst, x, t, 0.7, g) },
			func(x, t float64) expected {
				z := (x - t) / 0.7
				// the error of z counts twice in the slope of large z
				return expected{math.Log1p(z * z / 2), z / (1 + z*z/2) / 0.7, 2 * math.Abs(z) / (1 + z*z/2) / 0.7}
			}},
		{"Poisson", false, PoissonSum[F], PoissonGrad[F], func(x, t float64) expected {
			return expected{math.Exp(x) - t*x, math.Exp(x) - t, max(math.Exp(x), t)}
		}},
		{"Gamma", false, func(x, t []F) float64 { return GammaSum(x, positive(t)) },
			func(dst, x, t []F, g float64) float64 { return GammaGrad(dst, x, positive(t), g) },
			func(x, t float64) expected {
				e := (t + 0.125) * math.Exp(-x)
				return expected{e + x, 1 - e, max(1, e)}
			}},
		{"SoftMargin", true, SoftMarginSum[F], SoftMarginGrad[F], func(x, t float64) expected {
			e, s, q := expectBinary(x*t, 1)
			return ofDifference(e.l, -t*(s+q*(1-2*s)))
		}},
		{"SigmoidFocal", false, func(x, t []F) float64 { return SigmoidFocalSum(x, t, 0.75, 0.25) },
			func(dst, x, t []F, g float64) float64 { return SigmoidFocalGrad(dst, x, t, 0.75, 0.25, g) },
			func(x, t float64) expected {
				e, s, q := expectBinary(x, t)
				// u = 1 - σ or σ, mixed by the target, falls to s where the target is on the
				// logit's side
				u, w, sign := s*(1-q)+q*(1-s), 0.75*(1-t)+0.25*t, math.Copysign(1, x)
				ux := s * (1 - s) * (2*q - 1)
				// twice the terms, because they have twice the factors that the others have
				return expected{w * u * u * e.l, sign * w * u * (u*(q-s) + 2*ux*e.l), 2 * w * u * (u*max(q, s) + 2*s*(1-s)*e.l)}
			}},
	}
}

// positive moves targets away from 0, by a number that is exact.
func positive[F Float](t []F) []F {
	own := make([]F, len(t))
	for i, v := range t {
		own[i] = v + 0.125
	}
	return own
}

func TestPointLosses(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testPointLosses[float32])
		t.Run("float64", testPointLosses[float64])
	})
}

// pointUnits bounds the errors of the kernels, relative to the largest term: 6 units of half the
// last place for the slopes (the difference, the exponential, the quotient and the products each
// add one at most) and for a value. For float64 the expected numbers have as many. What both leave
// is beside the smallest normal number.
func pointUnits[F Float]() (relative, absolute float64) {
	if isFloat32[F]() {
		return 6 * 0x1p-24, 0x1p-125
	}
	return 12 * 0x1p-53, 0x1p-1000
}

func testPointLosses[F Float](t *testing.T) {
	rng := newRand(t, 51)
	relative, absolute := pointUnits[F]()
	for _, loss := range pointLossesOf[F]() {
		worst, worstSum := 0.0, 0.0
		for _, n := range append(lengths(), 0, pointBlock-1, pointBlock+1, pointChunk-1, 2*pointChunk+5) {
			x, y, dst := make([]F, n), make([]F, n), make([]F, n)
			for i := range x {
				x[i], y[i] = F(3*rng.NormFloat64()), F(rng.Float64())
				switch rng.IntN(8) {
				case 0:
					y[i] = F(rng.IntN(2))
				case 1:
					if x[i] *= 100; loss.name == "Poisson" || loss.name == "Gamma" {
						x[i] = max(-80, min(80, x[i])) // within the exponentials of float32
					}
				case 2:
					x[i] = y[i]
				case 3:
					x[i] = y[i] * (1 + F(rng.NormFloat64())/1000)
				}
				if loss.signs {
					y[i] = F(2*rng.IntN(2) - 1)
				}
			}
			want, size := 0.0, 0.0
			for i := range x {
				l := loss.value(float64(x[i]), float64(y[i])).l
				want += l
				size += math.Abs(l)
				if loss.name == "Poisson" || loss.name == "Gamma" { // a value is a difference of terms up to
					size += 2 * math.Abs(float64(x[i]))
				}
			}
			what := fmt.Sprintf("%s, n=%d", loss.name, n)
			sum := loss.sum(x, y)
			if math.Abs(sum-want) > max(relative, 1e-12)*size { // 1e-12: plain sums of n terms on both sides
				t.Errorf("%s: sum %v, want %v", what, sum, want)
			}
			if size > 0 {
				worstSum = max(worstSum, math.Abs(sum-want)/size)
			}
			if got := loss.grad(dst, x, y, -0.25); got != sum {
				t.Errorf("%s: the gradient's sum is %v, the sum alone %v", what, got, sum)
			}
			for i := range dst {
				e := loss.value(float64(x[i]), float64(y[i]))
				off := math.Abs(float64(dst[i]) + 0.25*e.slope)
				if !(off <= 0.25*relative*e.size+absolute) {
					t.Fatalf("%s: gradient[%d] at (%v, %v) is %v, want %v of numbers up to %v", what, i, x[i], y[i],
						dst[i], -0.25*e.slope, 0.25*e.size)
				}
				if off > absolute {
					worst = max(worst, off/(0.25*e.size))
				}
			}
			if got := loss.grad(x, x, y, -0.25); got != sum { // in place
				t.Errorf("%s: in place the gradient's sum is %v, want %v", what, got, sum)
			}
			for i := range dst {
				if x[i] != dst[i] {
					t.Fatalf("%s: in place gradient[%d] = %v, want %v", what, i, x[i], dst[i])
				}
			}
		}
		t.Logf("%s: slopes to %.1f of %.1f units, sums to %.2g", loss.name, worst/relative*6, 6.0, worstSum)
	}
}

func TestPointLossCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	index := map[string]int{}
	for i, l := range pointLossesOf[float64]() {
		index[l.name] = i
	}
	forEachImpl(t, func(t *testing.T) {
		losses := pointLossesOf[float64]()
		for _, c := range []struct {
			loss     string
			x, t     float64
			l, slope float64
		}{
			{"BinaryCrossEntropy", inf, 1, 0, 0},
			{"BinaryCrossEntropy", -inf, 0, 0, 0},
			{"BinaryCrossEntropy", inf, 0, inf, 1},
			{"BinaryCrossEntropy", -inf, 1, inf, -1},
			{"BinaryCrossEntropy", -inf, 0.25, inf, -0.25},
			{"BinaryCrossEntropy", 0, 0.5, math.Ln2, 0},
			{"BinaryCrossEntropy", 1e300, 0, 1e300, 1},
			{"BinaryCrossEntropy", -750, 0, 0, 0},
			{"BinaryCrossEntropy", nan, 0, nan, nan},
			{"BinaryCrossEntropy", 0, nan, nan, nan},
			{"SquaredError", inf, 0, inf, inf},
			{"SquaredError", nan, 0, nan, nan},
			{"AbsoluteError", inf, 0, inf, 1},
			{"AbsoluteError", 0, inf, inf, -1},
			{"AbsoluteError", nan, 0, nan, nan},
			{"AbsoluteError", 2, 2, 0, 0},
			{"Huber", inf, 0, inf, 0.7},
			{"Huber", -inf, 0, inf, -0.7},
			{"Huber", nan, 0, nan, nan},
			{"Huber", 0, nan, nan, nan},
			{"LogCosh", inf, 0, inf, 1},
			{"LogCosh", 0, inf, inf, -1},
			{"LogCosh", 1, 1, 0, 0},
			{"LogCosh", 1e-10, 0, 5e-21, 1e-10},
			{"LogCosh", nan, 0, nan, nan},
			{"PseudoHuber", inf, 0, inf, 0.7},
			{"PseudoHuber", 1e200, 0, 0.7e200, 0.7},
			{"PseudoHuber", nan, 0, nan, nan},
			{"Cauchy", inf, 0, inf, 0},
			{"Cauchy", 7e199, 0, 2*math.Log(1e200) - math.Ln2, 2 / 7e199},
			{"Cauchy", 0, nan, nan, nan},
			{"Poisson", -inf, 0, 0, 0},
			{"Poisson", inf, 1, inf, inf},
			{"Poisson", 710, 1, inf, inf},
			{"Poisson", -800, 1, 800, -1},
			{"Gamma", inf, 1, inf, 1},
			{"Gamma", -inf, 1, inf, -inf},
			{"Gamma", 800, 1, 800, 1},
			{"SoftMargin", inf, 1, 0, 0},
			{"SoftMargin", inf, -1, inf, 1},
			{"SoftMargin", -inf, 1, inf, -1},
			{"SoftMargin", 0, 1, math.Ln2, -0.5},
			{"SoftMargin", nan, 1, nan, nan},
			{"SigmoidFocal", inf, 1, 0, 0},
			{"SigmoidFocal", -inf, 0, 0, 0},
			{"SigmoidFocal", inf, 0, inf, 0.75},
			{"SigmoidFocal", -inf, 1, inf, -0.25},
			{"SigmoidFocal", nan, 0, nan, nan},
		} {
			loss := losses[index[c.loss]]
			for _, n := range []int{1, 5, 9, 33} { // in a whole register and in a tail
				x, y, dst := make([]float64, n), make([]float64, n), make([]float64, n)
				for i := range x {
					x[i], y[i] = c.x, c.t
				}
				if got := loss.sum(x, y); !near64(got, float64(n)*c.l) {
					t.Errorf("%s(%v, %v): %v, want %v", c.loss, c.x, c.t, got/float64(n), c.l)
				}
				loss.grad(dst, x, y, 1)
				for _, d := range dst {
					if !near64(d, c.slope) {
						t.Fatalf("%s(%v, %v): gradient %v, want %v", c.loss, c.x, c.t, dst, c.slope)
					}
				}
			}
		}
	})
}

// TestBernoulliKL holds the divergence to values from 300-bit numbers, near equality too.
func TestBernoulliKL(t *testing.T) {
	big1 := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	exact := func(x, t float64) float64 {
		one := big1(1)
		softplus := func(x float64) *big.Float {
			return vectest.BigLog(new(big.Float).Add(one, vectest.BigExp(big1(x))))
		}
		e := vectest.BigExp(big1(-x))
		p := new(big.Float).Quo(one, new(big.Float).Add(one, e))
		l := p.Mul(p, new(big.Float).Sub(big1(x), big1(t)))
		l.Add(l, softplus(t)).Sub(l, softplus(x))
		f, _ := l.Float64()
		return f
	}
	rng := newRand(t, 53)
	relative, absolute := pointUnits[float32]()
	forEachImpl(t, func(t *testing.T) {
		for i := range 400 {
			x := float32(3 * rng.NormFloat64())
			y := float32(3 * rng.NormFloat64())
			if i%2 == 0 {
				y = x + float32(math.Ldexp(rng.NormFloat64(), -i/20))
			}
			want := exact(float64(x), float64(y))
			if got := BernoulliKLSum([]float32{x}, []float32{y}); !(math.Abs(got-want) <= relative*want+absolute) {
				t.Errorf("BernoulliKL(%v, %v) is %v, want %v", x, y, got, want)
			}
			p := 1 / (1 + math.Exp(-float64(x)))
			dst, slope := make([]float32, 1), p*(1-p)*(float64(x)-float64(y))
			if BernoulliKLGrad(dst, []float32{x}, []float32{y}, 1); !(math.Abs(float64(dst[0])-slope) <= relative*math.Abs(slope)+absolute) {
				t.Errorf("BernoulliKL(%v, %v) has the slope %v, want %v", x, y, dst[0], slope)
			}
		}
		inf := float32(math.Inf(1))
		for _, c := range [][3]float32{{inf, inf, 0}, {-inf, -inf, 0}, {inf, -inf, inf}, {0, inf, inf}, {0, -inf, inf}, {-inf, 2, 2.126928}, {3e38, 0, math.Ln2},
			{-800, 800, 800}, {1, 1, 0}} {
			x, y := []float32{c[0], c[0], c[0]}, []float32{c[1], c[1], c[1]}
			dst := make([]float32, 3)
			sum := BernoulliKLSum(x, y)
			if got := BernoulliKLGrad(dst, x, y, 1); float32(got) != float32(sum) || math.Abs(got-3*float64(c[2])) > 1e-6*math.Abs(got) {
				t.Errorf("BernoulliKL%v: %v and %v", c, sum, got)
			}
		}
	})
}

func TestPointLossPanics(t *testing.T) {
	x, y := make([]float32, 3), make([]float32, 2)
	for _, loss := range pointLossesOf[float32]() {
		mustPanic(t, "tensorops: length mismatch", func() { loss.sum(x, y) })
		mustPanic(t, "tensorops: length mismatch", func() { loss.grad(x, x, y, 1) })
		mustPanic(t, "tensorops: length mismatch", func() { loss.grad(y, x, x, 1) })
	}
}

func TestPointSumsDoNotDependOnCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	rng := newRand(t, 52)
	x := convert[float32](distributions[1].row(rng, 5*chunkLen+77))
	y := make([]float32, len(x))
	for i := range y {
		y[i] = 1 // a target of every loss
	}
	for _, loss := range pointLossesOf[float32]() {
		runtime.GOMAXPROCS(1)
		want := loss.sum(x, y)
		for _, cores := range []int{2, 7} {
			runtime.GOMAXPROCS(cores)
			if got := loss.sum(x, y); got != want {
				t.Errorf("%s: %v on %d cores, %v on one", loss.name, got, cores, want)
			}
		}
	}
}

// BenchmarkElementwise measures value and gradient of the losses of two numbers.
func BenchmarkElementwise(b *testing.B) {
	benchPoints[float32](b)
	benchPoints[float64](b)
}

func benchPoints[F Float](b *testing.B) {
	for _, loss := range pointLossesOf[F]() {
		for _, shape := range benchShapes[:3] {
			x := normal3[F](shape[0] * shape[1])
			y, dst := make([]F, len(x)), make([]F, len(x))
			for i := range y {
				y[i] = F(i%16) / 15
				if loss.signs {
					y[i] = F(i%2*2 - 1)
				}
			}
			b.Run(fmt.Sprintf("loss=%s/dtype=%s/shape=%dx%d", loss.name, dtypeName[F](), shape[0], shape[1]), func(b *testing.B) {
				benchLoop(b, len(x), func() { loss.grad(dst, x, y, 0.5) })
			})
		}
	}
}
