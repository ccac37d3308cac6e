package loss

import (
	"fmt"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// transportLosses lists the optimal transport losses that have two operands, transportWide the
// others.
var transportLosses = []entry{{&sinkhornDivergence, SinkhornDivergence}}

var transportWide = []*core.Definition{&sinkhorn}

// WithTransportCost makes [Sinkhorn] the cost <P,C> of the plan, without the entropy.
func WithTransportCost() Option { return core.OptTransportCost.Flag }

// WithThreshold sets the marginal error > 0 at which [Sinkhorn] and [SinkhornDivergence] have
// converged. Default 1e-9.
func WithThreshold(err float64) Option { return number(core.OptThreshold, err) }

// WithMarginals gives [SinkhornDivergence] the weights a and b of the points of both clouds, each of
// which sums to 1; nil is uniform.
func WithMarginals(a, b *G.Node) Option {
	return func(s *core.Settings) error {
		if a == nil && b == nil {
			return fmt.Errorf("WithMarginals is nil")
		}
		if a != nil {
			if err := core.OptMarginalA.Operand(s, a, false); err != nil {
				return err
			}
		}
		if b != nil {
			return core.OptMarginalB.Operand(s, b, false)
		}
		return nil
	}
}

// Sinkhorn returns the entropic optimal transport cost between two histograms.
//
// With C the cost of moving a unit of mass, a and b the histograms and P the plan,
//
//	l = min_P <P,C> + ε·KL(P‖a⊗b)  over P·1 = a, Pᵀ·1 = b        dl/dC = P, dl/da = f, dl/db = g
//	P_ij = a_i·b_j·exp((f_i + g_j - C_ij)/ε)                      Σ a·f = Σ b·g
//
// and with [WithTransportCost] l = <P,C>. cost has the shape (N, M), a the shape (N) and b (M), of
// one dtype; leading axes of all three are a batch. a or b nil is uniform. The result is a scalar,
// or has the shape of the leading axes under [None].
//
// Options: [WithEpsilon] (ε > 0, default 0.1, in the units of the cost), [WithTransportCost],
// [WithIterations] (default 2000), [WithThreshold] (default 1e-9, of Σ_i |Σ_j P_ij - a_i|),
// [WithMarginals] (the same as a and b), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The gradient is that of the minimum, without a way back through the iterations; the second
// derivative solves the linear system of the marginals. Histograms are finite and >= 0 and sum to 1
// within 1e-6. A row or column of weight 0 has no mass; its potential follows from the others.
// Costs may be negative; +Inf forbids a cell. The potentials are free but for a constant: gradients
// by a and b are for directions that keep the sums. Under WithTransportCost there is no derivative
// by a or b. Where the iterations do not converge there is an error that tells the marginal error.
//
// [SinkhornDivergence] compares clouds of points; SinkhornPlan of package tensorops/decode returns
// the plan.
//
// Reference: M. Cuturi, Sinkhorn Distances: Lightspeed Computation of Optimal Transport, 2013.
func Sinkhorn(cost, a, b *G.Node, opts ...Option) (*G.Node, error) {
	if a != nil || b != nil {
		opts = append(slices.Clone(opts), WithMarginals(a, b))
	}
	return build(&sinkhorn, opts, cost)
}

var transportOptions = core.Options(core.OptEpsilon, core.OptIterations, core.OptThreshold, core.OptMarginalA,
	core.OptMarginalB)

var transportDefaults = core.Settings{Epsilon: 0.1, Iterations: 2000, Power: 2, Transport: core.Transport{Threshold: 1e-9}}

func checkTransport(s *core.Settings) error {
	switch {
	case s.Epsilon <= 0:
		return fmt.Errorf("WithEpsilon is %v, want a number > 0", s.Epsilon)
	case s.Iterations < 1:
		return fmt.Errorf("WithIterations is %d, want a number >= 1", s.Iterations)
	case s.Power != 1 && s.Power != 2:
		return fmt.Errorf("WithPower is %v, want 1 or 2", s.Power)
	}
	return nil
}

var sinkhorn = core.Definition{
	Name: "Sinkhorn", Operands: []core.Operand{{Name: "cost", Holds: core.Real, Shape: "* N M"},
		{Name: "a", Holds: core.Real, Shape: "* N", Option: core.OptMarginalA},
		{Name: "b", Holds: core.Real, Shape: "* M", Option: core.OptMarginalB}},
	Takes: core.Options(core.ReduceOptions, transportOptions, core.OptTransportCost), Defaults: transportDefaults,
	Check:  checkTransport,
	Others: "OTT reg_ot_cost, POT ot.solve(reg_type=\"KL\").value, GeomLoss debias=False; POT sinkhorn2, OTT primal_cost: WithTransportCost",
	Grouped: func(s *core.Settings) core.Grouping {
		g := core.Grouping{Over: "*", Values: "*"}
		if s.Transport.Cost {
			g.Data = []int{1, 2}
		}
		return g
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		n, m := d.Len('N'), d.Len('M')
		return func(g *core.Group) error {
			t, err := formula.SolveTransport(g.X[0], n, m, g.X[1], g.X[2], s.Epsilon, s.Iterations, s.Transport.Threshold)
			if err != nil {
				return g.Errorf("%v", err)
			}
			if s.Transport.Cost {
				transportCost(g, t)
				return nil
			}
			f := g.Factor[0]
			if g.Value != nil {
				g.Value[0] = t.Value
			}
			for k, x := range [][]float64{t.Mass, t.F, t.G} {
				scaleTo(g.Grad[k], x, f)
			}
			if g.Second() {
				v := t.Along(g.Dir[0], g.Dir[1], g.Dir[2])
				for k, x := range [][]float64{v.P, v.F, v.G} {
					scaleTo(g.Hess[k], x, f)
				}
			}
			return nil
		}
	},
}

// scaleTo writes f·x to dst, if that is there.
func scaleTo(dst, x []float64, f float64) {
	for i := range dst {
		dst[i] = formula.Times(f, x[i])
	}
}

// transportCost is <P,C>, whose gradient is P with the change of P along C.
func transportCost(g *core.Group, t *formula.Transport) {
	f := g.Factor[0]
	if g.Value != nil {
		g.Value[0] = t.TransportCost
	}
	if d := g.Grad[0]; d != nil {
		v := t.Along(t.Cost, nil, nil)
		for k, p := range t.Mass {
			d[k] = f * (p + v.P[k])
		}
	}
	if h := g.Hess[0]; h != nil {
		clear(h)
		if g.Dir[0] == nil {
			return
		}
		v, twice := t.Along(g.Dir[0], nil, nil), t.Twice(t.Cost, g.Dir[0])
		for k := range h {
			h[k] = f * (2*v.P[k] + twice[k])
		}
	}
}

// SinkhornDivergence returns the debiased entropic transport cost between two clouds of points.
//
// With OT(x, y) the value of [Sinkhorn] for the cost ‖x_i - y_j‖², or ‖x_i - y_j‖ with
// WithPower(1), P(x, y) its plan and c' the derivative of the cost by its first point,
//
//	l = OT(x, y) - ½·OT(x, x) - ½·OT(y, y)        dl/dx_i = Σ_j P(x, y)_ij·c'(x_i, y_j) - Σ_j P(x, x)_ij·c'(x_i, x_j)
//
// x has the shape (N, D) and y (M, D), of one dtype. The result is a scalar whatever the reduction.
//
// Options: [WithEpsilon] (ε > 0, default 0.1, in the units of the cost), [WithPower] (2 or 1,
// default 2), [WithMarginals] (default uniform), [WithIterations] (default 2000), [WithThreshold]
// (default 1e-9), [WithReduction].
//
// It is 0 for equal clouds and never below. The derivative of a distance at 0 is 0. Where the
// iterations do not converge there is an error that tells the marginal error.
//
// Reference: J. Feydy et al., Interpolating between Optimal Transport and MMD using Sinkhorn
// Divergences, 2019.
func SinkhornDivergence(x, y *G.Node, opts ...Option) (*G.Node, error) {
	return build(&sinkhornDivergence, opts, x, y)
}

var sinkhornDivergence = core.Definition{
	Name: "SinkhornDivergence", Operands: []core.Operand{{Name: "x", Holds: core.Real, Shape: "N D"}, {Name: "y", Holds: core.Real, Shape: "M D"},
		{Name: "a", Holds: core.Real, Shape: "N", Option: core.OptMarginalA},
		{Name: "b", Holds: core.Real, Shape: "M", Option: core.OptMarginalB}},
	Takes: core.Options(core.OptReduction, transportOptions, core.OptPower), Defaults: transportDefaults,
	Check: checkTransport,
	Laws:  core.NonNegative, Others: "OTT sinkhorn_divergence; GeomLoss p=2: WithEpsilon(2·blur²), half the value; p=1: WithPower(1), WithEpsilon(blur)",
	Grouped: func(*core.Settings) core.Grouping { return core.Grouping{} },
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			for _, h := range g.Hess {
				clear(h)
			}
			for _, d := range g.Grad {
				clear(d)
			}
			value := 0.0
			for _, term := range []struct {
				cloudPair
				factor float64
			}{{cloudPair{0, 1, 2, 3, 1, 1}, 1}, {cloudPair{0, 0, 2, 2, -1, 0}, -0.5}, {cloudPair{1, 1, 3, 3, 0, -1}, -0.5}} {
				l, err := cloudTransport(g, s, d.Len('D'), term.cloudPair)
				if err != nil {
					return g.Errorf("%v", err)
				}
				value += term.factor * l
			}
			if g.Value != nil {
				g.Value[0] = max(0, value)
			}
			return nil
		}
	},
}

// A cloudPair is the places of two clouds of points and of their weights, and what the derivatives
// by the first and by the second count. A cloud and itself have the same by both, so that one of
// them counts for all: then equal clouds give exactly 0.
type cloudPair struct {
	p, q, wp, wq  int
	first, second float64
}

// cloudTransport returns the transport cost between two clouds and adds its derivatives to those of
// the group.
func cloudTransport(g *core.Group, s *core.Settings, dim int, pair cloudPair) (float64, error) {
	p, q, wp, wq := pair.p, pair.q, pair.wp, pair.wq
	byFirst, bySecond := pair.first*g.Factor[0], pair.second*g.Factor[0]
	x, y := g.X[p], g.X[q]
	n, m := len(x)/dim, len(y)/dim
	cost := make([]float64, n*m)
	diff := make([]float64, dim)
	// distance writes x_i - y_j to diff and returns its square.
	distance := func(i, j int) float64 {
		sum := 0.0
		for k := range diff {
			diff[k] = x[i*dim+k] - y[j*dim+k]
			sum += diff[k] * diff[k]
		}
		return sum
	}
	for c := range cost {
		if cost[c] = distance(c/m, c%m); s.Power == 1 {
			cost[c] = math.Sqrt(cost[c])
		}
		if cost[c] != cost[c] || math.IsInf(cost[c], 1) {
			return 0, fmt.Errorf("the cost between point %d and point %d is %v, want a finite number", c/m, c%m, cost[c])
		}
	}
	t, err := formula.SolveTransport(cost, n, m, g.X[wp], g.X[wq], s.Epsilon, s.Iterations, s.Transport.Threshold)
	if err != nil {
		return 0, err
	}
	// rates returns the derivative of the cost along diff, over the distance, and its change.
	rates := func(square float64) (first, second float64) {
		switch {
		case s.Power == 2:
			return 2, 0
		case square == 0:
			return 0, 0
		}
		r := math.Sqrt(square)
		return 1 / r, -1 / (r * square)
	}
	addTo := func(dst []float64, f float64, v []float64) {
		for i := range dst {
			dst[i] += formula.Times(f, v[i])
		}
	}
	for c, mass := range t.Mass {
		if g.Grad[p] == nil && g.Grad[q] == nil {
			break
		}
		i, j := c/m, c%m
		first, _ := rates(distance(i, j))
		for k, e := range diff {
			v := mass * first * e
			if d := g.Grad[p]; d != nil {
				d[i*dim+k] += byFirst * v
			}
			if d := g.Grad[q]; d != nil {
				d[j*dim+k] -= bySecond * v
			}
		}
	}
	addTo(g.Grad[wp], byFirst, t.F)
	addTo(g.Grad[wq], bySecond, t.G)
	if !g.Second() {
		return t.Value, nil
	}
	dx, dy := g.Dir[p], g.Dir[q]
	at := func(v []float64, i, k int) float64 {
		if v == nil {
			return 0
		}
		return v[i*dim+k]
	}
	dc := make([]float64, n*m)
	for c := range dc {
		first, _ := rates(distance(c/m, c%m))
		for k, e := range diff {
			dc[c] += first * e * (at(dx, c/m, k) - at(dy, c%m, k))
		}
	}
	v := t.Along(dc, g.Dir[wp], g.Dir[wq])
	for c, mass := range t.Mass {
		i, j := c/m, c%m
		first, second := rates(distance(i, j))
		along := 0.0
		for k, e := range diff {
			along += e * (at(dx, i, k) - at(dy, j, k))
		}
		for k, e := range diff {
			h := v.P[c]*first*e + mass*(first*(at(dx, i, k)-at(dy, j, k))+second*along*e)
			if d := g.Hess[p]; d != nil {
				d[i*dim+k] += byFirst * h
			}
			if d := g.Hess[q]; d != nil {
				d[j*dim+k] -= bySecond * h
			}
		}
	}
	addTo(g.Hess[wp], byFirst, v.F)
	addTo(g.Hess[wq], bySecond, v.G)
	return t.Value, nil
}
