package main

import (
	"math"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// An operation is something of Gorgonia's with the point at which it is checked.
type operation struct {
	name   string
	passes []gradcheck.Pass
	inputs []gradcheck.Input
	build  gradcheck.Builder
	cost   bool // the result is a scalar that is differentiated as it is, with an upstream of 1
}

var (
	tape = []gradcheck.Pass{gradcheck.Grad}
	lisp = []gradcheck.Pass{gradcheck.Lisp}
	both = []gradcheck.Pass{gradcheck.Grad, gradcheck.Lisp}
)

func of1(f func(a *G.Node) (*G.Node, error)) gradcheck.Builder {
	return func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return f(in[0]) }
}

func of2(f func(a, b *G.Node) (*G.Node, error)) gradcheck.Builder {
	return func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return f(in[0], in[1]) }
}

// wave returns n numbers between -2 and 2 that are all different and keep away from 0.
func wave(n int, phase float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 2 * math.Sin(1.7*float64(i)+phase)
	}
	return x
}

func positive(x []float64) []float64 {
	for i, v := range x {
		x[i] = math.Exp(v)
	}
	return x
}

func in(name string, phase float64, shape ...int) gradcheck.Input {
	return gradcheck.Var(name, wave(tensor.Shape(shape).TotalSize(), phase), shape...)
}

var (
	x23   = []gradcheck.Input{in("x", 0.4, 2, 3)}
	pos23 = []gradcheck.Input{gradcheck.Var("x", positive(wave(6, 0.4)), 2, 3)}
	ab23  = []gradcheck.Input{in("a", 0.4, 2, 3), in("b", 1.1, 2, 3)}
	// two rows of logits as a confident classifier makes them
	wide = []gradcheck.Input{gradcheck.Var("x", []float64{1000, 0, 0, 0, 0.5, 1}, 2, 3)}
	rows = []gradcheck.Input{in("x", 0.4, 4, 3), gradcheck.Data("indices", []int{2, 0, 2})}
	cols = []gradcheck.Input{in("x", 0.4, 3, 4), gradcheck.Data("indices", []int{3, 1})}
	// four steps, two sequences, three classes of which 0 is the blank
	speech = []gradcheck.Input{in("logits", 0.4, 4, 2, 3), gradcheck.Data("targets", tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]int{1, 2, 2, 1}))),
		gradcheck.Data("input lengths", []int{4, 4}), gradcheck.Data("target lengths", []int{2, 2})}
)

func byIndices(axis int) gradcheck.Builder {
	return of2(func(x, indices *G.Node) (*G.Node, error) { return G.ByIndices(x, indices, axis) })
}

func sparsemax(axis int) gradcheck.Builder {
	return of1(func(x *G.Node) (*G.Node, error) { return G.Sparsemax(x, axis) })
}

// ctc is the loss of the log-softmax of the logits: its gradient is written for that alone.
func ctc(r G.Reduction) gradcheck.Builder {
	return func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		logProb, err := loss.LogSoftmax(in[0])
		if err != nil {
			return nil, err
		}
		return G.CTCLoss(logProb, in[1], in[2], in[3], r)
	}
}

// penalty is Σ (d Σx³/dx)², a gradient penalty: Grad is called to build it, and again by whoever
// differentiates it.
func penalty(x *G.Node) (*G.Node, error) {
	cube, err := G.Cube(x)
	if err != nil {
		return nil, err
	}
	cost, err := G.Sum(cube)
	if err != nil {
		return nil, err
	}
	g, err := G.Grad(cost, x)
	if err != nil {
		return nil, err
	}
	if cube, err = G.Square(g[0]); err != nil {
		return nil, err
	}
	return G.Sum(cube)
}

var operations = []operation{
	{"Add", both, ab23, of2(G.Add), false},
	{"Sub", both, ab23, of2(G.Sub), false},
	{"HadamardProd", both, ab23, of2(G.HadamardProd), false},
	{"HadamardDiv", both, ab23, of2(G.HadamardDiv), false},
	{"Neg", both, x23, of1(G.Neg), false},
	{"Square", both, x23, of1(G.Square), false},
	{"Cube", both, x23, of1(G.Cube), false},
	{"Sqrt", both, pos23, of1(G.Sqrt), false},
	{"Exp", both, x23, of1(G.Exp), false},
	{"Log", both, pos23, of1(G.Log), false},
	{"Log1p", both, pos23, of1(G.Log1p), false},
	{"Expm1", both, x23, of1(G.Expm1), false},
	{"Tanh", both, x23, of1(G.Tanh), false},
	{"Sigmoid", both, x23, of1(G.Sigmoid), false},
	{"Softplus", both, x23, of1(G.Softplus), false},
	{"Softplus above 16", both, []gradcheck.Input{gradcheck.Var("x", []float64{-1, 3, 16.5})}, of1(G.Softplus), false},
	{"Sin", both, x23, of1(G.Sin), false},
	{"Cos", both, x23, of1(G.Cos), false},
	{"Abs", both, x23, of1(G.Abs), false},
	{"Abs at 0", both, []gradcheck.Input{gradcheck.Var("x", []float64{-1, 0, 1})}, of1(G.Abs), false},
	{"Rectify", both, x23, of1(G.Rectify), false},
	{"Sum", both, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Sum(x) }), false},
	{"Sum along axis 0", both, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Sum(x, 0) }), false},
	{"Mean", both, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Mean(x) }), false},
	{"Mean along axis 1", both, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Mean(x, 1) }), false},
	{"Mul, two matrices", both, []gradcheck.Input{in("a", 0.4, 2, 3), in("b", 1.1, 3, 4)}, of2(G.Mul), false},
	{"Mul, matrix and vector", both, []gradcheck.Input{in("a", 0.4, 2, 3), in("b", 1.1, 3)}, of2(G.Mul), false},
	{"OuterProd", both, []gradcheck.Input{in("a", 0.4, 3), in("b", 1.1, 3)}, of2(G.OuterProd), false},
	{"Transpose", both, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Transpose(x, 1, 0) }), false},
	{"Reshape", both, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Reshape(x, tensor.Shape{3, 2}) }), false},
	{"Slice", both, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Slice(x, G.S(1)) }), false},
	{"Concat", both, ab23, of2(func(a, b *G.Node) (*G.Node, error) { return G.Concat(0, a, b) }), false},
	{"BroadcastAdd", both, []gradcheck.Input{in("a", 0.4, 2, 3), in("b", 1.1, 2)},
		of2(func(a, b *G.Node) (*G.Node, error) { return G.BroadcastAdd(a, b, nil, []byte{1}) }), false},
	{"SoftMax", tape, x23, of1(func(x *G.Node) (*G.Node, error) { return G.SoftMax(x) }), false},
	{"SoftMax, wide rows", tape, wide, of1(func(x *G.Node) (*G.Node, error) { return G.SoftMax(x) }), false},
	{"LogSoftMax", tape, x23, of1(func(x *G.Node) (*G.Node, error) { return G.LogSoftMax(x) }), false},
	{"LogSoftMax, wide rows", tape, wide, of1(func(x *G.Node) (*G.Node, error) { return G.LogSoftMax(x) }), false},
	{"Sparsemax on axis 1", tape, []gradcheck.Input{in("x", 0.4, 3, 3)}, sparsemax(-1), false},
	{"Sparsemax on axis 0", tape, []gradcheck.Input{in("x", 0.4, 3, 3)}, sparsemax(0), false},
	{"ByIndices on axis 0", tape, rows, byIndices(0), false},
	{"ByIndices on axis 1", tape, cols, byIndices(1), false},
	{"Max along axis 1", tape, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Max(x, 1) }), false},
	{"Max along axis 1, LispMachine", lisp, x23, of1(func(x *G.Node) (*G.Node, error) { return G.Max(x, 1) }), false},
	{"MaxBetween", tape, ab23, of2(G.MaxBetween), false},
	{"MaxBetween, LispMachine", lisp, ab23, of2(G.MaxBetween), false},
	{"BinaryXent", tape, []gradcheck.Input{gradcheck.Var("p", []float64{0.1, 0.9, 0.5}), gradcheck.Data("y", []float64{0, 1, 1})}, of2(G.BinaryXent), false},
	{"BinaryXent at the ends", tape, []gradcheck.Input{gradcheck.Var("p", []float64{0, 1, 0.5}), gradcheck.Data("y", []float64{0, 1, 1})}, of2(G.BinaryXent), false},
	{"CTCLoss with Sum", tape, speech, ctc(G.ReductionSum), true},
	{"CTCLoss with Mean", tape, speech, ctc(G.ReductionMean), true},
	{"CTCLoss with Sum, LispMachine", lisp, speech, ctc(G.ReductionSum), true},
	{"Grad called twice", tape, []gradcheck.Input{gradcheck.Var("x", []float64{1, 2, -1.5})}, of1(penalty), true},
	{"loss.VJP after Grad", []gradcheck.Pass{gradcheck.Reverse},
		[]gradcheck.Input{gradcheck.Var("x", []float64{1, 2, -1.5})}, of1(penalty), true},
}
