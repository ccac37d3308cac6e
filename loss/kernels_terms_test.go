package loss

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// rowKernelLosses have kernels of rows that leave some of them to the block function.
var rowKernelLosses = []string{"TotalVariation", "GeneralizedKL", "JensenShannon", "Renyi", "AlphaDivergence", "Hellinger", "Bhattacharyya",
	"KLFromLogProb", "CrossEntropyFromProb"}

// What a kernel of rows computes, by either operand and in every layout, or leaves, is what the row
// function computes. Rows with a NaN and rows that are nearly equal are left.
func TestRowKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(37, 2))
	for info := range Losses() {
		if !slices.Contains(rowKernelLosses, info.Name) {
			continue
		}
		for _, classes := range []int{1, 2, 5, 21, 70} {
			for _, inner := range []int{1, 3, 9} {
				d := core.Dims{Rows: 9, Cols: classes, Inner: inner, Classes: classes, Stride: 1}
				settings := fastSettings(info.def, classes)
				if info.def.Takes.Has(core.OptAlpha) {
					s := settings[0]
					s.Alpha = 0.3
					settings = append(settings, s)
				}
				if info.def.Takes.Has(core.OptLabelSmoothing) {
					s := settings[len(settings)-1]
					s.Smoothing = 0.1
					settings = append(settings, s)
				}
				for _, s := range settings {
					if info.Name == "Renyi" && s.Alpha == 0 {
						continue
					}
					for _, soft := range []bool{false, true} {
						if soft && info.Target != LabelsOrSoft {
							continue
						}
						b := fastBlock(r, info.def, &s, classes, soft)
						for wrt := range 2 {
							if b.X[wrt] != nil {
								k := info.def.Kernel(&s, d)
								testRowKernel(t, info, &s, d, b, wrt, k.F64)
								testRowKernel(t, info, &s, d, b, wrt, k.F32)
							}
						}
					}
				}
			}
		}
	}
}

func testRowKernel[F core.Float](t *testing.T, info Info, s *core.Settings, d core.Dims, b *core.Block, wrt int, kernel core.Kernel[F]) {
	t.Helper()
	c := *b
	r := core.Range[F]{Dims: d, Hi: d.Rows, Labels: make([]int, d.Rows), Factor: make([]float64, d.Rows), Values: make([]float64, d.Rows),
		Wrt: wrt, Dst: make([]F, d.Rows*d.Cols)}
	copy(r.Labels, b.Label)
	for k, x := range b.X[:2] {
		if x == nil {
			continue
		}
		r.X[k], c.X[k] = make([]F, len(x)), make([]float64, len(x))
		for i := range d.Rows {
			for j := range d.Cols {
				v := F(x[i*d.Cols+j])
				r.X[k][d.Place(i)+j*d.Inner], c.X[k][i*d.Cols+j] = v, float64(v)
			}
		}
	}
	for i := range r.Factor {
		r.Factor[i] = float64(i%3) / 2
	}
	c.Out, c.Grad[wrt] = make([]float64, d.Rows), make([]float64, d.Rows*d.Cols)
	core.EachRow(info.def.Row(s, d))(&c)
	if _, ok := kernel(&r); !ok {
		t.Errorf("%s: refused", info.Name)
	}
	// float32: two roundings of a derivative and of the numbers that it is a product of
	value, slope := 1e-10, 1e-11
	if core.DTypeOf[F]() == core.Float32 {
		value, slope = 4e-6, 1e-6
	}
	for i, want := range c.Out {
		if slices.Contains(r.Left, i) {
			continue
		}
		if r.Factor[i] == 0 { // and derivatives of 0
			want = 0
			clear(c.Grad[wrt][i*d.Cols:][:d.Cols])
		}
		if r.Values[i] != want && !(math.Abs(r.Values[i]-want) <= value*math.Abs(want)) {
			t.Errorf("%s %v, %d classes, inner %d, operand %d, row %d: value %v, want %v", info.Name, core.DTypeOf[F](), d.Cols, d.Inner, wrt, i, r.Values[i], want)
		}
		size := 0.0
		for _, g := range c.Grad[wrt][i*d.Cols:][:d.Cols] {
			if !math.IsInf(g, 0) {
				size = max(size, math.Abs(g))
			}
		}
		for j, g := range c.Grad[wrt][i*d.Cols:][:d.Cols] {
			if got := float64(r.Dst[d.Place(i)+j*d.Inner]); got != r.Factor[i]*g && !(math.Abs(got-r.Factor[i]*g) <= slope*r.Factor[i]*size) {
				t.Errorf("%s %v, %d classes, inner %d, operand %d, row %d: derivative %v, want %v", info.Name, core.DTypeOf[F](), d.Cols, d.Inner,
					wrt, i, got, r.Factor[i]*g)
			}
		}
	}
}
