package loss_test

import (
	"fmt"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// scaled returns k·v.
func scaled(v []float64, k float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = k * x
	}
	return out
}

// A temperature divides the logits, and those of a target too; a gradient is divided by it, and
// nothing is multiplied by T².
func TestTemperatureDividesLogits(t *testing.T) {
	const temperature = 4 // a power of two: x/T is exact
	for _, s := range subjects {
		switch s.name {
		case "CrossEntropy", "CrossEntropy soft", "CrossEntropy soft weighted", "KL", "KL log target", "KL target logits":
		default:
			continue
		}
		hot := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return s.build(b, s.pred, s.target, someLabels, loss.WithTemperature(temperature))
		}, s.wrt()...)
		cool := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			target := s.target
			if s.name == "KL target logits" {
				target = scaled(target, 1.0/temperature)
			}
			return s.build(b, scaled(s.pred, 1.0/temperature), target, someLabels)
		}, s.wrt()...)
		checkNear(t, s.name, hot.value, cool.value, 0)
		checkNear(t, s.name+" gradient", hot.grads["pred"], scaled(cool.grads["pred"], 1.0/temperature), 1e-15)
		if s.target != nil {
			want := cool.grads["target"]
			if s.name == "KL target logits" {
				want = scaled(want, 1.0/temperature)
			}
			checkNear(t, s.name+" target gradient", hot.grads["target"], want, 1e-15)
		}
	}
}

// The class axis may be any: the values are those of the rows with the classes moved to the end.
func TestClassAxis(t *testing.T) {
	const rows, classes = 4, 3
	turn := func(v []float64) []float64 { // (4, 3) to (3, 4)
		if v == nil {
			return nil
		}
		out := make([]float64, len(v))
		for i, x := range v {
			out[i%classes*rows+i/classes] = x
		}
		return out
	}
	for _, s := range subjects {
		if s.elementwise {
			continue
		}
		for _, axis := range []int{0, -2} {
			for _, red := range []loss.Reduction{loss.Mean, loss.None} {
				want := mustCompute(t, tensor.Float32, func(b *bench) (*G.Node, error) {
					return s.build(b, s.pred, s.target, someLabels, loss.WithReduction(red))
				}, s.wrt()...)
				got := mustCompute(t, tensor.Float32, func(b *bench) (*G.Node, error) {
					opts := append([]loss.Option{loss.WithAxis(axis), loss.WithReduction(red)}, s.opts...)
					x := b.float("pred", []int{classes, rows}, turn(s.pred)...)
					if s.target == nil {
						return s.fn(x, b.labels([]int{rows}, someLabels...), opts...)
					}
					return s.fn(x, b.float("target", []int{classes, rows}, turn(s.target)...), opts...)
				}, s.wrt()...)
				what := fmt.Sprintf("%s, axis %d, %v", s.name, axis, red)
				checkNear(t, what, got.value, want.value, 0)
				for _, name := range s.wrt() {
					checkNear(t, what+" ∂/∂"+name, got.grads[name], turn(want.grads[name]), 0)
				}
			}
		}
	}
}

// Smoothing moves a binary target towards 1/2, and positive weights stand along the class axis.
func TestBinaryCrossEntropyOptions(t *testing.T) {
	const eps = 0.25
	smoothed := make([]float64, 12)
	for i, y := range otherProbs {
		smoothed[i] = y*(1-eps) + eps/2
	}
	for axis, w := range map[int][]float64{-1: {0.5, 2, 3}, 0: {1, 0, 2, 5}} {
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.BinaryCrossEntropy(b.float("x", []int{4, 3}, someLogits...), b.float("t", []int{4, 3}, otherProbs...),
				loss.WithAxis(axis), loss.WithPosWeight(w), loss.WithLabelSmoothing(eps), loss.WithReduction(loss.None))
		}, "x")
		var value, grad []float64
		for i, x := range someLogits {
			k := w[i%3]
			if axis == 0 {
				k = w[i/3]
			}
			no, yes := bigSoftplus(x)
			won, missed := bigSoftplus(-x)
			value = append(value, k*smoothed[i]*float64Of(won)+(1-smoothed[i])*float64Of(no))
			grad = append(grad, (1-smoothed[i])*float64Of(yes)-k*smoothed[i]*float64Of(missed))
		}
		checkNear(t, fmt.Sprintf("axis %d", axis), got.value, value, 1e-14)
		checkNear(t, fmt.Sprintf("axis %d: gradient", axis), got.grads["x"], grad, 1e-13) // the two terms cancel in part
	}
}

// The forms on logits, log-probabilities and probabilities are one loss.
func TestFormsAgree(t *testing.T) {
	classWeights := loss.WithClassWeights([]float64{1, 2, 0.5})
	value := func(fn loss.Func, pred, target []float64, opts ...loss.Option) []float64 {
		return mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			x := b.float("x", []int{4, 3}, pred...)
			if target == nil {
				return fn(x, b.labels([]int{4}, someLabels...), opts...)
			}
			return fn(x, b.float("t", []int{4, 3}, target...), opts...)
		}).value
	}
	none := loss.WithReduction(loss.None)
	want := value(loss.CrossEntropy, logs(someProbs), nil, classWeights)
	checkNear(t, "NLL", value(loss.NLL, logs(someProbs), nil, classWeights), want, 1e-14)
	checkNear(t, "CrossEntropyFromProb", value(loss.CrossEntropyFromProb, someProbs, nil, classWeights), want, 1e-14)
	smoothing := loss.WithLabelSmoothing(0.1)
	checkNear(t, "CrossEntropyFromProb, soft", value(loss.CrossEntropyFromProb, someProbs, otherProbs, classWeights, smoothing),
		value(loss.CrossEntropy, logs(someProbs), otherProbs, classWeights, smoothing), 1e-14)
	kl := value(loss.KL, logs(someProbs), otherProbs, none)
	checkNear(t, "KL log target", value(loss.KL, logs(someProbs), logs(otherProbs), none, loss.WithLogTarget()), kl, 1e-13)
	checkNear(t, "KL target logits", value(loss.KL, logs(someProbs), logs(otherProbs), none, loss.WithTargetLogits()),
		kl, 1e-13)
	checkNear(t, "KLFromLogProb", value(loss.KLFromLogProb, logs(someProbs), otherProbs, none), kl, 1e-13)
	// H(P, Q) = H(P) + KL(P‖Q)
	h := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.EntropyFromProb(b.float("p", []int{4, 3}, otherProbs...))
	}).value
	ce := value(loss.CrossEntropy, logs(someProbs), otherProbs, none)
	for i := range kl {
		if !near64(ce[i], h[i]+kl[i], 1e-14, 0) {
			t.Errorf("row %d: cross-entropy %v, entropy %v + divergence %v", i, ce[i], h[i], kl[i])
		}
	}
}

// The options that a loss copies are its own from then on, and two losses that differ in one are
// two nodes.
func TestOptionsAreIdentity(t *testing.T) {
	b := newBench(tensor.Float64)
	x, y := b.float("x", []int{4, 3}, someLogits...), b.labels([]int{4}, someLabels...)
	seen := make(map[*G.Node]string)
	w := []float64{1, 2, 0.5}
	weighted := loss.WithClassWeights(w)
	w[0] = 100 // copied before
	for name, opts := range map[string][]loss.Option{
		"plain": nil, "sum": {loss.WithReduction(loss.Sum)}, "none": {loss.WithReduction(loss.None)},
		"smoothing":     {loss.WithLabelSmoothing(0.1)},
		"smoothing 0.2": {loss.WithLabelSmoothing(0.2)}, "temperature": {loss.WithTemperature(2)},
		"ignore":      {loss.WithIgnoreIndex(1)},
		"ignore none": {loss.WithIgnoreIndex()}, "normalizer": {loss.WithNormalizer(3)}, "weighted": {weighted},
		"weighted otherwise": {loss.WithClassWeights([]float64{100, 2, 0.5})},
	} {
		n, err := loss.CrossEntropy(x, y, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[n]; ok {
			t.Errorf("%s and %s are one node", name, other)
		}
		seen[n] = name
		again, err := loss.CrossEntropy(x, y, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if again != n {
			t.Errorf("%s twice is two nodes", name)
		}
	}
	want := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", []int{4, 3}, someLogits...), b.labels([]int{4}, someLabels...),
			loss.WithClassWeights([]float64{1, 2, 0.5}))
	})
	got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", []int{4, 3}, someLogits...), b.labels([]int{4}, someLabels...), weighted)
	})
	checkNear(t, "weights changed after the option was made", got.value, want.value, 0)
}
