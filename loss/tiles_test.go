package loss

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// tileLosses are the losses whose kernels compute tiles of rows.
var tileLosses = []string{"MultiMargin", "MulticlassHinge", "MulticlassPerceptron", "CategoricalHinge", "EMD", "Brier", "RankedProbability",
	"EvidentialMSE", "Sparsemax", "Entmax15", "ArcFace", "CosFace", "LDAM", "CosineDistance"}

// What a kernel computes of a tile, or leaves, is what the row function computes: in either layout, and
// beside rows that do not count and are not read.
func TestTiles(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 3))
	for _, name := range tileLosses {
		def := core.Lookup(name)
		for _, classes := range []int{2, 3, 21, 70} {
			settings := fastSettings(def, classes)
			s := settings[0]
			s.Power, s.Margin, s.Epsilon = 2, 0.5, 5 // ε beside vectors of about that length
			if name == "MultiMargin" || name == "CosineDistance" {
				settings = append(settings, s)
			}
			for _, s := range settings {
				for _, soft := range []bool{false, true} {
					if soft && def.Operands[1].Holds != core.LabelsOrSoft {
						continue
					}
					p := newTileProblem(r, def, &s, classes, soft)
					for wrt := range 2 {
						if p.x[wrt] == nil || wrt == 1 && s.ClassWeights != nil {
							continue
						}
						for _, inner := range []int{1, p.rows} {
							d := core.Dims{Rows: p.rows, Cols: classes, Inner: inner, Classes: classes, Stride: 1}
							kernels, row := def.Kernel(&s, d), def.Row(&s, d)
							testTiles(t, name, p, d, wrt, kernels.F32, row, 1e-6)
							testTiles(t, name, p, d, wrt, kernels.F64, row, 1e-10)
						}
					}
				}
			}
		}
	}
}

// A tileProblem is rows of a loss, whose classes lie one after another.
type tileProblem struct {
	rows   int
	x      [2][]float64
	labels []int
}

// newTileProblem draws rows, some of which have a target of one 1.
func newTileProblem(r *rand.Rand, def *core.Definition, s *core.Settings, classes int, soft bool) *tileProblem {
	p := new(tileProblem)
	for range 4 {
		b := fastBlock(r, def, s, classes, soft)
		p.rows += b.Rows
		for k := range p.x {
			for _, v := range b.X[k] {
				p.x[k] = append(p.x[k], float64(float32(v)))
			}
		}
		if b.Label == nil {
			b.Label = make([]int, b.Rows)
		}
		p.labels = append(p.labels, b.Label...)
	}
	if soft {
		for i := 2; i < p.rows; i += 5 {
			row := p.x[1][i*classes:][:classes]
			clear(row)
			row[i%classes] = 1
		}
	}
	return p
}

func testTiles[F core.Float](t *testing.T, name string, p *tileProblem, d core.Dims, wrt int, kernel core.Kernel[F], row core.RowFunc, tolerance float64) {
	t.Helper()
	n := p.rows * d.Cols
	r := core.Range[F]{Dims: d, Hi: p.rows, Labels: p.labels, Wrt: wrt, Dst: make([]F, n), Values: make([]float64, p.rows), Factor: make([]float64, p.rows)}
	for k, x := range p.x {
		if x == nil {
			continue
		}
		r.X[k] = make([]F, n)
		for i := range n {
			r.X[k][d.Place(i/d.Cols)+i%d.Cols*d.Inner] = F(x[i])
		}
	}
	for i := range r.Factor {
		r.Factor[i] = []float64{1, -0.5, 0, 2}[i%4]
	}
	left := make([]bool, p.rows)
	if _, ok := kernel(&r); !ok { // some rows are the row function's
		one := r
		for i := range left {
			one.Lo, one.Hi, one.Labels, one.Factor, one.Values = i, i+1, r.Labels[i:i+1], r.Factor[i:i+1], r.Values[i:i+1]
			_, ok := kernel(&one)
			left[i] = !ok
		}
	}
	done := 0
	for i, g := range r.Factor {
		if left[i] {
			continue
		}
		done++
		b := core.Block{Rows: 1, Cols: d.Cols}
		for k, x := range p.x {
			if x != nil {
				b.X[k] = x[i*d.Cols:][:d.Cols]
			}
		}
		if p.x[1] == nil || name != "CosineDistance" {
			b.Label = p.labels[i : i+1]
		}
		b.Grad[wrt] = make([]float64, d.Cols)
		value, size := 0.0, 0.0
		if g != 0 {
			value = row(&b)
		}
		for _, v := range b.Grad[wrt] {
			size = max(size, math.Abs(v))
		}
		near := func(what string, got, want, size float64) {
			if !(math.Abs(got-want) <= tolerance*size+1e-14 || got == want || got != got && want != want) {
				t.Errorf("%s %v, %d classes, inner %d, operand %d, row %d, label %d: %s is %v, want %v", name, core.DTypeOf[F](), d.Cols, d.Inner, wrt, i, p.labels[i],
					what, got, want)
			}
		}
		near("the value", r.Values[i], value, 1e-10/tolerance*math.Abs(value))
		for c, v := range b.Grad[wrt] {
			near("a derivative", float64(r.Dst[d.Place(i)+c*d.Inner]), g*v, math.Abs(g)*size)
		}
	}
	if done < p.rows/2 {
		t.Errorf("%s, %d classes: the kernel does %d of %d rows", name, d.Cols, done, p.rows)
	}
}
