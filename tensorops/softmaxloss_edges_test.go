package tensorops

import (
	"fmt"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// TestSoftmaxBits checks that AVX2 and AVX-512 give the same bits.
func TestSoftmaxBits(t *testing.T) {
	type result struct {
		values, dst64 []float64
		dst32         []float32
	}
	results := map[string][]result{}
	forEachImpl(t, func(t *testing.T) {
		name := vec.Active().String()
		if name == "generic" {
			return
		}
		for i, c := range softmaxCases {
			for _, shape := range [][2]int{{3, 1}, {21, 1}, {21, 16}, {50, 1}, {700, 1}} {
				rng := newRand(nil, uint64(i))
				rows := 32 / shape[1] * shape[1]
				in32 := newSoftmaxInput[float32](rng, c, rows, shape[0], shape[1], 4)
				in64 := newSoftmaxInput[float64](rng, c, rows, shape[0], shape[1], 4)
				r := result{make([]float64, 2*rows), make([]float64, len(in64.x)), make([]float32, len(in32.x))}
				in32.run(r.values[:rows], r.dst32, 0, rows)
				in64.run(r.values[rows:], r.dst64, 0, rows)
				results[name] = append(results[name], r)
			}
		}
	})
	for i, r := range results["avx512"] {
		want := results["avx2"][i]
		name := fmt.Sprintf("result %d", i)
		sameBits(t, name, r.values, want.values)
		sameBits(t, name, r.dst32, want.dst32)
		sameBits(t, name, r.dst64, want.dst64)
	}
}

// hardRows are rows that strain exponentials, with what is to come of label 0.
var hardRows = []struct {
	x     []float64
	value float64
	grad  float64 // at the label
}{
	{[]float64{math.NaN(), 0, 0}, math.NaN(), math.NaN()},
	{[]float64{0, math.NaN(), 0}, math.NaN(), math.NaN()},
	{[]float64{math.Inf(1), 0, 0}, math.NaN(), math.NaN()},
	{[]float64{0, math.Inf(1), 0}, math.NaN(), math.NaN()},
	{[]float64{math.Inf(-1), math.Inf(-1), math.Inf(-1)}, math.NaN(), math.NaN()},
	{[]float64{math.Inf(-1), 0, 0}, math.Inf(1), -1},
	{[]float64{0, math.Inf(-1), math.Inf(-1)}, 0, 0},
	{[]float64{0, math.Inf(-1), 0}, math.Ln2, -0.5},
	{[]float64{3e38, 3e38, -3e38}, math.Ln2, -0.5},
	{[]float64{-3e38, 3e38, 3e38}, 6e38, -1},
	{[]float64{1000, 1000, 0}, math.Ln2, -0.5},
	{[]float64{-1000, -1000, -5000}, math.Ln2, -0.5},
	{[]float64{0, 900, 0}, 900, -1},
	{[]float64{40, 0, math.Inf(-1)}, math.Exp(-40), -math.Exp(-40)},
	{[]float64{0, -80, -80}, 2 * math.Exp(-80), -2 * math.Exp(-80)},
}

// TestSoftmaxHostile puts hostile rows among ordinary ones, in every layout.
func TestSoftmaxHostile(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testSoftmaxHostile[float32](t)
		testSoftmaxHostile[float64](t)
	})
}

func testSoftmaxHostile[F Float](t *testing.T) {
	for _, classes := range []int{3, 5, 40, 700} {
		for _, inner := range []int{1, 20} {
			in := newSoftmaxInput[F](newRand(nil, 3), softmaxCases[0], 40, classes, inner, 1)
			for i, h := range hardRows {
				at := place(2*i, classes, inner)
				for c := range classes {
					in.x[at+c*inner] = F(math.Inf(-1))
					if c < 3 {
						in.x[at+c*inner] = F(h.x[c])
					}
				}
				in.labels[2*i], in.g[2*i] = 0, 1
			}
			values, dst := make([]float64, in.rows), make([]F, len(in.x))
			in.run(values, dst, 0, in.rows)
			for i, h := range hardRows {
				name := fmt.Sprintf("%s %v among %d classes, inner %d", dtypeName[F](), h.x, classes, inner)
				// 3e38 as a float32 is not 3e38; one unit of that is the value's error.
				if v := values[2*i]; !(math.Abs(v-h.value) <= 1e-7*math.Abs(h.value)) && !same(v, h.value) {
					t.Errorf("%s: value %v, want %v", name, v, h.value)
				}
				at := place(2*i, classes, inner)
				if d := dst[at]; ulps(d, h.grad) > 1 {
					t.Errorf("%s: gradient at the label %v, want %v", name, d, h.grad)
				}
				for c := 1; c < classes; c++ {
					d := float64(dst[at+c*inner])
					if masked := c >= 3 || math.IsInf(h.x[c], -1); h.grad != h.grad && d == d || h.grad == h.grad && masked && d != 0 {
						t.Errorf("%s: gradient %v at class %d", name, d, c)
					}
				}
			}
		}
	}
}

// TestSoftmaxOneHot checks that targets of one 1 give the numbers of labels, alone and beside
// others, to the bit.
func TestSoftmaxOneHot(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testSoftmaxOneHot[float32](t)
		testSoftmaxOneHot[float64](t)
	})
}

func testSoftmaxOneHot[F Float](t *testing.T) {
	for _, name := range []string{"plain", "all", "softcap"} {
		for _, c := range softmaxCases {
			if c.name != name {
				continue
			}
			for _, shape := range [][2]int{{1, 1}, {5, 1}, {5, 20}, {40, 1}, {400, 1}} {
				for _, every := range []int{1, 3} {
					classes, inner := shape[0], shape[1]
					c.ignored = false
					in := newSoftmaxInput[F](newRand(nil, 5), c, 40, classes, inner, 2)
					want, wantD := make([]float64, 40), make([]F, len(in.x))
					in.run(want, wantD, 0, 40)
					for i := 0; i < in.rows; i += every {
						for y := range classes {
							in.t[place(i, classes, inner)+y*inner] = 0
						}
						in.t[place(i, classes, inner)+in.labels[i]*inner] = 1
					}
					in.soft = true
					values, dst := make([]float64, 40), make([]F, len(in.x))
					in.run(values, dst, 0, 40)
					for i := 0; i < in.rows; i += every {
						if values[i] != want[i] {
							t.Fatalf("%s, %d classes: value %v of a target of one 1, label %v", name, classes,
								values[i], want[i])
						}
						for y := range classes {
							if at := place(i, classes, inner) + y*inner; dst[at] != wantD[at] {
								t.Fatalf("%s, %d classes: gradient %v of a target of one 1, label %v", name, classes,
									dst[at], wantD[at])
							}
						}
					}
				}
			}
		}
	}
}

// TestSoftmaxTargets checks what the call says of targets outside their domain.
func TestSoftmaxTargets(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, classes := range []int{3, 40, 400} {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), -0.1} {
				in := newSoftmaxInput[float32](newRand(nil, 5), softmaxCases[0], 20, classes, 1, 2)
				o := &TargetSoftmax{Classes: classes, Inner: 1, Scale: 1}
				values := make([]float64, 20)
				in.t[7*classes+1] = float32(math.Copysign(0, -1)) // a weight
				if !TargetSoftmaxRows(values, nil, in.x, in.t, 0, 20, in.g, o) {
					t.Errorf("%d classes: weights >= 0 refused", classes)
				}
				in.t[7*classes+1] = bad
				if TargetSoftmaxRows(values, nil, in.x, in.t, 0, 20, in.g, o) {
					t.Errorf("%d classes: weight %v accepted", classes, bad)
				}
				in.g[7] = 0
				if !TargetSoftmaxRows(values, nil, in.x, in.t, 0, 20, in.g, o) {
					t.Errorf("%d classes: a row of factor 0 was read", classes)
				}
			}
		}
	})
}

// TestSoftmaxTargetGradient compares the gradient by the targets with its formula, in 160 bits.
func TestSoftmaxTargetGradient(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, kl := range []bool{false, true} {
			in := newSoftmaxInput[float64](newRand(nil, 5), softmaxCase{name: "soft", scale: 2, soft: true, kl: kl},
				6, 7, 2, 2)
			in.t[3] = 0
			o := in.target()
			o.Wrt = 1
			dst := make([]float64, len(in.x))
			TargetSoftmaxRows(nil, dst, in.x, in.t, 0, 6, in.g, o)
			for i := range in.rows {
				z := make([]float64, 7)
				for c := range z {
					z[c] = 2 * in.x[place(i, 7, 2)+2*c]
				}
				row := newBigRow(z)
				for c := range z {
					at := place(i, 7, 2) + 2*c
					want := -row.logSoftmax(z[c])
					if kl && in.t[at] != 0 {
						want += math.Log(in.t[at]) + 1
					} else if kl {
						want = 0
					}
					// Four roundings of numbers up to 10, times the factor.
					if want *= in.g[i]; math.Abs(dst[at]-want) > 4e-15*max(1, math.Abs(in.g[i])) {
						t.Errorf("kl %v: %v, want %v", kl, dst[at], want)
					}
				}
			}
		}
	})
}

// TestSoftmaxKLNear checks that the divergence of equal distributions is 0, and that of near ones
// keeps its digits.
func TestSoftmaxKLNear(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		x := []float64{1, 2, 3, 4}
		p := make([]float64, 4)
		SoftmaxRows(p, x, 4)
		v := make([]float64, 1)
		o := &TargetSoftmax{Classes: 4, Inner: 1, Scale: 1, KL: true}
		// Probabilities are rounded, by up to 2e-16 of them: what is left is of the second order.
		if TargetSoftmaxRows(v, nil, x, p, 0, 1, []float64{1}, o); !(v[0] >= 0 && v[0] < 1e-30) {
			t.Errorf("divergence of equal distributions %v", v[0])
		}
		p[0], p[3] = p[0]+1e-6, p[3]-1e-6
		TargetSoftmaxRows(v, nil, x, p, 0, 1, []float64{1}, o)
		want := 1e-12 / 2 * (1/p[0] + 1/p[3]) // and 1e-6/p of it more or less
		if math.Abs(v[0]-want) > 1e-4*want {
			t.Errorf("divergence of near distributions %v, want %v", v[0], want)
		}
	})
}

// TestSoftmaxLongCapped holds float32 rows of more than 512 classes under a softcap to the unit in
// the last place that doc.go promises. Half a unit is the rounding; exponentials are good to 2^-28
// and 2^-32 of the logit, which is at most 72 here: a quarter of a unit. Where terms cancel, it is
// one of the largest of them.
func TestSoftmaxLongCapped(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, c := range softmaxCases {
			if c.cap == 0 || c.soft {
				continue
			}
			for _, inner := range []int{1, 16} {
				for _, dev := range []float64{3, 40} {
					in := newSoftmaxInput[float32](newRand(nil, uint64(inner)), c, 16, 600, inner, dev)
					in.cap = 10 * c.cap
					want, wantD := in.byRows()
					values, dst := make([]float64, in.rows), make([]float32, len(in.x))
					in.run(values, dst, 0, in.rows)
					for i, v := range values {
						if u := ulps(float32(v), want[i]); !(u <= 1) {
							t.Errorf("%s, inner %d, deviation %v: value %v, want %v: %.2f ulp", c.name, inner, dev, v,
								want[i], u)
						}
					}
					term := 0.0 // of the gradient's terms with smoothing
					if c.smooth > 0 {
						term = 2 * c.smooth * c.scale / 600
					}
					for i, v := range dst {
						if !(math.Abs(float64(v)-wantD[i]) <= ulp[float32](max(math.Abs(wantD[i]), term))) {
							t.Fatalf("%s, inner %d, deviation %v: gradient %v at %d, want %v", c.name, inner, dev, v,
								i, wantD[i])
						}
					}
				}
			}
		}
	})
}

func TestSoftmaxPanics(t *testing.T) {
	x, g := make([]float32, 6), make([]float64, 2)
	o := &LabelSoftmax{Classes: 3, Inner: 1, Scale: 1}
	label := func(f func(o *LabelSoftmax)) func() {
		return func() {
			c := *o
			f(&c)
			LabelSoftmaxRows(nil, nil, x, 0, 2, []int{0, 1}, g, &c)
		}
	}
	mustPanic(t, errLabel, func() { LabelSoftmaxRows(nil, nil, x, 0, 2, []int{0, 3}, g, o) })
	mustPanic(t, errLength, func() { LabelSoftmaxRows(nil, nil, x, 0, 2, []int{0}, g, o) })
	mustPanic(t, errLength, func() { LabelSoftmaxRows(nil, nil, x, 0, 3, []int{0, 0, 0}, make([]float64, 3), o) })
	mustPanic(t, errLength, func() { LabelSoftmaxRows(make([]float64, 1), nil, x, 0, 2, []int{0, 1}, g, o) })
	mustPanic(t, errLength, func() { LabelSoftmaxRows(nil, x[:3], x, 0, 2, []int{0, 1}, g, o) })
	mustPanic(t, errLength, label(func(o *LabelSoftmax) { o.Classes = 0 }))
	mustPanic(t, errLength, label(func(o *LabelSoftmax) { o.Inner = 4 }))
	mustPanic(t, errLength, label(func(o *LabelSoftmax) { o.Weights = make([]float64, 2) }))
	mustPanic(t, errLength, func() {
		TargetSoftmaxRows(nil, nil, x, x[:5], 0, 2, g, &TargetSoftmax{Classes: 3, Inner: 1, Scale: 1})
	})
}

// TestSoftmaxAllocations checks that calls after the first allocate nothing.
func TestSoftmaxAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget on purpose under the race detector")
	}
	forEachImpl(t, func(t *testing.T) {
		for _, c := range softmaxCases {
			for _, shape := range [][2]int{{2, 1}, {21, 1}, {21, 20}, {40, 1}, {700, 1}} {
				in := newSoftmaxInput[float32](newRand(nil, 5), c, 40, shape[0], shape[1], 2)
				values, dst := make([]float64, 40), make([]float32, len(in.x))
				label, target := in.label(), in.target()
				// A garbage collection may empty a pool during one of the runs.
				if n := testing.AllocsPerRun(50, func() {
					if c.soft {
						TargetSoftmaxRows(values, dst, in.x, in.t, 0, 40, in.g, target)
					} else {
						LabelSoftmaxRows(values, dst, in.x, 0, 40, in.labels, in.g, label)
					}
				}); n >= 1 {
					t.Errorf("%s, %v: %v allocations", c.name, shape, n)
				}
			}
		}
	})
}
