package graph

import (
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// squares is Σ x², a loss of one operand.
var squares = core.Definition{
	Name: "squares", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "*"}},
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return func(b *core.Block) {
			for i := range b.Out {
				b.Out[i] = b.X[0][i] * b.X[0][i]
			}
		}
	},
}

// An operation that keeps its memory refuses a second machine while it runs.
func TestRunByTwoMachinesAtOnce(t *testing.T) {
	g := G.NewGraph()
	x := G.NewVector(g, tensor.Float64, G.WithName("x"), G.WithShape(2),
		G.WithValue(tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{1, 2}))))
	cost, err := Build(&squares, core.Settings{Axis: -1, Reduction: core.Sum, Reuse: true}, x)
	if err != nil {
		t.Fatal(err)
	}
	o := cost.Op().(*Op)
	o.fused.busy.Store(true) // as while another machine is inside the operation
	if _, err := o.Do(x.Value()); err == nil || !strings.Contains(err.Error(), "run by two machines at once") {
		t.Errorf("error %v, want one that says so", err)
	}
	o.fused.busy.Store(false)
	if v, err := o.Do(x.Value()); err != nil || v.Data().(float64) != 5 {
		t.Errorf("value %v, error %v, want 5", v, err)
	}
}
