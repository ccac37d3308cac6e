package tensorops

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// Limits. A value may be one unit in the last place of float32 off, half of which is the rounding;
// a gradient element four units of the largest term that it is a difference of.
const (
	crossEntropyUlps = 1
	gradientUlps     = 4
	gradientUlps64   = 64 // float64 is held to a relative 1e-12 by the rule for references; this is tighter
)

// bigLoss is a cross-entropy in big floats: the value, the gradient, and the larger of the two
// terms of which each element of the gradient is the difference.
type bigLoss struct {
	value         float64
	grad, largest []float64
}

func bigCrossEntropy[F Float](x []F, t []float64, o *CrossEntropyOptions) bigLoss {
	z := make([]float64, len(x))
	for i, v := range x {
		z[i] = float64(v)
		if o != nil && o.Scale != 0 {
			z[i] *= o.Scale
		}
	}
	r := bigOf(z)
	open := 0
	for _, v := range z {
		if !math.IsInf(v, -1) {
			open++
		}
	}
	value, mass, masses := newBig(0), newBig(0), make([]*big.Float, len(x))
	for i, v := range z {
		a := newBig(1)
		a.Sub(a, newBig(o.smoothing())).Mul(a, newBig(t[i]))
		if !math.IsInf(v, -1) && o.smoothing() > 0 {
			share := newBig(o.smoothing())
			a.Add(a, share.Quo(share, newBig(float64(open))))
		}
		if o != nil && o.Weights != nil {
			a.Mul(a, newBig(o.Weights[i]))
		}
		masses[i] = a
		mass.Add(mass, a)
		switch {
		case a.Sign() == 0 || value.IsInf():
		case math.IsInf(v, -1):
			value.SetInf(false)
		default:
			gap := new(big.Float).Sub(newBig(r.max), newBig(v))
			gap.Add(gap, r.logs)
			value.Add(value, gap.Mul(gap, a))
		}
	}
	l := bigLoss{value: toFloat(value)}
	scale := 1.0
	if o != nil && o.Scale != 0 {
		scale = o.Scale
	}
	for i := range z {
		p := new(big.Float).Quo(r.exp[i], r.sum)
		p.Mul(p, mass)
		l.largest = append(l.largest, scale*max(toFloat(p), math.Abs(toFloat(masses[i]))))
		l.grad = append(l.grad, scale*toFloat(p.Sub(p, masses[i])))
	}
	return l
}

func oneHotOf(n, y int) []float64 {
	t := make([]float64, n)
	t[y] = 1
	return t
}

func checkLoss[F Float](t *testing.T, what string, got float64, grad []F, g float64, want bigLoss) {
	t.Helper()
	if isFloat32[F]() {
		if e := ulps(F(got), want.value); e > crossEntropyUlps {
			t.Errorf("%s: value %v, want %v: %.2f ulp", what, got, want.value, e)
		}
	} else if !near64(got, want.value) {
		t.Errorf("%s: value %v, want %v", what, got, want.value)
	}
	tiny, units := 0x1p-1021, float64(gradientUlps64)
	if isFloat32[F]() {
		tiny, units = 0x1p-125, gradientUlps
	}
	for i, v := range grad {
		limit := units * ulp[F](g*want.largest[i])
		if diff := math.Abs(float64(v) - g*want.grad[i]); diff > limit && !(v == 0 && math.Abs(g*want.grad[i]) < tiny) {
			t.Fatalf("%s: gradient[%d] = %v, want %v, off by %.2g ulp of the largest term", what, i, v,
				g*want.grad[i], diff/ulp[F](g*want.largest[i]))
		}
	}
}

func TestCrossEntropyAgainstBigFloats(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testCrossEntropy[float32])
		t.Run("float64", testCrossEntropy[float64])
	})
}

func testCrossEntropy[F Float](t *testing.T) {
	rng := newRand(t, 31)
	for at, n := range lengths() {
		if n > 20 && n%16 > 1 && n%16 < 15 || testing.Short() && n > blockLen+1 {
			continue // the loops' edges are at multiples of 16
		}
		d := distributions[at%len(distributions)]
		x := convert[F](d.row(rng, n))
		y := rng.IntN(n)
		if at%3 == 0 {
			y = active[F]().index(x, maxOf(x)) // the label's probability is near 1 in some distributions
		}
		g := []float64{1, 0.125, -3, 1e-3}[at%4]
		for _, o := range optionsFor(rng, n, at) {
			what := fmt.Sprintf("%s, n=%d, label %d, %+v", d.name, n, y, o)
			dst := make([]F, n)
			value := CrossEntropyGradRow(dst, x, y, g, o)
			checkLoss(t, what, value, dst, g, bigCrossEntropy(x, oneHotOf(n, y), o))
			if alone := CrossEntropyRow(x, y, o); alone != value {
				t.Errorf("%s: value %v alone, %v with the gradient", what, alone, value)
			}
			hot := convert[F](oneHotOf(n, y))
			soft := make([]F, n)
			if v := SoftCrossEntropyGradRow(soft, x, hot, g, o); v != value {
				t.Errorf("%s: value %v for the label, %v for the one-hot target", what, value, v)
			}
			for i := range soft {
				if soft[i] != dst[i] {
					t.Fatalf("%s: gradient[%d] = %v for the label, %v for the one-hot target", what, i, dst[i], soft[i])
				}
			}
			p := softTarget[F](rng, n)
			value = SoftCrossEntropyGradRow(dst, x, p, g, o)
			checkLoss(t, "soft, "+what, value, dst, g, bigCrossEntropy(x, widen(p), o))
			if alone := SoftCrossEntropyRow(x, p, o); alone != value {
				t.Errorf("soft, %s: value %v alone, %v with the gradient", what, alone, value)
			}
		}
	}
}

// optionsFor returns no options, smoothing, and in turn weights, a scale, all together.
func optionsFor(rng *rand.Rand, n, turn int) []*CrossEntropyOptions {
	weights := make([]float64, n)
	for i := range weights {
		weights[i] = 0.5 + rng.Float64()
	}
	return []*CrossEntropyOptions{nil, {Smoothing: 0.1}, []*CrossEntropyOptions{
		{Weights: weights}, {Scale: 0.5}, {Smoothing: 0.2, Weights: weights, Scale: 2},
	}[turn%3]}
}

func maxOf[F Float](x []F) F {
	m := x[0]
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func widen[F Float](x []F) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// softTarget draws a distribution with some zeros.
func softTarget[F Float](rng *rand.Rand, n int) []F {
	t, sum := make([]float64, n), 0.0
	for i := range t {
		if rng.IntN(4) > 0 {
			t[i] = rng.Float64()
		}
		sum += t[i]
	}
	for i := range t {
		t[i] /= max(sum, 1e-9)
	}
	return convert[F](t)
}

// Rows with classes masked by -Inf, also under smoothing, whose share goes to the others.
func TestCrossEntropyMaskedClasses(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 32)
		for _, n := range []int{2, 3, 10, 65, 1030} {
			x := convert[float32](distributions[1].row(rng, n))
			for i := 1; i < n; i += 2 {
				x[i] = float32(math.Inf(-1))
			}
			for _, o := range []*CrossEntropyOptions{nil, {Smoothing: 0.1}} {
				for _, y := range []int{0, 1} { // 1 is masked: its loss is +Inf
					dst := make([]float32, n)
					value := CrossEntropyGradRow(dst, x, y, 1, o)
					checkLoss(t, fmt.Sprintf("n=%d label %d %+v", n, y, o), value, dst, 1,
						bigCrossEntropy(x, oneHotOf(n, y), o))
				}
				p := softTarget[float32](rng, n)
				for i := 1; i < n; i += 2 {
					p[i] = 0
				}
				dst := make([]float32, n)
				value := SoftCrossEntropyGradRow(dst, x, p, 1, o)
				checkLoss(t, fmt.Sprintf("soft n=%d %+v", n, o), value, dst, 1, bigCrossEntropy(x, widen(p), o))
			}
		}
	})
}

// The values that a subtraction from 1 destroys: log1p(2e^-40) and its gradient, computed with 50
// digits by Python's decimal.
func TestCrossEntropyNearOne(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		dst := make([]float64, 3)
		if l := CrossEntropyGradRow(dst, []float64{40, 0, 0}, 0, 1, nil); !closeTo(l, 8.496708510583178e-18) || !closeTo(dst[0], -8.496708510583178e-18) {
			t.Errorf("value %v, gradient %v, want 8.496708510583178e-18 and its negative", l, dst[0])
		}
		long := make([]float32, 5000)
		long[4097] = 100
		if l, want := CrossEntropyRow(long, 4097, nil), 4999*math.Exp(-100); math.Abs(l-want) > 1e-7*want {
			t.Errorf("value %v, want %v", l, want)
		}
	})
}

func closeTo(got, want float64) bool { return math.Abs(got-want) <= 1e-14*math.Abs(want) }

func TestCrossEntropyCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	forEachImpl(t, func(t *testing.T) {
		for _, c := range []struct {
			x    []float64
			y    int
			want float64
			grad []float64
		}{
			{[]float64{-inf, -inf}, 0, nan, []float64{nan, nan}},
			{[]float64{inf, 0}, 0, nan, []float64{nan, nan}},
			{[]float64{inf, 0}, 1, nan, []float64{nan, nan}},
			{[]float64{nan, 0}, 1, nan, []float64{nan, nan}},
			{[]float64{-inf, 0}, 1, 0, []float64{0, 0}},
			{[]float64{-inf, 0}, 0, inf, []float64{-1, 1}},
			{[]float64{7}, 0, 0, []float64{0}},
			{[]float64{3e38, -3e38}, 0, 0, []float64{0, 0}},
			{[]float64{1e300, -1e300}, 1, 2e300, []float64{1, -1}},
			{[]float64{1e6, 1e6}, 0, math.Ln2, []float64{-0.5, 0.5}},
			{[]float64{-1e9, 0, -1e9}, 1, 0, []float64{0, 0, 0}},
		} {
			dst := make([]float64, len(c.x))
			if l := CrossEntropyGradRow(dst, c.x, c.y, 1, nil); !same(l, c.want) {
				t.Errorf("CrossEntropy(%v, %d) = %v, want %v", c.x, c.y, l, c.want)
			}
			for i := range dst {
				if !same(dst[i], c.grad[i]) {
					t.Errorf("CrossEntropy(%v, %d): gradient %v, want %v", c.x, c.y, dst, c.grad)
				}
			}
		}
	})
}

// Rows that are ignored, or count with factor 0, are not read: NaN in them reaches nothing.
func TestIgnoredRows(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 33)
		rows, cols := 9, 70
		x := convert[float32](distributions[1].row(rng, rows*cols))
		soft := make([]float32, rows*cols)
		labels, g := make([]int, rows), make([]float64, rows)
		for i := range rows {
			labels[i], g[i] = i, 0.5
			copy(soft[i*cols:], softTarget[float32](rng, cols))
		}
		labels[2], g[5] = -1, 0
		for _, row := range []int{2, 5} {
			for i := range cols {
				x[row*cols+i], soft[row*cols+i] = float32(math.NaN()), float32(math.NaN())
			}
		}
		values, dst := make([]float64, rows), make([]float32, rows*cols)
		CrossEntropyGradRows(values, dst, x, cols, labels, g, nil)
		checkIgnored(t, values, dst, cols, map[int]bool{2: true, 5: true})
		CrossEntropyRows(values, x, cols, labels, nil)
		checkIgnored(t, values, nil, cols, map[int]bool{2: true})
		g[2] = 0
		SoftCrossEntropyGradRows(values, dst, x, soft, cols, g, nil)
		checkIgnored(t, values, dst, cols, map[int]bool{2: true, 5: true})
		SoftCrossEntropyRows(values, x, soft, cols, g, &CrossEntropyOptions{Smoothing: 0.1})
		checkIgnored(t, values, nil, cols, map[int]bool{2: true, 5: true})
	})
}

func checkIgnored(t *testing.T, values []float64, dst []float32, cols int, ignored map[int]bool) {
	t.Helper()
	for i, l := range values {
		if ignored[i] && l != 0 || !ignored[i] && i != 5 && !(l > 0) {
			t.Errorf("value of row %d is %v, ignored: %v", i, l, ignored[i])
		}
	}
	for i, v := range dst {
		if ignored[i/cols] != (v == 0) || v != v {
			t.Fatalf("gradient[%d] of row %d is %v, ignored: %v", i%cols, i/cols, v, ignored[i/cols])
		}
	}
}

func TestCrossEntropyPanics(t *testing.T) {
	x, labels, g := make([]float32, 6), []int{0, 1}, []float64{1, 1}
	values := make([]float64, 2)
	length, label := "tensorops: length mismatch", "tensorops: label out of range"
	mustPanic(t, label, func() { CrossEntropyRow(x, 6, nil) })
	mustPanic(t, label, func() { CrossEntropyRow(x, -1, nil) })
	mustPanic(t, label, func() { CrossEntropyRows(values, x, 3, []int{0, 3}, nil) })
	mustPanic(t, length, func() { CrossEntropyGradRow(x[:5], x, 0, 1, nil) })
	mustPanic(t, length, func() { CrossEntropyRow(x, 0, &CrossEntropyOptions{Weights: []float64{1}}) })
	mustPanic(t, length, func() { CrossEntropyRows(values[:1], x, 3, labels, nil) })
	mustPanic(t, length, func() { CrossEntropyRows(values, x, 2, labels, nil) })
	mustPanic(t, length, func() { CrossEntropyGradRows(nil, x, x, 3, labels, g[:1], nil) })
	mustPanic(t, length, func() { CrossEntropyGradRows(values[:1], x, x, 3, labels, g, nil) })
	mustPanic(t, length, func() { SoftCrossEntropyRow(x, x[:5], nil) })
	mustPanic(t, length, func() { SoftCrossEntropyRows(values, x, x[:3], 3, g, nil) })
	mustPanic(t, length, func() { SoftCrossEntropyGradRows(values, x[:3], x, x, 3, g, nil) })
}
