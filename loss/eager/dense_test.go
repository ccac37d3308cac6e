package eager_test

import (
	"errors"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"gorgonia.org/tensor"
)

// TestDense: tensors of any layout are operands; a result goes to the memory of a row-major one.
func TestDense(t *testing.T) {
	rows := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{0, 1, 2, 3, 4, 6}))
	turned := tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float64{0, 3, 1, 4, 2, 6}))
	if err := turned.T(); err != nil {
		t.Fatal(err)
	}
	zeros := eager.Slice(make([]float64, 6), 2, 3)
	mse := must(t, eager.MSE, loss.WithReduction(loss.Sum))
	for name, x := range map[string]*tensor.Dense{"row-major": rows, "transposed": turned} {
		dx := tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float64))
		v, err := mse.ValueGradient(eager.Dense(dx), eager.Data{}, eager.Dense(x), zeros)
		if err != nil || v != 66 { // 1 + 4 + 9 + 16 + 36
			t.Errorf("%s: value %v, want 66, error %v", name, v, err)
		}
		if g := dx.Float64s(); g[1] != 2 || g[3] != 6 || g[5] != 12 { // 2·x
			t.Errorf("%s: gradient %v, want twice 0, 1, 2, 3, 4, 6", name, g)
		}
	}
	want := "loss.MSE: dst is a copy of a scalar or of a tensor not in row-major order, want memory to write to"
	_, err := mse.ValueGradient(eager.Dense(turned), eager.Data{}, eager.Dense(rows), zeros)
	if !errors.Is(err, loss.ErrShape) || err.Error() != want {
		t.Errorf("a transposed result: error %v, want %q", err, want)
	}
	above := tensor.New(tensor.WithShape(3, 3), tensor.Of(tensor.Float64))
	view, err := above.Slice(tensor.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	_, err = mse.ValueGradient(eager.Dense(view.(*tensor.Dense)), eager.Data{}, eager.Dense(rows), zeros)
	if g := above.Float64s(); err != nil || g[1] != 0 || g[8] != 12 {
		t.Errorf("a result in rows of a tensor: %v, error %v", g, err)
	}
	if _, err := mse.Value(eager.Data{}, eager.Dense(nil), zeros); err == nil {
		t.Error("a nil tensor: no error")
	}
}

// TestScalar: a number of shape () is an operand, as is a tensor that is one.
func TestScalar(t *testing.T) {
	mse := must(t, eager.MSE)
	dx := make([]float64, 1)
	if _, err := mse.ValueGradient(eager.Slice(dx, []int{}...), eager.Data{}, eager.Scalar(3.0), eager.Scalar(1.0)); err != nil || dx[0] != 4 {
		t.Errorf("gradient %v, want 2·(3-1), error %v", dx, err)
	}
	for name, dst := range map[string]eager.Operand{"Scalar": eager.Scalar(0.0), "Dense": eager.Dense(tensor.New(tensor.FromScalar(0.0)))} {
		if _, err := mse.ValueGradient(dst, eager.Data{}, eager.Scalar(3.0), eager.Scalar(1.0)); !errors.Is(err, loss.ErrShape) {
			t.Errorf("a result in %s: error %v, want ErrShape", name, err)
		}
	}
	for name, x := range map[string]eager.Operand{"Scalar": eager.Scalar(3.0), "Dense": eager.Dense(tensor.New(tensor.FromScalar(3.0)))} {
		if v, err := mse.Value(eager.Data{}, x, eager.Scalar(1.0)); err != nil || math.Abs(v-4) > 0 {
			t.Errorf("%s: value %v, want 4, error %v", name, v, err)
		}
	}
}
