package loss_test

import (
	"errors"
	stdflag "flag"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

var sequenceRuns = stdflag.Int("sequences", 1000,
	"the number of random cases of losses of sequences; 100000 is the figure they are meant for")

// oraclePrecision is enough for second differences with steps of 2^-70: their rounding is 2^-260,
// their error 2^-140.
const oraclePrecision = 400

func oracleNumber(v float64) *big.Float { return new(big.Float).SetPrec(oraclePrecision).SetFloat64(v) }

// bigDerivatives returns a function's value, its gradient and its Hessian times v by differences.
func bigDerivatives(f func(x []*big.Float) *big.Float, x, v []float64) (value float64, grad, hess []float64) {
	h := new(big.Float).SetMantExp(oracleNumber(1), -70)
	at := func(along, entry int, i int) *big.Float {
		z := make([]*big.Float, len(x))
		for k := range z {
			z[k] = oracleNumber(x[k])
			step := new(big.Float).Mul(h, oracleNumber(float64(along)*v[k]))
			z[k].Add(z[k], step)
		}
		if entry != 0 {
			z[i].Add(z[i], new(big.Float).Mul(h, oracleNumber(float64(entry))))
		}
		return f(z)
	}
	value, _ = at(0, 0, 0).Float64()
	for i := range x {
		up, down := at(0, 1, i), at(0, -1, i)
		d := new(big.Float).Sub(up, down)
		d.Quo(d, new(big.Float).Mul(h, oracleNumber(2)))
		g, _ := d.Float64()
		grad = append(grad, g)
		s := new(big.Float).Sub(at(1, 1, i), at(1, -1, i))
		s.Sub(s, at(-1, 1, i))
		s.Add(s, at(-1, -1, i))
		s.Quo(s, new(big.Float).Mul(oracleNumber(4), new(big.Float).Mul(h, h)))
		u, _ := s.Float64()
		hess = append(hess, u)
	}
	return value, grad, hess
}

// oracleTolerance is for recursions in float64 over a few frames of logits around 2, against exact
// enumeration: some 10 roundings of 1.1e-16 for each of some 10 steps.
const oracleTolerance = 2e-14

// A sequenceCase is a loss without a graph, its floating operands behind each other in one slice.
type sequenceCase struct {
	loss     *eager.Loss
	floats   [][]int // the shapes of the floating operands
	integers []eager.Operand
}

// operands cuts x into the floating operands.
func (c *sequenceCase) operands(x []float64) (floats, all []eager.Operand) {
	for _, shape := range c.floats {
		n := product(shape)
		floats = append(floats, eager.Slice(x[:n:n], shape...))
		x = x[n:]
	}
	return floats, append(append(all, floats...), c.integers...)
}

// compare holds the sum of a loss, its gradient and the block of the Hessian by its first operand to
// those of a function.
func (c *sequenceCase) compare(t *testing.T, x []float64, f func(x []*big.Float) *big.Float) {
	t.Helper()
	first := product(c.floats[0])
	v := make([]float64, len(x))
	for i := range first {
		v[i] = math.Cos(float64(i) + 0.5)
	}
	value, grad, hess := bigDerivatives(f, x, v)
	_, operands := c.operands(x)
	got, err := c.loss.Value(eager.Data{}, operands...)
	if err != nil {
		t.Fatal(err)
	}
	nearList(t, "value", []float64{got}, []float64{value}, oracleTolerance)
	dst := make([]float64, len(x))
	grads, _ := c.operands(dst)
	for k := range grads {
		if err := c.loss.Gradient(k, grads[k], eager.Data{}, operands...); err != nil {
			t.Fatal(err)
		}
	}
	nearList(t, "gradient", dst, grad, oracleTolerance)
	dst = dst[:first]
	if err := c.loss.HessianVector(eager.Slice(dst, c.floats[0]...), eager.Slice(v[:first], c.floats[0]...), eager.Data{}, operands...); err != nil {
		t.Fatal(err)
	}
	nearList(t, "Hessian", dst, hess[:first], oracleTolerance)
}

func normals(r *rand.Rand, n int, scale float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = scale * r.NormFloat64()
	}
	return x
}

// integerOperands are integer operands as eager reads them.
func integerOperands(targets []int, shape [2]int, lengths ...[]int) []eager.Operand {
	out := []eager.Operand{eager.Slice(targets, shape[:]...)}
	for _, n := range lengths {
		out = append(out, eager.Slice(n, len(n)))
	}
	return out
}

func sequenceLoss(t *testing.T, name string, opts ...loss.Option) *eager.Loss {
	t.Helper()
	l, err := eager.Constructors()[name](opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// everyFrame returns the entries of the sequence i of n in an operand (T, N, C).
func everyFrame(frames, n, classes int) func(i int) []int {
	return func(i int) (out []int) {
		for t := range frames {
			for c := range classes {
				out = append(out, (t*n+i)*classes+c)
			}
		}
		return out
	}
}

func init() {
	logits := []float64{0.5, -1, 2, 0.25, 1.5, -0.75, 0, 3, -2, 1.25, 0.75, -0.5, 0.125, -0.25, 1, 2, -1.5, 0.3, 0.6, -0.9, 1.1, 0.2, -0.4, 0.8, 0.5, -1, 2, 0.25, 1.5, -0.75, 0, 3, -2, 1.25, 0.75, -0.5, 1, 0.1, -0.3, 0.7, 0.2, 0.9, -1.2, 0.4, 1.3}
	aligned := []groupInput{{name: "logits", shape: []int{5, 3, 3}, x: logits, masked: everyFrame(5, 3, 3)},
		{name: "targets", shape: []int{3, 3}, ints: []int{1, 1, 2, 2, -9, 77, 1, 2, 1}, masked: everyRow(3)},
		{name: "input lengths", shape: []int{3}, ints: []int{5, 4, 5}, masked: everyRow(1)},
		{name: "target lengths", shape: []int{3}, ints: []int{3, 0, 2}, masked: everyRow(1)}}
	last := slices.Clone(aligned)
	last[1].ints = []int{1, 1, 0, 0, -9, 77, 1, 0, 1}
	for _, name := range []string{"CTC", "CTCFromLogProb"} {
		groupProblems = append(groupProblems,
			groupProblem{loss: name, title: "plain", inputs: aligned, mask: []int{3}, weights: []int{3}},
			groupProblem{loss: name, title: "last blank", opts: []loss.Option{loss.WithBlank(-1)}, inputs: last,
				mask: []int{3}, weights: []int{3}})
	}
}

func init() {
	crf := []groupInput{{name: "emissions", shape: []int{3, 4, 3}, x: normals(rand.New(rand.NewPCG(1, 1)), 36, 1), masked: everyRow(12)},
		{name: "transitions", shape: []int{3, 3}, x: []float64{0.5, -1, 0.25, 1.5, -0.75, 0, 1, -0.5, 0.1}},
		{name: "tags", shape: []int{3, 4}, ints: []int{1, 0, 2, 2, 1, 1, -5, 99, 0, 2, 1, -1}, masked: everyRow(4)},
		{name: "lengths", shape: []int{3}, ints: []int{4, 1, 3}, masked: everyRow(1)}}
	start := groupInput{name: "start", shape: []int{3}, x: []float64{0.25, -0.5, 1}, with: loss.WithStart, field: func(d *eager.Data) *eager.Operand { return &d.Start }}
	end := groupInput{name: "end", shape: []int{3}, x: []float64{-1, 0.5, 0.125}, with: loss.WithEnd, field: func(d *eager.Data) *eager.Operand { return &d.End }}
	groupProblems = append(groupProblems,
		groupProblem{loss: "LinearChainCRF", title: "plain", inputs: crf, mask: []int{3}, weights: []int{3}},
		groupProblem{loss: "LinearChainCRF", title: "start and end", inputs: append(slices.Clone(crf), start, end),
			mask: []int{3}, weights: []int{3}},
		groupProblem{loss: "LinearChainCRF", title: "end", inputs: append(slices.Clone(crf), end), mask: []int{3},
			weights: []int{3}})
}

func init() {
	r := rand.New(rand.NewPCG(2, 2))
	rest := []groupInput{{name: "targets", shape: []int{3, 2}, ints: []int{1, 2, 2, 99, 1, 1}, masked: everyRow(2)},
		{name: "input lengths", shape: []int{3}, ints: []int{3, 2, 1}, masked: everyRow(1)},
		{name: "target lengths", shape: []int{3}, ints: []int{2, 1, 2}, masked: everyRow(1)}}
	joint := append([]groupInput{{name: "logits", shape: []int{3, 3, 3, 3}, x: normals(r, 81, 1.5), masked: everyRow(27)}}, rest...)
	terms := append([]groupInput{{name: "encoder", shape: []int{3, 3, 3}, x: normals(r, 27, 1), masked: everyRow(9)},
		{name: "predictor", shape: []int{3, 3, 3}, x: normals(r, 27, 1), masked: everyRow(9)}}, rest...)
	for name, inputs := range map[string][]groupInput{"RNNT": joint, "RNNTAdditive": terms} {
		last := slices.Clone(inputs)
		last[len(last)-3].ints = []int{1, 0, 0, 99, 1, 1}
		groupProblems = append(groupProblems,
			groupProblem{loss: name, title: "plain", inputs: inputs, mask: []int{3}, weights: []int{3}},
			groupProblem{loss: name, title: "last blank", opts: []loss.Option{loss.WithBlank(-1)}, inputs: last,
				mask: []int{3}, weights: []int{3}},
			groupProblem{loss: name, title: "fast emit", opts: []loss.Option{loss.WithFastEmit(.5)}, inputs: inputs,
				mask: []int{3}, weights: []int{3}, kinks: true})
	}
}

// A sequenceFault is a call that is refused.
type sequenceFault struct {
	loss     string
	opts     []loss.Option
	operands []eager.Operand
	kind     error
	want     string
}

func (f *sequenceFault) test(t *testing.T) {
	t.Helper()
	l, err := eager.Constructors()[f.loss](f.opts...)
	if err == nil {
		_, err = l.Value(eager.Data{}, f.operands...)
	}
	if !errors.Is(err, f.kind) || !strings.HasPrefix(err.Error(), f.want) {
		t.Errorf("error %v, want %s", err, f.want)
	}
}
