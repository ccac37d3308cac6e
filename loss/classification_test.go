package loss_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// example is one row of data for a loss: a label, lists of classes, or a floating target.
type example struct {
	x     []float64
	label int
	soft  []float64
	list  []int
}

// of runs a loss without reduction on one row on both machines; the gradients are those by "x" and,
// for a soft target, "t".
func (e example) of(t *testing.T, f loss.Func, opts ...loss.Option) *computed {
	t.Helper()
	wrt := []string{"x"}
	if e.soft != nil {
		wrt = append(wrt, "t")
	}
	got, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
		shape := []int{1, len(e.x)}
		x := b.float("x", shape, e.x...)
		opts := append([]loss.Option{loss.WithReduction(loss.None)}, opts...)
		switch {
		case e.soft != nil:
			return f(x, b.float("t", shape, e.soft...), opts...)
		case e.list != nil:
			return f(x, b.labels(shape, e.list...), opts...)
		}
		return f(x, b.labels([]int{1}, e.label), opts...)
	}, wrt...)
	if err != nil {
		t.Fatalf("%v: %v", e, err)
	}
	return got
}

// closeTo compares numbers to a relative error of tol; infinities, NaN and zeros must be equal.
func closeTo(got, want []float64, tol float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d numbers, want %d", len(got), len(want))
	}
	for i, w := range want {
		if !near64(got[i], w, tol, 0) {
			return fmt.Errorf("element %d is %v, want %v", i, got[i], w)
		}
	}
	return nil
}

var (
	third = 1. / 3
	ln2   = math.Ln2
	ln3   = math.Log(3)
	ln4   = 2 * math.Ln2
)

// quarter is a row whose softmax is (¼, ¾).
var quarter = []float64{0, math.Log(3)}

// TestClassificationValues has rows worked out by hand; the arithmetic stands in the entries.
func TestClassificationValues(t *testing.T) {
	opt := func(o ...loss.Option) []loss.Option { return o }
	u, p, s := 0.75, 0.25, ln4 // of class 0 of quarter
	for _, c := range []struct {
		name  string
		f     loss.Func
		opts  []loss.Option
		e     example
		value float64
		grad  []float64
	}{
		{"SoftmaxFocal", loss.SoftmaxFocal, nil, example{x: quarter}, u * u * s,
			[]float64{-0.75 * (u*u + 2*u*p*s), 0.75 * (u*u + 2*u*p*s)}},
		{"SoftmaxFocal weight", loss.SoftmaxFocal, opt(loss.WithGamma(1), loss.WithClassWeights([]float64{3, 1})), example{x: quarter},
			3 * u * s, []float64{-2.25 * (u + p*s), 2.25 * (u + p*s)}},
		{"PolyCrossEntropy", loss.PolyCrossEntropy, nil, example{x: quarter}, ln4 + 1.5, []float64{-1.125, 1.125}},
		{"GeneralizedCrossEntropy", loss.GeneralizedCrossEntropy, opt(loss.WithQ(0.5)), example{x: quarter}, 1,
			[]float64{-0.375, 0.375}},
		{"GeneralizedCrossEntropy masked", loss.GeneralizedCrossEntropy, opt(loss.WithQ(0.5)),
			example{x: []float64{-inf, 0}}, 2, []float64{0, 0}},
		// class 1 misses the margin by ½, class 2 does not
		{"MultiMargin", loss.MultiMargin, nil, example{x: []float64{1, 0.5, -2}}, 0.5 / 3, []float64{-third, third, 0}},
		{"MultiMargin squared", loss.MultiMargin, opt(loss.WithPower(2)), example{x: []float64{1, 0.5, -2}}, 0.25 / 3,
			[]float64{-third, third, 0}},
		{"MultiMargin margin", loss.MultiMargin, opt(loss.WithMargin(4)), example{x: []float64{1, 0.5, -2}},
			(3.5 + 1) / 3, []float64{-2 * third, third, third}},
		{"MulticlassHinge", loss.MulticlassHinge, nil, example{x: []float64{1, 0.5, -2}}, 0.5, []float64{-1, 1, 0}},
		{"MulticlassHinge wrong", loss.MulticlassHinge, nil, example{x: []float64{1, 0.5, -2}, label: 2}, 4,
			[]float64{1, 0, -1}},
		{"MulticlassHinge met", loss.MulticlassHinge, nil, example{x: []float64{1, 0, -2}}, 0, []float64{0, 0, 0}},
		{"MulticlassPerceptron right", loss.MulticlassPerceptron, nil, example{x: []float64{1, 0.5, -2}}, 0,
			[]float64{0, 0, 0}},
		{"MulticlassPerceptron wrong", loss.MulticlassPerceptron, nil, example{x: []float64{1, 0.5, -2}, label: 2}, 3,
			[]float64{1, 0, -1}},
		{"MulticlassPerceptron tie", loss.MulticlassPerceptron, nil, example{x: []float64{1, 1, 1}, label: 2}, 0,
			[]float64{0, 0, 0}},
		{"CategoricalHinge", loss.CategoricalHinge, nil, example{x: []float64{1, 0.5, -2}}, 0.5, []float64{-1, 1, 0}},
		{"CategoricalHinge zero", loss.CategoricalHinge, nil, example{x: []float64{0.2, -1, -2}}, 0.8, []float64{-1, 0, 0}},
		// p = (¼, ¾): ½(1 - 1/16 - 9/16) + ¾·½
		{"Sparsemax", loss.Sparsemax, nil, example{x: []float64{0, 0.5}}, 0.5625, []float64{-0.75, 0.75}},
		{"Sparsemax sure", loss.Sparsemax, nil, example{x: []float64{1, 0, -3}}, 0, []float64{0, 0, 0}},
		{"Sparsemax wrong", loss.Sparsemax, nil, example{x: []float64{0, 3}}, 3, []float64{-1, 1}},
		{"Entmax15", loss.Entmax15, nil, example{x: []float64{0, 0}}, 4. / 3 * (1 - math.Sqrt(0.5)), []float64{-0.5, 0.5}},
		{"Entmax15 sure", loss.Entmax15, nil, example{x: []float64{2, 0, -3}}, 0, []float64{0, 0, 0}},
		{"Entmax15 wrong", loss.Entmax15, nil, example{x: []float64{0, 3}}, 3, []float64{-1, 1}},
		// cumulative differences -2/3, -1/3, 0, and G = (-2, -2/3, 0) with mean -8/9
		{"EMD", loss.EMD, nil, example{x: []float64{0, 0, 0}}, 5. / 9, []float64{-10. / 27, 2. / 27, 8. / 27}},
		{"EMD middle", loss.EMD, nil, example{x: []float64{0, 0, 0}, label: 1}, 2. / 9,
			[]float64{2. / 27, -4. / 27, 2. / 27}},
		// p = (½, ½), S = 2: misses ¼ + ¼, variances (¼ + ¼)/3; a = (-1, 1)
		{"EvidentialMSE", loss.EvidentialMSE, nil, example{x: []float64{0, 0}}, 2. / 3,
			[]float64{-0.5 - 0.5/9, 0.5 - 0.5/9}},
		// 60° + 30° has cosine 0; dz/dc = sin(θ+m)/sin θ
		{"ArcFace", loss.ArcFace, opt(loss.WithScale(2), loss.WithMargin(math.Pi/6)), example{x: []float64{0.5, 0}},
			ln2, []float64{-2 / math.Sqrt(3), 1}},
		{"CosFace", loss.CosFace, nil, example{x: []float64{0.35, 0}}, ln2, []float64{-32, 32}},

		{"BinaryCrossEntropyFromProb", loss.BinaryCrossEntropyFromProb, nil, example{x: []float64{0.25, 0.25}, soft: []float64{1, 0}},
			nan, []float64{-4, 4. / 3}},
		{"MultiLabelSoftMargin", loss.MultiLabelSoftMargin, nil, example{x: quarter, soft: []float64{1, 0}},
			(ln2 + ln4) / 2, []float64{-0.25, 0.375}},
		{"MultiLabelSoftMargin weights", loss.MultiLabelSoftMargin, opt(loss.WithClassWeights([]float64{2, 0})), example{x: quarter, soft: []float64{1, 0}},
			ln2, []float64{-0.5, 0}},
		// the example of PyTorch's documentation: ¼·(1-(0.1-0.2) + 1-(0.1-0.4) + 1-(0.8-0.2) +
		// 1-(0.8-0.4))
		{"MultiLabelMargin", loss.MultiLabelMargin, nil, example{x: []float64{0.1, 0.2, 0.4, 0.8}, list: []int{3, 0, -1, 1}}, 0.85,
			[]float64{-0.5, 0.5, 0.5, -0.5}},
		{"MultiLabelMargin none", loss.MultiLabelMargin, nil, example{x: []float64{0.1, 0.2}, list: []int{-1, 7}}, 0,
			[]float64{0, 0}},
		{"MultiLabelMargin all", loss.MultiLabelMargin, nil, example{x: []float64{0.1, 0.2}, list: []int{1, 0}}, 0,
			[]float64{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.e.of(t, c.f, c.opts...)
			if c.value == c.value {
				if err := closeTo(got.value, []float64{c.value}, 1e-14); err != nil {
					t.Errorf("value: %v", err)
				}
			}
			// Sums of a few rounded terms; a zero may be one rounding error.
			for i, w := range c.grad {
				if !near64(got.grads["x"][i], w, 1e-14, 1e-16) {
					t.Errorf("gradient %d is %v, want %v", i, got.grads["x"][i], w)
				}
			}
		})
	}
}

// TestSignedValues has the losses on signs at margins on both sides of their corners.
func TestSignedValues(t *testing.T) {
	half := math.Log1p(math.Exp(-0.5))
	for _, c := range []struct {
		name     string
		f        loss.Func
		x, y     float64
		value, g float64
	}{
		{"Hinge", loss.Hinge, 0.25, 1, 0.75, -1},
		{"Hinge", loss.Hinge, 0.25, -1, 1.25, 1},
		{"Hinge", loss.Hinge, 1, 1, 0, 0},
		{"Hinge", loss.Hinge, -inf, 1, inf, -1},
		{"Hinge", loss.Hinge, inf, 1, 0, 0},
		{"SquaredHinge", loss.SquaredHinge, 0.25, 1, 0.5625, -1.5},
		{"SquaredHinge", loss.SquaredHinge, 2, -1, 9, 6},
		{"SquaredHinge", loss.SquaredHinge, 3e38, 1, 0, 0},
		{"Perceptron", loss.Perceptron, 0.25, 1, 0, 0},
		{"Perceptron", loss.Perceptron, 0.25, -1, 0.25, 1},
		{"Perceptron", loss.Perceptron, 0, 1, 0, 0},
		{"SoftMargin", loss.SoftMargin, -0.5, -1, half, 1 / (1 + math.Exp(0.5))},
		{"SoftMargin", loss.SoftMargin, 1e4, -1, 1e4, 1},
		{"SoftMargin", loss.SoftMargin, 40, 1, math.Exp(-40), -math.Exp(-40)}, // log1p(e^-40) is e^-40 to 2e-18
		{"SoftMargin", loss.SoftMargin, inf, 1, 0, 0},
		{"SoftMargin", loss.SoftMargin, -inf, 1, inf, -1},
		{"ModifiedHuber", loss.ModifiedHuber, 0.25, 1, 0.5625, -1.5},
		{"ModifiedHuber", loss.ModifiedHuber, 1, -1, 4, 4},
		{"ModifiedHuber", loss.ModifiedHuber, 3, -1, 12, 4},
		{"ModifiedHuber", loss.ModifiedHuber, 3e38, 1, 0, 0},
		{"HingeEmbedding", loss.HingeEmbedding, 0.25, 1, 0.25, 1},
		{"HingeEmbedding", loss.HingeEmbedding, 0.25, -1, 0.75, -1},
		{"HingeEmbedding", loss.HingeEmbedding, 1, -1, 0, 0},
		{"HingeEmbedding", loss.HingeEmbedding, inf, 1, inf, 1},
		{"BinaryCrossEntropyFromProb", loss.BinaryCrossEntropyFromProb, 0.25, 1, ln4, -4},
		{"BinaryCrossEntropyFromProb", loss.BinaryCrossEntropyFromProb, 0, 0, 0, 1},
		{"BinaryCrossEntropyFromProb", loss.BinaryCrossEntropyFromProb, 1, 1, 0, -1},
		{"BinaryCrossEntropyFromProb", loss.BinaryCrossEntropyFromProb, 0, 1, inf, -inf},
		{"BinaryCrossEntropyFromProb", loss.BinaryCrossEntropyFromProb, 1, 0, inf, inf},
		{"BinaryCrossEntropyFromProb", loss.BinaryCrossEntropyFromProb, 1e-310, 1, 310 * math.Ln10, -inf}, // 1/1e-310 overflows
		{"SigmoidFocal", loss.SigmoidFocal, ln3, 1, math.Log(4./3) / 16, (-0.25 - 1.5*math.Log(4./3)) / 16},
		{"SigmoidFocal", loss.SigmoidFocal, inf, 1, 0, 0},
		{"SigmoidFocal", loss.SigmoidFocal, -inf, 1, inf, -1},
		{"SigmoidFocal", loss.SigmoidFocal, inf, 0, inf, 1},
		{"SigmoidFocal", loss.SigmoidFocal, -1e4, 0, 0, 0},
		{"SigmoidFocal", loss.SigmoidFocal, 3e38, 0, 3e38, 1},
	} {
		got := example{x: []float64{c.x}, soft: []float64{c.y}}.of(t, c.f)
		if err := closeTo(got.value, []float64{c.value}, 4e-15); err != nil {
			t.Errorf("%s(%v, %v): value %v", c.name, c.x, c.y, err)
		}
		if err := closeTo(got.grads["x"], []float64{c.g}, 4e-15); err != nil {
			t.Errorf("%s(%v, %v): gradient %v", c.name, c.x, c.y, err)
		}
	}
}

// TestClassificationExtremes has rows at the ends of the numbers: the limit, +Inf, or NaN where
// there is none.
func TestClassificationExtremes(t *testing.T) {
	const big = 3e38
	softmaxes := map[string]loss.Func{"SoftmaxFocal": loss.SoftmaxFocal, "PolyCrossEntropy": loss.PolyCrossEntropy,
		"GeneralizedCrossEntropy": loss.GeneralizedCrossEntropy, "EMD": loss.EMD, "Sparsemax": loss.Sparsemax, "Entmax15": loss.Entmax15}
	margins := map[string]loss.Func{"MultiMargin": loss.MultiMargin, "MulticlassHinge": loss.MulticlassHinge,
		"MulticlassPerceptron": loss.MulticlassPerceptron, "CategoricalHinge": loss.CategoricalHinge}
	for name, f := range softmaxes {
		for _, x := range [][]float64{{1e4, -1e4, 0}, {big, -big, 0}, {big, 0, -inf}, {0, -inf, -inf}, {0}} {
			checkExtreme(t, name+" right", f, example{x: x}, 0, false)
		}
		for _, x := range [][]float64{{-inf, -inf}, {inf, 0}, {nan, 0}, {0, nan}, {-inf}} {
			checkExtreme(t, name+" nothing", f, example{x: x}, nan, true)
		}
	}
	for name, want := range map[string]float64{"SoftmaxFocal": 2 * big, "PolyCrossEntropy": 2 * big, "GeneralizedCrossEntropy": 1 / 0.7,
		"EMD": 2, "Sparsemax": 2 * big, "Entmax15": 2 * big} {
		checkExtreme(t, name+" wrong", softmaxes[name], example{x: []float64{-big, 0, big}}, want, false)
	}
	for name, want := range map[string]float64{"SoftmaxFocal": inf, "PolyCrossEntropy": inf, "GeneralizedCrossEntropy": 1 / 0.7,
		"EMD": 1, "Sparsemax": inf, "Entmax15": inf} {
		checkExtreme(t, name+" masked", softmaxes[name], example{x: []float64{-inf, 0}}, want, false)
	}
	for name, f := range margins {
		for _, x := range [][]float64{{1e4, -1e4, 0}, {big, -big, 0}, {big, 0, -inf}, {inf, 0, -inf}} {
			checkExtreme(t, name+" right", f, example{x: x}, 0, false)
		}
		for _, x := range [][]float64{{-inf, -inf}, {inf, inf}, {nan, 0}, {0, nan}, {-inf}} {
			checkExtreme(t, name+" nothing", f, example{x: x}, nan, true)
		}
		checkExtreme(t, name+" masked", f, example{x: []float64{-inf, 0}}, inf, false)
		checkExtreme(t, name+" infinite rival", f, example{x: []float64{0, inf}}, inf, false)
	}
	list := []int{0, -1, -1}
	checkExtreme(t, "MultiLabelMargin right", loss.MultiLabelMargin,
		example{x: []float64{big, -big, -inf}, list: list}, 0, false)
	checkExtreme(t, "MultiLabelMargin masked", loss.MultiLabelMargin,
		example{x: []float64{-inf, 0, -inf}, list: list}, inf, false)
	checkExtreme(t, "MultiLabelMargin NaN", loss.MultiLabelMargin, example{x: []float64{1, 0, nan}, list: list}, nan, true)
	checkExtreme(t, "MultiLabelSoftMargin right", loss.MultiLabelSoftMargin,
		example{x: []float64{inf, -inf}, soft: []float64{1, 0}}, 0, false)
	checkExtreme(t, "MultiLabelSoftMargin wrong", loss.MultiLabelSoftMargin,
		example{x: []float64{-inf, 0}, soft: []float64{1, 0}}, inf, false)
	checkExtreme(t, "EvidentialMSE much", loss.EvidentialMSE, example{x: []float64{big, 0}}, 0, false)
	checkExtreme(t, "EvidentialMSE wrong", loss.EvidentialMSE, example{x: []float64{0, big}}, 2, false)
	checkExtreme(t, "EvidentialMSE infinite", loss.EvidentialMSE, example{x: []float64{0, inf}}, nan, true)
	// cos(θ+m) at θ = 0 and π, and beyond by rounding; log1p(e^-z) with z = 64·(cos ½ - 0) is below
	// 1e-24
	for _, c := range []float64{1, 1 + 1e-7} {
		checkExtreme(t, "ArcFace right", loss.ArcFace, example{x: []float64{c, 0}},
			math.Log1p(math.Exp(-64*c*math.Cos(0.5))), false)
		checkExtreme(t, "ArcFace opposite", loss.ArcFace, example{x: []float64{-c, 0}}, 64*c*math.Cos(0.5), false)
	}
	checkExtreme(t, "ArcFace NaN", loss.ArcFace, example{x: []float64{0, nan}}, nan, true)
}

// checkExtreme checks a value to 1e-12 (absolute 1e-17 at 0) and that the gradient is NaN or free
// of it.
func checkExtreme(t *testing.T, name string, f loss.Func, e example, value float64, isNaN bool) {
	t.Helper()
	got := e.of(t, f)
	if !near64(got.value[0], value, 1e-12, 1e-17) {
		t.Errorf("%s %v: value %v, want %v", name, e.x, got.value[0], value)
	}
	for i, g := range got.grads["x"] {
		if (g != g) != isNaN {
			t.Errorf("%s %v: gradient %d is %v", name, e.x, i, g)
		}
	}
}
