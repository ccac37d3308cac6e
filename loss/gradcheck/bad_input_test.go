package gradcheck_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func sumOfSquares(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
	y, err := G.Square(in[0])
	if err != nil {
		return nil, err
	}
	return G.Sum(y)
}

func square(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return G.Square(in[0]) }

// What cannot be checked at all is an error that says why.
func TestErrors(t *testing.T) {
	x := gradcheck.Var("x", []float64{1, 2, 3})
	one := []gradcheck.Input{x}
	for _, c := range []struct {
		name   string
		build  gradcheck.Builder
		inputs []gradcheck.Input
		opts   []gradcheck.Option
		kind   error
		text   string
	}{
		{"vector without upstream", square, one, nil, gradcheck.ErrOption,
			"the result has shape (3), want a scalar, or an upstream"},
		{"upstream too short", square, one, []gradcheck.Option{gradcheck.WithUpstream(1, 2)}, gradcheck.ErrOption,
			"upstream has 2 values, want 3 to match the result (3)"},
		{"upstream not finite", square, one, []gradcheck.Option{gradcheck.WithUpstream(1, math.NaN(), 2)},
			gradcheck.ErrOption, "upstream is NaN at 1"},
		{"no builder", nil, one, nil, gradcheck.ErrBuild, "the builder is nil"},
		{"builder fails", func(*G.ExprGraph, tensor.Dtype, G.Nodes) (*G.Node, error) { return nil, errors.New("no such loss") }, one, nil,
			gradcheck.ErrBuild, "no such loss"},
		{"builder panics", func(*G.ExprGraph, tensor.Dtype, G.Nodes) (*G.Node, error) { panic("oh") }, one, nil,
			gradcheck.ErrBuild, "the builder panicked for dtype float64: oh"},
		{"builder returns nothing", func(*G.ExprGraph, tensor.Dtype, G.Nodes) (*G.Node, error) { return nil, nil },
			one, nil, gradcheck.ErrBuild, "returned no node"},
		{"builder uses another graph", func(*G.ExprGraph, tensor.Dtype, G.Nodes) (*G.Node, error) {
			return G.NewScalar(G.NewGraph(), tensor.Float64, G.WithName("s")), nil
		}, one, nil, gradcheck.ErrBuild, "another graph"},
		{"unbound node", func(g *G.ExprGraph, dt tensor.Dtype, in G.Nodes) (*G.Node, error) {
			return G.Sum(G.Must(G.HadamardProd(in[0], G.NewVector(g, dt, G.WithShape(3), G.WithName("w")))))
		}, one, nil, gradcheck.ErrRun, `node "w" has no value`},
		{"the run panics", func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
			p := sine()
			p.forward = func([][]float64) []float64 { panic("out of luck") }
			return G.Sum(G.Must(p.apply(in[0])))
		}, one, nil, gradcheck.ErrRun, "operation planted.sine panicked: out of luck"},
		{"no inputs", sumOfSquares, nil, nil, gradcheck.ErrInput, "no input is floating"},
		{"only labels", sumOfSquares, []gradcheck.Input{gradcheck.Data("y", []int{1})}, nil, gradcheck.ErrInput,
			"no input is floating"},
		{"no name", sumOfSquares, []gradcheck.Input{{Value: 1.0}}, nil, gradcheck.ErrInput, "input 0 has no name"},
		{"equal names", sumOfSquares, []gradcheck.Input{x, x}, nil, gradcheck.ErrInput, `two inputs are named "x"`},
		{"NaN", sumOfSquares, []gradcheck.Input{gradcheck.Var("x", []float64{0, math.NaN()})}, nil,
			gradcheck.ErrInput, `input "x" is NaN at element 1`},
		{"wrong shape", sumOfSquares, []gradcheck.Input{gradcheck.Var("x", []float64{1, 2, 3}, 2, 2)}, nil,
			gradcheck.ErrInput, `input "x" has 3 values, want 4 > 0 for shape (2, 2)`},
		{"empty", sumOfSquares, []gradcheck.Input{gradcheck.Var("x", nil)}, nil, gradcheck.ErrInput, `input "x" is empty`},
		{"no number", sumOfSquares, []gradcheck.Input{{Name: "x", Value: "one"}}, nil, gradcheck.ErrInput,
			`input "x" has a value of type string`},
		{"dtype", sumOfSquares, one, []gradcheck.Option{gradcheck.WithDType(tensor.Int)}, gradcheck.ErrOption,
			"dtype is int"},
		{"no pass", sumOfSquares, one, []gradcheck.Option{gradcheck.WithPasses()}, gradcheck.ErrOption, "no pass"},
		{"the pass of CheckNode", sumOfSquares, one, []gradcheck.Option{gradcheck.WithPasses(gradcheck.Given)},
			gradcheck.ErrOption, "pass is Given, want Grad, Reverse, Lisp or Machine"},
		{"a pass twice", sumOfSquares, one, []gradcheck.Option{gradcheck.WithPasses(gradcheck.Grad, gradcheck.Grad)},
			gradcheck.ErrOption, "pass Grad is given twice"},
		{"sample", sumOfSquares, one, []gradcheck.Option{gradcheck.WithSample(0)}, gradcheck.ErrOption, "sample is 0"},
		{"directions", sumOfSquares, one, []gradcheck.Option{gradcheck.WithDirections(-1)}, gradcheck.ErrOption,
			"directions is -1"},
		{"second order", sumOfSquares, one, []gradcheck.Option{gradcheck.WithSecondOrder(0)}, gradcheck.ErrOption,
			"second order directions is 0"},
		{"budget", sumOfSquares, one, []gradcheck.Option{gradcheck.WithBudget(0)}, gradcheck.ErrOption, "budget is 0s"},
		{"zero of nothing", sumOfSquares, one, []gradcheck.Option{gradcheck.WithZero("z")}, gradcheck.ErrOption,
			`WithZero names "z"`},
		{"zero out of range", sumOfSquares, one, []gradcheck.Option{gradcheck.WithZero("x", []int{3})},
			gradcheck.ErrOption, `WithZero names element (3) of "x", whose shape is (3)`},
		{"no reference", sumOfSquares, one, []gradcheck.Option{gradcheck.WithReference(1, nil)}, gradcheck.ErrOption,
			"reference needs a function"},
	} {
		r, err := gradcheck.Check(c.build, c.inputs, c.opts...)
		if err == nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) || !strings.HasPrefix(err.Error(), "gradcheck.Check: ") {
			t.Errorf("%s: error %v, want one of kind %v with %q", c.name, err, c.kind, c.text)
		}
		if r != nil {
			t.Errorf("%s: a report beside the error", c.name)
		}
	}
}

// What can be built and run, but has no proper gradient, is a verdict that says so.
func TestVerdictsOfBadPoints(t *testing.T) {
	for _, c := range []struct {
		name   string
		build  gradcheck.Builder
		inputs []gradcheck.Input
		want   gradcheck.Verdict
		text   string
	}{
		{"an input that is not used", sumOfSquares, []gradcheck.Input{gradcheck.Var("x", []float64{1}), gradcheck.Var("z", []float64{2})},
			gradcheck.Missing, "the cost does not depend on it"},
		{"the function is NaN", func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return G.Sum(G.Must(G.Log(in[0]))) },
			[]gradcheck.Input{gradcheck.Var("x", []float64{1, -1})}, gradcheck.NaN, "the function is NaN"},
		{"the function is infinite", func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return G.Sum(G.Must(G.Exp(in[0]))) },
			[]gradcheck.Input{gradcheck.Var("x", []float64{1, 1000})}, gradcheck.NaN, "the function is +Inf"},
		{"an infinite input", func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return G.Sum(G.Must(G.Exp(in[0]))) },
			[]gradcheck.Input{gradcheck.Var("x", []float64{1, math.Inf(-1)})}, gradcheck.Unresolved,
			"the input is infinite"},
		{"a step function", func(_ *G.ExprGraph, dt tensor.Dtype, in G.Nodes) (*G.Node, error) {
			s, err := G.Sign(in[0])
			if err != nil {
				return nil, err
			}
			return G.Sum(s)
		}, []gradcheck.Input{gradcheck.Var("x", []float64{0})}, gradcheck.Missing,
			"no operation on the way to the cost is differentiable"},
	} {
		r, err := gradcheck.Check(c.build, c.inputs)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		found := false
		for _, e := range r.Failures() {
			found = found || e.Verdict == c.want
		}
		if !found || r.OK() || !strings.Contains(r.String(), c.text) {
			t.Errorf("%s: want verdict %v and %q, got\n%v", c.name, c.want, c.text, r)
		}
	}
}

// A budget that is too short leaves elements unchecked, and the report says how many.
func TestBudget(t *testing.T) {
	x := make([]float64, 1000)
	for i := range x {
		x[i] = float64(i + 1)
	}
	r, err := gradcheck.Check(sumOfSquares, []gradcheck.Input{gradcheck.Var("x", x)}, gradcheck.WithBudget(time.Nanosecond))
	if err != nil {
		t.Fatal(err)
	}
	if r.Skipped != 1000 || len(r.Elements) != 0 || !strings.Contains(r.String(), "left 1000 unchecked") {
		t.Errorf("skipped %d, checked %d, want 1000 and 0:\n%v", r.Skipped, len(r.Elements), r)
	}
	r, err = gradcheck.Check(sumOfSquares, []gradcheck.Input{gradcheck.Var("x", x)}, gradcheck.WithBudget(time.Hour))
	if err != nil || r.Skipped != 0 || len(r.Elements) != 1000 || !r.OK() {
		t.Errorf("with an hour: error %v, skipped %d, checked %d", err, r.Skipped, len(r.Elements))
	}
}

// recorder is a testing.TB that notes failures.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Helper()           {}
func (r *recorder) Error(args ...any) { r.text += fmt.Sprintln(args...) }

// Test fails the test with the report, and with the error where there is no report.
func TestTest(t *testing.T) {
	in := []gradcheck.Input{gradcheck.Var("x", []float64{1, 2, 3})}
	var rec recorder
	if r := gradcheck.Test(&rec, sumOfSquares, in); r == nil || rec.text != "" {
		t.Errorf("a right gradient: report %v, failure %q", r, rec.text)
	}
	wrong := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		return twist(sine(), scale(2)).apply(in[0])
	}
	if gradcheck.Test(&rec, wrong, in, gradcheck.WithRandomUpstream()); !strings.Contains(rec.text, "gradcheck FAILED") {
		t.Errorf("a wrong gradient: failure %q, want the report", rec.text)
	}
	rec.text = ""
	if r := gradcheck.Test(&rec, square, in); r != nil || !strings.Contains(rec.text, "want a scalar") {
		t.Errorf("an error: report %v, failure %q", r, rec.text)
	}
}
