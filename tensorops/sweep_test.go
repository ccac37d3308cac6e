package tensorops

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

var sweepFactor = flag.Int("sweep", 1, "multiplies the numbers that the tests of sweeps compare")

// floatUnits32 returns what kernels of float32 arithmetic promise, in units of the last place of
// the largest number in a computation.
func floatUnits32(p Point) (value, slope float64) {
	if p.Loss == SigmoidFocal {
		return 10, 10
	}
	return 6, 4
}

// TestPointSweep holds the kernels of float32 arithmetic to units of the last place, over operands
// and parameters of every size. The float64 formulas are good to 1e-12, a 50,000th of a unit.
func TestPointSweep(t *testing.T) {
	cases := pointCases()
	for _, a := range []float64{1e-3, 0.1, 1, 10, 1e3} {
		for _, l := range []PointLoss{Huber, SmoothL1, PseudoHuber, Charbonnier, Cauchy} {
			cases = append(cases, pointCase{Point{Loss: l, A: a}, residualTarget, anyNumber})
		}
		anySize := func(rng *rand.Rand) float64 { return math.Ldexp(rng.NormFloat64(), rng.IntN(80)-40) }
		cases = append(cases, pointCase{Point{Loss: PseudoHuber, A: a}, func(rng *rand.Rand, _ float64) float64 { return anySize(rng) }, anySize})
	}
	forEachImpl(t, func(t *testing.T) {
		for at, c := range cases {
			if !HasPoint[float32](c.Point) || pointIn64(c.Point) {
				continue
			}
			for round := range *sweepFactor {
				x, y := pointOperands[float32](c, rand.New(rand.NewPCG(uint64(round), uint64(at))), short(20_000, 2_000))
				holdPoints(t, c.String(), c.Point, x, y)
			}
		}
	})
}

// TestFocalSweep goes through logits far beyond those that 1 - σ(|x|) has digits for, with targets
// near 0 and 1.
func TestFocalSweep(t *testing.T) {
	step := 110 / (1000.37 * float64(*sweepFactor))
	var x []float32
	for v := -110.0; v <= 110; v += step {
		x = append(x, float32(v))
	}
	y := make([]float32, len(x))
	forEachImpl(t, func(t *testing.T) {
		for _, p := range []Point{{SigmoidFocal, 2, 1, 1}, {SigmoidFocal, 2, 0.75, 0.25}, {SigmoidFocal, 0, 1, 1}} {
			for _, target := range []float32{0, 1, 1e-40, 1e-30, 1e-20, 1e-12, 1e-9, 1e-7, 1e-4, 0.3, 0.5, 0.7, 1 - 1e-4, 1 - 0x1p-24} {
				for i := range y {
					y[i] = target
				}
				holdPoints(t, fmt.Sprint(p), p, x, y)
			}
		}
	})
}

// holdPoints compares values and derivatives, but for what lies beside the smallest normal number.
func holdPoints(t *testing.T, what string, p Point, x, y []float32) {
	t.Helper()
	d := PointData[float32]{X: x, T: y, Dst: make([]float32, len(x)), Values: make([]float32, len(x))}
	PointSum(p, &d, 1)
	value, slope := floatUnits32(p)
	for i := range x {
		l, dl := pointFuncs[p.Loss](p, float64(x[i]), float64(y[i]), 1)
		size, slopeSize := pointSizes(p, float64(x[i]), float64(y[i]), l, dl)
		if p.Loss == SigmoidFocal {
			o := logitOf(float64(x[i]), float64(y[i]), 1-float64(y[i]))
			if u := o.s + o.q*(1-2*o.s); u < 0x1.001p-44 && d.Values[i] == 0 && d.Dst[i] == 0 {
				continue // counts as 0
			}
		}
		if off := math.Abs(float64(d.Values[i]) - l); off > value*ulp[float32](size)+0x1p-125 {
			t.Fatalf("%s at (%v, %v) is %v, want %v: %.2f units of numbers up to %v", what, x[i], y[i], d.Values[i],
				l, off/ulp[float32](size), size)
		}
		if off := math.Abs(float64(d.Dst[i]) - dl); off > slope*ulp[float32](slopeSize)+0x1p-125 {
			t.Fatalf("%s at (%v, %v) has the derivative %v, want %v: %.2f units of numbers up to %v", what, x[i],
				y[i], d.Dst[i], dl, off/ulp[float32](slopeSize), slopeSize)
		}
	}
}

// A sweptRow is a float32 row and a target, with distributions far from each other and near.
type sweptRow struct{ x, t []float32 }

// sweep draws a row of n elements; few is the number of values that they have, 0 for any.
func sweep(rng *rand.Rand, n, few int) sweptRow {
	r := sweptRow{make([]float32, n), make([]float32, n)}
	spread, offset := math.Exp(6*rng.Float64()-2), 5*rng.NormFloat64()
	values := make([]float64, few)
	for i := range values {
		values[i] = spread * rng.NormFloat64()
	}
	for i := range r.x {
		if few > 0 {
			r.x[i] = float32(offset + values[min(rng.IntN(few), rng.IntN(few))])
		} else {
			r.x[i] = float32(offset + spread*rng.NormFloat64())
		}
	}
	p := longRowOf(r.x)
	way, near, heavy := rng.IntN(5), math.Exp(-12*rng.Float64()), rng.IntN(n)
	for i, v := range r.x {
		q := math.Exp(float64(v)-p.max) / p.sum
		switch way {
		case 0:
			q = max(0, q*(1+near*rng.NormFloat64()))
		case 1:
			q = math.Exp(3*rng.NormFloat64()) / float64(n)
		case 2:
			q *= math.Exp(5 * near * rng.NormFloat64())
		case 3:
			if q /= 2; i == heavy {
				q += 0.5
			}
		case 4:
			q = boolFloat(i == heavy) * (1 - near)
		}
		r.t[i] = float32(q)
	}
	return r
}

// TestRowSweep holds the losses of float32 rows to a unit of the last place or 1e-14. For rows of a
// few values, whose errors do not average out, it is what one such error comes to.
//
// The reference is float64 with compensated sums: its terms are good to 2^-51 of numbers up to 100,
// which is below 1e-13, and where less than a hundredth of the terms is left to 1e-11: a 5,000th of
// a unit.
func TestRowSweep(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 17)
		for round := range short(3000, 300) * *sweepFactor {
			n, few := 1+rng.IntN(400), max(0, rng.IntN(8)-2)
			if round%20 == 0 {
				n = blockLen - 100 + rng.IntN(4*blockLen)
			}
			r := sweep(rng, n, few)
			p := longRowOf(r.x)
			logs := math.Log1p(p.rest)
			var kl, cross, entropy exactSum
			for i, v := range r.x {
				log := (float64(v) - p.max) - logs
				if q := float64(r.t[i]); q != 0 {
					kl.add(q * (math.Log(q) - log))
					cross.add(-q * log)
				}
				if q := math.Exp(log); q != 0 {
					entropy.add(-q * log)
				}
			}
			loss, total := 1.0, totalUlps32
			if few > 0 {
				loss, total = 6, 2
			}
			hold := func(what string, got, want, limit float64) {
				t.Helper()
				if e := ulps(float32(got), want); e > limit && math.Abs(got-want) > 1e-14*max(1, cross.value()) {
					t.Errorf("round %d, %d elements of %d values: %s is %v, want %v: %.2f units", round, n, few, what,
						got, want, e)
				}
			}
			hold("KL", KLRow(r.x, r.t), kl.value(), loss)
			hold("soft cross-entropy", SoftCrossEntropyRow(r.x, r.t, nil), cross.value(), loss)
			hold("entropy", EntropyRow(r.x), entropy.value(), loss)
			hold("cross-entropy", CrossEntropyRow(r.x, 0, nil), p.max-float64(r.x[0])+logs, loss)
			var l [1]float32
			LogSumExpRows(l[:], r.x, n)
			hold("log-sum-exp", float64(l[0]), p.max+logs, total)
		}
	})
}

// TestNearKL holds the divergence of nearly equal distributions to big floats: a unit or 1e-14.
func TestNearKL(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 18)
		for range short(30, 5) * *sweepFactor {
			n := 1 + rng.IntN(70)
			x := convert[float32](distributions[rng.IntN(2)].row(rng, n))
			p, r := make([]float32, n), bigOf(x)
			kl, near := newBig(0), math.Exp(-20*rng.Float64())
			for i := range p {
				log := new(big.Float).Sub(newBig(float64(x[i])), newBig(r.max))
				log.Sub(log, r.logs)
				p[i] = float32(math.Exp(toFloat(log)) * (1 + near*math.Tanh(rng.NormFloat64())))
				gap := new(big.Float).Sub(vectest.BigLog(newBig(float64(p[i]))), log)
				kl.Add(kl, gap.Mul(gap, newBig(float64(p[i]))))
			}
			checkValue[float32](t, fmt.Sprintf("KL of %v and %v", x, p), KLRow(x, p), toFloat(kl))
		}
	})
}
