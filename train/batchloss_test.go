package train

import (
	"context"
	"fmt"
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

// pairsOf are two views of eleven rows with labels, of which each batch of four has some.
func pairsOf(t *testing.T) (x, y []float64, labels []int, ds *data.Frame) {
	t.Helper()
	const n, width = 11, 3
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		labels = append(labels, []int{0, 1, 0, 1, 0, 0, 1, 2, 1, 1, 2}[i])
		for range width {
			x, y = append(x, rng.NormFloat64()), append(y, rng.NormFloat64())
		}
	}
	field := data.Field{Kind: data.Float, Shape: []int{width}}
	ds, err := data.NewFrame(
		map[string]data.Series{"x": data.NewSeries(field, data.Column{F64: x}), "y": data.NewSeries(field, data.Column{F64: y})},
		map[string]data.Series{"labels": data.Labels(labels)})
	if err != nil {
		t.Fatal(err)
	}
	return x, y, labels, ds
}

// scaled is a network with two outputs, its inputs, which a parameter of 1 multiplies.
func scaled(b *Builder, in Nodes) (Nodes, error) {
	one, err := b.Param("one", Constant(1), 1, 3)
	if err != nil {
		return nil, err
	}
	x, err := G.BroadcastHadamardProd(in["x"], one, nil, []byte{0})
	return Nodes{"x": x, "y": in["y"]}, err
}

// TestShortBatchOfPairs: in losses that read the whole batch the rows that pad a short one are no
// partners of others. The reference is the loss of each batch by itself, without padding.
func TestShortBatchOfPairs(t *testing.T) {
	x, y, labels, ds := pairsOf(t)
	const batch, width = 4, 3
	for _, c := range []struct {
		name     string
		operands string // of x, y and l, the labels
		quotient bool   // the mean is one of two sums
	}{
		{"NTXent", "xl", true}, {"SupCon", "xl", true}, {"BatchTriplet", "xl", true}, {"MultiSimilarity", "xl", true},
		{"NPairs", "xyl", true}, {"DCL", "xy", true}, {"SigLIP", "xy", true}, {"InfoNCE", "xy", false},
		{"VICReg", "xy", false}, {"BarlowTwins", "xy", false}, {"Uniformity", "x", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, ok := loss.Describe(c.name)
			if !ok {
				t.Fatal("no such loss")
			}
			build := func(out, target Nodes, opts ...loss.Option) (*G.Node, error) {
				all := map[rune]*G.Node{'x': out["x"], 'y': out["y"], 'l': target["labels"]}
				var operands G.Nodes
				for _, name := range c.operands {
					operands = append(operands, all[name])
				}
				return info.Call(operands, opts...)
			}
			targets := []string{"labels"}
			if !strings.Contains(c.operands, "l") {
				targets = nil
			}
			used, err := ds.Select([]string{"x", "y"}, targets)
			if err != nil {
				t.Fatal(err)
			}
			res, err := FitNamed(context.Background(), scaled, Objective{{Name: "pairs", Build: build}, {Output: "x"}, {Output: "y"}}, used, Config{
				Epochs: 1, BatchSize: batch, KeepOrder: true, DType: tensor.Float64, Optimizer: optim.SGD(1e-300)})
			if err != nil {
				t.Fatal(err)
			}
			var sum, weight float64
			for from := 0; from < len(labels); from += batch {
				n := min(batch, len(labels)-from)
				all := map[rune]eager.Operand{'x': eager.Slice(x[from*width:(from+n)*width], n, width),
					'y': eager.Slice(y[from*width:(from+n)*width], n, width), 'l': eager.Slice(labels[from:from+n], n)}
				var operands []eager.Operand
				for _, name := range c.operands {
					operands = append(operands, all[name])
				}
				value := func(r loss.Reduction) float64 {
					l, err := eager.Constructors()[c.name](loss.WithReduction(r))
					if err != nil {
						t.Fatal(err)
					}
					v, err := l.Value(eager.Data{}, operands...)
					if err != nil {
						t.Fatal(err)
					}
					return v
				}
				switch mean, total := value(loss.Mean), value(loss.Sum); {
				case !c.quotient:
					sum, weight = sum+mean*float64(n), weight+float64(n)
				case mean != 0:
					sum, weight = sum+total, weight+total/mean
				}
			}
			// The same formulas in another order of sums.
			if got, want := res.History.Last("loss"), sum/weight; math.Abs(got-want) > 1e-12*math.Abs(want) {
				t.Errorf("loss %v, want %v", got, want)
			}
		})
	}
}

// TestWeightsOfOneValue: a loss that is one value of the whole batch has no place for weights.
func TestWeightsOfOneValue(t *testing.T) {
	_, _, _, ds := pairsOf(t)
	ds, err := ds.Select([]string{"x", "y"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	weights := []float64{1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1}
	if ds, err = ds.WithWeights(weights); err != nil {
		t.Fatal(err)
	}
	objective := Objective{{Name: "views", Build: func(out, _ Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.VICReg(out["x"], out["y"], opts...)
	}}, {Output: "x"}, {Output: "y"}}
	_, err = FitNamed(context.Background(), scaled, objective, ds, Config{Epochs: 1, BatchSize: 4, KeepOrder: true, Optimizer: optim.SGD(.1)})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row 5 has the weight 2, and the loss %q is one value", "views")) {
		t.Errorf("got the error %v", err)
	}
}
