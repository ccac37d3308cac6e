package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A LogSum is L = log Σ exp(z) of a row and its derivative P, the softmax, with 0 at entries of
// -Inf. Without any other entry L is -Inf and P is 0.
type LogSum struct {
	L float64
	P []float64
}

// LogSumOf computes the log-sum-exp of z and writes the softmax to dst, which may be z.
func LogSumOf(dst, z []float64) LogSum {
	largest, rest := tensorops.ExpRow(dst, z)
	if math.IsInf(largest, -1) {
		clear(dst)
		return LogSum{largest, dst}
	}
	Divide(dst, 1+rest)
	return LogSum{largest + math.Log1p(rest), dst}
}

// Along returns the change of L along v.
func (s *LogSum) Along(v []float64) float64 {
	if v == nil {
		return 0
	}
	return core.Dot(s.P, v)
}

// CrossEntropy returns Σ_j t_j·(-log softmax(S)_j) for a target that sums to 1, and writes f times
// its derivatives. A target of one entry c may be given as c with t = nil.
func (r *PairRow) CrossEntropy(t []float64, c int, f float64) (v float64) {
	p := softmax(r.G, r.S)
	if r.DG != nil {
		p.Jacobian(r.DG, r.DS, f)
	}
	if t == nil {
		v, one := p.NLL(c), p.OneMinus(c)
		Scale(r.G, f)
		r.G[c] = -f * one
		return v
	}
	for j, q := range t {
		switch q {
		case 0:
			r.G[j] *= f
		case 1:
			v += p.NLL(j)
			r.G[j] = -f * p.OneMinus(j)
		default:
			v += q * p.NLL(j)
			r.G[j] = f * (p.P[j] - q)
		}
	}
	return v
}

// A Join is a function of two log-sum-exps: its value, and its derivatives.
type Join struct{ V, P, N, PP, PN, NN float64 }

// Joined computes a loss of a row that is a function of the log-sum-exps of two sets of its
// entries, each after a linear map, and writes f times its derivatives. set reports the set of an
// entry: 1 for positives, -1 for negatives, 0 for neither; at maps an entry of that set and returns
// the slope of the map, which is a constant for the derivatives.
func (r *PairRow) Joined(set func(j int) int, at func(set int, s float64) (z, slope float64), join func(p, n float64) Join, f float64) float64 {
	slopes := r.Buf[0]
	pz, nz := r.G, r.Buf[1]
	for j, s := range r.S {
		k := set(j)
		pz[j], nz[j], slopes[j] = math.Inf(-1), math.Inf(-1), 0
		if k == 0 {
			continue
		}
		z, slope := at(k, s)
		if slopes[j] = slope; k > 0 {
			pz[j] = z
		} else {
			nz[j] = z
		}
		if r.DS != nil {
			r.DS[j] *= slope
		}
	}
	p, n := LogSumOf(pz, pz), LogSumOf(nz, nz)
	h := join(p.L, n.L)
	if r.DG != nil {
		dp, dn := p.Along(r.DS), n.Along(r.DS)
		mp, mn := h.PP*dp+h.PN*dn, h.PN*dp+h.NN*dn
		for j, v := range r.DS {
			r.DG[j] = f * slopes[j] * (p.P[j]*(mp+h.P*(v-dp)) + n.P[j]*(mn+h.N*(v-dn)))
		}
	}
	for j := range r.G {
		r.G[j] = f * slopes[j] * (h.P*p.P[j] + h.N*n.P[j])
	}
	return h.V
}

// Pairwise returns Σ_j log(1 + e^(∓S_j)), with - for positives, and writes f times its derivatives.
func (r *PairRow) Pairwise(positive func(j int) bool, f float64) (v float64) {
	e, log := r.Buf[0], r.G
	for j, z := range r.S {
		e[j] = -math.Abs(z)
	}
	vec.Exp(e, e)
	vec.Log1p(log, e)
	for j, z := range r.S {
		sign := 1.0
		if positive(j) {
			sign = -1
		}
		v += max(0, sign*z) + log[j]
		big, small := 1/(1+e[j]), e[j]/(1+e[j])
		if r.DG != nil {
			r.DG[j] = f * big * small * r.DS[j]
		}
		r.G[j] = sign * f * Pick(sign*z < 0, small, big)
	}
	return v
}

// Decoupled returns log Σ e^S over all points but its own and its partner's, less S of the partner,
// and writes f times its derivatives.
func (r *PairRow) Decoupled(partner int, f float64) float64 {
	positive := r.S[partner]
	r.S[r.I], r.S[partner] = math.Inf(-1), math.Inf(-1)
	s := LogSumOf(r.G, r.S)
	if r.DG != nil {
		along := s.Along(r.DS)
		for j, p := range s.P {
			r.DG[j] = f * p * (r.DS[j] - along)
		}
	}
	Scale(r.G, f)
	r.G[partner] = -f
	return s.L - positive
}

// LogSum returns log Σ e^(scale·S) over some of the pairs and writes f times its derivatives.
func (r *PairRow) LogSum(scale float64, some func(at int) bool, f float64) float64 {
	for at, q := range r.S {
		if r.G[at] = math.Inf(-1); some(at) {
			r.G[at] = scale * q
		}
	}
	s := LogSumOf(r.G, r.G)
	if r.DG != nil {
		along := s.Along(r.DS)
		for at, p := range s.P {
			r.DG[at] = f * scale * scale * p * (r.DS[at] - along)
		}
	}
	Scale(r.G, f*scale)
	return s.L
}

// SquaresBesides returns own of the pair of a point with itself plus a·S² of its other pairs, and
// writes f times the derivatives.
func (r *PairRow) SquaresBesides(a, f float64, own func(s float64) (v, d, dd float64)) float64 {
	v, d, dd := own(r.S[r.I])
	rest := 0.0
	for j, s := range r.S {
		if j != r.I {
			rest += s * s
		}
		r.G[j] = 2 * a * f * s
		if r.DG != nil {
			r.DG[j] = 2 * a * f * r.DS[j]
		}
	}
	if r.G[r.I] = f * d; r.DG != nil {
		r.DG[r.I] = f * dd * r.DS[r.I]
	}
	return v + a*rest
}
