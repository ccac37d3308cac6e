package loss

import (
	G "gorgonia.org/gorgonia"
)

// EMD returns the squared distance between the cumulative distributions of softmax(logits) and target: an earth mover's
// distance for classes that have an order, where near misses cost less than far ones.
//
// With x a row of logits, p = softmax(x), t the target (one-hot for a label y), m = Σ_c w_c·t_c of the class weights w (1
// without them) and G_i = 2·Σ_{k>=i} Σ_{j<=k} (p_j - t_j),
//
//	l = m·Σ_k (Σ_{j<=k} (p_j - t_j))²        dl/dx_j = m·p_j·(G_j - ⟨p, G⟩)
//	                                         dl/dt_j = -m·G_j + w_j·l/m
//
// logits have the shape (N, C), or any other with a class axis, in the order of the classes. target is integer labels in
// that shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar, or has the labels'
// shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100), [WithClassWeights],
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The distance is a sum over the C cumulative differences: not divided by C, and no root is taken.
//
// [CrossEntropy] does not look at the order.
//
// Reference: L. Hou, C.-P. Yu, D. Samaras, Squared Earth Mover's Distance-based Loss for Training Deep Neural Networks, 2016.
func EMD(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return emd.build(logits, target, opts)
}

var emd = definition{
	name: "EMD", takes: classKnobs, defaults: settings{axis: -1, ignore: []int{-100}}, pred: Logits, target: LabelsOrSoft,
	laws: ShiftInvariant | NonNegative | ZeroAtEqual,
	rows: func(s *settings, _, _ int) rowFunc {
		return byClassWeight(s, func(r *row) float64 {
			p := r.softmax(0, 1)
			if p.l1 != p.l1 {
				return r.poison()
			}
			n := len(p.p)
			t, e, g := r.targets(), r.buf(n), r.buf(n)
			for j := range e {
				if e[j] = p.p[j] - t[j]; t[j] == 1 {
					e[j] = -p.others(j)
				}
			}
			value := ahead(g, e)
			if d := r.grad[0]; d != nil {
				p.jacobian(d, g, 1)
			}
			for j := range r.grad[1] {
				r.grad[1][j] = -g[j]
			}
			h, u := r.hess[0], r.hess[1]
			if h == nil && u == nil {
				return value
			}
			fill(h, 0)
			fill(u, 0)
			// e moves by de, so g by dg; softmax's own second derivative stands beside.
			de, dg := r.buf(n), r.buf(n)
			fill(de, 0)
			if v := r.dir[0]; v != nil {
				p.jacobian(de, v, 1)
				if h != nil {
					along, moved := dot(p.p, g), dot(de, g)
					for j := range h {
						h[j] = de[j]*(g[j]-along) - p.p[j]*moved
					}
				}
			}
			if v := r.dir[1]; v != nil {
				for j := range de {
					de[j] -= v[j]
				}
			}
			ahead(dg, de)
			if h != nil {
				p.jacobian(de, dg, 1)
				addTo(h, de)
			}
			for j := range u {
				u[j] = -dg[j]
			}
			return value
		})
	},
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
