package loss_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The contract of losses whose values read more than a row: lists, images, sequences, batches.
// Each family lists its problems in groupProblems.

// A groupInput is an operand: floating, or integer where ints is set.
type groupInput struct {
	name  string
	shape []int
	x     []float64
	ints  []int
	data  bool // has no derivative
	// with and field are set for operands that an option gives.
	with  func(n *G.Node) loss.Option
	field func(d *eager.Data) *eager.Operand
	// masked returns the entries that belong to entry i of a mask; nil: there are none.
	masked func(i int) []int
}

// A groupProblem is a loss with operands and options.
type groupProblem struct {
	loss    string
	title   string // of the options
	opts    []loss.Option
	inputs  []groupInput
	mask    []int // the shape of masks; nil: the loss takes none
	weights []int // the shape of weights that multiply the values; nil: no such weights
	kinks   bool  // at points of the problem, or constants in the derivative: no comparison with differences
	whole   bool  // the mean is no quotient of two sums
	node    bool  // a node without a reduction
	inner   bool  // the sum is one of means
}

// groupProblems are the problems of all families.
var groupProblems []groupProblem

// everyRow returns the masked entries of an operand whose first axes are those of the mask.
func everyRow(width int) func(i int) []int {
	return func(i int) []int {
		out := make([]int, width)
		for k := range out {
			out[k] = i*width + k
		}
		return out
	}
}

// A groupBuild is a problem on a graph.
type groupBuild struct {
	g      *G.ExprGraph
	nodes  G.Nodes // of all inputs
	out    *G.Node
	leaves G.Nodes // of the differentiable ones
}

func (p *groupProblem) build(dt tensor.Dtype, more ...func(g *G.ExprGraph) loss.Option) (*groupBuild, error) {
	b := &groupBuild{g: G.NewGraph()}
	for _, in := range p.inputs {
		n := labelLeafOf(b.g, in)
		if in.ints == nil {
			n = floatLeaf(b.g, dt, in.name, in.shape, in.x)
			if !in.data {
				b.leaves = append(b.leaves, n)
			}
		}
		b.nodes = append(b.nodes, n)
	}
	opts := slices.Clone(p.opts)
	for _, f := range more {
		opts = append(opts, f(b.g))
	}
	var err error
	b.out, err = p.call(b.nodes, opts...)
	return b, err
}

func labelLeafOf(g *G.ExprGraph, in groupInput) *G.Node {
	if in.ints == nil {
		return nil
	}
	return labelLeaf(g, tensor.Int, in.name, in.shape, in.ints)
}

// call adds the loss to the graph of its operands.
func (p *groupProblem) call(nodes G.Nodes, opts ...loss.Option) (*G.Node, error) {
	info, ok := loss.Describe(p.loss)
	if !ok {
		return nil, fmt.Errorf("%s is not registered", p.loss)
	}
	var required G.Nodes
	for k, in := range p.inputs {
		if in.with != nil {
			opts = append(opts, in.with(nodes[k]))
		} else {
			required = append(required, nodes[k])
		}
	}
	return info.Call(required, opts...)
}

func reduced(r loss.Reduction) func(*G.ExprGraph) loss.Option {
	return func(*G.ExprGraph) loss.Option { return loss.WithReduction(r) }
}

func groupLeaf(option func(*G.Node) loss.Option, dt tensor.Dtype, name string, shape []int, x []float64) func(*G.ExprGraph) loss.Option {
	return func(g *G.ExprGraph) loss.Option { return option(floatLeaf(g, dt, name, shape, x)) }
}

// solve returns the value and the gradients, with an upstream of 1, 1.25, ... under None.
func (p *groupProblem) solve(t *testing.T, dt tensor.Dtype, more ...func(*G.ExprGraph) loss.Option) *answer {
	t.Helper()
	b, err := p.build(dt, more...)
	if err != nil {
		t.Fatal(err)
	}
	values, err := onTapeMachine(b.g, b.out, floatLeaf(b.g, dt, "up", b.out.Shape(), upstreamOf(b.out.Shape().TotalSize())), b.leaves)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(values)
}

func answerOf(values []G.Value) *answer {
	a := &answer{value: floats(values[0])}
	for _, v := range values[1:] {
		a.grads = append(a.grads, floats(v))
	}
	return a
}

func upstreamOf(n int) []float64 {
	up := make([]float64, n)
	for i := range up {
		up[i] = 1 + float64(i)/4
	}
	return up
}

func (p *groupProblem) reductions() []loss.Reduction {
	if p.node {
		return []loss.Reduction{loss.None}
	}
	return []loss.Reduction{loss.Mean, loss.Sum, loss.None}
}

func (p *groupProblem) option(r loss.Reduction) []func(*G.ExprGraph) loss.Option {
	if p.node {
		return nil
	}
	return []func(*G.ExprGraph) loss.Option{reduced(r)}
}

func eachGroupProblem(t *testing.T, f func(t *testing.T, p *groupProblem)) {
	for i := range groupProblems {
		p := &groupProblems[i]
		t.Run(p.loss+"/"+p.title, func(t *testing.T) { f(t, p) })
	}
}

// Every registered loss of groups has a problem here.
func TestGroupsAreComplete(t *testing.T) {
	for info := range loss.Losses() {
		if (info.Grouped || info.Requires != nil) && !slices.ContainsFunc(groupProblems, func(p groupProblem) bool { return p.loss == info.Name }) {
			t.Errorf("%s has no problem in groupProblems", info.Name)
		}
	}
}

// The gradients and Hessian-vector products are those of differences, on every machine and in both
// dtypes.
func TestGroupDerivatives(t *testing.T) {
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		if p.kinks {
			return
		}
		var inputs []gradcheck.Input
		for _, in := range p.inputs {
			input := gradcheck.Input{Name: in.name, Data: in.data}
			switch {
			case in.ints != nil:
				input.Value = tensor.New(tensor.WithShape(in.shape...), tensor.WithBacking(slices.Clone(in.ints)))
			case len(in.shape) == 0:
				input.Value = in.x[0]
			default:
				input.Value = tensor.New(tensor.WithShape(in.shape...), tensor.WithBacking(slices.Clone(in.x)))
			}
			inputs = append(inputs, input)
		}
		for _, r := range p.reductions() {
			gradcheck.Test(t, func(_ *G.ExprGraph, _ tensor.Dtype, nodes G.Nodes) (*G.Node, error) {
				opts := slices.Clone(p.opts)
				if !p.node {
					opts = append(opts, loss.WithReduction(r))
				}
				return p.call(nodes, opts...)
			}, inputs, gradcheck.WithRandomUpstream(), gradcheck.WithSecondOrder(2))
		}
	})
}

// Sum is the sum of None's values, the mean is the quotient of Parts, and weights multiply values.
func TestGroupReductions(t *testing.T) {
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		if p.node {
			return
		}
		none := p.solve(t, tensor.Float64, reduced(loss.None))
		sum, mean := p.solve(t, tensor.Float64, reduced(loss.Sum)), p.solve(t, tensor.Float64, reduced(loss.Mean))
		total := 0.0
		for _, v := range none.value {
			total += v
		}
		if !p.inner {
			nearList(t, "sum", sum.value, []float64{total}, sumTolerance)
		}
		b, err := p.build(tensor.Float64, reduced(loss.Mean))
		if err != nil {
			t.Fatal(err)
		}
		n, d, err := loss.Parts(b.out)
		if p.whole {
			if err == nil {
				t.Error("Parts of a mean that is no quotient succeeds")
			}
		} else if err != nil {
			t.Error(err)
		} else if parts, err := runTape(b.g, n, d); err != nil {
			t.Error(err)
		} else if parts[1][0] != 0 {
			nearList(t, "mean", mean.value, []float64{parts[0][0] / parts[1][0]}, sumTolerance)
		}
		if p.weights == nil {
			return
		}
		w := upstreamOf(product(p.weights))
		weighted := p.solve(t, tensor.Float64, reduced(loss.None),
			groupLeaf(loss.WithWeights, tensor.Float64, "w", p.weights, w))
		want := slices.Clone(none.value)
		for i := range want {
			want[i] *= w[i*len(w)/len(want)]
		}
		nearList(t, "weighted values", weighted.value, want, sumTolerance)
	})
}

// The tangents of the values are linear in the direction as the gradient is: Σ up·tangent = ⟨gradient,
// v⟩.
func TestGroupTangents(t *testing.T) {
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		b, err := p.build(tensor.Float64, p.option(loss.None)...)
		if err != nil {
			t.Fatal(err)
		}
		up := floatLeaf(b.g, tensor.Float64, "up", b.out.Shape(), upstreamOf(b.out.Shape().TotalSize()))
		for k, x := range b.leaves {
			grads, err := loss.VJP(b.out, up, x)
			if err != nil {
				t.Fatal(err)
			}
			along := upstreamOf(x.Shape().TotalSize())
			v := floatLeaf(b.g, tensor.Float64, fmt.Sprint("v", k), x.Shape(), along)
			tangents, err := loss.Gradients(inner(grads[0], v), up)
			if err != nil {
				t.Fatal(err)
			}
			values, err := runTape(b.g, grads[0], tangents[0])
			if err != nil {
				t.Fatal(err)
			}
			nearList(t, "tangent", []float64{core.Dot(values[1], floats(up.Value()))}, []float64{core.Dot(values[0], along)}, 1e-12)
		}
	})
}

// inner returns the inner product of two nodes.
func inner(x, y *G.Node) *G.Node {
	p := G.Must(G.HadamardProd(x, y))
	if p.IsScalar() {
		return p
	}
	return G.Must(G.Sum(p))
}

// A mask of ones changes no bit; what is masked has gradient 0 and changes no bit of the rest,
// whatever it is.
func TestGroupMasks(t *testing.T) {
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		if p.mask == nil {
			return
		}
		ones, some := make([]float64, product(p.mask)), make([]float64, product(p.mask))
		for i := range ones {
			ones[i] = 1
			some[i] = float64(min(i%3, 1))
		}
		for _, r := range p.reductions() {
			mask := func(m []float64) func(*G.ExprGraph) loss.Option {
				return groupLeaf(loss.WithMask, tensor.Float64, "m", p.mask, m)
			}
			p.solve(t, tensor.Float64, append(p.option(r), mask(ones))...).near(t, "mask of ones",
				p.solve(t, tensor.Float64, p.option(r)...), 0)
			want := p.solve(t, tensor.Float64, append(p.option(r), mask(some))...)
			for _, other := range []float64{math.NaN(), math.Inf(1), -3e300, 0.5} {
				q := *p
				q.inputs = slices.Clone(p.inputs)
				for k, in := range q.inputs {
					if in.masked == nil {
						continue
					}
					q.inputs[k].x, q.inputs[k].ints = slices.Clone(in.x), slices.Clone(in.ints)
					for i, m := range some {
						for _, at := range in.masked(i) {
							if m == 0 && in.ints != nil {
								q.inputs[k].ints[at] = 1 << 20
							} else if m == 0 {
								q.inputs[k].x[at] = other
							}
						}
					}
				}
				got := q.solve(t, tensor.Float64, append(p.option(r), mask(some))...)
				got.near(t, fmt.Sprintf("%v where it is masked", other), want, 0)
				leaf := 0
				for k, in := range q.inputs {
					if in.ints != nil || in.data {
						continue
					}
					for i, m := range some {
						if in.masked == nil || m != 0 {
							continue
						}
						for _, at := range in.masked(i) {
							if g := got.grads[leaf][at]; g != 0 {
								t.Fatalf("the gradient by %s is %v at the masked entry %d", q.inputs[k].name, g, at)
							}
						}
					}
					leaf++
				}
			}
		}
	})
}

// float32 results are float64 results of the same numbers, rounded once.
func TestGroupFloat32(t *testing.T) {
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		q := *p
		q.inputs = slices.Clone(p.inputs)
		for k, in := range q.inputs {
			q.inputs[k].x = slices.Clone(in.x)
			for i, v := range in.x {
				q.inputs[k].x[i] = float64(float32(v))
			}
		}
		for _, r := range p.reductions() {
			q.solve(t, tensor.Float32, p.option(r)...).near(t, r.String(), q.solve(t, tensor.Float64, p.option(r)...),
				float32Tolerance)
		}
	})
}

// The machine, the eager form and any number of cores give the bits of the TapeMachine.
func TestGroupBits(t *testing.T) {
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		for _, r := range p.reductions() {
			want := p.solve(t, tensor.Float64, p.option(r)...)
			before := runtime.GOMAXPROCS(3)
			p.solve(t, tensor.Float64, p.option(r)...).near(t, "three cores", want, 0)
			runtime.GOMAXPROCS(1)
			p.solve(t, tensor.Float64, p.option(r)...).near(t, "one core", want, 0)
			runtime.GOMAXPROCS(before)
			p.onMachine(t, r).near(t, "machine", want, 0)
			p.eagerly(t, r).near(t, "eager", want, 0)
		}
	})
}

func (p *groupProblem) onMachine(t *testing.T, r loss.Reduction) *answer {
	b, err := p.build(tensor.Float64, p.option(r)...)
	if err != nil {
		t.Fatal(err)
	}
	up := floatLeaf(b.g, tensor.Float64, "up", b.out.Shape(), upstreamOf(b.out.Shape().TotalSize()))
	grads, err := loss.VJP(b.out, up, b.leaves...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := machine.New(b.g)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for range 2 {
		if err := m.RunAll(); err != nil {
			t.Fatal(err)
		}
	}
	values := []G.Value{b.out.Value()}
	for _, n := range grads {
		values = append(values, n.Value())
	}
	return answerOf(values)
}

// sliceOf is an operand of a shape that may be that of a scalar.
func sliceOf(x []float64, shape []int) eager.Operand {
	if len(shape) > 0 {
		return eager.Slice(x, shape...)
	}
	return eager.Variable(&x[0])
}

// eagerly computes the problem without a graph.
func (p *groupProblem) eagerly(t *testing.T, r loss.Reduction) *answer {
	t.Helper()
	opts := slices.Clone(p.opts)
	if !p.node {
		opts = append(opts, loss.WithReduction(r))
	}
	l, err := eager.Constructors()[p.loss](opts...)
	if err != nil {
		t.Fatal(err)
	}
	var operands []eager.Operand
	var data eager.Data
	var wrt, places []int
	place := 0
	for k, in := range p.inputs {
		o := eager.Slice(in.x, in.shape...)
		switch {
		case in.ints != nil:
			o = eager.Slice(in.ints, in.shape...)
		case len(in.shape) == 0:
			o = eager.Scalar(in.x[0])
		}
		if in.field != nil {
			*in.field(&data) = o
		} else {
			operands = append(operands, o)
			place = k
		}
		if in.ints == nil && !in.data {
			wrt, places = append(wrt, k), append(places, place)
		}
	}
	b, err := p.build(tensor.Float64, p.option(r)...)
	if err != nil {
		t.Fatal(err)
	}
	n := b.out.Shape().TotalSize()
	a := &answer{value: make([]float64, n)}
	if up := upstreamOf(n); r == loss.None {
		data.Upstream = sliceOf(up, b.out.Shape())
	}
	if r == loss.None {
		err = l.Values(sliceOf(a.value, b.out.Shape()), data, operands...)
	} else {
		a.value[0], err = l.Value(data, operands...)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range wrt {
		dst := make([]float64, len(p.inputs[k].x))
		a.grads = append(a.grads, dst)
		if p.inputs[k].field != nil {
			places[i] = l.Place(p.inputs[k].name)
		}
		if err := l.Gradient(places[i], sliceOf(dst, p.inputs[k].shape), data, operands...); err != nil {
			t.Fatal(err)
		}
	}
	return a
}
