package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/loss/internal/graph"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// TokenLogProb returns the log-probability that the softmax of logits gives each label.
//
// With x a row of logits divided by the temperature, p = softmax(x) and y its label,
//
//	l = log p_y = x_y - log Σ exp(x)        dl/dx_j = [j = y] - p_j
//
// [WithSoftcap] puts c·tanh(x/c) in the place of x before the temperature divides.
//
// logits have the shape (N, C), or any other with a class axis, labels (Int, Int64, Int32 or Uint8)
// that shape without the axis. The result has the labels' shape: this is a node, not a loss, and
// nothing is reduced.
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100), [WithMask],
// [WithSoftcap] (c > 0, default off), [WithTemperature] (T > 0, default 1), [WithShard].
//
// The result is never above 0 and keeps its relative accuracy near p = 1. Rows that are ignored or
// masked are 0 with gradient 0. A masked true class, with a logit of -Inf, gives -Inf.
//
// [EntropyTerm] gives the entropy of the same distributions, [LinearTokenLogProb] takes the logits'
// factors, [NLL] and [CrossEntropy] are losses.
//
// Reference: standard.
func TokenLogProb(logits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return buildValues(&tokenLogProb, opts, logits, labels)
}

var tokenLogProb = core.Definition{
	Name: "TokenLogProb", Operands: rows("logits", core.Logits, "labels", core.Labels),
	Takes:    core.Options(core.OptAxis, core.OptIgnoreIndex, core.OptMask, core.OptSoftcap, core.OptTemperature, core.OptShard),
	Defaults: core.Settings{Ignore: []int{-100}, Temperature: 1},
	Kernel: labelled(func(s *core.Settings, o *tensorops.LabelSoftmax) {
		o.Softcap, o.Curve = s.Softcap, negative
	}),
	Laws: core.ShiftInvariant, Node: true,
	Row: func(s *core.Settings, d core.Dims) core.RowFunc {
		f := crossEntropy.Row(s, d)
		return func(r *core.Block) float64 {
			l := f(r)
			for _, part := range [2][]float64{r.Grad[0], r.Hess[0]} {
				for i := range part {
					part[i] = 0 - part[i]
				}
			}
			return 0 - l
		}
	},
	Part: crossEntropyPart,
}

// negative is the curve of a log-probability over the surprisal. Its value is 0, not -0, where that
// is 0.
func negative(value, slope, nll []float64) {
	for i, v := range nll {
		value[i], slope[i] = 0-v, -1
	}
}

// EntropyTerm returns the entropy, in nats, of the distributions that a node of [TokenLogProb] or
// [LinearTokenLogProb] took its log-probabilities from, after softcap and temperature.
//
//	H = -Σ_c p_c·log p_c        dH/dx_j = -p_j·(log p_j + H)
//
// node is a node that one of the two returned. The result has its shape and dtype, and is
// differentiable by the same operands.
//
// Rows that are ignored or masked are 0 with gradient 0. A class masked by -Inf adds nothing and
// has gradient 0.
//
// [Entropy] takes logits alone.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func EntropyTerm(node *G.Node) (*G.Node, error) {
	if node == nil {
		return nil, core.Faultf(ErrShape, entropyTerm.Name, "node is nil")
	}
	of, ok := graph.Loss(node)
	if ok && of.Set.Sharded() {
		return nil, core.Faultf(ErrOption, entropyTerm.Name, "the classes of %v are spread by WithShard, want all of them", node)
	}
	if ok && of.Def == &tokenLogProb {
		return graph.BuildOf(&entropyTerm, of, Operands(node)(node))
	}
	if ok && of.Def == &linearTokenLogProb {
		return graph.BuildOf(&linearEntropyTerm, of, Operands(node)(node))
	}
	return nil, core.Faultf(ErrOption, entropyTerm.Name, "%v is not a node of TokenLogProb or LinearTokenLogProb", node)
}

var entropyTerm = core.Definition{
	Name: "EntropyTerm", Operands: tokenLogProb.Operands,
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc { return softcapped(s, entropyOf(s.Temperature)) },
}

// entropyOf is the entropy of the softmax of a row at a temperature.
func entropyOf(t float64) core.RowFunc {
	return func(r *core.Block) float64 {
		p := formula.Softmax(r, 0, t)
		// Every term p·(max - x) is >= 0: nothing cancels.
		h := p.L1
		for j, q := range p.P {
			h += formula.Times(q, p.Max-p.Z[j])
		}
		slope := func(j int) float64 { return formula.Times(-p.P[j], h-p.NLL(j)) / t }
		if g := r.Grad[0]; g != nil {
			for j := range g {
				g[j] = slope(j)
			}
		}
		if d := r.Hess[0]; d != nil {
			v := r.Dir[0]
			moved, mean := 0.0, core.Dot(p.P, v)/t
			for j, u := range v {
				moved += slope(j) * u
			}
			for j, u := range v {
				u /= t
				d[j] = (-formula.Times(p.P[j]*(u-mean), h-p.NLL(j)) - p.P[j]*(u-mean+moved)) / t
			}
		}
		if math.IsNaN(p.L1) {
			return math.NaN()
		}
		return h
	}
}
