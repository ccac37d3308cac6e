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

// Logits far from each other, or from 0, leave the divergences that their softmaxes have. A largest
// logit of 800 is the whole distribution already, so that a larger one changes nothing; and adding a
// number to every logit of an operand does not either.
func TestDivergencesOfDistantLogits(t *testing.T) {
	near, far := []float64{0.5, -1, 2, 0.1, 0.3}, []float64{1, 2, 800, 0, -1}
	moved := func(x []float64, by float64) []float64 {
		y := slices.Clone(x)
		for i := range y {
			y[i] += by
		}
		return y
	}
	d := core.Dims{Rows: 1, Cols: 5, Inner: 1, Classes: 5, Stride: 1}
	for _, def := range []*core.Definition{&kl, &reverseKL, &distillation} {
		s := def.Defaults
		s.TargetLogits = def != &distillation
		row := core.EachRow(def.Row(&s, d))
		run := func(x, z []float64) []float64 {
			all := make([]float64, 11) // the value and both gradients
			b := core.Block{Rows: 1, Cols: 5, X: [core.MaxOperands][]float64{x, z}, Label: []int{1}, Out: all[:1]}
			b.Grad[0], b.Grad[1] = all[1:6], all[6:]
			row(&b)
			return all
		}
		alike := func(what string, got, want []float64) {
			for i, v := range got {
				if !(math.Abs(v-want[i]) <= 1e-12*math.Abs(want[0])+1e-12) {
					t.Errorf("%s, %s: number %d is %v, want %v", def.Name, what, i, v, want[i])
				}
			}
		}
		if def != &reverseKL { // whose value would grow with the distance
			for _, top := range []float64{1e4, 3e38, 1e300} {
				alike("a distant target", run(near, []float64{1, 2, top, 0, -1}), run(near, far))
			}
		} else {
			for _, top := range []float64{1e4, 3e38, 1e300} {
				alike("distant logits", run([]float64{1, 2, top, 0, -1}, near), run(far, near))
			}
		}
		want := run(near, []float64{1, -2, 0.5, 0.1, 0})
		for _, by := range []float64{-1000, 60, 700} {
			alike("moved logits", run(moved(near, by), []float64{1, -2, 0.5, 0.1, 0}), want)
			alike("a moved target", run(near, moved([]float64{1, -2, 0.5, 0.1, 0}, by)), want)
		}
	}
}
