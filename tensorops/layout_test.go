package tensorops

import (
	"errors"
	"slices"
	"testing"

	"gorgonia.org/tensor"
)

func TestElements(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for name, x := range layouts(t, dt) {
			var got []float64
			if dt == tensor.Float32 {
				e, err := Elements[float32](x)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, v := range e {
					got = append(got, float64(v))
				}
			} else {
				e, err := Elements[float64](x)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got = e
			}
			var want []float64
			coords(x.Shape(), func(c []int) { want = append(want, at(x, c...)) })
			if !slices.Equal(got, want) {
				t.Errorf("%s, %v: elements %v, want %v", name, dt, got, want)
			}
		}
	}
}

func TestElementsAreTheTensorsOwn(t *testing.T) {
	x := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]int{1, 2, 3, 4, 5, 6}))
	e, err := Elements[int](x)
	if err != nil {
		t.Fatal(err)
	}
	e[5] = 7
	if v, _ := x.At(1, 2); v != 7 {
		t.Errorf("the tensor holds %v after a write to its elements, want 7", v)
	}
	if err := x.T(); err != nil {
		t.Fatal(err)
	}
	e, err = Elements[int](x)
	if want := []int{1, 4, 2, 5, 3, 7}; err != nil || !slices.Equal(e, want) {
		t.Errorf("elements of the transposed %v, %v, want %v", e, err, want)
	}
	scalar := tensor.New(tensor.FromScalar(3.5))
	if e, err := Elements[float64](scalar); err != nil || !slices.Equal(e, []float64{3.5}) {
		t.Errorf("elements of a scalar %v, %v", e, err)
	}
}

func TestElementsRefuses(t *testing.T) {
	masked := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{1, 2}, []bool{true, false}))
	for _, c := range []struct {
		name string
		x    *tensor.Dense
		kind error
		text string
	}{
		{"nil", nil, ErrShape, "no tensor, or one that was never given a shape"},
		{"int", tensor.New(tensor.WithShape(2), tensor.WithBacking([]int{1, 2})), ErrDType,
			"data of type []int, want float64"},
		{"masked", masked, ErrShape, "a masked tensor, want one without"},
	} {
		_, err := Elements[float64](c.x)
		if !errors.Is(err, c.kind) || err.Error() != c.text {
			t.Errorf("%s: error %q, want %q", c.name, err, c.text)
		}
	}
}
