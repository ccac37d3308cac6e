package eager_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// A content is what an operand of a benchmark holds.
type content uint8

const (
	logits content = iota
	probabilities
	logProbabilities
	classLabels
	classLists // labels first, then -1
	fractions  // between 0 and 1
	widths     // between 0.1 and 1.1
	signs      // -1 and 1
)

// given are options that do not depend on the number of classes.
func given(o loss.Option) []func(int) loss.Option {
	return []func(int) loss.Option{func(int) loss.Option { return o }}
}

func prior(classes int) loss.Option { return loss.WithLogPrior(make([]float64, classes)) }

func counts(classes int) loss.Option {
	n := make([]float64, classes)
	for i := range n {
		n[i] = float64(1 + i%7)
	}
	return loss.WithCounts(n)
}

// rowBenchmarks are losses of rows that are not cross-entropies or squares, and of elements of more
// than two operands.
var rowBenchmarks = []struct {
	loss, option string
	opts         []func(classes int) loss.Option
	operands     []content
}{
	{"Distillation", "", nil, []content{logits, logits, classLabels}},
	{"KL", "logtarget", given(loss.WithLogTarget()), []content{logits, logProbabilities}},
	{"KL", "targetlogits", given(loss.WithTargetLogits()), []content{logits, logits}},
	{"KLFromLogProb", "", nil, []content{logProbabilities, probabilities}},
	{"KLFromLogProb", "logtarget", given(loss.WithLogTarget()), []content{logProbabilities, logProbabilities}},
	{"ReverseKL", "", nil, []content{logits, probabilities}},
	{"ReverseKL", "logtarget", given(loss.WithLogTarget()), []content{logits, logProbabilities}},
	{"ReverseKL", "targetlogits", given(loss.WithTargetLogits()), []content{logits, logits}},
	{"JensenShannon", "", nil, []content{probabilities, probabilities}},
	{"JensenShannon", "beta1", given(loss.WithBeta(1)), []content{probabilities, probabilities}},
	{"TotalVariation", "", nil, []content{probabilities, probabilities}},
	{"GeneralizedKL", "", nil, []content{probabilities, probabilities}},
	{"AlphaDivergence", "", nil, []content{probabilities, probabilities}},
	{"AlphaDivergence", "alpha2", given(loss.WithAlpha(2)), []content{probabilities, probabilities}},
	{"Renyi", "", nil, []content{probabilities, probabilities}},
	{"Renyi", "alpha1", given(loss.WithAlpha(1)), []content{probabilities, probabilities}},
	{"Hellinger", "", nil, []content{probabilities, probabilities}},
	{"Bhattacharyya", "", nil, []content{probabilities, probabilities}},
	{"CrossEntropyFromProb", "labels", nil, []content{probabilities, classLabels}},
	{"CrossEntropyFromProb", "soft", nil, []content{probabilities, probabilities}},
	{"CrossEntropy", "prior+softcap", append(given(loss.WithSoftcap(30)), prior), []content{logits, classLabels}},
	{"SoftmaxFocal", "soft", nil, []content{logits, probabilities}},
	{"PolyCrossEntropy", "soft", nil, []content{logits, probabilities}},
	{"GeneralizedCrossEntropy", "soft", nil, []content{logits, probabilities}},
	{"SphericalScore", "soft", nil, []content{logits, probabilities}},
	{"Brier", "labels", nil, []content{logits, classLabels}},
	{"Brier", "soft", nil, []content{logits, probabilities}},
	{"RankedProbability", "", nil, []content{logits, classLabels}},
	{"EMD", "labels", nil, []content{logits, classLabels}},
	{"LDAM", "", []func(int) loss.Option{counts}, []content{logits, classLabels}},
	{"ArcFace", "", nil, []content{fractions, classLabels}},
	{"CosFace", "", nil, []content{fractions, classLabels}},
	{"MultiMargin", "", nil, []content{logits, classLabels}},
	{"MulticlassHinge", "", nil, []content{logits, classLabels}},
	{"MulticlassPerceptron", "", nil, []content{logits, classLabels}},
	{"CategoricalHinge", "soft", nil, []content{logits, probabilities}},
	{"MultiLabelSoftMargin", "", nil, []content{logits, probabilities}},
	{"MultiLabelMargin", "", nil, []content{logits, classLists}},
	{"Sparsemax", "", nil, []content{logits, classLabels}},
	{"Entmax15", "", nil, []content{logits, classLabels}},
	{"EvidentialMSE", "", nil, []content{fractions, classLabels}},
	{"CosineDistance", "", nil, []content{logits, logits}},

	{"GaussianNLL", "", nil, []content{logits, logits, widths}},
	{"LaplaceNLL", "", nil, []content{logits, logits, widths}},
	{"StudentTNLL", "", nil, []content{logits, logits, widths}},
	{"GaussianKL", "", nil, []content{logits, widths, logits, widths}},
	{"GaussianCRPS", "", nil, []content{logits, logits, widths}},
	{"MarginRanking", "", nil, []content{logits, logits, signs}},
	{"DPO", "", nil, []content{logits, logits, logits, logits}},
	{"SimPO", "", nil, []content{logits, logits}},
}

// BenchmarkRows measures the value and the gradient by the first operand.
func BenchmarkRows(b *testing.B) {
	eachRowBenchmark(b, [][2]int{{1024, 1000}, {65536, 21}}, func(name string, make func() func() error) {
		b.Run(name, func(b *testing.B) {
			call := make()
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// TestRowBenchmarks checks that every row of the benchmark can be computed.
func TestRowBenchmarks(t *testing.T) {
	eachRowBenchmark(t, [][2]int{{6, 5}}, func(name string, make func() func() error) {
		if err := make()(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

// eachRowBenchmark calls f for each benchmark in the shapes with a function that makes its data and returns the
// call to measure.
func eachRowBenchmark(tb testing.TB, shapes [][2]int, f func(name string, make func() func() error)) {
	constructors := eager.Constructors()
	for _, c := range rowBenchmarks {
		for _, shape := range shapes {
			name := "loss=" + c.loss
			if c.option != "" {
				name += "/option=" + c.option
			}
			var opts []loss.Option
			for _, o := range c.opts {
				opts = append(opts, o(shape[1]))
			}
			l, err := constructors[c.loss](opts...)
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			f(fmt.Sprintf("%s/dtype=f32/shape=%dx%d", name, shape[0], shape[1]), func() func() error {
				return rowCall[float32](l, c.operands, shape)
			})
			f(fmt.Sprintf("%s/dtype=f64/shape=%dx%d", name, shape[0], shape[1]), func() func() error {
				return rowCall[float64](l, c.operands, shape)
			})
		}
	}
}

// rowCall makes operands and returns a call of the loss on them.
func rowCall[F float32 | float64](l *eager.Loss, holds []content, shape [2]int) func() error {
	r := rand.New(rand.NewPCG(1, 2))
	n := shape[0] * shape[1]
	operands := make([]eager.Operand, len(holds))
	for k, h := range holds {
		switch h {
		case classLabels, classLists:
			labels := make([]int, shape[0])
			for i := range labels {
				labels[i] = r.IntN(shape[1])
			}
			if operands[k] = eager.Slice(labels); h == classLists {
				lists := make([]int, n)
				for i := range lists {
					lists[i] = -1
					if c := i % shape[1]; c < 3 {
						lists[i] = (labels[i/shape[1]] + c) % shape[1]
					}
				}
				operands[k] = eager.Slice(lists, shape[:]...)
			}
			continue
		}
		x := make([]F, n)
		for i := range shape[0] {
			row, sum := x[i*shape[1]:(i+1)*shape[1]], 0.0
			for c := range row {
				v := 3 * r.NormFloat64()
				switch h {
				case fractions:
					v = r.Float64()
				case widths:
					v = 0.1 + r.Float64()
				case signs:
					v = math.Copysign(1, v)
				}
				row[c] = F(v)
				sum += math.Exp(v)
			}
			for c, v := range row {
				switch h {
				case probabilities:
					row[c] = F(math.Exp(float64(v)) / sum)
				case logProbabilities:
					row[c] = F(float64(v) - math.Log(sum))
				}
			}
		}
		operands[k] = eager.Slice(x, shape[:]...)
	}
	gradient := eager.Slice(make([]F, n), shape[:]...)
	return func() error {
		v, err := l.ValueGradient(gradient, eager.Data{}, operands...)
		if err == nil && v != v {
			err = errors.New("the value is NaN")
		}
		return err
	}
}
