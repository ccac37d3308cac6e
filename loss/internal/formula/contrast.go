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

// BothWays computes, for as many points in A as in B whose products are none further than anchor
// from 0, the cross-entropy of the diagonal by rows and by columns: the products are the logits. It
// writes values and takes the derivatives with those factors, of first order.
func (p *Pairs) BothWays(anchor float64, values, factors [2][]float64) {
	n := p.A.N
	p.lo, p.Factor = 0, nil
	if p.k = p.g.Buf(n * n); p.single {
		p.takeSingle(n * n)
		p.productSingle(n)
	} else {
		p.s = p.k
		p.fill(n)
	}
	step := max(1, 1<<13/n)
	part := p.g.Zeros((n + step - 1) / step * n)
	rest, per := [2][]float64{p.g.Buf(n), p.g.Zeros(n)}, [2][]float64{p.g.Buf(n), p.g.Buf(n)} // sums without the diagonal
	tensorops.ParallelFor(n, step, func(lo, hi int) {
		columns := part[lo/step*n:][:n]
		for i := lo; i < hi; i++ {
			e := p.k[i*n : (i+1)*n]
			if p.single {
				vec.Widen(e, p.s32[i*n:(i+1)*n])
			}
			for j := range e {
				e[j] -= anchor
			}
			vec.Exp(e, e)
			own := e[i]
			e[i] = 0
			rest[0][i] = addRow(columns, e)
			e[i] = own
		}
	})
	for at := 0; at < len(part); at += n {
		AddTo(rest[1], part[at:at+n])
	}
	for k := range 2 {
		for i, s := range rest[k] {
			own := p.k[i*(n+1)]
			values[k][i] = math.Log1p(s / own)
			per[k][i] = factors[k][i] / (s + own)
		}
	}
	if !p.first {
		return
	}
	tensorops.ParallelFor(n, step, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			e, f := p.k[i*n:(i+1)*n], per[0][i]
			for j, h := range per[1] {
				e[j] *= f + h
			}
			if e[i] = -f*rest[0][i] - per[1][i]*rest[1][i]; p.single {
				vec.Narrow(p.k32[i*n:(i+1)*n], e, 1)
			}
		}
	})
	p.pull(n)
}

// addRow adds row to sums and returns the sum of its entries, in four chains.
func addRow(sums, row []float64) float64 {
	sums = sums[:len(row)]
	var s, t, u, v float64
	i := 0
	for ; i+4 <= len(row); i += 4 {
		x, y := row[i:i+4:i+4], sums[i:i+4:i+4]
		s += x[0]
		t += x[1]
		u += x[2]
		v += x[3]
		y[0] += x[0]
		y[1] += x[1]
		y[2] += x[2]
		y[3] += x[3]
	}
	for ; i < len(row); i++ {
		s += row[i]
		sums[i] += row[i]
	}
	return (s + t) + (u + v)
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
