package loss_test

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A mistake is a way to call a contender wrongly, and why the call must fail.
type mistake struct {
	name   string
	change func(b *construction)
}

// mistakesOf lists wrong calls of a contender whose operands have shape (6, 5).
func mistakesOf(c *contender) []mistake {
	var out []mistake
	add := func(name string, change func(b *construction)) { out = append(out, mistake{name, change}) }
	option := func(name string, opts ...loss.Option) {
		add(name, func(b *construction) { b.opts = append(b.opts, opts...) })
	}
	nan, inf := math.NaN(), math.Inf(1)
	zeros := func(b *construction, dt tensor.Dtype, name string, shape ...int) *G.Node {
		return leafOf(b.g, dt, name, contiguous, shape, make([]float64, product(shape)))
	}
	for k := range c.operands {
		set := func(name string, node func(b *construction) *G.Node) {
			add(fmt.Sprintf("%s-%d", name, k), func(b *construction) { b.in[k] = node(b) })
		}
		set("nil", func(*construction) *G.Node { return nil })
		set("othergraph", func(b *construction) *G.Node {
			return zeros(&construction{g: G.NewGraph()}, b.in[k].Dtype(), "stranger", b.in[k].Shape()...)
		})
		for _, shape := range [][]int{{}, {6}, {5}, {6, 1}, {5, 6}, {6, 4}, {6, 5, 1}, {1, 6, 5}} {
			set(fmt.Sprint("shape", shape),
				func(b *construction) *G.Node { return zeros(b, b.in[k].Dtype(), "misshapen", shape...) })
		}
		set("empty", func(b *construction) *G.Node {
			return G.NewTensor(b.g, b.in[k].Dtype(), 2, G.WithShape(6, 0), G.WithName("empty"))
		})
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32, tensor.Int, tensor.Uint8, tensor.Bool} {
			set("dtype"+dt.Name(), func(b *construction) *G.Node { return zeros(b, dt, "mistyped", b.in[k].Shape()...) })
		}
		if k > 0 {
			set("same", func(b *construction) *G.Node { return b.in[0] })
		}
		if !c.integer(k) {
			for _, v := range []float64{-1, 1.5, nan, inf, -inf, -1e-30} {
				set(fmt.Sprint("value", v), func(b *construction) *G.Node {
					x := b.x[k]
					x[7] = v
					return b.leaf(b.dtype, "outside", b.shape, x)
				})
			}
			continue
		}
		for _, v := range []int{-1, 5, 99, -100} {
			set(fmt.Sprint("label", v), func(b *construction) *G.Node {
				b.y[1] = v
				shape := b.outShape()
				if c.operands[k] == loss.ClassLists {
					shape = b.shape
				}
				return leafOf(b.g, tensor.Int, "spoilt", contiguous, shape, b.y)
			})
		}
	}
	option("axis2", loss.WithAxis(2))
	option("axis-3", loss.WithAxis(-3))
	option("nil", nil)
	option("reduction9", loss.WithReduction(9))
	option("twonormalizers", loss.WithNormalizer(2), loss.WithNormalizerNode(G.NewConstant(1.0)))
	option("normalizersum", loss.WithReduction(loss.Sum), loss.WithNormalizer(2))
	option("classweights4", loss.WithClassWeights([]float64{1, 2, 3, 4}))
	option("classweights-", loss.WithClassWeights([]float64{1, 2, 3, 4, -1}))
	option("classweights0", loss.WithClassWeights(nil))
	option("posweight4", loss.WithPosWeight([]float64{1, 2, 3, 4}))
	option("posweightnan", loss.WithPosWeight([]float64{nan}))
	option("nilnodes", loss.WithWeights(nil))
	option("nilmask", loss.WithMask(nil))
	option("nilnormalizer", loss.WithNormalizerNode(nil))
	for name, f := range map[string]func(float64) loss.Option{
		"normalizer": loss.WithNormalizer, "smoothing": loss.WithLabelSmoothing, "temperature": loss.WithTemperature,
		"softcap": loss.WithSoftcap,
		"zloss":   loss.WithZLoss, "delta": loss.WithDelta, "beta": loss.WithBeta, "gamma": loss.WithGamma,
		"alpha":   loss.WithAlpha,
		"epsilon": loss.WithEpsilon, "q": loss.WithQ, "margin": loss.WithMargin, "scale": loss.WithScale,
		"power":    loss.WithPower,
		"quantile": loss.WithQuantile, "tau": loss.WithTau,
	} {
		for _, v := range []float64{nan, inf, -2, 0, 2} {
			option(fmt.Sprint(name, v), f(v))
		}
	}
	if c.node {
		return out
	}
	option("ignore", loss.WithIgnoreIndex(2))
	option("full", loss.WithFull())
	option("logtarget", loss.WithLogTarget())
	option("twotargets", loss.WithLogTarget(), loss.WithTargetLogits())
	for name, f := range map[string]func(*G.Node) loss.Option{
		"weights": loss.WithWeights, "mask": loss.WithMask, "normalizer": loss.WithNormalizerNode,
	} {
		node := func(what string, n func(b *construction) *G.Node) {
			add(name+what, func(b *construction) { b.opts = append(b.opts, f(n(b))) })
		}
		for _, shape := range [][]int{{}, {6}, {5}, {6, 5}, {5, 6}, {6, 1}, {1, 6}} {
			node(fmt.Sprint("shape", shape), func(b *construction) *G.Node { return zeros(b, b.dtype, name, shape...) })
		}
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32, tensor.Int, tensor.Bool} {
			node("dtype"+dt.Name(), func(b *construction) *G.Node { return zeros(b, dt, name, b.valueShape()...) })
		}
		node("othergraph", func(b *construction) *G.Node {
			return zeros(&construction{g: G.NewGraph()}, b.dtype, name, b.valueShape()...)
		})
		for _, v := range []float64{nan, inf, -1, 0.5, 2} {
			node(fmt.Sprint("value", v), func(b *construction) *G.Node {
				shape := b.valueShape()
				if name == "normalizer" {
					shape = nil
				}
				x := make([]float64, product(shape))
				x[len(x)-1] = v
				return b.leaf(b.dtype, name, shape, x)
			})
		}
	}
	return out
}
