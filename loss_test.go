// Package surprisal_test holds the contract of every registered loss, by the public API alone.
package surprisal_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const seed = 20261120 // printed with every failure of a random problem

// A problem is data for one loss: rows of classes, with labels or a floating target.
type problem struct {
	rows, classes int
	pred, target  []float64
	labels        []int
	lists         bool // labels has a list of classes for each row
	elementwise   bool
	weights, mask []float64 // optional
}

// variants are the problems of a loss: one, or two where a target may be labels or floating.
func variants(name string, rows, classes int) map[string]problem {
	info, _ := loss.Describe(name)
	r := rand.New(rand.NewPCG(seed, uint64(rows*1000+classes)))
	p := problem{rows: rows, classes: classes, elementwise: info.Elementwise, pred: draw(r, info.Pred, rows, classes)}
	out := map[string]problem{}
	switch info.Target {
	case loss.LabelsOrSoft:
		out["labels"] = p.withLabels(r)
		p.target = draw(r, loss.SoftTargets, rows, classes)
		out["soft"] = p
	case loss.Labels:
		out["labels"] = p.withLabels(r)
	case loss.ClassLists:
		for range rows {
			p.labels = append(p.labels, r.Perm(classes)...)
			p.labels[len(p.labels)-1-r.IntN(classes)] = -1
		}
		p.lists = true
		out["lists"] = p
	default:
		p.target = draw(r, info.Target, rows, classes)
		out["target"] = p
	}
	return out
}

func (p problem) withLabels(r *rand.Rand) problem {
	for range p.rows {
		p.labels = append(p.labels, r.IntN(p.classes))
	}
	return p
}

// draw returns entries of a domain, a float32 grid apart so that both dtypes hold the same numbers.
func draw(r *rand.Rand, d loss.Domain, rows, classes int) []float64 {
	x := make([]float64, rows*classes)
	for i := range x {
		n := r.NormFloat64()
		switch d {
		case loss.UnitInterval:
			x[i] = 0.05 + 0.9*r.Float64()
		case loss.Counts, loss.Positive:
			x[i] = 0.2 + 3*r.Float64()
		case loss.Signs:
			x[i] = math.Copysign(1, n)
		case loss.Cosines:
			x[i] = 1.8*r.Float64() - 0.9
		default:
			x[i] = 1.5 * n
		}
	}
	switch d {
	case loss.Probabilities, loss.SoftTargets:
		x = softmaxRows(x, classes)
	case loss.LogProbabilities, loss.NonPositive:
		x = softmaxRows(x, classes)
		for i, p := range x {
			x[i] = math.Log(p)
		}
	}
	for i := range x {
		x[i] = float64(float32(x[i]))
	}
	return x
}

// size is the number of values under None.
func (p problem) size() int {
	if p.elementwise {
		return p.rows * p.classes
	}
	return p.rows
}

// keep returns the problem with the rows of the list, in its order.
func (p problem) keep(rows []int) problem {
	q := p
	q.rows, q.pred, q.target, q.labels, q.weights, q.mask = len(rows), nil, nil, nil, nil, nil
	per := p.size() / p.rows
	for _, i := range rows {
		q.pred = append(q.pred, p.pred[i*p.classes:(i+1)*p.classes]...)
		if p.target != nil {
			q.target = append(q.target, p.target[i*p.classes:(i+1)*p.classes]...)
		} else if p.lists {
			q.labels = append(q.labels, p.labels[i*p.classes:(i+1)*p.classes]...)
		} else {
			q.labels = append(q.labels, p.labels[i])
		}
		if p.weights != nil {
			q.weights = append(q.weights, p.weights[i*per:(i+1)*per]...)
		}
		if p.mask != nil {
			q.mask = append(q.mask, p.mask[i*per:(i+1)*per]...)
		}
	}
	return q
}

// A built problem is its nodes in a graph of their own.
type built struct {
	g            *G.ExprGraph
	pred, target *G.Node
	opts         []loss.Option
}

func floats(g *G.ExprGraph, dt tensor.Dtype, name string, x []float64, shape ...int) *G.Node {
	var backing any = slices.Clone(x)
	if dt == tensor.Float32 {
		y := make([]float32, len(x))
		for i, v := range x {
			y[i] = float32(v)
		}
		backing = y
	}
	return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName(name),
		G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))))
}

func (p problem) build(dt tensor.Dtype) built {
	b := built{g: G.NewGraph()}
	b.pred = floats(b.g, dt, "pred", p.pred, p.rows, p.classes)
	if p.target != nil {
		b.target = floats(b.g, dt, "target", p.target, p.rows, p.classes)
	} else {
		shape := []int{p.rows}
		if p.lists {
			shape = append(shape, p.classes)
		}
		b.target = G.NewTensor(b.g, tensor.Int, len(shape), G.WithShape(shape...), G.WithName("labels"),
			G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(p.labels)))))
	}
	shape := []int{p.rows}
	if p.elementwise {
		shape = []int{p.rows, p.classes}
	}
	if p.weights != nil {
		b.opts = append(b.opts, loss.WithWeights(floats(b.g, dt, "weights", p.weights, shape...)))
	}
	if p.mask != nil {
		b.opts = append(b.opts, loss.WithMask(floats(b.g, dt, "mask", p.mask, shape...)))
	}
	return b
}

// A result is the value of a loss and its gradient by the prediction.
type result struct{ value, grad []float64 }

func numbers(t *testing.T, v G.Value) []float64 {
	t.Helper()
	switch d := v.Data().(type) {
	case float64:
		return []float64{d}
	case float32:
		return []float64{float64(d)}
	case []float64:
		return slices.Clone(d)
	case []float32:
		out := make([]float64, len(d))
		for i, x := range d {
			out[i] = float64(x)
		}
		return out
	}
	t.Fatalf("value of type %T", v.Data())
	return nil
}

// solve runs a loss on a TapeMachine with this module's reverse pass, a vector's through its sum.
func solve(t *testing.T, fn loss.Func, p problem, dt tensor.Dtype, opts ...loss.Option) result {
	t.Helper()
	return run(t, fn, p, dt, false, opts)
}

func run(t *testing.T, fn loss.Func, p problem, dt tensor.Dtype, lisp bool, opts []loss.Option) result {
	t.Helper()
	b := p.build(dt)
	out, err := fn(b.pred, b.target, append(b.opts, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	cost := out
	if !out.IsScalar() {
		cost = G.Must(G.Sum(out))
	}
	var value, grad G.Value
	var m G.VM = G.NewLispMachine(b.g)
	if !lisp {
		grads, err := loss.Gradients(cost, b.pred)
		if err != nil {
			t.Fatal(err)
		}
		G.Read(out, &value)
		G.Read(grads[0], &grad)
		m = G.NewTapeMachine(b.g)
	}
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	if lisp {
		value = out.Value()
		if grad, err = b.pred.Grad(); err != nil {
			t.Fatal(err)
		}
	}
	return result{numbers(t, value), numbers(t, grad)}
}

// near compares numbers to tol, relative to the larger, or to 1 where both are small.
func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= tol*max(1, math.Abs(want[i]))) {
			t.Errorf("%s: element %d is %v, want %v within %g (seed %d)", what, i, got[i], want[i], tol, seed)
			return
		}
	}
}

func total(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}

const (
	tight  = 1e-12       // sums of a few dozen float64 terms in another order
	single = 4 * 0x1p-24 // float32 results are rounded once, and the inputs are the same in both dtypes
)

// forEach runs a subtest for every registered loss and kind of target.
func forEach(t *testing.T, rows, classes int, f func(t *testing.T, fn loss.Func, p problem, info loss.Info)) {
	for name, fn := range loss.All() {
		for kind, p := range variants(name, rows, classes) {
			if info, _ := loss.Describe(name); !info.Grouped && info.Requires == nil { // the others are in package loss
				t.Run(name+"/"+kind, func(t *testing.T) { f(t, fn, p, info) })
			}
		}
	}
}

func TestReductions(t *testing.T) {
	forEach(t, 7, 5, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		none := solve(t, fn, p, tensor.Float64, loss.WithReduction(loss.None))
		sum := solve(t, fn, p, tensor.Float64, loss.WithReduction(loss.Sum))
		mean := solve(t, fn, p, tensor.Float64)
		n := float64(p.size())
		if len(none.value) != p.size() {
			t.Fatalf("None has %d values, want %d", len(none.value), p.size())
		}
		near(t, "Sum against None", sum.value, []float64{total(none.value)}, tight)
		near(t, "gradient of Sum against None", sum.grad, none.grad, tight)
		near(t, "Mean against Sum", mean.value, []float64{sum.value[0] / n}, tight)
		for i := range sum.grad {
			sum.grad[i] /= n
		}
		near(t, "gradient of Mean against Sum", mean.grad, sum.grad, tight)
		norm := solve(t, fn, p, tensor.Float64, loss.WithNormalizer(n/2))
		near(t, "WithNormalizer(n/2)", norm.value, []float64{2 * mean.value[0]}, tight)
	})
}

func TestFloat32IsFloat64Rounded(t *testing.T) {
	forEach(t, 5, 6, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		for _, r := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
			wide := solve(t, fn, p, tensor.Float64, loss.WithReduction(r))
			got := solve(t, fn, p, tensor.Float32, loss.WithReduction(r))
			near(t, fmt.Sprint(r, " value"), got.value, wide.value, single)
			near(t, fmt.Sprint(r, " gradient"), got.grad, wide.grad, single)
		}
	})
}

func TestMachinesAgree(t *testing.T) {
	forEach(t, 4, 3, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, r := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
				tape := solve(t, fn, p, dt, loss.WithReduction(r))
				lisp := run(t, fn, p, dt, true, []loss.Option{loss.WithReduction(r)})
				near(t, fmt.Sprint(dt, r, " value"), lisp.value, tape.value, 0)
				near(t, fmt.Sprint(dt, r, " gradient"), lisp.grad, tape.grad, 0)
			}
		}
	})
}

func TestMaskingIsDeleting(t *testing.T) {
	forEach(t, 6, 4, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		kept := []int{0, 2, 5}
		want := solve(t, fn, p.keep(kept), tensor.Float64)
		masked := p
		masked.mask = make([]float64, p.size())
		per := p.size() / p.rows
		for _, i := range kept {
			for k := range per {
				masked.mask[i*per+k] = 1
			}
		}
		// what is masked is never read
		masked.pred = slices.Clone(p.pred)
		for c := range p.classes {
			masked.pred[p.classes+c] = math.NaN()
			masked.pred[3*p.classes+c] = math.Inf(1)
		}
		if p.labels != nil {
			masked.labels = slices.Clone(p.labels)
			masked.labels[len(p.labels)/p.rows] = 1 << 30
		}
		zero := masked
		zero.mask, zero.weights = nil, masked.mask
		for how, q := range map[string]problem{"mask": masked, "weight 0": zero} {
			got := solve(t, fn, q, tensor.Float64)
			near(t, how+" value", got.value, want.value, tight)
			for at, i := range kept {
				near(t, how+" gradient", got.grad[i*p.classes:(i+1)*p.classes], want.grad[at*p.classes:(at+1)*p.classes], tight)
			}
			for _, i := range []int{1, 3, 4} {
				near(t, how+" gradient of a masked row", got.grad[i*p.classes:(i+1)*p.classes], make([]float64, p.classes), 0)
			}
		}
	})
}

func TestWeightTwoIsTheRowTwice(t *testing.T) {
	forEach(t, 4, 3, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		weighted := p
		weighted.weights = make([]float64, p.size())
		per := p.size() / p.rows
		for i := range weighted.weights {
			weighted.weights[i] = 1
			if i/per == 2 {
				weighted.weights[i] = 2
			}
		}
		got := solve(t, fn, weighted, tensor.Float64)
		want := solve(t, fn, p.keep([]int{0, 1, 2, 2, 3}), tensor.Float64)
		near(t, "value", got.value, want.value, tight)
	})
}

func TestBatchPermutation(t *testing.T) {
	forEach(t, 5, 3, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		order := []int{3, 0, 4, 2, 1}
		a := solve(t, fn, p, tensor.Float64, loss.WithReduction(loss.None))
		b := solve(t, fn, p.keep(order), tensor.Float64, loss.WithReduction(loss.None))
		per := p.size() / p.rows
		for at, i := range order {
			near(t, "value", b.value[at*per:(at+1)*per], a.value[i*per:(i+1)*per], 0)
			near(t, "gradient", b.grad[at*p.classes:(at+1)*p.classes], a.grad[i*p.classes:(i+1)*p.classes], 0)
		}
	})
}

func TestResultsDoNotDependOnCores(t *testing.T) {
	forEach(t, 300, 130, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		one := solve(t, fn, p, tensor.Float32)
		for _, n := range []int{2, 5} {
			runtime.GOMAXPROCS(n)
			if many := solve(t, fn, p, tensor.Float32); !reflect.DeepEqual(one, many) {
				t.Errorf("GOMAXPROCS %d and 1 differ: %v and %v (seed %d)", n, many.value, one.value, seed)
			}
		}
	})
}

func TestNodesAreShared(t *testing.T) {
	forEach(t, 3, 3, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		b := p.build(tensor.Float64)
		first, err := fn(b.pred, b.target)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := fn(b.pred, b.target); again != first {
			t.Error("the same loss twice gives two nodes")
		}
		seen := map[*G.Node]string{first: "defaults"}
		for name, opt := range otherSettings(p) {
			if !slices.Contains(info.Options, name) {
				continue
			}
			n, err := fn(b.pred, b.target, opt)
			if err != nil {
				continue // a setting that this problem or loss does not allow: its refusal is tested below
			}
			if other, dup := seen[n]; dup {
				t.Errorf("%s and %s are one node", name, other)
			}
			seen[n] = name
		}
	})
}

// otherSettings has for each data option a value that is no loss's default.
func otherSettings(p problem) map[string]loss.Option {
	w := make([]float64, p.classes)
	for i := range w {
		w[i] = 1.5 + float64(i)
	}
	return map[string]loss.Option{
		"WithReduction": loss.WithReduction(loss.Sum), "WithAxis": loss.WithAxis(0), "WithIgnoreIndex": loss.WithIgnoreIndex(1),
		"WithClassWeights": loss.WithClassWeights(w), "WithPosWeight": loss.WithPosWeight(w),
		"WithNormalizer": loss.WithNormalizer(17), "WithLabelSmoothing": loss.WithLabelSmoothing(0.17),
		"WithTemperature": loss.WithTemperature(1.7), "WithDelta": loss.WithDelta(0.17), "WithBeta": loss.WithBeta(0.17),
		"WithGamma": loss.WithGamma(1.7), "WithAlpha": loss.WithAlpha(0.17), "WithEpsilon": loss.WithEpsilon(0.17), "WithQ": loss.WithQ(0.17),
		"WithMargin": loss.WithMargin(0.17), "WithScale": loss.WithScale(1.7), "WithPower": loss.WithPower(1.7),
		"WithQuantile": loss.WithQuantile(0.17), "WithTau": loss.WithTau(0.17), "WithSoftcap": loss.WithSoftcap(17),
		"WithZLoss": loss.WithZLoss(0.17), "WithFull": loss.WithFull(), "WithLogTarget": loss.WithLogTarget(), "WithTargetLogits": loss.WithTargetLogits(),
	}
}

func TestForeignOptionsAreRefused(t *testing.T) {
	forEach(t, 3, 3, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		for name, opt := range otherSettings(p) {
			b := p.build(tensor.Float64)
			before := len(b.g.AllNodes())
			_, err := fn(b.pred, b.target, opt)
			if slices.Contains(info.Options, name) {
				continue
			}
			if !errors.Is(err, loss.ErrOption) || !strings.HasPrefix(err.Error(), "loss."+info.Name+": "+name) {
				t.Errorf("%s: error %v, want an ErrOption that names the loss and the option", name, err)
			}
			if after := len(b.g.AllNodes()); after != before {
				t.Errorf("%s: a refused call left %d nodes in the graph", name, after-before)
			}
		}
	})
}

func TestLaws(t *testing.T) {
	forEach(t, 6, 4, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		none := loss.WithReduction(loss.None)
		base := solve(t, fn, p, tensor.Float64, none)
		if info.Laws&loss.ShiftInvariant != 0 {
			q := p
			q.pred = slices.Clone(p.pred)
			for i := range q.pred {
				q.pred[i] += float64(8 * (i / p.classes))
			}
			near(t, "value of shifted rows", solve(t, fn, q, tensor.Float64, none).value, base.value, 1e-11) // the shift itself rounds
			for i := range p.rows {
				if s := total(base.grad[i*p.classes : (i+1)*p.classes]); math.Abs(s) > tight {
					t.Errorf("gradient row %d sums to %v, want 0 (seed %d)", i, s, seed)
				}
			}
		}
		if info.Laws&loss.Symmetric != 0 {
			q := p
			q.pred, q.target = p.target, p.pred
			near(t, "value with the operands exchanged", solve(t, fn, q, tensor.Float64, none).value, base.value, tight)
		}
		if info.Laws&loss.NonNegative != 0 {
			for i, v := range base.value {
				if v < 0 {
					t.Errorf("value %d is %v, want >= 0 (seed %d)", i, v, seed)
				}
			}
		}
		if info.Laws&loss.ZeroAtEqual != 0 {
			q := p
			q.target = slices.Clone(p.pred)
			switch {
			case info.Pred == loss.Logits && info.Target != loss.Logits:
				q.target = softmaxRows(p.pred, p.classes)
			case info.Pred == loss.LogProbabilities && info.Target != loss.LogProbabilities:
				for i, v := range q.target {
					q.target[i] = math.Exp(v)
				}
			}
			near(t, "value of equal operands", solve(t, fn, q, tensor.Float64, none).value, make([]float64, p.size()), tight)
		}
		if info.Laws&loss.Convex != 0 {
			q, mid := p, p
			q.pred = draw(rand.New(rand.NewPCG(seed, 9)), info.Pred, p.rows, p.classes)
			mid.pred = make([]float64, len(p.pred))
			for i := range mid.pred {
				mid.pred[i] = (p.pred[i] + q.pred[i]) / 2
			}
			other, middle := solve(t, fn, q, tensor.Float64, none), solve(t, fn, mid, tensor.Float64, none)
			for i, v := range middle.value {
				if bound := (base.value[i] + other.value[i]) / 2; v > bound+tight {
					t.Errorf("value %d at the midpoint is %v, above the chord's %v (seed %d)", i, v, bound, seed)
				}
			}
		}
	})
}

func softmaxRows(x []float64, classes int) []float64 {
	out := make([]float64, len(x))
	for lo := 0; lo < len(x); lo += classes {
		sum := 0.0
		for i := lo; i < lo+classes; i++ {
			out[i] = math.Exp(x[i])
			sum += out[i]
		}
		for i := lo; i < lo+classes; i++ {
			out[i] /= sum
		}
	}
	return out
}

// TestEveryLossIsRegistered reads the source: a Func that All does not know has no contract.
func TestEveryLossIsRegistered(t *testing.T) {
	signature := regexp.MustCompile(`(?m)^func ([A-Z]\w*)\(\w+, \w+ \*G\.Node, opts \.\.\.Option\) \(\*G\.Node, error\)`)
	var found []string
	files, err := filepath.Glob("loss/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range signature.FindAllSubmatch(text, -1) {
			found = append(found, string(m[1]))
		}
	}
	registered := []string{"TokenLogProb", "KTOBaseline", "SequenceLogProb", "PairwiseDistance"} // nodes
	for name, fn := range loss.All() {
		registered = append(registered, name)
		if f, ok := loss.Lookup(name); !ok || reflect.ValueOf(f).Pointer() != reflect.ValueOf(fn).Pointer() {
			t.Errorf("Lookup(%q) is not the loss of that name", name)
		}
	}
	if slices.Sort(found); !slices.Equal(found, slices.Sorted(slices.Values(registered))) {
		t.Errorf("losses in the source\n%v\nregistered\n%v", found, registered)
	}
}

// TestGradients holds all derivatives of every loss to differences of its value, on both machines.
func TestGradients(t *testing.T) {
	forEach(t, 3, 4, func(t *testing.T, fn loss.Func, p problem, info loss.Info) {
		inputs := []gradcheck.Input{gradcheck.Var("pred", p.pred, p.rows, p.classes)}
		switch {
		case p.lists:
			lists := tensor.New(tensor.WithShape(p.rows, p.classes), tensor.WithBacking(p.labels))
			inputs = append(inputs, gradcheck.Data("lists", lists))
		case p.labels != nil:
			inputs = append(inputs, gradcheck.Data("labels", p.labels))
		case info.Target == loss.Signs:
			signs := tensor.New(tensor.WithShape(p.rows, p.classes), tensor.WithBacking(p.target))
			inputs = append(inputs, gradcheck.Data("target", signs))
		default:
			inputs = append(inputs, gradcheck.Var("target", p.target, p.rows, p.classes))
		}
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			for _, r := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
				build := func(g *G.ExprGraph, dt tensor.Dtype, in G.Nodes) (*G.Node, error) {
					return fn(in[0], in[1], loss.WithReduction(r))
				}
				gradcheck.Test(t, build, inputs, gradcheck.WithDType(dt), gradcheck.WithRandomUpstream(),
					gradcheck.WithPasses(gradcheck.Grad, gradcheck.Reverse, gradcheck.Lisp), gradcheck.WithSecondOrder(1))
			}
		}
	})
}
