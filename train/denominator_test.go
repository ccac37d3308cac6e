package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// uneven is a loss with data whose rows do not count alike.
type uneven struct {
	name  string
	model Model
	loss  loss.Func
	ds    data.Dataset
}

// unevens are 23 rows each, of which the first four are ignored where labels can be.
func unevens(t *testing.T) []uneven {
	t.Helper()
	const n = 23
	rng := rand.New(rand.NewPCG(5, 6))
	x, labels, soft, weights, mask := make([][]float64, n), make([]int, n), make([][]float64, n), make([]float64, n), make([]bool, 3*n)
	missing := make([][]float64, n)
	for i := range n {
		x[i] = []float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}
		labels[i], weights[i] = rng.IntN(3), 3*rng.Float64()
		if i < 4 || i%5 == 0 {
			labels[i] = -100
		}
		soft[i] = []float64{rng.Float64(), rng.Float64(), rng.Float64()}
		missing[i] = append([]float64(nil), soft[i]...)
		for c := range 3 {
			if mask[3*i+c] = i > 3 && rng.IntN(2) == 0; !mask[3*i+c] {
				missing[i][c] = math.NaN()
			}
		}
	}
	weights[6] = 0
	classes, err := data.Classes(x, labels)
	if err == nil {
		classes, err = classes.WithWeights(weights)
	}
	if err != nil {
		t.Fatal(err)
	}
	values, err := data.Values(x, soft)
	if err == nil {
		values, err = values.WithWeights(weights)
	}
	if err != nil {
		t.Fatal(err)
	}
	holes, err := data.Values(x, missing)
	if err != nil {
		t.Fatal(err)
	}
	masked, err := data.WithoutMissing(holes)
	if err != nil {
		t.Fatal(err)
	}
	cw := loss.WithClassWeights([]float64{0.2, 3, 1})
	return []uneven{
		{"ignored labels", linear3, loss.CrossEntropy, classes},
		{"class weights and ignored labels", linear3, loss.With(loss.CrossEntropy, cw, loss.WithLabelSmoothing(0.1)),
			classes},
		{"soft targets and class weights", linear3, loss.With(loss.CrossEntropy, cw), values},
		{"multi-label class weights", linear3, loss.With(loss.MultiLabelSoftMargin, cw), values},
		{"elementwise", linear3, loss.BinaryCrossEntropy, values},
		{"missing elements", linear3, loss.MSE, masked},
	}
}

// TestAccumulateIsOneBatch: k batches of n rows make the same step as one of k·n, however the
// denominator falls into them; the first batches of one and of two rows count nothing.
func TestAccumulateIsOneBatch(t *testing.T) {
	for _, c := range unevens(t) {
		cfg := Config{Epochs: 3, BatchSize: 24, Optimizer: optim.SGD(0.3), DType: tensor.Float64, KeepOrder: true}
		fit := func(cfg Config) *Result {
			res, err := Fit(background, c.model, c.loss, c.ds, cfg)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			return res
		}
		whole := fit(cfg)
		for _, size := range []int{1, 2, 8} {
			cfg.BatchSize, cfg.Accumulate = size, 24/size
			parts := fit(cfg)
			// Sums of 23 terms in another order, 3 steps.
			if d := far(t, whole.Net, parts.Net); !(d < 1e-13) {
				t.Errorf("%s: parameters differ by %v in batches of %d", c.name, d, size)
			}
			for e, v := range whole.History.Series("loss") {
				if got := parts.History.Series("loss")[e]; !(math.Abs(got-v) < 1e-13) {
					t.Errorf("%s: epoch %d has loss %v in batches of %d, want %v", c.name, e+1, got, size, v)
				}
			}
		}
	}
}

// TestThreeRows: with parameters of 0 the probabilities are 1/2, so the mean over the two rows that
// count is log 2. Divided by three rows, or as a mean of means with 0 for the ignored one, it would
// be 2/3·log 2.
func TestThreeRows(t *testing.T) {
	ds, err := data.Classes([][]float64{{1}, {1}, {-1}}, []int{1, -100, 0})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		w, err := b.Param("w", Constant(0), 1, 2)
		if err != nil {
			return nil, err
		}
		return G.Mul(x, w)
	}
	for _, size := range []int{1, 2, 3} {
		var steps []float64
		cfg := Config{Epochs: 1, BatchSize: size, Accumulate: 3, Optimizer: optim.SGD(1), DType: tensor.Float64, KeepOrder: true,
			Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
				if e.Kind == StepDone {
					steps = append(steps, e.Loss)
				}
				return nil
			})}}
		res := mustFit(t, model, ds, cfg)
		if len(steps) != 1 || math.Abs(steps[0]-math.Ln2) > 1e-15 || math.Abs(res.History.Last("loss")-math.Ln2) > 1e-15 {
			t.Errorf("batches of %d: losses %v and %v, want log 2", size, steps, res.History.Last("loss"))
		}
		// x·(softmax - target) is (1/2, -1/2) in both rows, and so is the mean.
		if w := res.Params()[0].F64; math.Abs(w[0]+0.5) > 1e-15 || math.Abs(w[1]-0.5) > 1e-15 {
			t.Errorf("batches of %d: parameters %v, want -1/2 and 1/2", size, w)
		}
	}
}

// TestIgnoredBatch: a batch in which nothing counts has no loss, leaves the epoch's alone and moves
// nothing.
func TestIgnoredBatch(t *testing.T) {
	ds, err := data.Classes([][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, []int{1, -100, 0})
	if err != nil {
		t.Fatal(err)
	}
	var steps []float64
	res := mustFit(t, linear3, ds, Config{Epochs: 1, BatchSize: 1, Optimizer: optim.SGD(1), KeepOrder: true, DType: tensor.Float64,
		Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == StepDone {
				steps = append(steps, e.Loss)
			}
			return nil
		})}})
	if len(steps) != 3 || !math.IsNaN(steps[1]) {
		t.Fatalf("losses of the steps are %v, want NaN for the second", steps)
	}
	if got, want := res.History.Last("loss"), (steps[0]+steps[2])/2; math.Abs(got-want) > 1e-15 {
		t.Errorf("loss of the epoch is %v, want %v", got, want)
	}
}

// TestEvaluationByParts: the loss of a dataset does not depend on the batches in which it is
// measured.
func TestEvaluationByParts(t *testing.T) {
	for _, c := range unevens(t) {
		var want float64
		for i, size := range []int{23, 1, 2, 5, 22} {
			res, err := Fit(background, c.model, c.loss, c.ds, Config{Epochs: 1, BatchSize: 23, Optimizer: optim.SGD(0.1),
				DType: tensor.Float64, KeepOrder: true, Validation: c.ds, ValidationBatch: size})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got := res.History.Last("val_loss")
			if i == 0 {
				want = got
				v, err := res.Evaluate(background, c.loss, c.ds)
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				if math.Abs(v["loss"]-want) > 1e-14 {
					t.Errorf("%s: Evaluate gives %v, want %v", c.name, v["loss"], want)
				}
			}
			// 23 terms in another order.
			if !(math.Abs(got-want) < 1e-14) {
				t.Errorf("%s: val_loss is %v in batches of %d, want %v", c.name, got, size, want)
			}
		}
	}
}

// TestNothingToMeasure: a loss over nothing is an error, not 0, the best of all.
func TestNothingToMeasure(t *testing.T) {
	ds := blobs(t, 6, 1)
	none, err := data.Classes([][]float64{{1, 2, 3}, {4, 5, 6}}, []int{-100, -100})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Epochs: 2, Optimizer: optim.SGD(0.1)}
	res := mustFit(t, linear3, ds, cfg)
	_, evalErr := res.Evaluate(background, loss.CrossEntropy, none)
	_, fitErr := Fit(background, linear3, loss.CrossEntropy, none, cfg)
	cfg.Validation, cfg.EarlyStop = none, &EarlyStop{Patience: 1}
	_, valErr := Fit(background, linear3, loss.CrossEntropy, ds, cfg)
	for want, err := range map[string]error{
		"train.Evaluate: every row has weight 0 or is ignored":                      evalErr,
		"train.Fit: epoch 1: every row has weight 0 or is ignored":                  fitErr,
		"train.Fit: validation after epoch 1: every row has weight 0 or is ignored": valErr,
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestLossWithoutParts: a loss that is no quotient of sums trains batch by batch and is refused
// where batches are added up.
func TestLossWithoutParts(t *testing.T) {
	twice := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		l, err := loss.CrossEntropy(pred, target, opts...)
		if err != nil {
			return nil, err
		}
		return G.Add(l, l)
	}
	cfg := Config{Epochs: 2, BatchSize: 4, Optimizer: optim.SGD(0.1), DType: tensor.Float64, KeepOrder: true}
	half := cfg
	half.Optimizer = optim.SGD(0.2)
	ds := blobs(t, 12, 3)
	res, err := Fit(background, linear3, twice, ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	plain := mustFit(t, linear3, ds, half) // half the loss at twice the rate
	if d := far(t, res.Net, plain.Net); !(d < 1e-14) {
		t.Errorf("parameters differ by %v", d)
	}
	if a, b := res.History.Last("loss"), 2*plain.History.Last("loss"); math.Abs(a-b) > 1e-14 {
		t.Errorf("loss is %v, want %v", a, b)
	}
	cfg.Accumulate = 2
	for name, fn := range map[string]loss.Func{"a sum": twice, "Weighted": loss.Weighted(loss.Term{Loss: loss.CrossEntropy, Factor: 1}, loss.Term{Loss: loss.KL, Factor: 1})} {
		soft, err := data.Values([][]float64{{1, 2, 3}, {3, 2, 1}}, [][]float64{{1, 0, 0}, {0, 1, 0}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Fit(background, linear3, fn, soft, cfg)
		if !errors.Is(err, loss.ErrOption) || !strings.Contains(err.Error(), "takes the numerators and denominators of batches") ||
			!strings.Contains(err.Error(), "is not a loss of this package, whose mean is a quotient of two sums") {
			t.Errorf("%s: error %v, want one with the reason", name, err)
		}
	}
}

// TestClassWeightsAtIgnoredLabels: a label that is no class has no class weight; the loss ignores
// it or names it.
func TestClassWeightsAtIgnoredLabels(t *testing.T) {
	x := [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}}
	with, err := data.Classes(x, []int{0, -100, 255, 2})
	if err != nil {
		t.Fatal(err)
	}
	without, err := data.Classes([][]float64{x[0], x[3]}, []int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	fn := loss.With(loss.CrossEntropy, loss.WithIgnoreIndex(-100, 255))
	cfg := Config{Epochs: 2, BatchSize: 4, Optimizer: optim.SGD(0.1), DType: tensor.Float64, KeepOrder: true, ClassWeights: []float64{1, 2, 3}}
	a, err := Fit(background, linear3, fn, with, cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Fit(background, linear3, fn, without, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d := far(t, a.Net, b.Net); !(d < 1e-15) {
		t.Errorf("parameters differ by %v from those without ignored rows", d)
	}
	if _, err = Fit(background, linear3, loss.CrossEntropy, with, cfg); !errors.Is(err, loss.ErrValue) || !strings.Contains(err.Error(), "label is 255 at row 2") {
		t.Errorf("error %v, want the loss's about the label 255", err)
	}
	cfg.ClassWeights = []float64{1, 2}
	if _, err = Fit(background, linear3, fn, with, cfg); err == nil || !strings.Contains(err.Error(), "row 3 has label 2 and there are 2 class weights") {
		t.Errorf("error %v of a class without a weight", err)
	}
}

// TestMaskedTargets: what is masked is never read, by losses and metrics, and counts nowhere.
func TestMaskedTargets(t *testing.T) {
	nan := math.NaN()
	holes, err := data.Values([][]float64{{1, 0, 2}, {0, 1, 1}, {3, 0, 1}, {0, 0, 0}}, [][]float64{{1, nan, 2}, {nan, nan, nan}, {0, 1, nan}, {1, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Epochs: 1, BatchSize: 3, Optimizer: optim.SGD(0.1), KeepOrder: true}
	if _, err = Fit(background, linear3, loss.MSE, holes, cfg); err == nil || !strings.Contains(err.Error(), "target of row 0 has NaN at element 1") {
		t.Errorf("error %v of a NaN that counts", err)
	}
	ds, err := data.WithoutMissing(holes)
	if err == nil {
		ds, err = data.Subset(ds, []int{3, 0, 1, 2, 0}) // and a short last batch
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := Fit(background, linear3, loss.MSE, ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	pred, err := res.Predict(background, ds)
	if err != nil {
		t.Fatal(err)
	}
	p := pred.Float32s()
	var abs, square float64
	targets := []float64{1, 1, 1, 1, nan, 2, nan, nan, nan, 0, 1, nan, 1, nan, 2}
	for i, y := range targets {
		if !math.IsNaN(y) {
			abs += math.Abs(float64(p[i]) - y)
			square += (float64(p[i]) - y) * (float64(p[i]) - y)
		}
	}
	v, err := res.Evaluate(background, loss.MSE, ds, metric.NewMAE(), metric.NewRMSE(), metric.NewR2())
	if err != nil {
		t.Fatal(err)
	}
	// Nine elements count. float32, a few roundings.
	for name, want := range map[string]float64{"loss": square / 9, "mae": abs / 9, "rmse": math.Sqrt(square / 9)} {
		if got := v[name]; !(math.Abs(got-want) < 1e-6*want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if math.IsNaN(v["r2"]) {
		t.Error("r2 is NaN")
	}
	_, err = Fit(background, linear3, loss.CrossEntropy, ds, cfg)
	if err == nil || !strings.Contains(err.Error(), "the loss takes no mask of their shape (3, 3): its values have the shape (3)") {
		t.Errorf("error %v of a loss of rows", err)
	}
}

// TestMaskedLabels: a masked label is an ignored one, whatever it is.
func TestMaskedLabels(t *testing.T) {
	x := [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}}
	fill := func(label int) data.Dataset {
		ds, err := data.Classes(x, []int{0, label, 2, 1})
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	masked, err := data.WithMask(fill(77), []bool{true, false, true, true})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Epochs: 2, BatchSize: 2, Accumulate: 2, Optimizer: optim.SGD(0.1), KeepOrder: true, Metrics: []metric.Metric{metric.NewAccuracy()},
		ClassWeights: []float64{1, 2, 3}}
	a, b := mustFit(t, linear3, masked, cfg), mustFit(t, linear3, fill(-100), cfg)
	if !sameParams(a.Net, b.Net) {
		t.Error("parameters differ")
	}
	for _, name := range []string{"loss", "accuracy"} {
		if u, v := a.History.Last(name), b.History.Last(name); u != v {
			t.Errorf("%s is %v, want %v", name, u, v)
		}
	}
}

// TestPaddedSequences: positions with ignored labels are neither in the loss nor in the perplexity,
// its exponential.
func TestPaddedSequences(t *testing.T) {
	spec := data.Spec{Input: data.Field{Kind: data.Int, Shape: []int{4}}, Target: data.Field{Kind: data.Int, Shape: []int{4}}}
	ds, err := data.NewTable(3, spec, data.Column{Int: []int{0, 1, 2, 3, 4, 0, 0, 0, 1, 2, 0, 0}},
		data.Column{Int: []int{1, 2, 3, 4, 0, -100, -100, -100, 2, 3, -100, -100}})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, x *G.Node) (*G.Node, error) { return b.Embedding("table", x, 5, 5) }
	var first float64
	for _, size := range []int{1, 2, 3} {
		res, err := Fit(background, model, loss.CrossEntropy, ds, Config{Epochs: 2, BatchSize: 3, Optimizer: optim.SGD(1), DType: tensor.Float64,
			Validation: ds, ValidationBatch: size, Metrics: []metric.Metric{metric.NewPerplexity()}})
		if err != nil {
			t.Fatal(err)
		}
		l, p := res.History.Last("val_loss"), res.History.Last("val_perplexity")
		if math.Abs(p-math.Exp(l)) > 1e-13 {
			t.Errorf("batches of %d: perplexity %v, want exp(%v)", size, p, l)
		}
		if size == 1 {
			first = l
		}
		if math.Abs(l-first) > 1e-14 {
			t.Errorf("batches of %d: loss %v, want %v", size, l, first)
		}
	}
}

// TestRowWeights: an elementwise loss is given one weight per row, one per element where it takes
// no other, and the numbers are the same.
func TestRowWeights(t *testing.T) {
	c := unevens(t)[4]
	stranger := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		d, err := G.Sub(pred, target)
		if err != nil {
			return nil, err
		}
		if d, err = G.Square(d); err != nil {
			return nil, err
		}
		return loss.Reduce(d, opts...)
	}
	strict := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		n, err := loss.MSE(pred, target, opts...)
		if err != nil {
			return nil, err
		}
		for _, in := range loss.Operands(n)(n) {
			if in.Name() == "weights" && in.Dims() == 1 {
				return nil, errors.New("weights per element wanted")
			}
		}
		return n, nil
	}
	cfg := Config{Epochs: 2, BatchSize: 8, Optimizer: optim.SGD(0.1), DType: tensor.Float64, KeepOrder: true}
	var nets []*Net
	for name, l := range map[string]struct {
		fn     loss.Func
		perRow int
	}{"MSE": {loss.MSE, 1}, "Reduce": {stranger, 1}, "strict": {strict, 3}} {
		r, err := newRun(background, Model(linear3).network(), objectiveOf(l.fn), data.AsRecords(c.ds), cfg)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.graph.weights[0].perRow != l.perRow {
			t.Errorf("%s: %d weights per row, want %d", name, r.graph.weights[0].perRow, l.perRow)
		}
		if err := r.loop(background); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.close()
		nets = append(nets, r.net)
	}
	for _, n := range nets[1:] {
		if d := far(t, nets[0], n); !(d < 1e-14) {
			t.Errorf("parameters differ by %v", d)
		}
	}
}

// TestNegativeWeights: they divide as they multiply, so that -1 everywhere is 1 everywhere, and
// batches add up to one.
func TestNegativeWeights(t *testing.T) {
	ds := blobs(t, 4, 1)
	fit := func(weights []float64, size int) (*Result, error) {
		weighted, err := ds.WithWeights(weights)
		if err != nil {
			t.Fatal(err)
		}
		return Fit(background, linear3, loss.CrossEntropy, weighted, Config{Epochs: 2, BatchSize: size, Accumulate: 4 / size,
			Optimizer: optim.SGD(0.1), DType: tensor.Float64, KeepOrder: true})
	}
	for _, c := range []struct {
		a, b []float64
		size int // of the batches of a; those of b have 4 rows
	}{
		{[]float64{-1, -1, -1, -1}, []float64{1, 1, 1, 1}, 4},
		{[]float64{-1, -1, -1, -1}, []float64{1, 1, 1, 1}, 1},
		{[]float64{2, -1, 1, 0.5}, []float64{2, -1, 1, 0.5}, 1},
		{[]float64{2, -1, 1, 0.5}, []float64{2, -1, 1, 0.5}, 2},
	} {
		a, err := fit(c.a, c.size)
		if err != nil {
			t.Fatal(err)
		}
		b, err := fit(c.b, 4)
		if err != nil {
			t.Fatal(err)
		}
		// Four terms in another order, 2 steps.
		if d := far(t, a.Net, b.Net); !(d < 1e-14) || math.Abs(a.History.Last("loss")-b.History.Last("loss")) > 1e-14 {
			t.Errorf("%v in batches of %d: parameters differ by %v, losses %v and %v", c.a, c.size, d,
				a.History.Last("loss"), b.History.Last("loss"))
		}
	}
	if _, err := fit([]float64{1, -1, 1, -1}, 1); err == nil || !strings.Contains(err.Error(), "step 1: the weights of the rows 0, 1, 2, 3 add up to 0") {
		t.Errorf("error %v of weights that add up to 0", err)
	}
}
