package formula

import (
	"iter"
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

// CrossEntropy returns Σ_j t_j·(-log softmax(S)_j) for a target that sums to 1, of which t yields
// the entries that are not 0, in their order, and writes f times its derivatives.
func (r *PairRow) CrossEntropy(t iter.Seq2[int, float64], f float64) (v float64) {
	if r.S32 != nil {
		return r.crossEntropy32(t, f)
	}
	p := softmax(r.G, r.S)
	if r.DG != nil {
		p.Jacobian(r.DG, r.DS, f)
	}
	for j, q := range t {
		if q == 1 {
			v += p.NLL(j)
			r.G[j] = -p.OneMinus(j)
		} else {
			v += q * p.NLL(j)
			r.G[j] -= q
		}
	}
	Scale(r.G, f)
	return v
}

// One yields the target of one entry.
func One(c int) iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) { yield(c, 1) }
}

// A Join is a function of two log-sum-exps: its value, and its derivatives.
type Join struct{ V, P, N, PP, PN, NN float64 }

// A Side is the map that is applied to the entries of a set, z = a·(s - Centre) with the slope a,
// which is a constant for the derivatives: Factor, or with Reach that times the distance by which s
// is above From, for a negative factor below; 0 on the other side.
type Side struct {
	Factor, Centre float64
	Reach          bool
	From           float64
}

func (m *Side) at(s float64) (z, slope float64) {
	if slope = m.Factor; m.Reach {
		far := s - m.From
		if slope < 0 {
			far = -far
		}
		slope *= max(0, far)
	}
	return slope * (s - m.Centre), slope
}

// Joined computes a loss of a row that is a function of the log-sum-exps of two sets of its
// entries, each after a map, and writes f times its derivatives. The positives are those that same
// names, in their order, the others negatives; own, if it is not -1, is neither.
func (r *PairRow) Joined(same []int, own int, positive, negative Side, join func(p, n float64) Join, f float64) float64 {
	slopes, nz := r.Buf[0], r.Buf[1]
	for j, s := range r.S {
		nz[j], slopes[j] = negative.at(s)
	}
	pz := r.Buf[2][:0]
	for _, j := range same {
		if nz[j], slopes[j] = math.Inf(-1), 0; j == own {
			continue
		}
		var z float64
		z, slopes[j] = positive.at(r.S[j])
		pz = append(pz, z)
	}
	for j := range r.DS {
		r.DS[j] *= slopes[j]
	}
	p, n := LogSumOf(pz, pz), LogSumOf(nz, nz)
	h := join(p.L, n.L)
	if r.DG == nil {
		for j, q := range n.P {
			r.G[j] = f * slopes[j] * (h.N * q)
		}
		k := 0
		for _, j := range same {
			if j != own {
				r.G[j] = f * slopes[j] * (h.P * p.P[k])
				k++
			}
		}
		return h.V
	}
	all := LogSum{L: p.L, P: r.G} // the positives among all entries
	clear(all.P)
	k := 0
	for _, j := range same {
		if j != own {
			all.P[j] = p.P[k]
			k++
		}
	}
	dp, dn := all.Along(r.DS), n.Along(r.DS)
	mp, mn := h.PP*dp+h.PN*dn, h.PN*dp+h.NN*dn
	for j, v := range r.DS {
		r.DG[j] = f * slopes[j] * (all.P[j]*(mp+h.P*(v-dp)) + n.P[j]*(mn+h.N*(v-dn)))
		r.G[j] = f * slopes[j] * (h.P*all.P[j] + h.N*n.P[j])
	}
	return h.V
}

// Pairwise returns Σ_j log(1 + e^(∓S_j)), with - for the positives that it is given, and writes f
// times its derivatives.
func (r *PairRow) Pairwise(positives iter.Seq2[int, float64], f float64) (v float64) {
	flip := func(x []float64) {
		if x == nil {
			return
		}
		for j := range positives {
			x[j] = -x[j]
		}
	}
	flip(r.S)
	flip(r.DS)
	e, log := r.Buf[0], r.G
	for j, z := range r.S {
		e[j] = -math.Abs(z)
	}
	vec.Exp(e, e)
	vec.Log1p(log, e)
	for j, z := range r.S {
		v += max(0, z) + log[j]
		one := 1 + e[j]
		r.G[j] = f * (Pick(z < 0, e[j], 1) / one)
		if r.DG != nil {
			r.DG[j] = f * (1 / one) * (e[j] / one) * r.DS[j]
		}
	}
	flip(r.G)
	flip(r.DG)
	return v
}

// Decoupled returns log Σ e^S over all points but its own and its partner's, less S of the partner,
// and writes f times its derivatives.
func (r *PairRow) Decoupled(partner int, f float64) float64 {
	if r.S32 != nil {
		return r.decoupled32(partner, f)
	}
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
