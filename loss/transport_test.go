package loss_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	cost := groupInput{name: "cost", shape: []int{3, 4}, x: []float64{0.5, 1, 2, 0.25, 1.5, 0.75, 0, 3, 2, 1.25, 0.75, 0.5}}
	a := groupInput{name: "a", shape: []int{3}, x: []float64{0.25, 0.5, 0.25}, with: func(n *G.Node) loss.Option { return loss.WithMarginals(n, nil) }, field: func(d *eager.Data) *eager.Operand { return &d.A }}
	b := groupInput{name: "b", shape: []int{4}, x: []float64{0.125, 0.375, 0.25, 0.25}, with: func(n *G.Node) loss.Option { return loss.WithMarginals(nil, n) }, field: func(d *eager.Data) *eager.Operand { return &d.B }}
	data := func(in groupInput) groupInput { in.data = true; return in }
	batch := groupInput{name: "cost", shape: []int{2, 2, 3}, x: cost.x, masked: everyRow(6)}
	eps, tight := loss.WithEpsilon(0.5), loss.WithThreshold(1e-13) // differences see what a threshold leaves
	x := groupInput{name: "x", shape: []int{3, 2}, x: []float64{0.5, 1, -1, 0.25, 1.5, -0.75}}
	y := groupInput{name: "y", shape: []int{4, 2}, x: []float64{0, 3, 2, 1.25, 0.75, -0.5, -1, 1}}
	groupProblems = append(groupProblems,
		groupProblem{loss: "Sinkhorn", title: "uniform", inputs: []groupInput{cost}, opts: []loss.Option{tight, eps}},
		// the weights of a difference would not sum to 1: TestMarginalDerivatives
		groupProblem{loss: "Sinkhorn", title: "weights", inputs: []groupInput{cost, a, b},
			opts: []loss.Option{tight, eps}, kinks: true},
		groupProblem{loss: "Sinkhorn", title: "weights held", inputs: []groupInput{cost, data(a), data(b)},
			opts: []loss.Option{tight, eps}},
		groupProblem{loss: "Sinkhorn", title: "transport cost", inputs: []groupInput{cost, data(a)},
			opts: []loss.Option{tight, eps, loss.WithTransportCost()}},
		groupProblem{loss: "Sinkhorn", title: "batch", inputs: []groupInput{batch}, opts: []loss.Option{tight, eps},
			mask: []int{2}, weights: []int{2}},
		groupProblem{loss: "SinkhornDivergence", title: "squares", inputs: []groupInput{x, y},
			opts: []loss.Option{tight, loss.WithEpsilon(1)}},
		groupProblem{loss: "SinkhornDivergence", title: "distances", inputs: []groupInput{x, y, data(groupInput{name: "a", shape: []int{3}, x: a.x, with: a.with, field: a.field})}, opts: []loss.Option{tight, loss.WithEpsilon(1), loss.WithPower(1)}})
}

// The derivatives by the weights are those of differences along directions that keep their sums,
// and so are the Hessian's blocks.
func TestMarginalDerivatives(t *testing.T) {
	cost := []float64{0.5, 1, 2, 0.25, 1.5, 0.75, 0, 3, 2, 1.25, 0.75, 0.5}
	a, b := []float64{0.25, 0.5, 0.25}, []float64{0.125, 0.375, 0.25, 0.25}
	// gradients by cost, a and b
	solve := func(c, a, b []float64) (value float64, grads [][]float64) {
		g := G.NewGraph()
		nodes := G.Nodes{floatLeaf(g, tensor.Float64, "c", []int{3, 4}, c), floatLeaf(g, tensor.Float64, "a", []int{3}, a), floatLeaf(g, tensor.Float64, "b", []int{4}, b)}
		l, err := loss.Sinkhorn(nodes[0], nodes[1], nodes[2], loss.WithEpsilon(0.5), loss.WithThreshold(1e-14))
		if err != nil {
			t.Fatal(err)
		}
		d, err := loss.Gradients(l, nodes...)
		if err != nil {
			t.Fatal(err)
		}
		out, err := runTape(g, append(G.Nodes{l}, d...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out[0][0], out[1:]
	}
	moved := func(x, v []float64, h float64) []float64 {
		out := slices.Clone(x)
		for i := range out {
			out[i] += h * v[i]
		}
		return out
	}
	dot := func(x, y []float64) (s float64) {
		for i := range x {
			s += x[i] * y[i]
		}
		return s
	}
	da, db := []float64{1, -3, 2}, []float64{2, 1, -4, 1}
	dc := []float64{1, 0, -1, 2, 0.5, 1, -2, 0, 1, 1, 0, -1}
	_, grads := solve(cost, a, b)
	const h = 1e-3 // differences of second order: errors of h² times a third derivative of some units
	for _, c := range []struct {
		what string
		v    [3][]float64
	}{{"a", [3][]float64{make([]float64, 12), da, make([]float64, 4)}}, {"b", [3][]float64{make([]float64, 12), make([]float64, 3), db}}, {"cost", [3][]float64{dc, make([]float64, 3), make([]float64, 4)}}} {
		up, gUp := solve(moved(cost, c.v[0], h), moved(a, c.v[1], h), moved(b, c.v[2], h))
		down, gDown := solve(moved(cost, c.v[0], -h), moved(a, c.v[1], -h), moved(b, c.v[2], -h))
		analytic := dot(grads[0], c.v[0]) + dot(grads[1], c.v[1]) + dot(grads[2], c.v[2])
		nearList(t, "derivative along "+c.what, []float64{analytic}, []float64{(up - down) / (2 * h)}, 1e-4)
		g := G.NewGraph()
		nodes := G.Nodes{floatLeaf(g, tensor.Float64, "c", []int{3, 4}, cost), floatLeaf(g, tensor.Float64, "a", []int{3}, a), floatLeaf(g, tensor.Float64, "b", []int{4}, b)}
		l, err := loss.Sinkhorn(nodes[0], nodes[1], nodes[2], loss.WithEpsilon(0.5))
		if err != nil {
			t.Fatal(err)
		}
		d, err := loss.Gradients(l, nodes...)
		if err != nil {
			t.Fatal(err)
		}
		which := slices.Index([]string{"cost", "a", "b"}, c.what)
		v := floatLeaf(g, tensor.Float64, "v", nodes[which].Shape(), c.v[which])
		hv, err := loss.VJP(d[which], v, nodes...)
		if err != nil {
			t.Fatal(err)
		}
		out, err := runTape(g, hv...)
		if err != nil {
			t.Fatal(err)
		}
		for k := range out {
			// the potentials agree but for what differences of a and b do not see: their means
			want := make([]float64, len(out[k]))
			for i := range want {
				want[i] = (gUp[k][i] - gDown[k][i]) / (2 * h)
			}
			nearList(t, "H·v along "+c.what, out[k], want, 1e-3)
		}
	}
}

// Equal clouds are at distance exactly 0, in any order within rounding, and no two are closer
// (geomloss #24).
func TestSinkhornDivergenceIsNotNegative(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		n, dim := 2+r.IntN(5), 1+r.IntN(3)
		x := make([]float64, n*dim)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		shuffled := make([]float64, 0, len(x))
		for _, i := range r.Perm(n) {
			shuffled = append(shuffled, x[i*dim:(i+1)*dim]...)
		}
		l, err := eager.SinkhornDivergence(loss.WithEpsilon(0.2))
		if err != nil {
			t.Fatal(err)
		}
		same, err := l.Value(eager.Data{}, eager.Slice(x, n, dim), eager.Slice(slices.Clone(x), n, dim))
		if err != nil || same != 0 {
			t.Errorf("equal clouds: %v, error %v", same, err)
		}
		v, err := l.Value(eager.Data{}, eager.Slice(x, n, dim), eager.Slice(shuffled, n, dim))
		if err != nil || !(v >= 0 && v < 1e-8) { // the threshold of the iterations, 1e-9, times potentials of some units
			t.Errorf("the same points in another order: %v, error %v", v, err)
		}
	}
}

func TestTransportFaults(t *testing.T) {
	for _, c := range []struct {
		cost, a, b []float64
		shape      []int
		opts       []loss.Option
		kind       error
		want       string
	}{
		{[]float64{1, 2, 3, 4}, []float64{1}, nil, []int{2, 2}, nil, loss.ErrShape,
			"loss.Sinkhorn: a has shape (1), want (2) to match cost"},
		{[]float64{1, 2, 3, 4}, []float64{0.5, 0.4}, nil, []int{2, 2}, nil, loss.ErrValue,
			"loss.Sinkhorn: a sums to 0.9, want 1"},
		{[]float64{1, 2, 3, 4}, nil, []float64{1.5, -0.5}, []int{2, 2}, nil, loss.ErrValue, "loss.Sinkhorn: b[1] is -0.5"},
		{[]float64{1, math.NaN(), 3, 4}, nil, nil, []int{2, 2}, nil, loss.ErrValue,
			"loss.Sinkhorn: cost of row 0, column 1 is NaN"},
		{[]float64{math.Inf(1), math.Inf(1), 3, 4}, nil, nil, []int{2, 2}, nil, loss.ErrValue,
			"loss.Sinkhorn: cost of row 0 is +Inf wherever there is weight"},
		{[]float64{1, 2, 3, 3}, []float64{0.3, 0.7}, nil, []int{2, 2}, []loss.Option{loss.WithIterations(1), loss.WithEpsilon(0.01)}, loss.ErrValue, "loss.Sinkhorn: not converged after 1 iterations: the marginal error is"},
		{[]float64{1, 2, 3, 4}, nil, nil, []int{2, 2}, []loss.Option{loss.WithEpsilon(0)}, loss.ErrOption,
			"loss.Sinkhorn: WithEpsilon is 0, want a number > 0"},
		{[]float64{1, 2, 3, 4}, nil, nil, []int{2, 2}, []loss.Option{loss.WithIterations(0)}, loss.ErrOption,
			"loss.Sinkhorn: WithIterations is 0, want a number >= 1"},
		{[]float64{1, 2, 3, 4}, nil, nil, []int{2, 2}, []loss.Option{loss.WithMarginals(nil, nil)}, loss.ErrOption,
			"loss.Sinkhorn: WithMarginals is nil"},
		{[]float64{1, 2, 3, 4}, nil, nil, []int{4}, nil, loss.ErrShape, "loss.Sinkhorn: cost has shape (4), want"},
	} {
		g := G.NewGraph()
		leaf := func(name string, x []float64) *G.Node {
			if x == nil {
				return nil
			}
			return floatLeaf(g, tensor.Float64, name, []int{len(x)}, x)
		}
		n, err := loss.Sinkhorn(floatLeaf(g, tensor.Float64, "cost", c.shape, c.cost), leaf("a", c.a), leaf("b", c.b), c.opts...)
		if err == nil {
			_, err = runTape(g, n)
			err = loss.Cause(err)
		}
		if !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}
