package loss_test

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A contender is a loss of any arity, or a node that losses stand on, with one kind of target.
type contender struct {
	name        string
	kind        string        // "labels" or "soft" for losses that take both, else ""
	operands    []loss.Domain // Labels and ClassLists are integers, all else is floating
	elementwise bool
	node        bool // no loss: neither reduction nor weights
	keepsAxis   bool // the value has the shape of the operand though the node has a class axis
	options     []string
	call        func(in G.Nodes, opts ...loss.Option) (*G.Node, error)
}

func unary(f func(x *G.Node, opts ...loss.Option) (*G.Node, error)) func(G.Nodes, ...loss.Option) (*G.Node, error) {
	return func(in G.Nodes, opts ...loss.Option) (*G.Node, error) { return f(in[0], opts...) }
}

// lossContenders are all registered losses of predictions and targets; those that take labels or a
// soft target are there twice.
func lossContenders(tb testing.TB) []contender {
	tb.Helper()
	var out []contender
	for _, family := range loss.Families() {
		for _, name := range family.Losses {
			info, ok := loss.Describe(name)
			if !ok {
				tb.Fatalf("the family %q lists %s, which Describe does not know", family.Name, name)
			}
			if info.Node || info.Product || info.Grouped || info.Requires != nil {
				continue // TestLinearIsDense and its neighbours
			}
			c := contender{name: name, operands: info.Holds, elementwise: info.Elementwise, options: info.Options, call: func(in G.Nodes, opts ...loss.Option) (*G.Node, error) { return info.Call(in, opts...) }}
			if info.Target != loss.LabelsOrSoft {
				out = append(out, c)
				continue
			}
			for kind, d := range map[string]loss.Domain{"labels": loss.Labels, "soft": loss.SoftTargets} {
				k := c
				k.kind, k.operands = kind, append([]loss.Domain{info.Pred, d}, info.Holds[2:]...)
				out = append(out, k)
			}
		}
	}
	slices.SortFunc(out, func(a, b contender) int { return strings.Compare(a.title(), b.title()) })
	return out
}

// nodeContenders are the nodes that losses stand on.
func nodeContenders() []contender {
	axis := []string{"WithAxis"}
	node := func(name string, d loss.Domain, c contender, f func(x *G.Node, opts ...loss.Option) (*G.Node, error)) contender {
		c.name, c.operands, c.node, c.call = name, []loss.Domain{d}, true, unary(f)
		return c
	}
	return []contender{
		node("LogSumExp", loss.Logits, contender{options: axis}, loss.LogSumExp),
		node("Softmax", loss.Logits, contender{options: axis, keepsAxis: true}, loss.Softmax),
		node("LogSoftmax", loss.Logits, contender{options: axis, keepsAxis: true}, loss.LogSoftmax),
		node("LogSigmoid", loss.Logits, contender{elementwise: true}, loss.LogSigmoid),
		node("Softplus", loss.Logits, contender{elementwise: true}, loss.Softplus),
		node("Entropy", loss.Logits, contender{options: axis}, loss.Entropy),
		node("EntropyFromProb", loss.Probabilities, contender{options: axis}, loss.EntropyFromProb),
		zTermContender(),
	}
}

// zTermContender is ZTerm of a CrossEntropy with a z-loss, as a function of the operands of that.
func zTermContender() contender {
	info, _ := loss.Describe("CrossEntropy")
	return contender{name: "ZTerm", operands: []loss.Domain{loss.Logits, loss.Labels}, options: info.Options,
		call: func(in G.Nodes, opts ...loss.Option) (*G.Node, error) {
			cost, err := loss.CrossEntropy(in[0], in[1], append([]loss.Option{loss.WithZLoss(0.5)}, opts...)...)
			if err != nil {
				return nil, err
			}
			return loss.ZTerm(cost)
		}}
}

func (c *contender) title() string {
	if c.kind == "" {
		return c.name
	}
	return c.name + "/" + c.kind
}

func (c *contender) has(option string) bool { return slices.Contains(c.options, option) }

// labelled reports whether an operand holds one integer label per row.
func (c *contender) labelled() bool { return slices.Contains(c.operands, loss.Labels) }

func (c *contender) integer(k int) bool {
	return c.operands[k] == loss.Labels || c.operands[k] == loss.ClassLists
}

// A problem is data for a contender: the shape of its floating operands, the class axis, and per
// operand numbers in row-major order.
type problem struct {
	of    *contender
	shape []int
	axis  int
	x     [][]float64 // nil for an integer operand
	y     []int       // the integer operand
	r     *rand.Rand  // for weights, masks, upstreams and directions, in the order of use
}

// newProblem draws data, the same for the same contender, shape and axis. Target logs and target
// logits ask for a target of that domain.
func newProblem(c *contender, shape []int, axis int, target loss.Domain) *problem {
	h := fnv.New64a()
	fmt.Fprint(h, c.title(), shape, axis)
	p := &problem{of: c, shape: shape, axis: axis, r: rand.New(rand.NewPCG(h.Sum64(), 7))}
	for k, d := range c.operands {
		if k == 1 && target != loss.Real {
			d = target
		}
		p.x = append(p.x, nil)
		switch d {
		case loss.Labels:
			p.y = make([]int, p.rows())
			for i := range p.y {
				p.y[i] = p.r.IntN(p.classes())
			}
		case loss.ClassLists:
			p.y = make([]int, p.size())
			for row := range p.rows() {
				list := p.r.Perm(p.classes())
				list[p.r.IntN(len(list))] = -1
				for j, v := range list {
					p.y[p.at(row, j)] = v
				}
			}
		default:
			p.x[k] = p.draw(d)
		}
	}
	return p
}

// size is the number of elements of a floating operand.
func (p *problem) size() int { return product(p.shape) }

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func (p *problem) classes() int {
	if len(p.shape) == 0 {
		return 1
	}
	return p.shape[p.axis]
}

func (p *problem) rows() int { return p.size() / p.classes() }

// at is the position of class j of a row in a floating operand.
func (p *problem) at(row, j int) int {
	if len(p.shape) == 0 {
		return 0
	}
	inner := product(p.shape[p.axis+1:])
	return (row/inner*p.classes()+j)*inner + row%inner
}

// outShape is the shape of the rows: that of the operands without the class axis.
func (p *problem) outShape() []int { return slices.Delete(slices.Clone(p.shape), p.axis, p.axis+1) }

// valueShape is the shape of the loss under None, and of weights and masks.
func (p *problem) valueShape() []int {
	if p.of.elementwise || p.of.keepsAxis {
		return p.shape
	}
	return p.outShape()
}

// draw returns entries of a domain, on a grid of float32 so that both dtypes hold the same numbers.
func (p *problem) draw(d loss.Domain) []float64 {
	x := make([]float64, p.size())
	for i := range x {
		n, u := p.r.NormFloat64(), p.r.Float64()
		switch d {
		case loss.UnitInterval:
			x[i] = 0.05 + 0.9*u
		case loss.Counts, loss.Positive, loss.Variances, loss.Scales:
			x[i] = 0.2 + 3*u
		case loss.Signs, loss.SignFlags:
			x[i] = math.Copysign(1, n)
		case loss.Cosines:
			x[i] = 1.8*u - 0.9
		case loss.NonPositive:
			x[i] = -0.1 - 2*u
		default:
			x[i] = 1.5 * n
		}
	}
	if d == loss.Probabilities || d == loss.SoftTargets || d == loss.LogProbabilities {
		for row := range p.rows() {
			sum := 0.0
			for j := range p.classes() {
				sum += math.Exp(x[p.at(row, j)])
			}
			for j := range p.classes() {
				if x[p.at(row, j)] -= math.Log(sum); d != loss.LogProbabilities {
					x[p.at(row, j)] = math.Exp(x[p.at(row, j)])
				}
			}
		}
	}
	for i := range x {
		x[i] = float64(float32(x[i]))
	}
	return x
}

// uniform returns n numbers of [lo, hi), on a grid of float32.
func (p *problem) uniform(n int, lo, hi float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(float32(lo + (hi-lo)*p.r.Float64()))
	}
	return x
}

// A layout is how the memory of an operand lies.
type layout string

const (
	contiguous layout = "contiguous"
	transposed layout = "transposed" // a view with the axes in reverse order
	cutOut     layout = "cutout"     // a view of the middle of a larger tensor
	fortran    layout = "fortran"    // column-major memory
)

// denseOf is a tensor of the shape whose memory lies as the layout says; junk fills what a view
// leaves out.
func denseOf[T any](lay layout, shape []int, data []T, junk T) *tensor.Dense {
	n := len(shape)
	place := func(strides []int, offset, size int) []T {
		out := slices.Repeat([]T{junk}, size)
		index := make([]int, n)
		for _, v := range data {
			at := offset
			for a, i := range index {
				at += i * strides[a]
			}
			out[at] = v
			for a := n - 1; a >= 0; a-- {
				if index[a]++; index[a] < shape[a] {
					break
				}
				index[a] = 0
			}
		}
		return out
	}
	columns := make([]int, n) // column-major strides
	for a, step := 0, 1; a < n; a++ {
		columns[a], step = step, step*shape[a]
	}
	switch lay {
	case transposed:
		back := slices.Clone(shape)
		slices.Reverse(back)
		t := tensor.New(tensor.WithShape(back...), tensor.WithBacking(place(columns, 0, len(data))))
		if err := t.T(); err != nil {
			panic(err)
		}
		return t
	case fortran:
		return tensor.New(tensor.WithShape(shape...), tensor.AsFortran(slices.Clone(data))) // which reorders row-major data
	case cutOut:
		wide, strides, slice := make([]int, n), make([]int, n), make([]tensor.Slice, n)
		size, offset := 1, 0
		for a := n - 1; a >= 0; a-- {
			wide[a], strides[a], slice[a] = shape[a]+2, size, G.S(1, 1+shape[a])
			offset += size
			size *= wide[a]
		}
		t := tensor.New(tensor.WithShape(wide...), tensor.WithBacking(place(strides, offset, size)))
		view, err := t.Slice(slice...)
		if err != nil {
			panic(err)
		}
		return view.(*tensor.Dense)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(data)))
}

// convert returns the numbers in another type.
func convert[T, F int | int64 | int32 | uint8 | float64 | float32](x []F) []T {
	out := make([]T, len(x))
	for i, v := range x {
		out[i] = T(v)
	}
	return out
}

// leafOf is an input with a value of the layout; a shape () makes a scalar.
func leafOf[F int | float64](g *G.ExprGraph, dt tensor.Dtype, name string, lay layout, shape []int, x []F) *G.Node {
	var all, first any
	switch dt {
	case tensor.Float64:
		all, first = leafData(lay, shape, convert[float64](x), math.NaN())
	case tensor.Float32:
		all, first = leafData(lay, shape, convert[float32](x), float32(math.NaN()))
	case tensor.Int:
		all, first = leafData(lay, shape, convert[int](x), 1<<30)
	case tensor.Int64:
		all, first = leafData(lay, shape, convert[int64](x), 1<<40)
	case tensor.Int32:
		all, first = leafData(lay, shape, convert[int32](x), 1<<30)
	case tensor.Uint8:
		all, first = leafData(lay, shape, convert[uint8](x), 255)
	case tensor.Bool:
		b := make([]bool, len(x))
		for i, v := range x {
			b[i] = v != 0
		}
		all, first = leafData(lay, shape, b, true)
	}
	if len(shape) == 0 {
		return G.NewScalar(g, dt, G.WithName(name), G.WithValue(first))
	}
	return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(all))
}

func leafData[T any](lay layout, shape []int, data []T, junk T) (all, first any) {
	if len(shape) > 0 {
		all = denseOf(lay, shape, data, junk)
	}
	return all, data[0]
}

// TestLayouts checks that a layout changes the places of the entries and nothing else.
func TestLayouts(t *testing.T) {
	for _, shape := range [][]int{{7}, {4, 6}, {3, 4, 5}} {
		data := make([]int, product(shape))
		for i := range data {
			data[i] = i
		}
		for _, lay := range []layout{contiguous, transposed, cutOut, fortran} {
			got, err := tensorops.Elements[int](denseOf(lay, shape, data, -1))
			if err != nil || !slices.Equal(got, data) {
				t.Errorf("%v, %s: %v, %v", shape, lay, got, err)
			}
		}
		if raw := denseOf(cutOut, shape, data, -1).Data().([]int); len(shape) > 1 && slices.Equal(raw, data) {
			t.Errorf("%v: the cut-out is contiguous", shape)
		}
	}
}
