package loss

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// fastSettings are settings under which a fast function takes a path of its own.
func fastSettings(def *core.Definition, classes int) []core.Settings {
	w := make([]float64, classes)
	for i := range w {
		w[i] = float64(i % 3)
	}
	plain := def.Defaults
	for i := range classes {
		plain.Score.Counts = append(plain.Score.Counts, float64(1+i%3))
	}
	all := []core.Settings{plain}
	with := func(takes core.OptionSet, change func(s *core.Settings)) {
		if def.Takes.Has(takes) {
			s := plain
			change(&s)
			all = append(all, s)
		}
	}
	with(core.OptClassWeights, func(s *core.Settings) { s.ClassWeights = w })
	with(core.OptLogTarget, func(s *core.Settings) { s.LogTarget = true })
	with(core.OptTargetLogits, func(s *core.Settings) { s.TargetLogits = true })
	with(core.OptTemperature, func(s *core.Settings) { s.Temperature, s.TargetLogits = 3, def.Takes.Has(core.OptTargetLogits) })
	with(core.OptLogPrior, func(s *core.Settings) { s.LogPrior, s.Softcap = w, 20 })
	for _, v := range []float64{0, 1, 2} {
		with(core.OptAlpha, func(s *core.Settings) { s.Alpha = v })
		with(core.OptBeta, func(s *core.Settings) { s.Beta = v / 2 })
	}
	return all
}

// fastBlock draws rows of the operands of a loss: ordinary ones, a target near the prediction, and
// entries of 0, -Inf and NaN.
func fastBlock(r *rand.Rand, def *core.Definition, s *core.Settings, classes int, soft bool) *core.Block {
	b := &core.Block{Rows: 9, Cols: classes}
	logits := make([]float64, b.Rows*classes)
	for i := range logits {
		logits[i] = 3 * r.NormFloat64()
	}
	for k, o := range def.Operands {
		holds := o.Holds
		if k == 1 && def.Target != nil {
			holds = def.Target(s)
		}
		if holds == core.Labels || holds == core.LabelsOrSoft && !soft {
			for range b.Rows {
				b.Label = append(b.Label, r.IntN(classes))
			}
			continue
		}
		if holds == core.LabelsOrSoft {
			for range b.Rows {
				b.Label = append(b.Label, -1)
			}
		}
		x := make([]float64, len(logits))
		for i := range b.Rows {
			row, sum := x[i*classes:(i+1)*classes], 0.0
			for c := range row {
				row[c] = logits[i*classes+c]
				if k > 0 {
					row[c] += []float64{1e-2, 1e-4, 3}[i%3] * r.NormFloat64()
				}
				sum += math.Exp(row[c])
			}
			for c, v := range row {
				switch holds {
				case core.Probabilities, core.SoftTargets, core.LabelsOrSoft, core.UnitInterval, core.Cosines:
					row[c] = math.Exp(v) / sum
				case core.LogProbabilities:
					row[c] = v - math.Log(sum)
				}
			}
			switch at := r.IntN(classes); {
			case i == 5 && (holds == core.Probabilities || holds == core.SoftTargets):
				row[at] = 0
			case i == 5 && holds == core.Logits:
				row[at] = math.Inf(-1)
			case i == 6 && classes > 1 && (holds == core.Probabilities || holds == core.SoftTargets):
				row[1] = 0 // in both
			case i == 7 && k == 0:
				row[at] = math.NaN()
			}
		}
		b.X[k] = x
	}
	return b
}

// What a fast function computes of a row, or leaves, is what the row function computes.
func TestFastRows(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 2))
	for info := range Losses() {
		def := info.def
		if def.Fast == nil {
			continue
		}
		for _, classes := range []int{1, 2, 21, 70} {
			d := core.Dims{Rows: 9, Cols: classes, Inner: 1, Classes: classes, Stride: 1}
			for _, s := range fastSettings(def, classes) {
				fast := def.Fast(&s, d)
				for _, soft := range []bool{false, true} {
					if fast == nil || soft && info.Target != LabelsOrSoft {
						continue
					}
					for wrt := range 2 {
						b := fastBlock(r, def, &s, classes, soft)
						if b.X[wrt] == nil {
							continue
						}
						testFastRows(t, info.Name, b, wrt, def.Row(&s, d), fast)
					}
				}
			}
		}
	}
}

func testFastRows(t *testing.T, name string, b *core.Block, wrt int, row core.RowFunc, fast core.FastFunc) {
	t.Helper()
	run := func(f core.BlockFunc, single bool) (out, grad []float64) {
		c := *b
		c.Single = single
		c.Out, c.Grad[wrt] = make([]float64, b.Rows), make([]float64, b.Rows*b.Cols)
		f(&c)
		return c.Out, c.Grad[wrt]
	}
	want, slopes := run(core.EachRow(row), false)
	for _, single := range []bool{false, true} {
		// of the value, and of the largest entry of a gradient, where they are differences of numbers
		// near 1 that agree to four digits; 1e-14 is what the rounding of those numbers leaves
		tolerance := 1e-10
		if single {
			tolerance = 1e-8
		}
		got, grad := run(core.FastRows(row, fast), single)
		for i, l := range want {
			near := func(what string, got, want, size float64) {
				if !(math.Abs(got-want) <= tolerance*size+1e-14 || got == want || got != got && want != want) {
					t.Errorf("%s, %d classes, single %t, operand %d, row %d: %s is %v, want %v", name, b.Cols, single, wrt, i, what, got, want)
				}
			}
			near("the value", got[i], l, math.Abs(l))
			size := 0.0
			for _, g := range slopes[i*b.Cols : (i+1)*b.Cols] {
				if a := math.Abs(g); a > size && !math.IsInf(a, 0) {
					size = a
				}
			}
			for c := range b.Cols {
				near("a derivative", grad[i*b.Cols+c], slopes[i*b.Cols+c], size)
			}
		}
	}
}
