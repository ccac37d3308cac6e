package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// MarginRanking returns the amount by which the first of two scores fails to exceed the second, or
// to fall below it, by a margin, element by element.
//
// With m the margin and y the sign that says which score should be larger,
//
//	l = max(0, -y·(x1-x2) + m)        dl/dx1 = -y where l > 0, else 0
//	                                  dl/dx2 = y where l > 0, else 0
//
// x1, x2 and y have the same shape (any rank). y holds +1 where x1 should be larger and -1 where x2
// should be, in the dtype of x1 or as Int, Int64, Int32 or Uint8; there is no gradient with respect
// to y. The result is a scalar, or has the shape of x1 under [None].
//
// Options: [WithMargin] (m, default 0), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// Where -y·(x1-x2) + m = 0 the derivatives are 0; the second derivatives are 0 everywhere. A y
// other than -1 and 1 is an error when the graph runs.
//
// [PairwiseHinge] forms all pairs of a list.
//
// Reference: R. Herbrich, T. Graepel, K. Obermayer, Large Margin Rank Boundaries for Ordinal
// Regression, 2000.
func MarginRanking(x1, x2, y *G.Node, opts ...Option) (*G.Node, error) {
	return build(&marginRanking, opts, x1, x2, y)
}

var marginRanking = core.Definition{
	Name: "MarginRanking", Takes: core.Options(core.ReduceOptions, core.OptMargin),
	Operands: []core.Operand{{Name: "x1", Holds: core.Real, Shape: "*"}, {Name: "x2", Holds: core.Real, Shape: "*"}, {Name: "y", Holds: core.SignFlags, Shape: "*", Data: true}},
	Laws:     core.NonNegative, Torch: "margin_ranking_loss",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return func(r *core.Block) {
			y := r.X[2]
			d := tensorops.PointData[float64]{X: formula.Residuals(r), T: y, Values: r.Out}
			formula.Blend(d.X, d.X, y, 1, -s.Margin) // of which max(0, -y·(x1-x2-ym)) is the loss
			for k, sign := range [2]float64{1, -1} {
				if d.Dst = r.Grad[k]; d.Dst != nil || d.Values != nil {
					tensorops.PointSum(tensorops.Point{Loss: tensorops.Perceptron}, &d, sign)
					d.Values = nil
				}
				clear(r.Hess[k])
			}
		}
	},
}
