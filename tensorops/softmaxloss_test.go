package tensorops

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// softmaxCase is a loss with its options; weights are drawn where it has them.
type softmaxCase struct {
	name                              string
	scale, cap, smooth, zloss         float64
	weights, curve, ignored, soft, kl bool
}

// softmaxCases are the options one by one and together.
var softmaxCases = []softmaxCase{
	{name: "plain", scale: 1},
	{name: "ignored", scale: 1, ignored: true},
	{name: "scale", scale: 1 / 0.7},
	{name: "smoothing", scale: 1, smooth: 0.1},
	{name: "weights", scale: 1, weights: true},
	{name: "zloss", scale: 1, zloss: 1e-2},
	{name: "softcap", scale: 1, cap: 5},
	{name: "all", scale: 1 / 0.7, smooth: 0.1, weights: true, zloss: 1e-2, ignored: true},
	{name: "allcapped", scale: 1 / 0.7, cap: 5, smooth: 0.1, weights: true, zloss: 1e-2, ignored: true},
	{name: "curve", scale: 1 / 0.7, weights: true, curve: true, ignored: true},
	{name: "soft", scale: 1, soft: true},
	{name: "softall", scale: 1 / 0.7, smooth: 0.1, weights: true, zloss: 1e-2, ignored: true, soft: true},
	{name: "softcapped", scale: 1 / 0.7, cap: 5, smooth: 0.1, weights: true, ignored: true, soft: true},
	{name: "kl", scale: 1, soft: true, kl: true},
	{name: "klscale", scale: 1 / 0.7, soft: true, kl: true, ignored: true},
}

// halved is a curve with simple derivatives: φ(s) = s²/2.
func halved(value, slope, nll []float64) {
	for i, s := range nll {
		value[i], slope[i] = s*s/2, s
	}
}

// softmaxInput is a batch for a case.
type softmaxInput[F Float] struct {
	softmaxCase
	classes, inner, rows int
	x, t                 []F
	labels               []int
	g, w                 []float64
}

// newSoftmaxInput draws logits of the given deviation.
func newSoftmaxInput[F Float](rng *rand.Rand, c softmaxCase, rows, classes, inner int, dev float64) *softmaxInput[F] {
	in := &softmaxInput[F]{softmaxCase: c, classes: classes, inner: inner, rows: rows}
	in.x, in.t = make([]F, rows*classes), make([]F, rows*classes)
	for i := range in.x {
		in.x[i] = F(dev * rng.NormFloat64())
	}
	in.labels, in.g = make([]int, rows), make([]float64, rows)
	for i := range in.labels {
		in.labels[i], in.g[i] = rng.IntN(classes), 1+rng.Float64()
		at, sum := place(i, classes, inner), 0.0
		for c := range classes {
			v := math.Exp(2 * rng.NormFloat64())
			in.t[at+c*inner] = F(v)
			sum += v
		}
		for c := range classes {
			in.t[at+c*inner] /= F(sum)
		}
		if c.ignored && i%5 == 2 {
			in.labels[i], in.g[i] = -1, in.g[i]*float64(i%2)
			if c.soft {
				in.g[i] = 0
			}
			in.x[at] = F(math.NaN()) // never read
			in.t[at] = F(math.NaN())
		}
	}
	if c.weights {
		in.w = make([]float64, classes)
		for i := range in.w {
			in.w[i] = 0.5 + rng.Float64()
		}
	}
	return in
}

func (in *softmaxInput[F]) label() *LabelSoftmax {
	o := &LabelSoftmax{Classes: in.classes, Inner: in.inner, Scale: in.scale, Softcap: in.cap, Smoothing: in.smooth, ZLoss: in.zloss, Weights: in.w}
	if in.curve {
		o.Curve = halved
	}
	return o
}

func (in *softmaxInput[F]) target() *TargetSoftmax {
	return &TargetSoftmax{Classes: in.classes, Inner: in.inner, Scale: in.scale, Softcap: in.cap, Smoothing: in.smooth, ZLoss: in.zloss, Weights: in.w, KL: in.kl}
}

// run writes rows lo to hi-1; values and dst may be nil.
func (in *softmaxInput[F]) run(values []float64, dst []F, lo, hi int) {
	if in.soft {
		TargetSoftmaxRows(values, dst, in.x, in.t, lo, hi, in.g[lo:hi], in.target())
		return
	}
	LabelSoftmaxRows(values, dst, in.x, lo, hi, in.labels[lo:hi], in.g[lo:hi], in.label())
}

// wide is the same batch with float64 elements.
func (in *softmaxInput[F]) wide() *softmaxInput[float64] {
	out := &softmaxInput[float64]{softmaxCase: in.softmaxCase, classes: in.classes, inner: in.inner, rows: in.rows,
		labels: in.labels, g: in.g, w: in.w}
	for i := range in.x {
		out.x, out.t = append(out.x, float64(in.x[i])), append(out.t, float64(in.t[i]))
	}
	return out
}

// byRows computes the batch by the row functions, in float64.
func (in *softmaxInput[F]) byRows() (values, dst []float64) {
	wide, w := in.wide(), new(softmaxWork)
	values, dst = make([]float64, in.rows), make([]float64, len(in.x))
	for i := range in.rows {
		if in.soft {
			targetRow(w, values, dst, wide.x, wide.t, i, 0, in.g[i], in.target())
		} else {
			labelRow(w, values, dst, wide.x, i, 0, in.labels[i], in.g[i], in.label())
		}
	}
	return values, dst
}

// TestSoftmaxRowsExactly compares the row functions with the formulas in 160 bits.
func TestSoftmaxRowsExactly(t *testing.T) {
	rng := newRand(t, 7)
	for _, c := range softmaxCases {
		for _, classes := range []int{1, 2, 3, 10, 40} {
			in := newSoftmaxInput[float64](rng, c, 7, classes, 1, 3)
			values, dst := in.byRows()
			for i := range in.rows {
				if in.g[i] == 0 || in.labels[i] < 0 {
					if values[i] != 0 {
						t.Errorf("%s, %d classes: value %v of a row that is left out", c.name, classes, values[i])
					}
					continue
				}
				l, grad, size := in.exact(i)
				// 1e-14 of the terms that cancel covers the rounding of exponentials, sums and
				// logarithms.
				if !(math.Abs(values[i]-l) <= 1e-14*size) {
					t.Errorf("%s, %d classes: value %v, want %v", c.name, classes, values[i], l)
				}
				for k, want := range grad {
					if got := dst[i*classes+k]; !(math.Abs(got-want) <= 1e-14*(math.Abs(want)+size*in.g[i])) {
						t.Errorf("%s, %d classes: gradient %v, want %v", c.name, classes, got, want)
					}
				}
			}
		}
	}
}

// exact returns value and gradient of row i, and the size of the terms they are made of. Inner is
// 1.
func (in *softmaxInput[F]) exact(i int) (l float64, grad []float64, size float64) {
	n := in.classes
	num := func() *big.Float { return newBig(0) }
	z, d, e := make([]*big.Float, n), make([]*big.Float, n), make([]*big.Float, n)
	sum := num()
	for c := range n {
		x, s := newBig(float64(in.x[i*n+c])), newBig(in.scale)
		z[c], d[c] = num().Mul(x, s), s
		if in.cap != 0 {
			// tanh u = 1 - 2/(exp(2u) + 1)
			u := vectest.BigExp(num().Quo(num().Mul(x, newBig(2)), newBig(in.cap)))
			tanh := num().Sub(newBig(1), num().Quo(newBig(2), u.Add(u, newBig(1))))
			z[c] = num().Mul(num().Mul(newBig(in.cap), tanh), s)
			d[c] = num().Mul(num().Sub(newBig(1), num().Mul(tanh, tanh)), s)
		}
		e[c] = vectest.BigExp(z[c])
		sum.Add(sum, e[c])
	}
	logSum := vectest.BigLog(sum)
	total := toFloat(logSum)
	a, mass, value := make([]*big.Float, n), num(), num()
	size = 1 + math.Abs(total)
	for c := range n {
		t := newBig(0)
		if in.soft {
			t = newBig(float64(in.t[i*n+c]))
		} else if in.labels[i] == c {
			t = newBig(1)
		}
		t.Mul(t, num().Sub(newBig(1), newBig(in.smooth)))
		t.Add(t, num().Quo(newBig(in.smooth), newBig(float64(n))))
		q := num().Set(t)
		if in.w != nil {
			t.Mul(t, newBig(in.w[c]))
		}
		a[c] = t
		mass.Add(mass, t)
		s := num().Sub(logSum, z[c])
		size += toFloat(t) * (math.Abs(total) + math.Abs(toFloat(z[c])))
		if in.kl && q.Sign() > 0 {
			s.Add(s, vectest.BigLog(q))
		}
		value.Add(value, num().Mul(t, s))
	}
	drift := num().Mul(newBig(2*in.zloss), logSum)
	value.Add(value, num().Mul(num().Mul(newBig(in.zloss), logSum), logSum))
	factor := newBig(in.g[i])
	if in.curve {
		s := num().Sub(logSum, z[in.labels[i]])
		w := newBig(in.w[in.labels[i]])
		factor.Mul(factor, s)
		value = num().Quo(num().Mul(num().Mul(s, s), w), newBig(2))
	}
	for c := range n {
		v := num().Sub(num().Mul(num().Add(mass, drift), num().Quo(e[c], sum)), a[c])
		grad = append(grad, toFloat(v.Mul(v.Mul(v, d[c]), factor)))
	}
	return toFloat(value), grad, size
}

// near reports whether got is want rounded once to F, up to what float64 loses: floor is the size
// of the terms.
func softmaxNear[F Float](got F, want, floor float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return same(float64(got), want)
	}
	off := math.Abs(float64(got) - want)
	if isFloat32[F]() {
		// Half a unit is the rounding. Exponentials are good to 2^-43, those under a softcap to
		// 2^-37.
		return off <= 0.5001*ulp[F](want)+1e-12*floor || got == 0 && math.Abs(want) < 0x1p-125
	}
	return off <= 1e-13*math.Abs(want)+1e-14*floor
}

func testSoftmaxLayouts[F Float](t *testing.T, classes []int, inners []int) {
	for _, c := range softmaxCases {
		for _, n := range classes {
			for _, inner := range inners {
				rng := newRand(nil, uint64(1000*n+inner))
				outer := 1 + 37/inner
				in := newSoftmaxInput[F](rng, c, outer*inner, n, inner, 3)
				want, wantD := in.byRows()
				values, dst := make([]float64, in.rows), make([]F, len(in.x))
				in.run(values, dst, 0, in.rows)
				only := make([]float64, in.rows)
				in.run(only, nil, 0, in.rows)
				for i, v := range values {
					if v != only[i] {
						t.Fatalf("%s %dx%dx%d: value %v of row %d, alone %v", c.name, outer, n, inner, v, i, only[i])
					}
					if !softmaxNear(F(v), want[i], 10) {
						t.Fatalf("%s %dx%dx%d: value %v of row %d, want %v", c.name, outer, n, inner, v, i, want[i])
					}
				}
				for i, v := range dst {
					if !softmaxNear(v, wantD[i], 10) {
						t.Fatalf("%s %dx%dx%d: gradient %v at %d, want %v", c.name, outer, n, inner, v, i, wantD[i])
					}
				}
			}
		}
	}
}

func TestSoftmaxLayouts(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		var counts []int
		for n := 1; n <= 70; n++ {
			counts = append(counts, n)
		}
		for _, inners := range [][]int{{1}, {2, 16}, {5, 33}} {
			testSoftmaxLayouts[float32](t, counts, inners)
			testSoftmaxLayouts[float64](t, counts, inners)
			counts = []int{1, 2, 3, 4, 9, 32, 33, 128, 129, 300}
		}
	})
}

// TestSoftmaxEachInner covers every number of rows that lie side by side.
func TestSoftmaxEachInner(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for inner := 1; inner <= 35; inner++ {
			testSoftmaxLayouts[float32](t, []int{5}, []int{inner})
		}
	})
}

// TestSoftmaxRanges checks that a row does not depend on the rows beside it, on the range that it
// is in, or on the place of the result.
func TestSoftmaxRanges(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testSoftmaxRanges[float32](t)
		testSoftmaxRanges[float64](t)
	})
}

func testSoftmaxRanges[F Float](t *testing.T) {
	for _, c := range softmaxCases {
		for _, shape := range [][2]int{{3, 1}, {21, 1}, {21, 7}, {21, 20}, {40, 1}, {700, 1}} {
			classes, inner := shape[0], shape[1]
			rng := newRand(nil, uint64(classes+inner))
			in := newSoftmaxInput[F](rng, c, 6*inner+36/inner*inner, classes, inner, 3)
			at := place(9, classes, inner)
			for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 3e38, -3e38, 900} {
				if classes > i {
					in.x[place(9+i, classes, inner)] = F(v)
				}
			}
			for c := range classes { // a row of one 1
				in.t[at+c*inner] = 0
			}
			in.t[at+(classes-1)*inner] = 1
			values, dst := make([]float64, in.rows), make([]F, len(in.x))
			in.run(values, dst, 0, in.rows)
			part, partD := make([]float64, in.rows), make([]F, len(in.x))
			for lo := 0; lo < in.rows; {
				hi := min(lo+1+rng.IntN(20), in.rows)
				in.run(part[lo:hi], partD, lo, hi)
				lo = hi
			}
			name := fmt.Sprintf("%s, %d classes, inner %d", c.name, classes, inner)
			sameBits(t, name+", in ranges", part, values)
			sameBits(t, name+", in ranges", partD, dst)
			in.run(part, in.x, 0, in.rows)
			sameBits(t, name+", in place", part, values)
			sameBits(t, name+", in place", in.x, dst)
		}
	}
}

func sameBits[F Float](t *testing.T, name string, got, want []F) {
	t.Helper()
	for i := range got {
		if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: %v at %d, want %v", name, got[i], i, want[i])
		}
	}
}
