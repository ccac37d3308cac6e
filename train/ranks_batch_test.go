package train

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// twoViews has an embedding of each of two inputs, the first with dropout.
func twoViews(b *Builder, in Nodes) (Nodes, error) {
	x, err := b.Dense("x", in["x"], 2)
	if err != nil {
		return nil, err
	}
	if x, err = b.Dropout("drop", x, 0.2); err != nil {
		return nil, err
	}
	y, err := b.Dense("y", in["y"], 2)
	return Nodes{"x": x, "y": y}, err
}

// fitViews trains on pairs with a loss that reads the operands: x, y and l, the labels.
func fitViews(t *testing.T, k comm.Comm, name, operands string, ds *data.Frame, c Config, more ...Term) (*Result, error) {
	info, ok := loss.Describe(name)
	if !ok {
		t.Fatal("no loss", name)
	}
	targets := []string{"labels"}
	if !strings.Contains(operands, "l") && len(more) == 0 {
		targets = nil
	}
	used, err := ds.Select([]string{"x", "y"}, targets)
	if err != nil {
		t.Fatal(err)
	}
	objective := append(Objective{{Name: "pairs", Build: func(out, target Nodes, opts ...loss.Option) (*G.Node, error) {
		all := map[rune]*G.Node{'x': out["x"], 'y': out["y"], 'l': target["labels"]}
		var nodes G.Nodes
		for _, name := range operands {
			nodes = append(nodes, all[name])
		}
		return info.Call(nodes, opts...)
	}}, {Output: "x"}, {Output: "y"}}, more...)
	c.Epochs, c.BatchSize, c.Optimizer, c.Comm = 2, 4, optim.SGD(0.01), k
	c.ValidationRecords, c.ValidationBatch = used, 3
	return FitNamed(background, twoViews, objective, used, c)
}

// ranksOfViews is fitViews on some ranks.
func ranksOfViews(t *testing.T, size int, name, operands string, ds *data.Frame, c Config, more ...Term) ([]*Result, error) {
	results := make([]*Result, size)
	err := comm.Run(size, func(k comm.Comm) (err error) {
		results[k.Rank()], err = fitViews(t, k, name, operands, ds, c, more...)
		return err
	})
	return results, err
}

// TestRanksReadBatch: losses whose values read the whole batch read the rows of all ranks. There are
// more ranks than rows among them, and short batches of the training and of the validation.
func TestRanksReadBatch(t *testing.T) {
	_, _, _, ds := pairsOf(t)
	weighted, err := ds.WithWeights([]float64{1, 2, 0.5, 1, 0, 3, 1, 1, 0.25, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	classes := Term{Name: "classes", Output: "y", Target: "labels", Loss: func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		return loss.CrossEntropy(pred, target, append(opts, loss.WithIgnoreIndex(2))...)
	}}
	for _, c := range []struct {
		name, operands string
		more           []Term
	}{
		{"NTXent", "xl", nil}, {"SupCon", "xl", nil}, {"Circle", "xl", nil}, {"MultiSimilarity", "xl", nil},
		{"SigLIP", "xy", nil}, {"InfoNCE", "xy", nil}, {"InfoNCE", "xy", []Term{classes}}, {"SupCon", "xl", []Term{classes}},
	} {
		for _, v := range []struct {
			ds    *data.Frame
			dtype tensor.Dtype
			sizes []int
		}{{ds, tensor.Float64, []int{2, 3}}, {weighted, tensor.Float64, []int{3, 5}}, {weighted, tensor.Float32, []int{3}}} {
			cfg := Config{DType: v.dtype}
			want, err := fitViews(t, nil, c.name, c.operands, v.ds, cfg, c.more...)
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range v.sizes {
				how := fmt.Sprintf("%s and %d more of %v, weighted %v, on %d ranks", c.name, len(c.more), v.dtype, v.ds == weighted, size)
				got, err := ranksOfViews(t, size, c.name, c.operands, v.ds, cfg, c.more...)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				for r, res := range got {
					sameRun(t, fmt.Sprintf("%s: rank %d", how, r), res, got[0])
				}
				if v.dtype == tensor.Float64 {
					closeRun(t, how, got[0], want)
					continue
				}
				for i, a := range want.Params() {
					for j, g := range got[0].Params()[i].F32 { // six updates of numbers of about 1
						if w := a.F32[j]; !(math.Abs(float64(g-w)) <= 1e-6) {
							t.Errorf("%s: %s[%d] is %v, want %v", how, a.Name, j, g, w)
						}
					}
				}
			}
		}
	}
}

// TestRanksCannotRead: losses that package loss does not gather, and updates of several batches.
func TestRanksCannotRead(t *testing.T) {
	_, _, _, ds := pairsOf(t)
	for _, c := range []struct {
		name, operands, want string
		accumulate           int
	}{
		{"BatchTriplet", "xl", "WithComm has no place where a value reads the whole batch", 1},
		{"VICReg", "xy", "WithComm has no place where a value reads the whole batch", 1},
		{"SupCon", "xl", `the values of the loss "pairs" read the whole batch, of which a rank has a part: with Comm, Accumulate must be 1`, 2},
	} {
		_, err := ranksOfViews(t, 2, c.name, c.operands, ds, Config{Accumulate: c.accumulate})
		if err == nil || strings.Count(err.Error(), c.want) != 2 {
			t.Errorf("%s: %v, want twice %q", c.name, err, c.want)
		}
	}
}
