package loss_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// aligned is a batch of frames with targets.
type aligned struct {
	frames, n, classes, width, blank int
	targets, inputs, lengths         []int
}

func (a *aligned) labels(i int) []int { return a.targets[i*a.width:][:a.lengths[i]] }

func (a *aligned) shape() []int { return []int{a.frames, a.n, a.classes} }

func (a *aligned) integers() []eager.Operand {
	return integerOperands(a.targets, [2]int{a.n, a.width}, a.inputs, a.lengths)
}

// collapse removes repetitions, then blanks.
func collapse(path []int, blank int) (out []int) {
	for t, c := range path {
		if c != blank && (t == 0 || c != path[t-1]) {
			out = append(out, c)
		}
	}
	return out
}

// enumerate returns the sum of a batch's losses by enumeration of all paths.
func (a *aligned) enumerate(x []*big.Float, softmax bool) *big.Float {
	total := oracleNumber(0)
	for i := range a.n {
		e := make([][]*big.Float, a.inputs[i])
		all := oracleNumber(1)
		for t := range e {
			sum := oracleNumber(0)
			for c := range a.classes {
				v := bigExp(x[(t*a.n+i)*a.classes+c])
				e[t] = append(e[t], v)
				sum.Add(sum, v)
			}
			all.Mul(all, sum)
		}
		good := oracleNumber(0)
		var walk func(path []int, p *big.Float)
		walk = func(path []int, p *big.Float) {
			if len(path) == len(e) {
				if slices.Equal(collapse(path, a.blank), a.labels(i)) {
					good.Add(good, p)
				}
				return
			}
			for c, v := range e[len(path)] {
				walk(append(path, c), new(big.Float).Mul(p, v))
			}
		}
		walk(make([]int, 0, len(e)), oracleNumber(1))
		if softmax {
			good.Quo(good, all)
		}
		total.Sub(total, bigLog(good))
	}
	return total
}

// The oracle is the enumeration of all paths, for the value, the gradient and the Hessian.
func TestCTCEnumerated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, a := range []aligned{
		{5, 2, 3, 3, 0, []int{1, 2, 1, 2, 2, 0}, []int{5, 4}, []int{3, 2}},
		{5, 2, 3, 2, 2, []int{0, 0, 1, 9}, []int{3, 5}, []int{2, 1}},
		{4, 2, 2, 2, 0, []int{-1, 5, 1, 1}, []int{4, 3}, []int{0, 2}},
		{3, 1, 4, 3, 0, []int{1, 2, 3}, []int{3}, []int{3}},
		{7, 1, 2, 2, 0, []int{1, 1}, []int{7}, []int{2}},
		{1, 1, 3, 1, 1, []int{2}, []int{1}, []int{1}},
	} {
		x := normals(r, product(a.shape()), 2)
		for _, name := range []string{"CTC", "CTCFromLogProb"} {
			c := sequenceCase{loss: sequenceLoss(t, name, loss.WithReduction(loss.Sum), loss.WithBlank(a.blank)), floats: [][]int{a.shape()}, integers: a.integers()}
			c.compare(t, x, func(z []*big.Float) *big.Float { return a.enumerate(z, name == "CTC") })
		}
	}
}

// random is a batch with impossible, empty and repeated targets, and frames of length 0.
func randomAligned(r *rand.Rand) *aligned {
	a := &aligned{frames: 1 + r.IntN(7), n: 8, classes: 1 + r.IntN(4), width: 1 + r.IntN(5)}
	a.blank = r.IntN(a.classes)
	for range a.n {
		a.inputs = append(a.inputs, r.IntN(a.frames+1))
		n := r.IntN(a.width + 1)
		if a.classes == 1 {
			n = 0
		}
		a.lengths = append(a.lengths, n)
		for k := range a.width {
			label := -1 << 30 // beyond the length: never read
			if k < n {
				if label = r.IntN(a.classes); label == a.blank {
					label = (label + 1) % a.classes
				}
			}
			a.targets = append(a.targets, label)
		}
	}
	return a
}

// Never negative and never NaN (optax #1771, keras #23684), +Inf exactly where the lengths forbid
// the labels, or 0 then (returnn #1835); the rows of the gradient sum to 0 (pytorch #52241).
func TestCTCRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for run := 0; run < *sequenceRuns; run += 8 {
		a := randomAligned(r)
		scale := []float64{1, 30, 1e3, 1e30}[r.IntN(4)]
		x := normals(r, product(a.shape()), scale)
		forbidden := r.IntN(3) == 0 && a.classes > 1
		for at := 0; forbidden && at < len(x); at += a.classes {
			if r.IntN(3) == 0 {
				x[at+r.IntN(a.classes)] = math.Inf(-1)
			}
		}
		for _, zero := range []bool{false, true} {
			opts := []loss.Option{loss.WithReduction(loss.None), loss.WithBlank(a.blank)}
			if zero {
				opts = append(opts, loss.WithZeroInfinity())
			}
			l := sequenceLoss(t, "CTC", opts...)
			operands := append([]eager.Operand{eager.Slice(x, a.shape()...)}, a.integers()...)
			values, grad, hess := make([]float64, a.n), make([]float64, len(x)), make([]float64, len(x))
			if err := errorsOf(l.Values(eager.Slice(values, a.n), eager.Data{}, operands...),
				l.Gradient(0, eager.Slice(grad, a.shape()...), eager.Data{}, operands...),
				l.HessianVector(eager.Slice(hess, a.shape()...), eager.Slice(normals(r, len(x), 1), a.shape()...), eager.Data{}, operands...)); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				labels := a.labels(i)
				need := len(labels)
				for k := 1; k < len(labels); k++ {
					if labels[k] == labels[k-1] {
						need++
					}
				}
				impossible := a.inputs[i] < need
				if zero && impossible && v != 0 || !zero && impossible && !math.IsInf(v, 1) || !forbidden && !impossible && math.IsInf(v, 1) || !(v >= 0) || math.Signbit(v) {
					t.Fatalf("run %d: value %v, impossible %v: %+v, row %d, logits %v", run, v, impossible, a, i, x)
				}
				for f := range a.frames {
					row, second := grad[(f*a.n+i)*a.classes:][:a.classes], hess[(f*a.n+i)*a.classes:][:a.classes]
					sum := 0.0
					for c, d := range row {
						sum += d
						if f >= a.inputs[i] && d != 0 || second[c] != second[c] || v == math.Inf(1) && second[c] != 0 {
							t.Fatalf("run %d: the derivatives are %v and %v at row %d, frame %d: %+v", run, row,
								second, i, f, a)
						}
					}
					if !(math.Abs(sum) <= 1e-14) { // some roundings of numbers below 1
						t.Fatalf("run %d: the gradient %v sums to %v at row %d, frame %d: %+v", run, row, sum, i, f, a)
					}
				}
			}
		}
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Corners, each in a row of its own.
func TestCTCCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name       string
		x          []float64 // one sequence
		a          aligned
		want       float64
		grad, hess []float64
	}{
		// Sure frames keep their digits: 3·log(1 + 2e^-40), and p - 1 = -2e^-40 in each.
		{"sure", []float64{40, 0, 0, 40, 0, 0, 40, 0, 0}, aligned{3, 1, 3, 1, 0, []int{1}, []int{3}, []int{0}}, 6 * math.Exp(-40),
			slices.Repeat([]float64{-2 * math.Exp(-40), math.Exp(-40), math.Exp(-40)}, 3), nil},
		{"NaN", []float64{1, nan, 2, 1}, aligned{2, 1, 2, 1, 0, []int{1}, []int{2}, []int{1}}, nan,
			[]float64{nan, nan, nan, nan}, []float64{nan, nan, nan, nan}},
		{"NaN behind the length", []float64{0, 0, nan, 1}, aligned{2, 1, 2, 1, 0, []int{1}, []int{1}, []int{1}},
			math.Ln2, []float64{.5, -.5, 0, 0}, nil},
		{"+Inf", []float64{1, inf, 2, 1}, aligned{2, 1, 2, 1, 0, []int{1}, []int{2}, []int{1}}, nan,
			[]float64{nan, nan, nan, nan}, nil},
		{"only -Inf in a frame", []float64{1, 2, -inf, -inf}, aligned{2, 1, 2, 1, 0, []int{1}, []int{2}, []int{1}},
			nan, []float64{nan, nan, nan, nan}, nil},
		{"forbidden label", []float64{1, -inf, 2, -inf}, aligned{2, 1, 2, 1, 0, []int{1}, []int{2}, []int{1}}, inf,
			[]float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}},
		{"no frames", []float64{nan, nan}, aligned{1, 1, 2, 1, 0, []int{1}, []int{0}, []int{0}}, 0, []float64{0, 0},
			[]float64{0, 0}},
		{"no frames for a label", []float64{nan, nan}, aligned{1, 1, 2, 1, 0, []int{1}, []int{0}, []int{1}}, inf,
			[]float64{0, 0}, []float64{0, 0}},
		{"largest logits", []float64{-3e38, 3e38, 3e38, -3e38}, aligned{2, 1, 2, 1, 0, []int{1}, []int{2}, []int{1}},
			0, []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}},
		// A repetition without room for its blank: 0 probability, whatever the logits.
		{"repetition", []float64{0, 9, 0, 9}, aligned{2, 1, 2, 2, 0, []int{1, 1}, []int{2}, []int{2}}, inf,
			[]float64{0, 0, 0, 0}, nil},
		// Five paths of two unlikely frames: probabilities far below float64's range.
		{"wide", []float64{0, -800, -800, 0, -800, -800, -800, 0, -800, -800, -800, 0},
			aligned{4, 1, 3, 2, 0, []int{2, 1}, []int{4}, []int{2}}, 1600 - math.Log(5), nil, nil},
	} {
		l := sequenceLoss(t, "CTC", loss.WithReduction(loss.Sum))
		operands := append([]eager.Operand{eager.Slice(c.x, c.a.shape()...)}, c.a.integers()...)
		grad, hess := make([]float64, len(c.x)), make([]float64, len(c.x))
		v, err := l.Value(eager.Data{}, operands...)
		if err := errorsOf(err, l.Gradient(0, eager.Slice(grad, c.a.shape()...), eager.Data{}, operands...),
			l.HessianVector(eager.Slice(hess, c.a.shape()...), eager.Slice(slices.Repeat([]float64{1}, len(c.x)), c.a.shape()...), eager.Data{}, operands...)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		relative(t, c.name, []float64{v}, []float64{c.want})
		if c.grad != nil {
			relative(t, c.name+", gradient", grad, c.grad)
		}
		if c.hess != nil {
			relative(t, c.name+", Hessian", hess, c.hess)
		}
	}
}

// relative compares numbers that are the same within a few roundings of each.
func relative(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i, w := range want {
		if !near64(got[i], w, 1e-14, 0) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// The mean divides by target lengths, a normalizer does not; weights of 0 are not read.
func TestCTCMean(t *testing.T) {
	a := aligned{4, 3, 3, 2, 0, []int{1, 2, 2, 0, 0, 0}, []int{4, 4, 4}, []int{2, 1, 0}}
	x := normals(rand.New(rand.NewPCG(5, 6)), product(a.shape()), 1)
	operands := append([]eager.Operand{eager.Slice(x, a.shape()...)}, a.integers()...)
	none := make([]float64, 3)
	if err := sequenceLoss(t, "CTC", loss.WithReduction(loss.None)).Values(eager.Slice(none, 3), eager.Data{}, operands...); err != nil {
		t.Fatal(err)
	}
	weights := eager.Data{Weights: eager.Slice([]float64{1, 3, 2}, 3)}
	for _, c := range []struct {
		data eager.Data
		opts []loss.Option
		want float64
	}{
		{eager.Data{}, nil, (none[0]/2 + none[1] + none[2]) / 3},
		{weights, nil, (none[0]/2 + 3*none[1] + 2*none[2]) / 6},
		{weights, []loss.Option{loss.WithNormalizer(4)}, (none[0] + 3*none[1] + 2*none[2]) / 4},
		{weights, []loss.Option{loss.WithReduction(loss.Sum)}, none[0] + 3*none[1] + 2*none[2]},
	} {
		got, err := sequenceLoss(t, "CTC", c.opts...).Value(c.data, operands...)
		if err != nil {
			t.Fatal(err)
		}
		relative(t, "mean", []float64{got}, []float64{c.want})
	}
}

func TestCTCFaults(t *testing.T) {
	with := func(change func(a *aligned)) []eager.Operand {
		a := aligned{3, 2, 3, 2, 0, []int{1, 2, 2, 2}, []int{3, 3}, []int{2, 2}}
		change(&a)
		return append([]eager.Operand{eager.Slice(make([]float64, 18), 3, 2, 3)}, a.integers()...)
	}
	for _, f := range []sequenceFault{
		{"CTC", nil, with(func(a *aligned) { a.targets[3] = 3 }), loss.ErrValue,
			"loss.CTC: target 1 of row 1 is 3, want one in [0, 3)"},
		{"CTC", nil, with(func(a *aligned) { a.targets[2] = -1 }), loss.ErrValue,
			"loss.CTC: target 0 of row 1 is -1, want one in [0, 3)"},
		{"CTC", nil, with(func(a *aligned) { a.targets[1] = 0 }), loss.ErrValue,
			"loss.CTC: target 1 of row 0 is 0, which is the blank"},
		{"CTC", []loss.Option{loss.WithBlank(-1)}, with(func(*aligned) {}), loss.ErrValue,
			"loss.CTC: target 1 of row 0 is 2, which is the blank"},
		{"CTC", nil, with(func(a *aligned) { a.inputs[1] = 4 }), loss.ErrValue,
			"loss.CTC: input length is 4 at row 1, want at most 3"},
		{"CTC", nil, with(func(a *aligned) { a.lengths[0] = 3 }), loss.ErrValue,
			"loss.CTC: target length is 3 at row 0, want at most 2"},
		{"CTC", nil, with(func(a *aligned) { a.lengths[1] = -1 }), loss.ErrValue,
			"loss.CTC: target length is -1 at row 1, want integers >= 0"},
		{"CTC", nil, with(func(a *aligned) { a.inputs[0] = -2 }), loss.ErrValue,
			"loss.CTC: input length is -2 at row 0, want integers >= 0"},
		{"CTC", nil, with(func(a *aligned) { a.inputs = a.inputs[:1] }), loss.ErrShape,
			"loss.CTC: input lengths have shape (1), want (2) to match logits"},
		{"CTC", []loss.Option{loss.WithStrict()}, with(func(a *aligned) { a.inputs[1] = 2 }), loss.ErrValue,
			"loss.CTC: row 1 is impossible: 2 frames, want 3 for 2 labels with 1 repetitions"},
		{"CTC", []loss.Option{loss.WithBlank(3)}, with(func(*aligned) {}), loss.ErrOption,
			"loss.CTC: WithBlank is 3, want a class below 3, or -1 for the last"},
		{"CTC", []loss.Option{loss.WithFastEmit(1)}, with(func(*aligned) {}), loss.ErrOption,
			"loss.CTC: WithFastEmit is not an option of this loss"},
		{"CTC", []loss.Option{loss.WithBlank(-2)}, with(func(*aligned) {}), loss.ErrOption,
			"loss.CTC: WithBlank is -2, want a class, or -1 for the last"},
	} {
		f.test(t)
	}
	x := slices.Repeat([]float64{0, math.Inf(-1), 0}, 6)
	strict := sequenceFault{"CTC", []loss.Option{loss.WithStrict(), loss.WithZeroInfinity()}, with(func(*aligned) {}), loss.ErrValue, "loss.CTC: row 0 is impossible: every path has a logit of -Inf"}
	strict.operands[0] = eager.Slice(x, 3, 2, 3)
	strict.test(t)
}

// The recursion on probabilities and the one on logarithms agree, on easy sequences, on those beyond
// float64's range for probabilities, and on nearly sure ones: the first is that of CTC where it can
// be, the second that of CTCFromLogProb.
func TestCTCRecursions(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	const frames, classes, width = 300, 5, 60
	for _, c := range []struct {
		scale, lift float64 // of all logits; of those along an alignment
		length      int
	}{{1, 0, 60}, {3, 0, 60}, {30, 0, 30}, {1000, 0, 10}, {1, 8, 60}, {1, 40, 60}, {0, -40, 60}} {
		targets := make([]int, width)
		for k := range targets {
			targets[k] = 1 + r.IntN(classes-1)
		}
		x := normals(r, frames*classes, c.scale)
		for f := range frames { // a label in every fifth frame, blanks between
			class := 0
			if f%5 == 2 && f/5 < c.length {
				class = targets[f/5]
			}
			x[f*classes+class] += c.lift
		}
		logProb, p := make([]float64, len(x)), make([]float64, len(x))
		for at := 0; at < len(x); at += classes {
			top := slices.Max(x[at : at+classes])
			sum := 0.0
			for _, v := range x[at : at+classes] {
				sum += math.Exp(v - top)
			}
			for i, v := range x[at : at+classes] {
				// log1p keeps the digits of a sure class.
				logProb[at+i] = v - top - math.Log1p(sum-1)
				p[at+i] = math.Exp(v-top) / sum
			}
		}
		solve := func(name string, x []float64) (value float64, grad []float64) {
			operands := append([]eager.Operand{eager.Slice(x, frames, 1, classes)},
				integerOperands(targets, [2]int{1, width}, []int{frames}, []int{c.length})...)
			grad = make([]float64, len(x))
			value, err := sequenceLoss(t, name, loss.WithReduction(loss.Sum)).ValueGradient(eager.Slice(grad, frames, 1, classes), eager.Data{}, operands...)
			if err != nil {
				t.Fatal(err)
			}
			return value, grad
		}
		value, grad := solve("CTC", x)
		want, posterior := solve("CTCFromLogProb", logProb)
		for i, v := range posterior {
			posterior[i] = p[i] + v
		}
		// 300 frames with roundings of log-probabilities up to 3000, 4.5e-13 each
		nearList(t, "value", []float64{value}, []float64{want}, 1e-11)
		nearList(t, "gradient", grad, posterior, 1e-11)
	}
}

// What a row has beyond its lengths, and the rows beside it, change no bit.
func TestCTCPadding(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const frames, n, classes, width = 6, 3, 4, 3
	x := normals(r, frames*n*classes, 2)
	padded := slices.Clone(x)
	for f := 4; f < frames; f++ {
		for c := range classes {
			padded[(f*n+1)*classes+c] = math.NaN()
		}
	}
	l := sequenceLoss(t, "CTC", loss.WithReduction(loss.None))
	solve := func(x []float64, n int, a []eager.Operand) (values, grad []float64) {
		values, grad = make([]float64, n), make([]float64, len(x))
		frames := len(x) / n / classes
		operands := append([]eager.Operand{eager.Slice(x, frames, n, classes)}, a...)
		if err := errorsOf(l.Values(eager.Slice(values, n), eager.Data{}, operands...), l.Gradient(0, eager.Slice(grad, frames, n, classes), eager.Data{}, operands...)); err != nil {
			t.Fatal(err)
		}
		return values, grad
	}
	values, grad := solve(padded, n, integerOperands([]int{1, 2, 3, 2, 2, -5, 1, 1, 1}, [2]int{n, width}, []int{6, 4, 5}, []int{3, 2, 1}))
	var own []float64
	for f := range 4 {
		own = append(own, x[(f*n+1)*classes:][:classes]...)
	}
	value, alone := solve(own, 1, integerOperands([]int{2, 2}, [2]int{1, 2}, []int{4}, []int{2}))
	nearList(t, "value", values[1:2], value, 0)
	for f := range 4 {
		nearList(t, "gradient", grad[(f*n+1)*classes:][:classes], alone[f*classes:][:classes], 0)
	}
}

// T = 2,000, S = 400, N = 8, C = 128: beside logits and gradient at most one forward recursion for
// each core, and a tenth of it for all else.
func TestCTCMemory(t *testing.T) {
	const frames, n, classes, width = 2000, 8, 128, 400
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	r := rand.New(rand.NewPCG(9, 10))
	x, grad := make([]float32, frames*n*classes), make([]float32, frames*n*classes)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	targets := make([]int, n*width)
	for i := range targets {
		targets[i] = 1 + r.IntN(classes-1)
	}
	operands := append([]eager.Operand{eager.Slice(x, frames, n, classes)},
		integerOperands(targets, [2]int{n, width}, slices.Repeat([]int{frames}, n), slices.Repeat([]int{width}, n))...)
	l := sequenceLoss(t, "CTC")
	runtime.GC()
	runtime.GC() // nothing is kept from before
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	v, err := l.ValueGradient(eager.Slice(grad, frames, n, classes), eager.Data{}, operands...)
	runtime.ReadMemStats(&end)
	if err != nil || !(v > 0) || math.IsInf(v, 1) {
		t.Fatalf("value %v, error %v", v, err)
	}
	columns := uint64(8 * frames * (2*width + 1))
	if used := end.TotalAlloc - start.TotalAlloc; used > 2*columns+columns/10 && !raceEnabled {
		t.Errorf("%d bytes allocated, want at most two forward recursions of %d", used, columns)
	}
}
