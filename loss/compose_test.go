package loss_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// matrixOf is a float64 leaf of two axes, vectorOf of one.
func matrixOf(g *G.ExprGraph, name string, rows, cols int, x ...float64) *G.Node {
	return G.NewMatrix(g, tensor.Float64, G.WithName(name), G.WithShape(rows, cols),
		G.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(x))))
}

func vectorOf[T float64 | int | bool](g *G.ExprGraph, name string, dt tensor.Dtype, x ...T) *G.Node {
	return G.NewVector(g, dt, G.WithName(name), G.WithShape(len(x)),
		G.WithValue(tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))))
}

// runGraph runs a TapeMachine over the graph.
func runGraph(t *testing.T, g *G.ExprGraph) {
	t.Helper()
	m := G.NewTapeMachine(g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
}

func scalarOf(t *testing.T, n *G.Node) float64 {
	t.Helper()
	v, ok := n.Value().Data().(float64)
	if !ok {
		t.Fatalf("%v has the value %v, want a number", n, n.Value())
	}
	return v
}

// The numbers of Parts are those of Mean whatever the reduction: three rows of which one is ignored
// and the others weigh 2 and 3 under class weights 1 and 10 have the denominator 2·1 + 3·10 = 32.
func TestParts(t *testing.T) {
	for _, reduction := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
		g := G.NewGraph()
		x := matrixOf(g, "x", 3, 2, 1, 2, 0.5, -1, 3, 0)
		y := vectorOf(g, "y", tensor.Int, 0, -100, 1)
		w := vectorOf(g, "w", tensor.Float64, 2., 7, 3)
		opts := []loss.Option{loss.WithWeights(w), loss.WithClassWeights([]float64{1, 10})}
		cost, err := loss.CrossEntropy(x, y, append(opts, loss.WithReduction(reduction))...)
		if err != nil {
			t.Fatal(err)
		}
		mean := G.Must(loss.CrossEntropy(x, y, opts...))
		n, d, err := loss.Parts(cost)
		if err != nil {
			t.Fatal(err)
		}
		runGraph(t, g)
		if got := scalarOf(t, d); got != 32 {
			t.Errorf("%v: denominator %v, want 32", reduction, got)
		}
		if got, want := scalarOf(t, n)/scalarOf(t, d), scalarOf(t, mean); math.Abs(got-want) > 1e-15*want {
			t.Errorf("%v: numerator by denominator is %v, want the mean %v", reduction, got, want)
		}
	}
}

// Two batches' parts add up to those of both together, and a batch in which nothing counts has
// none.
func TestPartsAddUp(t *testing.T) {
	parts := func(labels ...int) (n, d float64) {
		g := G.NewGraph()
		x := make([]float64, 0, 2*len(labels))
		for range labels {
			x = append(x, 1, 3)
		}
		cost := G.Must(loss.CrossEntropy(matrixOf(g, "x", len(labels), 2, x...), vectorOf(g, "y", tensor.Int, labels...)))
		num, den, err := loss.Parts(cost)
		if err != nil {
			t.Fatal(err)
		}
		runGraph(t, g)
		return scalarOf(t, num), scalarOf(t, den)
	}
	n1, d1 := parts(1, -100)
	n2, d2 := parts(0)
	n, d := parts(1, -100, 0)
	if d != 2 || d1+d2 != d || math.Abs(n1+n2-n) > 1e-15*n {
		t.Errorf("parts (%v, %v) and (%v, %v), together (%v, %v)", n1, d1, n2, d2, n, d)
	}
	if n, d := parts(-100, -100); n != 0 || d != 0 {
		t.Errorf("parts of ignored rows are (%v, %v), want 0", n, d)
	}
}

func TestPartsRefuses(t *testing.T) {
	g := G.NewGraph()
	x, y := matrixOf(g, "x", 1, 2, 1, 2), matrixOf(g, "y", 1, 2, 1, 2)
	cost := G.Must(loss.MSE(x, y))
	for name, n := range map[string]*G.Node{"a sum": G.Must(G.Add(cost, cost)), "a leaf": x} {
		if _, _, err := loss.Parts(n); !errors.Is(err, loss.ErrOption) {
			t.Errorf("%s: error %v, want one of kind ErrOption", name, err)
		}
	}
	if _, _, err := loss.Parts(nil); !errors.Is(err, loss.ErrShape) {
		t.Errorf("nil: error %v, want one of kind ErrShape", err)
	}
}

// 2·MSE - 0.5·MAE of errors 1 and -3: 2·5 - 0.5·2 = 9, with the derivative (2·2e - 0.5·sign e)/2 by
// each prediction.
func TestWeighted(t *testing.T) {
	g := G.NewGraph()
	x, y := vectorOf(g, "x", tensor.Float64, 2., 1), vectorOf(g, "y", tensor.Float64, 1., 4)
	fn := loss.Weighted(loss.Term{Name: "square", Loss: loss.MSE, Factor: 2}, loss.Term{Loss: loss.MAE, Factor: -0.5})
	cost, err := fn(x, y)
	if err != nil {
		t.Fatal(err)
	}
	grads, err := loss.Gradients(cost, x)
	if err != nil {
		t.Fatal(err)
	}
	names, terms := loss.Terms(cost)
	runGraph(t, g)
	if got := scalarOf(t, cost); got != 9 {
		t.Errorf("cost %v, want 9", got)
	}
	if len(names) != 2 || names[0] != "square" || names[1] != "1" {
		t.Errorf("names %q, want square and 1", names)
	}
	if a, b := scalarOf(t, terms[0]), scalarOf(t, terms[1]); a != 5 || b != 2 {
		t.Errorf("terms %v and %v, want 5 and 2", a, b)
	}
	for i, want := range []float64{(2*2 - 0.5) / 2, (2*-6 + 0.5) / 2} {
		if got := grads[0].Value().Data().([]float64)[i]; got != want {
			t.Errorf("gradient[%d] = %v, want %v", i, got, want)
		}
	}
	if names, terms := loss.Terms(x); names != nil || terms != nil {
		t.Errorf("terms of a leaf are %v and %v, want none", names, terms)
	}
}

func TestWeightedRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		terms []loss.Term
		opts  []loss.Option
		kind  error
		text  string
	}{
		{"no terms", nil, nil, loss.ErrOption, "loss.Weighted: no terms, want at least one"},
		{"no loss", []loss.Term{{Name: "a", Factor: 1}}, nil, loss.ErrOption, "loss.Weighted: term a has no loss"},
		{"NaN", []loss.Term{{Name: "a", Loss: loss.MSE, Factor: math.NaN()}}, nil, loss.ErrOption,
			"loss.Weighted: term a has the factor NaN, want a finite number"},
		{"shapes", []loss.Term{{Loss: loss.MSE, Factor: 1}, {Name: "kl", Loss: loss.KL, Factor: 1}}, []loss.Option{loss.WithReduction(loss.None)},
			loss.ErrShape, "loss.Weighted: term kl has shape (1), want (1, 2) like term 0"},
	} {
		g := G.NewGraph()
		n, err := loss.Weighted(c.terms...)(matrixOf(g, "x", 1, 2, 1, 2), matrixOf(g, "y", 1, 2, 0.5, 0.5), c.opts...)
		if n != nil || !errors.Is(err, c.kind) || err.Error() != c.text {
			t.Errorf("%s: node %v, error %v, want %q", c.name, n, err, c.text)
		}
	}
}

// With fixes options; those of a call come after them.
func TestWith(t *testing.T) {
	g := G.NewGraph()
	x, y := vectorOf(g, "x", tensor.Float64, 3.), vectorOf(g, "y", tensor.Float64, 1.)
	fn := loss.With(loss.Huber, loss.WithDelta(1), loss.WithReduction(loss.Sum))
	fixed, changed := G.Must(fn(x, y)), G.Must(fn(x, y, loss.WithDelta(10)))
	runGraph(t, g)
	if a, b := scalarOf(t, fixed), scalarOf(t, changed); a != 1.5 || b != 2 {
		t.Errorf("δ 1 gives %v and δ 10 %v, want 1.5 and 2", a, b)
	}
}

// Values 1, 5 and NaN with weights 3, 1 and 2, the last masked: (3·1 + 1·5)/4 = 2, and the
// derivative is weight/4.
func TestReduce(t *testing.T) {
	g := G.NewGraph()
	v := vectorOf(g, "v", tensor.Float64, 1., 5, math.NaN())
	cost, err := loss.Reduce(v, loss.WithWeights(vectorOf(g, "w", tensor.Float64, 3., 1, 2)), loss.WithMask(vectorOf(g, "m", tensor.Bool, true, true, false)))
	if err != nil {
		t.Fatal(err)
	}
	grads, err := loss.Gradients(cost, v)
	if err != nil {
		t.Fatal(err)
	}
	runGraph(t, g)
	if got := scalarOf(t, cost); got != 2 {
		t.Errorf("mean %v, want 2", got)
	}
	for i, want := range []float64{0.75, 0.25, 0} {
		if got := grads[0].Value().Data().([]float64)[i]; got != want {
			t.Errorf("gradient[%d] = %v, want %v", i, got, want)
		}
	}
}

// Weights and masks of elementwise losses may have one entry per row: the same as repeating it
// along the row.
func TestRowWeights(t *testing.T) {
	for _, cols := range []int{40, 1} {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			compareRowWeights(t, dt, cols)
		}
	}
}

// compareRowWeights has neighbouring rows of one weight, of one mask and of neither.
func compareRowWeights(t *testing.T, dt tensor.Dtype, cols int) {
	const rows = 8
	g := G.NewGraph()
	x, y := make([]float64, rows*cols), make([]float64, rows*cols)
	w, m := []float64{1, 0, 2.5, -1, 3, 3, 3, 0.5}, []bool{true, true, false, true, true, true, false, false}
	var wide []float64
	var wideMask []bool
	for i := range x {
		x[i], y[i] = math.Sin(float64(i)), math.Cos(float64(3*i))
		wide, wideMask = append(wide, w[i/cols]), append(wideMask, m[i/cols])
	}
	x[cols], x[2*cols] = math.NaN(), math.Inf(1) // rows that do not count
	a, b := benchInput(g, dt, "x", x, rows, cols), benchInput(g, dt, "y", y, rows, cols)
	mask := func(name string, m []bool, shape ...int) *G.Node {
		return G.NewTensor(g, tensor.Bool, len(shape), G.WithName(name), G.WithShape(shape...),
			G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(m))))
	}
	for _, reduction := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
		var costs, grads G.Nodes
		for i, opts := range [][]loss.Option{
			{loss.WithWeights(benchInput(g, dt, "w", w, rows)), loss.WithMask(mask("m", m, rows))},
			{loss.WithWeights(benchInput(g, dt, "ww", wide, rows, cols)), loss.WithMask(mask("mm", wideMask, rows, cols))},
		} {
			cost, err := loss.Huber(a, b, append(opts, loss.WithReduction(reduction))...)
			if err != nil {
				t.Fatal(i, err)
			}
			costs = append(costs, cost)
			up := cost
			if reduction == loss.None {
				up = G.Must(loss.Reduce(cost, loss.WithReduction(loss.Sum)))
			}
			d, err := loss.Gradients(up, a)
			if err != nil {
				t.Fatal(err)
			}
			grads = append(grads, d...)
		}
		runGraph(t, g)
		for _, pair := range []G.Nodes{costs, grads} {
			got, want := floats(pair[0].Value()), floats(pair[1].Value())
			for i := range want {
				// A factor for a row multiplies once what a weight for an element multiplies
				// twice: some units of float32.
				if tolerance := 4e-7 * math.Abs(want[i]); !(math.Abs(got[i]-want[i]) <= tolerance) {
					t.Errorf("%v, %v: %v[%d] is %v with row weights, %v with repeated ones", dt, reduction, pair[0], i, got[i], want[i])
				}
			}
		}
	}
}

// TestReadsBatch: losses of pairs in a batch do, until they have a mask; those of rows, lists and
// images do not unless their pixels are one set.
func TestReadsBatch(t *testing.T) {
	g := G.NewGraph()
	x, y := matrixOf(g, "x", 2, 2, 1, 2, 3, 4), matrixOf(g, "y", 2, 2, 2, 1, 0, 3)
	labels, mask := vectorOf(g, "labels", tensor.Int, 0, 1), vectorOf(g, "mask", tensor.Bool, true, true)
	pixels := G.NewMatrix(g, tensor.Int, G.WithName("pixels"), G.WithShape(2, 2), G.WithValue(tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]int{0, 1, 1, 0}))))
	sum := loss.Weighted(loss.Term{Name: "a", Factor: 1, Loss: loss.MSE}, loss.Term{Name: "b", Factor: 1, Loss: loss.DCL})
	for name, c := range map[string]struct {
		cost func() (*G.Node, error)
		want []int
	}{
		"NTXent":        {func() (*G.Node, error) { return loss.NTXent(x, labels) }, []int{2}},
		"masked":        {func() (*G.Node, error) { return loss.NTXent(x, labels, loss.WithMask(mask)) }, nil},
		"InfoNCE":       {func() (*G.Node, error) { return loss.InfoNCE(x, y) }, []int{2}},
		"VICReg":        {func() (*G.Node, error) { return loss.VICReg(x, y) }, []int{2}},
		"sum":           {func() (*G.Node, error) { return sum(x, y) }, []int{2}},
		"CrossEntropy":  {func() (*G.Node, error) { return loss.CrossEntropy(x, labels) }, nil},
		"ListNet":       {func() (*G.Node, error) { return loss.ListNet(x, y) }, nil},
		"Dice":          {func() (*G.Node, error) { return loss.Dice(x, labels) }, nil},
		"pooled Dice":   {func() (*G.Node, error) { return loss.Dice(x, labels, loss.WithPooled()) }, []int{2}},
		"pooled pixels": {func() (*G.Node, error) { return loss.LovaszHinge(x, pixels, loss.WithPooled()) }, []int{2, 2}},
		"Alignment":     {func() (*G.Node, error) { return loss.Alignment(x, y) }, nil},
	} {
		cost, err := c.cost()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		mask, got := loss.ReadsBatch(cost)
		if got != (c.want != nil) || !slices.Equal(mask, c.want) {
			t.Errorf("%s: %v with a mask of shape %v, want %v", name, got, mask, c.want)
		}
	}
}
