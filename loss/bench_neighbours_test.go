package loss_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A neighbour is a form of a loss beside those of BenchmarkGraph, measured against the plain form
// of a loss.
type neighbour struct {
	of      string // a contender
	option  string // what is different, in the name of the benchmark
	against string // the contender whose plain form is the measure; the same where it is empty
	shapes  [][2]int
	set     []string // settings
	change  func(c *goldenCase)
}

var (
	oddClasses = [][2]int{{8192, 33}, {8192, 129}, {32768, 5}, {1000000, 1}, {200000, 3}, {150000, 7}, {80000, 13}, {20000, 50},
		{10000, 100}}
	fewer        = [][2]int{{65536, 21}, {150000, 7}, {20000, 50}}
	neighbours64 = []string{"axis0", "int32", "mask-uint8", "weights", "odd"} // measured in float64 too
)

// axis0 lays the classes along the first axis, without changing their number.
func axis0(c *goldenCase) {
	slices.Reverse(c.shape)
	c.axis = 0
}

func labelsOf(dt tensor.Dtype) func(*goldenCase) {
	return func(c *goldenCase) { c.labels = dt }
}

// neighbours lists the rows of the benchmark.
func neighbours(tb testing.TB) []neighbour {
	var out []neighbour
	add := func(of, option, against string, shapes [][2]int, change func(*goldenCase), set ...string) {
		out = append(out, neighbour{of, option, against, shapes, set, change})
	}
	const ce, soft = "CrossEntropy/labels", "CrossEntropy/soft"
	for _, of := range []string{ce, soft, "KL", "SoftmaxFocal/labels"} {
		add(of, "axis0", "", optionShapes, axis0)
		add(of, "odd", ce, oddClasses, nil)
		add(of, "transposed", "", optionShapes, func(c *goldenCase) { c.lay = transposed })
		add(of, "cutout", "", optionShapes, func(c *goldenCase) { c.lay = cutOut })
		for _, mask := range []string{"mask-bool", "mask-uint8", "mask-float64"} {
			add(of, mask, "", optionShapes, nil, mask)
		}
	}
	for name, dt := range map[string]tensor.Dtype{"int32": tensor.Int32, "int64": tensor.Int64} {
		add(ce, name, "", optionShapes, labelsOf(dt))
	}
	add(ce, "uint8", "", [][2]int{{65536, 21}, {8192, 129}}, labelsOf(tensor.Uint8))
	for _, of := range []string{ce, soft} {
		for _, set := range [][]string{{"smoothing0.17", "classweights"}, {"weights", "mask-bool"}, {"softcap3", "zloss0.17"}, {"normalizer17"},
			{"temperature1.7", "smoothing0.17"}, {"softcap3", "temperature1.7"}, {"weights", "smoothing0.17"}} {
			add(of, strings.Join(set, "+"), "", optionShapes, nil, set...)
		}
	}
	for _, set := range [][]string{{"mask-bool", "smoothing0.17"}, {"mask-bool", "classweights"}, {"ignore"}, {"ignore", "weights"},
		{"ignore", "smoothing0.17"}} {
		add(ce, strings.Join(set, "+"), "", fewer, nil, set...)
		add(ce, "axis0+"+strings.Join(set, "+"), "", fewer, axis0, set...)
	}
	add("SoftmaxFocal/labels", "mask-bool+classweights", "", fewer, nil, "mask-bool", "classweights")
	for _, set := range []string{"smoothing0.17", "classweights", "weights", "temperature1.7", "softcap3", "zloss0.17"} {
		add(soft, set, "", optionShapes, nil, set)
	}
	for _, set := range []string{"gamma0", "gamma1", "gamma1.5", "gamma3"} {
		add("SoftmaxFocal/labels", set, "", optionShapes, nil, set)
		add("SigmoidFocal", set, "", optionShapes, nil, set)
	}
	add("BinaryCrossEntropy", "smoothing0.17", "", optionShapes, nil, "smoothing0.17")
	add("BinaryCrossEntropy", "posweight+weights", "", optionShapes, nil, "posweight", "weights")
	add("BinaryCrossEntropy", "posweight-axis0", "", optionShapes, axis0, "posweight")
	for _, c := range append(lossContenders(tb), nodeContenders()...) {
		title := c.title()
		switch {
		case c.elementwise && !c.node:
			add(title, "weights", "", optionShapes, nil, "weights")
			add(title, "mask-uint8", "", optionShapes, nil, "mask-uint8")
			add(title, "mask-float64", "", optionShapes, nil, "mask-float64")
			add(title, "none", "", optionShapes, func(c *goldenCase) { c.red = loss.None })
		case c.elementwise:
			add(title, "plain", "BinaryCrossEntropy", optionShapes, nil)
		default:
			add(title, "plain", ce, optionShapes, nil)
			if c.has("WithWeights") {
				add(title, "weights", "", optionShapes, nil, "weights")
			}
			if c.has("WithClassWeights") && title != soft {
				add(title, "classweights", "", optionShapes, nil, "classweights")
			}
			if c.has("WithTemperature") && title != soft {
				add(title, "temperature1.7", "", optionShapes, nil, "temperature1.7")
			}
		}
	}
	return out
}

// machines builds the neighbour in a shape, and its measure.
func (n *neighbour) machines(tb testing.TB, byTitle map[string]contender, dt tensor.Dtype, shape [2]int) (m, plain G.VM) {
	of, against := byTitle[n.of], byTitle[n.of]
	if n.against != "" {
		against = byTitle[n.against]
	}
	c := plainCase(&of, dt, shape)
	c.set = named(&of, n.set...)
	if len(c.set) != len(n.set) {
		tb.Fatalf("%s takes not all of %v", n.of, n.set)
	}
	if n.change != nil {
		n.change(c)
	}
	return measured(tb, c), measured(tb, plainCase(&against, dt, shape))
}

func byTitle(tb testing.TB) map[string]contender {
	out := make(map[string]contender)
	for _, c := range append(lossContenders(tb), nodeContenders()...) {
		out[c.title()] = c
	}
	return out
}

// BenchmarkNeighbours measures what BenchmarkGraph does not: other layouts, masks, label dtypes,
// numbers of classes, combinations of options, and all other losses. The metric "xplain" is the
// time of the fastest run over that of the plain form of the same loss and shape, or of a
// cross-entropy where the loss itself is in question. Numbers are drawn as for the golden dump.
func BenchmarkNeighbours(b *testing.B) {
	contenders := byTitle(b)
	for _, n := range neighbours(b) {
		for _, shape := range n.shapes {
			for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
				if dt == tensor.Float64 && !slices.Contains(neighbours64, n.option) {
					continue
				}
				of := strings.ReplaceAll(n.of, "/", "-")
				name := fmt.Sprintf("loss=%s/option=%s/dtype=%s/shape=%dx%d", of, n.option, dtypeName(dt), shape[0],
					shape[1])
				b.Run(name, func(b *testing.B) {
					m, plain := n.machines(b, contenders, dt, shape)
					defer m.Close()
					defer plain.Close()
					base := time.Hour
					for range 5 {
						base = min(base, timeOf(b, plain))
					}
					timeOf(b, m) // the first run takes the memory that the others keep
					b.ReportAllocs()
					fastest := time.Hour
					for b.Loop() {
						fastest = min(fastest, timeOf(b, m))
					}
					b.ReportMetric(float64(fastest)/float64(base), "xplain")
				})
			}
		}
	}
}

// TestNeighbours checks that every row of the benchmark is a loss that can be built and run.
func TestNeighbours(t *testing.T) {
	contenders := byTitle(t)
	for _, n := range neighbours(t) {
		m, plain := n.machines(t, contenders, tensor.Float32, [2]int{6, 5})
		timeOf(t, m)
		timeOf(t, plain)
		m.Close()
		plain.Close()
	}
}

func plainCase(of *contender, dt tensor.Dtype, shape [2]int) *goldenCase {
	c := &goldenCase{of: of, shape: []int{shape[0], shape[1]}, axis: 1, dtype: dt, labels: tensor.Int, lay: contiguous, reuse: !of.node}
	if of.node {
		c.red = loss.None
	}
	return c
}

// measured is a machine over the case and its gradient by the first operand.
func measured(tb testing.TB, c *goldenCase) G.VM {
	n, out, err := c.build()
	if err != nil {
		tb.Fatal(err)
	}
	if out.IsScalar() {
		_, err = loss.Gradients(out, n.in[0])
	} else {
		up := n.leaf(c.dtype, "upstream", out.Shape(), n.uniform(out.Shape().TotalSize(), 0, 1))
		_, err = loss.VJP(out, up, n.in[0])
	}
	if err != nil {
		tb.Fatal(err)
	}
	return G.NewTapeMachine(n.g)
}

func timeOf(tb testing.TB, m G.VM) time.Duration {
	start := time.Now()
	if err := m.RunAll(); err != nil {
		tb.Fatal(err)
	}
	took := time.Since(start)
	m.Reset()
	return took
}
