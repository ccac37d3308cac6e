package loss_test

import (
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"gorgonia.org/tensor"
)

// TestSigmoidFocalTails: the loss of a logit that agrees with its target is below the smallest
// difference from 1 long before it is
// 0. With target 1, q = σ(-x) = exp(-x)/(1 + exp(-x)) makes it -q^γ·log(1-q), with the gradient
// -q^γ·(γ·(1-q)·(-log(1-q)) + q).
func TestSigmoidFocalTails(t *testing.T) {
	all := lossContenders(t)
	of := all[slices.IndexFunc(all, func(d contender) bool { return d.name == "SigmoidFocal" })]
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		rel, abs := 4*0x1p-24, 4*0x1p-149 // what the kernels promise: 4 units
		if dt == tensor.Float64 {
			rel, abs = 1e-14, 0
		}
		x := []float64{1, 9, 17, 25, 28.5, 29.5, 30, 35, 50, 80}
		n := 20 * len(x) // enough for kernels
		pred, target := make([]float64, n), make([]float64, n)
		for i := range pred {
			pred[i], target[i] = x[i%len(x)], 1
		}
		p := &problem{of: &of, shape: []int{n, 1}, axis: 1, x: [][]float64{pred, target}}
		for _, gamma := range []float64{0, 0.5, 2} {
			got := p.solve(t, trial{red: loss.None, dtype: dt, opts: []loss.Option{loss.WithGamma(gamma)}})
			for i, v := range pred {
				q := math.Exp(-v) / (1 + math.Exp(-v))
				nll, weight := -math.Log1p(-q), math.Pow(q, gamma)
				for what, pair := range map[string][2]float64{"value": {got.value[i], weight * nll}, "gradient": {got.grads[0][i], -weight * (gamma*(1-q)*nll + q)}} {
					if !near64(pair[0], pair[1], rel, abs) {
						t.Fatalf("%v, γ = %v: %s at %v is %v, want %v", dt, gamma, what, v, pair[0], pair[1])
					}
				}
			}
		}
	}
}
