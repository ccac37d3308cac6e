package machine_test

import (
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func grad(t *testing.T, n *G.Node) string {
	t.Helper()
	v, err := n.Grad()
	if err != nil {
		t.Fatal(err)
	}
	return numbers(v)
}

// As with BindDualValues, each run adds to the gradient.
func TestGradientsAddUp(t *testing.T) {
	g, x := vector()
	let(t, x, 1, 3)
	cost := G.Must(G.Sum(G.Must(G.Square(x))))
	if _, err := G.Grad(cost, x); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, g, machine.WithGradients())
	for _, want := range []string{"[2 6]", "[4 12]"} {
		run(t, m)
		if got := grad(t, x); got != want {
			t.Errorf("the gradient is %s, want %s", got, want)
		}
	}
	let(t, x, 10, 10) // binding the input leaves its gradient
	run(t, m)
	if got := grad(t, x); got != "[24 32]" {
		t.Errorf("the gradient is %s, want [24 32]", got)
	}
	if err := G.NewVanillaSolver(G.WithLearnRate(0.5)).Step(G.NodesToValueGrads(G.Nodes{x})); err != nil {
		t.Fatal(err)
	}
	if got := numbers(x.Value()); got != "[-2 -6]" {
		t.Errorf("after the step x is %s, want [-2 -6]", got)
	}
	run(t, m)
	if got := grad(t, x); got != "[-4 -12]" {
		t.Errorf("after the step the gradient is %s, want [-4 -12]", got)
	}
	// a second machine goes on with the same gradient
	run(t, newMachine(t, g, machine.WithGradients(x)))
	if got := grad(t, x); got != "[-8 -24]" {
		t.Errorf("on a second machine the gradient is %s, want [-8 -24]", got)
	}
}

// Without the option Node.Grad is the value of the derivative.
func TestGradientsThatAreNotBound(t *testing.T) {
	g, x := vector()
	let(t, x, 1, 3)
	if _, err := G.Grad(G.Must(G.Sum(G.Must(G.Square(x)))), x); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, g)
	for range 2 {
		run(t, m)
		if got := grad(t, x); got != "[2 6]" {
			t.Errorf("the gradient is %s, want [2 6]", got)
		}
	}
}

// A run that fails adds nothing.
func TestGradientsAfterAnError(t *testing.T) {
	g, x := vector()
	let(t, x, 1, 3)
	if _, err := G.Grad(G.Must(G.Sum(G.Must(G.Square(x)))), x); err != nil {
		t.Fatal(err)
	}
	fail := false
	G.Must(G.ApplyOp(&function{"late", func(v G.Value) (G.Value, error) {
		if fail {
			panic("late")
		}
		return G.CloneValue(v)
	}}, x))
	m := newMachine(t, g, machine.WithGradients(x))
	run(t, m)
	fail = true
	if err := m.RunAll(); err == nil {
		t.Fatal("no error")
	}
	if got := grad(t, x); got != "[2 6]" {
		t.Errorf("after a run that failed the gradient is %s, want [2 6]", got)
	}
}

// Derivatives that Gorgonia makes of constants and of other inputs are bound as well.
func TestGradientsThatAreConstantsOrInputs(t *testing.T) {
	g := G.NewGraph()
	x := G.NewScalar(g, tensor.Float64, G.WithName("x"), G.WithValue(2.0))
	y := G.NewScalar(g, tensor.Float64, G.WithName("y"), G.WithValue(5.0))
	if _, err := G.Grad(G.Must(G.Add(x, y)), x, y); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, g, machine.WithOutputs(), machine.WithGradients())
	run(t, m)
	run(t, m)
	if grad(t, x) != "2" || grad(t, y) != "2" {
		t.Errorf("the gradients are %s and %s, want 2 and 2", grad(t, x), grad(t, y))
	}
	p := G.NewScalar(g, tensor.Float64, G.WithName("p"), G.WithValue(1.0))
	m = newMachine(t, g, machine.WithGradientNodes(G.Nodes{p}, G.Nodes{y}))
	run(t, m)
	if grad(t, p) != "5" {
		t.Errorf("the gradient is %s, want 5", grad(t, p))
	}
}

func TestGradientNodesOfLoss(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		g := G.NewGraph()
		logits := newInput(g, dt, "logits", 3, 4)
		scale := newInput(g, dt, "scale")
		labels := G.NewVector(g, tensor.Int, G.WithName("labels"), G.WithShape(3),
			G.WithValue(tensor.New(tensor.WithShape(3), tensor.WithBacking([]int{0, 3, 1}))))
		cost, err := loss.CrossEntropy(G.Must(G.HadamardProd(scale, logits)), labels)
		if err != nil {
			t.Fatal(err)
		}
		inputs := G.Nodes{logits, scale}
		grads, err := loss.Gradients(cost, inputs...)
		if err != nil {
			t.Fatal(err)
		}
		m := newMachine(t, g, machine.WithOutputs(cost), machine.WithGradientNodes(inputs, grads),
			machine.WithBufferReuse())
		run(t, m)
		for i, in := range inputs {
			if grad(t, in) != numbers(grads[i].Value()) {
				t.Errorf("%v: the gradient is %s, want %s", dt, grad(t, in), numbers(grads[i].Value()))
			}
		}
		before := numbers(logits.Value())
		if err := G.NewAdamSolver().Step(G.NodesToValueGrads(inputs)); err != nil {
			t.Fatal(err)
		}
		if numbers(logits.Value()) == before {
			t.Errorf("%v: the solver did not move the logits", dt)
		}
	}
}

func TestGradientsOfHostileValues(t *testing.T) {
	inf := math.Inf(1)
	g, x := vector()
	let(t, x, math.NaN(), -inf)
	if _, err := G.Grad(G.Must(G.Sum(G.Must(G.Square(x)))), x); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, g, machine.WithGradients())
	run(t, m)
	if got := grad(t, x); got != "[NaN -Inf]" {
		t.Errorf("the gradient is %s, want [NaN -Inf]", got)
	}
}

// A gradient that a solver or a program replaced by something else is an error with the input's
// name.
func TestGradientOfAnotherShape(t *testing.T) {
	g, x := vector()
	if _, err := G.Grad(G.Must(G.Sum(G.Must(G.Square(x)))), x); err != nil {
		t.Fatal(err)
	}
	G.WithGrad(tensor.New(tensor.WithShape(5), tensor.Of(tensor.Float64)))(x)
	if err := newMachine(t, g, machine.WithGradients()).RunAll(); err == nil {
		t.Error("no error")
	}
}

// Batch normalisation leaves statistics for its derivative, which does not have it as an operand. A
// run of the derivative alone runs it all the same.
func TestOperationsThatADerivativeNeedsBehindTheGraph(t *testing.T) {
	build := func() (*scene, *G.Node) {
		s := &scene{g: G.NewGraph(), dt: tensor.Float64}
		y, _, _, _, err := G.BatchNorm(s.in("x", 2, 3, 4, 4), s.in("scale", 2, 3, 4, 4), s.in("bias", 2, 3, 4, 4), 0.9, 1e-5)
		if err != nil {
			t.Fatal(err)
		}
		// The derivative is one of x and the upstream.
		d, err := G.Backpropagate(G.Nodes{y}, G.Nodes{newInput(s.g, s.dt, "upstream", 2, 3, 4, 4)}, s.inputs[:1])
		if err != nil {
			t.Fatal(err)
		}
		return s, d[0]
	}
	all, want := build()
	run(t, newMachine(t, all.g))
	part, got := build()
	run(t, newMachine(t, part.g, machine.WithOutputs(got)))
	if numbers(got.Value()) != numbers(want.Value()) {
		t.Errorf("the derivative alone gives %.100s, with all %.100s", numbers(got.Value()), numbers(want.Value()))
	}
}

// One graph on two machines in turn: each sets its mode.
func TestModes(t *testing.T) {
	g := G.NewGraph()
	x := newInput(g, tensor.Float64, "x", 50)
	y := G.Must(G.Dropout(x, 0.5))
	training := newMachine(t, g)
	evaluation := newMachine(t, g, machine.WithEvalMode())
	zeros := func(v G.Value) (n int) {
		for _, a := range v.Data().([]float64) {
			if a == 0 {
				n++
			}
		}
		return n
	}
	for range 3 {
		run(t, training)
		if n := zeros(y.Value()); n == 0 { // 2^-50 by chance
			t.Error("training drops nothing")
		}
		run(t, evaluation)
		if n := zeros(y.Value()); n != 0 {
			t.Errorf("evaluation drops %d numbers", n)
		}
	}
}

// Batch normalisation uses its statistics of the runs before in evaluation.
func TestEvaluationEqualsTheTapeMachine(t *testing.T) {
	var want string
	for name, evaluation := range map[string]func(g *G.ExprGraph) G.VM{
		"tape":    func(g *G.ExprGraph) G.VM { return G.NewTapeMachine(g, G.EvalMode()) },
		"machine": func(g *G.ExprGraph) G.VM { return newMachine(t, g, machine.WithEvalMode()) },
	} {
		s := &scene{g: G.NewGraph(), dt: tensor.Float32}
		y, _, _, _, err := G.BatchNorm(s.in("x", 2, 3, 4, 4), s.in("scale", 2, 3, 4, 4), s.in("bias", 2, 3, 4, 4), 0.9, 1e-5)
		if err != nil {
			t.Fatal(err)
		}
		var into G.Value
		G.Read(y, &into)
		run(t, newMachine(t, s.g))
		trained := bits(into)
		vm := evaluation(s.g)
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		if got := bits(into); want == "" {
			want = got
		} else if got != want || got == trained {
			t.Errorf("%s gives %.80s in evaluation, want %.80s, and in training %.80s", name, got, want, trained)
		}
	}
}

func TestRandomNodesAreDrawnInEachRun(t *testing.T) {
	for name, build := range map[string]func(g *G.ExprGraph) *G.Node{
		"uniform":  func(g *G.ExprGraph) *G.Node { return G.UniformRandomNode(g, tensor.Float64, 0, 1, 20) },
		"gaussian": func(g *G.ExprGraph) *G.Node { return G.GaussianRandomNode(g, tensor.Float64, 0, 1, 20) },
		"binomial": func(g *G.ExprGraph) *G.Node { return G.BinomialRandomNode(g, tensor.Float64, 1000, 0.5, 20) },
	} {
		g := G.NewGraph()
		y := G.Must(G.Neg(build(g)))
		var into G.Value
		G.Read(y, &into)
		m := newMachine(t, g, machine.WithBufferReuse())
		run(t, m)
		first := numbers(into)
		run(t, m)
		if second := numbers(into); first == second {
			t.Errorf("%s: two runs give %s", name, first)
		}
	}
}

// The memory that is kept does not show in what was read.
func TestBufferReuse(t *testing.T) {
	g, x := vector()
	y := G.Must(G.Add(x, x))
	var into G.Value
	G.Read(y, &into)
	m := newMachine(t, g, machine.WithBufferReuse())
	let(t, x, 1, 2)
	run(t, m)
	kept, copied := y.Value(), into
	into = nil
	let(t, x, 10, 20)
	run(t, m)
	if y.Value() != kept {
		t.Error("the memory is not kept")
	}
	if numbers(copied) != "[2 4]" || numbers(into) != "[20 40]" {
		t.Errorf("read %s and %s, want [2 4] and [20 40]", numbers(copied), numbers(into))
	}
	plain := newMachine(t, g)
	run(t, plain)
	kept = y.Value()
	run(t, plain)
	if y.Value() == kept {
		t.Error("without the option memory is kept")
	}
}
