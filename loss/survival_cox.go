package loss

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithEfron makes [CoxPartialLikelihood] treat events at the same time by Efron's rule instead of
// Breslow's.
func WithEfron() Option { return core.OptEfron.Flag }

// CoxPartialLikelihood returns the negative log partial likelihood of the proportional hazards
// model.
//
// With r the log hazard ratios, t the times, s the case weights (1 by default), R_i the subjects
// with t_j >= t_i, D_i the d events at the time t_i, S_i = Σ_{j in R_i} s_j·e^r_j and S_D the same
// over D_i, an event i has
//
//	l_i = s_i·(log S_i - r_i)                                        Breslow
//	l_i = s_i·(Σ_{q<d} log(S_i - q/d·S_D)/d - r_i)                   [WithEfron]
//	dl_i/dr_k = s_i·(s_k·e^r_k/S_i - [k = i]) for k in R_i           Breslow
//
// and a censored subject has 0. risk has the shape (N), time (N) the same dtype, and event (0 or 1,
// of an integer type or the dtype of risk) the shape (N). The result is a scalar, or has the shape
// (N) under [None]. Only risk has a gradient.
//
// Options: [WithEfron], [WithSegments] (strata, which have risk sets of their own),
// [WithReduction], [WithWeights] (s >= 0, inside the risk sets), [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The mean divides by Σ s over events; without an event it is 0. A subject censored at a time is at
// risk then. A masked subject and one of weight 0 are not there. A risk set of one gives exactly 0,
// and the value keeps its digits where the event dominates its risk set. Equal times are those that
// are exactly equal; a time of NaN and a negative weight are errors when the graph runs. It takes
// O(N log N).
//
// [DiscreteHazard] is for grouped times.
//
// Reference: D. R. Cox, Regression Models and Life-Tables, 1972; B. Efron, The Efficiency of Cox's
// Likelihood Function for Censored Data, 1977.
func CoxPartialLikelihood(risk, time, event *G.Node, opts ...Option) (*G.Node, error) {
	return build(&coxPartialLikelihood, opts, risk, time, event)
}

var coxPartialLikelihood = core.Definition{
	Name: "CoxPartialLikelihood",
	Operands: []core.Operand{{Name: "risk", Holds: core.Real, Shape: "N"}, {Name: "time", Holds: core.Real, Shape: "N", Data: true},
		{Name: "event", Holds: core.Flags, Shape: "N", Data: true},
		{Name: "segments", Holds: core.Identifiers, Shape: "N", Option: core.OptSegments}},
	Takes:  core.Options(core.ReduceOptions, core.OptSegments, core.OptEfron),
	Others: "R coxph and lifelines: WithEfron, Sum; scikit-survival: WithNormalizer(N); pycox: the default but for ties; torchsurv: WithEfron, WithNormalizer(distinct event times)",
	Grouped: func(*core.Settings) core.Grouping {
		return core.Grouping{Entries: "N", Values: "N", Inside: true}
	},
	Parts: func(*core.Settings, *core.GroupDims) core.PartsFunc {
		return func(g *core.Group) error {
			for i, event := range g.X[2] {
				g.Den[i] = event
				if g.Weight != nil {
					g.Den[i] *= g.Weight[i]
				}
			}
			return nil
		}
	},
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error { return coxOf(g, s.Score.Efron) }
	},
}

// riskSum is Σ s·e^r = e^max·(top + rest), with the largest risk's own weight apart, so that the
// logarithm keeps its digits where that one dominates; moved is Σ s·e^r·v on the same scale.
type riskSum struct{ max, top, rest, moved float64 }

// add adds a subject.
func (a *riskSum) add(r, s, v float64) {
	switch {
	case r > a.max || a.top == 0:
		scale := 0.0
		if a.top != 0 {
			scale = math.Exp(a.max - r)
		}
		a.rest, a.moved = (a.rest+a.top)*scale, a.moved*scale+s*v
		a.max, a.top = r, s
	default:
		e := s * math.Exp(r-a.max)
		a.rest += e
		a.moved += e * v
	}
}

// scaled returns the sum and moved on another scale.
func (a *riskSum) scaled(max float64) (sum, moved float64) {
	if a.top == 0 {
		return 0, 0
	}
	f := math.Exp(a.max - max)
	return (a.top + a.rest) * f, a.moved * f
}

// term is a denominator of an event time: its share in the derivatives of all subjects at risk, on
// the scale e^-max. An event that dominates its risk set is derived apart, to keep the digits.
type term struct {
	max, rate, rateMoved float64
	own                  int // the event that dominates, or -1
	ownDeriv             float64
}

// coxOf computes one stratum.
func coxOf(g *core.Group, efron bool) error {
	r, times, event := g.X[0], g.X[1], g.X[2]
	n := len(r)
	weight := func(i int) float64 {
		if g.Weight == nil {
			return 1
		}
		return g.Weight[i]
	}
	order := g.Ints(n)[:0]
	for i, t := range times {
		w := weight(i)
		if w < 0 {
			return g.Errorf("weight is %v at row %d, want a number >= 0", w, g.Position(i))
		}
		if w == 0 {
			continue
		}
		if t != t {
			return g.Errorf("time is NaN at row %d", g.Position(i))
		}
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(i, j int) int { return compareFloats(times[j], times[i]) }) // the latest first
	clear(g.Value)
	clear(g.Grad[0])
	clear(g.Hess[0])
	v := g.Dir[0]
	along := func(i int) float64 {
		if v == nil {
			return 0
		}
		return v[i]
	}
	var all riskSum
	terms := make([]term, 0, n) // of the groups of equal times, the latest first
	for lo := 0; lo < len(order); {
		hi := lo + 1
		for hi < len(order) && times[order[hi]] == times[order[lo]] {
			hi++
		}
		events, factor := 0.0, 0.0
		var tied riskSum
		others := all
		for _, i := range order[lo:hi] {
			all.add(r[i], weight(i), along(i))
			if event[i] == 0 {
				others.add(r[i], weight(i), along(i))
				continue
			}
			events++
			factor += g.Factor[i] * weight(i)
			tied.add(r[i], weight(i), along(i))
		}
		t := term{max: all.max, own: -1}
		if events > 0 {
			t = coxTerms(g, &all, &others, &tied, order[lo:hi], events, factor, efron, weight)
		}
		terms = append(terms, t)
		lo = hi
	}
	coxDerivatives(g, order, terms, weight, along)
	return nil
}

// coxTerms writes the values of the events of one time and what is their own in the derivatives,
// and returns the rest.
func coxTerms(g *core.Group, all, others, tied *riskSum, at []int, events, factor float64, efron bool, weight func(int) float64) term {
	r, event := g.X[0], g.X[2]
	a, movedA := others.scaled(all.max)
	b, movedB := tied.scaled(all.max)
	t := term{max: all.max, own: -1}
	mean, rateTied, rateTiedMoved := 0.0, 0.0, 0.0 // of logarithms; what the tied lack of the rates
	if !efron || events == 1 {
		sum := all.top + all.rest
		mean = math.Log(sum)
		t.rate = factor / sum
		t.rateMoved = t.rate * all.moved / sum
	} else {
		for q := range int(events) {
			share := float64(q) / events
			sum := a + (1-share)*b
			moved := movedA + (1-share)*movedB
			mean += math.Log(sum) / events
			rate := factor / events / sum
			t.rate += rate
			t.rateMoved += rate * moved / sum
			rateTied += rate * share
			rateTiedMoved += rate * share * moved / sum
		}
	}
	for _, i := range at {
		if event[i] == 0 {
			continue
		}
		w := weight(i)
		l := mean + (all.max - r[i])
		e := w * math.Exp(r[i]-all.max)
		own := g.Factor[i]*w + e*rateTied
		if events == 1 && r[i] == all.max && w == all.top {
			t.own, t.ownDeriv, own = i, -factor*all.rest/(all.top+all.rest), 0
			if w == 1 {
				l = math.Log1p(all.rest)
			}
		}
		if g.Value != nil {
			g.Value[i] = w * l
		}
		if d := g.Grad[0]; d != nil {
			d[i] -= own
		}
		if h := g.Hess[0]; h != nil && g.Dir[0] != nil {
			h[i] -= e * (rateTied*g.Dir[0][i] - rateTiedMoved)
		}
	}
	return t
}

// coxDerivatives adds to the derivatives of each subject its shares of the denominators of all
// event times up to its own, from the earliest time on.
func coxDerivatives(g *core.Group, order []int, terms []term, weight, along func(int) float64) {
	if g.Grad[0] == nil && g.Hess[0] == nil {
		return
	}
	times := g.X[1]
	var sum term
	k := len(terms) - 1
	for hi := len(order); hi > 0; k-- {
		lo := hi - 1
		for lo > 0 && times[order[lo-1]] == times[order[hi-1]] {
			lo--
		}
		t, before := terms[k], sum
		if k < len(terms)-1 && t.max != sum.max { // risk sets shrink, so scales fall
			f := math.Exp(t.max - sum.max)
			before = term{rate: sum.rate * f, rateMoved: sum.rateMoved * f}
		}
		sum = term{max: t.max, rate: before.rate + t.rate, rateMoved: before.rateMoved + t.rateMoved}
		for _, i := range order[lo:hi] {
			e := weight(i) * math.Exp(g.X[0][i]-sum.max)
			if d := g.Grad[0]; d != nil {
				if i == t.own {
					d[i] += formula.Times(before.rate, e) + t.ownDeriv
				} else {
					d[i] += formula.Times(sum.rate, e)
				}
			}
			if h := g.Hess[0]; h != nil {
				h[i] += formula.Times(sum.rate*along(i)-sum.rateMoved, e)
			}
		}
		hi = lo
	}
}
