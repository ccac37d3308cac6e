package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
)

// A pairLoss is a loss of pairs of items: a curve of x = s_j - s_i, with y_i - y_j added where it
// reads the gaps of relevance, for the pairs with y_i > y_j or for all.
type pairLoss struct {
	curve     formula.Curve
	gaps, all bool
	sigma     float64 // of logistic losses, else 0
}

// pairPart is the part of a list in the denominator: 0 without a pair, else 1, or the weight of its
// pairs.
func pairPart(g *core.Group, sum, all bool) float64 {
	y := g.X[1]
	if !sum && !all {
		low := math.Inf(1)
		for _, v := range y {
			low = min(low, v)
		}
		for i, v := range y {
			if v > low && itemWeight(g, i) > 0 {
				return 1
			}
		}
		return 0
	}
	part := pairTotal(g, all, nil)
	if !sum && part > 0 {
		return 1
	}
	return part
}

// pairTotal is Σ w_i over the pairs with y_i > y_j, or over all. order is that of falling
// relevance, or nil.
func pairTotal(g *core.Group, all bool, order []int) (sum float64) {
	y := g.X[1]
	if all {
		for i := range y {
			sum += itemWeight(g, i) * float64(g.N-1)
		}
		return sum
	}
	if order == nil {
		order = formula.Downwards(g, y)
	}
	for lo := 0; lo < g.N; {
		hi, w := lo, 0.0
		for ; hi < g.N && y[order[hi]] == y[order[lo]]; hi++ {
			w += itemWeight(g, order[hi])
		}
		sum += w * float64(g.N-hi)
		lo = hi
	}
	return sum
}

// pairRows are the items of a list in the order of falling relevance, and the memory of a row of
// pairs: those of one item with the items from some place on.
type pairRows struct {
	order               []int
	s, y, w, v          []float64 // scores, relevances, weights, direction
	gain, discount      []float64 // of PairDCG, the gains divided by the ideal
	x, l, lambda, d, dd []float64
	grad, hess          []float64
}

// group is the mathematics of a list.
func (p *pairLoss) group(g *core.Group, s *core.Settings) {
	r := p.rows(g, s)
	f, value := g.Factor[0], 0.0
	total := 1.0
	if !s.Ranking.PairSum {
		total = pairTotal(g, p.all, r.order)
	}
	if p.sigma != 0 && r.hess == nil {
		if v, ok := r.lambdas(g, PairWeight(s.Ranking.PairWeights), p.sigma, total, f); ok {
			r.write(g, v)
			return
		}
	}
	next := 0 // the first item that is less relevant
	for i := range g.N {
		if !p.all {
			for next < g.N && r.y[next] == r.y[i] {
				next++
			}
		}
		if r.w[i] != 0 && next < g.N {
			value += r.row(p, i, next, s.Ranking.PairWeights, r.w[i]/total, f)
		}
	}
	r.write(g, value)
}

// write writes the value and the derivatives to their places.
func (r *pairRows) write(g *core.Group, value float64) {
	if g.Value != nil {
		g.Value[0] = value
	}
	for k, i := range r.order {
		if g.Grad[0] != nil {
			g.Grad[0][i] = r.grad[k]
		}
		if g.Hess[0] != nil {
			g.Hess[0][i] = r.hess[k]
		}
	}
}

// rows sorts the items of a list: by relevance, those of the same by their ranks.
func (p *pairLoss) rows(g *core.Group, s *core.Settings) *pairRows {
	ranking, order := formula.Downwards(g, g.X[0]), g.Ints(g.N)
	y := g.Buf(g.N)
	for k, i := range ranking {
		y[k] = g.X[1][i]
	}
	for k, i := range formula.Downwards(g, y) {
		order[k] = ranking[i]
	}
	r := &pairRows{order: order, s: g.Buf(g.N), y: g.Buf(g.N), w: g.Buf(g.N), x: g.Buf(g.N), lambda: g.Buf(g.N)}
	for k, i := range r.order {
		r.s[k], r.y[k], r.w[k] = g.X[0][i], g.X[1][i], itemWeight(g, i)
	}
	if g.Value != nil {
		r.l = g.Buf(g.N)
	}
	if g.Grad[0] != nil {
		r.d, r.grad = g.Buf(g.N), g.Zeros(g.N)
	}
	if g.Hess[0] != nil {
		r.dd, r.hess, r.v = g.Buf(g.N), g.Zeros(g.N), g.Buf(g.N)
		for k, i := range r.order {
			r.v[k] = g.Dir[0][i]
		}
	}
	if s.Ranking.PairWeights != uint8(PairDCG) {
		return r
	}
	r.gain, r.discount = g.Buf(g.N), g.Buf(g.N)
	gains := formula.Gains(g, g.X[1], nil, s.Ranking.LinearGain)
	ideal := formula.IdealDCG(gains, r.order, s.TopK)
	rank := g.Buf(g.N)
	for k, i := range ranking {
		rank[i] = formula.Discount(float64(k+1), s.TopK)
	}
	for k, i := range r.order {
		r.discount[k] = rank[i]
		if ideal > 0 {
			r.gain[k] = gains[i] / ideal
		} else {
			r.gain[k] = 0
		}
	}
	return r
}

// row adds the pairs of item i with the items from next on, and returns their value.
func (r *pairRows) row(p *pairLoss, i, next int, weights uint8, w, f float64) (value float64) {
	n := len(r.s) - next
	x, lambda, s := r.x[:n], r.lambda[:n], r.s[next:]
	for j := range x {
		x[j] = s[j] - r.s[i]
	}
	if p.gaps {
		for j, y := range r.y[next:] {
			x[j] += r.y[i] - y
		}
	}
	switch PairWeight(weights) {
	case PairLabelDiff:
		for j, y := range r.y[next:] {
			lambda[j] = w * math.Abs(r.y[i]-y)
		}
	case PairDCG:
		gain, discount := r.gain[next:], r.discount[next:]
		for j := range lambda {
			lambda[j] = w * math.Abs(r.gain[i]-gain[j]) * math.Abs(r.discount[i]-discount[j])
		}
	default:
		formula.Fill(lambda, w)
	}
	if r.l != nil {
		l := r.l[:n]
		p.curve.Value(l, x)
		for j, c := range lambda {
			value += formula.Times(c, l[j])
		}
	}
	if r.grad != nil {
		d, own := r.d[:n], 0.0
		p.curve.Deriv(d, x)
		for j, c := range lambda {
			c = f * formula.Times(c, d[j])
			r.grad[next+j] += c
			own += c
		}
		r.grad[i] -= own
	}
	if r.hess != nil {
		dd, own := r.dd[:n], 0.0
		p.curve.Second(dd, x)
		for j, c := range lambda {
			c = f * formula.Times(c, dd[j]) * (r.v[next+j] - r.v[i])
			r.hess[next+j] += c
			own += c
		}
		r.hess[i] -= own
	}
	return value
}
