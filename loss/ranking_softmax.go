package loss

import (
	"cmp"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// RankingSoftmax returns the cross-entropy of the unnormalised relevance against the softmax of the
// scores of each list.
//
// With s the scores, y the relevances, w the weights of the items (1 without them), p = softmax(s),
// t = w·y and T = Σ_i t_i,
//
//	l = -Σ_i t_i·log p_i + ε·Σ_i t_i/T·(1-p_i)
//	dl/ds_i = T·p_i - t_i - ε·p_i·(t_i/T - Σ_j p_j·t_j/T)
//
// scores and relevance (>= 0) have the same dtype and the shape (N, L), one list per row, or (L)
// for a single list. The result is a scalar, or has the shape (N) under [None]. There is no
// gradient with respect to relevance.
//
// Options: [WithEpsilon] (ε, default 0), [WithSegments], [WithReduction], [WithWeights] ((N), or
// the shape of scores for items), [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a relevant item do not count. Relevance that is negative
// or not finite is an error when the graph runs. Float32 lists of more than 64 items are computed
// in float32 unless ε or weights of items are given.
//
// [ListNet] uses the softmax of the relevances as its target. [UniqueSoftmax] compares each
// relevant item only with less relevant ones.
//
// Reference: Z. Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, 2007;
// the second term: Z. Leng et al., PolyLoss, 2022.
func RankingSoftmax(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&rankingSoftmax, opts, scores, relevance)
}

// relevances are the targets of [RankingSoftmax].
var relevances = formula.ListTargets{
	Exact:  func(t, y []float64) { copy(t, y) },
	Native: func(_, y []float32) ([]float32, float64) { return y, 1 },
	Parts:  true,
}

var rankingSoftmax = core.Definition{
	Name: "RankingSoftmax", Operands: lists("scores", core.Logits, "relevance", core.Counts), Takes: core.Options(listOptions, core.OptEpsilon),
	Grouped: ofItems, Parts: func(*core.Settings, *core.GroupDims) core.PartsFunc { return partOf(relevant) },
	GroupKernel: func(s *core.Settings, _ *core.GroupDims) (all core.GroupKernels) {
		if s.Epsilon == 0 {
			all = relevances.Kernels()
		}
		return all
	},
	Optax: "ranking_softmax_loss", Others: "rax softmax_loss; rax poly1_softmax_loss: WithEpsilon(1); TF-Ranking SoftmaxLoss",
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			p, t, mass := formula.SoftmaxOf(g, g.X[0]), g.Buf(g.N), 0.0
			for i, y := range g.X[1] {
				t[i] = y * itemWeight(g, i)
				mass += t[i]
			}
			f, eps := g.Factor[0], s.Epsilon/mass
			if g.Value != nil {
				v := 0.0
				for i, q := range t {
					v += formula.Times(q, p.NLL(i))
					if eps != 0 && q != 0 {
						v += eps * q * p.OneMinus(i)
					}
				}
				g.Value[0] = v
			}
			hit := core.Dot(p.P, t)
			if d := g.Grad[0]; d != nil {
				for i, q := range p.P {
					d[i] = f * (mass*q - t[i] - eps*q*(t[i]-hit))
				}
			}
			if h := g.Hess[0]; h != nil {
				dp := g.Buf(g.N)
				p.Jacobian(dp, g.Dir[0], f)
				change := core.Dot(dp, t)
				for i, q := range dp {
					h[i] = mass*q - eps*(q*(t[i]-hit)-p.P[i]*change)
				}
			}
			return nil
		}
	},
}

// UniqueSoftmax returns the cross-entropy of each relevant item against the softmax over itself and
// the less relevant items of its list, weighted by its gain.
//
// With s the scores, y the relevances, w the weights of the items (1 without them), g_i = 2^y_i - 1
// and A_i the items j with y_j < y_i,
//
//	l = Σ_i w_i·g_i·(log(exp s_i + Σ_(j∈A_i) exp s_j) - s_i)
//	dl/ds_k = Σ_(i: k∈A_i) w_i·g_i·p_i(k) - w_k·g_k·(1 - p_k(k))
//
// where p_i is that softmax. scores and relevance (>= 0) have the same dtype and the shape (N, L),
// one list per row, or (L) for a single list. The result is a scalar, or has the shape (N) under
// [None]. There is no gradient with respect to relevance.
//
// Options: [WithLinearGain], [WithSegments], [WithReduction], [WithWeights] ((N), or the shape of
// scores for items), [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a relevant item do not count; one whose items are all
// equally relevant has the value 0 and counts. Relevance that is negative or not finite is an error
// when the graph runs.
//
// [RankingSoftmax] also compares relevant items with each other.
//
// Reference: X. Zhu, D. Klabjan, Listwise Learning to Rank by Exploring Unique Ratings, 2020.
func UniqueSoftmax(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&uniqueSoftmax, opts, scores, relevance)
}

var uniqueSoftmax = core.Definition{
	Name: "UniqueSoftmax", Operands: lists("scores", core.Logits, "relevance", core.Counts), Takes: core.Options(listOptions, core.OptLinearGain),
	Grouped: ofItems, Parts: func(*core.Settings, *core.GroupDims) core.PartsFunc { return partOf(relevant) },
	Laws: core.NonNegative, Others: "rax unique_softmax_loss; TF-Ranking UniqueSoftmaxLoss",
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error { uniqueTerms(g, s.Ranking.LinearGain); return nil }
	},
}

// uniqueTerms is the mathematics of UniqueSoftmax. The less relevant items of all items of one
// relevance are the same: one pass upwards adds them level by level, and one downwards adds up
//
//	Σ_i w_i·g_i·(1-p_i(i))·exp(s_k-lse A_i), the derivative by s_k of more relevant items' terms,
//
// as sum·exp(s_k-anchor), and likewise its derivative along the direction.
func uniqueTerms(g *core.Group, linear bool) {
	scores, y, f := g.X[0], g.X[1], g.Factor[0]
	order := formula.Order(g, func(a, b int) int { return cmp.Compare(y[a], y[b]) })
	v := g.Dir[0]
	if v == nil {
		v = g.Zeros(g.N)
	}
	pull, bend := g.Buf(g.N), g.Buf(g.N) // of each item: w·g·(1-p_i(i)) and its derivative
	below, value := make([]formula.SoftmaxTail, 0, g.N), 0.0
	level := formula.EmptyTail()
	for lo := 0; lo < g.N; {
		next, hi := level, lo
		for ; hi < g.N && y[order[hi]] == y[order[lo]]; hi++ {
			i := order[hi]
			c, own := itemWeight(g, i)*formula.Gain(y[i], linear), level
			share, rest, nll := own.Add(scores[i], 0, 0)
			value += formula.Times(c, nll)
			pull[i] = formula.Times(c, rest)
			bend[i] = formula.Times(c, rest*share) * (level.Mean - v[i])
			next.Add(scores[i], 0, v[i])
			below = append(below, level)
		}
		level, lo = next, hi
	}
	if g.Value != nil {
		g.Value[0] = value
	}
	if g.Grad[0] == nil && g.Hess[0] == nil {
		return
	}
	var anchor formula.SoftmaxTail
	sum, change := 0.0, 0.0
	for hi := g.N; hi > 0; {
		lo := hi
		for ; lo > 0 && y[order[lo-1]] == y[order[hi-1]]; lo-- {
			i := order[lo-1]
			up := 0.0
			if sum != 0 || change != 0 {
				up = anchor.Exp(scores[i])
			}
			if d := g.Grad[0]; d != nil {
				d[i] = f * (up*sum - pull[i])
			}
			if h := g.Hess[0]; h != nil {
				h[i] = f * (up*(change+sum*v[i]) - bend[i])
			}
		}
		if low := below[lo]; lo > 0 {
			scale := math.Exp((low.High - anchor.High) + (low.Low - anchor.Low))
			sum, change, anchor = formula.Times(sum, scale), formula.Times(change, scale), low
			for _, i := range order[lo:hi] {
				sum += pull[i]
				change += bend[i] - pull[i]*low.Mean
			}
		}
		hi = lo
	}
}

// ListMLE returns the negative log-likelihood of the order by relevance under the Plackett-Luce
// model of the scores, in each list.
//
// With s_(1), s_(2), ... the scores in the order of falling relevance,
//
//	l = Σ_k (log Σ_(j>=k) exp s_(j) - s_(k))        dl/ds_(j) = Σ_(k<=j) p_k(j) - 1
//
// where p_k is the softmax of the scores from place k on. scores and relevance (any finite numbers)
// have the same dtype and the shape (N, L), one list per row, or (L) for a single list. The result
// is a scalar, or has the shape (N) under [None]. There is no gradient with respect to relevance.
//
// Options: [WithTopK] (the first k terms), [WithTieKey], [WithSegments], [WithReduction],
// [WithWeights] (N), [WithMask] (N, L), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Items of equal relevance are ordered by the key of [WithTieKey], then
// by position. A list of one item has the value 0 and counts.
//
// [ListNet] compares only the distributions of the first place.
//
// Reference: F. Xia et al., Listwise Approach to Learning to Rank: Theory and Algorithm, 2008.
func ListMLE(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&listMLE, opts, scores, relevance)
}

var listMLE = core.Definition{
	Name: "ListMLE", Takes: core.Options(listOptions, core.OptTopK, core.OptTieKey),
	Operands: append(lists("scores", core.Logits, "relevance", core.FiniteReal),
		core.Operand{Name: "tieKey", Holds: core.FiniteReal, Shape: "N L", Option: core.OptTieKey, Data: true}),
	Grouped: ofLists, Laws: core.NonNegative, Others: "rax listmle_loss; allRank listMLE, which shuffles ties: WithTieKey; TF-Ranking ListMLELoss",
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error { likelihoodOfOrder(g, s.TopK); return nil }
	},
}

// tieKeyPlace is where the key of ties stands among the operands of ListMLE.
const tieKeyPlace = 3

// likelihoodOfOrder is the mathematics of ListMLE. One pass from the last place to the first makes
// the log-sum-exp L_k of what is left, and one from the first to the last adds up Σ exp(-L_k),
// whose logarithm is -past.
func likelihoodOfOrder(g *core.Group, top int) {
	scores, y, key, f := g.X[0], g.X[1], g.X[tieKeyPlace], g.Factor[0]
	order := formula.Order(g, func(a, b int) int {
		if c := cmp.Compare(y[b], y[a]); c != 0 || key == nil {
			return c
		}
		return cmp.Compare(key[a], key[b])
	})
	if top == 0 || top > g.N {
		top = g.N
	}
	v := g.Dir[0]
	if v == nil {
		v = g.Zeros(g.N)
	}
	tails := make([]formula.SoftmaxTail, g.N) // of the scores from each place on
	own, ownChange := g.Buf(g.N), g.Buf(g.N)
	left, value := formula.EmptyTail(), 0.0
	for k := g.N - 1; k >= 0; k-- {
		i, after := order[k], left
		share, rest, nll := left.Add(scores[i], 0, v[i])
		tails[k], own[k], ownChange[k] = left, 0, 0
		if k < top {
			value += nll
			own[k] = -rest
			ownChange[k] = share * rest * (v[i] - after.Mean)
		}
	}
	if g.Value != nil {
		g.Value[0] = value
	}
	if g.Grad[0] == nil && g.Hess[0] == nil {
		return
	}
	past := formula.EmptyTail()
	for k, i := range order {
		before := 0.0
		if k > 0 {
			before = math.Exp((scores[i] + past.High) + past.Low)
		}
		if d := g.Grad[0]; d != nil {
			d[i] = f * (before + own[k])
		}
		if h := g.Hess[0]; h != nil {
			h[i] = f * (before*(v[i]-past.Mean) + ownChange[k])
		}
		if k < top {
			past.Add(-tails[k].High, -tails[k].Low, tails[k].Mean)
		}
	}
}
