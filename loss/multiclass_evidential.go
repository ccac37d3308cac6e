package loss

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// EvidentialMSE returns the expected squared error of class probabilities that are themselves
// uncertain: Dirichlet distributed with the evidence for each class.
//
// With e a row of evidence, y its label, t its one-hot row, α = e + 1, S = Σ α, p = α/S and w the
// class weights (1 by default),
//
//	l = w_y·Σ_c ((t_c - p_c)² + p_c·(1-p_c)/(S+1))
//	dl/de_j = w_y·((a_j - ⟨a, p⟩)/S - V/(S+1)²)    with a_c = 2·(p_c-t_c) + (1-2p_c)/(S+1), V = Σ_c p_c·(1-p_c)
//
// evidence, numbers >= 0 such as [Softplus] gives, has the shape (N, C), or any other with a class
// axis, labels (Int, Int64, Int32 or Uint8) that shape without the axis. The result is a scalar, or
// has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// No evidence at all is the uniform distribution. Rows with evidence of +Inf are NaN. The
// regulariser of the paper, a divergence from the uniform distribution without the true class's
// evidence, is not part of it.
//
// Reference: M. Sensoy, L. Kaplan, M. Kandemir, Evidential Deep Learning to Quantify Classification
// Uncertainty, 2018, equation 5.
func EvidentialMSE(evidence, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&evidentialMSE, opts, evidence, labels)
}

var evidentialMSE = core.Definition{
	Name: "EvidentialMSE", Operands: rows("evidence", core.Probabilities, "labels", core.Labels),
	Takes: core.ClassOptions, Defaults: core.Settings{Ignore: []int{-100}},

	Laws:   core.NonNegative,
	Kernel: tiles(core.Probabilities, core.Labels, evidentialTile[float32], evidentialTile[float64]),
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return formula.ByClassWeight(s, func(r *core.Block) float64 {
			e, y := r.X[0], r.Class()
			total, rest := 0.0, 0.0 // S, and S without α_y
			for j, v := range e {
				total += v + 1
				if j != y {
					rest += v + 1
				}
			}
			unit := 1.0 // S is total/unit, where that is a number
			if math.IsInf(total, 1) && core.Finite(slices.Max(e)) {
				unit, total, rest = 0x1p-64, 0, 0
				for j, v := range e {
					total += v*unit + unit
					if j != y {
						rest += v*unit + unit
					}
				}
			}
			if total != total || math.IsInf(total, 0) {
				return formula.SetNaN(r)
			}
			v1 := total + unit
			n := len(e)
			p, a := r.Buf(n), r.Buf(n)
			misses, spread, along := 0.0, 0.0, 0.0 // Σ (t-p)², V, ⟨a, p⟩
			for j, v := range e {
				p[j] = (v*unit + unit) / total
				miss, other := p[j], 1-p[j]
				if j == y {
					miss, other = -rest/total, rest/total
				}
				misses += miss * miss
				spread += p[j] * other
				a[j] = 2*miss + (1-2*p[j])*unit/v1
				along += a[j] * p[j]
			}
			for j := range r.Grad[0] {
				r.Grad[0][j] = unit * ((a[j]-along)/total - unit*spread/v1/v1)
			}
			if h, v := r.Hess[0], r.Dir[0]; h != nil {
				ds := 0.0
				for _, u := range v {
					ds += u * unit
				}
				da, turned, widened := r.Buf(n), 0.0, 0.0 // dα, d⟨a, p⟩, dV
				for j, u := range v {
					dp := (u*unit - p[j]*ds) / total
					da[j] = 2*dp - unit*(2*dp+(1-2*p[j])*ds/v1)/v1
					turned += da[j]*p[j] + a[j]*dp
					widened += (1 - 2*p[j]) * dp
				}
				for j := range h {
					h[j] = unit * ((da[j]-turned-(a[j]-along)*ds/total)/total - unit*(widened-2*spread*ds/v1)/v1/v1)
				}
			}
			return misses + unit*spread/v1
		})
	},
}
