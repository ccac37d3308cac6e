package tensorops

import (
	"fmt"
	"math"
	"runtime"
	"testing"
)

type pointLoss[F Float] struct {
	name  string
	sum   func(x, t []F) float64
	grad  func(dst, x, t []F, g float64)
	value func(x, t float64) (l, slope float64)
}

func pointLossesOf[F Float]() []pointLoss[F] {
	return []pointLoss[F]{
		{"BinaryCrossEntropy", BinaryCrossEntropySum[F], BinaryCrossEntropyGrad[F], func(x, t float64) (float64, float64) {
			// By the side of 0: what is left of the target on the other side counts with |x|.
			if x > 0 {
				return x*(1-t) + math.Log1p(math.Exp(-x)), (1 - t) - math.Exp(-x)/(1+math.Exp(-x))
			}
			return -x*t + math.Log1p(math.Exp(x)), math.Exp(x)/(1+math.Exp(x)) - t
		}},
		{"SquaredError", SquaredErrorSum[F], SquaredErrorGrad[F], func(x, t float64) (float64, float64) {
			return (x - t) * (x - t), 2 * (x - t)
		}},
		{"AbsoluteError", AbsoluteErrorSum[F], AbsoluteErrorGrad[F], func(x, t float64) (float64, float64) {
			if x == t {
				return 0, 0
			}
			return math.Abs(x - t), math.Copysign(1, x-t)
		}},
		{"Huber", func(x, t []F) float64 { return HuberSum(x, t, 0.7) },
			func(dst, x, t []F, g float64) { HuberGrad(dst, x, t, 0.7, g) },
			func(x, t float64) (float64, float64) {
				e := x - t
				if math.Abs(e) <= 0.7 {
					return e * e / 2, e
				}
				return 0.7 * (math.Abs(e) - 0.35), math.Copysign(0.7, e)
			}},
	}
}

func TestPointLosses(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testPointLosses[float32])
		t.Run("float64", testPointLosses[float64])
	})
}

func testPointLosses[F Float](t *testing.T) {
	rng := newRand(t, 51)
	for _, loss := range pointLossesOf[F]() {
		for _, n := range append(lengths(), 0, chunkLen-1, chunkLen+1, 3*chunkLen+5) {
			x, y, dst := make([]F, n), make([]F, n), make([]F, n)
			for i := range x {
				x[i], y[i] = F(3*rng.NormFloat64()), F(rng.Float64())
				switch rng.IntN(8) {
				case 0:
					y[i] = F(rng.IntN(2))
				case 1:
					x[i] *= 100
				case 2:
					x[i] = y[i]
				}
			}
			want := 0.0
			for i := range x {
				l, _ := loss.value(float64(x[i]), float64(y[i]))
				want += l
			}
			what := fmt.Sprintf("%s, n=%d", loss.name, n)
			// Plain sums on both sides: n roundings of half a unit.
			if got := loss.sum(x, y); math.Abs(got-want) > 1e-12*want {
				t.Errorf("%s: sum %v, want %v", what, got, want)
			}
			loss.grad(dst, x, y, -0.25)
			for i := range dst {
				_, slope := loss.value(float64(x[i]), float64(y[i]))
				checkSlope(t, what, i, dst[i], -0.25*slope)
			}
			loss.grad(x, x, y, -0.25) // in place
			for i := range dst {
				if x[i] != dst[i] {
					t.Fatalf("%s: in place gradient[%d] = %v, want %v", what, i, x[i], dst[i])
				}
			}
		}
	}
}

// checkSlope admits one unit in the last place, and for float64 the few roundings of the expected value too; 1e-16
// is where 1-t or a sigmoid near t leaves nothing but roundings.
func checkSlope[F Float](t *testing.T, what string, i int, got F, want float64) {
	t.Helper()
	limit := 1.0
	if !isFloat32[F]() {
		limit = 8
	}
	if e := ulps(got, want); e > limit && math.Abs(float64(got)-want) > 1e-16 {
		t.Fatalf("%s: gradient[%d] = %v, want %v: %.2f ulp", what, i, got, want, e)
	}
}

func TestPointLossCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	index := map[string]int{"BinaryCrossEntropy": 0, "SquaredError": 1, "AbsoluteError": 2, "Huber": 3}
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
