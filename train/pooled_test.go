package train

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestPooledPixels: where the pixels of a batch are one set those of the rows that pad a short batch
// are not in it, nor those that the dataset masks. The reference is the loss of each batch by itself.
func TestPooledPixels(t *testing.T) {
	const n, batch, classes, pixels = 11, 4, 3, 6
	rng := rand.New(rand.NewPCG(3, 4))
	var x, soft []float64
	var labels, flags []int
	var mask []bool
	for range n * pixels {
		labels, flags, mask = append(labels, rng.IntN(classes)), append(flags, rng.IntN(2)), append(mask, rng.IntN(4) > 0)
		for range classes {
			x, soft = append(x, rng.NormFloat64()), append(soft, rng.Float64())
		}
	}
	field := func(kind data.Kind, shape ...int) data.Field { return data.Field{Kind: kind, Shape: shape} }
	targets := map[string]struct {
		series data.Series
		part   func(from, rows int) eager.Operand
	}{
		"labels": {data.NewSeries(field(data.Int, 2, 3), data.Column{Int: labels}),
			func(from, rows int) eager.Operand { return eager.Slice(labels[from*pixels:][:rows*pixels], rows, 2, 3) }},
		"flags": {data.NewSeries(field(data.Int, 2, 3), data.Column{Int: flags}),
			func(from, rows int) eager.Operand { return eager.Slice(flags[from*pixels:][:rows*pixels], rows, 2, 3) }},
		"soft": {data.NewSeries(field(data.Float, 3, 2, 3), data.Column{F64: soft}),
			func(from, rows int) eager.Operand {
				return eager.Slice(soft[from*3*pixels:][:rows*3*pixels], rows, 3, 2, 3)
			}},
	}
	for _, c := range []struct {
		name, target string
		masked       bool
	}{{"Dice", "labels", false}, {"Dice", "labels", true}, {"Dice", "soft", false}, {"GeneralizedDice", "labels", false}, {"Tversky", "labels", true},
		{"LovaszSoftmax", "labels", false}, {"LovaszHinge", "flags", true}} {
		info, ok := loss.Describe(c.name)
		if !ok {
			t.Fatal("no loss", c.name)
		}
		width := classes
		if c.name == "LovaszHinge" {
			width = 1
		}
		shape := func(rows int) []int {
			if width == 1 {
				return []int{rows, 2, 3}
			}
			return []int{rows, classes, 2, 3}
		}
		x := x[:n*width*pixels]
		model := func(b *Builder, in Nodes) (Nodes, error) {
			one, err := b.Param("one", Constant(1), 1, width*pixels)
			if err != nil {
				return nil, err
			}
			y := G.Must(G.BroadcastHadamardProd(in["x"], one, nil, []byte{0}))
			y, err = G.Reshape(y, shape(b.Batch()))
			return Nodes{"y": y}, err
		}
		target := targets[c.target]
		if c.masked {
			target.series = target.series.WithMask(mask)
		}
		ds, err := data.NewFrame(map[string]data.Series{"x": data.NewSeries(field(data.Float, width*pixels), data.Column{F64: x})},
			map[string]data.Series{c.target: target.series})
		if err != nil {
			t.Fatal(err)
		}
		objective := Objective{{Output: "y", Target: c.target, Loss: func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
			return info.Call([]*G.Node{pred, target}, append(opts, loss.WithPooled())...)
		}}}
		cfg := Config{Epochs: 1, BatchSize: batch, KeepOrder: true, DType: tensor.Float64, Optimizer: optim.SGD(1e-300)}
		res, err := FitNamed(background, model, objective, ds, cfg)
		if err != nil {
			t.Fatalf("%s of %s: %v", c.name, c.target, err)
		}
		var sum, weight float64
		for from := 0; from < n; from += batch {
			rows := min(batch, n-from)
			value := func(r loss.Reduction) float64 {
				l, err := eager.Constructors()[c.name](loss.WithReduction(r), loss.WithPooled())
				if err != nil {
					t.Fatal(err)
				}
				var d eager.Data
				if c.masked {
					d.Mask = eager.Slice(mask[from*pixels:][:rows*pixels], rows, 2, 3)
				}
				v, err := l.Value(d, eager.Slice(x[from*width*pixels:][:rows*width*pixels], shape(rows)...), target.part(from, rows))
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			sum, weight = sum+value(loss.Sum), weight+value(loss.Sum)/value(loss.Mean)
		}
		// The same formulas in another order of sums.
		if got, want := res.History.Last("loss"), sum/weight; !(math.Abs(got-want) <= 1e-12*math.Abs(want)) {
			t.Errorf("%s of %s, masked %v: loss %v, want %v", c.name, c.target, c.masked, got, want)
		}
		weights := make([]float64, n)
		if ds, err = ds.WithWeights(weights); err != nil {
			t.Fatal(err)
		}
		if _, err := FitNamed(background, model, objective, ds, cfg); err == nil || !strings.Contains(err.Error(), "row 0 has the weight 0, and the loss") {
			t.Errorf("weights: %v", err)
		}
	}
}
