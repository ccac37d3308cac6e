package loss_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BenchmarkElementwise measures one RunAll of a machine over every elementwise loss and its
// gradient by the prediction, on the shape and the numbers of testdata/torch_elementwise.py, which
// measures PyTorch's nearest.
func BenchmarkElementwise(b *testing.B) {
	const rows, classes = 512, 32000
	r := rand.New(rand.NewPCG(1, 2))
	x, unit, signs := make([]float64, rows*classes), make([]float64, rows*classes), make([]float64, rows*classes)
	for i := range x {
		x[i] = r.NormFloat64()
		unit[i] = 0.01 + 0.98*r.Float64()
		signs[i] = math.Copysign(1, r.NormFloat64())
	}
	of := func(d loss.Domain) []float64 {
		switch d {
		case loss.UnitInterval, loss.Counts, loss.Positive, loss.SoftTargets, loss.Probabilities:
			return unit
		case loss.Signs, loss.SignFlags:
			return signs
		}
		return x
	}
	for name, fn := range loss.All() {
		info, _ := loss.Describe(name)
		if !info.Elementwise {
			continue
		}
		b.Run("loss="+name, func(b *testing.B) {
			g := G.NewGraph()
			pred := benchInput(g, tensor.Float32, "pred", of(info.Pred), rows, classes)
			target := benchInput(g, tensor.Float32, "target", reversed(of(info.Target)), rows, classes)
			benchRuns(b, fn, pred, target)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(rows*classes), "ns/element")
		})
	}
}

// reversed keeps prediction and target apart where both come from one list.
func reversed(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[len(x)-1-i] = v
	}
	return out
}
