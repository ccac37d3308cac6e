package loss_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// transduced is a batch of lattices with targets.
type transduced struct {
	n, frames, width, classes, blank int // width: of targets
	targets, inputs, lengths         []int
}

func (a *transduced) shape() []int { return []int{a.n, a.frames, a.width + 1, a.classes} }

func (a *transduced) integers() []eager.Operand {
	return integerOperands(a.targets, [2]int{a.n, a.width}, a.inputs, a.lengths)
}

// enumerate returns the sum of a batch's losses by enumeration of all paths, for the logits of a
// node.
func (a *transduced) enumerate(z func(i, t, u, c int) *big.Float) *big.Float {
	total := oracleNumber(0)
	for i := range a.n {
		labels := a.targets[i*a.width:][:a.lengths[i]]
		prob := func(t, u, class int) *big.Float {
			sum, own := oracleNumber(0), oracleNumber(0)
			for c := range a.classes {
				e := bigExp(z(i, t, u, c))
				sum.Add(sum, e)
				if c == class {
					own = e
				}
			}
			return own.Quo(own, sum)
		}
		arcs := make(map[[3]int]*big.Float) // of the node (t, u): 0 the blank, 1 the label
		for t := range a.inputs[i] {
			for u := range len(labels) + 1 {
				arcs[[3]int{t, u, 0}] = prob(t, u, a.blank)
				if u < len(labels) {
					arcs[[3]int{t, u, 1}] = prob(t, u, labels[u])
				}
			}
		}
		all := oracleNumber(0)
		var walk func(t, u int, p *big.Float)
		walk = func(t, u int, p *big.Float) {
			if t == a.inputs[i] {
				if u == len(labels) {
					all.Add(all, p)
				}
				return
			}
			walk(t+1, u, new(big.Float).Mul(p, arcs[[3]int{t, u, 0}]))
			if u < len(labels) {
				walk(t, u+1, new(big.Float).Mul(p, arcs[[3]int{t, u, 1}]))
			}
		}
		walk(0, 0, oracleNumber(1))
		total.Sub(total, bigLog(all))
	}
	return total
}

// The oracle is the enumeration of all paths, for the value, the gradients and the Hessian.
func TestRNNTEnumerated(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, a := range []transduced{
		{2, 3, 2, 3, 0, []int{1, 2, 2, -7}, []int{3, 2}, []int{2, 1}},
		{2, 2, 1, 3, 2, []int{0, 9}, []int{2, 1}, []int{1, 0}},
		{1, 1, 3, 2, 1, []int{0, 0, 0}, []int{1}, []int{3}},
		{1, 4, 1, 2, 0, []int{1}, []int{4}, []int{1}},
	} {
		opts := []loss.Option{loss.WithReduction(loss.Sum), loss.WithBlank(a.blank)}
		joint := sequenceCase{loss: sequenceLoss(t, "RNNT", opts...), floats: [][]int{a.shape()}, integers: a.integers()}
		joint.compare(t, normals(r, product(a.shape()), 2), func(x []*big.Float) *big.Float {
			return a.enumerate(func(i, t, u, c int) *big.Float { return x[((i*a.frames+t)*(a.width+1)+u)*a.classes+c] })
		})
		terms := sequenceCase{loss: sequenceLoss(t, "RNNTAdditive", opts...), floats: [][]int{{a.n, a.frames, a.classes}, {a.n, a.width + 1, a.classes}}, integers: a.integers()}
		n := a.n * a.frames * a.classes
		terms.compare(t, normals(r, n+a.n*(a.width+1)*a.classes, 2), func(x []*big.Float) *big.Float {
			return a.enumerate(func(i, t, u, c int) *big.Float {
				return new(big.Float).Add(x[(i*a.frames+t)*a.classes+c], x[n+(i*(a.width+1)+u)*a.classes+c])
			})
		})
	}
}

// Never negative, never NaN; impossible only without frames, U = 0 included (k2 #1149). The rows of
// the gradient sum to 0, and nodes beyond the lengths have gradient 0.
func TestRNNTRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for run := 0; run < *sequenceRuns; run += 8 {
		a := transduced{n: 8, frames: 1 + r.IntN(5), width: 1 + r.IntN(3), classes: 2 + r.IntN(3)}
		for range a.n {
			a.inputs, a.lengths = append(a.inputs, r.IntN(a.frames+1)), append(a.lengths, r.IntN(a.width+1))
			for range a.width {
				a.targets = append(a.targets, 1+r.IntN(a.classes-1))
			}
		}
		x := normals(r, product(a.shape()), []float64{1, 30, 1e3, 1e30}[r.IntN(4)])
		l := sequenceLoss(t, "RNNT", loss.WithReduction(loss.None))
		values, grad, hess := make([]float64, a.n), make([]float64, len(x)), make([]float64, len(x))
		operands := append([]eager.Operand{eager.Slice(x, a.shape()...)}, a.integers()...)
		if err := errorsOf(l.Values(eager.Slice(values, a.n), eager.Data{}, operands...), l.Gradient(0, eager.Slice(grad, a.shape()...), eager.Data{}, operands...),
			l.HessianVector(eager.Slice(hess, a.shape()...), eager.Slice(normals(r, len(x), 1), a.shape()...), eager.Data{}, operands...)); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if impossible := a.inputs[i] == 0 && a.lengths[i] > 0; !(v >= 0) || math.Signbit(v) || impossible != math.IsInf(v, 1) {
				t.Fatalf("run %d: value %v at row %d: %+v", run, v, i, a)
			}
		}
		for at := 0; at < len(grad); at += a.classes {
			node := at / a.classes
			i, f, u := node/(a.width+1)/a.frames, node/(a.width+1)%a.frames, node%(a.width+1)
			sum := 0.0
			for c, d := range grad[at : at+a.classes] {
				if (f >= a.inputs[i] || u > a.lengths[i]) && d != 0 || hess[at+c] != hess[at+c] {
					t.Fatalf("run %d: derivatives %v and %v at row %d, node (%d, %d): %+v", run, d, hess[at+c], i, f, u, a)
				}
				sum += d
			}
			if !(math.Abs(sum) <= 1e-14) { // some roundings of numbers below 1
				t.Fatalf("run %d: the gradient %v sums to %v: %+v", run, grad[at:at+a.classes], sum, a)
			}
		}
	}
}

// Corners, each a lattice of its own.
func TestRNNTCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name string
		x    []float64
		a    transduced
		want float64
		grad []float64
	}{
		// Sure nodes keep their digits: log(1+e^-40) for each of two steps.
		{"sure", []float64{0, 40, 40, 0}, transduced{1, 1, 1, 2, 0, []int{1}, []int{1}, []int{1}}, 2 * math.Exp(-40),
			[]float64{math.Exp(-40), -math.Exp(-40), -math.Exp(-40), math.Exp(-40)}},
		{"NaN", []float64{0, nan, 0, 0}, transduced{1, 1, 1, 2, 0, []int{1}, []int{1}, []int{1}}, nan,
			[]float64{nan, nan, nan, nan}},
		{"+Inf", []float64{0, inf, 0, 0}, transduced{1, 1, 1, 2, 0, []int{1}, []int{1}, []int{1}}, nan,
			[]float64{nan, nan, nan, nan}},
		{"NaN beyond the labels", []float64{0, 0, nan, nan}, transduced{1, 1, 1, 2, 0, []int{-1}, []int{1}, []int{0}},
			math.Ln2, []float64{-.5, .5, 0, 0}},
		{"only -Inf in a node", []float64{-inf, -inf, 0, 0}, transduced{1, 1, 1, 2, 0, []int{1}, []int{1}, []int{1}},
			nan, []float64{nan, nan, nan, nan}},
		{"forbidden label", []float64{0, -inf, 0, 0}, transduced{1, 1, 1, 2, 0, []int{1}, []int{1}, []int{1}}, inf,
			[]float64{0, 0, 0, 0}},
		{"no frames", []float64{nan, nan}, transduced{1, 1, 0, 2, 0, []int{-9}, []int{0}, []int{0}}, 0, []float64{0, 0}},
		{"largest logits", []float64{-3e38, 3e38, 3e38, -3e38},
			transduced{1, 1, 1, 2, 0, []int{1}, []int{1}, []int{1}}, 0, []float64{0, 0, 0, 0}},
	} {
		l := sequenceLoss(t, "RNNT", loss.WithReduction(loss.Sum))
		operands := append([]eager.Operand{eager.Slice(c.x, c.a.shape()...)},
			integerOperands(c.a.targets, [2]int{1, 1}, c.a.inputs, c.a.lengths)...)
		grad := make([]float64, len(c.x))
		v, err := l.Value(eager.Data{}, operands...)
		if err := errorsOf(err, l.Gradient(0, eager.Slice(grad, c.a.shape()...), eager.Data{}, operands...)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		relative(t, c.name, []float64{v}, []float64{c.want})
		relative(t, c.name+", gradient", grad, c.grad)
	}
}

// The additive form is the joint one on the sums.
func TestRNNTAdditiveIsRNNT(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	a := transduced{2, 3, 2, 4, 0, []int{1, 2, 3, 3}, []int{3, 2}, []int{2, 2}}
	encoder, predictor := normals(r, 2*3*4, 2), normals(r, 2*3*4, 2)
	var sums []float64
	for i := range 2 {
		for f := range 3 {
			for u := range 3 {
				for c := range 4 {
					sums = append(sums, encoder[(i*3+f)*4+c]+predictor[(i*3+u)*4+c])
				}
			}
		}
	}
	joint, err := sequenceLoss(t, "RNNT").Value(eager.Data{}, append([]eager.Operand{eager.Slice(sums, a.shape()...)}, a.integers()...)...)
	if err != nil {
		t.Fatal(err)
	}
	additive, err := sequenceLoss(t, "RNNTAdditive").Value(eager.Data{}, append([]eager.Operand{eager.Slice(encoder, 2, 3, 4), eager.Slice(predictor, 2, 3, 4)}, a.integers()...)...)
	if err != nil {
		t.Fatal(err)
	}
	nearList(t, "value", []float64{additive}, []float64{joint}, 0)
}

// The sums are never held: here they would be 41 MB.
func TestRNNTAdditiveMemory(t *testing.T) {
	const frames, width, classes = 100, 50, 1024
	encoder, predictor := make([]float64, frames*classes), make([]float64, (width+1)*classes)
	grad := [2]eager.Operand{eager.Slice(make([]float64, len(encoder)), 1, frames, classes), eager.Slice(make([]float64, len(predictor)), 1, width+1, classes)}
	operands := append([]eager.Operand{eager.Slice(encoder, 1, frames, classes), eager.Slice(predictor, 1, width+1, classes)},
		integerOperands(slices.Repeat([]int{7}, width), [2]int{1, width}, []int{frames}, []int{width})...)
	l := sequenceLoss(t, "RNNTAdditive")
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	_, err := l.ValueGradients(grad[:], eager.Data{}, operands...)
	runtime.ReadMemStats(&end)
	if err != nil {
		t.Fatal(err)
	}
	if used := end.TotalAlloc - start.TotalAlloc; used > frames*(width+1)*classes*8/10 && !raceEnabled {
		t.Errorf("%d bytes allocated", used)
	}
}

func TestRNNTFaults(t *testing.T) {
	with := func(change func(a *transduced)) []eager.Operand {
		a := transduced{2, 3, 2, 3, 0, []int{1, 2, 2, 2}, []int{3, 3}, []int{2, 2}}
		change(&a)
		return append([]eager.Operand{eager.Slice(make([]float64, 54), 2, 3, 3, 3)}, a.integers()...)
	}
	for _, f := range []sequenceFault{
		{"RNNT", nil, with(func(a *transduced) { a.targets[3] = 3 }), loss.ErrValue,
			"loss.RNNT: target 1 of row 1 is 3, want one in [0, 3)"},
		{"RNNT", nil, with(func(a *transduced) { a.targets[0] = 0 }), loss.ErrValue,
			"loss.RNNT: target 0 of row 0 is 0, which is the blank"},
		{"RNNT", nil, with(func(a *transduced) { a.inputs[1] = 4 }), loss.ErrValue,
			"loss.RNNT: input length is 4 at row 1, want at most 3"},
		{"RNNT", nil, with(func(a *transduced) { a.lengths[1] = 3 }), loss.ErrValue,
			"loss.RNNT: target length is 3 at row 1, want at most 2"},
		{"RNNT", nil, with(func(a *transduced) { a.lengths[0] = -1 }), loss.ErrValue,
			"loss.RNNT: target length is -1 at row 0, want integers >= 0"},
		{"RNNT", nil, with(func(a *transduced) { a.width, a.targets = 1, []int{1, 1} }), loss.ErrShape,
			"loss.RNNT: targets have 1 columns and the labels' axis of the logits 3, want one more than the targets"},
		{"RNNT", []loss.Option{loss.WithBlank(3)}, with(func(*transduced) {}), loss.ErrOption,
			"loss.RNNT: WithBlank is 3, want a class below 3, or -1 for the last"},
		{"RNNT", []loss.Option{loss.WithFastEmit(-1)}, with(func(*transduced) {}), loss.ErrOption,
			"loss.RNNT: WithFastEmit is -1, want a finite number >= 0"},
		{"RNNT", []loss.Option{loss.WithStrict()}, with(func(a *transduced) { a.inputs[1] = 0 }), loss.ErrValue,
			"loss.RNNT: row 1 is impossible: no frames for 2 labels"},
	} {
		f.test(t)
	}
	l := sequenceLoss(t, "RNNT", loss.WithFastEmit(.5))
	x := make([]float64, 54)
	if err := l.HessianVector(eager.Slice(x, 2, 3, 3, 3), eager.Slice(slices.Repeat([]float64{1}, 54), 2, 3, 3, 3), eager.Data{}, with(func(*transduced) {})...); !errors.Is(err, loss.ErrOption) {
		t.Errorf("the second order of FastEmit: error %v, want an ErrOption", err)
	}
}
