package tensorops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Rows cut in two, each with the other part beside it, give the gradient of the whole, and the part
// with the label its value, on kernels and without, for short, long and strided rows. Float64 sums in
// another order; float32 gradients are within 4 units of the last place of the largest term.
func TestRowsBeside(t *testing.T) {
	t.Run("float64", func(t *testing.T) { testRowsBeside[float64](t, 1e-12) })
	t.Run("float32", func(t *testing.T) { testRowsBeside[float32](t, 1e-6) })
}

func testRowsBeside[F Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(11, 5))
	for _, classes := range []int{2, 21, 130, 700, 5000} {
		for _, o := range []LabelSoftmax{{Scale: 1}, {Scale: 0.7, ZLoss: 0.1}, {Scale: 1, Softcap: 4}} {
			for _, dev := range []float64{1, 300, 1e30} {
				rows, cut := 19, 1+classes/3
				x := make([]F, rows*classes)
				for i := range x {
					x[i] = F(dev * rng.NormFloat64())
				}
				labels, g, weights := make([]int, rows), make([]float64, rows), make([]float64, classes)
				for i := range weights {
					weights[i] = 0.5 + rng.Float64()
				}
				for i := range labels {
					labels[i], g[i] = rng.IntN(classes+1)-1, rng.NormFloat64()
				}
				o.Classes, o.Inner, o.Weights = classes, 1, weights
				want, value := make([]F, len(x)), make([]float64, rows)
				LabelSoftmaxRows(value, want, x, 0, rows, labels, g, &o)
				parts := [2][]F{}
				for i := range rows {
					parts[0] = append(parts[0], x[i*classes:i*classes+cut]...)
					parts[1] = append(parts[1], x[i*classes+cut:(i+1)*classes]...)
				}
				sizes, first := [2]int{cut, classes - cut}, [2]int{0, cut}
				var largest, rest [2][]float64
				for k, p := range parts {
					q := o
					q.Classes = sizes[k]
					largest[k], rest[k] = make([]float64, rows), make([]float64, rows)
					ExpSumRows(largest[k], rest[k], p, 0, rows, &q)
				}
				sum := make([]float64, rows)
				for k, p := range parts {
					q, own := o, make([]int, rows)
					q.Classes, q.Weights = sizes[k], weights[first[k]:][:sizes[k]]
					q.BesideMax, q.BesideRest, q.BesideWeight = largest[1-k], rest[1-k], make([]float64, rows)
					for i, y := range labels {
						if own[i] = y - first[k]; y < 0 {
							own[i] = -1
						} else if own[i] < 0 || own[i] >= sizes[k] {
							own[i], q.BesideWeight[i] = sizes[k], weights[y]
						}
					}
					got, part := make([]F, len(p)), make([]float64, rows)
					LabelSoftmaxRows(part, got, p, 0, rows, own, g, &q)
					for i := range rows {
						sum[i] += part[i]
						what := fmt.Sprintf("%d classes, %+v of deviation %g: row %d", classes, o.Softcap, dev, i)
						largest := 0.0
						for _, v := range want[i*classes : (i+1)*classes] {
							largest = max(largest, math.Abs(float64(v)))
						}
						for c := range sizes[k] {
							a, b := float64(got[i*sizes[k]+c]), float64(want[i*classes+first[k]+c])
							if !(math.Abs(a-b) <= tol*largest) {
								t.Fatalf("%s: gradient %d is %v, want %v", what, first[k]+c, a, b)
							}
						}
					}
				}
				for i := range sum {
					if !(math.Abs(sum[i]-value[i]) <= tol*math.Abs(value[i])+1e-300) {
						t.Fatalf("%d classes of deviation %g: value %d is %v, want %v", classes, dev, i, sum[i], value[i])
					}
				}
			}
		}
	}
}
