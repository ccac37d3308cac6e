package loss_test

import (
	"errors"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestClassificationFaults: what each loss refuses, with the text and the kind of the error.
func TestClassificationFaults(t *testing.T) {
	shape := []int{2, 3}
	zeros := []float64{0, 0, 0, 0, 0, 0}
	labelled := func(f loss.Func, opts ...loss.Option) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) {
			return f(b.float("x", shape, zeros...), b.labels(shape[:1], 0, 1), opts...)
		}
	}
	pair := func(f loss.Func, x, y []float64) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) { return f(b.float("x", shape, x...), b.float("y", shape, y...)) }
	}
	lists := func(y ...int) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) {
			return loss.MultiLabelMargin(b.float("x", shape, zeros...), b.labels(shape, y...))
		}
	}
	distil := func(labels func(b *bench) *G.Node, opts ...loss.Option) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) {
			return loss.Distillation(b.float("x", shape, zeros...), b.float("z", shape, zeros...), labels(b), opts...)
		}
	}
	good := func(b *bench) *G.Node { return b.labels(shape[:1], 0, 1) }
	for _, c := range []struct {
		want  string
		kind  error
		build func(b *bench) (*G.Node, error)
	}{
		{"loss.MultiMargin: WithPower is 3, want 1 or 2", loss.ErrOption, labelled(loss.MultiMargin, loss.WithPower(3))},
		{"loss.ArcFace: WithMargin is -0.1, want a number in [0, π]", loss.ErrOption,
			labelled(loss.ArcFace, loss.WithMargin(-0.1))},
		{"loss.CosFace: WithMargin is -0.1, want a number >= 0", loss.ErrOption,
			labelled(loss.CosFace, loss.WithMargin(-0.1))},
		{"loss.SigmoidFocal: WithAlpha is 1.5, want a number in [0, 1]", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.SigmoidFocal(b.float("x", shape, zeros...), b.float("y", shape, zeros...), loss.WithAlpha(1.5))
		}},
		{"loss.GeneralizedCrossEntropy: WithQ is 0, want a number in (0, 1]", loss.ErrOption,
			labelled(loss.GeneralizedCrossEntropy, loss.WithQ(0))},
		{"loss.SoftmaxFocal: WithGamma is -1, want a finite number >= 0", loss.ErrOption,
			labelled(loss.SoftmaxFocal, loss.WithGamma(-1))},
		{"loss.CrossEntropy: WithSoftcap is 0, want a finite number > 0", loss.ErrOption,
			labelled(loss.CrossEntropy, loss.WithSoftcap(0))},
		{"loss.CrossEntropy: WithZLoss is -1, want a finite number >= 0", loss.ErrOption,
			labelled(loss.CrossEntropy, loss.WithZLoss(-1))},
		{"loss.Distillation: WithAlpha is 2, want a number in [0, 1]", loss.ErrOption, distil(good, loss.WithAlpha(2))},
		{"loss.Distillation: labels have dtype float64, want Int, Int64, Int32 or Uint8", loss.ErrDType,
			distil(func(b *bench) *G.Node { return b.float("y", shape[:1], 0, 1) })},
		{"loss.Distillation: labels have shape (3), want (2) to match studentLogits (2, 3)", loss.ErrShape,
			distil(func(b *bench) *G.Node { return b.labels([]int{3}, 0, 1, 2) })},
		{"loss.Distillation: label is 3 at row 1, want one in [0, 3)", loss.ErrValue,
			distil(func(b *bench) *G.Node { return b.labels(shape[:1], 0, 3) })},
		{"loss.Distillation: teacherLogits has shape (3, 2), want (2, 3) to match studentLogits", loss.ErrShape, func(b *bench) (*G.Node, error) {
			return loss.Distillation(b.float("x", shape, zeros...), b.float("z", []int{3, 2}, zeros...), good(b))
		}},
		{"loss.MultiMargin: labels have dtype float64, want Int, Int64, Int32 or Uint8", loss.ErrDType,
			pair(loss.MultiMargin, zeros, zeros)},
		{"loss.ArcFace: cosines is 1.5 at row 0 class 1, want numbers in [-1, 1]", loss.ErrValue, func(b *bench) (*G.Node, error) {
			return loss.ArcFace(b.float("x", shape, 0, 1.5, 0, 0, 0, 0), good(b))
		}},
		{"loss.EvidentialMSE: evidence is -1 at row 1 class 2, want numbers >= 0", loss.ErrValue, func(b *bench) (*G.Node, error) {
			return loss.EvidentialMSE(b.float("x", shape, 0, 0, 0, 0, 0, -1), good(b))
		}},
		{"loss.Sparsemax: target is -1 at row 0 class 0, want finite numbers >= 0", loss.ErrValue,
			pair(loss.Sparsemax, zeros, []float64{-1, 1, 1, 0, 0, 1})},
		{"loss.Hinge: target is 0 at row (0, 1), want -1 or +1", loss.ErrValue,
			pair(loss.Hinge, zeros, []float64{1, 0, 1, 1, 1, 1})},
		{"loss.BinaryCrossEntropyFromProb: prob is 2 at row (1, 0), want numbers in [0, 1]", loss.ErrValue,
			pair(loss.BinaryCrossEntropyFromProb, []float64{0, 0, 0, 2, 0, 0}, zeros)},
		{"loss.MultiLabelSoftMargin: target is 2 at row 0 class 0, want numbers in [0, 1]", loss.ErrValue,
			pair(loss.MultiLabelSoftMargin, zeros, []float64{2, 0, 0, 0, 0, 0})},
		{"loss.MultiLabelMargin: class 1 of the list at row 1 is 3, want one in [0, 3), or -1 after the last",
			loss.ErrValue, lists(0, 1, 2, 0, 3, -1)},
		{"loss.MultiLabelMargin: class 0 of the list at row 0 is -2, want one in [0, 3), or -1 after the last",
			loss.ErrValue, lists(-2, -1, 2, 0, 1, -1)},
		{"loss.MultiLabelMargin: class 2 of the list at row 1 is 0 again, want each class once", loss.ErrValue,
			lists(0, 1, 2, 0, 1, 0)},
		{"loss.MultiLabelMargin: lists have shape (2), want (2, 3) to match logits (2, 3)", loss.ErrShape,
			labelled(loss.MultiLabelMargin)},
		{"loss.MultiLabelMargin: lists have dtype float64, want Int, Int64, Int32 or Uint8", loss.ErrDType,
			pair(loss.MultiLabelMargin, zeros, zeros)},
	} {
		_, err := compute(tensor.Float64, c.build, "x")
		if err == nil || err.Error() != c.want {
			t.Errorf("error is\n%v, want\n%s", err, c.want)
		}
		if !errors.Is(err, c.kind) {
			t.Errorf("error %v is not of the kind %q", err, c.kind)
		}
	}
}

// TestListsAlongAnAxis: lists of classes follow WithAxis, in every integer dtype.
func TestListsAlongAnAxis(t *testing.T) {
	x := []float64{0.1, 0.2, 0.4, 0.8, 3, -1, 0.5, 0} // two rows of four
	lists := []int{3, 0, -1, 1, 1, 2, 3, 0}
	turned := func(of []float64) []float64 {
		out := make([]float64, 8)
		for i := range of {
			out[i%4*2+i/4] = of[i]
		}
		return out
	}
	want, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.MultiLabelMargin(b.float("x", []int{2, 4}, x...), b.labels([]int{2, 4}, lists...),
			loss.WithReduction(loss.None))
	}, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := closeTo(want.value, []float64{0.85, 0}, 1e-15); err != nil {
		t.Error(err)
	}
	for _, dt := range []tensor.Dtype{tensor.Int, tensor.Int64, tensor.Int32} {
		got, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
			var y []int
			for _, c := range turned([]float64{3, 0, -1, 1, 1, 2, 3, 0}) {
				y = append(y, int(c))
			}
			return loss.MultiLabelMargin(b.float("x", []int{4, 2}, turned(x)...), labelLeaf(b.g, dt, "y", []int{4, 2}, y),
				loss.WithReduction(loss.None), loss.WithAxis(0))
		}, "x")
		if err != nil {
			t.Fatal(err)
		}
		if err := closeTo(got.value, want.value, 0); err != nil {
			t.Errorf("%v: value %v", dt, err)
		}
		if err := closeTo(got.grads["x"], turned(want.grads["x"]), 0); err != nil {
			t.Errorf("%v: gradient %v", dt, err)
		}
	}
}
