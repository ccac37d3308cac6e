package train_test

import (
	"compress/gzip"
	"context"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A program trains on the examples of a task and returns its score on others.
type program func(tb testing.TB, epochs int, seed uint64) float64

// A task is one that people write by hand with Gorgonia or gonum. All of its programs get the same
// examples and make as many passes over them with the same rule and rate, words by hand aside.
type task struct {
	name, score string
	epochs      int
	ours        program
	hand        map[string]program // by what it is written with
	lower       bool               // a lower score is better
	want        float64            // mean score of five seeds by hand with Gorgonia; two of characters
	deviation   float64            // of our score from seed to seed
}

// read opens a file, which may be packed.
func read(tb testing.TB, path string) string {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			tb.Fatal(err)
		}
	}
	text, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// table is examples as rows of numbers with a class each. Every fifth is for the test, and with five
// seeds each of them is once.
type table struct {
	x [][]float64
	y []int
}

func (t table) split(seed uint64) (known, held table) {
	for i, x := range t.x {
		part := &known
		if uint64(i)%5 == seed%5 {
			part = &held
		}
		part.x, part.y = append(part.x, x), append(part.y, t.y[i])
	}
	return known, held
}

func csv(tb testing.TB, path string, f data.CSVFormat) (t table) {
	tb.Helper()
	c, err := data.CSV(strings.NewReader(read(tb, path)), f)
	if err != nil {
		tb.Fatal(err)
	}
	n, width := c.Len(), c.Spec().Input.Size()
	rows := upTo(n)
	x, y := data.Column{F64: make([]float64, n*width)}, data.Column{Int: make([]int, n)}
	if err := c.Read(rows, x, y); err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		t.x = append(t.x, x.F64[i*width:(i+1)*width])
	}
	t.y = y.Int
	return t
}

func digits(tb testing.TB) table {
	return csv(tb, "../examples/internal/digits/digits.csv.gz", data.CSVFormat{Target: -1, Divisor: 16})
}

// iris has columns of mean 0 and deviation 1.
func iris(tb testing.TB) table {
	t := csv(tb, "../examples/tabular/iris.csv", data.CSVFormat{Header: true, Target: -1})
	for k := range t.x[0] {
		var sum, squares float64
		for _, x := range t.x {
			sum, squares = sum+x[k], squares+x[k]*x[k]
		}
		n := float64(len(t.x))
		for _, x := range t.x {
			x[k] = (x[k] - sum/n) / math.Sqrt(squares/n-sum*sum/n/n)
		}
	}
	return t
}

// scoreOf trains a model on some examples and returns a metric on others.
func scoreOf(tb testing.TB, model train.Model, lossFn loss.Func, known, held data.Dataset, m metric.Metric, cfg train.Config) float64 {
	tb.Helper()
	res, err := train.Fit(context.Background(), model, lossFn, known, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := res.Evaluate(context.Background(), nil, held, m)
	if err != nil {
		tb.Fatal(err)
	}
	return v[m.Name()]
}

// classes returns the examples of a table for the training and for the test.
func (t table) classes(tb testing.TB, seed uint64) (known, held data.Dataset) {
	ds, err := data.Classes(t.x, t.y)
	if err != nil {
		tb.Fatal(err)
	}
	if known, held, err = data.Split(ds, func(row int) bool { return uint64(row)%5 == seed%5 }); err != nil {
		tb.Fatal(err)
	}
	return known, held
}

// logistic tells odd digits from even ones by one score. Every update is of all examples.
func logistic(tb testing.TB, epochs int, seed uint64) float64 {
	t := digits(tb)
	odd := make([][]float64, len(t.y))
	for i, y := range t.y {
		odd[i] = []float64{float64(y % 2)}
	}
	ds, err := data.Values(t.x, odd)
	if err != nil {
		tb.Fatal(err)
	}
	known, held, err := data.Split(ds, func(row int) bool { return uint64(row)%5 == seed%5 })
	if err != nil {
		tb.Fatal(err)
	}
	model := func(b *train.Builder, x *G.Node) (*G.Node, error) { return b.Dense("odd", x, 1) }
	return scoreOf(tb, model, loss.BinaryCrossEntropy, known, held, metric.NewBinaryAccuracy(),
		train.Config{Epochs: epochs, BatchSize: known.Len(), KeepOrder: true, Optimizer: optim.SGD(2), Seed: seed, DType: tensor.Float64})
}

const irisHidden, irisBatch = 16, 16

func irises(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := iris(tb).classes(tb, seed)
	model := func(b *train.Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("hidden", x, irisHidden)
		if err != nil {
			return nil, err
		}
		return b.Dense("species", G.Must(G.Tanh(h)), 3)
	}
	return scoreOf(tb, model, loss.CrossEntropy, known, held, metric.NewAccuracy(),
		train.Config{Epochs: epochs, BatchSize: irisBatch, Optimizer: optim.Adam(0.01), Seed: seed})
}

const convUnits, convBatch = 16, 32

// enlarged has each pixel of a digit three by three times, in a frame of two: the 28 by 28 pixels of
// MNIST's images.
func enlarged(tb testing.TB) table {
	t := digits(tb)
	for i, small := range t.x {
		x := make([]float64, 28*28)
		for r := range 24 {
			for c := range 24 {
				x[(r+2)*28+c+2] = small[r/3*8+c/3]
			}
		}
		t.x[i] = x
	}
	return t
}

func convolution(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := enlarged(tb).classes(tb, seed)
	model := func(b *train.Builder, x *G.Node) (*G.Node, error) {
		x, err := G.Reshape(x, tensor.Shape{b.Batch(), 28, 28, 1})
		if err != nil {
			return nil, err
		}
		if x, err = b.Conv2D("conv", x, convUnits, train.Window{Height: 5, Width: 5}); err != nil {
			return nil, err
		}
		if x, err = b.MaxPool2D(G.Must(G.Rectify(x)), train.Window{Height: 2, Width: 2, Stride: 2}); err != nil {
			return nil, err
		}
		return b.Dense("digit", G.Must(G.Reshape(x, tensor.Shape{b.Batch(), 12 * 12 * convUnits})), 10)
	}
	return scoreOf(tb, model, loss.CrossEntropy, known, held, metric.NewAccuracy(),
		train.Config{Epochs: epochs, BatchSize: convBatch, Optimizer: optim.Adam(1e-3), Seed: seed})
}

const (
	textSteps, textBatch, textUnits = 32, 32, 64
	textLength                      = 60_000 // characters, of which every tenth sequence is for the test
)

// sequences cuts a text into sequences of characters and those that follow each.
func sequences(tb testing.TB) (known, next, heldKnown, heldNext [][]int, characters int) {
	text := strings.ToLower(read(tb, "../examples/internal/opticks/opticks.txt.gz"))[20_000:][:textLength+1]
	index := make(map[rune]int)
	var all []int
	for _, r := range text {
		if _, ok := index[r]; !ok {
			index[r] = len(index)
		}
		all = append(all, index[r])
	}
	for i := 0; i+textSteps < len(all); i += textSteps {
		if i/textSteps%10 == 9 {
			heldKnown, heldNext = append(heldKnown, all[i:i+textSteps]), append(heldNext, all[i+1:i+1+textSteps])
		} else {
			known, next = append(known, all[i:i+textSteps]), append(next, all[i+1:i+1+textSteps])
		}
	}
	return known, next, heldKnown, heldNext, len(index)
}

// characters predicts each character from those before and returns the bits that one takes.
func characters(tb testing.TB, epochs int, seed uint64) float64 {
	known, next, heldKnown, heldNext, count := sequences(tb)
	frame := func(x, y [][]int) data.Records {
		f, err := data.NewFrame(map[string]data.Series{"text": data.Sequences(x, textSteps, 0)}, map[string]data.Series{"next": data.Sequences(y, textSteps, 0)})
		if err != nil {
			tb.Fatal(err)
		}
		return f
	}
	model := func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		x, err := b.Embedding("characters", in["text"], count, textUnits)
		if err != nil {
			return nil, err
		}
		states, _, err := b.GRU("gru", x, nil, textUnits)
		if err != nil {
			return nil, err
		}
		y, err := b.Dense("next", G.Must(G.Reshape(states, tensor.Shape{b.Batch() * textSteps, textUnits})), count)
		if err != nil {
			return nil, err
		}
		return train.Nodes{"next": G.Must(G.Reshape(y, tensor.Shape{b.Batch(), textSteps, count}))}, nil
	}
	objective := train.Objective{{Output: "next", Target: "next", Loss: loss.CrossEntropy}}
	res, err := train.FitNamed(context.Background(), model, objective, frame(known, next),
		train.Config{Epochs: epochs, BatchSize: textBatch, Optimizer: optim.Adam(5e-3), Seed: seed})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := res.EvaluateNamed(context.Background(), objective, frame(heldKnown, heldNext))
	if err != nil {
		tb.Fatal(err)
	}
	return v["loss"] / math.Ln2
}

const codeWidth, codeHidden, codeBatch = 8, 128, 32

// autoencoder is a variational one of digits. It returns the nats that an image takes with the mean
// of its code.
func autoencoder(tb testing.TB, epochs int, seed uint64) float64 {
	x := data.Numbers(digits(tb).x)
	all, err := data.NewFrame(map[string]data.Series{"x": x}, map[string]data.Series{"x": x})
	if err != nil {
		tb.Fatal(err)
	}
	known, held, err := data.SplitRecords(all, func(row int) bool { return uint64(row)%5 == seed%5 })
	if err != nil {
		tb.Fatal(err)
	}
	model := func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		dense := func(name string, x *G.Node, units int) *G.Node { return G.Must(b.Dense(name, x, units)) }
		h := G.Must(G.Rectify(dense("encoder", in["x"], codeHidden)))
		mean, logvar := dense("mean", h, codeWidth), dense("logvar", h, codeWidth)
		deviation := G.Must(G.Exp(G.Must(G.HadamardProd(logvar, G.NewConstant(float32(0.5))))))
		code := G.Must(G.Add(mean, G.Must(G.HadamardProd(deviation, G.Must(b.Noise("code", codeWidth))))))
		h = G.Must(G.Rectify(dense("decoder", code, codeHidden)))
		return train.Nodes{"x": dense("image", h, 64), "mean": mean, "logvar": logvar}, nil
	}
	objective := train.Objective{
		{Output: "x", Target: "x", Loss: loss.BinaryCrossEntropy, Factor: 64},
		{Name: "code", Build: func(out, _ train.Nodes, opts ...loss.Option) (*G.Node, error) {
			return loss.StandardGaussianKL(out["mean"], out["logvar"], opts...)
		}},
	}
	res, err := train.FitNamed(context.Background(), model, objective, known, train.Config{Epochs: epochs, BatchSize: codeBatch, Optimizer: optim.Adam(2e-3), Seed: seed})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := res.EvaluateNamed(context.Background(), objective, held)
	if err != nil {
		tb.Fatal(err)
	}
	return v["loss"]
}
