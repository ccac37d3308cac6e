package gradcheck_test

import (
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func must(t *testing.T, build gradcheck.Builder, in []gradcheck.Input, opts ...gradcheck.Option) *gradcheck.Report {
	t.Helper()
	r, err := gradcheck.Check(build, in, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var vector = []gradcheck.Input{gradcheck.Var("a", pointA)}

// A gradient that was computed when the graph was built does not follow the inputs.
func TestRebinding(t *testing.T) {
	build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		p := sine()
		right := p.backward
		var first [][]float64
		p.backward = func(k int, x [][]float64, u []float64) []float64 {
			if first == nil {
				first = x
			}
			return right(k, first, u)
		}
		return p.apply(in[0])
	}
	r := must(t, build, vector, gradcheck.WithRandomUpstream())
	if r.OK() || !strings.Contains(r.String(), "after rebinding the inputs by Let the gradient of \"a\" is not that of the new values") {
		t.Errorf("a stale gradient is not found:\n%v", r)
	}
}

// A function that is not deterministic is named as such, and no differences are taken of it.
func TestNotDeterministicFunction(t *testing.T) {
	calls := 0
	build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		p := sine()
		right := p.forward
		p.forward = func(x [][]float64) []float64 {
			calls++
			y := right(x)
			y[0] += 1e-9 * float64(calls)
			return y
		}
		return p.apply(in[0])
	}
	r := must(t, build, vector, gradcheck.WithRandomUpstream())
	for _, e := range r.Elements {
		if e.Verdict != gradcheck.NotDeterministic {
			t.Errorf("element %v: %v, want not deterministic", e.Index, e.Verdict)
		}
	}
	if len(r.Elements) != len(pointA) || !strings.Contains(r.String(), "not deterministic: a second run gave") {
		t.Errorf("report:\n%v", r)
	}
}

// The second derivative: a right one passes, one that is wrong by 1e-5 at one element is found
// there, and one that is not symmetric is named so.
func TestSecondOrder(t *testing.T) {
	in := []gradcheck.Input{gradcheck.Var("x", []float64{0.3, -1, 2, 0.5}, 2, 2), gradcheck.Var("y", []float64{1, 0.2, -0.4, 3}, 2, 2)}
	right := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		m, err := G.Mul(in[0], in[1])
		if err != nil {
			return nil, err
		}
		s, err := then(m, G.Tanh, G.Exp)
		if err != nil {
			return nil, err
		}
		return G.Sum(s)
	}
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		r := must(t, right, in, gradcheck.WithSecondOrder(3), gradcheck.WithDType(dt))
		if n := len(r.Elements); !r.OK() || n != 8+3*8 {
			t.Errorf("%v: %d elements, want 32:\n%v", dt, n, r)
		}
	}
	// y_i = x_i³ through an operation whose derivative 3x²·u has, by x, 6x·u·v with a fault in
	// element 2
	fault := func(f func(h []float64)) gradcheck.Builder {
		return func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
			return (&twice{spoil: f}).apply(in[0])
		}
	}
	x := []gradcheck.Input{gradcheck.Var("x", []float64{0.3, -1, 2, 0.5})}
	r := must(t, fault(func([]float64) {}), x, gradcheck.WithSecondOrder(1), gradcheck.WithRandomUpstream())
	if !r.OK() {
		t.Errorf("a right second derivative fails:\n%v", r)
	}
	r = must(t, fault(func(h []float64) { h[2] *= 1 + size }), x, gradcheck.WithSecondOrder(1),
		gradcheck.WithRandomUpstream())
	if bad := r.Failures(); len(bad) != 1 || bad[0].Order != 2 || bad[0].Index[0] != 2 || bad[0].Verdict != gradcheck.Wrong {
		t.Errorf("second derivative wrong at 2: failures %v", bad)
	}
	r = must(t, fault(func(h []float64) { h[0] += h[1] }), x, gradcheck.WithSecondOrder(2), gradcheck.WithRandomUpstream())
	if !strings.Contains(r.String(), "the Hessian is not symmetric") {
		t.Errorf("a Hessian that is not symmetric is not named:\n%v", r)
	}
}

// Values against a reference, in float64 and in big floats, with distances in ulps.
func TestReference(t *testing.T) {
	in := []gradcheck.Input{gradcheck.Var("x", []float64{1, 2, 3}), gradcheck.Data("n", []int{2, 0, 1})}
	build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return G.Exp(in[0]) }
	exp := func(off float64) func(in [][]float64) ([]float64, error) {
		return func(in [][]float64) ([]float64, error) {
			if !slices.Equal(in[1], []float64{2, 0, 1}) {
				t.Errorf("integers arrive as %v", in[1])
			}
			return []float64{math.Exp(in[0][0]), math.Exp(in[0][1]) * (1 + off), math.Exp(in[0][2])}, nil
		}
	}
	if r := must(t, build, in, gradcheck.WithRandomUpstream(), gradcheck.WithReference(0, exp(0))); !r.OK() || len(r.Values) != 3 {
		t.Errorf("the same function differs from itself:\n%v", r)
	}
	r := must(t, build, in, gradcheck.WithRandomUpstream(), gradcheck.WithReference(2, exp(0x1p-49)))
	if r.OK() || r.Values[1].Ulps < 6 || r.Values[1].Ulps > 17 || r.Values[0].Ulps != 0 {
		t.Errorf("2^-49 is 8 to 16 ulp:\n%v\n%v", r, r.Values)
	}
	// e^x by its series: float32 results are within an ulp of it
	series := func(in [][]*big.Float) ([]*big.Float, error) {
		var out []*big.Float
		for _, x := range in[0] {
			sum, term := big.NewFloat(1).SetPrec(256), big.NewFloat(1).SetPrec(256)
			for n := 1; n < 60; n++ {
				term.Mul(term, x).Quo(term, big.NewFloat(float64(n)))
				sum.Add(sum, term)
			}
			out = append(out, sum)
		}
		return out, nil
	}
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		if r := must(t, build, in, gradcheck.WithRandomUpstream(), gradcheck.WithDType(dt), gradcheck.WithBigReference(1, series)); !r.OK() {
			t.Errorf("%v against big floats:\n%v", dt, r)
		}
	}
}

// The JSON form of a report, with NaN and infinities in it.
func TestJSON(t *testing.T) {
	f := fault{}
	r := f.check(t, twist(sinexp(), func(g []float64) { g[1] = math.NaN(); g[2] *= -1; g[3] = math.Inf(1) }))
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		OK       bool
		DType    string
		Seed     uint64
		Elements []struct {
			Pass, Input, Verdict string
			Index                []int
			Analytic, Numeric    any
			Tol                  float64
			Failed               bool
		}
		Summaries []struct {
			Failed int
			Count  map[string]int
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.OK || got.DType != "float64" || got.Seed != 1 || len(got.Elements) != 12 {
		t.Errorf("JSON says %+v", got)
	}
	e := got.Elements
	if e[1].Analytic != "NaN" || e[1].Verdict != "NaN" || e[3].Analytic != "+Inf" || e[2].Verdict != "wrong" || !e[2].Failed || e[2].Input != "a" || !slices.Equal(e[2].Index, []int{0, 2}) {
		t.Errorf("JSON elements %+v", e[:4])
	}
	if s := got.Summaries[0]; s.Failed != 3 || s.Count["NaN"] != 2 || s.Count["wrong"] != 1 || s.Count["ok"] != 3 {
		t.Errorf("JSON summary %+v", s)
	}
	if w := r.Worst(2); len(w) != 2 || w[0].Verdict != gradcheck.NaN {
		t.Errorf("worst two %v", w)
	}
}

// The same seed gives the same report; another one another sample.
func TestSeed(t *testing.T) {
	f := func(opts ...gradcheck.Option) string {
		opts = append(opts, gradcheck.WithSample(2), gradcheck.WithRandomUpstream(), gradcheck.WithSecondOrder(1))
		build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return loss.Softplus(in[0]) }
		text, err := json.Marshal(must(t, build, vector, opts...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if f() != f(gradcheck.WithSeed(1)) {
		t.Error("two runs with seed 1 differ")
	}
	if f() == f(gradcheck.WithSeed(2)) {
		t.Error("seed 2 gives what seed 1 gives")
	}
}

// Directions find a fault anywhere, without saying where.
func TestDirections(t *testing.T) {
	opts := []gradcheck.Option{gradcheck.WithDirections(4)}
	f := fault{options: opts}
	if r := f.check(t, sinexp()); !r.OK() || len(r.Elements) != 4 {
		t.Errorf("a right function fails along directions:\n%v", r)
	}
	for e := range 6 {
		r := f.check(t, twist(sinexp(), func(g []float64) { g[e] *= 1 + size }))
		if n := len(r.Failures()); n != 4 {
			t.Errorf("element %d wrong by %g: %d of 4 directions fail", e, size, n)
		}
	}
}

// CheckNode checks a graph that exists, and the gradient nodes that Grad has left in it.
func TestCheckNode(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		g := G.NewGraph()
		x := G.NewTensor(g, dt, 1, G.WithShape(3), G.WithName("x"),
			G.WithValue(value([]float64{1, 2, -1.5}, tensor.Shape{3}, dt)))
		w := G.NewTensor(g, dt, 1, G.WithShape(3), G.WithName("w"),
			G.WithValue(value([]float64{3, 1, 2}, tensor.Shape{3}, dt)))
		cost := G.Must(G.Sum(G.Must(G.HadamardProd(w, G.Must(G.Cube(x))))))
		before := len(g.AllNodes())
		r, err := gradcheck.CheckNode(cost, G.Nodes{x, w}, gradcheck.WithPasses(gradcheck.Grad, gradcheck.Reverse, gradcheck.Lisp))
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() || len(r.Elements) != 18 || len(g.AllNodes()) != before {
			t.Errorf("%v: %d elements, graph grew from %d to %d nodes:\n%v", dt, len(r.Elements), before,
				len(g.AllNodes()), r)
		}
		// Σ (d cost/dx)²: Gorgonia's Grad finds the derivatives of the first call in the way
		first, err := G.Grad(cost, x)
		if err != nil {
			t.Fatal(err)
		}
		penalty := G.Must(G.Sum(G.Must(G.Square(first[0]))))
		if _, err := G.Grad(penalty, x); err != nil {
			t.Fatal(err)
		}
		r, err = gradcheck.CheckNode(penalty, G.Nodes{x}, gradcheck.WithPasses(gradcheck.Reverse))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Elements {
			if e.Failed() != (e.Pass == gradcheck.Given) {
				t.Errorf("%v: %v %v: failed is %v", dt, e.Pass, e.Index, e.Failed())
			}
		}
		if len(r.Elements) != 6 {
			t.Errorf("%v: %d elements, want 3 of the pass Reverse and 3 given:\n%v", dt, len(r.Elements), r)
		}
	}
}

func TestCheckNodeErrors(t *testing.T) {
	g := G.NewGraph()
	x := G.NewVector(g, tensor.Float64, G.WithShape(2), G.WithName("x"))
	cost := G.Must(G.Sum(x))
	for _, c := range []struct {
		out  *G.Node
		wrt  G.Nodes
		text string
	}{
		{nil, nil, "the node is nil"},
		{cost, nil, "no input is floating"},
		{cost, G.Nodes{nil}, "wrt 0 is nil"},
		{cost, G.Nodes{cost}, "is not an input of the graph"},
		{cost, G.Nodes{x}, "wrt 0 (x) has no value"},
		{cost, G.Nodes{G.NewScalar(G.NewGraph(), tensor.Float64, G.WithName("z"))}, "belongs to another graph"},
	} {
		if _, err := gradcheck.CheckNode(c.out, c.wrt); err == nil || !strings.Contains(err.Error(), c.text) || !strings.HasPrefix(err.Error(), "gradcheck.CheckNode: ") {
			t.Errorf("error %v, want %q", err, c.text)
		}
	}
}
