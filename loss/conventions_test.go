package loss_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var (
	nan  = math.NaN()
	inf  = math.Inf(1)
	ninf = math.Inf(-1)
)

// A subject is a loss with operands of 3 classes for the tests of conventions that all losses
// share.
type subject struct {
	name   string
	fn     loss.Func
	pred   []float64 // 4 rows
	target []float64 // 4 rows, or nil for labels
	opts   []loss.Option
	// elementwise losses have weights and masks per element
	elementwise bool
}

var (
	someLogits  = []float64{0.5, -1, 2, 3, 0.25, -0.75, 1, 1.5, -2, -0.5, 0, 0.125}
	otherLogits = []float64{-0.5, 1, 0.5, 2, -1.25, 0.75, 0, 2.5, 1, 0.5, 1, -0.125}
	someProbs   = []float64{0.2, 0.3, 0.5, 0.7, 0.2, 0.1, 0.25, 0.5, 0.25, 0.1, 0.8, 0.1}
	otherProbs  = []float64{0.6, 0.3, 0.1, 0.25, 0.25, 0.5, 0.125, 0.625, 0.25, 0.3, 0.3, 0.4}
	someLabels  = []int{2, 0, 1, 2}
)

func logs(p []float64) []float64 {
	out := make([]float64, len(p))
	for i, v := range p {
		out[i] = math.Log(v)
	}
	return out
}

var subjects = []subject{
	{name: "CrossEntropy", fn: loss.CrossEntropy, pred: someLogits},
	{name: "CrossEntropy smoothed and weighted", fn: loss.CrossEntropy, pred: someLogits,
		opts: []loss.Option{loss.WithLabelSmoothing(0.1), loss.WithClassWeights([]float64{1, 2, 0.5}),
			loss.WithTemperature(2)}},
	{name: "CrossEntropy soft", fn: loss.CrossEntropy, pred: someLogits, target: otherProbs},
	{name: "CrossEntropy soft weighted", fn: loss.CrossEntropy, pred: someLogits, target: otherProbs,
		opts: []loss.Option{loss.WithClassWeights([]float64{1, 2, 0.5})}},
	{name: "NLL", fn: loss.NLL, pred: logs(someProbs)},
	{name: "CrossEntropyFromProb", fn: loss.CrossEntropyFromProb, pred: someProbs},
	{name: "CrossEntropyFromProb soft", fn: loss.CrossEntropyFromProb, pred: someProbs, target: otherProbs},
	{name: "KL", fn: loss.KL, pred: someLogits, target: otherProbs},
	{name: "KL log target", fn: loss.KL, pred: someLogits, target: logs(otherProbs),
		opts: []loss.Option{loss.WithLogTarget()}},
	{name: "KL target logits", fn: loss.KL, pred: someLogits, target: otherLogits,
		opts: []loss.Option{loss.WithTargetLogits()}},
	{name: "KLFromLogProb", fn: loss.KLFromLogProb, pred: logs(someProbs), target: otherProbs},
	{name: "BinaryCrossEntropy", fn: loss.BinaryCrossEntropy, pred: someLogits, target: otherProbs, elementwise: true,
		opts: []loss.Option{loss.WithPosWeight([]float64{3})}},
	{name: "MSE", fn: loss.MSE, pred: someLogits, target: otherLogits, elementwise: true},
	{name: "MAE", fn: loss.MAE, pred: someLogits, target: otherLogits, elementwise: true},
	{name: "Huber", fn: loss.Huber, pred: someLogits, target: otherLogits, elementwise: true,
		opts: []loss.Option{loss.WithDelta(0.9)}},
}

// build makes the node of some rows of a subject and names its differentiable operands.
func (s *subject) build(b *bench, pred, target []float64, labels []int, opts ...loss.Option) (*G.Node, error) {
	rows := len(pred) / 3
	x := b.float("pred", []int{rows, 3}, pred...)
	opts = append(slices.Clone(s.opts), opts...)
	if s.target == nil {
		return s.fn(x, b.labels([]int{rows}, labels...), opts...)
	}
	return s.fn(x, b.float("target", []int{rows, 3}, target...), opts...)
}

func (s *subject) wrt() []string {
	if s.target == nil {
		return []string{"pred"}
	}
	return []string{"pred", "target"}
}

// spread repeats the entries of rows for each element where the loss has one value per element.
func (s *subject) spread(rows ...float64) (shape []int, out []float64) {
	if !s.elementwise {
		return []int{len(rows)}, rows
	}
	for _, v := range rows {
		out = append(out, v, v, v)
	}
	return []int{len(rows), 3}, out
}

// A row that is ignored, masked or of weight 0 is never read: whatever stands in it, the result has
// the bits of the graph without the row, and the row's gradient is 0.
func TestRowsLeftOutAreNotRead(t *testing.T) {
	const out = 2 // the row that is left out
	ways := map[string]func(s *subject, b *bench) loss.Option{
		"weight 0": func(s *subject, b *bench) loss.Option {
			shape, w := s.spread(1, 1, 0, 1)
			return loss.WithWeights(b.float("w", shape, w...))
		},
	}
	for _, dt := range []tensor.Dtype{tensor.Bool, tensor.Uint8, tensor.Float64} {
		ways["mask "+dt.String()] = func(s *subject, b *bench) loss.Option {
			shape, m := s.spread(1, 1, 0, 1)
			ints := make([]int, len(m))
			for i, v := range m {
				ints[i] = int(v)
			}
			return loss.WithMask(b.mask(dt, shape, ints...))
		}
	}
	ways["ignored"] = func(*subject, *bench) loss.Option { return loss.WithIgnoreIndex(-7, 99) }
	for _, s := range subjects {
		for way, option := range ways {
			if way == "ignored" && s.target != nil {
				continue
			}
			for _, poison := range []float64{nan, inf, ninf, -3, 3e300} {
				for _, label := range []int{99, -7} {
					for _, red := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
						pred, target, labels := slices.Clone(s.pred), slices.Clone(s.target), slices.Clone(someLabels)
						for c := range 3 {
							pred[out*3+c] = poison
							if target != nil {
								target[out*3+c] = poison
							}
						}
						labels[out] = label
						got, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
							return s.build(b, pred, target, labels, option(&s, b), loss.WithReduction(red))
						}, s.wrt()...)
						if err != nil {
							t.Errorf("%s, %s, %v of %v: %v", s.name, way, red, poison, err)
							continue
						}
						left := slices.Delete(slices.Clone(labels), out, out+1)
						want := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
							return s.build(b, without(pred, out), without(target, out), left, loss.WithReduction(red))
						}, s.wrt()...)
						if red == loss.None {
							n := len(want.value) / 3
							want.value = slices.Insert(want.value, out*n, make([]float64, n)...)
						}
						if err := sameBits(got.value, want.value); err != nil {
							t.Errorf("%s, %s, %v of %v: value: %v", s.name, way, red, poison, err)
						}
						for _, name := range s.wrt() {
							if err := sameBits(got.grads[name], slices.Insert(want.grads[name], out*3, 0, 0, 0)); err != nil {
								t.Errorf("%s, %s, %v of %v: ∂/∂%s: %v", s.name, way, red, poison, name, err)
							}
						}
					}
				}
			}
		}
	}
}

// without returns the rows of 3 but one.
func without(v []float64, row int) []float64 {
	if v == nil {
		return nil
	}
	return slices.Delete(slices.Clone(v), row*3, row*3+3)
}

// With s the product of weight and mask and v the value of a row by itself: None is s·v, Sum Σ s·v,
// and Mean that over Σ s·w_y, for a soft target under class weights Σ s·Σ_c w_c·t_c. Negative
// weights are ordinary.
func TestOneDenominator(t *testing.T) {
	weights, mask := []float64{2, -0.5, 1.5, 4}, []int{1, 1, 1, 0}
	for _, s := range subjects {
		factors := []float64{2, -0.5, 1.5, 0}
		alone := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return s.build(b, s.pred, s.target, someLabels, loss.WithReduction(loss.None))
		}, s.wrt()...)
		_, f := s.spread(factors...)
		_, w := s.spread(weights...)
		shape, _ := s.spread(factors...)
		m := make([]int, len(f))
		for i := range m {
			m[i] = mask[i*4/len(f)]
		}
		sum, denominator := 0.0, 0.0
		none := make([]float64, len(f))
		for i := range f {
			none[i] = f[i] * alone.value[i]
			sum += none[i]
			share := 1.0
			if classWeights := []float64{1, 2, 0.5}; s.name == "CrossEntropy smoothed and weighted" {
				share = classWeights[someLabels[i]]
			} else if s.name == "CrossEntropy soft weighted" {
				share = 0
				for c, v := range classWeights {
					share += v * s.target[3*i+c]
				}
			}
			denominator += f[i] * share
		}
		for red, want := range map[loss.Reduction][]float64{loss.None: none, loss.Sum: {sum}, loss.Mean: {sum / denominator}} {
			got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
				return s.build(b, s.pred, s.target, someLabels, loss.WithReduction(red),
					loss.WithWeights(b.float("w", shape, w...)), loss.WithMask(b.mask(tensor.Bool, shape, m...)))
			}, s.wrt()...)
			// 1e-14: a handful of additions in another order, the sums do not cancel.
			checkNear(t, fmt.Sprintf("%s, %v", s.name, red), got.value, want, 1e-14)
			if red == loss.Sum {
				g := slices.Clone(alone.grads["pred"])
				for i := range g {
					g[i] *= f[i*len(f)/len(g)]
				}
				checkNear(t, s.name+", gradient of Sum", got.grads["pred"], g, 1e-14)
			}
		}
	}
}

// A mean over nothing is 0 with gradient 0, in whatever way nothing is left.
func TestMeanOverNothing(t *testing.T) {
	ways := map[string]func(s *subject, b *bench) []loss.Option{
		"weights": func(s *subject, b *bench) []loss.Option {
			shape, w := s.spread(0, 0, 0, 0)
			return []loss.Option{loss.WithWeights(b.float("w", shape, w...))}
		},
		"mask": func(s *subject, b *bench) []loss.Option {
			shape, m := s.spread(0, 0, 0, 0)
			return []loss.Option{loss.WithMask(b.mask(tensor.Uint8, shape, make([]int, len(m))...))}
		},
		"ignored": func(*subject, *bench) []loss.Option { return []loss.Option{loss.WithIgnoreIndex(0, 1, 2)} },
		"class weights": func(*subject, *bench) []loss.Option {
			return []loss.Option{loss.WithClassWeights([]float64{0, 0, 0})}
		},
		"normalizer 0": func(s *subject, b *bench) []loss.Option {
			shape, m := s.spread(0, 0, 0, 0)
			return []loss.Option{loss.WithMask(b.mask(tensor.Bool, shape, make([]int, len(m))...)), loss.WithNormalizerNode(b.float("n", nil, 0))}
		},
	}
	for _, s := range subjects {
		info, _ := loss.Describe(s.fnName())
		for way, options := range ways {
			if way == "ignored" && s.target != nil || way == "class weights" && !slices.Contains(info.Options, "WithClassWeights") {
				continue
			}
			for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
				got, err := compute(dt, func(b *bench) (*G.Node, error) {
					return s.build(b, s.pred, s.target, someLabels, options(&s, b)...)
				}, s.wrt()...)
				if err != nil {
					t.Errorf("%s, %s, %v: %v", s.name, way, dt, err)
					continue
				}
				what := fmt.Sprintf("%s, %s, %v", s.name, way, dt)
				checkNear(t, what, got.value, []float64{0}, 0)
				for _, name := range s.wrt() {
					checkNear(t, what+" ∂/∂"+name, got.grads[name], make([]float64, 12), 0)
				}
			}
		}
	}
}

func (s *subject) fnName() string {
	for i, r := range s.name {
		if r == ' ' {
			return s.name[:i]
		}
	}
	return s.name
}

// Weights that cancel leave a denominator of 0 that is no mean over nothing: the result must not
// look like one.
func TestCancellingWeights(t *testing.T) {
	for _, s := range subjects {
		shape, w := s.spread(1, -1, 0, 0)
		if s.name == "CrossEntropy smoothed and weighted" || s.name == "CrossEntropy soft weighted" {
			continue // class weights make the denominator another one
		}
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return s.build(b, s.pred, s.target, someLabels, loss.WithWeights(b.float("w", shape, w...)))
		}, "pred")
		if v := got.value[0]; !math.IsInf(v, 0) && !math.IsNaN(v) {
			t.Errorf("%s with weights 1 and -1 = %v, want no finite number", s.name, v)
		}
	}
}

// A soft one-hot target is its label: the same bits under every option, on hostile rows too.
func TestOneHotIsItsLabel(t *testing.T) {
	rows := [][]float64{
		{0.5, -1, 2, 3, 0.25, -0.75, 1, 1.5, -2, -0.5, 0, 0.125},
		{ninf, 1, 2, 0, ninf, 1, ninf, ninf, 1, 1, 2, ninf},
		{40, 0, 0, 3e38, -3e38, 0, 0, 0, 1e4, -745, 0, 0},
		{nan, 0, 1, 0, 1, 2, inf, 0, 1, ninf, ninf, ninf},
	}
	probs := [][]float64{someProbs, {0, 0.5, 0.5, 1, 0, 0, 0, 0, 1, 0.5, 0.5, 0}}
	options := map[string][]loss.Option{
		"plain": nil, "smoothing": {loss.WithLabelSmoothing(0.1)}, "all smoothed": {loss.WithLabelSmoothing(1)},
		"class weights": {loss.WithClassWeights([]float64{0, 2, 0.3})}, "sum": {loss.WithReduction(loss.Sum)},
		"both": {loss.WithLabelSmoothing(0.3), loss.WithClassWeights([]float64{1.1, 0.2, 3}),
			loss.WithReduction(loss.None)},
		"normalizer": {loss.WithNormalizer(7), loss.WithClassWeights([]float64{1, 2, 0.3})},
	}
	check := func(fn loss.Func, x []float64, what string, opts []loss.Option) {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			onehot := make([]float64, 12)
			for i, y := range someLabels {
				onehot[3*i+y] = 1
			}
			hard := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
				return fn(b.float("x", []int{4, 3}, x...), b.labels([]int{4}, someLabels...), opts...)
			}, "x")
			soft := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
				return fn(b.float("x", []int{4, 3}, x...), b.float("t", []int{4, 3}, onehot...), opts...)
			}, "x")
			if err := sameBits(soft.value, hard.value); err != nil {
				t.Errorf("%s of %v: value: %v", what, x, err)
			}
			if err := sameBits(soft.grads["x"], hard.grads["x"]); err != nil {
				t.Errorf("%s of %v: gradient: %v", what, x, err)
			}
		}
	}
	for name, opts := range options {
		for _, x := range rows {
			check(loss.CrossEntropy, x, "CrossEntropy "+name, opts)
			check(loss.CrossEntropy, x, "CrossEntropy temperature "+name,
				append(slices.Clone(opts), loss.WithTemperature(3)))
		}
		for _, p := range probs {
			check(loss.CrossEntropyFromProb, p, "CrossEntropyFromProb "+name, opts)
		}
	}
}

// A class weight of 0 is an ordinary factor: the row is read, so a NaN in it shows.
func TestClassWeightZeroIsRead(t *testing.T) {
	got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", []int{2, 3}, nan, 1, 2, 0, 0, 0), b.labels([]int{2}, 0, 1),
			loss.WithClassWeights([]float64{0, 1, 1}), loss.WithReduction(loss.None))
	}, "x")
	checkNear(t, "value", got.value, []float64{nan, math.Log(3)}, 1e-15)
	got = mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", []int{2, 3}, ninf, 1, 2, 0, 0, 0), b.labels([]int{2}, 0, 1),
			loss.WithClassWeights([]float64{0, 1, 1}))
	}, "x")
	checkNear(t, "masked class of weight 0", got.value, []float64{math.Log(3)}, 1e-15)
}

// Batches whose losses share a normalizer add up to the loss of them all, value and gradient.
func TestNormalizerAddsUp(t *testing.T) {
	for _, s := range subjects {
		if s.name == "CrossEntropy soft weighted" {
			continue // its whole-batch gradient by the target has a part of the denominator
		}
		n := 4.0
		if s.elementwise {
			n = 12
		}
		if s.name == "CrossEntropy smoothed and weighted" {
			n = 0.5 + 1 + 2 + 0.5
		}
		whole := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return s.build(b, s.pred, s.target, someLabels)
		}, s.wrt()...)
		sum := 0.0
		grads := make(map[string][]float64)
		for i, part := range [][2]int{{0, 3}, {3, 4}} {
			cut := func(v []float64) []float64 {
				if v == nil {
					return nil
				}
				return v[3*part[0] : 3*part[1]]
			}
			got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
				option := loss.WithNormalizer(n)
				if i == 1 {
					option = loss.WithNormalizerNode(b.float("n", nil, n))
				}
				return s.build(b, cut(s.pred), cut(s.target), someLabels[part[0]:part[1]], option)
			}, s.wrt()...)
			sum += got.value[0]
			for name, g := range got.grads {
				grads[name] = append(grads[name], g...)
			}
		}
		checkNear(t, s.name, []float64{sum}, whole.value, 1e-15)
		for name, g := range grads {
			checkNear(t, s.name+" ∂/∂"+name, g, whole.grads[name], 1e-15)
		}
	}
}

// A result never depends on how many cores there are, to the bit.
func TestCoresDoNotMatter(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, shape := range [][2]int{{4099, 17}, {3, 50257}, {1, 300007}} {
		n, classes := shape[0], shape[1]
		x, w := make([]float64, n*classes), make([]float64, n)
		target := make([]float64, n*classes)
		labels := make([]int, n)
		for i := range x {
			x[i], target[i] = 4*rng.NormFloat64(), rng.Float64()
		}
		for i := range labels {
			labels[i], w[i] = rng.IntN(classes), rng.Float64()
		}
		builds := map[string]func(b *bench) (*G.Node, error){
			"CrossEntropy": func(b *bench) (*G.Node, error) {
				return loss.CrossEntropy(b.float("x", shape[:], x...), b.labels([]int{n}, labels...),
					loss.WithLabelSmoothing(0.1), loss.WithWeights(b.float("w", []int{n}, w...)))
			},
			"KL": func(b *bench) (*G.Node, error) {
				return loss.KL(b.float("x", shape[:], x...), b.float("t", shape[:], target...))
			},
			"BinaryCrossEntropy": func(b *bench) (*G.Node, error) {
				return loss.BinaryCrossEntropy(b.float("x", shape[:], x...), b.float("t", shape[:], target...))
			},
			"LogSumExp": func(b *bench) (*G.Node, error) { return loss.LogSumExp(b.float("x", shape[:], x...)) },
			"Huber": func(b *bench) (*G.Node, error) {
				return loss.Huber(b.float("x", shape[:], x...), b.float("t", shape[:], target...),
					loss.WithReduction(loss.Sum))
			},
		}
		for name, build := range builds {
			for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
				var first *computed
				for _, cores := range []int{1, 2, 3, 7} {
					got := withCores(t, cores, dt, build)
					if first == nil {
						first = got
					}
					if err := sameBits(got.value, first.value); err != nil {
						t.Errorf("seed %d: %s %v %v on %d cores: value: %v", seed, name, shape, dt, cores, err)
					}
					if err := sameBits(got.grads["x"], first.grads["x"]); err != nil {
						t.Errorf("seed %d: %s %v %v on %d cores: gradient: %v", seed, name, shape, dt, cores, err)
					}
				}
			}
		}
	}
}
