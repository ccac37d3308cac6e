package loss_test

import (
	"errors"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A call builds a loss over leaves that are there.
type call func() (*G.Node, error)

// faulty is a wrong call with the kind and the whole text of its error.
type faulty struct {
	name string
	make func(b *bench) call
	kind error
	text string
}

// two makes the call of a loss on float64 leaves of two shapes.
func two(fn loss.Func, pred, target []int, opts ...loss.Option) func(b *bench) call {
	return func(b *bench) call {
		x, t := b.float("x", pred, make([]float64, volume(pred))...), b.float("t", target, make([]float64, volume(target))...)
		return func() (*G.Node, error) { return fn(x, t, opts...) }
	}
}

// labelled makes the call of a loss on float64 logits and Int labels.
func labelled(fn loss.Func, pred, target []int, opts ...loss.Option) func(b *bench) call {
	return func(b *bench) call {
		x, y := b.float("x", pred, make([]float64, volume(pred))...), b.labels(target, make([]int, max(1, volume(target)))...)
		return func() (*G.Node, error) { return fn(x, y, opts...) }
	}
}

// withNode makes the call of CrossEntropy on (4, 3) logits with an option that takes a node of the
// shape.
func withNode(option func(*G.Node) loss.Option, dt tensor.Dtype, shape ...int) func(b *bench) call {
	return func(b *bench) call {
		x, y := b.float("x", []int{4, 3}, make([]float64, 12)...), b.labels([]int{4}, 0, 1, 2, 0)
		n := G.NewTensor(b.g, dt, len(shape), G.WithShape(shape...), G.WithName("n"))
		if len(shape) == 0 {
			n = G.NewScalar(b.g, dt, G.WithName("n"))
		}
		return func() (*G.Node, error) { return loss.CrossEntropy(x, y, option(n)) }
	}
}

func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

const classOptions = "WithReduction, WithAxis, WithIgnoreIndex, WithWeights, WithMask, WithClassWeights, WithNormalizer, WithNormalizerNode"

// faults is every way to call a loss wrongly that shows before the graph runs.
var faults = []faulty{
	// shapes
	{"labels too short", labelled(loss.NLL, []int{64, 10}, []int{32}), loss.ErrShape,
		"loss.NLL: labels have shape (32), want (64) to match logProb (64, 10)"},
	{"labels of a loss with soft targets", labelled(loss.CrossEntropy, []int{64, 10}, []int{32}), loss.ErrShape,
		"loss.CrossEntropy: labels have shape (32), want (64) to match logits (64, 10)"},
	{"labels of another rank", labelled(loss.NLL, []int{4, 3}, []int{4, 1}), loss.ErrShape,
		"loss.NLL: labels have shape (4, 1), want (4) to match logProb (4, 3)"},
	{"labels against axis 1", labelled(loss.NLL, []int{2, 3, 4}, []int{2, 3}, loss.WithAxis(1)), loss.ErrShape,
		"loss.NLL: labels have shape (2, 3), want (2, 4) to match logProb (2, 3, 4)"},
	{"soft target transposed", two(loss.CrossEntropy, []int{4, 3}, []int{3, 4}), loss.ErrShape,
		"loss.CrossEntropy: target has shape (3, 4), want (4, 3) to match logits"},
	{"(N, 1) against (N)", two(loss.MSE, []int{5, 1}, []int{5}), loss.ErrShape,
		"loss.MSE: target has shape (5), want (5, 1) to match pred"},
	{"(N) against (N, 1)", two(loss.BinaryCrossEntropy, []int{5}, []int{5, 1}), loss.ErrShape,
		"loss.BinaryCrossEntropy: target has shape (5, 1), want (5) to match logits"},
	{"scalar against (1)", two(loss.Huber, nil, []int{1}), loss.ErrShape,
		"loss.Huber: target has shape (1), want () to match pred"},
	{"KL of other widths", two(loss.KL, []int{2, 3}, []int{2, 4}), loss.ErrShape,
		"loss.KL: target has shape (2, 4), want (2, 3) to match logits"},
	{"KLFromLogProb of other lengths", two(loss.KLFromLogProb, []int{2, 3}, []int{3, 3}), loss.ErrShape,
		"loss.KLFromLogProb: target has shape (3, 3), want (2, 3) to match logProb"},
	{"MAE of other lengths", two(loss.MAE, []int{2}, []int{3}), loss.ErrShape,
		"loss.MAE: target has shape (3), want (2) to match pred"},
	{"empty batch", labelled(loss.CrossEntropy, []int{0, 3}, []int{0}), loss.ErrShape,
		"loss.CrossEntropy: logits have shape (0, 3), want no empty axis"},
	{"no classes", two(loss.KL, []int{3, 0}, []int{3, 0}), loss.ErrShape,
		"loss.KL: logits have shape (3, 0), want no empty axis"},
	{"empty elements", two(loss.MSE, []int{0}, []int{0}), loss.ErrShape,
		"loss.MSE: pred has shape (0), want no empty axis"},
	{"scalar logits", labelled(loss.CrossEntropy, nil, nil), loss.ErrShape,
		"loss.CrossEntropy: logits is a scalar, want at least a class axis"},
	{"scalar log-sum-exp", func(b *bench) call {
		x := b.float("x", nil, 1)
		return func() (*G.Node, error) { return loss.LogSumExp(x) }
	}, loss.ErrShape, "loss.LogSumExp: x is a scalar, want at least a class axis"},
	{"empty softmax", func(b *bench) call {
		x := b.float("x", []int{3, 0})
		return func() (*G.Node, error) { return loss.Softmax(x) }
	}, loss.ErrShape, "loss.Softmax: x has shape (3, 0), want no empty axis"},

	// dtypes
	{"float labels for NLL", two(loss.NLL, []int{4, 3}, []int{4}), loss.ErrDType,
		"loss.NLL: labels have dtype float64, want Int, Int64, Int32 or Uint8"},
	{"float32 against float64", func(b *bench) call {
		x, y := b.float("x", []int{2}, 1, 2), floatLeaf(b.g, tensor.Float32, "t", []int{2}, []float64{1, 2})
		return func() (*G.Node, error) { return loss.MSE(x, y) }
	}, loss.ErrDType, "loss.MSE: target has dtype float32, want float64 like pred"},
	{"float32 soft target", func(b *bench) call {
		x, y := b.float("x", []int{1, 2}, 1, 2), floatLeaf(b.g, tensor.Float32, "t", []int{1, 2}, []float64{1, 2})
		return func() (*G.Node, error) { return loss.CrossEntropy(x, y) }
	}, loss.ErrDType, "loss.CrossEntropy: target has dtype float32, want float64 like logits, or Int, Int64, Int32 or Uint8 labels"},
	{"Bool labels", func(b *bench) call {
		x, y := b.float("x", []int{2, 2}, 1, 2, 3, 4), tensorLeaf(b.g, tensor.Bool, "t", []int{2}, []bool{true, false})
		return func() (*G.Node, error) { return loss.CrossEntropy(x, y) }
	}, loss.ErrDType, "loss.CrossEntropy: target has dtype bool, want float64 like logits, or Int, Int64, Int32 or Uint8 labels"},
	{"integer predictions", func(b *bench) call {
		x, y := b.labels([]int{2}, 1, 2), b.float("t", []int{2}, 1, 2)
		return func() (*G.Node, error) { return loss.MAE(x, y) }
	}, loss.ErrDType, "loss.MAE: pred has dtype int, want float32 or float64"},
	{"integer target", func(b *bench) call {
		x, y := b.float("x", []int{2}, 1, 2), b.labels([]int{2}, 1, 0)
		return func() (*G.Node, error) { return loss.BinaryCrossEntropy(x, y) }
	}, loss.ErrDType, "loss.BinaryCrossEntropy: target has dtype int, want float64 like logits"},
	{"integer logits", func(b *bench) call {
		x := b.labels([]int{2}, 1, 2)
		return func() (*G.Node, error) { return loss.Softmax(x) }
	}, loss.ErrDType, "loss.Softmax: x has dtype int, want float32 or float64"},

	// nodes
	{"nil logits", func(b *bench) call {
		y := b.labels([]int{2}, 1, 0)
		return func() (*G.Node, error) { return loss.CrossEntropy(nil, y) }
	}, loss.ErrShape, "loss.CrossEntropy: logits is nil"},
	{"nil target", func(b *bench) call {
		x := b.float("x", []int{2}, 1, 0)
		return func() (*G.Node, error) { return loss.MSE(x, nil) }
	}, loss.ErrShape, "loss.MSE: target is nil"},
	{"nil x", func(*bench) call { return func() (*G.Node, error) { return loss.LogSoftmax(nil) } },
		loss.ErrShape, "loss.LogSoftmax: x is nil"},
	{"target of another graph", func(b *bench) call {
		x, y := b.float("x", []int{2}, 1, 0), newBench(b.dt).float("t", []int{2}, 1, 0)
		return func() (*G.Node, error) { return loss.Huber(x, y) }
	}, loss.ErrShape, "loss.Huber: target belongs to another graph than pred"},
	{"labels of another graph", func(b *bench) call {
		x, y := b.float("x", []int{1, 2}, 1, 0), newBench(b.dt).labels([]int{1}, 1)
		return func() (*G.Node, error) { return loss.NLL(x, y) }
	}, loss.ErrShape, "loss.NLL: labels belong to another graph than logProb"},
	{"weights of another graph", func(b *bench) call {
		x, y, w := b.float("x", []int{1, 2}, 1, 0), b.labels([]int{1}, 1), newBench(b.dt).float("w", []int{1}, 1)
		return func() (*G.Node, error) { return loss.NLL(x, y, loss.WithWeights(w)) }
	}, loss.ErrShape, "loss.NLL: weights belong to another graph than logProb"},
	{"one node twice", func(b *bench) call {
		x := b.float("x", []int{2}, 1, 0)
		return func() (*G.Node, error) { return loss.MSE(x, x) }
	}, loss.ErrShape, "loss.MSE: pred and target are the same node"},

	// node-valued options
	{"weights too short", withNode(loss.WithWeights, tensor.Float64, 3), loss.ErrShape,
		"loss.CrossEntropy: weights have shape (3), want (4) to match logits (4, 3)"},
	{"weights (N, 1)", withNode(loss.WithWeights, tensor.Float64, 4, 1), loss.ErrShape,
		"loss.CrossEntropy: weights have shape (4, 1), want (4) to match logits (4, 3)"},
	{"weights per element", withNode(loss.WithWeights, tensor.Float64, 4, 3), loss.ErrShape,
		"loss.CrossEntropy: weights have shape (4, 3), want (4) to match logits (4, 3)"},
	{"float32 weights", withNode(loss.WithWeights, tensor.Float32, 4), loss.ErrDType,
		"loss.CrossEntropy: weights have dtype float32, want float64 like logits"},
	{"Int mask", withNode(loss.WithMask, tensor.Int, 4), loss.ErrDType,
		"loss.CrossEntropy: mask has dtype int, want Bool, Uint8 or float64 like logits"},
	{"normalizer of one entry", withNode(loss.WithNormalizerNode, tensor.Float64, 1), loss.ErrShape,
		"loss.CrossEntropy: normalizer has shape (1), want ()"},
	{"float32 normalizer", withNode(loss.WithNormalizerNode, tensor.Float32), loss.ErrDType,
		"loss.CrossEntropy: normalizer has dtype float32, want float64 like logits"},
	{"weights for another number of rows", func(b *bench) call {
		x, y, w := b.float("x", []int{2, 2}, 1, 2, 3, 4), b.float("t", []int{2, 2}, 1, 2, 3, 4), b.float("w", []int{3}, 1, 1, 1)
		return func() (*G.Node, error) { return loss.MSE(x, y, loss.WithWeights(w)) }
	}, loss.ErrShape, "loss.MSE: weights have shape (3), want (2, 2) or (2) to match pred (2, 2)"},
	{"nil weights", labelled(loss.NLL, []int{1, 2}, []int{1}, loss.WithWeights(nil)), loss.ErrOption,
		"loss.NLL: WithWeights is nil"},
	{"nil mask", labelled(loss.NLL, []int{1, 2}, []int{1}, loss.WithMask(nil)), loss.ErrOption,
		"loss.NLL: WithMask is nil"},
	{"nil normalizer", labelled(loss.NLL, []int{1, 2}, []int{1}, loss.WithNormalizerNode(nil)), loss.ErrOption,
		"loss.NLL: WithNormalizerNode is nil"},

	// axes
	{"axis past the end", labelled(loss.CrossEntropy, []int{4, 3}, []int{4}, loss.WithAxis(2)), loss.ErrOption,
		"loss.CrossEntropy: WithAxis is 2, want an axis of logits (4, 3)"},
	{"axis before the start", two(loss.KL, []int{4, 3}, []int{4, 3}, loss.WithAxis(-3)), loss.ErrOption,
		"loss.KL: WithAxis is -3, want an axis of logits (4, 3)"},
	{"axis of softmax", func(b *bench) call {
		x := b.float("x", []int{2}, 1, 2)
		return func() (*G.Node, error) { return loss.Softmax(x, loss.WithAxis(1)) }
	}, loss.ErrOption, "loss.Softmax: WithAxis is 1, want an axis of x (2)"},

	// options that the loss does not take
	{"smoothing for NLL", labelled(loss.NLL, []int{1, 2}, []int{1}, loss.WithLabelSmoothing(0.1)), loss.ErrOption,
		"loss.NLL: WithLabelSmoothing is not an option of this loss, which takes " + classOptions},
	{"two foreign options", two(loss.MSE, []int{2}, []int{2}, loss.WithAxis(0), loss.WithDelta(2)), loss.ErrOption,
		"loss.MSE: WithAxis, WithDelta is not an option of this loss, which takes WithReduction, WithWeights, WithMask, WithNormalizer, WithNormalizerNode"},
	{"reduction for LogSumExp", func(b *bench) call {
		x := b.float("x", []int{2}, 1, 2)
		return func() (*G.Node, error) { return loss.LogSumExp(x, loss.WithReduction(loss.Sum)) }
	}, loss.ErrOption, "loss.LogSumExp: WithReduction is not an option of this loss, which takes WithAxis"},
	{"axis for Softplus", func(b *bench) call {
		x := b.float("x", []int{2}, 1, 2)
		return func() (*G.Node, error) { return loss.Softplus(x, loss.WithAxis(0)) }
	}, loss.ErrOption, "loss.Softplus: WithAxis is not an option of this loss, which takes no options"},
	{"ignored labels of a soft target", two(loss.CrossEntropy, []int{1, 2}, []int{1, 2}, loss.WithIgnoreIndex(1)), loss.ErrOption,
		"loss.CrossEntropy: WithIgnoreIndex needs integer labels, target has dtype float64"},
	{"nil option", two(loss.MSE, []int{2}, []int{2}, nil), loss.ErrOption, "loss.MSE: option 0 is nil"},
	{"two kinds of target", two(loss.KL, []int{1, 2}, []int{1, 2}, loss.WithLogTarget(), loss.WithTargetLogits()), loss.ErrOption,
		"loss.KL: WithLogTarget and WithTargetLogits exclude each other"},
	{"normalizer of a sum", two(loss.MSE, []int{2}, []int{2}, loss.WithNormalizer(2), loss.WithReduction(loss.Sum)), loss.ErrOption,
		"loss.MSE: a normalizer replaces the denominator of Mean, reduction is Sum"},

	// options out of range
	{"reduction 3", two(loss.MSE, []int{2}, []int{2}, loss.WithReduction(3)), loss.ErrOption,
		"loss.MSE: WithReduction is Reduction(3), want Mean, Sum or None"},
	{"smoothing 1.5", labelled(loss.CrossEntropy, []int{1, 2}, []int{1}, loss.WithLabelSmoothing(1.5)), loss.ErrOption,
		"loss.CrossEntropy: WithLabelSmoothing is 1.5, want a number in [0, 1]"},
	{"smoothing -0.1", labelled(loss.CrossEntropy, []int{1, 2}, []int{1}, loss.WithLabelSmoothing(-0.1)), loss.ErrOption,
		"loss.CrossEntropy: WithLabelSmoothing is -0.1, want a number in [0, 1]"},
	{"smoothing NaN", two(loss.BinaryCrossEntropy, []int{2}, []int{2}, loss.WithLabelSmoothing(math.NaN())), loss.ErrOption,
		"loss.BinaryCrossEntropy: WithLabelSmoothing is NaN, want a number in [0, 1]"},
	{"temperature 0", labelled(loss.CrossEntropy, []int{1, 2}, []int{1}, loss.WithTemperature(0)), loss.ErrOption,
		"loss.CrossEntropy: WithTemperature is 0, want a finite number > 0"},
	{"temperature Inf", two(loss.KL, []int{1, 2}, []int{1, 2}, loss.WithTemperature(math.Inf(1))), loss.ErrOption,
		"loss.KL: WithTemperature is +Inf, want a finite number > 0"},
	{"delta 0", two(loss.Huber, []int{2}, []int{2}, loss.WithDelta(0)), loss.ErrOption,
		"loss.Huber: WithDelta is 0, want a finite number > 0"},
	{"delta -1", two(loss.Huber, []int{2}, []int{2}, loss.WithDelta(-1)), loss.ErrOption,
		"loss.Huber: WithDelta is -1, want a finite number > 0"},
	{"normalizer 0", two(loss.MSE, []int{2}, []int{2}, loss.WithNormalizer(0)), loss.ErrOption,
		"loss.MSE: WithNormalizer is 0, want a finite number > 0"},
	{"class weights too short", labelled(loss.CrossEntropy, []int{1, 3}, []int{1}, loss.WithClassWeights([]float64{1, 2})), loss.ErrOption,
		"loss.CrossEntropy: WithClassWeights has 2 entries, want 3, one for each class"},
	{"no class weights", labelled(loss.CrossEntropy, []int{1, 3}, []int{1}, loss.WithClassWeights(nil)), loss.ErrOption,
		"loss.CrossEntropy: WithClassWeights is empty"},
	{"negative class weight", labelled(loss.NLL, []int{1, 3}, []int{1}, loss.WithClassWeights([]float64{1, -2, 3})), loss.ErrOption,
		"loss.NLL: WithClassWeights has -2 at index 1, want a finite number >= 0"},
	{"NaN class weight", labelled(loss.NLL, []int{1, 3}, []int{1}, loss.WithClassWeights([]float64{1, 2, math.NaN()})), loss.ErrOption,
		"loss.NLL: WithClassWeights has NaN at index 2, want a finite number >= 0"},
	{"positive weights too short", two(loss.BinaryCrossEntropy, []int{2, 3}, []int{2, 3}, loss.WithPosWeight([]float64{1, 2})), loss.ErrOption,
		"loss.BinaryCrossEntropy: WithPosWeight has 2 entries, want 3, one for each class"},
	{"infinite positive weight", two(loss.BinaryCrossEntropy, []int{2}, []int{2}, loss.WithPosWeight([]float64{math.Inf(1)})), loss.ErrOption,
		"loss.BinaryCrossEntropy: WithPosWeight has +Inf at index 0, want a finite number >= 0"},
}

// A wrong call returns an error that says what is wrong, is of its kind, and leaves the graph as it
// was.
func TestWrongCalls(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			b := newBench(tensor.Float64)
			build := f.make(b)
			before := len(b.g.AllNodes())
			n, err := build()
			if n != nil || err == nil {
				t.Fatalf("node %v, error %v, want no node and an error", n, err)
			}
			if err.Error() != f.text {
				t.Errorf("error\n%s\nwant\n%s", err, f.text)
			}
			for _, kind := range []error{loss.ErrShape, loss.ErrDType, loss.ErrOption, loss.ErrValue} {
				if errors.Is(err, kind) != (kind == f.kind) {
					t.Errorf("errors.Is(err, %q) = %t", kind, kind != f.kind)
				}
			}
			if after := len(b.g.AllNodes()); after != before {
				t.Errorf("%d nodes in the graph, want %d as before the call", after, before)
			}
		})
	}
}

// What only shows when the graph runs stops it on both machines with row, value and legal range.
func TestWrongValues(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	rows := func(opts ...func(b *bench) loss.Option) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) {
			var list []loss.Option
			for _, o := range opts {
				list = append(list, o(b))
			}
			return loss.CrossEntropy(b.float("x", []int{2, 3}, x...), b.labels([]int{2}, 0, 1), list...)
		}
	}
	labels := func(fn loss.Func, shape []int, y ...int) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) { return fn(b.float("x", []int{2, 3}, x...), b.labels(shape, y...)) }
	}
	soft := func(fn loss.Func, target []float64, opts ...loss.Option) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) {
			return fn(b.float("x", []int{2, 3}, x...), b.float("t", []int{2, 3}, target...), opts...)
		}
	}
	weights := func(w ...float64) func(b *bench) loss.Option {
		return func(b *bench) loss.Option { return loss.WithWeights(b.float("w", []int{2}, w...)) }
	}
	tests := []struct {
		name  string
		build func(b *bench) (*G.Node, error)
		text  string
	}{
		{"label C", labels(loss.CrossEntropy, []int{2}, 0, 3),
			"loss.CrossEntropy: label is 3 at row 1, want one in [0, 3)"},
		{"label -1", labels(loss.CrossEntropy, []int{2}, -1, 0),
			"loss.CrossEntropy: label is -1 at row 0, want one in [0, 3)"},
		{"label of NLL", labels(loss.NLL, []int{2}, 1, -101), "loss.NLL: label is -101 at row 1, want one in [0, 3)"},
		{"label of CrossEntropyFromProb", labels(loss.CrossEntropyFromProb, []int{2}, 1, 1<<30),
			"loss.CrossEntropyFromProb: label is 1073741824 at row 1, want one in [0, 3)"},
		{"label in a plane", func(b *bench) (*G.Node, error) {
			return loss.CrossEntropy(b.float("x", []int{1, 3, 2}, x...), b.labels([]int{1, 2}, 0, 3), loss.WithAxis(1))
		}, "loss.CrossEntropy: label is 3 at row (0, 1), want one in [0, 3)"},
		{"label of one example", func(b *bench) (*G.Node, error) {
			return loss.CrossEntropy(b.float("x", []int{3}, x[:3]...), b.labels(nil, 3))
		}, "loss.CrossEntropy: label is 3 at the only row, want one in [0, 3)"},
		{"-100 that is not ignored", func(b *bench) (*G.Node, error) {
			return loss.CrossEntropy(b.float("x", []int{1, 3}, x[:3]...), b.labels([]int{1}, -100), loss.WithIgnoreIndex())
		}, "loss.CrossEntropy: label is -100 at row 0, want one in [0, 3)"},
		{"NaN weight", rows(weights(1, nan)), "loss.CrossEntropy: weight is NaN at row 1, want a finite number"},
		{"infinite weight", rows(weights(inf, 1)), "loss.CrossEntropy: weight is +Inf at row 0, want a finite number"},
		{"NaN weight of an element", func(b *bench) (*G.Node, error) {
			return loss.MSE(b.float("x", []int{1, 2}, 1, 2), b.float("t", []int{1, 2}, 1, 2),
				loss.WithWeights(b.float("w", []int{1, 2}, 1, nan)))
		}, "loss.MSE: weight is NaN at row (0, 1), want a finite number"},
		{"mask of 2", rows(func(b *bench) loss.Option { return loss.WithMask(b.mask(tensor.Uint8, []int{2}, 1, 2)) }),
			"loss.CrossEntropy: mask has 2 at row 1, want 0 or 1"},
		{"mask of NaN", rows(func(b *bench) loss.Option { return loss.WithMask(b.float("m", []int{2}, nan, 1)) }),
			"loss.CrossEntropy: mask has NaN at row 0, want 0 or 1"},
		{"normalizer -1", rows(func(b *bench) loss.Option { return loss.WithNormalizerNode(b.float("n", nil, -1)) }),
			"loss.CrossEntropy: normalizer is -1, want a finite number >= 0"},
		{"normalizer NaN", rows(func(b *bench) loss.Option { return loss.WithNormalizerNode(b.float("n", nil, nan)) }),
			"loss.CrossEntropy: normalizer is NaN, want a finite number >= 0"},
		{"normalizer 0 for active rows", rows(func(b *bench) loss.Option { return loss.WithNormalizerNode(b.float("n", nil, 0)) }),
			"loss.CrossEntropy: normalizer is 0 with an active example at row 0, want a number > 0"},
		{"negative soft target", soft(loss.CrossEntropy, []float64{0.5, 0.5, 0, 1, 0.25, -0.25}),
			"loss.CrossEntropy: target is -0.25 at row 1 class 2, want finite numbers >= 0"},
		{"NaN soft target", soft(loss.CrossEntropy, []float64{nan, 0.5, 0, 1, 0, 0}),
			"loss.CrossEntropy: target is NaN at row 0 class 0, want finite numbers >= 0"},
		{"infinite soft target", soft(loss.KL, []float64{0, inf, 0, 1, 0, 0}),
			"loss.KL: target is +Inf at row 0 class 1, want finite numbers >= 0"},
		{"negative target of KL", soft(loss.KL, []float64{0, 1, 0, 1, 0, -1}),
			"loss.KL: target is -1 at row 1 class 2, want finite numbers >= 0"},
		{"negative target of KLFromLogProb", soft(loss.KLFromLogProb, []float64{0, -0.5, 0, 1, 0, 0}),
			"loss.KLFromLogProb: target is -0.5 at row 0 class 1, want finite numbers >= 0"},
		{"negative probability", func(b *bench) (*G.Node, error) {
			return loss.CrossEntropyFromProb(b.float("x", []int{1, 2}, 1.5, -0.5), b.labels([]int{1}, 0))
		}, "loss.CrossEntropyFromProb: prob is -0.5 at row 0 class 1, want numbers >= 0"},
		{"negative probability of an entropy", func(b *bench) (*G.Node, error) {
			return loss.EntropyFromProb(b.float("x", []int{1, 2}, 1.5, -0.5))
		}, "loss.EntropyFromProb: prob is -0.5 at row 0 class 1, want numbers >= 0"},
		{"binary target of 2", soft(loss.BinaryCrossEntropy, []float64{0, 1, 0, 1, 2, 0}),
			"loss.BinaryCrossEntropy: target is 2 at row (1, 1), want numbers in [0, 1]"},
		{"binary target of -1", soft(loss.BinaryCrossEntropy, []float64{0, 1, 0, 1, 0, -1}),
			"loss.BinaryCrossEntropy: target is -1 at row (1, 2), want numbers in [0, 1]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, tape := computeTape(tensor.Float64, test.build, []string{"x"})
			_, lisp := computeLisp(tensor.Float64, test.build, nil)
			for _, err := range []error{loss.Cause(tape), loss.Cause(lisp)} {
				if err == nil || err.Error() != test.text || !errors.Is(err, loss.ErrValue) {
					t.Errorf("error\n%v\nwant, of kind ErrValue,\n%s", err, test.text)
				}
			}
		})
	}
}

// Gradients and VJP refuse what they cannot differentiate.
func TestWrongDerivatives(t *testing.T) {
	other := newBench(tensor.Float64).float("other", []int{2}, 1, 2)
	tests := []struct {
		name string
		run  func(cost, rows, x *G.Node) (G.Nodes, error)
		kind error
		text string
	}{
		{"nil cost", func(_, _, x *G.Node) (G.Nodes, error) { return loss.Gradients(nil, x) }, loss.ErrShape,
			"loss.Gradients: cost is nil"},
		{"vector cost", func(_, rows, x *G.Node) (G.Nodes, error) { return loss.Gradients(rows, x) }, loss.ErrShape,
			"loss.Gradients: cost has shape (2), want () (VJP takes an upstream for other shapes)"},
		{"nil wrt", func(cost, _, x *G.Node) (G.Nodes, error) { return loss.Gradients(cost, x, nil) }, loss.ErrShape,
			"loss.Gradients: wrt 1 is nil"},
		{"wrt of another graph", func(cost, _, _ *G.Node) (G.Nodes, error) { return loss.Gradients(cost, other) }, loss.ErrShape,
			"loss.Gradients: wrt 0 (other) belongs to another graph"},
		{"nil out", func(_, rows, x *G.Node) (G.Nodes, error) { return loss.VJP(nil, rows, x) }, loss.ErrShape,
			"loss.VJP: out is nil"},
		{"nil upstream", func(_, rows, x *G.Node) (G.Nodes, error) { return loss.VJP(rows, nil, x) }, loss.ErrShape,
			"loss.VJP: upstream is nil"},
		{"upstream of another graph", func(_, rows, x *G.Node) (G.Nodes, error) { return loss.VJP(rows, other, x) }, loss.ErrShape,
			"loss.VJP: upstream belongs to another graph than out"},
		{"upstream of another shape", func(_, rows, x *G.Node) (G.Nodes, error) { return loss.VJP(rows, x, x) }, loss.ErrShape,
			"loss.VJP: upstream has shape (2, 3), want (2) to match out"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(tensor.Float64)
			x := b.float("x", []int{2, 3}, 1, 2, 3, 4, 5, 6)
			y := b.labels([]int{2}, 0, 1)
			cost, err := loss.CrossEntropy(x, y)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := loss.CrossEntropy(x, y, loss.WithReduction(loss.None))
			if err != nil {
				t.Fatal(err)
			}
			before := len(b.g.AllNodes())
			_, err = test.run(cost, rows, x)
			if err == nil || err.Error() != test.text || !errors.Is(err, test.kind) {
				t.Errorf("error %v, want %s", err, test.text)
			}
			// Gradients puts the constant 1 that it starts from into the graph, once, before it
			// looks at wrt.
			if after := len(b.g.AllNodes()); after > before+1 {
				t.Errorf("%d nodes in the graph, want %d as before the call", after, before)
			}
		})
	}
}

// WithUncheckedValues turns the domain error off, and leaves labels checked.
func TestUncheckedValues(t *testing.T) {
	build := func(opts ...loss.Option) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) {
			return loss.KL(b.float("x", []int{1, 2}, 0, 0), b.float("t", []int{1, 2}, 2, -1), opts...)
		}
	}
	if _, err := compute(tensor.Float64, build()); !errors.Is(err, loss.ErrValue) {
		t.Errorf("error %v, want an ErrValue", err)
	}
	if _, err := compute(tensor.Float64, build(loss.WithUncheckedValues())); err != nil {
		t.Errorf("unchecked: error %v, want none", err)
	}
	_, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", []int{1, 2}, 0, 0), b.labels([]int{1}, 2), loss.WithUncheckedValues())
	})
	if !errors.Is(err, loss.ErrValue) {
		t.Errorf("label out of range: error %v, want an ErrValue", err)
	}
}
