package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// This file is the logistic loss of pairs without an exponential or a logarithm for every pair, for
// lists of a few grades of relevance. Under PairDCG, with D the discount, falling with the
// rank, and e = exp(-σ|s_a-s_b|), an item a and an item b behind it in the ranking have
//
//	λ·log(1 + exp ...) = c·(D_a - D_b)·(log(1+e) + σ·(s_a-s_b) if b is the more relevant one)
//
// where c, the difference of the gains, is the same for all pairs of two grades. So
//
//	Σ (D_a - D_b)·log(1+e) = Σ_a D_a·log Π_b (1+e) - Σ_b D_b·log Π_a (1+e)
//
// takes a logarithm for every item and grade, and e is a product of one exponential for each item.
// Without discounts the sum has 1 in the place of D_a - D_b.
// Products are kept less 1, so that they keep their digits where all e are small.

// lambdaTile is the number of items of a grade that are multiplied: Π (1+e) <= 2^lambdaTile.
const lambdaTile = 256

// lambdaSpread is the largest σ·(max s - min s) for which e, a quotient of exponentials, keeps its
// digits: its relative error is the spread times 2^-53.
const lambdaSpread = 64

// lambdaGrade is the average number of items of a grade from which the logarithms of items are
// fewer than those of pairs.
const lambdaGrade = 8

// A lambdaSide is the items of one grade in a tile: u = exp(σ·(s - max)), v = 1/u, x = σ·(s - max),
// the discounts d and, for each item, the products over the other grade's items behind and before
// it, less 1, and Σ (D_a - D_b)·p over them.
type lambdaSide struct{ u, v, x, d, behind, before, pull []float64 }

func (l *lambdaSide) tile(lo, hi int) lambdaSide {
	return lambdaSide{l.u[lo:hi], l.v[lo:hi], l.x[lo:hi], l.d[lo:hi], l.behind[lo:hi], l.before[lo:hi], l.pull[lo:hi]}
}

// lambdas adds the derivatives of a list to r.grad, unless that is nil, and returns its value; both
// are divided by total. It reports false for lists that it is not made for.
func (r *pairRows) lambdas(g *core.Group, weights PairWeight, sigma, total, f float64) (value float64, ok bool) {
	n := g.N
	grades, top, bottom := 1, r.s[0], r.s[0]
	for k := 1; k < n; k++ {
		top, bottom = max(top, r.s[k]), min(bottom, r.s[k])
		if r.y[k] != r.y[k-1] {
			grades++
		}
	}
	if g.Weight != nil || n < lambdaGrade*grades || !(sigma*(top-bottom) <= lambdaSpread) {
		return 0, false
	}
	discounts := r.discount
	if weights != PairDCG {
		discounts = g.Zeros(n)
	}
	all := lambdaSide{g.Buf(n), g.Buf(n), g.Buf(n), discounts, g.Buf(n), g.Buf(n), g.Buf(n)}
	for k, s := range r.s {
		all.x[k] = sigma * (s - top)
		all.v[k] = -all.x[k]
	}
	vec.Exp(all.u, all.x)
	vec.Exp(all.v, all.v)
	for lo := 0; lo < n; {
		hi := r.gradeEnd(lo)
		for from := hi; from < n; {
			to := r.gradeEnd(from)
			c := 1 / total
			switch weights {
			case PairDCG:
				c = (r.gain[lo] - r.gain[from]) / total
			case PairLabelDiff:
				c = (r.y[lo] - r.y[from]) / total
			}
			for i := lo; i < hi; i += lambdaTile {
				for j := from; j < to; j += lambdaTile {
					a, b := all.tile(i, min(i+lambdaTile, hi)), all.tile(j, min(j+lambdaTile, to))
					value += c * lambdaPairs(&a, &b, weights == PairDCG)
					if r.grad != nil {
						for k, p := range a.pull {
							r.grad[i+k] -= f * sigma * c * p
						}
						for k, p := range b.pull {
							r.grad[j+k] += f * sigma * c * p
						}
					}
				}
			}
			from = to
		}
		lo = hi
	}
	return value, true
}

// gradeEnd is where the grade of item k ends.
func (r *pairRows) gradeEnd(k int) int {
	end := k + 1
	for end < len(r.y) && r.y[end] == r.y[k] {
		end++
	}
	return end
}

// lambdaPairs computes the pairs of more relevant items a and less relevant items b, each in the
// order of the ranking, and returns their value. Without discounts each pair counts 1.
func lambdaPairs(a, b *lambdaSide, discounted bool) (value float64) {
	for _, s := range [...][]float64{b.behind, b.before, b.pull} {
		clear(s)
	}
	first := 0 // the first b behind the item
	for i := range a.d {
		for first < len(b.d) && before(b, first, a, i) {
			first++
		}
		ahead, after := 1.0, -1.0
		if discounted {
			ahead, after = a.d[i], a.d[i]
		}
		wrong := tensorops.LogisticSides{U: b.v[:first], X: b.x[:first], Weights: b.d[:first], Pull: b.pull[:first], Products: b.behind[:first]}
		right := tensorops.LogisticSides{U: b.u[first:], Weights: b.d[first:], Pull: b.pull[first:], Products: b.before[first:]}
		product, own, linear := tensorops.PairsBefore(&wrong, a.u[i], a.x[i], after)
		value += linear
		a.before[i] = product
		product, rest := tensorops.PairsBehind(&right, a.v[i], ahead)
		a.behind[i], a.pull[i] = product, own+rest
	}
	vec.Log1p(a.behind, a.behind)
	vec.Log1p(a.before, a.before)
	if !discounted {
		for k, l := range a.behind {
			value += l + a.before[k]
		}
		return value
	}
	vec.Log1p(b.behind, b.behind)
	vec.Log1p(b.before, b.before)
	for _, s := range []*lambdaSide{a, b} {
		for k, d := range s.d {
			value += d * (s.behind[k] - s.before[k])
		}
	}
	return value
}

// before reports whether item j of b stands before item i of a in the ranking: the discount falls
// from rank to rank but beyond the last one that counts, where the order is of no consequence.
func before(b *lambdaSide, j int, a *lambdaSide, i int) bool {
	if b.d[j] != a.d[i] {
		return b.d[j] > a.d[i]
	}
	return b.x[j] > a.x[i]
}
