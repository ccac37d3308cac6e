package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// This file is the logistic loss of pairs weighted by PairDCG without an exponential or a logarithm
// for every pair, for lists of a few grades of relevance. With D the discount, falling with the
// rank, and e = exp(-σ|s_a-s_b|), an item a and an item b behind it in the ranking have
//
//	λ·log(1 + exp ...) = c·(D_a - D_b)·(log(1+e) + σ·(s_a-s_b) if b is the more relevant one)
//
// where c, the difference of the gains, is the same for all pairs of two grades. So
//
//	Σ (D_a - D_b)·log(1+e) = Σ_a D_a·log Π_b (1+e) - Σ_b D_b·log Π_a (1+e)
//
// takes a logarithm for every item and grade, and e is a product of one exponential for each item.
// Products are kept less 1, so that they keep their digits where all e are small.

// lambdaTile is the number of items of a grade that are multiplied: Π (1+e) <= 2^lambdaTile.
const lambdaTile = 256

// lambdaSpread is the largest σ·(max s - min s) for which e, a quotient of exponentials, keeps its
// digits: its relative error is the spread times 2^-53.
const lambdaSpread = 64

// lambdaGrade is the average number of items of a grade from which the logarithms of items are
// fewer than those of pairs.
const lambdaGrade = 8

// A lambdaSide is the items of one grade in a tile: u = exp(σ·(s - max)), v = 1/u, x = σ·(s - max)
// and, for each item, the products over the other grade's items behind and before it, less 1, and
// Σ (D_a - D_b)·p over them.
type lambdaSide struct{ u, v, x, d, behind, before, pull []float64 }

func (l *lambdaSide) tile(lo, hi int) lambdaSide {
	return lambdaSide{l.u[lo:hi], l.v[lo:hi], l.x[lo:hi], l.d[lo:hi], l.behind[lo:hi], l.before[lo:hi], l.pull[lo:hi]}
}

// lambdas adds the derivatives of a list to r.grad, unless that is nil, and returns its value; both
// are divided by total. It reports false for lists that it is not made for.
func (r *pairRows) lambdas(g *core.Group, sigma, total, f float64) (value float64, ok bool) {
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
	all := lambdaSide{g.Buf(n), g.Buf(n), g.Buf(n), r.discount, g.Buf(n), g.Buf(n), g.Buf(n)}
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
			c := (r.gain[lo] - r.gain[from]) / total
			for i := lo; i < hi; i += lambdaTile {
				for j := from; j < to; j += lambdaTile {
					a, b := all.tile(i, min(i+lambdaTile, hi)), all.tile(j, min(j+lambdaTile, to))
					value += c * lambdaPairs(&a, &b)
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
// order of the ranking, and returns their value.
func lambdaPairs(a, b *lambdaSide) (value float64) {
	for _, s := range [...][]float64{b.behind, b.before, b.pull} {
		clear(s)
	}
	first := 0 // the first b behind the item
	for i, d := range a.d {
		for first < len(b.d) && before(b, first, a, i) {
			first++
		}
		product, own, linear := lambdaBefore(b.v[:first], b.d[:first], b.x[:first], b.pull[:first], b.behind[:first], a.u[i], a.x[i], d)
		value += linear
		a.before[i] = product
		product, rest := lambdaBehind(b.u[first:], b.d[first:], b.pull[first:], b.before[first:], a.v[i], d)
		a.behind[i], a.pull[i] = product, own+rest
	}
	for _, s := range []*lambdaSide{a, b} {
		vec.Log1p(s.behind, s.behind)
		vec.Log1p(s.before, s.before)
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

// lambdaBehind computes the pairs of an item with v = 1/u and discount d with less relevant items
// behind it, in the right order. Two at a time share a division, and are multiplied apart.
func lambdaBehind(u, discount, pull, products []float64, v, d float64) (product, own float64) {
	n := len(u)
	discount, pull, products = discount[:n], pull[:n], products[:n]
	even, odd, own2 := 0.0, 0.0, 0.0
	k := 0
	for ; k+1 < n; k += 2 {
		e, e2 := v*u[k], v*u[k+1]
		one, one2 := 1+e, 1+e2
		inverse := 1 / (one * one2)
		p, p2 := (d-discount[k])*(e*one2)*inverse, (d-discount[k+1])*(e2*one)*inverse
		even, odd = even*one+e, odd*one2+e2
		products[k], products[k+1] = products[k]*one+e, products[k+1]*one2+e2
		pull[k] += p
		pull[k+1] += p2
		own += p
		own2 += p2
	}
	if k < n {
		e := v * u[k]
		one := 1 + e
		p := (d - discount[k]) * e / one
		even = even*one + e
		products[k] = products[k]*one + e
		pull[k] += p
		own += p
	}
	return even + odd + even*odd, own + own2
}

// lambdaBefore computes the pairs of an item with discount d with less relevant items before it, in
// the wrong order; linear is Σ (D_b - D_a)·σ·(s_b-s_a).
func lambdaBefore(v, discount, x, pull, products []float64, u, score, d float64) (product, own, linear float64) {
	n := len(v)
	discount, x, pull, products = discount[:n], x[:n], pull[:n], products[:n]
	even, odd, own2, linear2 := 0.0, 0.0, 0.0, 0.0
	k := 0
	for ; k+1 < n; k += 2 {
		e, e2 := u*v[k], u*v[k+1]
		one, one2 := 1+e, 1+e2
		inverse := 1 / (one * one2)
		gap, gap2 := discount[k]-d, discount[k+1]-d
		linear += gap * (x[k] - score)
		linear2 += gap2 * (x[k+1] - score)
		p, p2 := gap*one2*inverse, gap2*one*inverse
		even, odd = even*one+e, odd*one2+e2
		products[k], products[k+1] = products[k]*one+e, products[k+1]*one2+e2
		pull[k] += p
		pull[k+1] += p2
		own += p
		own2 += p2
	}
	if k < n {
		e := u * v[k]
		one := 1 + e
		gap := discount[k] - d
		linear += gap * (x[k] - score)
		even = even*one + e
		products[k] = products[k]*one + e
		pull[k] += gap / one
		own += gap / one
	}
	return even + odd + even*odd, own + own2, linear + linear2
}
