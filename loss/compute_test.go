package loss_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A bench is a graph under construction: build functions take their leaves from it.
type bench struct {
	g      *G.ExprGraph
	dt     tensor.Dtype
	leaves map[string]*G.Node
	up     []float64 // upstream gradient of the result; nil for ones
}

func newBench(dt tensor.Dtype) *bench {
	return &bench{g: G.NewGraph(), dt: dt, leaves: make(map[string]*G.Node)}
}

// float is a floating leaf.
func (b *bench) float(name string, shape []int, data ...float64) *G.Node {
	n := floatLeaf(b.g, b.dt, name, shape, data)
	b.leaves[name] = n
	return n
}

// labels is a leaf of Int labels.
func (b *bench) labels(shape []int, y ...int) *G.Node {
	return labelLeaf(b.g, tensor.Int, "y", shape, y)
}

// mask is a leaf of dtype Bool, Uint8 or a float.
func (b *bench) mask(dt tensor.Dtype, shape []int, m ...int) *G.Node {
	switch dt {
	case tensor.Uint8:
		return labelLeaf(b.g, dt, "mask", shape, m)
	case tensor.Bool:
		v := make([]bool, len(m))
		for i, x := range m {
			v[i] = x != 0
		}
		return tensorLeaf(b.g, dt, "mask", shape, v)
	}
	v := make([]float64, len(m))
	for i, x := range m {
		v[i] = float64(x)
	}
	return floatLeaf(b.g, dt, "mask", shape, v)
}

// computed is a value with the gradients of Σ up·value by leaves.
type computed struct {
	value []float64
	grads map[string][]float64
}

// compute builds a node twice and runs it with its gradients by the named leaves on the TapeMachine
// and on the LispMachine, which must agree to the bit. The error is that of building, or the cause
// of the machines' errors.
func compute(dt tensor.Dtype, build func(b *bench) (*G.Node, error), wrt ...string) (*computed, error) {
	tape, err := computeTape(dt, build, wrt)
	if err != nil {
		wrt = nil
	}
	lisp, lispErr := computeLisp(dt, build, wrt)
	err, lispErr = loss.Cause(err), loss.Cause(lispErr)
	if err != nil || lispErr != nil {
		if err == nil || lispErr == nil || err.Error() != lispErr.Error() {
			return nil, fmt.Errorf("the machines disagree: tape error %v, lisp error %v", err, lispErr)
		}
		return nil, err
	}
	if err := sameBits(tape.value, lisp.value); err != nil {
		return nil, fmt.Errorf("value on tape and lisp: %w", err)
	}
	for name, g := range tape.grads {
		if err := sameBits(g, lisp.grads[name]); err != nil {
			return nil, fmt.Errorf("∂/∂%s on tape and lisp: %w", name, err)
		}
	}
	return tape, nil
}

func (b *bench) upstream(out *G.Node) *G.Node {
	up := b.up
	if up == nil {
		up = make([]float64, out.Shape().TotalSize())
		for i := range up {
			up[i] = 1
		}
	}
	return floatLeaf(b.g, b.dt, "upstream", out.Shape(), up)
}

func (b *bench) nodes(names []string) G.Nodes {
	var out G.Nodes
	for _, name := range names {
		out = append(out, b.leaves[name])
	}
	return out
}

func computeTape(dt tensor.Dtype, build func(b *bench) (*G.Node, error), wrt []string) (*computed, error) {
	b := newBench(dt)
	out, err := build(b)
	if err != nil {
		return nil, err
	}
	grads, err := loss.VJP(out, b.upstream(out), b.nodes(wrt)...)
	if err != nil {
		return nil, err
	}
	values, err := runTape(b.g, append(G.Nodes{out}, grads...)...)
	if err != nil {
		return nil, err
	}
	c := &computed{values[0], make(map[string][]float64)}
	for i, name := range wrt {
		c.grads[name] = values[i+1]
	}
	return c, nil
}

func computeLisp(dt tensor.Dtype, build func(b *bench) (*G.Node, error), wrt []string) (*computed, error) {
	b := newBench(dt)
	out, err := build(b)
	if err != nil {
		return nil, err
	}
	root := out
	if !out.IsScalar() {
		if root, err = G.HadamardProd(out, b.upstream(out)); err != nil {
			return nil, err
		}
		if root, err = G.Sum(root); err != nil {
			return nil, err
		}
	} else if b.up != nil {
		return nil, errors.New("an upstream for a scalar")
	}
	if !root.IsScalar() {
		return nil, fmt.Errorf("root has shape %v", root.Shape())
	}
	grads, err := runLisp(b.g, b.nodes(wrt))
	if err != nil {
		return nil, err
	}
	c := &computed{floats(out.Value()), make(map[string][]float64)}
	for i, name := range wrt {
		c.grads[name] = grads[i]
	}
	return c, nil
}

// mustCompute is compute without an error.
func mustCompute(t *testing.T, dt tensor.Dtype, build func(b *bench) (*G.Node, error), wrt ...string) *computed {
	t.Helper()
	c, err := compute(dt, build, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sameBits reports the first difference of two slices; all NaN are one value, and so are 0 and -0,
// of which a LispMachine's sum 0 + -0 makes 0.
func sameBits(got, want []float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d elements, want %d", len(got), len(want))
	}
	for i, w := range want {
		if got[i] != w && !(got[i] != got[i] && w != w) {
			return fmt.Errorf("element %d is %v, want %v", i, got[i], w)
		}
	}
	return nil
}

// checkNear holds numbers to a relative error; rel 0 means equality. All NaN are one value.
func checkNear(t *testing.T, what string, got, want []float64, rel float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s = %v, want %v", what, got, want)
		return
	}
	for i, w := range want {
		if !near64(got[i], w, rel, 0) {
			t.Errorf("%s[%d] = %v, want %v (%s)", what, i, got[i], w, distance("float64", got[i], w))
		}
	}
}

// checkNear32 holds float32 numbers to want rounded to float32, within ulps units in the last
// place.
func checkNear32(t *testing.T, what string, got, want []float64, ulps int) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s = %v, want %v", what, got, want)
		return
	}
	for i, w := range want {
		if !near32(float32(got[i]), float32(w), ulps) {
			t.Errorf("%s[%d] = %v, want %v (%s)", what, i, got[i], float32(w), distance("float32", got[i], w))
		}
	}
}
