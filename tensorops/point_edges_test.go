package tensorops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// pointForms are the ways of calling PointSum.
var pointForms = []string{"plain", "weights", "values", "sum", "stream", "over X", "over T", "all"}

// pointForm fills d for a form; weights and memory for results come from the arguments.
func pointForm[F Float](form string, d *PointData[F], w, dst, values []F) {
	switch form {
	case "plain":
		d.Dst = dst
	case "weights":
		d.W, d.Dst = w, dst
	case "values":
		d.Values, d.Dst = values, dst
	case "sum":
	case "stream":
		d.Dst, d.Stream = dst, true
	case "over X":
		d.Dst = d.X
	case "over T":
		d.Dst = d.T
	case "all":
		d.W, d.Values, d.Dst, d.Stream = w, values, d.X, true
	}
}

// TestPointLengths calls every loss in every form at every length up to 130 and around the blocks,
// between bands of NaN and at every alignment: nothing outside changes, and what an element gets is
// what it gets alone.
func TestPointLengths(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testPointLengths[float32])
		t.Run("float64", testPointLengths[float64])
	})
}

func testPointLengths[F Float](t *testing.T) {
	const longest = pointBlock + pointGroup + 1
	lengths := []int{pointBlock - 1, pointBlock, longest}
	for n := range 131 { // all of 0 to 130
		lengths = append(lengths, n)
	}
	for at, c := range pointCases() {
		if !HasPoint[F](c.Point) {
			continue
		}
		rng := rand.New(rand.NewPCG(1100, uint64(at)))
		x, y := pointOperands[F](c, rng, longest)
		w, wantD, wantL := make([]F, longest), make([]F, longest), make([]F, longest)
		alone := make([]float64, longest)
		for i := range x {
			w[i] = F(rng.IntN(3)) / 2
			one := PointData[F]{X: x[i : i+1], T: y[i : i+1], Dst: wantD[i : i+1], Values: wantL[i : i+1]}
			alone[i] = PointSum(c.Point, &one, -0.75)
		}
		for _, n := range lengths {
			form := pointForms[rng.IntN(len(pointForms))]
			own := func(s []F) ([]F, func() bool) {
				g, intact := guarded[F](n, rng.IntN(17))
				copy(g, s)
				return g, intact
			}
			gx, xIntact := own(x)
			gy, yIntact := own(y)
			gw, wIntact := own(w)
			dst, dIntact := own(nil)
			values, lIntact := own(nil)
			d := PointData[F]{X: gx, T: gy}
			pointForm(form, &d, gw, dst, values)
			sum := PointSum(c.Point, &d, -0.75)
			what := fmt.Sprintf("%v, %s, n=%d", c, form, n)
			if !xIntact() || !yIntact() || !wIntact() || !dIntact() || !lIntact() {
				t.Fatalf("%s: wrote outside", what)
			}
			want, size := 0.0, 0.0
			for i := range n {
				weight := F(1)
				if d.W != nil {
					weight = w[i]
				}
				want += float64(weight) * alone[i]
				size += math.Abs(alone[i])
				// products with 0, 1/2 and 1 are exact
				if d.Values != nil && d.Values[i] != wantL[i]*weight && wantL[i]*weight > 0x1p-120 {
					t.Fatalf("%s: value %d is %v, alone %v", what, i, d.Values[i], wantL[i]*weight)
				}
				if d.Dst != nil && d.Dst[i] != wantD[i]*weight && math.Abs(float64(wantD[i]*weight)) > 0x1p-120 {
					t.Fatalf("%s: dst %d is %v, alone %v", what, i, d.Dst[i], wantD[i]*weight)
				}
			}
			// four terms of a lane are added in the elements' type: three roundings
			tolerance := 3 * 0x1p-24
			if !isFloat32[F]() {
				tolerance = 1e-12
			}
			if !(math.Abs(sum-want) <= tolerance*size) {
				t.Fatalf("%s: sum %v, want %v", what, sum, want)
			}
		}
	}
}

// TestPointWeightsOfZero puts what is no number of the domain under weights of 0.
func TestPointWeightsOfZero(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testPointWeightsOfZero[float32])
		t.Run("float64", testPointWeightsOfZero[float64])
	})
}

func testPointWeightsOfZero[F Float](t *testing.T) {
	hostile := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -3, 3e38, 0}
	for at, c := range pointCases() {
		rng := rand.New(rand.NewPCG(1300, uint64(at)))
		for _, n := range []int{1, 31, 32, 100} {
			x, y := pointOperands[F](c, rng, n)
			w, clean := make([]F, n), make([]F, n)
			gx, gy := append([]F(nil), x...), append([]F(nil), y...)
			for i := range w {
				if clean[i], w[i] = F(rng.Float64()), 0; i%3 != 0 {
					w[i] = clean[i]
					continue
				}
				gx[i], gy[i] = F(hostile[rng.IntN(len(hostile))]), F(hostile[rng.IntN(len(hostile))])
			}
			want := PointData[F]{X: x, T: y, W: w, Dst: make([]F, n), Values: make([]F, n)}
			got := PointData[F]{X: gx, T: gy, W: w, Dst: make([]F, n), Values: make([]F, n)}
			wantSum, sum := PointSum(c.Point, &want, 2), PointSum(c.Point, &got, 2)
			if sum != wantSum || sum != sum {
				t.Errorf("%v: sum %v, without what has no weight %v", c, sum, wantSum)
			}
			for i := range w {
				if got.Dst[i] != want.Dst[i] || got.Values[i] != want.Values[i] || w[i] == 0 && (got.Dst[i] != 0 || got.Values[i] != 0) {
					t.Errorf("%v: element %d has %v and %v with weight %v, want %v and %v", c, i, got.Values[i],
						got.Dst[i], w[i], want.Values[i], want.Dst[i])
				}
			}
		}
	}
}

// TestPointNeighbours puts elements whose loss leaves float32, is infinite or NaN among others:
// they get what they get in float64, the others what they had.
func TestPointNeighbours(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for at, c := range pointCases() {
			const n = 200
			x, y := pointOperands[float32](c, rand.New(rand.NewPCG(1500, uint64(at))), n)
			dst, values := make([]float32, n), make([]float32, n)
			PointSum(c.Point, &PointData[float32]{X: x, T: y, Dst: dst, Values: values}, 0.5)
			for _, bad := range [][2]float64{{3e38, -3e38}, {math.Inf(1), 1}, {math.Inf(-1), 1}, {1, math.Inf(1)}, {math.NaN(), 1}, {1, math.NaN()}, {90, 1}, {-90, 1},
				{0.5, -2}, {0, 0}, {1, 0}, {-1e25, 1}, {1e25, 1}, {3e38, 1e38}, {-3e38, -1e38},
				{1e-40, 2e-40}} {
				const k = 77
				gx, gy := append([]float32(nil), x...), append([]float32(nil), y...)
				gx[k], gy[k] = float32(bad[0]), float32(bad[1])
				want, slope := pointFuncs[c.Loss](c.Point, float64(gx[k]), float64(gy[k]), 1)
				gotD, gotL := make([]float32, n), make([]float32, n)
				sum := PointSum(c.Point, &PointData[float32]{X: gx, T: gy, Dst: gotD, Values: gotL}, 0.5)
				over := PointSum(c.Point, &PointData[float32]{X: gx, T: gy, Dst: gx}, 0.5)
				alone := PointSum(c.Point, &PointData[float32]{X: []float32{float32(bad[0])}, T: gy[k : k+1]}, 0.5)
				if !same(over, sum) {
					t.Errorf("%v with %v: sum %v, in place %v", c, bad, sum, over)
				}
				if finite(want) != finite(sum) || finite(want) != finite(alone) {
					t.Errorf("%v at %v: sums %v and alone %v, want %v", c, bad, sum, alone, want)
				}
				for i := range dst {
					if i == k {
						continue
					}
					if !same(float64(gotD[i]), float64(dst[i])) || !same(float64(gotL[i]), float64(values[i])) || !same(float64(gx[i]), float64(dst[i])) {
						t.Fatalf("%v: element %d has %v and %v beside %v, before %v and %v", c, i, gotL[i], gotD[i],
							bad, values[i], dst[i])
					}
				}
				// ordinary accuracy is tested elsewhere: this is about limits, and kernels that
				// miss them by far
				near := func(got float32, want float64) bool {
					return same(float64(got), float64(float32(want))) || math.Abs(float64(got)-want) <= 1e-5*max(1,
						math.Abs(want))
				}
				if !near(gotL[k], want) || want == want && !near(gotD[k], 0.5*slope) {
					t.Errorf("%v at %v is %v with the derivative %v, want %v and %v", c, bad, gotL[k], gotD[k], want,
						0.5*slope)
				}
			}
		}
	})
}

// TestPointParameters takes parameters that no kernel has the range for.
func TestPointParameters(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, p := range []Point{{Loss: Huber, A: 1e-30}, {Loss: Huber, A: 1e30}, {Loss: PseudoHuber, A: 1e-25}, {Loss: PseudoHuber, A: 1e25}, {Loss: Charbonnier, A: 1e-30},
			{Loss: Cauchy, A: 1e-30}, {Loss: Welsch, A: 1e200}, {Barron, 1e-20, 1, 0}, {Barron, 1.9999999, 1, 0},
			{Barron, -1e6, 1, 0}, {Loss: MAPE, A: 1e-40},
			{Loss: Tweedie, A: 1 + 1e-15}, {Loss: NegativeBinomial, A: 1e-25}, {SigmoidFocal, 2, 1e-30, 1}} {
			x, y := []float32{0.5, -1, 3, 1, 0.25}, []float32{0.25, 1, 0, 1, 0.75}
			d := PointData[float32]{X: x, T: y, Dst: make([]float32, len(x)), Values: make([]float32, len(x))}
			PointSum(p, &d, 0.5)
			for i := range x {
				l, slope := pointFuncs[p.Loss](p, float64(x[i]), float64(y[i]), 1)
				if d.Values[i] != float32(l) || d.Dst[i] != float32(0.5*slope) { // rounded once
					t.Errorf("%v at (%v, %v) is %v with the derivative %v, want %v and %v", p, x[i], y[i],
						d.Values[i], d.Dst[i], l, 0.5*slope)
				}
			}
		}
	})
}

// TestPointPositive holds the weights of the positive class and smoothing to the formula, with NaN
// in the weights where nothing counts.
func TestPointPositive(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testPointPositive[float32])
		t.Run("float64", testPointPositive[float64])
	})
}

func testPointPositive[F Float](t *testing.T) {
	rng := newRand(t, 81)
	for _, smoothing := range []float64{0, 0.1, 1} {
		c := pointCase{Point{Loss: BinaryCrossEntropy, A: smoothing}, unitTarget, anyNumber}
		own, largest, absolute := pointTolerance[F](c.Point)
		for _, n := range []int{1, 31, 32, 100, pointBlock + 3} {
			x, y := pointOperands[F](c, rng, n)
			d := PointData[F]{X: x, T: y, W: make([]F, n), V: make([]F, n), Dst: make([]F, n), Values: make([]F, n)}
			for i := range x {
				d.W[i], d.V[i] = F(rng.Float64()), F(3*rng.Float64())
				if i%5 == 0 {
					d.W[i], x[i], d.V[i] = 0, F(math.NaN()), F(math.NaN())
				}
			}
			sum, want, size := PointSum(c.Point, &d, -0.25), 0.0, 0.0
			for i := range x {
				if d.W[i] == 0 {
					if d.Values[i] != 0 || d.Dst[i] != 0 {
						t.Errorf("smoothing %v: element %d without weight has %v and %v", smoothing, i, d.Values[i],
							d.Dst[i])
					}
					continue
				}
				w, v := float64(d.W[i]), float64(d.V[i])
				l, slope := pointFuncs[BinaryCrossEntropy](c.Point, float64(x[i]), float64(y[i]), v)
				o := logitOf(float64(x[i]), v*(float64(y[i])*(1-smoothing)+smoothing/2),
					(1-float64(y[i]))*(1-smoothing)+smoothing/2)
				want += w * l
				size += w * l
				// the weights add products: 3 units more
				if !(math.Abs(float64(d.Values[i])-w*l) <= 2*(own+largest)*w*l+absolute) {
					t.Errorf("smoothing %v at (%v, %v), %v·%v is %v, want %v", smoothing, x[i], y[i], w, v,
						d.Values[i], w*l)
				}
				if !(math.Abs(float64(d.Dst[i])+0.25*w*slope) <= 2*(own+largest)*0.25*w*max(o.q, (1+v)*o.s)+absolute) {
					t.Errorf("smoothing %v at (%v, %v), %v·%v has the derivative %v, want %v", smoothing, x[i], y[i],
						w, v, d.Dst[i], -0.25*w*slope)
				}
			}
			if !(math.Abs(sum-want) <= 2*largest*size+absolute) {
				t.Errorf("smoothing %v: sum %v, want %v", smoothing, sum, want)
			}
		}
	}
}

// TestPointInstructionSets demands the same bits from AVX2 and AVX-512.
func TestPointInstructionSets(t *testing.T) {
	if len(vec.Available()) < vec.Levels {
		t.Skip("this build or processor has not both AVX2 and AVX-512")
	}
	t.Run("float32", testPointInstructionSets[float32])
	t.Run("float64", testPointInstructionSets[float64])
}

func testPointInstructionSets[F Float](t *testing.T) {
	lengths := []int{1, 33, 130, pointBlock + 77}
	if testing.Short() {
		lengths = lengths[1:3]
	}
	for at, c := range pointCases() {
		rng := rand.New(rand.NewPCG(1700, uint64(at)))
		for _, n := range lengths {
			for _, form := range pointForms {
				x, y := pointOperands[F](c, rng, n)
				w := make([]F, n)
				for i := range w {
					w[i] = F(rng.IntN(3)) * F(rng.Float64())
				}
				x[rng.IntN(n)], y[rng.IntN(n)] = F(math.Inf(1)), F(math.NaN())
				var sums []float64
				var results [][]F
				atLevels(func(vec.Level) {
					d := PointData[F]{X: append([]F(nil), x...), T: append([]F(nil), y...)}
					pointForm(form, &d, w, make([]F, n), make([]F, n))
					sums = append(sums, PointSum(c.Point, &d, 0.3))
					results = append(results, append(append([]F(nil), d.Dst...), d.Values...))
				})
				if !same(sums[0], sums[1]) {
					t.Errorf("%v, %s, n=%d: sums %v and %v", c, form, n, sums[0], sums[1])
				}
				for i, v := range results[0] {
					if !same(float64(v), float64(results[1][i])) {
						t.Fatalf("%v, %s, n=%d: result %d is %v and %v", c, form, n, i, v, results[1][i])
					}
				}
			}
		}
	}
}

// TestAVX2Registers looks for registers in the AVX2 kernels that only AVX-512 has: the generator
// may run out of the sixteen.
func TestAVX2Registers(t *testing.T) {
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	upper := regexp.MustCompile(`\b[XYZ](1[6-9]|2\d|3[01])\b`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kernel, kernels := "", 0
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "TEXT ·"); ok {
				if kernel, _, _ = strings.Cut(name, "("); strings.HasSuffix(kernel, "AVX2") {
					kernels++
				}
			}
			if strings.HasSuffix(kernel, "AVX2") && upper.MatchString(line) {
				t.Fatalf("%s in %s: %s", kernel, file, line)
			}
		}
		if kernels == 0 {
			t.Errorf("%s has no AVX2 kernels", file)
		}
	}
}

func TestPointPanics(t *testing.T) {
	x, short := make([]float32, 3), make([]float32, 2)
	for _, d := range []PointData[float32]{{X: x, T: short}, {X: short, T: x}, {X: x, T: x, W: short}, {X: x, T: x, V: short}, {X: x, T: x, Values: short},
		{X: x, T: x, Dst: short}, {X: x}, {X: x, T: x, W: []float32{}}} {
		mustPanic(t, "tensorops: length mismatch", func() { PointSum(Point{}, &d, 1) })
	}
}

func TestPointAllocations(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		const n = pointBlock + 7
		d := PointData[float32]{X: make([]float32, n), T: make([]float32, n), W: make([]float32, n), Values: make([]float32, n), Dst: make([]float32, n)}
		for i := range d.T {
			d.T[i], d.W[i] = 1, 1
		}
		d.X[5] = 3e38 // leaves float32
		for _, c := range pointCases() {
			if got := testing.AllocsPerRun(5, func() { PointSum(c.Point, &d, 1) }); got > 0 && !raceEnabled {
				t.Errorf("%v: %v allocations", c, got)
			}
		}
	})
}

// BenchmarkPoint measures value and gradient of 1024x1000 elements on one core, beside "sum", the
// value alone.
func BenchmarkPoint(b *testing.B) {
	const n = 1024 * 1000
	seen := map[PointLoss]bool{}
	for _, c := range pointCases() {
		if seen[c.Loss] {
			continue
		}
		seen[c.Loss] = true
		rng := rand.New(rand.NewPCG(91, 1))
		x, y := pointOperands[float32](c, rng, n)
		w, v, dst, values := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range x {
			if c.Loss != BinaryCrossEntropyFromProb {
				x[i] = float32(rng.NormFloat64())
			}
			w[i], v[i] = rng.Float32(), rng.Float32()
		}
		forms := append([]string(nil), pointForms[:4]...)
		if c.Loss == BinaryCrossEntropy {
			forms = append(forms, "positive")
		}
		for _, form := range forms {
			d := PointData[float32]{X: x, T: y}
			if form == "positive" {
				d.V, d.Dst = v, dst
			} else {
				pointForm(form, &d, w, dst, values)
			}
			b.Run(fmt.Sprintf("loss=%s/form=%s", pointNames[c.Loss], form), func(b *testing.B) {
				benchLoop(b, 4*n, func() { PointSum(c.Point, &d, 0.5) })
			})
		}
	}
}
