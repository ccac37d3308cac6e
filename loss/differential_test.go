package loss_test

import (
	cmdline "flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"gorgonia.org/tensor"
)

var differentialCases = cmdline.Int("differential", 3000, "number of random cases that TestDifferential compares")

// documented are values of losses as their documentation writes them, in plain float64: of an
// element, or of a row.
var documented = map[string]func(p, t []float64, y int, d *drawn) float64{
	"MSE":         func(p, t []float64, _ int, _ *drawn) float64 { return (p[0] - t[0]) * (p[0] - t[0]) },
	"HalfSquared": func(p, t []float64, _ int, _ *drawn) float64 { return (p[0] - t[0]) * (p[0] - t[0]) / 2 },
	"MAE":         func(p, t []float64, _ int, _ *drawn) float64 { return math.Abs(p[0] - t[0]) },
	"LogCosh":     func(p, t []float64, _ int, _ *drawn) float64 { return math.Log(math.Cosh(p[0] - t[0])) },
	"PoissonNLL":  func(p, t []float64, _ int, _ *drawn) float64 { return math.Exp(p[0]) - t[0]*p[0] },
	"Gamma":       func(p, t []float64, _ int, _ *drawn) float64 { return t[0]*math.Exp(-p[0]) + p[0] },
	"Huber": func(p, t []float64, _ int, d *drawn) float64 {
		if e := math.Abs(p[0] - t[0]); e > d.delta {
			return d.delta * (e - d.delta/2)
		}
		return (p[0] - t[0]) * (p[0] - t[0]) / 2
	},
	"SMAPE": func(p, t []float64, _ int, _ *drawn) float64 {
		return 2 * math.Abs(p[0]-t[0]) / (math.Abs(p[0]) + math.Abs(t[0]))
	},
	"Hinge": func(p, t []float64, _ int, _ *drawn) float64 { return max(0, 1-t[0]*p[0]) },
	"CrossEntropy/labels": func(p, _ []float64, y int, d *drawn) float64 {
		q, l := d.probabilities(p), 0.0
		for c := range q {
			target := d.smoothing / float64(len(q))
			if c == y {
				target += 1 - d.smoothing
			}
			l -= d.classWeight(c) * target * math.Log(q[c])
		}
		return l
	},
	"CrossEntropy/soft": func(p, t []float64, _ int, d *drawn) float64 {
		q, l := d.probabilities(p), 0.0
		for c := range q {
			l -= d.classWeight(c) * ((1-d.smoothing)*t[c] + d.smoothing/float64(len(q))) * math.Log(q[c])
		}
		return l
	},
	"KL": func(p, t []float64, _ int, d *drawn) float64 {
		q, l := d.probabilities(p), 0.0
		for c := range q {
			l += t[c] * math.Log(t[c]/q[c])
		}
		return l
	},
	"SoftmaxFocal/labels": func(p, _ []float64, y int, d *drawn) float64 {
		q := d.probabilities(p)[y]
		return -d.classWeight(y) * math.Pow(1-q, 2) * math.Log(q)
	},
	"TotalVariation": func(p, t []float64, _ int, _ *drawn) float64 {
		l := 0.0
		for c := range p {
			l += math.Abs(p[c]-t[c]) / 2
		}
		return l
	},
}

// drawn are the options of a case.
type drawn struct {
	smoothing, temperature, delta float64
	classes                       []float64
}

func (d *drawn) classWeight(c int) float64 {
	if d.classes == nil {
		return 1
	}
	return d.classes[c]
}

func (d *drawn) probabilities(x []float64) []float64 {
	sum, q := 0.0, make([]float64, len(x))
	for c, v := range x {
		q[c] = math.Exp(v / d.temperature)
		sum += q[c]
	}
	for c := range q {
		q[c] /= sum
	}
	return q
}

// TestDifferential draws losses, options, shapes, layouts and reductions, and compares with the
// formulas above. What they lose to cancellation bounds the tolerance: 1e-9 of float64, 1e-5 of
// float32.
func TestDifferential(t *testing.T) {
	var all []contender
	for _, c := range lossContenders(t) {
		if documented[c.title()] != nil {
			all = append(all, c)
		}
	}
	if len(all) != len(documented) {
		t.Fatalf("%d losses of %d formulas", len(all), len(documented))
	}
	r := rand.New(rand.NewPCG(11, 12))
	layouts := []layout{contiguous, transposed, cutOut, fortran}
	for n := range *differentialCases {
		c := all[r.IntN(len(all))]
		p := newProblem(&c, []int{2 + r.IntN(40), 2 + r.IntN(40)}, 1, loss.Real)
		p.r = r
		d, way := &drawn{temperature: 1, delta: 1}, trial{red: loss.Reduction(r.IntN(3)), lay: layouts[r.IntN(4)], dtype: tensor.Float64}
		tol := 1e-9
		if r.IntN(2) == 0 {
			way.dtype, tol = tensor.Float32, 1e-5
		}
		maybe := func(option string, apply func() loss.Option) {
			if c.has(option) && r.IntN(2) == 0 {
				way.opts = append(way.opts, apply())
			}
		}
		maybe("WithLabelSmoothing", func() loss.Option { d.smoothing = r.Float64(); return loss.WithLabelSmoothing(d.smoothing) })
		maybe("WithTemperature", func() loss.Option { d.temperature = 0.5 + r.Float64(); return loss.WithTemperature(d.temperature) })
		maybe("WithDelta", func() loss.Option { d.delta = 0.1 + r.Float64(); return loss.WithDelta(d.delta) })
		maybe("WithClassWeights", func() loss.Option {
			d.classes = p.uniform(p.classes(), 0.5, 1.5)
			return loss.WithClassWeights(d.classes)
		})
		values := product(p.valueShape())
		factor := make([]float64, values)
		for i := range factor {
			factor[i] = 1
		}
		if r.IntN(2) == 0 {
			way.weights = p.uniform(values, 0.5, 1.5)
			copy(factor, way.weights)
		}
		if r.IntN(2) == 0 {
			way.mask = make([]float64, values)
			for i := range way.mask {
				way.mask[i] = float64(r.IntN(2))
				factor[i] *= way.mask[i]
			}
		}
		want, sum, share := make([]float64, values), 0.0, 0.0
		for i := range want {
			cols := p.size() / values
			cut := func(k int) []float64 {
				if k >= len(p.x) || p.x[k] == nil {
					return nil
				}
				return p.x[k][i*cols : (i+1)*cols]
			}
			y, part := 0, 1.0
			if p.y != nil {
				y = p.y[i]
			}
			if d.classes != nil {
				part = d.classWeight(y)
				if x := cut(1); x != nil {
					part = 0
					for j, v := range x {
						part += d.classes[j] * v
					}
				}
			}
			if factor[i] != 0 {
				want[i] = factor[i] * documented[c.title()](cut(0), cut(1), y, d)
			}
			sum += want[i]
			share += factor[i] * part
		}
		switch way.red {
		case loss.Sum:
			want = []float64{sum}
		case loss.Mean:
			if share == 0 {
				sum, share = 0, 1
			}
			want = []float64{sum / share}
		}
		size := 1.0
		if way.red == loss.Sum {
			size = float64(values)
		}
		nearList(t, fmt.Sprintf("case %d, %s of %v, %v %v, %v, %+v", n, c.title(), p.shape, way.dtype, way.lay, way.red, *d), p.solve(t, way).value, want, tol*size)
		if t.Failed() {
			return
		}
	}
}
