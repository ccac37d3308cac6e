package loss_test

import (
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// What Gorgonia v0.9.18 computes with its own operations beside what this package computes. Its
// numbers here are what it prints, not what is right: a test that fails on one of them means that
// Gorgonia has changed.

// onGorgonia runs a graph of Gorgonia's own operations; a panic counts as an error.
func onGorgonia(t *testing.T, g *G.ExprGraph, nodes ...*G.Node) [][]float64 {
	t.Helper()
	values, err := runTape(g, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestGorgoniaSoftMaxOfRows(t *testing.T) {
	// Its maximum of every row starts from element 0 of the whole tensor.
	rows := []float64{1000, 0, 0, 0, 0, 0}
	b := newBench(tensor.Float64)
	theirs := onGorgonia(t, b.g, G.Must(G.SoftMax(b.float("x", []int{2, 3}, rows...))))[0]
	if !math.IsNaN(theirs[3]) {
		t.Errorf("gorgonia.SoftMax = %v, which had NaN in the second row", theirs)
	}
	third := 1.0 / 3
	ours := mustCompute(t, tensor.Float64,
		func(b *bench) (*G.Node, error) { return loss.Softmax(b.float("x", []int{2, 3}, rows...)) })
	checkNear(t, "Softmax", ours.value, []float64{1, 0, 0, third, third, third}, 1e-15)
	ours = mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.LogSoftmax(b.float("x", []int{2, 3}, rows...))
	})
	checkNear(t, "LogSoftmax", ours.value, []float64{0, -1000, -1000, -math.Log(3), -math.Log(3), -math.Log(3)}, 1e-15)
}

func TestGorgoniaLogOfSoftMaxChangesSoftMax(t *testing.T) {
	// The stabiliser of Log turns the SoftMax operation itself into a log-softmax.
	row := []float64{1, 2, 3}
	p, nll, _ := bigSoftmax(row)
	want, wantLog := make([]float64, 3), make([]float64, 3)
	for i := range row {
		want[i], wantLog[i] = float64Of(p[i]), -float64Of(nll[i])
	}
	b := newBench(tensor.Float64)
	probs := G.Must(G.SoftMax(b.float("x", []int{1, 3}, row...)))
	theirs := onGorgonia(t, b.g, probs, G.Must(G.Log(probs)))
	if theirs[0][0] > 0 {
		t.Errorf("gorgonia.SoftMax beside its Log = %v, which were log-probabilities", theirs[0])
	}
	b = newBench(tensor.Float64)
	soft, err := loss.Softmax(b.float("x", []int{1, 3}, row...))
	if err != nil {
		t.Fatal(err)
	}
	logSoft, err := loss.LogSoftmax(b.leaves["x"])
	if err != nil {
		t.Fatal(err)
	}
	ours := onGorgonia(t, b.g, soft, G.Must(G.Log(soft)), logSoft)
	checkNear(t, "Softmax", ours[0], want, 1e-15)
	checkNear(t, "Log of Softmax", ours[1], wantLog, 1e-15)
	checkNear(t, "LogSoftmax", ours[2], wantLog, 1e-15)
}

func TestGorgoniaMergesSoftMaxAndLogSoftMax(t *testing.T) {
	row := []float64{1, 2, 3}
	b := newBench(tensor.Float64)
	x := b.float("x", []int{1, 3}, row...)
	if soft, logSoft := G.Must(G.SoftMax(x)), G.Must(G.LogSoftMax(x)); soft != logSoft {
		t.Error("gorgonia.SoftMax and LogSoftMax of one node are two nodes, which were one")
	}
	soft, err := loss.Softmax(x)
	if err != nil {
		t.Fatal(err)
	}
	logSoft, err := loss.LogSoftmax(x)
	if err != nil {
		t.Fatal(err)
	}
	if soft == logSoft || soft.Hashcode() == logSoft.Hashcode() {
		t.Error("Softmax and LogSoftmax of one node are one node")
	}
	again, err := loss.Softmax(x)
	if err != nil {
		t.Fatal(err)
	}
	if again != soft {
		t.Error("two equal calls of Softmax are two nodes, want one")
	}
}

func TestGorgoniaCrossEntropyByHand(t *testing.T) {
	// -log(SoftMax(x)[y]) through a slice, as programs on Gorgonia write it: +Inf, and a gradient
	// of NaN. With 1e-12 inside the logarithm the loss stops at 27.6 and the gradient is 0: nothing
	// is learned where most is to learn.
	row := []float64{1000, 2, 3}
	byHand := func(offset float64) (value float64, grad []float64) {
		b := newBench(tensor.Float64)
		x := b.float("x", []int{3}, row...)
		p := G.Must(G.Slice(G.Must(G.SoftMax(x)), G.S(1)))
		if offset != 0 {
			p = G.Must(G.Add(p, G.NewConstant(offset)))
		}
		l := G.Must(G.Neg(G.Must(G.Log(p))))
		grads, err := G.Grad(l, x)
		if err != nil {
			t.Fatal(err)
		}
		values := onGorgonia(t, b.g, l, grads[0])
		return values[0][0], values[1]
	}
	if value, grad := byHand(0); !math.IsInf(value, 1) || !math.IsNaN(grad[0]) {
		t.Errorf("by hand: %v, gradient %v, which were +Inf and NaN", value, grad)
	}
	if value, grad := byHand(1e-12); !near64(value, -math.Log(1e-12), 1e-9, 0) || grad[1] != 0 {
		t.Errorf("by hand with 1e-12: %v, gradient %v, which were 27.6 and 0", value, grad)
	}
	ours := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", []int{1, 3}, row...), b.labels([]int{1}, 1))
	}, "x")
	checkNear(t, "CrossEntropy", ours.value, []float64{998}, 0)
	checkNear(t, "CrossEntropy gradient", ours.grads["x"], []float64{1, -1, 0}, 0)
}

func TestGorgoniaSoftMaxOfViews(t *testing.T) {
	// The rows {1, 3, 5} and {2, 4, 6} as the transpose of a 3×2 matrix, and as columns 0-2 of a
	// wider one.
	transposed := tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float64{1, 2, 3, 4, 5, 6}))
	if err := transposed.T(); err != nil {
		t.Fatal(err)
	}
	wide := tensor.New(tensor.WithShape(2, 4), tensor.WithBacking([]float64{1, 3, 5, 100, 2, 4, 6, -100}))
	sliced, err := wide.Slice(nil, G.S(0, 3))
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := bigSoftmax([]float64{1, 3, 5})
	want := []float64{float64Of(p[0]), float64Of(p[1]), float64Of(p[2])}
	want = append(want, want...)
	for name, value := range map[string]tensor.Tensor{"transposed": transposed, "sliced": sliced} {
		run := func(softmax func(x *G.Node) (*G.Node, error)) []float64 {
			g := G.NewGraph()
			x := G.NewMatrix(g, tensor.Float64, G.WithShape(2, 3), G.WithName("x"), G.WithValue(value))
			y, err := softmax(x)
			if err != nil {
				t.Fatal(err)
			}
			return onGorgonia(t, g, y)[0]
		}
		theirs := run(func(x *G.Node) (*G.Node, error) { return G.SoftMax(x) })
		wrong := false
		for i, w := range want {
			wrong = wrong || i >= len(theirs) || !near64(theirs[i], w, 1e-12, 0)
		}
		if !wrong {
			t.Errorf("gorgonia.SoftMax of a %s tensor = %v, which was wrong", name, theirs)
		}
		checkNear(t, "Softmax of a "+name+" tensor", run(func(x *G.Node) (*G.Node, error) { return loss.Softmax(x) }),
			want, 1e-15)
	}
}

func TestGorgoniaLogSumExp(t *testing.T) {
	row := []float64{1, 2, 3}
	b := newBench(tensor.Float64)
	theirs := onGorgonia(t, b.g, G.Must(G.LogSumExp(b.float("x", []int{3}, row...), 0)))[0]
	if math.Abs(theirs[0]-1.505) > 1e-3 {
		t.Errorf("gorgonia.LogSumExp(1, 2, 3) = %v, which was 1.505", theirs)
	}
	ours := mustCompute(t, tensor.Float64,
		func(b *bench) (*G.Node, error) { return loss.LogSumExp(b.float("x", []int{3}, row...)) })
	checkNear(t, "LogSumExp", ours.value, []float64{3.4076059644443806}, 1e-15) // 3 + log(1 + e^-1 + e^-2)

	matrix := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = loss.ErrShape // any error stands for a panic
			}
		}()
		_, err = G.LogSumExp(newBench(tensor.Float64).float("x", []int{2, 3}, append(row, row...)...), 1)
		return err
	}
	if err := matrix(); err == nil {
		t.Error("gorgonia.LogSumExp takes a matrix, which it did not")
	}
	ours = mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.LogSumExp(b.float("x", []int{2, 3}, append(row, row...)...))
	}, "x")
	checkNear(t, "LogSumExp", ours.value, []float64{3.4076059644443806, 3.4076059644443806}, 1e-15)
}

func TestGorgoniaBinaryXent(t *testing.T) {
	p, y := []float64{0, 1, 0.5, 0.25}, []float64{0, 1, 1, 0}
	b := newBench(tensor.Float64)
	theirs := onGorgonia(t, b.g, G.Must(G.BinaryXent(b.float("p", []int{4}, p...), b.float("y", []int{4}, y...))))[0]
	if !math.IsNaN(theirs[0]) || !math.IsNaN(theirs[1]) {
		t.Errorf("gorgonia.BinaryXent = %v, which were NaN at (0, 0) and (1, 1)", theirs)
	}
	logits := []float64{ninf, inf, 0, -math.Log(3)}
	ours := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.BinaryCrossEntropy(b.float("x", []int{4}, logits...), b.float("y", []int{4}, y...),
			loss.WithReduction(loss.None))
	}, "x")
	checkNear(t, "BinaryCrossEntropy", ours.value, []float64{0, 0, math.Ln2, math.Log(4.0 / 3)}, 1e-15)
	checkNear(t, "BinaryCrossEntropy gradient", ours.grads["x"], []float64{0, 0, -0.5, 0.25}, 1e-15)
}
