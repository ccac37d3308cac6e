package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// survivalLosses lists the losses on times until an event.
var (
	survivalLosses []entry
	survivalWide   = []*core.Definition{&coxPartialLikelihood, &discreteHazard}
)

// DiscreteHazard returns the negative log-likelihood of survival times that are grouped into
// intervals, under hazards from logits.
//
// With x the logits of a subject, h = σ(x) the hazard of each interval and y the interval of the
// event or of censoring,
//
//	l = -Σ_{k<y} log(1-h_k) - log h_y          after an event        dl/dx_k = h_k - [k = y], 0 for k > y
//	l = -Σ_{k<=y} log(1-h_k)                   if censored           dl/dx_k = h_k, 0 for k > y
//
// logits have the shape (N, K), interval (Int, Int64, Int32 or Uint8) and event (0 or 1, of an
// integer type or the dtype of logits) the shape (N). The result is a scalar, or has the shape (N)
// under [None].
//
// Options: [WithIgnoreIndex] (of intervals, default -100), [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A subject that is censored in an interval has survived it. Logits after the interval are never
// read and have gradient 0. For the rule of half intervals, lower the interval of censored
// subjects.
//
// [CoxPartialLikelihood] leaves the baseline hazard open.
//
// Reference: M. F. Gensheimer, B. Narasimhan, A Scalable Discrete-Time Survival Model for Neural
// Networks, 2019.
func DiscreteHazard(logits, interval, event *G.Node, opts ...Option) (*G.Node, error) {
	return build(&discreteHazard, opts, logits, interval, event)
}

var discreteHazard = core.Definition{
	Name: "DiscreteHazard",
	Operands: []core.Operand{{Name: "logits", Holds: core.Logits, Shape: "N K"}, {Name: "interval", Holds: core.Labels, Shape: "N"},
		{Name: "event", Holds: core.Flags, Shape: "N", Data: true}},
	Takes: core.Options(core.ReduceOptions, core.OptIgnoreIndex), Defaults: core.Settings{Ignore: []int{-100}},
	Laws: core.NonNegative | core.Convex, Others: "pycox nll_logistic_hazard",
	Grouped: func(*core.Settings) core.Grouping {
		return core.Grouping{Over: "N", Values: "N", Classes: func(d *core.GroupDims) int { return d.Len('K') }}
	},
	Group: func(*core.Settings, *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			y, event := g.Int[1][0], g.X[2][0] != 0
			grad, hess := g.Grad[0], g.Hess[0]
			clear(grad)
			clear(hess)
			value := 0.0
			for k, x := range g.X[0][:y+1] {
				o := formula.OddsOf(x)
				l, d := o.Lost, o.Yes
				if k == y && event {
					l, d = o.Won, -o.No
				}
				value += l
				if grad != nil {
					grad[k] = g.Factor[0] * d
				}
				if hess != nil {
					hess[k] = g.Factor[0] * formula.Times(g.Dir[0][k], o.Yes*o.No)
				}
			}
			if g.Value != nil {
				g.Value[0] = value
			}
			return nil
		}
	},
}
