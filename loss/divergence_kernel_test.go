package loss

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// What the kernels of divergences compute of a row is what the row function computes, in every
// layout. Ordinary rows are never left to it.
func TestDivergenceKernels(t *testing.T) {
	if vec.Active() == vec.Generic {
		t.Skip("there are no kernels without assembly")
	}
	const copies = 5 // of a block: more rows than a group has, and enough for tiles
	r := rand.New(rand.NewPCG(37, 2))
	for _, def := range []*core.Definition{&kl, &reverseKL, &distillation} {
		for _, classes := range []int{2, 3, 21, 70, 1100} {
			for _, s := range fastSettings(def, classes) {
				if def == &kl && !s.LogTarget && !s.TargetLogits {
					continue // tested with cross-entropies
				}
				b := fastBlock(r, def, &s, classes, true)
				for k, x := range b.X {
					for i, v := range x {
						b.X[k][i] = float64(float32(v))
					}
				}
				rows := copies * b.Rows
				for _, inner := range []int{1, rows} {
					d := core.Dims{Rows: rows, Cols: classes, Inner: inner, Classes: classes, Stride: 1}
					kernels := def.Kernel(&s, d)
					for wrt := range 2 {
						want := *b
						want.Out, want.Grad[wrt] = make([]float64, b.Rows), make([]float64, b.Rows*classes)
						core.EachRow(def.Row(&s, d))(&want)
						testDivergenceKernel(t, def.Name, &want, d, wrt, kernels.F64, 1e-10)
						testDivergenceKernel(t, def.Name, &want, d, wrt, kernels.F32, 1e-6)
					}
				}
			}
		}
	}
}

func testDivergenceKernel[F core.Float](t *testing.T, name string, want *core.Block, d core.Dims, wrt int, kernel core.Kernel[F], tolerance float64) {
	t.Helper()
	run := core.Range[F]{Dims: d, Hi: d.Rows, Wrt: wrt, Values: make([]float64, d.Rows), Dst: make([]F, d.Rows*d.Cols),
		Factor: make([]float64, d.Rows), Labels: make([]int, d.Rows)}
	for k := range 2 {
		run.X[k] = make([]F, d.Rows*d.Cols)
	}
	for i := range d.Rows {
		run.Factor[i], run.Labels[i] = 1, -1
		if want.Label != nil {
			run.Labels[i] = want.Label[i%want.Rows]
		}
		for c := range d.Cols {
			for k := range 2 {
				run.X[k][d.Place(i)+c*d.Inner] = F(want.X[k][i%want.Rows*d.Cols+c])
			}
		}
	}
	run.Factor[1] = 0 // not to be read
	if _, ok := kernel(&run); !ok {
		t.Errorf("%s, %d classes: no kernel", name, d.Cols)
		return
	}
	for i, l := range run.Values {
		from := i % want.Rows
		left := slices.Contains(run.Left, i)
		if ordinary := from == 2 || from == 8; left && (ordinary && d.Cols > 2 || i == 1) {
			t.Errorf("%s, %d classes, inner %d, operand %d: row %d is left", name, d.Cols, d.Inner, wrt, i)
		}
		near := func(what string, got, want, size float64) {
			if !(math.Abs(got-want) <= tolerance*size+1e-14) {
				t.Errorf("%s, %d classes, inner %d, operand %d, row %d: %s is %v, want %v", name, d.Cols, d.Inner, wrt, i, what, got, want)
			}
		}
		slopes, size := want.Grad[wrt][from*d.Cols:][:d.Cols], 0.0
		for _, g := range slopes {
			size = max(size, math.Abs(g))
		}
		value := want.Out[from]
		if left || i == 1 {
			value, slopes, size = 0, make([]float64, d.Cols), 0
		}
		near("the value", l, value, math.Abs(value))
		for c, g := range slopes {
			near("a derivative", float64(run.Dst[d.Place(i)+c*d.Inner]), g, size)
		}
	}
}
