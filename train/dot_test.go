package train

import (
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestDot compares with the sum of the formula, and derivatives of both orders with differences. The
// widths are none, one and several times the four numbers that are added side by side.
func TestDot(t *testing.T) {
	for _, width := range []int{1, 4, 11} {
		const rows, candidates = 2, 3
		x, y := make([]float64, rows*candidates*width), make([]float64, rows*width)
		for i := range x {
			x[i] = float64(i*i%7) - 2.5
		}
		for i := range y {
			y[i] = float64(i*i%5) - 1.5
		}
		want := make([]float64, rows*candidates) // of whole numbers and halves: exact
		for i, v := range x {
			row := i / (candidates * width)
			want[i/width] += v * y[row*width+i%width]
		}
		gradcheck.Test(t, func(g *G.ExprGraph, dt tensor.Dtype, in G.Nodes) (*G.Node, error) {
			b := &Builder{construction: &construction{dtype: dt}}
			return b.Dot(in[0], in[1])
		}, []gradcheck.Input{gradcheck.Var("x", x, rows, candidates, width), gradcheck.Var("y", y, rows, width)},
			gradcheck.WithRandomUpstream(), gradcheck.WithSecondOrder(2), gradcheck.WithPasses(gradcheck.Reverse, gradcheck.Machine),
			gradcheck.WithReference(0, func([][]float64) ([]float64, error) { return want, nil }))
	}
}

func TestDotFaults(t *testing.T) {
	g := G.NewGraph()
	node := func(name string, dt tensor.Dtype, shape ...int) *G.Node {
		return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName(name))
	}
	x := node("x", tensor.Float32, 2, 3, 4)
	for want, y := range map[string]*G.Node{
		"y is nil, want shape (2, 4) for x of shape (2, 3, 4)": nil,
		"y has shape (4, 2), want shape (2, 4)":                node("a", tensor.Float32, 4, 2),
		"y has shape (2, 3), want shape (2, 4)":                node("b", tensor.Float32, 2, 3),
		"y has shape (2), want shape (2, 4)":                   node("c", tensor.Float32, 2),
		"x is float32 and y float64, want float32":             node("d", tensor.Float64, 2, 4),
	} {
		if _, err := (&Builder{construction: &construction{dtype: tensor.Float32}}).Dot(x, y); err == nil || !strings.Contains(err.Error(), "train.Dot: "+want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for _, x := range []*G.Node{nil, node("e", tensor.Float32, 2, 3)} {
		if _, err := (&Builder{construction: &construction{dtype: tensor.Float32}}).Dot(x, node("f", tensor.Float32, 2, 3)); err == nil || !strings.Contains(err.Error(), "(rows, candidates, numbers)") {
			t.Errorf("error %v of a wrong x", err)
		}
	}
}
