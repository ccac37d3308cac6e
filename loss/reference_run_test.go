package loss_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// refGraph is a case on a graph of its own: what an adapter builds with.
type refGraph struct {
	c      *refCase
	number int // of the case in its file
	g      *G.ExprGraph
	dtype  tensor.Dtype
	leaves map[string]*G.Node // the floating inputs by name
}

// An adapter builds the node that a reference file describes from the inputs and options of a case.
type adapter func(b *refGraph) (*G.Node, error)

func newRefGraph(c *refCase, number int) *refGraph {
	b := &refGraph{c: c, number: number, g: G.NewGraph(), dtype: tensor.Float64, leaves: make(map[string]*G.Node)}
	if c.Dtype == "float32" {
		b.dtype = tensor.Float32
	}
	return b
}

// input is the leaf for a floating input, in the file's shape or in another one with as many
// elements.
func (b *refGraph) input(name string, shape ...int) *G.Node {
	a := b.c.Inputs[name]
	if a == nil {
		panic(fmt.Sprintf("case %s has no input %s", b.c.Name, name))
	}
	if shape == nil {
		shape = a.Shape
	}
	n := floatLeaf(b.g, b.dtype, name, shape, a.values())
	b.leaves[name] = n
	return n
}

// shape is the file's shape of an input, with more axes appended.
func (b *refGraph) shape(name string, more ...int) []int {
	return append(slices.Clone(b.c.Inputs[name].Shape), more...)
}

// has reports whether the case has an input of that name.
func (b *refGraph) has(name string) bool { return b.c.Inputs[name] != nil }

// list returns an input as numbers, for options that take a slice.
func (b *refGraph) list(name string) []float64 {
	v := b.c.Inputs[name].values()
	if b.dtype == tensor.Float32 {
		for i := range v {
			v[i] = float64(float32(v[i]))
		}
	}
	return v
}

// expanded is a leaf with the input broadcast to the shape of another input.
func (b *refGraph) expanded(name, like string) *G.Node {
	shape := b.c.Inputs[like].Shape
	return floatLeaf(b.g, b.dtype, name, shape, expand(b.c.Inputs[name], shape))
}

// expand broadcasts an array by the rules of PyTorch.
func expand(a *refArray, shape []int) []float64 {
	from := a.values()
	n := 1
	for _, d := range shape {
		n *= d
	}
	out := make([]float64, n)
	for i := range out {
		at, step, rest := 0, 1, i
		for axis := len(shape) - 1; axis >= 0; axis-- {
			x := rest % shape[axis]
			rest /= shape[axis]
			if own := axis - len(shape) + len(a.Shape); own >= 0 {
				if a.Shape[own] > 1 {
					at += x * step
				}
				step *= a.Shape[own]
			}
		}
		out[i] = from[at]
	}
	return out
}

// labels is a leaf for integer labels. Its dtype changes from case to case so that all four are
// covered.
func (b *refGraph) labels(name string) *G.Node {
	a := b.c.Inputs[name]
	values := make([]int, a.size())
	small := true
	for i, v := range a.values() {
		values[i] = int(v)
		small = small && v >= 0 && v <= math.MaxUint8
	}
	kinds := []tensor.Dtype{tensor.Int, tensor.Int64, tensor.Int32, tensor.Uint8}
	kind := kinds[b.number%len(kinds)]
	if kind == tensor.Uint8 && !small {
		kind = tensor.Int
	}
	return labelLeaf(b.g, kind, name, a.Shape, values)
}

// reduction is the option for the case's reduction, Mean where it has none.
func (b *refGraph) reduction() loss.Option {
	switch r := b.c.Options["reduction"]; r {
	case "none":
		return loss.WithReduction(loss.None)
	case "sum":
		return loss.WithReduction(loss.Sum)
	case "mean", "batchmean", nil:
		return loss.WithReduction(loss.Mean)
	default:
		panic(fmt.Sprintf("case %s has reduction %v", b.c.Name, r))
	}
}

// option is a numeric option of the case, or the given value where it has none.
func (b *refGraph) option(name string, without float64) float64 {
	if v, ok := b.c.Options[name].(float64); ok {
		return v
	}
	return without
}

// outcome is what a machine computed for a case.
type outcome struct {
	value []float64
	shape []int
	grads map[string][]float64
}

// check holds an outcome against the case: values to 2 units in the last place in float32,
// gradients to 4.
func (o *outcome) check(c *refCase) error {
	output, grads := c.Output, c.Grads
	if c.Dtype == "float32" {
		output, grads = c.Output64, c.Grads64
	}
	if !slices.Equal(o.shape, output.Shape) {
		return fmt.Errorf("value has shape %v, want %v", o.shape, output.Shape)
	}
	if err := c.compare("value", o.value, output, 2); err != nil {
		return err
	}
	for _, name := range c.Diff {
		if err := c.compare("∂/∂"+name, o.grads[name], grads[name], 4); err != nil {
			return err
		}
	}
	return nil
}

// wrt lists the leaves that the case differentiates by.
func (b *refGraph) wrt() (G.Nodes, error) {
	var out G.Nodes
	for _, name := range b.c.Diff {
		if b.leaves[name] == nil {
			return nil, fmt.Errorf("the adapter makes no leaf for %s", name)
		}
		out = append(out, b.leaves[name])
	}
	return out, nil
}

// upstream is a leaf with the case's upstream gradient in the shape of out.
func (b *refGraph) upstream(out *G.Node) *G.Node {
	return floatLeaf(b.g, b.dtype, "upstream", out.Shape(), b.c.Upstream.values())
}

// contracted is Σ out·upstream, or out itself where it is a scalar.
func (b *refGraph) contracted(out *G.Node) (*G.Node, error) {
	if out.IsScalar() {
		return out, nil
	}
	p, err := G.HadamardProd(out, b.upstream(out))
	if err != nil {
		return nil, err
	}
	return G.Sum(p)
}

// derivatives builds the gradients of a case by the stateless reverse pass.
func (b *refGraph) derivatives(out *G.Node, wrt G.Nodes) (G.Nodes, error) {
	if out.IsScalar() {
		return loss.Gradients(out, wrt...)
	}
	return loss.VJP(out, b.upstream(out), wrt...)
}

// start builds the node of a case.
func start(c *refCase, number int, build adapter) (b *refGraph, out *G.Node, wrt G.Nodes, err error) {
	b = newRefGraph(c, number)
	if out, err = build(b); err != nil {
		return nil, nil, nil, err
	}
	wrt, err = b.wrt()
	return b, out, wrt, err
}

// onTape runs a case on the TapeMachine. viaGrad takes the gradients from gorgonia.Grad, otherwise
// they come from loss.Gradients, or loss.VJP with the case's upstream.
func onTape(c *refCase, number int, build adapter, viaGrad bool) (*outcome, error) {
	b, out, wrt, err := start(c, number, build)
	if err != nil {
		return nil, err
	}
	var grads G.Nodes
	if viaGrad {
		grads, err = G.Grad(out, wrt...)
	} else {
		grads, err = b.derivatives(out, wrt)
	}
	if err != nil {
		return nil, err
	}
	values, err := runTape(b.g, append(G.Nodes{out}, grads...)...)
	if err != nil {
		return nil, err
	}
	o := &outcome{value: values[0], shape: out.Shape(), grads: make(map[string][]float64)}
	for i, name := range c.Diff {
		o.grads[name] = values[i+1]
	}
	return o, nil
}

// onLisp runs a case on the LispMachine, vector results through Σ out·upstream.
func onLisp(c *refCase, number int, build adapter) (*outcome, error) {
	b, out, wrt, err := start(c, number, build)
	if err != nil {
		return nil, err
	}
	if _, err := b.contracted(out); err != nil {
		return nil, err
	}
	grads, err := runLisp(b.g, wrt)
	if err != nil {
		return nil, err
	}
	o := &outcome{value: floats(out.Value()), shape: out.Shape(), grads: make(map[string][]float64)}
	for i, name := range c.Diff {
		o.grads[name] = grads[i]
	}
	return o, nil
}

// hessian runs the Hessian-vector product of a case on the TapeMachine: the gradient of Σ g·v.
func hessian(c *refCase, number int, build adapter, v []float64) ([]float64, error) {
	b, out, wrt, err := start(c, number, build)
	if err != nil {
		return nil, err
	}
	first := wrt[:1]
	grads, err := b.derivatives(out, first)
	if err != nil {
		return nil, err
	}
	gv, err := G.HadamardProd(grads[0], floatLeaf(b.g, b.dtype, "v", first[0].Shape(), v))
	if err != nil {
		return nil, err
	}
	s, err := G.Sum(gv)
	if err != nil {
		return nil, err
	}
	hv, err := loss.Gradients(s, first...)
	if err != nil {
		return nil, err
	}
	values, err := runTape(b.g, hv...)
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// runCase runs a case on both machines; check says what is right.
func runCase(c *refCase, number int, build adapter, check func(*outcome) error) error {
	o, err := onTape(c, number, build, false)
	if err != nil {
		return fmt.Errorf("tape: %w", err)
	}
	if err := check(o); err != nil {
		return fmt.Errorf("tape: %w", err)
	}
	if len(o.shape) == 0 && len(c.Diff) > 0 {
		if o, err = onTape(c, number, build, true); err != nil {
			return fmt.Errorf("gorgonia.Grad: %w", err)
		}
		if err := check(o); err != nil {
			return fmt.Errorf("gorgonia.Grad: %w", err)
		}
	}
	if o, err = onLisp(c, number, build); err != nil {
		return fmt.Errorf("lisp: %w", err)
	}
	if err := check(o); err != nil {
		return fmt.Errorf("lisp: %w", err)
	}
	return nil
}

// runHessian holds the Hessian-vector product of a case, where the file has one.
func runHessian(c *refCase, number int, build adapter) (had bool, err error) {
	want := c.HVP[firstOf(c.Diff)]
	if want == nil || c.HVPError != "" {
		return false, nil
	}
	v := make([]float64, c.Inputs[c.Diff[0]].size())
	if a := c.HVP["v"]; a != nil {
		v = a.values()
	} else {
		for i := range v {
			v[i] = float64(i + 1)
		}
	}
	got, err := hessian(c, number, build, v)
	if err != nil {
		return true, fmt.Errorf("hessian: %w", err)
	}
	return true, c.compare("hessian", got, want, 4)
}

func firstOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// A tally counts what became of the cases of a file.
type tally struct {
	cases, same, differ, refused, unsupported, hessians int
}

func (n tally) String() string {
	return fmt.Sprintf("tally{%d, %d, %d, %d, %d, %d}", n.cases, n.same, n.differ, n.refused, n.unsupported, n.hessians)
}

// TestReference runs every case of every reference file: against the file, or against the
// convention of this package where it differs on purpose, or expecting the error that it must be.
// No case is left out.
func TestReference(t *testing.T) {
	files := readReference(t)
	for name := range files {
		if _, ok := adapters[name]; !ok {
			t.Errorf("testdata/torch/%s.json.gz has no adapter", name)
		}
	}
	used := make(map[*exception]bool)
	for name, a := range adapters {
		t.Run(name, func(t *testing.T) {
			f := files[name]
			if f == nil {
				t.Fatalf("no file testdata/torch/%s.json.gz", name)
			}
			var n tally
			for i, c := range f.Cases {
				n.cases++
				e := exceptionOf(name, c)
				if e != nil {
					used[e] = true
				}
				if err := n.run(e, c, i, a.build); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
			}
			if sum := n.same + n.differ + n.refused + n.unsupported; sum != n.cases {
				t.Errorf("%d cases are accounted for, the file has %d", sum, n.cases)
			}
			if n != a.want {
				t.Errorf("%v, want %v", n, a.want)
			}
		})
	}
	for i := range exceptions {
		if e := &exceptions[i]; !used[e] {
			t.Errorf("exception %s %s matches no case", e.file, e.cases)
		}
	}
}

// run runs one case and counts it.
func (n *tally) run(e *exception, c *refCase, number int, build adapter) error {
	switch {
	case e != nil && e.hessian != nil:
		other := *c
		other.HVP = map[string]*refArray{c.Diff[0]: e.hessian(c), "v": c.HVP["v"]}
		if got, err := runHessian(c, number, build); !got || err == nil {
			return fmt.Errorf("agrees with PyTorch, but is listed as a difference: %s", e.why)
		}
		return n.run(nil, &other, number, build)
	case e == nil:
		n.same++
		if c.Error != "" {
			return fmt.Errorf("PyTorch raises %q and no exception lists the case", c.Error)
		}
		if err := runCase(c, number, build, func(o *outcome) error { return o.check(c) }); err != nil {
			return err
		}
		had, err := runHessian(c, number, build)
		if had {
			n.hessians++
		}
		return err
	case e.unsupported:
		n.unsupported++
		return nil
	case e.refused != nil:
		n.refused++
		return runRefused(e, c, number, build)
	default:
		n.differ++
		want, err := e.want(c)
		if err != nil {
			return err
		}
		if err := runCase(c, number, build, func(o *outcome) error { return o.check(want) }); err != nil {
			return err
		}
		// An exception that is none would hide a later change of the reference.
		o, err := onTape(c, number, build, false)
		if err == nil && o.check(c) == nil {
			return fmt.Errorf("agrees with PyTorch, but is listed as a difference: %s", e.why)
		}
		return err
	}
}
