package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// pair is a value with a gradient.
type pair struct{ v, g G.Value }

func (p pair) Value() G.Value         { return p.v }
func (p pair) Grad() (G.Value, error) { return p.g, nil }

// TestSolver: a TapeMachine with the solver makes the steps that the rule makes on slices, with
// gradients that are bound and added to; one that is saved half-way goes on to the same bits.
func TestSolver(t *testing.T) {
	for _, rule := range []optim.Optimizer{optim.SGD(0.1), optim.AdamW(0.1), optim.Adagrad(0.1, optim.WithInitial(0.5))} {
		g := G.NewGraph()
		x := G.NewMatrix(g, tensor.Float64, G.WithShape(3, 2), G.WithName("x"),
			G.WithValue(dense([]float64{1, 2, -1, 0.5, 3, -2}, 3, 2)))
		y := G.NewMatrix(g, tensor.Float64, G.WithShape(3, 1), G.WithName("y"),
			G.WithValue(dense([]float64{1, 0, 2}, 3, 1)))
		w := G.NewMatrix(g, tensor.Float64, G.WithShape(2, 1), G.WithName("w"),
			G.WithValue(dense([]float64{0.3, -0.2}, 2, 1)))
		cost := G.Must(loss.MSE(G.Must(G.Mul(x, w)), y))
		if _, err := G.Grad(cost, w); err != nil {
			t.Fatal(err)
		}
		vm := G.NewTapeMachine(g, G.BindDualValues(w))
		solver, err := NewSolver(rule)
		if err != nil {
			t.Fatal(err)
		}
		model := G.NodesToValueGrads(G.Nodes{w})
		want := weights.New("w", false, 2, 1)
		copy(want.F64, []float64{0.3, -0.2})
		byHand := newMoved(want, &gradient{Array: weights.New("w", false, 2, 1)}, rule, nil)
		for n := 1; n <= 6; n++ {
			if n == 4 {
				saved := solver.State()
				if solver, err = NewSolver(rule); err != nil {
					t.Fatal(err)
				}
				if err := solver.Restore(saved, model); err != nil {
					t.Fatal(err)
				}
			}
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			grad, err := w.Grad()
			if err != nil {
				t.Fatal(err)
			}
			copy(byHand.grad.F64, grad.Data().([]float64))
			byHand.update(rule, n, rule.Rate())
			if err := solver.Step(model); err != nil {
				t.Fatal(err)
			}
			vm.Reset()
			if got := w.Value().Data().([]float64); !slices.Equal(got, want.F64) {
				t.Fatalf("%s: step %d moved to %v, want %v", rule.Name(), n, got, want.F64)
			}
			if left := grad.Data().([]float64); !slices.Equal(left, []float64{0, 0}) {
				t.Errorf("%s: the gradient is %v after the step, want 0", rule.Name(), left)
			}
		}
		vm.Close()
	}
}

func TestSolverFaults(t *testing.T) {
	solver, err := NewSolver(optim.Adam(0.1))
	if err != nil {
		t.Fatal(err)
	}
	good := pair{dense([]float32{1, 2}, 2), dense([]float32{1, 1}, 2)}
	if len(solver.State()) != 0 {
		t.Error("a state before the first step")
	}
	check := func(want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for want, p := range map[string]pair{
		"a *gorgonia.F32, want a dense tensor":        {G.NewF32(1), G.NewF32(1)},
		"its gradient is a *gorgonia.F32":             {good.v, G.NewF32(1)},
		"of int, want float32 or float64":             {dense([]int{1}, 1), dense([]int{1}, 1)},
		"its gradient has shape [3], want [2]":        {good.v, dense([]float32{1, 1, 1}, 3)},
		"its gradient has shape [2], want [2] of its": {good.v, dense([]float64{1, 1}, 2)},
		"its gradient is not finite at element 1":     {good.v, dense([]float32{1, float32(math.NaN())}, 2)},
		"a <nil>, want a dense tensor":                {good.v, nil},
	} {
		check(want, solver.Step([]G.ValueGrad{good, p}))
	}
	if v := good.v.Data().([]float32); v[0] != 1 || v[1] != 2 || solver.n != 0 {
		t.Errorf("the value is %v after steps that failed", v)
	}
	if err := solver.Step([]G.ValueGrad{good}); err != nil {
		t.Fatal(err)
	}
	check("2 values, want 1", solver.Step([]G.ValueGrad{good, good}))
	check("it has shape [3], want [2]", solver.Step([]G.ValueGrad{pair{dense(make([]float32, 3), 3), dense(make([]float32, 3), 3)}}))
	state := solver.State()
	check("Restore after 1 steps", solver.Restore(state, nil))
	fresh := func(rule optim.Optimizer) *Solver {
		s, err := NewSolver(rule)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	check("no valid number of steps", fresh(optim.Adam(0.1)).Restore(state[1:], []G.ValueGrad{good}))
	check("another rule", fresh(optim.Momentum(0.1, 0.9)).Restore(state, []G.ValueGrad{good}))
	check("another rule", fresh(optim.SGD(0.1)).Restore(state, []G.ValueGrad{good}))
	check("of other values", fresh(optim.Adam(0.1)).Restore(state, []G.ValueGrad{pair{dense(make([]float32, 3), 3), nil}}))
	_, err = NewSolver(nil)
	check("no optimizer", err)
	_, err = NewSolver(optim.SGD(-1))
	check("rate is -1", err)
}
