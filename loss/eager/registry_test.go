package eager_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// constructors are the functions of this package by the names of their losses.
var constructors = eager.Constructors()

// A sample is data for the operands of a loss in one dtype, as nodes of a graph and as operands.
type sample struct {
	graph    *G.ExprGraph
	nodes    []*G.Node
	operands []eager.Operand
	rows     int
	classes  int
}

// draw makes data of the domain.
func draw(r *rand.Rand, d loss.Domain) float64 {
	switch d {
	case loss.Probabilities, loss.SoftTargets, loss.LabelsOrSoft, loss.Counts, loss.Positive, loss.Variances, loss.Scales:
		return 0.1 + r.Float64()
	case loss.UnitInterval:
		return 0.1 + 0.8*r.Float64()
	case loss.Cosines:
		return 1.8*r.Float64() - 0.9
	case loss.NonPositive:
		return -0.1 - r.Float64()
	case loss.Signs, loss.SignFlags:
		return math.Copysign(1, r.NormFloat64())
	}
	return 2 * r.NormFloat64()
}

// newSample draws the operands of a loss; with labels, a target that may be labels is.
func newSample(r *rand.Rand, info loss.Info, holds []loss.Domain, dt tensor.Dtype, labels bool, rows, classes int) *sample {
	s := &sample{graph: G.NewGraph(), rows: rows, classes: classes}
	for k, name := range info.Operands {
		switch d := holds[k]; {
		case d == loss.ClassLists:
			lists := make([]int, rows*classes)
			for i := range lists {
				if lists[i] = -1; i%classes == 0 {
					lists[i] = r.IntN(classes)
				}
			}
			addOperand(s, name, tensor.Int, lists, rows, classes)
		case d == loss.Labels || d == loss.LabelsOrSoft && labels:
			y := make([]int, rows)
			for i := range y {
				y[i] = r.IntN(classes)
			}
			addOperand(s, name, tensor.Int, y, rows)
		default:
			x := make([]float64, rows*classes)
			for i := range x {
				x[i] = draw(r, d)
			}
			if dt == tensor.Float64 {
				addOperand(s, name, dt, x, rows, classes)
			} else {
				addOperand(s, name, dt, narrow(x), rows, classes)
			}
		}
	}
	return s
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func addOperand[T eager.Element](s *sample, name string, dt tensor.Dtype, data []T, shape ...int) {
	s.operands = append(s.operands, eager.Slice(data, shape...))
	s.nodes = append(s.nodes, leaf(s.graph, name, dt, data, shape...))
}

func leaf[T eager.Element](g *G.ExprGraph, name string, dt tensor.Dtype, data []T, shape ...int) *G.Node {
	return G.NewTensor(g, dt, len(shape), G.WithName(name), G.WithShape(shape...),
		G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))))
}

// Every loss gives the numbers of its graph to the bit: values and gradients, with weights, masks
// and every reduction.
func TestSameAsGraph(t *testing.T) {
	for info := range loss.Losses() {
		if info.Node || info.Product || info.Grouped || info.Requires != nil {
			continue // TestLinearIsDense and its neighbours
		}
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, size := range [][2]int{{3, 4}, {40, 11}, {7, 300}} {
				for _, labels := range []bool{true, false} {
					if !labels && info.Target != loss.LabelsOrSoft {
						continue
					}
					t.Run(fmt.Sprintf("%s/%v/%v/labels=%t", info.Name, dt, size, labels), func(t *testing.T) {
						r := rand.New(rand.NewPCG(3, uint64(size[0])))
						for _, reduction := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
							s := newSample(r, info, info.Holds, dt, labels, size[0], size[1])
							if dt == tensor.Float32 {
								compare[float32](t, r, info, s, dt, reduction)
							} else {
								compare[float64](t, r, info, s, dt, reduction)
							}
						}
					})
				}
			}
		}
	}
}

func compare[F float32 | float64](t *testing.T, r *rand.Rand, info loss.Info, s *sample, dt tensor.Dtype, reduction loss.Reduction) {
	t.Helper()
	shape := []int{s.rows}
	if info.Elementwise {
		shape = []int{s.rows, s.classes}
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	weights, mask, up := make([]F, n), make([]bool, n), make([]F, n)
	for i := range weights {
		weights[i], mask[i], up[i] = F(0.5+r.Float64()), r.IntN(4) != 0, F(r.NormFloat64())
	}
	mask[0] = true
	cost, err := info.Call(s.nodes, loss.WithReduction(reduction), loss.WithWeights(leaf(s.graph, "w", dt, weights, shape...)),
		loss.WithMask(leaf(s.graph, "m", tensor.Bool, mask, shape...)))
	if err != nil {
		t.Fatal(err)
	}
	var grads G.Nodes
	data := eager.Data{Weights: eager.Slice(weights, shape...), Mask: eager.Slice(mask, shape...)}
	if reduction == loss.None {
		data.Upstream = eager.Slice(up, shape...)
		grads, err = loss.VJP(cost, leaf(s.graph, "up", dt, up, shape...), s.nodes[0])
	} else {
		grads, err = loss.Gradients(cost, s.nodes[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	m := G.NewTapeMachine(s.graph)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	l, err := constructors[info.Name](loss.WithReduction(reduction))
	if err != nil {
		t.Fatal(err)
	}
	size := s.rows * s.classes
	dst, values := make([]F, size), make([]F, n)
	value, err := l.ValueGradient(eager.Slice(dst, s.rows, s.classes), data, s.operands...)
	if err != nil {
		t.Fatal(err)
	}
	if reduction == loss.None {
		if err := l.Values(eager.Slice(values, shape...), data, s.operands...); err != nil {
			t.Fatal(err)
		}
		sameBits(t, info.Name+" values", values, cost.Value().Data().([]F))
	} else {
		sameBits(t, info.Name+" value", []F{F(value)}, []F{cost.Value().Data().(F)})
		alone, err := l.Value(data, s.operands...)
		if err != nil || alone != value {
			t.Errorf("%s: value %v alone, %v with the gradient (error %v)", info.Name, alone, value, err)
		}
	}
	sameBits(t, info.Name+" gradient", dst, grads[0].Value().Data().([]F))
}

func sameBits[F float32 | float64](t *testing.T, what string, got, want []F) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
			t.Errorf("%s[%d] = %v, want %v as in the graph", what, i, got[i], want[i])
			return
		}
	}
}
