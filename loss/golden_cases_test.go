package loss_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A setting is what a case does besides reducing: an option with a value, by a name that says both.
type setting struct {
	option string // that the loss must take
	name   string
	target loss.Domain // that the target must have under it, Real for its own
	make   func(c *construction) loss.Option
}

// settings have for every option values that are no loss's default, among them those where a
// formula changes.
var settings = func() []setting {
	out := []setting{
		{"WithWeights", "weights", 0, func(c *construction) loss.Option {
			w := c.uniform(product(c.valueShape()), 0.5, 1.5)
			if len(w) > 2 {
				w[1], w[2] = 0, -0.75
			}
			return loss.WithWeights(c.leaf(c.dtype, "weights", c.valueShape(), w))
		}},
		{"WithWeights", "zeroweights", 0, func(c *construction) loss.Option {
			w := c.uniform(product(c.valueShape()), 0.5, 1.5)
			for i := range w {
				if c.hostile(i) {
					w[i] = 0
				}
			}
			return loss.WithWeights(c.leaf(c.dtype, "weights", c.valueShape(), w))
		}},
		{"WithIgnoreIndex", "ignore", 0, func(*construction) loss.Option { return loss.WithIgnoreIndex(0, 7) }},
		{"WithIgnoreIndex", "ignorenone", 0, func(*construction) loss.Option { return loss.WithIgnoreIndex() }},
		{"WithClassWeights", "classweights", 0, func(c *construction) loss.Option {
			return loss.WithClassWeights(c.classWeights(c.classes()))
		}},
		{"WithPosWeight", "posweight", 0, func(c *construction) loss.Option {
			return loss.WithPosWeight(c.classWeights(c.classes()))
		}},
		{"WithPosWeight", "posweight1", 0, func(*construction) loss.Option { return loss.WithPosWeight([]float64{1.75}) }},
		{"WithNormalizerNode", "normalizernode", 0, func(c *construction) loss.Option {
			return loss.WithNormalizerNode(c.leaf(c.dtype, "normalizer", nil, []float64{3.5}))
		}},
		{"WithFull", "full", 0, func(*construction) loss.Option { return loss.WithFull() }},
		{"WithLogTarget", "logtarget", loss.LogProbabilities,
			func(*construction) loss.Option { return loss.WithLogTarget() }},
		{"WithTargetLogits", "targetlogits", loss.Logits,
			func(*construction) loss.Option { return loss.WithTargetLogits() }},
	}
	for _, dt := range []tensor.Dtype{tensor.Bool, tensor.Uint8, tensor.Float64} {
		out = append(out, setting{"WithMask", "mask-" + dt.Name(), 0, func(c *construction) loss.Option {
			m := c.uniform(product(c.valueShape()), 0, 1)
			for i := range m {
				m[i] = float64(int(m[i] + 0.5))
				if c.hostile(i) {
					m[i] = 0
				}
			}
			of := dt
			if of == tensor.Float64 {
				of = c.dtype
			}
			return loss.WithMask(c.leaf(of, "mask", c.valueShape(), m))
		}})
	}
	number := func(option, name string, f func(float64) loss.Option, values ...float64) {
		for _, v := range values {
			out = append(out, setting{option, fmt.Sprint(name, v), 0, func(*construction) loss.Option { return f(v) }})
		}
	}
	number("WithNormalizer", "normalizer", loss.WithNormalizer, 17)
	number("WithLabelSmoothing", "smoothing", loss.WithLabelSmoothing, 0.17, 1)
	number("WithTemperature", "temperature", loss.WithTemperature, 1.7, 0.5)
	number("WithSoftcap", "softcap", loss.WithSoftcap, 3)
	number("WithZLoss", "zloss", loss.WithZLoss, 0.17)
	number("WithDelta", "delta", loss.WithDelta, 0.17, 3)
	number("WithBeta", "beta", loss.WithBeta, 0, 0.17, 1)
	number("WithGamma", "gamma", loss.WithGamma, 0, 1, 1.5, 3)
	number("WithAlpha", "alpha", loss.WithAlpha, -1, 0, 0.17, 1, 2)
	number("WithEpsilon", "epsilon", loss.WithEpsilon, 0, 0.17, 1)
	number("WithQ", "q", loss.WithQ, 0.17, 1)
	number("WithMargin", "margin", loss.WithMargin, -0.3, 0.17)
	number("WithScale", "scale", loss.WithScale, 1.7)
	number("WithPower", "power", loss.WithPower, 1, 1.7, 2)
	number("WithQuantile", "quantile", loss.WithQuantile, 0.17)
	number("WithTau", "tau", loss.WithTau, 0.17)
	return out
}()

// combinations are settings that share code in a loss or meet in a denominator.
var combinations = [][]string{
	{"smoothing0.17", "classweights"}, {"smoothing0.17", "weights"}, {"mask-bool", "weights"},
	{"ignore", "weights"}, {"ignore", "classweights"}, {"normalizer17", "weights"},
	{"normalizer17", "classweights"}, {"normalizernode", "mask-uint8"}, {"softcap3", "temperature1.7"},
	{"softcap3", "zloss0.17"},
	{"softcap3", "smoothing0.17", "classweights", "temperature1.7", "zloss0.17", "weights"},
	{"zloss0.17", "temperature1.7"}, {"gamma1.5", "classweights"}, {"posweight", "smoothing0.17"},
	{"posweight", "mask-bool"},
	{"posweight", "weights"}, {"alpha0.17", "weights"}, {"alpha0.17", "gamma1.5"}, {"temperature1.7", "logtarget"},
	{"temperature1.7", "targetlogits"}, {"alpha0.17", "temperature1.7", "classweights"}, {"full", "weights"},
	{"mask-float64", "classweights"},
	{"margin0.17", "classweights"}, {"margin0.17", "power2"}, {"alpha0.17", "full"},
}

func settingNamed(name string) setting {
	at := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if at < 0 {
		panic("no setting " + name)
	}
	return settings[at]
}

// settingsOf lists what a contender takes: nothing, each setting by itself, and the combinations.
func settingsOf(c *contender) (out [][]setting) {
	takes := func(s setting) bool { return c.has(s.option) && (s.option != "WithIgnoreIndex" || c.labelled()) }
	out = append(out, nil)
	for _, s := range settings {
		if takes(s) && s.name != "zeroweights" {
			out = append(out, []setting{s})
		}
	}
	for _, names := range combinations {
		var list []setting
		for _, name := range names {
			if s := settingNamed(name); takes(s) {
				list = append(list, s)
			}
		}
		if len(list) == len(names) {
			out = append(out, list)
		}
	}
	return out
}

// A hostility replaces entries of some rows of the first floating operand, or of the second.
type hostility struct {
	name    string
	operand int
	all     bool // all rows, so that no ordinary row hides behind the scale of a huge one
	fill    func(j int) float64
}

// A goldenCase is a loss with data, settings, dtype, reduction and layout.
type goldenCase struct {
	of      *contender
	shape   []int
	axis    int
	dtype   tensor.Dtype
	labels  tensor.Dtype
	red     loss.Reduction
	set     []setting
	lay     layout
	second  int // derivatives of second order of so many gradients
	reuse   bool
	rows    *hostility
	spoil   string                // how labels are spoilt: "ignored", "above" or "below"
	wrongly string                // what is changed in the call, most often for the worse
	change  func(b *construction) // makes the change
}

// name says all that makes the case.
func (c *goldenCase) name() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %v shape=%v axis=%d %v", c.of.title(), dtypeName(c.dtype), c.red, c.shape, c.axis, c.lay)
	for _, s := range c.set {
		b.WriteString(" +" + s.name)
	}
	if c.labels != tensor.Int {
		b.WriteString(" labels=" + c.labels.Name())
	}
	if c.reuse {
		b.WriteString(" reuse")
	}
	if c.rows != nil {
		b.WriteString(" rows=" + c.rows.name)
	}
	for _, s := range []string{c.spoil, c.wrongly} {
		if s != "" {
			b.WriteString(" spoilt=" + s)
		}
	}
	return b.String()
}

func dtypeName(dt tensor.Dtype) string { return fmt.Sprintf("f%d", 8*dt.Size()) }

// A construction is the graph of a case while it is built.
type construction struct {
	*problem
	from  *goldenCase
	dtype tensor.Dtype
	g     *G.ExprGraph
	in    G.Nodes
	opts  []loss.Option
}

func (b *construction) leaf(dt tensor.Dtype, name string, shape []int, x []float64) *G.Node {
	return leafOf(b.g, dt, name, b.from.lay, shape, x)
}

// classWeights are n weights, one of them 0 where there are three or more.
func (b *construction) classWeights(n int) []float64 {
	w := b.uniform(n, 0.5, 1.5)
	if n > 2 {
		w[2] = 0
	}
	return w
}

// hostile reports whether value i is of a row that the case spoils: every third from the second on.
func (b *construction) hostile(i int) bool {
	if b.from.rows == nil && b.from.spoil == "" {
		return false
	}
	if !b.of.elementwise {
		return i%3 == 1
	}
	inner := product(b.shape[b.axis+1:])
	return (i/inner/b.classes()*inner+i%inner)%3 == 1
}

// build makes the operands and the node of the case.
func (c *goldenCase) build() (b *construction, out *G.Node, err error) {
	target := loss.Real
	for _, s := range c.set {
		if s.target != loss.Real {
			target = s.target
		}
	}
	b = &construction{problem: newProblem(c.of, c.shape, c.axis, target), from: c, dtype: c.dtype, g: G.NewGraph()}
	for row := range b.rows() {
		if h := c.rows; h != nil && (h.all || row%3 == 1) {
			for j := range b.classes() {
				b.x[h.operand][b.at(row, j)] = h.fill(j)
			}
		}
		if c.of.labelled() && row%3 == 1 && c.spoil != "" {
			b.y[row] = map[string]int{"ignored": -100, "above": b.classes(), "below": -1}[c.spoil]
		}
	}
	c.addOperands(b)
	if c.reuse {
		b.opts = append(b.opts, loss.WithBufferReuse())
	}
	if c.change != nil {
		c.change(b)
	}
	out, err = c.of.call(b.in, b.opts...)
	return b, out, err
}

// wrt are the floating operands.
func (b *construction) wrt() (out G.Nodes) {
	for k, n := range b.in {
		if !b.of.integer(k) {
			out = append(out, n)
		}
	}
	return out
}

// operandsOf is the graph of the case with the data of a problem.
func (c *goldenCase) operandsOf(p *problem) *construction {
	b := &construction{problem: p, from: c, dtype: c.dtype, g: G.NewGraph()}
	c.addOperands(b)
	return b
}

// addOperands makes the nodes of the operands, and the options.
func (c *goldenCase) addOperands(b *construction) {
	for k, d := range c.of.operands {
		name := fmt.Sprintf("x%d", k)
		switch d {
		case loss.Labels:
			b.in = append(b.in, leafOf(b.g, c.labels, name, c.lay, b.outShape(), b.y))
		case loss.ClassLists:
			b.in = append(b.in, leafOf(b.g, c.labels, name, c.lay, b.shape, b.y))
		default:
			b.in = append(b.in, b.leaf(c.dtype, name, b.shape, b.x[k]))
		}
	}
	if !c.of.node {
		b.opts = append(b.opts, loss.WithReduction(c.red))
	}
	if c.of.has("WithAxis") && c.axis != len(c.shape)-1 {
		b.opts = append(b.opts, loss.WithAxis(c.axis))
	}
	for _, s := range c.set {
		b.opts = append(b.opts, s.make(b))
	}
}
