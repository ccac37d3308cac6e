package loss_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The Hessian of the linear form is that of the dense form, by all operands and along directions in
// all of them, soft targets under class weights included, on which the denominator depends. 1e-11
// is a thousand roundings of sums of 13 rows of products of 7 terms.
func TestLinearHessianIsDense(t *testing.T) {
	s := newLinearSample(13, 7, 9)
	classWeights := make([]float64, s.c)
	for i := range classWeights {
		classWeights[i] = float64(i % 4)
	}
	for _, soft := range []bool{false, true} {
		for _, reduction := range []loss.Reduction{loss.Mean, loss.Sum} {
			for _, data := range [][]string{nil, {"weights", "mask"}} {
				opts := []loss.Option{loss.WithReduction(reduction), loss.WithClassWeights(classWeights), loss.WithLabelSmoothing(0.1), loss.WithTemperature(2), loss.WithZLoss(0.1)}
				products := func(dense bool) [][]float64 {
					g := G.NewGraph()
					cost, wrt, err := s.build(g, tensor.Float64, dense, soft, true, opts, data...)
					if err != nil {
						t.Fatal(err)
					}
					grads, err := loss.Gradients(cost, wrt...)
					if err != nil {
						t.Fatal(err)
					}
					var terms G.Nodes
					for k, d := range grads {
						v := make([]float64, d.Shape().TotalSize())
						for i := range v {
							v[i] = math.Sin(float64(i + 3*k))
						}
						terms = append(terms, G.Must(G.Sum(G.Must(G.HadamardProd(d, floatLeaf(g, tensor.Float64, fmt.Sprint("v ", k), d.Shape(), v))))))
					}
					total := G.Must(G.ReduceAdd(terms))
					along, err := loss.Gradients(total, wrt...)
					if err != nil {
						t.Fatal(err)
					}
					values, err := runTape(g, append(G.Nodes{total}, along...)...)
					if err != nil {
						t.Fatal(err)
					}
					return values
				}
				got, want := products(false), products(true)
				for i := range want {
					for j, w := range want[i] {
						if d := math.Abs(got[i][j] - w); !(d <= 1e-11*max(1, math.Abs(w))) {
							t.Fatalf("soft=%t %v %v: product %d[%d] is %v, dense %v", soft, reduction, data, i, j,
								got[i][j], w)
						}
					}
				}
			}
		}
	}
}

// Package eager gives the derivative by a soft target of the graph to the bit, on rows that count
// and others.
func TestLinearEagerTarget(t *testing.T) {
	s := newLinearSample(9, 4, 6)
	want, err := s.run(tensor.Float64, false, true, false, nil, "mask")
	if err != nil {
		t.Fatal(err)
	}
	l, err := eager.LinearCrossEntropy()
	if err != nil {
		t.Fatal(err)
	}
	dx, dw, dt := make([]float64, s.n*s.h), make([]float64, s.c*s.h), make([]float64, s.n*s.c)
	dst := []eager.Operand{eager.Slice(dx, s.n, s.h), eager.Slice(dw, s.c, s.h), eager.Slice(dt, s.n, s.c)}
	v, err := l.ValueGradients(dst, eager.Data{Mask: eager.Slice(s.mask)},
		eager.Slice(s.hidden, s.n, s.h), eager.Slice(s.weight, s.c, s.h), eager.Slice(s.soft, s.n, s.c))
	if err != nil {
		t.Fatal(err)
	}
	if got := [][]float64{{v}, dx, dw, dt}; !slices.EqualFunc(got, want, slices.Equal[[]float64]) {
		t.Errorf("%v, the graph %v", got, want)
	}
}
