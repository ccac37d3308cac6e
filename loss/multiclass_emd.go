package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// EMD returns the squared distance between the cumulative distributions of softmax(logits) and
// target: an earth mover's distance for classes that have an order, where near misses cost less
// than far ones.
//
// With x a row of logits, p = softmax(x), t the target (one-hot for a label y), m = Σ_c w_c·t_c
// with the class weights w (without [WithClassWeights] m = 1 and the term w_j·l/m is not there) and
// G_i = 2·Σ_{k>=i} Σ_{j<=k} (p_j - t_j),
//
//	l = m·Σ_k (Σ_{j<=k} (p_j - t_j))²        dl/dx_j = m·p_j·(G_j - ⟨p, G⟩)
//	                                         dl/dt_j = -m·G_j + w_j·l/m
//
// logits have the shape (N, C), or any other with a class axis, in the order of the classes. target
// is integer labels in that shape without the axis, or numbers >= 0 in the dtype and shape of
// logits. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The distance is a sum over the C cumulative differences: not divided by C, and no root is taken.
//
// [CrossEntropy] does not look at the order.
//
// Reference: L. Hou, C.-P. Yu, D. Samaras, Squared Earth Mover's Distance-based Loss for Training
// Deep Neural Networks, 2016.
func EMD(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&emd, opts, logits, target)
}

var emd = core.Definition{
	Name: "EMD", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.ClassOptions,
	Defaults: core.Settings{Ignore: []int{-100}},
	Laws:     core.ShiftInvariant | core.NonNegative | core.ZeroAtEqual,
	Row:      func(s *core.Settings, _ core.Dims) core.RowFunc { return quadraticScore(s, ahead) },
	Kernel:   tiles(core.Logits, core.SoftTargets, cumulativeTile[float32](0), cumulativeTile[float64](0)),
}

// quadraticScore is the loss m·Q(softmax(x) - t) with a quadratic form Q and m = Σ_c w_c·t_c. form
// returns Q(e) and writes its derivative, which is linear in e, to dst.
func quadraticScore(s *core.Settings, form func(dst, e []float64) (value float64)) core.RowFunc {
	return formula.ByClassWeight(s, func(r *core.Block) float64 {
		p := formula.Softmax(r, 0, 1)
		if p.L1 != p.L1 {
			return formula.SetNaN(r)
		}
		n := len(p.P)
		t, e, g := targets(r), r.Buf(n), r.Buf(n)
		for j := range e {
			if e[j] = p.P[j] - t[j]; t[j] == 1 {
				e[j] = -p.OneMinus(j)
			}
		}
		value := form(g, e)
		if d := r.Grad[0]; d != nil {
			p.Jacobian(d, g, 1)
		}
		for j := range r.Grad[1] {
			r.Grad[1][j] = -g[j]
		}
		h, u := r.Hess[0], r.Hess[1]
		if h == nil && u == nil {
			return value
		}
		formula.Fill(h, 0)
		formula.Fill(u, 0)
		// e moves by de, so g by dg; softmax's own second derivative stands beside.
		de, dg := r.Buf(n), r.Buf(n)
		formula.Fill(de, 0)
		if v := r.Dir[0]; v != nil {
			p.Jacobian(de, v, 1)
			if h != nil {
				along, moved := core.Dot(p.P, g), core.Dot(de, g)
				for j := range h {
					h[j] = de[j]*(g[j]-along) - p.P[j]*moved
				}
			}
		}
		if v := r.Dir[1]; v != nil {
			for j := range de {
				de[j] -= v[j]
			}
		}
		form(dg, de)
		if h != nil {
			p.Jacobian(de, dg, 1)
			formula.AddTo(h, de)
		}
		for j := range u {
			u[j] = -dg[j]
		}
		return value
	})
}

// ahead returns Σ_k E_k² with E_k = Σ_{j<=k} e_j and writes its derivative, 2·Σ_{k>=j} E_k, to dst.
func ahead(dst, e []float64) (value float64) {
	sum := 0.0
	for k, v := range e {
		sum += v
		dst[k] = sum
		value += sum * sum
	}
	sum = 0
	for k := len(dst) - 1; k >= 0; k-- {
		sum += 2 * dst[k]
		dst[k] = sum
	}
	return value
}
