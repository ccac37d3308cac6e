package gradcheck_test

import (
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// pointwise is an operation of one operand, given by value and derivative, at a scale:
// height·f(x/width).
func pointwise(name string, f, df func(x float64) float64, height, width float64) *planted {
	return &planted{
		name: name,
		forward: func(x [][]float64) []float64 {
			y := make([]float64, len(x[0]))
			for i, v := range x[0] {
				y[i] = height * f(v/width)
			}
			return y
		},
		backward: func(_ int, x [][]float64, u []float64) []float64 {
			g := make([]float64, len(u))
			for i, v := range x[0] {
				g[i] = u[i] * height / width * df(v/width)
			}
			return g
		},
	}
}

var curves = []struct {
	name  string
	f, df func(x float64) float64
	x     []float64
}{
	{"sin", math.Sin, math.Cos, []float64{-3, -0.2, 0, 1, 2.5}},
	{"exp", math.Exp, math.Exp, []float64{-4, -1, 0, 0.5, 3}},
	{"log", math.Log, func(x float64) float64 { return 1 / x }, []float64{1e-3, 0.1, 1, 2, 50}},
	{"sqrt", math.Sqrt, func(x float64) float64 { return 0.5 / math.Sqrt(x) }, []float64{1e-4, 0.1, 1, 2, 50}},
	{"cube", func(x float64) float64 { return x * x * x }, func(x float64) float64 { return 3 * x * x },
		[]float64{-2, -1e-3, 0, 1, 7}},
	{"inverse", func(x float64) float64 { return 1 / x }, func(x float64) float64 { return -1 / (x * x) },
		[]float64{-0.3, 0.01, 1, 3, 40}},
	{"atan of 1000x", func(x float64) float64 { return math.Atan(1000 * x) }, func(x float64) float64 { return 1000 / (1 + 1e6*x*x) },
		[]float64{-1, -1e-3, 0, 1e-4, 2}},
	{"sharp softplus", func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(1000*x)))/1000 },
		func(x float64) float64 { return 1 / (1 + math.Exp(-1000*x)) }, []float64{-1, -1e-3, 0, 1e-4, 2}},
}

// Correct functions pass whatever the scale of their operand and of their value, in both dtypes, at
// every element by its own; the same with one element wrong by 1e-4 fail in that one.
func TestScales(t *testing.T) {
	for _, c := range curves {
		for _, height := range []float64{1e-8, 1e-4, 1, 1e4, 1e8} {
			for _, width := range []float64{1e-8, 1, 1e8} {
				for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
					p := pointwise(c.name, c.f, c.df, height, width)
					r := checkCurve(t, p, c.x, width, dt)
					if !r.OK() {
						t.Errorf("%s, height %g, width %g, %v is right and fails:\n%v", c.name, height, width, dt, r)
					}
					right := p.backward
					p.backward = func(k int, x [][]float64, u []float64) []float64 {
						g := right(k, x, u)
						g[3] *= 1 + 1e-4
						return g
					}
					r = checkCurve(t, p, c.x, width, dt)
					if bad := r.Failures(); len(bad) != 1 || bad[0].Index[0] != 3 {
						t.Errorf("%s, height %g, width %g, %v: failures %v, want element 3 alone", c.name, height,
							width, dt, bad)
					}
				}
			}
		}
	}
}

func checkCurve(t *testing.T, p *planted, x []float64, width float64, dt tensor.Dtype) *gradcheck.Report {
	t.Helper()
	at := make([]float64, len(x))
	for i, v := range x {
		at[i] = v * width
	}
	build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		q := *p
		return q.apply(in[0])
	}
	r, err := gradcheck.Check(build, []gradcheck.Input{gradcheck.Var("x", at)}, gradcheck.WithRandomUpstream(), gradcheck.WithDType(dt))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// kinks are functions with a kink at 0: slope lo below, hi above, and an analytic derivative at 0.
func TestKinks(t *testing.T) {
	for _, c := range []struct {
		name   string
		f, df  func(x float64) float64
		lo, hi float64
		ok     bool
	}{
		{"abs, derivative 0", math.Abs, func(x float64) float64 { return sgn(x) }, -1, 1, true},
		{"abs, derivative 1", math.Abs, func(x float64) float64 { return math.Copysign(1, x) }, -1, 1, true},
		{"abs, derivative 1.01", math.Abs, func(x float64) float64 { return sgn(x) + 1.01*at0(x) }, -1, 1, false},
		{"relu, derivative 0.5", func(x float64) float64 { return math.Max(x, 0) },
			func(x float64) float64 { return (1 + sgn(x)) / 2 }, 0, 1, true},
		{"relu, derivative -1e-3", func(x float64) float64 { return math.Max(x, 0) },
			func(x float64) float64 { return (1+sgn(x))/2 - 0.501*at0(x) }, 0, 1, false},
		{"leaky with curvature", func(x float64) float64 { return math.Exp(x) + math.Max(0.01*x, 0) },
			func(x float64) float64 { return math.Exp(x) + 0.01*(1+sgn(x))/2 }, 1, 1.01, true},
		{"concave", func(x float64) float64 { return 1e6 * math.Min(x, -3*x) },
			func(x float64) float64 { return -1e6 - 2e6*sgn(x) }, -3e6, 1e6, true},
	} {
		p := pointwise(c.name, c.f, c.df, 1, 1)
		r := checkCurve(t, p, []float64{-1, 0, 1e-3, 2}, 1, tensor.Float64)
		if r.OK() != c.ok {
			t.Errorf("%s: OK is %v, want %v:\n%v", c.name, r.OK(), c.ok, r)
		}
		for i, e := range r.Elements {
			want := gradcheck.OK
			if i == 1 {
				want = gradcheck.Kink
			}
			if e.Verdict != want {
				t.Errorf("%s, element %d: verdict %v, want %v", c.name, i, e.Verdict, want)
			}
		}
		k := r.Elements[1]
		// the upstream, random in ±[0.5, 1.5], scales the interval
		u := (k.Hi - k.Lo) / (c.hi - c.lo)
		lo, hi := u*c.lo, u*c.hi
		if math.Abs(k.Lo-lo)+math.Abs(k.Hi-hi) > 1e-6*(math.Abs(lo)+math.Abs(hi)) {
			u = -u
			lo, hi = u*c.hi, u*c.lo
		}
		if math.Abs(k.Lo-lo)+math.Abs(k.Hi-hi) > 1e-6*(math.Abs(lo)+math.Abs(hi)) {
			t.Errorf("%s: interval [%v, %v], want a multiple of [%v, %v]", c.name, k.Lo, k.Hi, c.lo, c.hi)
		}
		if k.Inside() != c.ok {
			t.Errorf("%s: inside is %v, want %v", c.name, k.Inside(), c.ok)
		}
	}
}

func sgn(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func at0(x float64) float64 {
	if x == 0 {
		return 1
	}
	return 0
}

// Where a function is defined on one side of the point only, the one-sided slope is compared; where
// it has no finite slope, or jumps, the element is unresolved and says so.
func TestEdges(t *testing.T) {
	for _, c := range []struct {
		name  string
		f, df func(x float64) float64
		want  gradcheck.Verdict
	}{
		{"x log x + x for x >= 1", func(x float64) float64 {
			if x < 0 {
				return math.NaN()
			}
			return math.Sin(x) + x*x
		}, func(x float64) float64 { return math.Cos(x) + 2*x }, gradcheck.OK},
		{"the same, wrong", func(x float64) float64 {
			if x < 0 {
				return math.NaN()
			}
			return math.Sin(x) + x*x
		}, func(x float64) float64 { return math.Cos(x)*(1+1e-5*at0(x)) + 2*x }, gradcheck.Wrong},
		{"sqrt", math.Sqrt, func(x float64) float64 { return math.Min(1e9, 0.5/math.Sqrt(x)) }, gradcheck.Unresolved},
		{"jump", func(x float64) float64 { return x + sgn(x) }, func(float64) float64 { return 1 }, gradcheck.Unresolved},
		{"cube root", math.Cbrt, func(x float64) float64 { return math.Min(1e9, 1/(3*math.Cbrt(x)*math.Cbrt(x))) },
			gradcheck.Unresolved},
	} {
		r := checkCurve(t, pointwise(c.name, c.f, c.df, 1, 1), []float64{0, 0.5, 2}, 1, tensor.Float64)
		for i, e := range r.Elements {
			want := gradcheck.OK
			if i == 0 {
				want = c.want
			}
			if e.Verdict != want {
				t.Errorf("%s, element %d: verdict %v (%s), want %v\n%v", c.name, i, e.Verdict, e.Note, want, e)
			}
		}
	}
}
