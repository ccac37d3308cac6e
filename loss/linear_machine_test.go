package loss_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A graph that is run again with other data gives what a new graph gives, to the bit: the gradients
// that the value computes on the way are those of its own run. The cost times a factor has another
// upstream than 1.
func TestLinearRunAgain(t *testing.T) {
	for _, factor := range []float64{1, 0.5} {
		for _, reuse := range []bool{false, true} {
			opts := []loss.Option{loss.WithReduction(loss.Mean)}
			if reuse {
				opts = append(opts, loss.WithBufferReuse())
			}
			build := func(s *linearSample) (*G.ExprGraph, G.Nodes, G.Nodes) {
				g := G.NewGraph()
				cost, wrt, err := s.build(g, tensor.Float64, false, false, true, opts)
				if err != nil {
					t.Fatal(err)
				}
				if cost, err = G.Mul(cost, G.NewConstant(factor)); err != nil {
					t.Fatal(err)
				}
				grads, err := loss.Gradients(cost, wrt...)
				if err != nil {
					t.Fatal(err)
				}
				return g, append(G.Nodes{cost}, grads...), wrt
			}
			s := newLinearSample(9, 4, 6)
			g, nodes, wrt := build(s)
			values := make([]G.Value, len(nodes))
			for i, n := range nodes {
				G.Read(n, &values[i])
			}
			m := G.NewTapeMachine(g)
			defer m.Close()
			r := rand.New(rand.NewPCG(5, 6))
			for run := range 4 {
				for k, x := range [][]float64{s.hidden, s.weight, s.bias} {
					for i := range x {
						x[i] += 0.1 * r.NormFloat64()
					}
					copy(wrt[k].Value().Data().([]float64), x) // in place, as a solver does
				}
				if err := m.RunAll(); err != nil {
					t.Fatal(err)
				}
				m.Reset()
				fresh, freshNodes, _ := build(s)
				want, err := runTape(fresh, freshNodes...)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range values {
					if !slices.Equal(floats(v), want[i]) {
						t.Errorf("factor %v, reuse %t, run %d: result %d is %v, want %v", factor, reuse, run, i,
							floats(v), want[i])
					}
				}
			}
		}
	}
}

// Package eager gives the numbers of the graph to the bit.
func TestLinearEager(t *testing.T) {
	s := newLinearSample(9, 4, 6)
	want, err := s.run(tensor.Float64, false, false, true, []loss.Option{loss.WithLabelSmoothing(0.1)}, "weights", "mask")
	if err != nil {
		t.Fatal(err)
	}
	l, err := eager.LinearCrossEntropy(loss.WithLabelSmoothing(0.1))
	if err != nil {
		t.Fatal(err)
	}
	data := eager.Data{Weights: eager.Slice(s.weights), Mask: eager.Slice(s.mask), Bias: eager.Slice(s.bias)}
	operands := []eager.Operand{eager.Slice(s.hidden, s.n, s.h), eager.Slice(s.weight, s.c, s.h), eager.Slice(s.labels)}
	dx, dw, db := make([]float64, s.n*s.h), make([]float64, s.c*s.h), make([]float64, s.c)
	check := func(what string, value float64) {
		t.Helper()
		if value != want[0][0] || !slices.Equal(dx, want[1]) || !slices.Equal(dw, want[2]) || !slices.Equal(db, want[3]) {
			t.Errorf("%s: %v %v %v %v, the graph %v", what, value, dx, dw, db, want)
		}
	}
	dst := []eager.Operand{eager.Slice(dx, s.n, s.h), eager.Slice(dw, s.c, s.h), {}, eager.Slice(db)}
	v, err := l.ValueGradients(dst, data, operands...)
	if err != nil {
		t.Fatal(err)
	}
	check("at once", v)
	clear(dx)
	clear(dw)
	clear(db)
	if v, err = l.Value(data, operands...); err != nil {
		t.Fatal(err)
	}
	for k, d := range dst {
		switch err := l.Gradient(k, d, data, operands...); {
		case k == 2 && (err == nil || err.Error() != "loss.LinearCrossEntropy: operand 2 has no gradient, want one that is not data"):
			t.Errorf("gradient by labels: %v", err)
		case k != 2 && err != nil:
			t.Error(err)
		}
	}
	check("one by one", v)
	if _, err := eager.CrossEntropy(loss.WithBias(nil)); err == nil {
		t.Error("a nil bias is no error")
	}
}

// The second derivatives of eager are the diagonal of the Hessian, one product with a unit vector
// after another.
func TestLinearDerivatives(t *testing.T) {
	s := newLinearSample(5, 3, 4)
	l, err := eager.LinearCrossEntropy(loss.WithReduction(loss.Sum))
	if err != nil {
		t.Fatal(err)
	}
	operands := []eager.Operand{eager.Slice(s.hidden, s.n, s.h), eager.Slice(s.weight, s.c, s.h), eager.Slice(s.labels)}
	size := s.n * s.h
	first, second, product := make([]float64, size), make([]float64, size), make([]float64, size)
	if err := l.Derivatives(eager.Slice(first, s.n, s.h), eager.Slice(second, s.n, s.h), eager.Data{}, operands...); err != nil {
		t.Fatal(err)
	}
	for i := range size {
		unit := make([]float64, size)
		unit[i] = 1
		if err := l.HessianVector(eager.Slice(product, s.n, s.h), eager.Slice(unit, s.n, s.h), eager.Data{}, operands...); err != nil {
			t.Fatal(err)
		}
		if d := second[i] - product[i]; d > 1e-15 || d < -1e-15 { // the products have other zeros beside the row
			t.Errorf("second derivative %d is %v, the Hessian's %v", i, second[i], product[i])
		}
	}
}

// The logits of 1024 rows of 32,000 classes are 131 MB in float32. No more than 40 MB are
// allocated.
func TestLinearMemory(t *testing.T) {
	n, h, c := 1024, 2, 32000
	l, err := eager.LinearCrossEntropy()
	if err != nil {
		t.Fatal(err)
	}
	x, w, labels := make([]float32, n*h), make([]float32, c*h), make([]int, n)
	dst := []eager.Operand{eager.Slice(make([]float32, n*h), n, h), eager.Slice(make([]float32, c*h), c, h)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := l.ValueGradients(dst, eager.Data{}, eager.Slice(x, n, h), eager.Slice(w, c, h), eager.Slice(labels)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 40e6 && !raceEnabled {
		t.Errorf("%d bytes allocated", bytes)
	}
}
