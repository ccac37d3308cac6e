package tensorops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// pointCase is a loss with parameters and targets of its domain.
type pointCase struct {
	Point
	target func(rng *rand.Rand, x float64) float64
	x      func(rng *rand.Rand) float64
}

func (c pointCase) String() string {
	return fmt.Sprintf("%s(%v,%v,%v)", pointNames[c.Loss], c.A, c.B, c.C)
}

var pointNames = [pointLosses]string{"SquaredError", "HalfSquaredError", "AbsoluteError", "Huber", "SmoothL1", "LogCosh", "PseudoHuber", "Charbonnier",
	"Cauchy", "GemanMcClure", "Welsch", "Tukey", "Barron", "Wing", "Quantile", "Expectile", "EpsilonInsensitive",
	"MAPE", "SMAPE", "MSLE", "Poisson", "Gamma",
	"Tweedie", "NegativeBinomial", "BinaryCrossEntropy", "BinaryCrossEntropyFromProb", "SigmoidFocal", "BernoulliKL",
	"SoftMargin", "Hinge", "SquaredHinge",
	"ModifiedHuber", "Perceptron", "HingeEmbedding", "StandardGaussian", "Asymmetric"}

// residualTarget draws targets near x too, and equal ones.
func residualTarget(rng *rand.Rand, x float64) float64 {
	switch rng.IntN(8) {
	case 0:
		return x
	case 1:
		return x * (1 + rng.NormFloat64()/1000)
	}
	return 3 * rng.NormFloat64()
}

func unitTarget(rng *rand.Rand, _ float64) float64 {
	switch rng.IntN(4) {
	case 0:
		return float64(rng.IntN(2))
	case 1:
		return math.Ldexp(rng.Float64(), -rng.IntN(60))
	}
	return rng.Float64()
}

func signTarget(rng *rand.Rand, _ float64) float64 { return float64(2*rng.IntN(2) - 1) }

func countTarget(rng *rand.Rand, _ float64) float64 {
	if rng.IntN(2) == 0 {
		return float64(rng.IntN(5))
	}
	return 10 * rng.Float64()
}

func aboveTarget(rng *rand.Rand, _ float64) float64 { return 0.125 + 10*rng.Float64() }

// anyNumber draws numbers of several sizes.
func anyNumber(rng *rand.Rand) float64 {
	switch rng.IntN(8) {
	case 0:
		return 300 * rng.NormFloat64()
	case 1:
		return math.Ldexp(rng.NormFloat64(), -rng.IntN(40))
	}
	return 3 * rng.NormFloat64()
}

// logNumber draws logarithms of means within the exponentials of float32.
func logNumber(rng *rand.Rand) float64 { return max(-80, min(80, anyNumber(rng))) }

func probabilityNumber(rng *rand.Rand) float64 {
	if rng.IntN(3) == 0 {
		return math.Ldexp(rng.Float64(), -rng.IntN(60))
	}
	return rng.Float64()
}

func pointCases() (cases []pointCase) {
	add := func(target func(*rand.Rand, float64) float64, x func(*rand.Rand) float64, points ...Point) {
		for _, p := range points {
			cases = append(cases, pointCase{p, target, x})
		}
	}
	add(residualTarget, anyNumber, Point{Loss: SquaredError}, Point{Loss: HalfSquaredError}, Point{Loss: AbsoluteError}, Point{Loss: Huber, A: 0.7},
		Point{Loss: SmoothL1, A: 0.3}, Point{Loss: SmoothL1}, Point{Loss: LogCosh}, Point{Loss: PseudoHuber, A: 0.7},
		Point{Loss: PseudoHuber, A: 30},
		Point{Loss: Charbonnier, A: 1e-3}, Point{Loss: Charbonnier, A: 1.3}, Point{Loss: Cauchy, A: 0.7},
		Point{Loss: GemanMcClure, A: 0.7},
		Point{Loss: Welsch, A: 1.7}, Point{Loss: Tukey, A: 4.685}, Point{Barron, 1, 0.7, 0}, Point{Barron, 0, 0.7, 0},
		Point{Barron, 2, 0.7, 0},
		Point{Barron, -2, 0.7, 0}, Point{Barron, 1.5, 0.7, 0}, Point{Barron, -9.3, 1.7, 0},
		Point{Barron, 0.001, 0.7, 0}, Point{Barron, 3, 2, 0},
		Point{Wing, 1, 0.5, 0}, Point{Wing, 10, 0.1, 0}, Point{Loss: Quantile, A: 0.3}, Point{Loss: Expectile, A: 0.9},
		Point{Loss: EpsilonInsensitive, A: 0.1}, Point{Loss: EpsilonInsensitive}, Point{Loss: MAPE, A: 1e-7},
		Point{Loss: MAPE, A: 0.5},
		Point{Loss: SMAPE}, Point{Loss: BernoulliKL})
	add(countTarget, func(rng *rand.Rand) float64 { return math.Abs(anyNumber(rng)) - 0.1 }, Point{Loss: MSLE})
	add(countTarget, logNumber, Point{Loss: Poisson}, Point{Loss: Tweedie, A: 1}, Point{Loss: Tweedie, A: 1.5}, Point{Loss: Tweedie, A: 1.01},
		Point{Loss: NegativeBinomial, A: 1}, Point{Loss: NegativeBinomial, A: 0.01}, Point{Loss: NegativeBinomial, A: 20})
	add(aboveTarget, logNumber, Point{Loss: Gamma}, Point{Loss: Tweedie, A: 2})
	add(unitTarget, anyNumber, Point{Loss: BinaryCrossEntropy}, Point{Loss: BinaryCrossEntropy, A: 0.1}, Point{SigmoidFocal, 2, 1, 1},
		Point{SigmoidFocal, 2, 0.75, 0.25}, Point{SigmoidFocal, 0, 1, 1}, Point{SigmoidFocal, 0, 0.75, 0.25},
		Point{SigmoidFocal, 0.5, 1, 1},
		Point{SigmoidFocal, 1, 0.75, 0.25}, Point{SigmoidFocal, 3.7, 1, 1})
	add(unitTarget, anyNumber, Point{Asymmetric, 1, 4, 0.05}, Point{Asymmetric, 0, 0, 0.3}, Point{Asymmetric, 0.5, 2.7, 0.001})
	add(func(rng *rand.Rand, _ float64) float64 { return anyNumber(rng) }, logNumber, Point{Loss: StandardGaussian})
	add(unitTarget, probabilityNumber, Point{Loss: BinaryCrossEntropyFromProb})
	add(signTarget, anyNumber, Point{Loss: SoftMargin}, Point{Loss: Hinge}, Point{Loss: SquaredHinge}, Point{Loss: ModifiedHuber},
		Point{Loss: Perceptron}, Point{Loss: HingeEmbedding, A: 1.5})
	return cases
}

func pointOperands[F Float](c pointCase, rng *rand.Rand, n int) (x, t []F) {
	x, t = make([]F, n), make([]F, n)
	for i := range x {
		x[i] = F(c.x(rng))
		t[i] = F(c.target(rng, float64(x[i])))
	}
	return x, t
}

// TestPointAccuracy holds values, derivatives and sums to the float64 formulas.
func TestPointAccuracy(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testPointAccuracy[float32])
		t.Run("float64", testPointAccuracy[float64])
	})
}

// pointTolerance bounds the errors by a multiple of the last place's half of the result and of the
// largest number in the computation: 6 halves for what is computed in float32, which are 6 units at
// most (twice that for the focal loss, whose power doubles the error of its base), half a
// unit beside 1e-12 for what is computed in float64 and rounded once. float64 results are compared
// with a formula that has errors of its own: 1e-12. Numbers beside the smallest normal one may be
// 0.
func pointTolerance[F Float](p Point) (own, largest, absolute float64) {
	switch {
	case !isFloat32[F]():
		return 0, 1e-12, 0x1p-1000
	case pointIn64(p):
		return 0x1.01p-24, 1e-12, 0x1p-125
	case p.Loss == SigmoidFocal:
		return 0, 12 * 0x1p-24, 0x1p-120
	}
	return 0, 6 * 0x1p-24, 0x1p-125
}

// pointIn64 reports whether the kernels compute the loss of float32 elements in float64.
func pointIn64(p Point) bool {
	k := p.plan().kernel
	return k >= pointLogGap && k < pointBodies
}

// pointSizes returns the largest numbers that a value and a derivative are the difference of, both
// times what their errors count.
func pointSizes(p Point, x, t, l, d float64) (value, slope float64) {
	value, slope = math.Abs(l), math.Abs(d)
	e := math.Abs(x - t)
	switch p.Loss {
	case EpsilonInsensitive:
		return max(e, p.A), slope
	case Cauchy, GemanMcClure, Welsch, Barron:
		return value, 8 * slope // the error of z counts with the power of z
	case Tukey:
		return value, e
	case Wing:
		return max(value, e, p.A*math.Log1p(p.A/p.B)), slope
	case Poisson:
		return max(math.Exp(x), math.Abs(t*x)), max(math.Exp(x), t)
	case Gamma:
		return max(t*math.Exp(-x), math.Abs(x)), max(1, t*math.Exp(-x))
	case Tweedie:
		switch p.A {
		case 1:
			return pointSizes(Point{Loss: Poisson}, x, t, l, d)
		case 2:
			return pointSizes(Point{Loss: Gamma}, x, t, l, d)
		}
		return value, max(t*math.Exp((1-p.A)*x), math.Exp((2-p.A)*x))
	case NegativeBinomial:
		g := x + math.Log(p.A)
		return value + (t+1/p.A)*(math.Abs(x)+math.Abs(g)), (math.Exp(x) + t) / (1 + math.Exp(g)) * (1 + math.Abs(g))
	case BinaryCrossEntropy, SigmoidFocal:
		o := logitOf(x, t*(1-p.A)+p.A/2, (1-t)*(1-p.A)+p.A/2)
		if p.Loss == BinaryCrossEntropy {
			return value, max(o.q, o.s)
		}
		o = logitOf(x, t, 1-t)
		w, u := p.B*(1-t)+p.C*t, o.s+o.q*(1-2*o.s)
		return value, w * math.Pow(u, p.A) * (max(o.q, o.s) + p.A*o.s*(1-o.s)*o.l/max(u, 1e-300)) * (1 + 600*boolFloat(p.A != 2))
	case BinaryCrossEntropyFromProb:
		return value, max(t/x, (1-t)/(1-x))
	case Hinge, Perceptron, SquaredHinge, ModifiedHuber, HingeEmbedding:
		return max(value, math.Abs(x)), max(slope, math.Abs(x))
	}
	return value, slope
}

func testPointAccuracy[F Float](t *testing.T) {
	for at, c := range pointCases() {
		if !HasPoint[F](c.Point) {
			continue
		}
		n := 3000
		if testing.Short() {
			n = 300
		}
		x, y := pointOperands[F](c, rand.New(rand.NewPCG(700, uint64(at))), n)
		d := PointData[F]{X: x, T: y, Dst: make([]F, n), Values: make([]F, n)}
		sum := PointSum(c.Point, &d, -0.25)
		own, largest, absolute := pointTolerance[F](c.Point)
		want, slack := 0.0, 0.0
		for i := range x {
			l, slope := pointFuncs[c.Loss](c.Point, float64(x[i]), float64(y[i]), 1)
			size, slopeSize := pointSizes(c.Point, float64(x[i]), float64(y[i]), l, slope)
			want += l
			slack += 2*own*math.Abs(l) + largest*size + absolute // the terms of some blocks are added rounded
			if off := math.Abs(float64(d.Values[i]) - l); !(off <= own*math.Abs(l)+largest*size+absolute) {
				t.Errorf("%v at (%v, %v) is %v, want %v of numbers up to %v", c, x[i], y[i], d.Values[i], l, size)
			}
			if off := math.Abs(float64(d.Dst[i]) + 0.25*slope); !(off <= 0.25*(own*math.Abs(slope)+largest*slopeSize)+absolute) {
				t.Errorf("%v at (%v, %v) has the derivative %v, want %v of numbers up to %v", c, x[i], y[i], d.Dst[i],
					-0.25*slope, 0.25*slopeSize)
			}
		}
		if !(math.Abs(sum-want) <= slack+1e-12*math.Abs(want)) {
			t.Errorf("%v: sum %v, want %v", c, sum, want)
		}
	}
}

// TestPointFormulas holds the float64 functions to the formulas of the documentation, written down
// without regard to digits, and their derivatives to the differences of their values.
func TestPointFormulas(t *testing.T) {
	log1pExp := func(x float64) float64 { return math.Log(1 + math.Exp(x)) }
	formulas := map[PointLoss]func(p Point, x, t float64) float64{
		SquaredError:     func(_ Point, x, t float64) float64 { return (x - t) * (x - t) },
		HalfSquaredError: func(_ Point, x, t float64) float64 { return (x - t) * (x - t) / 2 },
		AbsoluteError:    func(_ Point, x, t float64) float64 { return math.Abs(x - t) },
		Huber: func(p Point, x, t float64) float64 {
			if e := math.Abs(x - t); e > p.A {
				return p.A * (e - p.A/2)
			}
			return (x - t) * (x - t) / 2
		},
		LogCosh:      func(_ Point, x, t float64) float64 { return math.Log(math.Cosh(x - t)) },
		PseudoHuber:  func(p Point, x, t float64) float64 { return p.A * (math.Sqrt(p.A*p.A+(x-t)*(x-t)) - p.A) },
		Charbonnier:  func(p Point, x, t float64) float64 { return math.Sqrt((x-t)*(x-t) + p.A*p.A) },
		Cauchy:       func(p Point, x, t float64) float64 { return math.Log(1 + (x-t)*(x-t)/(2*p.A*p.A)) },
		GemanMcClure: func(p Point, x, t float64) float64 { return 2 * (x - t) * (x - t) / ((x-t)*(x-t) + 4*p.A*p.A) },
		Welsch:       func(p Point, x, t float64) float64 { return 1 - math.Exp(-(x-t)*(x-t)/(2*p.A*p.A)) },
		Tukey: func(p Point, x, t float64) float64 {
			z := min(1, math.Abs(x-t)/p.A)
			return p.A * p.A / 6 * (1 - math.Pow(1-z*z, 3))
		},
		Barron: func(p Point, x, t float64) float64 {
			b, q := math.Abs(p.A-2), (x-t)*(x-t)/(p.B*p.B)
			switch p.A {
			case 2:
				return q / 2
			case 0:
				return math.Log(1 + q/2)
			}
			return b / p.A * (math.Pow(q/b+1, p.A/2) - 1)
		},
		Wing: func(p Point, x, t float64) float64 {
			if e := math.Abs(x - t); e < p.A {
				return p.A * math.Log(1+e/p.B)
			}
			return math.Abs(x-t) - (p.A - p.A*math.Log(1+p.A/p.B))
		},
		Quantile:           func(p Point, x, t float64) float64 { return max((1-p.A)*(x-t), -p.A*(x-t)) },
		Expectile:          func(p Point, x, t float64) float64 { return max(0, x-t)*(x-t)*(1-p.A) + min(0, x-t)*(x-t)*p.A },
		EpsilonInsensitive: func(p Point, x, t float64) float64 { return max(0, math.Abs(x-t)-p.A) },
		MAPE:               func(p Point, x, t float64) float64 { return math.Abs(x-t) / max(math.Abs(t), p.A) },
		SMAPE:              func(_ Point, x, t float64) float64 { return 2 * math.Abs(x-t) / max(math.Abs(x)+math.Abs(t), 1e-300) },
		MSLE: func(_ Point, x, t float64) float64 {
			return math.Pow(math.Log(1+max(x, 1e-7))-math.Log(1+max(t, 1e-7)), 2)
		},
		Poisson: func(_ Point, x, t float64) float64 { return math.Exp(x) - t*x },
		Gamma:   func(_ Point, x, t float64) float64 { return t*math.Exp(-x) + x },
		NegativeBinomial: func(p Point, x, t float64) float64 {
			return (t+1/p.A)*math.Log(1+p.A*math.Exp(x)) - t*x
		},
		BinaryCrossEntropy: func(p Point, x, t float64) float64 {
			y := t*(1-p.A) + p.A/2
			return 1.75*y*log1pExp(-x) + (1-y)*log1pExp(x)
		},
		BinaryCrossEntropyFromProb: func(_ Point, x, t float64) float64 { return -t*math.Log(x) - (1-t)*math.Log(1-x) },
		SigmoidFocal: func(p Point, x, t float64) float64 {
			yes := 1 / (1 + math.Exp(-x))
			u := yes*(1-t) + (1-yes)*t
			return (p.B*(1-t) + p.C*t) * math.Pow(u, p.A) * (t*log1pExp(-x) + (1-t)*log1pExp(x))
		},
		BernoulliKL: func(_ Point, x, t float64) float64 {
			return (x-t)/(1+math.Exp(-x)) + log1pExp(t) - log1pExp(x)
		},
		SoftMargin:   func(_ Point, x, t float64) float64 { return log1pExp(-t * x) },
		Hinge:        func(_ Point, x, t float64) float64 { return max(0, 1-t*x) },
		SquaredHinge: func(_ Point, x, t float64) float64 { return math.Pow(max(0, 1-t*x), 2) },
		Perceptron:   func(_ Point, x, t float64) float64 { return max(0, -t*x) },
		ModifiedHuber: func(_ Point, x, t float64) float64 {
			return max(0, 1-max(t*x, -1))*max(0, 1-max(t*x, -1)) - 4*min(0, t*x+1)
		},
		HingeEmbedding: func(p Point, x, t float64) float64 {
			if t == 1 {
				return x
			}
			return max(0, p.A-x)
		},
		StandardGaussian: func(_ Point, x, t float64) float64 { return (math.Exp(x) - 1 - x + t*t) / 2 },
		Asymmetric: func(p Point, x, t float64) float64 {
			yes := 1 / (1 + math.Exp(-x))
			m := max(yes-p.C, 0)
			l := t * math.Pow(1-yes, p.A) * log1pExp(-x)
			if m > 0 {
				l -= (1 - t) * math.Pow(m, p.B) * math.Log(1-m)
			}
			return l
		},
	}
	formulas[SmoothL1] = func(p Point, x, t float64) float64 {
		if p.A == 0 {
			return math.Abs(x - t)
		}
		return formulas[Huber](p, x, t) / p.A
	}
	formulas[Tweedie] = func(p Point, x, t float64) float64 {
		switch p.A {
		case 1:
			return formulas[Poisson](p, x, t)
		case 2:
			return formulas[Gamma](p, x, t)
		}
		return -t*math.Exp((1-p.A)*x)/(1-p.A) + math.Exp((2-p.A)*x)/(2-p.A)
	}
	for at, c := range pointCases() {
		rng := rand.New(rand.NewPCG(900, uint64(at)))
		for range 300 {
			x := 2 * rng.NormFloat64()
			if c.Loss == BinaryCrossEntropyFromProb {
				x = 0.05 + 0.9*rng.Float64()
			}
			y := c.target(rng, 2*rng.NormFloat64())
			at := func(x float64) float64 { l, _ := pointFuncs[c.Loss](c.Point, x, y, 1.75); return l }
			l, slope := pointFuncs[c.Loss](c.Point, x, y, 1.75)
			// the formulas lose digits where terms cancel, 1e-9 of numbers below 1e4 at most
			if want := formulas[c.Loss](c.Point, x, y); !(math.Abs(l-want) <= 1e-9*max(1, math.Abs(want))) {
				t.Errorf("%v at (%v, %v) is %v, want %v", c, x, y, l, want)
			}
			// third derivatives are below 1e4 where no corner is near; differences over a corner
			// lie between its sides
			const h = 1e-5
			_, before := pointFuncs[c.Loss](c.Point, x-h, y, 1.75)
			_, after := pointFuncs[c.Loss](c.Point, x+h, y, 1.75)
			got, slack := (at(x+h)-at(x-h))/(2*h), 1e-5*max(1, math.Abs(slope))+math.Abs(after-before)
			if !(math.Abs(got-slope) <= slack) {
				t.Errorf("%v at (%v, %v) has the derivative %v, its values have %v", c, x, y, slope, got)
			}
		}
	}
}
