package loss_test

import (
	"errors"
	cmdline "flag"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var bindCalls = cmdline.Int("calls", 4000, "number of random calls that TestBind makes; 7000 have 4,000 bad arguments")

// A chooser turns bytes into decisions; without bytes it decides for the first of the alternatives.
type chooser struct {
	data []byte
	r    *rand.Rand // of numbers
}

// of returns a number below n, 0 most often where the byte is small.
func (c *chooser) of(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := int(c.data[0])
	c.data = c.data[1:]
	return b % n
}

// seldom reports one time in 16.
func (c *chooser) seldom() bool { return c.of(16) == 15 }

// value returns a number, seldom one that is hard.
func (c *chooser) value() float64 {
	hard := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 3e38, 1e-40, -2.5}
	if c.seldom() {
		return hard[c.of(len(hard))]
	}
	return []float64{0.5, 1, 0.25, 0, 2, 1.5}[c.of(6)]
}

// shape returns a shape of rank 0 to 4.
func (c *chooser) shape() []int {
	out := make([]int, []int{2, 2, 1, 3, 4, 0}[c.of(6)])
	for a := range out {
		if out[a] = []int{3, 2, 1, 4, 5, 130}[c.of(6)]; c.seldom() {
			out[a] = 0
		}
	}
	for product(out) > 4000 {
		out[slices.Index(out, slices.Max(out))] = 2
	}
	return out
}

// near returns the shape, seldom one beside it.
func (c *chooser) near(shape []int) []int {
	out := slices.Clone(shape)
	if !c.seldom() {
		return out
	}
	switch a := c.of(max(1, len(out))); {
	case c.of(3) == 0 || len(out) == 0:
		return append(out, 1)
	case c.of(2) == 0:
		return slices.Delete(out, a, a+1)
	default:
		out[a] = max(0, out[a]+c.of(3)-1)
		return out
	}
}

// layout returns one that tensors of the shape can have: axes of length 1 vanish in slices.
func (c *chooser) layout(shape []int) layout {
	lay := []layout{contiguous, transposed, cutOut, fortran}[c.of(4)]
	if len(shape) == 0 || slices.Min(shape) < 2 {
		return contiguous
	}
	return lay
}

// leaf returns an input of the shape, without a value where it is empty.
func (c *chooser) leaf(g *G.ExprGraph, dt tensor.Dtype, name string, d loss.Domain, shape []int) *G.Node {
	if product(shape) == 0 {
		return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName(name))
	}
	x := make([]float64, product(shape))
	for i := range x {
		u := c.r.Float64()
		switch d {
		case loss.Labels, loss.ClassLists:
			x[i] = float64(i % 2)
		case loss.Signs, loss.SignFlags:
			x[i] = math.Copysign(1, u-0.5)
		case loss.Real, loss.Logits:
			x[i] = 4*u - 2
		case loss.LogProbabilities, loss.NonPositive:
			x[i] = -0.1 - u
		default:
			x[i] = 0.05 + 0.9*u
		}
	}
	if c.of(4) == 3 {
		x[c.of(len(x))] = c.value()
	}
	if dt != tensor.Float64 && dt != tensor.Float32 {
		for i, v := range x {
			if v != v || math.Abs(v) > 1e6 {
				x[i] = 77
			}
		}
	}
	return leafOf(g, dt, name, c.layout(shape), shape, x)
}

func (c *chooser) dtype(usual tensor.Dtype) tensor.Dtype {
	if !c.seldom() {
		return usual
	}
	return []tensor.Dtype{tensor.Float32, tensor.Float64, tensor.Int, tensor.Int64, tensor.Int32, tensor.Uint8, tensor.Bool}[c.of(7)]
}

// option returns an option of that name.
func (c *chooser) option(g *G.ExprGraph, dt tensor.Dtype, name string, values []int, classes int) loss.Option {
	node := func() *G.Node {
		if c.seldom() {
			return nil
		}
		return c.leaf(g, dt, name, loss.UnitInterval, c.near(values))
	}
	list := func() []float64 {
		n := classes
		if c.seldom() {
			n = c.of(4)
		}
		w := make([]float64, n)
		for i := range w {
			w[i] = 0.5 + c.r.Float64()
		}
		if len(w) > 0 && c.seldom() {
			w[0] = c.value()
		}
		return w
	}
	scalars := map[string]func(float64) loss.Option{
		"WithNormalizer": loss.WithNormalizer, "WithLabelSmoothing": loss.WithLabelSmoothing,
		"WithTemperature": loss.WithTemperature, "WithSoftcap": loss.WithSoftcap, "WithZLoss": loss.WithZLoss,
		"WithDelta": loss.WithDelta, "WithBeta": loss.WithBeta, "WithGamma": loss.WithGamma, "WithAlpha": loss.WithAlpha,
		"WithEpsilon": loss.WithEpsilon, "WithQ": loss.WithQ, "WithMargin": loss.WithMargin, "WithScale": loss.WithScale,
		"WithPower": loss.WithPower, "WithQuantile": loss.WithQuantile, "WithTau": loss.WithTau, "WithClip": loss.WithClip,
	}
	if f, ok := scalars[name]; ok {
		return f(c.value())
	}
	switch name {
	case "WithReduction":
		return loss.WithReduction(loss.Reduction(c.of(4)))
	case "WithIgnoreIndex":
		return loss.WithIgnoreIndex(c.of(3), -1)
	case "WithWeights":
		return loss.WithWeights(node())
	case "WithDispersion":
		return loss.WithDispersion(node())
	case "WithMask":
		m := c.leaf(g, []tensor.Dtype{tensor.Bool, tensor.Uint8, dt, tensor.Int}[c.of(4)], name, loss.Labels, c.near(values))
		return loss.WithMask(m)
	case "WithNormalizerNode":
		return loss.WithNormalizerNode(c.leaf(g, dt, name, loss.UnitInterval, c.near(nil)))
	case "WithClassWeights":
		return loss.WithClassWeights(list())
	case "WithPosWeight":
		return loss.WithPosWeight(list())
	case "WithLogPrior":
		return loss.WithLogPrior(list())
	case "WithCounts":
		return loss.WithCounts(list())
	case "WithGammas":
		return loss.WithGammas(c.value(), c.value())
	case "WithRobust":
		return loss.WithRobust()
	case "WithFull":
		return loss.WithFull()
	case "WithLogTarget":
		return loss.WithLogTarget()
	case "WithTargetLogits":
		return loss.WithTargetLogits()
	case "WithShard":
		return loss.WithShard(comm.Local(), 0)
	case "WithUncheckedValues":
		return loss.WithUncheckedValues()
	case "WithBufferReuse":
		return loss.WithBufferReuse()
	}
	panic("no option " + name)
}

// outcomes of a random call
const (
	refused = iota // when it was built
	failed         // when it ran
	ran
)

// bindRandom calls a loss as the bytes say, runs what comes of it, and returns how far it came.
// Whatever they say, nothing panics, and an error is of one of the kinds and begins with the name
// of the loss.
func bindRandom(t *testing.T, contenders []contender, data []byte) int {
	t.Helper()
	c := &chooser{data, rand.New(rand.NewPCG(uint64(len(data)), 11))}
	of := &contenders[(c.of(256)+256*c.of(2))%len(contenders)]
	g := G.NewGraph()
	dt := []tensor.Dtype{tensor.Float64, tensor.Float32}[c.of(2)]
	shape := c.shape()
	axis := len(shape) - 1
	var opts []loss.Option
	if of.has("WithAxis") && c.of(3) == 0 {
		at := c.of(9) - 4
		opts = append(opts, loss.WithAxis(at))
		if at < 0 {
			at += len(shape)
		}
		if at >= 0 && at < len(shape) {
			axis = at
		}
	}
	rows, classes := []int(nil), 1
	if len(shape) > 0 {
		rows, classes = slices.Delete(slices.Clone(shape), axis, axis+1), shape[axis]
	}
	values := rows
	if of.elementwise || of.keepsAxis {
		values = shape
	}
	var in G.Nodes
	for k, d := range of.operands {
		name := string(rune('a' + k))
		switch {
		case c.of(64) == 63:
			in = append(in, nil)
		case k > 0 && c.of(64) == 63:
			in = append(in, in[0])
		case d == loss.Labels:
			in = append(in, c.leaf(g, c.dtype(tensor.Int), name, d, c.near(rows)))
		case d == loss.ClassLists:
			in = append(in, c.leaf(g, c.dtype(tensor.Int), name, loss.Labels, c.near(shape)))
		default:
			in = append(in, c.leaf(g, c.dtype(dt), name, d, c.near(shape)))
		}
	}
	names := slices.Concat(of.options, []string{"WithUncheckedValues"})
	names = slices.DeleteFunc(names, func(name string) bool { return name == "WithAxis" }) // chosen before
	if !of.node {
		names = append(names, "WithBufferReuse")
	}
	if c.seldom() {
		names = append(names, "WithFull", "WithQ", "WithPosWeight")
	}
	for range c.of(4) {
		opts = append(opts, c.option(g, dt, names[c.of(len(names))], values, classes))
	}
	if c.seldom() {
		opts = append(opts, nil)
	}
	out, err := of.call(in, opts...)
	if err != nil {
		checkFault(t, of, err)
		return refused
	}
	if s := out.Shape(); len(s) > 0 && product(s) != product(values) && slices.Equal(in[0].Shape(), shape) {
		t.Errorf("%s of shape %v, axis %d: the value has shape %v", of.title(), shape, axis, s)
	}
	var wrt G.Nodes
	for k, n := range in {
		if dt := n.Dtype(); !of.integer(k) && (dt == tensor.Float64 || dt == tensor.Float32) {
			wrt = append(wrt, n)
		}
	}
	up := leafOf(g, out.Dtype(), "up", contiguous, out.Shape(), slices.Repeat([]float64{0.5}, out.Shape().TotalSize()))
	grads, err := loss.VJP(out, up, wrt...)
	if err != nil {
		t.Errorf("%s: %v", of.title(), err)
		return ran
	}
	got, err := runTape(g, append(G.Nodes{out}, grads...)...)
	if err != nil {
		checkFault(t, of, err)
		return failed
	}
	for i, list := range got[1:] {
		if n := wrt[i].Shape().TotalSize(); len(list) != n {
			t.Errorf("%s: a gradient of %d entries, want %d", of.title(), len(list), n)
		}
	}
	return ran
}

// checkFault holds an error to what the package promises.
func checkFault(t *testing.T, of *contender, err error) {
	t.Helper()
	err = loss.Cause(err)
	kinds := 0
	for _, kind := range []error{loss.ErrShape, loss.ErrDType, loss.ErrOption, loss.ErrValue} {
		if errors.Is(err, kind) {
			kinds++
		}
	}
	name := of.name
	if name == "ZTerm" {
		name = "CrossEntropy"
	}
	if text := err.Error(); kinds != 1 || !strings.HasPrefix(text, "loss."+name+": ") && !strings.HasPrefix(text, "loss."+of.name+": ") {
		t.Errorf("%s: the error %q is of %d kinds, want one, and \"loss.%s: \" before it", of.title(), text, kinds, name)
	}
}

func randomBytes(r *rand.Rand) []byte {
	data := make([]byte, 20+r.IntN(60))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// TestBind binds random calls: enough of them run, fail and are refused.
func TestBind(t *testing.T) {
	contenders := append(lossContenders(t), nodeContenders()...)
	r := rand.New(rand.NewPCG(20261127, 3))
	count := [3]int{}
	for range *bindCalls {
		count[bindRandom(t, contenders, randomBytes(r))]++
	}
	if slices.Min(count[:]) < 50 {
		t.Errorf("refused, failed, ran: %v", count)
	}
	t.Logf("refused, failed, ran: %v", count)
}

// FuzzBind looks for a call that panics or whose error does not name the loss.
func FuzzBind(f *testing.F) {
	contenders := append(lossContenders(f), nodeContenders()...)
	r := rand.New(rand.NewPCG(20261127, 4))
	for range 50 {
		f.Add(randomBytes(r))
	}
	f.Fuzz(func(t *testing.T, data []byte) { bindRandom(t, contenders, data) })
}
