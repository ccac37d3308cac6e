package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// NeuralNDCG returns 1 minus the normalised discounted cumulative gain of each list, sorted by a
// smooth permutation matrix.
//
// With s the scores, y the relevances and w the weights of the items (1 without them), L items, and
// g_j = w_j·(2^y_j - 1),
//
//	l = 1 - Σ_(i<=k) (P·g)_i/log₂(1+i) / IDCG        dl/dP_ij = -g_j/log₂(1+i) / IDCG
//	P_ij = softmax_j(((L+1-2i)·s_j - Σ_m |s_j-s_m|)/T)
//
// and then the columns and the rows of P are divided in turn by their sums, n times. IDCG is the
// discounted sum of the first k gains in the ideal order. The gradient is that of exactly these
// steps; the derivative of |s_j-s_m| at equal scores is 0.
//
// scores and relevance (>= 0) have the same dtype and the shape (N, L), one list per row, or (L)
// for a single list. The result is a scalar, or has the shape (N) under [None]. There is no
// gradient with respect to relevance.
//
// Options: [WithIterations] (n, default 50), [WithTemperature] (T, default 1), [WithTopK] (k,
// default all), [WithLinearGain], [WithEmptyLists], [WithSegments], [WithReduction], [WithWeights]
// ((N), or the shape of scores for items), [WithMask] (that shape), [WithNormalizer],
// [WithNormalizerNode].
//
// Masked items are left out: L is the number of the others. Lists without a relevant item do not
// count unless [WithEmptyLists] says otherwise. The value keeps its digits where the order is
// nearly ideal. Relevance that is negative or not finite is an error when the graph runs. Each list
// takes the memory of a few L×L matrices.
//
// [ApproxNDCG], which smooths the ranks of individual items, is faster.
//
// Reference: P. Pobrotyn, R. Białobrzeski, NeuralNDCG, 2021; A. Grover et al., Stochastic
// Optimization of Sorting Networks via Continuous Relaxations, 2019.
func NeuralNDCG(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&neuralNDCG, opts, scores, relevance)
}

var neuralNDCG = ofQuality(core.Definition{
	Name: "NeuralNDCG", Takes: core.Options(qualityOptions, core.OptIterations), Defaults: core.Settings{Temperature: 1, Iterations: 50},
	Others: "allRank neuralNDCG, which is ours - 1 and stops at 1e-6; TF-Ranking NeuralSortNDCG: WithIterations(0)",
}, hasGain, func(g *core.Group, s *core.Settings) {
	p := neuralSortOf(g, s.Temperature, s.Iterations)
	gains := formula.Gains(g, g.X[1], g.Weight, s.Ranking.LinearGain)
	best := formula.Downwards(g, gains)
	ideal := formula.IdealDCG(gains, best, s.TopK)
	up := g.Buf(p.n * p.n) // dl/dP, but for a constant in each row, which the sums of rows take out again
	value := 0.0
	for i := range p.n {
		c := formula.Discount(float64(i+1), s.TopK) / ideal
		row, to := p.p[i*p.n:][:p.n], up[i*p.n:][:p.n]
		for j, k := range p.order {
			to[j] = c * (gains[best[i]] - gains[k])
			value += formula.Times(row[j], to[j])
		}
	}
	if g.Value != nil {
		g.Value[0] = value
	}
	if g.Grad[0] != nil || g.Hess[0] != nil {
		p.backward(g, up)
	}
})

// A neuralSort is a smooth permutation matrix, its columns the items in falling order of their
// scores, with its derivative along a direction. The derivatives of what follows undo it step by
// step, for which the sums that it was divided by are kept.
type neuralSort struct {
	n, iterations int
	t             float64
	s             []float64 // the scores in falling order, divided by T
	order         []int
	p, dp         []float64 // dp is nil without a direction
	sums, dsums   []float64 // n of each step
}

// neuralSortOf makes the matrix. With the scores in falling order, neighbours in row i have the
// difference
//
//	z_i(m+1) - z_i(m) = -(2(m-i)+1)·(s_m - s_(m+1))/T
//
// so that item i has the largest z of row i, and the others follow from it without cancellation.
func neuralSortOf(g *core.Group, t float64, iterations int) *neuralSort {
	n := g.N
	r := &neuralSort{n: n, iterations: iterations, t: t, order: formula.Downwards(g, g.X[0]), s: g.Buf(n), p: g.Buf(n * n), sums: g.Buf(2 * n * iterations)}
	for m, k := range r.order {
		r.s[m] = g.X[0][k] / t
	}
	for i := range n {
		row := r.p[i*n:][:n]
		row[i] = 0
		for m := i; m < n-1; m++ {
			row[m+1] = row[m] - float64(2*(m-i)+1)*(r.s[m]-r.s[m+1])
		}
		for m := i - 1; m >= 0; m-- {
			row[m] = row[m+1] - float64(2*(i-m)-1)*(r.s[m]-r.s[m+1])
		}
		vec.Exp(row, row)
		sum := 0.0
		for _, e := range row {
			sum += e
		}
		formula.Divide(row, sum)
	}
	if g.Hess[0] != nil {
		r.dsums = g.Buf(2 * n * iterations)
		r.direction(g)
	}
	for k := range 2 * iterations {
		r.normalise(k)
	}
	return r
}

// signSums writes Σ_m sign(s_j-s_m)·x_m for each j: the sum over the later ones less that over the
// earlier ones, those of equal scores left out.
func (r *neuralSort) signSums(dst, x []float64) {
	later, earlier := 0.0, 0.0
	for _, v := range x {
		later += v
	}
	for lo := 0; lo < r.n; {
		hi, own := lo, 0.0
		for ; hi < r.n && (hi == lo || r.s[hi] == r.s[lo]); hi++ {
			own += x[hi]
		}
		later -= own
		formula.Fill(dst[lo:hi], later-earlier)
		earlier += own
		lo = hi
	}
}

// direction makes the derivative of the matrix before the first step.
func (r *neuralSort) direction(g *core.Group) {
	n := r.n
	r.dp = g.Buf(n * n)
	v, cross, signs := g.Buf(n), g.Buf(n), g.Buf(n)
	formula.Fill(v, 1/r.t)
	r.signSums(signs, v)
	for m, k := range r.order {
		v[m] = g.Dir[0][k] / r.t
	}
	r.signSums(cross, v)
	for i := range n {
		p, dp, mean := r.p[i*n:][:n], r.dp[i*n:][:n], 0.0
		for j := range dp {
			dp[j] = float64(n-1-2*i)*v[j] - (signs[j]*r.t*v[j] - cross[j])
			mean += p[j] * dp[j]
		}
		for j := range dp {
			dp[j] = p[j] * (dp[j] - mean)
		}
	}
}

// line returns where the sum of row i of the matrix begins in step k, and its stride along the row:
// even steps are of columns, odd ones of rows.
func line(k, i int) (at, stride int) {
	if k%2 == 0 {
		return 0, 1
	}
	return i, 0
}

// sumLines writes the sums of the lines of step k of a square matrix.
func sumLines(sums, m []float64, k int) {
	n := len(sums)
	clear(sums)
	for i := range n {
		at, stride := line(k, i)
		for _, v := range m[i*n:][:n] {
			sums[at] += v
			at += stride
		}
	}
}

// normalise divides the lines of step k by their sums.
func (r *neuralSort) normalise(k int) {
	n := r.n
	sums := r.sums[k*n:][:n]
	sumLines(sums, r.p, k)
	for i := range n {
		at, stride := line(k, i)
		row := r.p[i*n:][:n]
		for j := range row {
			row[j] /= sums[at]
			at += stride
		}
	}
	if r.dp == nil {
		return
	}
	dsums := r.dsums[k*n:][:n]
	sumLines(dsums, r.dp, k)
	for i := range n {
		at, stride := line(k, i)
		p, row := r.p[i*n:][:n], r.dp[i*n:][:n]
		for j := range row {
			row[j] = (row[j] - p[j]*dsums[at]) / sums[at]
			at += stride
		}
	}
}

// undo takes step k back, and makes the derivative up by the matrix before it of that by the one
// after it; dup is the change of up along the direction, or nil.
func (r *neuralSort) undo(g *core.Group, k int, up, dup []float64) {
	n := r.n
	sums, mean := r.sums[k*n:][:n], g.Zeros(n)
	for i := range n {
		at, stride := line(k, i)
		p, u := r.p[i*n:][:n], up[i*n:][:n]
		for j := range u {
			mean[at] += p[j] * u[j]
			at += stride
		}
	}
	if dup != nil {
		dsums, dmean := r.dsums[k*n:][:n], g.Zeros(n)
		for i := range n {
			at, stride := line(k, i)
			for j := i * n; j < (i+1)*n; j++ {
				dmean[at] += r.p[j]*dup[j] + r.dp[j]*up[j]
				at += stride
			}
		}
		for i := range n {
			at, stride := line(k, i)
			for j := i * n; j < (i+1)*n; j++ {
				dup[j] = ((dup[j] - dmean[at]) - (up[j]-mean[at])*dsums[at]/sums[at]) / sums[at]
				r.dp[j] = r.dp[j]*sums[at] + r.p[j]*dsums[at]
				at += stride
			}
		}
	}
	for i := range n {
		at, stride := line(k, i)
		p, u := r.p[i*n:][:n], up[i*n:][:n]
		for j := range u {
			u[j] = (u[j] - mean[at]) / sums[at]
			p[j] *= sums[at]
			at += stride
		}
	}
}

// backward writes the derivatives by the scores that are requested, given the derivative by the
// matrix, which is constant.
func (r *neuralSort) backward(g *core.Group, up []float64) {
	n := r.n
	var dup []float64
	if r.dp != nil {
		dup = g.Zeros(n * n)
	}
	for k := 2*r.iterations - 1; k >= 0; k-- {
		r.undo(g, k, up, dup)
	}
	for i := range n { // the softmax of each row
		p, u := r.p[i*n:][:n], up[i*n:][:n]
		mean := core.Dot(p, u)
		if dup != nil {
			dp, du := r.dp[i*n:][:n], dup[i*n:][:n]
			dmean := core.Dot(p, du) + core.Dot(dp, u)
			for j := range du {
				du[j] = dp[j]*(u[j]-mean) + p[j]*(du[j]-dmean)
			}
		}
		for j := range u {
			u[j] = p[j] * (u[j] - mean)
		}
	}
	r.byScores(g, g.Grad[0], up)
	r.byScores(g, g.Hess[0], dup)
}

// byScores writes the derivative by the scores, given that by z, to dst unless that is nil.
func (r *neuralSort) byScores(g *core.Group, dst, z []float64) {
	if dst == nil {
		return
	}
	n := r.n
	sum, moment, cross, signs := g.Zeros(n), g.Zeros(n), g.Buf(n), g.Buf(n)
	for i := range n {
		for j, d := range z[i*n:][:n] {
			sum[j] += d
			moment[j] += float64(n-1-2*i) * d
		}
	}
	r.signSums(cross, sum)
	ones := g.Buf(n)
	formula.Fill(ones, 1)
	r.signSums(signs, ones)
	for m, k := range r.order {
		dst[k] = g.Factor[0] * ((moment[m] - signs[m]*sum[m]) - cross[m]) / r.t
	}
}
