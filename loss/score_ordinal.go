package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithBinaryTasks makes [CumulativeLink] the sum of the cross-entropies of the tasks "above
// threshold k", as in CORAL, instead of a likelihood of classes.
func WithBinaryTasks() Option { return core.OptBinaryTasks.Flag }

// CumulativeLink returns the negative log-likelihood of ordered classes that thresholds cut from a
// score: the ordered logit, or proportional odds, model.
//
// With f a score, θ the thresholds of C classes, θ_0 = -Inf, θ_C = +Inf, y the label, counted from
// 1 here, and σ the sigmoid,
//
//	l = -log(σ(θ_y - f) - σ(θ_(y-1) - f))        dl/df = σ(f - θ_y) - σ(θ_(y-1) - f)
//	                                             dl/dθ_y = -σ(f - θ_y) - 1/(e^(θ_y-θ_(y-1)) - 1)
//	                                             dl/dθ_(y-1) = σ(θ_(y-1) - f) + 1/(e^(θ_y-θ_(y-1)) - 1)
//
// and with [WithBinaryTasks]
//
//	l = Σ_k log(1 + e^±(f-θ_k)), with - where y > k        dl/df = Σ_k (σ(f - θ_k) - [y > k]) = -Σ_k dl/dθ_k
//
// score has the shape (N), thresholds (C-1), in increasing order, and labels (Int, Int64, Int32 or
// Uint8, counted from 0) have the shape (N). The result is a scalar, or has the shape (N) under
// [None].
//
// Options: [WithBinaryTasks], [WithIgnoreIndex] (default -100), [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Thresholds that do not increase are an error when the graph runs, but with WithBinaryTasks they
// may have any order. Close thresholds keep their digits. The gradient with respect to thresholds
// is the sum over all rows.
//
// [EMD] and [RankedProbability] take a logit for each class.
//
// Reference: P. McCullagh, Regression Models for Ordinal Data, 1980; W. Cao, V. Mirjalili, S.
// Raschka, Rank Consistent Ordinal Regression for Neural Networks, 2020.
func CumulativeLink(score, thresholds, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&cumulativeLink, opts, score, thresholds, labels)
}

var cumulativeLink = core.Definition{
	Name: "CumulativeLink",
	Operands: []core.Operand{{Name: "score", Holds: core.Real, Shape: "N"}, {Name: "thresholds", Holds: core.Real, Shape: "K"},
		{Name: "labels", Holds: core.Labels, Shape: "N"}},
	Takes:    core.Options(core.ReduceOptions, core.OptIgnoreIndex, core.OptBinaryTasks),
	Defaults: core.Settings{Ignore: []int{-100}},
	Laws:     core.NonNegative, Others: "statsmodels OrderedModel(distr=\"logit\"), mord LogisticAT; coral_pytorch coral_loss: WithBinaryTasks, bias = -thresholds",
	Grouped: func(*core.Settings) core.Grouping {
		return core.Grouping{Over: "N", Values: "N", Classes: func(d *core.GroupDims) int { return d.Len('K') + 1 }}
	},
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		if s.Score.BinaryTasks {
			return binaryTasks
		}
		return cumulativeLinkOf
	},
}

// cumulativeLinkOf is the likelihood of one label.
func cumulativeLinkOf(g *core.Group) error {
	f, theta, y := g.X[0][0], g.X[1], g.Int[2][0]
	for k := 1; k < len(theta); k++ {
		if theta[k] <= theta[k-1] {
			return g.Errorf("threshold %d is %v after %v, want increasing thresholds", k, theta[k], theta[k-1])
		}
	}
	lo, hi := math.Inf(-1), math.Inf(1) // θ_(y-1), θ_y
	if y > 0 {
		lo = theta[y-1]
	}
	if y < len(theta) {
		hi = theta[y]
	}
	above, below := formula.OddsOf(f-hi), formula.OddsOf(lo-f)
	gap := hi - lo
	pull := 1 / math.Expm1(gap)
	if g.Value != nil {
		g.Value[0] = above.Lost + below.Lost - formula.Log1mExp(-gap)
	}
	// by score, by the lower and by the upper threshold
	d := [3]float64{above.Yes - below.Yes, below.Yes + pull, -above.Yes - pull}
	a, b := above.Yes*above.No, below.Yes*below.No
	w := pull * (1 + pull) // 1/(4 sinh²(gap/2))
	if math.IsInf(gap, 1) {
		pull, w = 0, 0
		d[1], d[2] = below.Yes, -above.Yes
	}
	return chained(g, y, d, [3][3]float64{{a + b, -b, -a}, {-b, b + w, -w}, {-a, -w, a + w}})
}

// chained writes the derivatives of a function of the score and the two thresholds of class y.
func chained(g *core.Group, y int, d [3]float64, h [3][3]float64) error {
	factor, n := g.Factor[0], len(g.X[1])
	at := [2]int{y - 1, y} // of the thresholds; outside: there is none
	if dst := g.Grad[0]; dst != nil {
		dst[0] = factor * d[0]
	}
	if dst := g.Grad[1]; dst != nil {
		clear(dst)
		for k, i := range at {
			if i >= 0 && i < n {
				dst[i] += factor * d[1+k]
			}
		}
	}
	var v [3]float64
	if g.Dir[0] != nil {
		v[0] = g.Dir[0][0]
	}
	if g.Dir[1] != nil {
		for k, i := range at {
			if i >= 0 && i < n {
				v[1+k] = g.Dir[1][i]
			}
		}
	}
	var hv [3]float64
	for i := range hv {
		for j, u := range v {
			hv[i] += formula.Times(u, h[i][j])
		}
	}
	if dst := g.Hess[0]; dst != nil {
		dst[0] = factor * hv[0]
	}
	if dst := g.Hess[1]; dst != nil {
		clear(dst)
		for k, i := range at {
			if i >= 0 && i < n {
				dst[i] += factor * hv[1+k]
			}
		}
	}
	return nil
}

// binaryTasks is the sum of the cross-entropies of one label.
func binaryTasks(g *core.Group) error {
	f, y, factor := g.X[0][0], g.Int[2][0], g.Factor[0]
	value, slope, along := 0.0, 0.0, 0.0
	for k, theta := range g.X[1] {
		o := formula.OddsOf(f - theta)
		l, d := o.Lost, o.Yes
		if y > k {
			l, d = o.Won, -o.No
		}
		value += l
		slope += d
		v := 0.0
		if g.Dir[0] != nil {
			v = g.Dir[0][0]
		}
		if g.Dir[1] != nil {
			v -= g.Dir[1][k]
		}
		turn := formula.Times(v, o.Yes*o.No)
		along += turn
		if dst := g.Grad[1]; dst != nil {
			dst[k] = -factor * d
		}
		if dst := g.Hess[1]; dst != nil {
			dst[k] = -factor * turn
		}
	}
	if g.Value != nil {
		g.Value[0] = value
	}
	if dst := g.Grad[0]; dst != nil {
		dst[0] = factor * slope
	}
	if dst := g.Hess[0]; dst != nil {
		dst[0] = factor * along
	}
	return nil
}
