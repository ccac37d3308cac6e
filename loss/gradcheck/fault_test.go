package gradcheck_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// size is the relative size of the small faults.
const size = 1e-5

// The function that the faults are planted in: y_i = sin(a_i)·exp(b_i) on 2×3 matrices.
func sinexp() *planted {
	return &planted{
		name: "sinexp",
		forward: func(x [][]float64) []float64 {
			y := make([]float64, len(x[0]))
			for i, a := range x[0] {
				y[i] = math.Sin(a) * math.Exp(x[1][i])
			}
			return y
		},
		backward: func(k int, x [][]float64, u []float64) []float64 {
			g := make([]float64, len(u))
			for i, a := range x[0] {
				g[i] = u[i] * math.Sin(a) * math.Exp(x[1][i])
				if k == 0 {
					g[i] = u[i] * math.Cos(a) * math.Exp(x[1][i])
				}
			}
			return g
		},
	}
}

// sine is sin(a), element by element.
func sine() *planted {
	return &planted{
		name: "sine",
		forward: func(x [][]float64) []float64 {
			y := make([]float64, len(x[0]))
			for i, a := range x[0] {
				y[i] = math.Sin(a)
			}
			return y
		},
		backward: func(_ int, x [][]float64, u []float64) []float64 {
			g := make([]float64, len(u))
			for i, a := range x[0] {
				g[i] = u[i] * math.Cos(a)
			}
			return g
		},
	}
}

// softmaxRows is the softmax of each row of a 2×3 matrix.
func softmaxRows() *planted {
	p := &planted{name: "softmax"}
	p.forward = func(x [][]float64) []float64 {
		y := make([]float64, 6)
		for r := 0; r < 6; r += 3 {
			sum := 0.0
			for i := r; i < r+3; i++ {
				y[i] = math.Exp(x[0][i])
				sum += y[i]
			}
			for i := r; i < r+3; i++ {
				y[i] /= sum
			}
		}
		return y
	}
	p.backward = func(_ int, x [][]float64, u []float64) []float64 {
		y := p.forward(x)
		for r := 0; r < 6; r += 3 {
			mean := 0.0
			for i := r; i < r+3; i++ {
				mean += u[i] * y[i]
			}
			for i := r; i < r+3; i++ {
				y[i] *= u[i] - mean
			}
		}
		return y
	}
	return p
}

// twist changes the derivative by operand 0.
func twist(p *planted, f func(g []float64)) *planted {
	right := p.backward
	p.backward = func(k int, x [][]float64, u []float64) []float64 {
		g := right(k, x, u)
		if k == 0 {
			f(g)
		}
		return g
	}
	return p
}

var (
	pointA = []float64{0.3, -1.1, 0.7, 2, 0.5, -0.4}
	pointB = []float64{0.1, 0.4, -0.2, 0.9, -1, 0.3}
	all    = []int{0, 1, 2, 3, 4, 5}
)

// fault is one kind of planted fault with what the checker must say.
type fault struct {
	name    string
	plant   func() *planted
	at      []int // the elements of input a that must fail, and no others of any input
	verdict gradcheck.Verdict
	cause   string // part of a likely cause
	pass    gradcheck.Pass
	twice   bool // a is used twice, as both operands
	options []gradcheck.Option
}

var faults = []fault{
	{name: "one element too large", at: []int{4}, verdict: gradcheck.Wrong,
		plant: func() *planted { return twist(sinexp(), func(g []float64) { g[4] *= 1 + size }) }},
	{name: "one element too small", at: []int{0}, verdict: gradcheck.Wrong,
		plant: func() *planted { return twist(sinexp(), func(g []float64) { g[0] *= 1 - size }) }},
	{name: "one element off by an addend", at: []int{2}, verdict: gradcheck.Wrong,
		plant: func() *planted { return twist(sinexp(), func(g []float64) { g[2] += size * math.Abs(g[2]) }) }},
	{name: "the sign of one element", at: []int{1}, verdict: gradcheck.Wrong, cause: "the sign",
		plant: func() *planted { return twist(sinexp(), func(g []float64) { g[1] *= -1 }) }},
	{name: "the sign", at: all, verdict: gradcheck.Wrong, cause: "the sign: every element",
		plant: func() *planted { return twist(sinexp(), scale(-1)) }},
	{name: "a small constant factor", at: all, verdict: gradcheck.Wrong, cause: "a constant factor: every element is 1.00001 times",
		plant: func() *planted { return twist(sinexp(), scale(1+size)) }},
	{name: "factor 2", at: all, verdict: gradcheck.Wrong, cause: "a constant factor: every element is 2 times",
		plant: func() *planted { return twist(sinexp(), scale(2)) }},
	{name: "not divided by n", at: all, verdict: gradcheck.Wrong, cause: "(1/6)",
		plant: func() *planted { return twist(sinexp(), scale(1./6)) }},
	{name: "transposed", at: []int{1, 2, 3, 4}, verdict: gradcheck.Wrong, cause: "transposed",
		plant: func() *planted {
			return twist(sinexp(), func(g []float64) { g[1], g[2], g[3], g[4] = g[3], g[1], g[4], g[2] })
		}},
	{name: "shifted by one", at: all, verdict: gradcheck.Wrong,
		plant: func() *planted { return twist(sinexp(), func(g []float64) { copy(g, append(g[1:6:6], g[0])) }) }},
	{name: "one element zero", at: []int{3}, verdict: gradcheck.Zero,
		plant: func() *planted { return twist(sinexp(), func(g []float64) { g[3] = 0 }) }},
	{name: "second row zero", at: []int{3, 4, 5}, verdict: gradcheck.Zero, cause: "only where axis 0 is [1]",
		plant: func() *planted { return twist(sinexp(), func(g []float64) { clear(g[3:]) }) }},
	{name: "all zero", at: all, verdict: gradcheck.Zero, cause: "no gradient flows",
		plant: func() *planted { return twist(sinexp(), scale(0)) }},
	{name: "second row is the first", at: []int{3, 4, 5}, verdict: gradcheck.Wrong, cause: "only where axis 0 is [1]",
		plant: func() *planted { return twist(sinexp(), func(g []float64) { copy(g[3:], g[:3]) }) }},
	{name: "a small addend along a row", at: []int{0, 1, 2}, verdict: gradcheck.Wrong, cause: "a term along axis 1",
		plant: func() *planted {
			return twist(sinexp(), func(g []float64) {
				for i := range 3 {
					g[i] += size
				}
			})
		}},
	{name: "NaN", at: []int{5}, verdict: gradcheck.NaN,
		plant: func() *planted { return twist(sinexp(), func(g []float64) { g[5] = math.NaN() }) }},
	{name: "infinite", at: []int{5}, verdict: gradcheck.NaN,
		plant: func() *planted { return twist(sinexp(), func(g []float64) { g[5] = math.Inf(-1) }) }},
	{name: "not differentiable", at: all, verdict: gradcheck.Missing,
		plant: func() *planted { p := sinexp(); p.blind = 1; return p }},
	{name: "wrong shape", at: all, verdict: gradcheck.Shape,
		plant: func() *planted { p := sinexp(); p.gradShape = tensor.Shape{3, 2}; return p }},
	{name: "wrong dtype", at: all, verdict: gradcheck.DType,
		plant: func() *planted { p := sinexp(); p.gradDType = tensor.Float32; return p }},
	{name: "the sum along the rows forgotten", at: all, verdict: gradcheck.Wrong, cause: "a term along axis 1 is missing",
		plant: func() *planted {
			p := softmaxRows()
			p.backward = func(_ int, x [][]float64, u []float64) []float64 {
				y := p.forward(x)
				for i := range y {
					y[i] *= u[i]
				}
				return y
			}
			return p
		}},
	{name: "the upstream ignored", at: all, verdict: gradcheck.Wrong,
		plant: func() *planted {
			p := sinexp()
			right := p.backward
			p.backward = func(k int, x [][]float64, u []float64) []float64 {
				if k == 0 {
					u = []float64{1, 1, 1, 1, 1, 1}
				}
				return right(k, x, u)
			}
			return p
		}},
	{name: "not deterministic", at: []int{2}, verdict: gradcheck.NotDeterministic,
		plant: func() *planted {
			calls := 0
			return twist(sinexp(), func(g []float64) { calls++; g[2] *= 1 + size*float64(calls) })
		}},
	{name: "the gradient writes to its input", at: []int{0}, verdict: gradcheck.InputMutated,
		plant: func() *planted { p := sine(); p.gradWrites = true; return p }},
	{name: "the function writes to its input", at: []int{0}, verdict: gradcheck.InputMutated,
		plant: func() *planted { p := sine(); p.writesTo = 1; return p }},
	{name: "only the second use", at: all, verdict: gradcheck.Wrong, cause: "operand 1 is wrong", twice: true,
		plant: func() *planted {
			p := sinexp()
			right := p.backward
			p.backward = func(k int, x [][]float64, u []float64) []float64 {
				g := right(k, x, u)
				if k == 1 {
					scale(1 + 1e-3)(g)
				}
				return g
			}
			return p
		}},
	{name: "no DoDiff", at: all, verdict: gradcheck.Zero, pass: gradcheck.Lisp, cause: "no gradient flows",
		plant: func() *planted { p := sine(); p.noAD = true; return p }},
	{name: "DoDiff overwrites", at: all, verdict: gradcheck.Wrong, pass: gradcheck.Lisp, twice: true,
		plant: func() *planted { p := sinexp(); p.overwrites = true; return p }},
	{name: "a masked entry leaks", at: []int{1}, verdict: gradcheck.Wrong, options: []gradcheck.Option{gradcheck.WithZero("a", []int{0, 1})},
		plant: func() *planted {
			p := twist(sinexp(), func(g []float64) { g[1] = 1e-30 })
			right := p.forward
			p.forward = func(x [][]float64) []float64 {
				y := right(x)
				y[1] = math.Exp(x[1][1]) // no a
				return y
			}
			masked := p.backward
			p.backward = func(k int, x [][]float64, u []float64) []float64 {
				g := masked(k, x, u)
				if k == 1 {
					g[1] = u[1] * math.Exp(x[1][1])
				}
				return g
			}
			return p
		}},
}

func scale(c float64) func([]float64) {
	return func(g []float64) {
		for i := range g {
			g[i] *= c
		}
	}
}

func (f *fault) check(t *testing.T, p *planted, opts ...gradcheck.Option) *gradcheck.Report {
	t.Helper()
	in := []gradcheck.Input{gradcheck.Var("a", pointA, 2, 3), gradcheck.Var("b", pointB, 2, 3)}
	build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		// a copy per build: the operation keeps shapes and dtype
		q := *p
		switch {
		case f.twice:
			return q.apply(in[0], in[0])
		case p.name != "sinexp":
			return q.apply(in[0])
		}
		return q.apply(in[0], in[1])
	}
	if f.twice || p.name != "sinexp" {
		in = in[:1]
	}
	opts = append([]gradcheck.Option{gradcheck.WithRandomUpstream(), gradcheck.WithPasses(f.pass)}, opts...)
	r, err := gradcheck.Check(build, in, append(opts, f.options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every planted fault is found at its elements, with its verdict and cause, and nowhere else.
func TestPlantedFaults(t *testing.T) {
	if len(faults) < 20 {
		t.Fatalf("%d kinds of fault, want at least 20", len(faults))
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			r := f.check(t, f.plant())
			var at []int
			for _, e := range r.Failures() {
				if e.Input != "a" || e.Verdict != f.verdict {
					t.Errorf("%s%v: verdict %v, want only %v of a", e.Input, e.Index, e.Verdict, f.verdict)
				}
				at = append(at, e.Index[0]*3+e.Index[1])
			}
			if !slices.Equal(at, f.at) {
				t.Errorf("failed elements %v, want %v", at, f.at)
			}
			if !strings.Contains(r.String(), f.cause) {
				t.Errorf("the report does not say %q", f.cause)
			}
			if r.OK() || t.Failed() {
				t.Logf("%v", r)
			}
		})
	}
}

// The same operations without a fault pass, by every pass, in both dtypes.
func TestNoFault(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		for _, p := range []*planted{sinexp(), softmaxRows(), sine()} {
			f := fault{options: []gradcheck.Option{gradcheck.WithDType(dt), gradcheck.WithPasses(gradcheck.Grad, gradcheck.Reverse, gradcheck.Lisp, gradcheck.Machine)}}
			if r := f.check(t, p); !r.OK() || len(r.Elements) == 0 {
				t.Errorf("%s %v fails:\n%v", p.name, dt, r)
			}
		}
	}
}

// In float64 a gradient that is wrong by 1e-6 does not pass; in float32, one that is wrong by 1e-5.
func TestSmallestFault(t *testing.T) {
	for _, c := range []struct {
		dt   tensor.Dtype
		size float64
	}{{tensor.Float64, 1e-6}, {tensor.Float64, -1e-6}, {tensor.Float32, size}, {tensor.Float32, -size}} {
		for e := range 6 {
			f := fault{options: []gradcheck.Option{gradcheck.WithDType(c.dt)}}
			r := f.check(t, twist(sinexp(), func(g []float64) { g[e] *= 1 + c.size }))
			if bad := r.Failures(); len(bad) != 1 || bad[0].Input != "a" || bad[0].Index[0]*3+bad[0].Index[1] != e {
				t.Errorf("%v, element %d wrong by %g: failures %v, want that one", c.dt, e, c.size, bad)
			}
		}
	}
}
