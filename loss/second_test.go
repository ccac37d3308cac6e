package loss_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Every block of the Hessian of every loss, under the options that have a part in it, against
// central differences of the gradient: the reference files have Hessians by the first operand
// alone.
func TestHessianBlocks(t *testing.T) {
	weighted := loss.WithClassWeights([]float64{1, 2, 0.5})
	list := append(slices.Clone(subjects), []subject{
		{name: "CrossEntropy soft, everything", fn: loss.CrossEntropy, pred: someLogits, target: otherProbs,
			opts: []loss.Option{weighted, loss.WithLabelSmoothing(0.2), loss.WithTemperature(0.5)}},
		{name: "CrossEntropy soft with a normalizer", fn: loss.CrossEntropy, pred: someLogits, target: otherProbs,
			opts: []loss.Option{weighted, loss.WithLabelSmoothing(0.2), loss.WithNormalizer(7)}},
		{name: "CrossEntropyFromProb soft, everything", fn: loss.CrossEntropyFromProb, pred: someProbs, target: otherProbs,
			opts: []loss.Option{weighted, loss.WithLabelSmoothing(0.2)}},
		{name: "KL at a temperature", fn: loss.KL, pred: someLogits, target: otherProbs,
			opts: []loss.Option{loss.WithTemperature(2)}},
		{name: "KL log target at a temperature", fn: loss.KL, pred: someLogits, target: logs(otherProbs),
			opts: []loss.Option{loss.WithTemperature(2), loss.WithLogTarget()}},
		{name: "KL target logits at a temperature", fn: loss.KL, pred: someLogits, target: otherLogits,
			opts: []loss.Option{loss.WithTemperature(2), loss.WithTargetLogits()}},
		{name: "KLFromLogProb log target", fn: loss.KLFromLogProb, pred: logs(someProbs), target: logs(otherProbs),
			opts: []loss.Option{loss.WithLogTarget()}},
		{name: "BinaryCrossEntropy smoothed", fn: loss.BinaryCrossEntropy, pred: someLogits, target: otherProbs, elementwise: true,
			opts: []loss.Option{loss.WithLabelSmoothing(0.2), loss.WithPosWeight([]float64{0.5, 2, 3})}},
	}...)
	v := make([]float64, 12)
	for i := range v {
		v[i] = math.Cos(0.9*float64(i) + 0.3)
	}
	for _, s := range list {
		for _, red := range []loss.Reduction{loss.Mean, loss.Sum} {
			if red == loss.Sum && s.name == "CrossEntropy soft with a normalizer" {
				continue // a normalizer is the denominator of a mean
			}
			for _, k := range s.wrt() {
				checkHessian(t, &s, red, k, v)
			}
		}
	}
}

// checkHessian differentiates ⟨∂l/∂k, v⟩ by every operand in both ways, and l itself.
func checkHessian(t *testing.T, s *subject, red loss.Reduction, k string, v []float64) {
	t.Helper()
	factors := []float64{2, -0.5, 1.5, 0}
	build := func(b *bench, pred, target []float64) (*G.Node, error) {
		shape, w := s.spread(factors...)
		return s.build(b, pred, target, someLabels, loss.WithReduction(red), loss.WithWeights(b.float("w", shape, w...)))
	}
	at := func(pred, target []float64) (value, slope float64) {
		c, err := computeTape(tensor.Float64, func(b *bench) (*G.Node, error) { return build(b, pred, target) }, []string{k})
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range c.grads[k] {
			slope += g * v[i]
		}
		return c.value[0], slope
	}
	b := newBench(tensor.Float64)
	l, err := build(b, s.pred, s.target)
	if err != nil {
		t.Fatal(err)
	}
	g, err := loss.Gradients(l, b.nodes(s.wrt())...)
	if err != nil {
		t.Fatal(err)
	}
	own := g[slices.Index(s.wrt(), k)]
	h, err := loss.VJP(own, b.float("v", []int{4, 3}, v...), b.nodes(s.wrt())...)
	if err != nil {
		t.Fatal(err)
	}
	values, err := runTape(b.g, append(g, h...)...)
	if err != nil {
		t.Fatal(err)
	}
	// With a step of 1e-4 the error of the four-point formula and the rounding of the difference
	// are both near 1e-11.
	const step, tolerance = 1e-4, 1e-9
	for o, name := range s.wrt() {
		for i := range 12 {
			moved := func(by float64) (value, slope float64) {
				pred, target := slices.Clone(s.pred), slices.Clone(s.target)
				if name == "pred" {
					pred[i] += by
				} else {
					target[i] += by
				}
				return at(pred, target)
			}
			v1, s1 := moved(step)
			v2, s2 := moved(-step)
			v3, s3 := moved(2 * step)
			v4, s4 := moved(-2 * step)
			what := fmt.Sprintf("%s, %v", s.name, red)
			if want := (8*(v1-v2) - (v3 - v4)) / (12 * step); !near64(values[o][i], want, tolerance, tolerance) {
				t.Errorf("%s: ∂l/∂%s[%d] = %v, want %v", what, name, i, values[o][i], want)
			}
			if want := (8*(s1-s2) - (s3 - s4)) / (12 * step); !near64(values[len(g)+o][i], want, tolerance, tolerance) {
				t.Errorf("%s: ∂/∂%s[%d] of ⟨∂l/∂%s, v⟩ = %v, want %v", what, name, i, k, values[len(g)+o][i], want)
			}
		}
	}
}
