package machine_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/mat"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestConvolutionsUnderMat compares convolutions and their gradients under mat.Use with those of
// the product that Gorgonia has by itself, on both machines.
func TestConvolutionsUnderMat(t *testing.T) {
	t.Cleanup(func() {
		tensor.Use(gonum.Implementation{})
		blas32.Use(gonum.Implementation{})
		blas64.Use(gonum.Implementation{})
	})
	convolutions := map[string]builder{
		"3x3": of2(func(a, b *G.Node) (*G.Node, error) {
			return G.Conv2d(a, b, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
		}, []int{3, 5, 12, 12}, []int{20, 5, 3, 3}),
		"5x5 with stride 2": of2(func(a, b *G.Node) (*G.Node, error) {
			return G.Conv2d(a, b, tensor.Shape{5, 5}, []int{2, 2}, []int{2, 2}, []int{1, 1})
		}, []int{2, 3, 16, 16}, []int{8, 3, 5, 5}),
		"dilated": of2(func(a, b *G.Node) (*G.Node, error) {
			return G.Conv2d(a, b, tensor.Shape{3, 3}, []int{2, 2}, []int{1, 1}, []int{2, 2})
		}, []int{2, 3, 10, 10}, []int{4, 3, 3, 3}),
		"of one dimension": of2(func(a, b *G.Node) (*G.Node, error) { return G.Conv1d(a, b, 3, 1, 1, 1) },
			[]int{2, 3, 1, 40}, []int{4, 3, 1, 3}),
	}
	// Both products sum at most 432 positive terms in some order, and in the gradient of the square
	// two of them follow one another: 2·432 roundings on either side.
	tolerance := map[tensor.Dtype]float64{tensor.Float64: 4 * 432 * 0x1p-53, tensor.Float32: 4 * 432 * 0x1p-24}
	values := func(build builder, dt tensor.Dtype, tape bool) [][]float64 {
		s, results, err := setUp(build, dt, true)
		if err != nil {
			t.Fatal(err)
		}
		var vm G.VM = newMachine(t, s.g)
		if tape {
			vm = G.NewTapeMachine(s.g)
		}
		defer vm.Close()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		out := make([][]float64, len(results))
		for i, v := range results {
			if out[i] = widened(v); out[i] == nil {
				t.Fatalf("result %d is missing", i)
			}
		}
		return out
	}
	stock := make(map[string][][]float64)
	each := func(f func(title string, build builder, dt tensor.Dtype, tape bool)) {
		for name, build := range convolutions {
			for dt := range tolerance {
				for _, tape := range []bool{false, true} {
					f(fmt.Sprintf("%s of %v, tape=%t", name, dt, tape), build, dt, tape)
				}
			}
		}
	}
	each(func(title string, build builder, dt tensor.Dtype, tape bool) { stock[title] = values(build, dt, tape) })
	mat.Use()
	different := 0
	each(func(title string, build builder, dt tensor.Dtype, tape bool) {
		for i, got := range values(build, dt, tape) {
			want := stock[title][i]
			if len(got) != len(want) {
				t.Fatalf("%s: result %d has %d numbers, want %d", title, i, len(got), len(want))
			}
			for j, w := range want {
				if got[j] != w {
					different++
				}
				if !(math.Abs(got[j]-w) <= tolerance[dt]*math.Abs(w)) {
					t.Errorf("%s: number %d of result %d is %v, want %v", title, j, i, got[j], w)
					return
				}
			}
		}
	})
	if different == 0 {
		t.Error("all bits are those of the stock product: mat.Use is not in effect")
	}
}

// widened returns a value's numbers, nil for no tensor.
func widened(v G.Value) (x []float64) {
	if v == nil {
		return nil
	}
	switch d := v.Data().(type) {
	case []float64:
		return d
	case []float32:
		for _, f := range d {
			x = append(x, float64(f))
		}
	}
	return x
}
