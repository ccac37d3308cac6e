package machine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash"
	"hash/fnv"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var runs = flag.Int("runs", 5000, "the number of runs of the tests of goroutines and memory")

// function is an operation of one vector that calls a function.
type function struct {
	name string
	do   func(G.Value) (G.Value, error)
}

func (f *function) Arity() int { return 1 }
func (f *function) Type() hm.Type {
	v := G.TensorType{Dims: 1, Of: tensor.Float64}
	return hm.NewFnType(v, v)
}
func (f *function) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	return in[0].(tensor.Shape), nil
}
func (f *function) Do(in ...G.Value) (G.Value, error) { return f.do(in[0]) }
func (f *function) ReturnsPtr() bool                  { return false }
func (f *function) CallsExtern() bool                 { return false }
func (f *function) OverwritesInput() int              { return -1 }
func (f *function) WriteHash(h hash.Hash)             { fmt.Fprint(h, f.name) }
func (f *function) String() string                    { return f.name }
func (f *function) Hashcode() uint32 {
	h := fnv.New32a()
	f.WriteHash(h)
	return h.Sum32()
}

// vector is a graph with an input x of two numbers.
func vector() (*G.ExprGraph, *G.Node) {
	g := G.NewGraph()
	return g, newInput(g, tensor.Float64, "x", 2)
}

func let(t *testing.T, n *G.Node, values ...float64) {
	t.Helper()
	if err := G.Let(n, tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values))); err != nil {
		t.Fatal(err)
	}
}

func newMachine(t testing.TB, g *G.ExprGraph, opts ...machine.Option) *machine.Machine {
	t.Helper()
	m, err := machine.New(g, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t testing.TB, m *machine.Machine) {
	t.Helper()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
}

func numbers(v G.Value) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(v.Data())
}

func TestRunsFollowTheInputs(t *testing.T) {
	g, x := vector()
	y := G.Must(G.Square(x))
	var into G.Value
	G.Read(y, &into)
	m := newMachine(t, g)
	for i, reset := range []bool{false, true, false, false} {
		v := float64(i)
		let(t, x, v, v+1)
		run(t, m)
		if reset {
			m.Reset()
		}
		want := fmt.Sprint([]float64{v * v, (v + 1) * (v + 1)})
		if numbers(y.Value()) != want || numbers(into) != want {
			t.Errorf("run %d gives %s and reads %s, want %s", i, numbers(y.Value()), numbers(into), want)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	let(t, x, 5, 6)
	run(t, m) // a closed machine only has no memory
	if got := numbers(y.Value()); got != "[25 36]" {
		t.Errorf("after Close a run gives %s", got)
	}
}

func TestNodesAddedAfterNewAreNotRun(t *testing.T) {
	g, x := vector()
	y := G.Must(G.Square(x))
	m := newMachine(t, g)
	late := G.Must(G.Exp(y))
	run(t, m)
	if late.Value() != nil {
		t.Errorf("the late node has the value %v", late.Value())
	}
	again := newMachine(t, g)
	run(t, again)
	if late.Value() == nil {
		t.Errorf("a new machine does not run the node")
	}
}

func TestOutputsRestrictTheRun(t *testing.T) {
	g, x := vector()
	calls := make(map[string]int)
	count := func(name string, in *G.Node) *G.Node {
		return G.Must(G.ApplyOp(&function{name, func(v G.Value) (G.Value, error) {
			calls[name]++
			return G.CloneValue(v)
		}}, in))
	}
	a := count("a", x)
	b := count("b", a)
	count("c", a)
	read := count("read", x)
	var into G.Value
	G.Read(read, &into)
	for _, c := range []struct {
		opts []machine.Option
		want string
	}{
		{nil, "map[a:1 b:1 c:1 read:1]"},
		{[]machine.Option{machine.WithOutputs()}, "map[read:1]"},
		{[]machine.Option{machine.WithOutputs(b)}, "map[a:1 b:1 read:1]"},
		{[]machine.Option{machine.WithOutputs(x)}, "map[read:1]"},
	} {
		clear(calls)
		run(t, newMachine(t, g, c.opts...))
		if got := fmt.Sprint(calls); got != c.want {
			t.Errorf("ran %s, want %s", got, c.want)
		}
	}
}

// An input that nothing needs may be without a value.
func TestInputsWithoutValue(t *testing.T) {
	g, x := vector()
	empty := G.NewVector(g, tensor.Float64, G.WithName("empty"), G.WithShape(2))
	y := G.Must(G.Square(x))
	run(t, newMachine(t, g))
	sum := G.Must(G.Add(y, empty))
	err := newMachine(t, g).RunAll()
	var at *machine.Error
	if !errors.Is(err, machine.ErrNoValue) || !errors.As(err, &at) || at.Node != empty || !strings.Contains(err.Error(), "no value is bound to this input") {
		t.Errorf("the error is %v, want ErrNoValue at the input", err)
	}
	run(t, newMachine(t, g, machine.WithOutputs(y)))
	m := newMachine(t, g)
	let(t, empty, 1, 2)
	run(t, m)
	if sum.Value() == nil {
		t.Error("no sum")
	}
}

func TestFailingOperations(t *testing.T) {
	cause := errors.New("cause")
	for name, c := range map[string]struct {
		do   func(G.Value) (G.Value, error)
		want []error
		text string
	}{
		"error": {func(G.Value) (G.Value, error) { return nil, cause }, []error{cause}, "cause"},
		"panic": {func(G.Value) (G.Value, error) { panic("at the disco") }, []error{machine.ErrPanic},
			"at the disco"},
		"panic with one": {func(G.Value) (G.Value, error) { panic(cause) }, []error{machine.ErrPanic, cause}, "cause"},
		"runtime panic": {func(v G.Value) (G.Value, error) { return v.(*G.F64), nil }, []error{machine.ErrPanic},
			"interface conversion"},
		"nothing":       {func(G.Value) (G.Value, error) { return nil, nil }, []error{machine.ErrNoValue}, "returned"},
		"another rank":  {func(G.Value) (G.Value, error) { return G.NewF64(1), nil }, nil, "shape ()"},
		"another dtype": {func(G.Value) (G.Value, error) { return tensor.New(tensor.WithShape(2), tensor.Of(tensor.Int)), nil }, nil, "dtype int"},
		"loss.ErrValue": {func(G.Value) (G.Value, error) { return nil, fmt.Errorf("label: %w", loss.ErrValue) },
			[]error{loss.ErrValue}, "label"},
		"panic with nil ": {func(G.Value) (G.Value, error) { panic(nil) }, []error{machine.ErrPanic}, "nil"},
	} {
		g, x := vector()
		fail := true
		bad := G.Must(G.ApplyOp(&function{"faulty", func(v G.Value) (G.Value, error) {
			if fail {
				return c.do(v)
			}
			return G.CloneValue(v)
		}}, G.Must(G.Square(x))))
		after := G.Must(G.Exp(bad))
		m := newMachine(t, g)
		err := m.RunAll()
		var at *machine.Error
		if !errors.As(err, &at) || at.Node != bad {
			t.Errorf("%s: the error is %v, want one at %v", name, err, bad)
			continue
		}
		for _, want := range c.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: the error %v is no %v", name, err, want)
			}
		}
		if !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "faulty") {
			t.Errorf("%s: the error is %q, want the operation and %q", name, err, c.text)
		}
		if after.Value() != nil {
			t.Errorf("%s: the node behind has a value", name)
		}
		fail = false
		run(t, m)
		if after.Value() == nil {
			t.Errorf("%s: no value in the run after", name)
		}
	}
}

// An operation whose result has another shape than the one that was inferred runs, as on a
// TapeMachine.
func TestWronglyInferredShape(t *testing.T) {
	g, x := vector()
	y := G.Must(G.ApplyOp(&function{"longer", func(G.Value) (G.Value, error) {
		return tensor.New(tensor.WithShape(3), tensor.WithBacking([]float64{1, 2, 3})), nil
	}}, x))
	sum := G.Must(G.Sum(y))
	run(t, newMachine(t, g))
	if numbers(y.Value()) != "[1 2 3]" || numbers(sum.Value()) != "6" {
		t.Errorf("values are %v and %v", y.Value(), sum.Value())
	}
}

func TestCancelledBetweenOperations(t *testing.T) {
	g, x := vector()
	ctx, cancel := context.WithCancel(context.Background())
	first := G.Must(G.ApplyOp(&function{"first", func(v G.Value) (G.Value, error) {
		cancel()
		return G.CloneValue(v)
	}}, x))
	second := G.Must(G.Exp(first))
	m := newMachine(t, g)
	err := m.Run(ctx)
	var at *machine.Error
	if !errors.Is(err, context.Canceled) || !errors.As(err, &at) || at.Node != second {
		t.Errorf("the error is %v, want context.Canceled before %v", err, second)
	}
	if first.Value() == nil || second.Value() != nil {
		t.Errorf("values are %v and %v, want the first only", first.Value(), second.Value())
	}
	run(t, m)
	if second.Value() == nil {
		t.Error("no value in the run after")
	}
	var none context.Context
	if err := m.Run(none); err == nil {
		t.Error("a nil context is taken")
	}
}

// The second of two runs at a time is refused, and the first is right.
func TestTwoGoroutinesOnOneMachine(t *testing.T) {
	g, x := vector()
	inside, done := make(chan bool), make(chan bool)
	y := G.Must(G.ApplyOp(&function{"slow", func(v G.Value) (G.Value, error) {
		inside <- true
		<-done
		return G.CloneValue(v)
	}}, x))
	m := newMachine(t, g)
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := m.RunAll(); err != nil {
			t.Error(err)
		}
	})
	<-inside
	if err := m.RunAll(); !errors.Is(err, machine.ErrBusy) || err.Error() != "machine: the machine is running already" {
		t.Errorf("the error is %v, want ErrBusy", err)
	}
	close(done)
	wait.Wait()
	if numbers(y.Value()) != numbers(x.Value()) {
		t.Errorf("the result is %v", y.Value())
	}
	wait.Go(func() { <-inside })
	run(t, m)
	wait.Wait()
}

// A goroutine that an operation ends, as testing.T.FailNow does, leaves a machine that runs.
func TestGoexitInAnOperation(t *testing.T) {
	g, x := vector()
	exit := true
	G.Must(G.ApplyOp(&function{"exit", func(v G.Value) (G.Value, error) {
		if exit {
			runtime.Goexit()
		}
		return G.CloneValue(v)
	}}, x))
	m := newMachine(t, g)
	var wait sync.WaitGroup
	wait.Go(func() { m.RunAll() })
	wait.Wait()
	exit = false
	run(t, m)
}

func TestCycles(t *testing.T) {
	g, x := vector()
	a := G.Must(G.Exp(x))
	b := G.Must(G.Tanh(a))
	G.WithChildren(G.Nodes{b})(a)
	_, err := machine.New(g)
	var at *machine.Error
	if !errors.Is(err, machine.ErrCycle) || !errors.As(err, &at) || at.Node != a && at.Node != b || !strings.Contains(err.Error(), "needed for its own operand") {
		t.Errorf("the error of a cycle of operands is %v, want ErrCycle", err)
	}

	g, x = vector()
	y, z := newInput(g, tensor.Float64, "y", 2), newInput(g, tensor.Float64, "z", 2)
	G.Set(x, y)
	G.Set(y, z)
	run(t, newMachine(t, g))
	if numbers(x.Value()) == numbers(y.Value()) {
		t.Errorf("Set did something, which it does not on a TapeMachine")
	}
	G.Set(z, x)
	if _, err := machine.New(g); !errors.Is(err, machine.ErrCycle) || !strings.Contains(err.Error(), "Set statements assign to it what they take from it") {
		t.Errorf("the error of a cycle of Set statements is %v, want ErrCycle", err)
	}
	g, x = vector()
	G.Set(x, x)
	if _, err := machine.New(g); !errors.Is(err, machine.ErrCycle) {
		t.Errorf("the error of a Set of a node to itself is %v, want ErrCycle", err)
	}
}

func TestOptionsThatDoNotFit(t *testing.T) {
	g, x := vector()
	y := G.Must(G.Square(x))
	_, other := vector()
	scalar := G.Must(G.Sum(y))
	for name, o := range map[string]machine.Option{
		"no output":                   machine.WithOutputs(nil),
		"output of another graph":     machine.WithOutputs(other),
		"no input":                    machine.WithGradients(nil),
		"input without a gradient":    machine.WithGradients(x),
		"no gradients at all":         machine.WithGradients(),
		"input of another graph":      machine.WithGradients(other),
		"more inputs than gradients":  machine.WithGradientNodes(G.Nodes{x}, nil),
		"nil input":                   machine.WithGradientNodes(G.Nodes{nil}, G.Nodes{y}),
		"nil gradient":                machine.WithGradientNodes(G.Nodes{x}, G.Nodes{nil}),
		"gradient of another shape":   machine.WithGradientNodes(G.Nodes{x}, G.Nodes{scalar}),
		"gradient of another graph":   machine.WithGradientNodes(G.Nodes{x}, G.Nodes{other}),
		"gradient of another graph's": machine.WithGradientNodes(G.Nodes{other}, G.Nodes{y}),
	} {
		if _, err := machine.New(g, o); !errors.Is(err, machine.ErrOption) {
			t.Errorf("%s: the error is %v, want ErrOption", name, err)
		}
	}
	if _, err := machine.New(nil); err == nil {
		t.Error("a nil graph is taken")
	}
	run(t, newMachine(t, g, nil))                  // a nil option is none
	run(t, newMachine(t, G.NewGraph()))            // an empty graph
	run(t, newMachine(t, g.ExactSubgraphRoots(y))) // a part of a graph
}

// TestGoroutinesAndMemoryStayFlat runs a network many times; -args -runs 100000 makes it more.
func TestGoroutinesAndMemoryStayFlat(t *testing.T) {
	for name, opts := range map[string][]machine.Option{
		"plain":       nil,
		"all options": {machine.WithOutputs(), machine.WithBufferReuse()},
	} {
		n := newDense(t, tensor.Float64, 2, 3, 2)
		m := newMachine(t, n.g, append(opts, machine.WithGradients(n.weights...))...)
		measure := func() (goroutines int, bytes uint64) {
			run(t, m)
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return runtime.NumGoroutine(), s.HeapAlloc
		}
		goroutines, bytes := measure()
		for range *runs {
			run(t, m)
		}
		moreGoroutines, moreBytes := measure()
		if moreGoroutines > goroutines {
			t.Errorf("%s: %d goroutines after %d runs, %d before", name, moreGoroutines, *runs, goroutines)
		}
		// 32 bytes that stay behind in each run would be seen; the heap itself moves by some
		// kilobytes.
		if moreBytes > bytes+uint64(32**runs) {
			t.Errorf("%s: %d bytes after %d runs, %d before", name, moreBytes, *runs, bytes)
		}
	}
}
