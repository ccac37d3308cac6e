package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// derivativeCase is a loss under settings, with rows of data made for it.
type derivativeCase struct {
	name string
	def  *core.Definition
	opts []Option
	soft bool // a soft target where the loss takes labels or one
}

// classificationCases are the losses on classes under settings that reach every branch of their
// derivatives.
var classificationCases = []derivativeCase{
	{"CrossEntropy", &crossEntropy, nil, false},
	{"CrossEntropy soft", &crossEntropy, []Option{WithClassWeights([]float64{1, 0.5, 0, 2, 3})}, true},
	{"CrossEntropy softcap z", &crossEntropy,
		[]Option{WithSoftcap(3), WithZLoss(0.3), WithTemperature(1.7), WithLabelSmoothing(0.1)}, false},
	{"CrossEntropy softcap z soft", &crossEntropy,
		[]Option{WithSoftcap(2), WithZLoss(0.3), WithTemperature(0.6), WithClassWeights([]float64{1, 0.5, 0, 2, 3})}, true},
	{"CrossEntropyFromProb", &crossEntropyFromProb, nil, true},
	{"SoftmaxFocal", &softmaxFocal, nil, false},
	{"SoftmaxFocal soft", &softmaxFocal, []Option{WithGamma(0.3), WithClassWeights([]float64{1, 0.5, 0, 2, 3})}, true},
	{"SoftmaxFocal 0", &softmaxFocal, []Option{WithGamma(0)}, true},
	{"PolyCrossEntropy", &polyCrossEntropy, []Option{WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, false},
	{"PolyCrossEntropy soft", &polyCrossEntropy, []Option{WithEpsilon(-1.5)}, true},
	{"GeneralizedCrossEntropy", &generalizedCrossEntropy, nil, false},
	{"GeneralizedCrossEntropy soft", &generalizedCrossEntropy,
		[]Option{WithQ(0.2), WithClassWeights([]float64{1, 0.5, 0, 2, 3})}, true},
	{"MultiMargin", &multiMargin, nil, false},
	{"MultiMargin squared", &multiMargin,
		[]Option{WithPower(2), WithMargin(0.8), WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, false},
	{"MulticlassHinge", &multiclassHinge, []Option{WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, false},
	{"MulticlassPerceptron", &multiclassPerceptron, nil, false},
	{"CategoricalHinge", &categoricalHinge, nil, false},
	{"CategoricalHinge soft", &categoricalHinge, []Option{WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, true},
	{"Sparsemax", &sparsemax, nil, false},
	{"Sparsemax soft", &sparsemax, []Option{WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, true},
	{"Entmax15", &entmax15, []Option{WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, false},
	{"Entmax15 soft", &entmax15, nil, true},
	{"EMD", &emd, nil, false},
	{"EMD soft", &emd, []Option{WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, true},
	{"EvidentialMSE", &evidentialMSE, []Option{WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, false},
	{"ArcFace", &arcFace, []Option{WithScale(5)}, false},
	{"CosFace", &cosFace, []Option{WithScale(5), WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, false},
	{"Distillation", &distillation, nil, false},
	{"Distillation teacher", &distillation, []Option{WithAlpha(1), WithTemperature(1.5)}, false},
	{"Distillation labels", &distillation, []Option{WithAlpha(0), WithClassWeights([]float64{1, 0.5, 0.1, 2, 3})}, false},
	{"BinaryCrossEntropy", &binaryCrossEntropy, []Option{WithPosWeight([]float64{3}), WithLabelSmoothing(0.2)}, true},
	{"BinaryCrossEntropyFromProb", &binaryCrossEntropyFromProb, nil, true},
	{"SigmoidFocal", &sigmoidFocal, nil, true},
	{"SigmoidFocal alpha", &sigmoidFocal, []Option{WithAlpha(0.3), WithGamma(0.4)}, true},
	{"SigmoidFocal 0", &sigmoidFocal, []Option{WithGamma(0)}, true},
	{"MultiLabelSoftMargin", &multiLabelSoftMargin, []Option{WithClassWeights([]float64{1, 0.5, 0, 2, 3})}, true},
	{"MultiLabelMargin", &multiLabelMargin, nil, false},
	{"Hinge", &hinge, nil, true},
	{"SquaredHinge", &squaredHinge, nil, true},
	{"Perceptron", &perceptron, nil, true},
	{"SoftMargin", &softMargin, nil, true},
	{"ModifiedHuber", &modifiedHuber, nil, true},
	{"HingeEmbedding", &hingeEmbedding, nil, true},
}

// TestClassificationDerivatives holds first and second derivatives of the formulas to central
// differences of the value and of the first derivative. At a step of 1e-5 a difference has an error
// near 1e-10 of truncation and 1e-11 of rounding.
func TestClassificationDerivatives(t *testing.T) {
	const classes, step, tolerance = 5, 1e-5, 2e-8
	for at, c := range classificationCases {
		t.Run(c.name, func(t *testing.T) {
			set, err := core.Configure(c.def, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			f := formulaOf(c.def, &set, classes)
			random := rand.New(rand.NewPCG(7, uint64(at)))
			for trial := range 20 {
				r := randomRow(random, &c, classes)
				if err := checkRow(f, r, c.def.Elementwise(), random, step, tolerance); err != nil {
					t.Fatalf("trial %d, x %v, label %d, list %v: %v", trial, r.X, r.Label, r.List, err)
				}
			}
		})
	}
}

// formulaOf returns the mathematics of a loss on one row, or on the elements of one block.
func formulaOf(def *core.Definition, set *core.Settings, classes int) core.RowFunc {
	d := core.Dims{Rows: 1, Cols: classes, Inner: 1, Classes: classes, Stride: 1}
	if def.Row != nil {
		return def.Row(set, d)
	}
	f := def.Block(set, d)
	return func(b *core.Block) float64 {
		if def.Elementwise() {
			f(b)
			return 0
		}
		b.Rows, b.Cols, b.Out = 1, classes, make([]float64, 1)
		f(b)
		l := b.Out[0]
		b.Out = nil
		return l
	}
}

// randomRow draws the operands that a loss takes.
func randomRow(random *rand.Rand, c *derivativeCase, classes int) *core.Block {
	draw := func(d Domain) []float64 {
		x := make([]float64, classes)
		for i := range x {
			switch d {
			case Probabilities, SoftTargets, LabelsOrSoft:
				x[i] = 0.3 + random.Float64()
			case UnitInterval:
				x[i] = 0.3 + 0.4*random.Float64()
			case Cosines:
				x[i] = 1.8*random.Float64() - 0.9
			case Signs:
				x[i] = math.Copysign(1, random.NormFloat64())
			default:
				x[i] = 1.5 * random.NormFloat64()
			}
		}
		return x
	}
	r := &core.Block{Rows: 1}
	r.X[0] = draw(c.def.Operands[0].Holds)
	switch {
	case c.def.Operands[1].Holds == ClassLists:
		r.List = [][]int{random.Perm(classes)[:random.IntN(classes+1)]}
	case c.def.Operands[1].Holds.TakesLabels() && !c.soft:
		r.Label = []int{random.IntN(classes)}
	default:
		r.X[1] = draw(c.def.Operands[1].Holds)
	}
	if len(c.def.Operands) == 3 {
		r.Label = []int{random.IntN(classes)}
	}
	return r
}

// checkRow compares the derivatives of one row with differences.
func checkRow(f core.RowFunc, r *core.Block, elementwise bool, random *rand.Rand, step, tolerance float64) error {
	n := len(r.X[0])
	// evaluate runs f with operand j moved by h along v, asking for the gradient by operand k (or
	// only the value).
	evaluate := func(j int, v []float64, h float64, k int) (value float64, grad []float64) {
		m := &core.Block{X: r.X, Rows: r.Rows, Label: r.Label, List: r.List}
		m.X[j] = make([]float64, n)
		for i := range v {
			m.X[j][i] = r.X[j][i] + h*v[i]
		}
		if elementwise {
			m.Out = make([]float64, n)
		}
		if k >= 0 {
			m.Grad[k] = make([]float64, n)
		}
		value = f(m)
		for _, l := range m.Out {
			value += l
		}
		return value, m.Grad[max(k, 0)]
	}
	for j := range r.X {
		if r.X[j] == nil {
			continue
		}
		v := make([]float64, n)
		for i := range v {
			v[i] = random.NormFloat64()
		}
		up, _ := evaluate(j, v, step, -1)
		down, _ := evaluate(j, v, -step, -1)
		_, g := evaluate(j, v, 0, j)
		if got, want := core.Dot(g, v), (up-down)/(2*step); !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
			return fmt.Errorf("derivative by operand %d is %v, difference %v", j, got, want)
		}
		for k := range r.X {
			if r.X[k] == nil {
				continue
			}
			_, up := evaluate(j, v, step, k)
			_, down := evaluate(j, v, -step, k)
			m := &core.Block{X: r.X, Rows: r.Rows, Label: r.Label, List: r.List}
			m.Dir[j], m.Hess[k] = v, make([]float64, n)
			f(m)
			for i, got := range m.Hess[k] {
				if want := (up[i] - down[i]) / (2 * step); !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
					return fmt.Errorf("second derivative (%d, %d)[%d] is %v, difference %v", k, j, i, got, want)
				}
			}
		}
	}
	return nil
}
