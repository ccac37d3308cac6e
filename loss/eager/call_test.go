package eager_test

import (
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// After the first call a value, a gradient and the derivatives of elements allocate nothing.
func TestNoAllocation(t *testing.T) {
	x, y, w, dx, h := make([]float32, 640), make([]float32, 640), make([]float32, 64), make([]float32, 640), make([]float32, 640)
	labels := make([]int, 64)
	for i := range w {
		w[i] = 1 + float32(i%3)
	}
	logits, target := eager.Slice(x, 64, 10), eager.Slice(y, 64, 10)
	gradient, second := eager.Slice(dx, 64, 10), eager.Slice(h, 64, 10)
	data := eager.Data{Weights: eager.Slice(w)}
	ce, mse, y64 := must(t, eager.CrossEntropy), must(t, eager.MSE), eager.Slice(labels)
	for name, call := range map[string]func() error{
		"CrossEntropy": func() error { _, err := ce.ValueGradient(gradient, data, logits, y64); return err },
		"MSE":          func() error { _, err := mse.Value(data, logits, target); return err },
		"Derivatives":  func() error { return mse.Derivatives(gradient, second, data, logits, target) },
	} {
		var failed error
		for range 3 {
			failed = errors.Join(failed, call())
		}
		// A garbage collection may empty the pools of working memory once in a while.
		if n := testing.AllocsPerRun(100, func() { failed = errors.Join(failed, call()) }); n > 1 && !raceEnabled || failed != nil {
			t.Errorf("%s: %v allocations a call, error %v", name, n, failed)
		}
	}
}

func must(t *testing.T, make func(...loss.Option) (*eager.Loss, error), opts ...loss.Option) *eager.Loss {
	t.Helper()
	l, err := make(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Wrong calls return errors that name function, operand, got and wanted.
func TestWrongCalls(t *testing.T) {
	x, y := eager.Slice(make([]float64, 6), 2, 3), eager.Slice([]int{0, 1})
	ce, mse := must(t, eager.CrossEntropy), must(t, eager.MSE)
	dst := eager.Slice(make([]float64, 6), 2, 3)
	shared := make([]float64, 6)
	g := G.NewGraph()
	n := G.NewVector(g, tensor.Float64, G.WithShape(2), G.WithName("w"))
	for _, c := range []struct {
		call func() error
		kind error
		text string
	}{
		{func() error { _, err := ce.Value(eager.Data{}, x); return err }, loss.ErrShape,
			"loss.CrossEntropy: 1 operands, want 2"},
		{func() error { _, err := ce.Value(eager.Data{}, eager.Slice([]float64{1}, 2, 3), y); return err }, loss.ErrShape,
			"loss.CrossEntropy: logits have 1 elements, want 6 for shape (2, 3)"},
		{func() error { _, err := ce.Value(eager.Data{}, x, eager.Operand{}); return err }, loss.ErrShape,
			"loss.CrossEntropy: target is missing"},
		{func() error { _, err := ce.Value(eager.Data{}, x, eager.Slice([]int{0, 1, 2})); return err }, loss.ErrShape,
			"loss.CrossEntropy: labels have shape (3), want (2) to match logits (2, 3)"},
		{func() error { _, err := ce.Value(eager.Data{}, x, eager.Slice([]int{0, 7})); return err }, loss.ErrValue,
			"loss.CrossEntropy: label is 7 at row 1, want one in [0, 3)"},
		{func() error {
			_, err := ce.ValueGradient(eager.Slice(make([]float64, 4), 2, 2), eager.Data{}, x, y)
			return err
		}, loss.ErrShape,
			"loss.CrossEntropy: dst has shape (2, 2), want (2, 3) to match logits (2, 3)"},
		{func() error {
			_, err := ce.ValueGradient(eager.Slice(make([]float32, 6), 2, 3), eager.Data{}, x, y)
			return err
		}, loss.ErrDType,
			"loss.CrossEntropy: dst has dtype float32, want float64 like logits"},
		{func() error {
			_, err := ce.ValueGradient(eager.Slice(shared, 2, 3), eager.Data{}, eager.Slice(shared, 2, 3), y)
			return err
		}, loss.ErrShape, "loss.CrossEntropy: dst overlaps logits, want memory of its own"},
		{func() error {
			_, err := mse.Value(eager.Data{Weights: eager.Slice([]float64{1, 2, 3})}, x, dst)
			return err
		}, loss.ErrShape,
			"loss.MSE: weights have shape (3), want (2, 3) or (2) to match pred (2, 3)"},
		{func() error {
			_, err := must(t, eager.MSE, loss.WithReduction(loss.None)).Value(eager.Data{}, x, dst)
			return err
		}, loss.ErrOption, "loss.MSE: reduction is None, want Mean or Sum for Value; Values writes one number per example"},
		{func() error { _, err := eager.CrossEntropy(loss.WithWeights(n)); return err }, loss.ErrOption,
			"loss.CrossEntropy: WithWeights holds a node, want Data.Weights here"},
		{func() error { _, err := eager.MSE(loss.WithGamma(1)); return err }, loss.ErrOption, ""},
	} {
		err := c.call()
		if !errors.Is(err, c.kind) || c.text != "" && err.Error() != c.text {
			t.Errorf("error %v, want %q", err, c.text)
		}
	}
}

// A loss serves many goroutines with shapes of their own.
func TestConcurrent(t *testing.T) {
	l := must(t, eager.Huber)
	var wg sync.WaitGroup
	for k := 1; k <= 8; k++ {
		wg.Go(func() {
			x, y, dx := make([]float64, 100*k), make([]float64, 100*k), make([]float64, 100*k)
			for i := range x {
				x[i] = float64(k)
			}
			for range 200 {
				v, err := l.ValueGradient(eager.Slice(dx), eager.Data{}, eager.Slice(x), eager.Slice(y))
				if want := float64(k) - 0.5; err != nil || math.Abs(v-want) > 1e-12 || math.Abs(dx[7]-1/float64(len(x))) > 1e-15 {
					t.Errorf("%d elements: value %v, want %v, gradient %v, error %v", len(x), v, want, dx[7], err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Second derivatives of a softmax are p(1-p), whichever axis has the classes.
func TestDiagonal(t *testing.T) {
	x := []float64{0, math.Log(3), 1, 1}
	for axis, shape := range [][]int{{2, 2}, {2, 2}} {
		data := x
		if axis == 0 {
			data = []float64{x[0], x[2], x[1], x[3]}
		}
		first, second := make([]float64, 4), make([]float64, 4)
		l := must(t, eager.CrossEntropy, loss.WithAxis(axis))
		if err := l.Derivatives(eager.Slice(first, shape...), eager.Slice(second, shape...), eager.Data{},
			eager.Slice(data, shape...), eager.Slice([]int{0, 1})); err != nil {
			t.Fatal(err)
		}
		want := []float64{0.25 * 0.75, 0.75 * 0.25, 0.25, 0.25}
		if axis == 0 {
			want[1], want[2] = want[2], want[1]
		}
		for i, w := range want {
			if math.Abs(second[i]-w) > 1e-15 {
				t.Errorf("axis %d: second derivative %d is %v, want %v", axis, i, second[i], w)
			}
		}
	}
}
