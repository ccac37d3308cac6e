package loss_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// tagged is a batch of tagged sequences.
type tagged struct {
	n, steps, classes int
	tags, lengths     []int
}

func (a *tagged) integers() []eager.Operand {
	return integerOperands(a.tags, [2]int{a.n, a.steps}, a.lengths)
}

// enumerate returns the sum of a batch's losses by enumeration of all sequences of tags. x holds the
// emissions, then the transitions.
func (a *tagged) enumerate(x []*big.Float) *big.Float {
	total := oracleNumber(0)
	transitions := x[a.n*a.steps*a.classes:]
	exps := make([]*big.Float, len(x))
	for i, v := range x {
		exps[i] = bigExp(v)
	}
	for i := range a.n {
		tags := a.tags[i*a.steps:][:a.lengths[i]]
		at := func(t, j int) int { return (i*a.steps+t)*a.classes + j }
		all := oracleNumber(0)
		var walk func(path []int, p *big.Float)
		walk = func(path []int, p *big.Float) {
			if len(path) == len(tags) {
				all.Add(all, p)
				return
			}
			for j := range a.classes {
				q := new(big.Float).Mul(p, exps[at(len(path), j)])
				if len(path) > 0 {
					q.Mul(q, exps[len(x)-len(transitions)+path[len(path)-1]*a.classes+j])
				}
				walk(append(path, j), q)
			}
		}
		walk(make([]int, 0, len(tags)), oracleNumber(1))
		l := bigLog(all)
		for t, y := range tags {
			l.Sub(l, x[at(t, y)])
			if t > 0 {
				l.Sub(l, transitions[tags[t-1]*a.classes+y])
			}
		}
		total.Add(total, l)
	}
	return total
}

// The oracle is the enumeration of all sequences of tags.
func TestLinearChainCRFEnumerated(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, a := range []tagged{
		{2, 4, 3, []int{1, 0, 2, 2, 2, 2, -1, 7}, []int{4, 2}},
		{1, 7, 2, []int{1, 0, 0, 1, 1, 1, 0}, []int{7}},
		{3, 2, 4, []int{3, 0, 2, 9, 9, 9}, []int{2, 1, 0}},
		{1, 3, 1, []int{0, 0, 0}, []int{3}},
	} {
		c := sequenceCase{loss: sequenceLoss(t, "LinearChainCRF", loss.WithReduction(loss.Sum)), floats: [][]int{{a.n, a.steps, a.classes}, {a.classes, a.classes}}, integers: a.integers()}
		c.compare(t, normals(r, a.n*a.steps*a.classes+a.classes*a.classes, 2), a.enumerate)
	}
}

// Corners, each a sequence of its own.
func TestLinearChainCRFCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name          string
		x, transition []float64
		a             tagged
		want          float64
		grad, dA      []float64
	}{
		// Sure tags keep their digits: log(1+e^-40) for each of two steps.
		{"sure", []float64{40, 0, 0, 40}, make([]float64, 4), tagged{1, 2, 2, []int{0, 1}, []int{2}}, 2 * math.Exp(-40),
			[]float64{-math.Exp(-40), math.Exp(-40), math.Exp(-40), -math.Exp(-40)}, nil},
		{"length 0", []float64{nan, nan}, []float64{nan, nan, nan, nan}, tagged{1, 1, 2, []int{-3}, []int{0}}, 0,
			[]float64{0, 0}, []float64{0, 0, 0, 0}},
		{"length 1", []float64{0, 0, nan, inf}, []float64{nan, nan, nan, nan},
			tagged{1, 2, 2, []int{1, -3}, []int{1}}, math.Ln2, []float64{.5, -.5, 0, 0}, []float64{0, 0, 0, 0}},
		{"NaN", []float64{0, 0, nan, 0}, make([]float64, 4), tagged{1, 2, 2, []int{1, 1}, []int{2}}, nan,
			[]float64{nan, nan, nan, nan}, []float64{nan, nan, nan, nan}},
		{"+Inf", []float64{0, 0, 1, 0}, []float64{inf, 0, 0, 0}, tagged{1, 2, 2, []int{1, 1}, []int{2}}, nan,
			[]float64{nan, nan, nan, nan}, []float64{nan, nan, nan, nan}},
		{"forbidden tags", []float64{0, 0, 0, 0}, []float64{0, 0, 0, -inf}, tagged{1, 2, 2, []int{1, 1}, []int{2}},
			inf, []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}},
		// Of the three sequences that are left the one observed has probability 1/3.
		{"forbidden transition", []float64{0, 0, 0, 0}, []float64{0, 0, 0, -inf}, tagged{1, 2, 2, []int{0, 1}, []int{2}}, math.Log(3),
			[]float64{-1. / 3, 1. / 3, 2. / 3, -2. / 3}, []float64{1. / 3, -2. / 3, 1. / 3, 0}},
		{"largest scores", []float64{-3e38, 3e38, 3e38, -3e38}, make([]float64, 4),
			tagged{1, 2, 2, []int{1, 0}, []int{2}}, 0, []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}},
		{"largest scores of others", []float64{-3e38, 3e38}, make([]float64, 4), tagged{1, 1, 2, []int{0}, []int{1}},
			6e38, []float64{-1, 1}, []float64{0, 0, 0, 0}},
	} {
		l := sequenceLoss(t, "LinearChainCRF", loss.WithReduction(loss.Sum))
		operands := append([]eager.Operand{eager.Slice(c.x, 1, c.a.steps, c.a.classes), eager.Slice(c.transition, c.a.classes, c.a.classes)}, c.a.integers()...)
		grad, dA := make([]float64, len(c.x)), make([]float64, len(c.transition))
		v, err := l.Value(eager.Data{}, operands...)
		if err := errorsOf(err, l.Gradient(0, eager.Slice(grad, 1, c.a.steps, c.a.classes), eager.Data{}, operands...),
			l.Gradient(1, eager.Slice(dA, c.a.classes, c.a.classes), eager.Data{}, operands...)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		relative(t, c.name, []float64{v}, []float64{c.want})
		relative(t, c.name+", emissions", grad, c.grad)
		if c.dA != nil {
			relative(t, c.name+", transitions", dA, c.dA)
		}
	}
}

// Never negative, never NaN, whatever the sizes of scores and the lengths.
func TestLinearChainCRFRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	l := sequenceLoss(t, "LinearChainCRF", loss.WithReduction(loss.None))
	for run := 0; run < *sequenceRuns; run += 8 {
		a := tagged{n: 8, steps: 1 + r.IntN(6), classes: 1 + r.IntN(4)}
		for range a.n {
			a.lengths = append(a.lengths, r.IntN(a.steps+1))
			for range a.steps {
				a.tags = append(a.tags, r.IntN(a.classes))
			}
		}
		scale := []float64{1, 30, 1e3, 1e30}[r.IntN(4)]
		x, transition := normals(r, a.n*a.steps*a.classes, scale), normals(r, a.classes*a.classes, scale)
		if r.IntN(3) == 0 {
			transition[r.IntN(len(transition))] = math.Inf(-1)
		}
		values, grad := make([]float64, a.n), make([]float64, len(x))
		operands := append([]eager.Operand{eager.Slice(x, a.n, a.steps, a.classes), eager.Slice(transition, a.classes, a.classes)}, a.integers()...)
		if err := errorsOf(l.Values(eager.Slice(values, a.n), eager.Data{}, operands...), l.Gradient(0, eager.Slice(grad, a.n, a.steps, a.classes), eager.Data{}, operands...)); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if !(v >= 0) || math.Signbit(v) {
				t.Fatalf("run %d: value %v at row %d: %+v", run, v, i, a)
			}
		}
		for at := 0; at < len(grad); at += a.classes {
			sum := 0.0
			for _, d := range grad[at : at+a.classes] {
				sum += d
			}
			if !(math.Abs(sum) <= 1e-14) { // some roundings of numbers below 1
				t.Fatalf("run %d: the gradient %v sums to %v: %+v", run, grad[at:at+a.classes], sum, a)
			}
		}
	}
}

func TestLinearChainCRFFaults(t *testing.T) {
	with := func(tags, lengths []int) []eager.Operand {
		return append([]eager.Operand{eager.Slice(make([]float64, 12), 2, 2, 3), eager.Slice(make([]float64, 9), 3, 3)}, integerOperands(tags, [2]int{2, 2}, lengths)...)
	}
	for _, f := range []sequenceFault{
		{"LinearChainCRF", nil, with([]int{0, 1, 2, 3}, []int{2, 2}), loss.ErrValue,
			"loss.LinearChainCRF: tag 1 of row 1 is 3, want one in [0, 3)"},
		{"LinearChainCRF", nil, with([]int{0, -1, 2, 3}, []int{2, 1}), loss.ErrValue,
			"loss.LinearChainCRF: tag 1 of row 0 is -1, want one in [0, 3)"},
		{"LinearChainCRF", nil, with(make([]int, 4), []int{2, 3}), loss.ErrValue,
			"loss.LinearChainCRF: length is 3 at row 1, want at most 2"},
		{"LinearChainCRF", nil, with(make([]int, 4), []int{-1, 2}), loss.ErrValue,
			"loss.LinearChainCRF: length is -1 at row 0, want integers >= 0"},
		{"LinearChainCRF", []loss.Option{loss.WithStrict()}, with(make([]int, 4), []int{2, 2}), loss.ErrOption,
			"loss.LinearChainCRF: WithStrict is not an option of this loss"},
	} {
		f.test(t)
	}
	f := sequenceFault{"LinearChainCRF", nil, slices.Clone(with(make([]int, 4), []int{2, 2})), loss.ErrShape, "loss.LinearChainCRF: transitions have shape (3, 2), want (3, 3) to match emissions"}
	f.operands[1] = eager.Slice(make([]float64, 6), 3, 2)
	f.test(t)
}
