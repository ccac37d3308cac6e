package loss

import (
	"cmp"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// qualityOptions are the options that losses of a ranking's quality take.
var qualityOptions = core.Options(listOptions, core.OptTemperature, core.OptTopK, core.OptLinearGain, core.OptEmptyLists)

// ofQuality completes the definition of a loss of a ranking's quality: f is its mathematics for
// lists with relevant items, and the others have what WithEmptyLists says.
func ofQuality(d core.Definition, has func(g *core.Group, s *core.Settings) bool, f func(g *core.Group, s *core.Settings)) core.Definition {
	d.Operands, d.Grouped = lists("scores", core.Real, "relevance", core.Counts), ofItems
	d.Parts = func(s *core.Settings, _ *core.GroupDims) core.PartsFunc {
		return partOf(func(g *core.Group) float64 {
			return formula.Pick(has(g, s) || s.Ranking.EmptyLists != uint8(EmptySkip), 1, 0)
		})
	}
	d.Group = func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			clear(g.Grad[0])
			clear(g.Hess[0])
			if g.Value != nil {
				g.Value[0] = 0
			}
			switch {
			case has(g, s):
				f(g, s)
			case g.Value != nil && s.Ranking.EmptyLists == uint8(EmptyOne):
				g.Value[0] = 1
			}
			return nil
		}
	}
	return d
}

// hasGain reports whether the ideal of a list is above 0.
func hasGain(g *core.Group, _ *core.Settings) bool { return relevant(g) != 0 }

// ApproxNDCG returns 1 minus the normalised discounted cumulative gain of each list with smooth
// ranks.
//
// With s the scores, y the relevances, w the weights of the items (1 without them) and σ the
// sigmoid,
//
//	l = 1 - Σ_i w_i·g_i·c_i/log₂(1+r_i) / IDCG        r_i = 1 + Σ_(j≠i) σ((s_j-s_i)/T)
//	dl/dr_i = w_i·g_i·c_i·ln 2/((1+r_i)·log²(1+r_i)) / IDCG
//	dr_i/ds_j = σ(z)·σ(-z)/T with z = (s_j-s_i)/T
//
// with g = 2^y - 1 and IDCG the discounted sum of the w·g in the ideal order. c_i is 1, except
// under [WithTopK] in lists of more than k items: there it is σ((s_i-s*)/T), where s* is the
// midpoint of the k-th and the (k+1)-th largest score, and IDCG has k terms. s* is differentiated
// like everything else.
//
// scores and relevance (>= 0) have the same dtype and the shape (N, L), one list per row, or (L)
// for a single list. The result is a scalar, or has the shape (N) under [None]. There is no
// gradient with respect to relevance.
//
// Options: [WithTemperature] (T, default 1), [WithTopK] (default all), [WithLinearGain],
// [WithEmptyLists], [WithSegments], [WithReduction], [WithWeights] ((N), or the shape of scores for
// items), [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a relevant item do not count unless [WithEmptyLists]
// says otherwise. The value keeps its digits where the order is nearly ideal. Relevance that is
// negative or not finite is an error when the graph runs.
//
// A small T approximates the ranks closely, but then the gradient almost vanishes. [ApproxMRR]
// counts only the best relevant item, and [NeuralNDCG] smooths the sorting.
//
// Reference: T. Qin, T.-Y. Liu, H. Li, A General Approximation Framework for Direct Optimization of
// Information Retrieval Measures, 2010.
func ApproxNDCG(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&approxNDCG, opts, scores, relevance)
}

var approxNDCG = ofQuality(core.Definition{
	Name: "ApproxNDCG", Takes: qualityOptions, Defaults: core.Settings{Temperature: 1},
	Others: "rax approx_t12n(ndcg_metric), which is ours - 1: WithEmptyLists(EmptyOne); allRank approxNDCG, likewise; TF-Ranking ApproxNDCGLoss: WithTemperature(0.1)",
}, hasGain, func(g *core.Group, s *core.Settings) {
	r := smoothRanksOf(g, s)
	gains := formula.Gains(g, g.X[1], g.Weight, s.Ranking.LinearGain)
	best := formula.Order(g, func(a, b int) int {
		return cmp.Or(cmp.Compare(gains[b], gains[a]), cmp.Compare(g.X[0][b], g.X[0][a]))
	})
	r.place = g.Ints(g.N)
	for k, i := range best {
		r.place[i] = k
	}
	ideal := formula.IdealDCG(gains, best, s.TopK)
	for i, gain := range gains {
		if gain == 0 {
			continue
		}
		place := float64(r.place[i] + 1)
		r.add(i, func(excess, c, miss float64) outer {
			log := math.Log1p(place + excess)
			d := math.Ln2 / log // the discount and its derivatives by the rank
			dr := -d / log / (1 + place + excess)
			drr := -dr * (1 + 2/log) / (1 + place + excess)
			u := gain / ideal
			short := -u * c * d
			if own := formula.Discount(place, s.TopK); own > 0 {
				short = u * (own*math.Log1p(excess/(1+place))/log + miss*d)
			}
			return outer{value: short, r: -u * c * dr, c: -u * d, rr: -u * c * drr, rc: -u * dr}
		})
	}
})

// ApproxMRR returns 1 minus the reciprocal of the smooth rank of the best relevant item of each
// list.
//
// With s the scores, y the relevances, σ the sigmoid and i the relevant item (y_i > 0) with the
// largest c_i/r_i, the first in case of a tie,
//
//	l = 1 - c_i/r_i        dl/dr_i = c_i/r_i²
//
// where r_i and c_i are those of [ApproxNDCG]. Only the rank of that item is differentiated. Under
// [WithLinearGain] the loss is l = 1 - Σ w_i·y_i·c_i/r_i / Σ w_i·y_i, over all relevant items, with
// w the weights of the items. scores and relevance (>= 0) have the same dtype and the shape (N, L),
// one list per row, or (L) for a single list. The result is a scalar, or has the shape (N) under
// [None]. There is no gradient with respect to relevance.
//
// Options: [WithTemperature] (T, default 1), [WithTopK] (default all), [WithLinearGain],
// [WithEmptyLists], [WithSegments], [WithReduction], [WithWeights] ((N), or the shape of scores for
// items, which matter only under linear gain), [WithMask] (that shape), [WithNormalizer],
// [WithNormalizerNode].
//
// Masked items are left out. Lists without a relevant item do not count unless [WithEmptyLists]
// says otherwise. The value keeps its digits where the item is nearly first. Relevance that is
// negative or not finite is an error when the graph runs.
//
// [ApproxNDCG] counts all relevant items by their gains.
//
// Reference: T. Qin, T.-Y. Liu, H. Li, A General Approximation Framework for Direct Optimization of
// Information Retrieval Measures, 2010.
func ApproxMRR(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&approxMRR, opts, scores, relevance)
}

var approxMRR = ofQuality(core.Definition{
	Name: "ApproxMRR", Takes: qualityOptions, Defaults: core.Settings{Temperature: 1}, Laws: core.NonNegative,
	Others: "rax approx_t12n(mrr_metric), which is ours - 1: WithEmptyLists(EmptyOne); TF-Ranking ApproxMRRLoss: WithLinearGain, WithTemperature(0.1)",
}, func(g *core.Group, s *core.Settings) bool {
	return s.Ranking.LinearGain && relevant(g) != 0 || !s.Ranking.LinearGain && slices.Max(g.X[1]) > 0
}, func(g *core.Group, s *core.Settings) {
	r := smoothRanksOf(g, s)
	r.place = g.Ints(g.N) // every item is compared with the first place
	clear(r.place)
	miss := func(u float64) func(excess, c, miss float64) outer {
		return func(excess, c, miss float64) outer {
			rank := 1 + excess
			return outer{value: u * (excess + miss) / rank, r: u * c / rank / rank, c: -u / rank, rr: -2 * u * c / rank / rank / rank, rc: u / rank / rank}
		}
	}
	y := g.X[1]
	if s.Ranking.LinearGain {
		gains := formula.Gains(g, y, g.Weight, true)
		total := 0.0
		for _, w := range gains {
			total += w
		}
		for i, w := range gains {
			if w > 0 {
				r.add(i, miss(w/total))
			}
		}
		return
	}
	best, most := -1, 0.0
	for i := range y {
		if y[i] == 0 {
			continue
		}
		excess := r.excess(i)
		c, _ := r.cut(i)
		if q := c / (1 + excess); best < 0 || q > most {
			best, most = i, q
		}
	}
	r.add(best, miss(1))
})

// An outer function makes the value of an item from its smooth rank r and its cut c: its value and
// derivatives.
type outer struct{ value, r, c, rr, rc float64 }

// smoothRanks are the ranks of a list's items that have sigmoids for steps.
type smoothRanks struct {
	g     *core.Group
	t     float64 // the temperature
	place []int   // the ranks, from 0, that the smooth ones are compared with
	k     [2]int  // under WithTopK: the last item within and the first beyond
	cuts  bool
	z, e  []float64 // of a row
}

func smoothRanksOf(g *core.Group, s *core.Settings) *smoothRanks {
	r := &smoothRanks{g: g, t: s.Temperature, z: g.Buf(g.N), e: g.Buf(g.N)}
	if s.TopK > 0 && s.TopK < g.N {
		order := formula.Downwards(g, g.X[0])
		r.k, r.cuts = [2]int{order[s.TopK-1], order[s.TopK]}, true
	}
	return r
}

// excess makes the row of item i, z = (s_j-s_i)/T and e = exp(-|z|), and returns the smooth rank
// less the rank that it is compared with, as a sum of what makes the two different.
func (r *smoothRanks) excess(i int) (sum float64) {
	s := r.g.X[0]
	for j, v := range s {
		r.z[j] = (v - s[i]) / r.t
		r.e[j] = -math.Abs(r.z[j])
	}
	vec.Exp(r.e, r.e)
	for j, e := range r.e {
		switch {
		case j == i:
		case r.place[j] >= r.place[i]:
			sum += formula.Pick(r.z[j] < 0, e, 1) / (1 + e)
		default:
			sum -= formula.Pick(r.z[j] > 0, e, 1) / (1 + e)
		}
	}
	return sum
}

// cut returns how much item i is within the first k, and 1 minus that.
func (r *smoothRanks) cut(i int) (c, miss float64) {
	if !r.cuts {
		return 1, 0
	}
	z := r.middle(i)
	e := math.Exp(-math.Abs(z))
	c, miss = 1/(1+e), e/(1+e)
	if z < 0 {
		c, miss = miss, c
	}
	return c, miss
}

// middle is (s_i-s*)/T.
func (r *smoothRanks) middle(i int) float64 {
	s := r.g.X[0]
	return ((s[i] - s[r.k[0]]) + (s[i] - s[r.k[1]])) / 2 / r.t
}

// add adds the value of item i and its derivatives.
func (r *smoothRanks) add(i int, f func(excess, c, miss float64) outer) {
	g := r.g
	c, miss := r.cut(i)
	o := f(r.excess(i), c, miss)
	if g.Value != nil {
		g.Value[0] += o.value
	}
	step := c * miss / r.t
	if d := g.Grad[0]; d != nil {
		own, f := 0.0, g.Factor[0]
		for j, e := range r.e {
			if j != i {
				q := f * o.r * e / ((1 + e) * (1 + e)) / r.t
				d[j] += q
				own += q
			}
		}
		d[i] -= own
		r.addCut(d, i, f*o.c*step)
	}
	h := g.Hess[0]
	if h == nil {
		return
	}
	v := g.Dir[0]
	dr, dc := 0.0, 0.0
	for j, e := range r.e {
		if j != i {
			dr += e / ((1 + e) * (1 + e)) / r.t * (v[j] - v[i])
		}
	}
	dz := 0.0
	if r.cuts {
		dz = ((v[i] - v[r.k[0]]) + (v[i] - v[r.k[1]])) / 2 / r.t
		dc = c * miss * dz
	}
	f2, bend := g.Factor[0], o.rr*dr+o.rc*dc
	own := 0.0
	for j, e := range r.e {
		if j == i {
			continue
		}
		slope := e / ((1 + e) * (1 + e)) / r.t
		turn := slope * (1 - e) / (1 + e) / r.t * -formula.Sign(r.z[j])
		q := f2 * (bend*slope + o.r*turn*(v[j]-v[i]))
		h[j] += q
		own += q
	}
	h[i] -= own
	r.addCut(h, i, f2*(o.rc*dr*step+o.c*step*(miss-c)*dz))
}

// addCut adds q times the derivative of T·(s_i-s*)/T to dst.
func (r *smoothRanks) addCut(dst []float64, i int, q float64) {
	if r.cuts {
		dst[i] += q
		dst[r.k[0]] -= q / 2
		dst[r.k[1]] -= q / 2
	}
}
