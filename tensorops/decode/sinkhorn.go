package decode

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops"
)

// A Plan is how a transport problem is solved: what goes where, and the potentials that say so.
type Plan struct {
	Mass          []float64 // P, of shape (N, M)
	F, G          []float64 // potentials of the rows and of the columns
	Value         float64   // <P,C> + ε·KL(P‖a⊗b)
	TransportCost float64   // <P,C>
	MarginalError float64   // Σ_i |Σ_j P_ij - a_i|
	Iterations    int
}

// SinkhornPlan returns the entropic optimal transport plan from the weights a to the weights b, by
// Sinkhorn's algorithm in the log domain, accelerated by Anderson's method.
//
//	P = argmin <P,C> + ε·KL(P‖a⊗b)  over P1 = a, Pᵀ1 = b
//	P_ij = a_i b_j exp((f_i + g_j - C_ij)/ε)
//
// with KL(P‖Q) = Σ P log(P/Q). The value at the minimum is Σ a f + Σ b g, and its derivatives are
// P by the cost, f by a and g by b. The potentials f and g, which are free but for a constant, are
// those with Σ a f = Σ b g.
//
// cost has the shape (N, M), a has N elements and b M; nil is uniform. Weights are finite, at least
// 0, and sum to 1 within 1e-6; they are divided by their sum. Costs may be negative, and +Inf
// forbids a cell. A row or column of weight 0 has no mass; its potential follows from those of the
// others, f_i = -ε log Σ_j b_j exp((g_j - C_ij)/ε), and is +Inf where all its cells are forbidden.
// A row or column of any other weight must have a cell to go to. With N = 1 or M = 1 the plan is
// a⊗b.
//
// The iteration ends when the marginal error, after an update of g with which the columns are
// exact, is at most the threshold. Where that does not come to pass the error is [ErrNotConverged]
// and tells the marginal error, and beside it is the plan that was reached. A smaller ε takes more
// iterations, as do forbidden cells that leave no plan.
//
// It takes N·M exponentials twice an iteration, shared among the cores, and 3·N·M numbers of
// memory.
//
// As in POT: Value is that of ot.solve with reg_type "KL", TransportCost that of ot.sinkhorn2. As
// in OTT: reg_ot_cost and primal_cost. All of them take the same ε.
//
// Options: [WithEpsilon] (ε > 0, default 0.1), [WithIterations] (at least 1, default 2000),
// [WithThreshold] (positive, default 1e-9).
//
// Errors: [ErrShape], [ErrOption], [ErrValue], [ErrNotConverged].
//
// Reference: M. Cuturi, Sinkhorn Distances: Lightspeed Computation of Optimal Transport, 2013.
func SinkhornPlan[F tensorops.Float](cost []F, shape [2]int, a, b []F, opts ...Option) (*Plan, error) {
	const name = "SinkhornPlan"
	set, err := configure(name, opts, "WithEpsilon", "WithIterations", "WithThreshold")
	if err != nil {
		return nil, err
	}
	n, m := shape[0], shape[1]
	if err := checkShape(name, "cost", len(cost), n, m); err != nil {
		return nil, err
	}
	wa, err := marginal(name, "a", a, n)
	if err != nil {
		return nil, err
	}
	wb, err := marginal(name, "b", b, m)
	if err != nil {
		return nil, err
	}
	c := widen(cost) // in units of ε, as all that follows
	for k, v := range c {
		c[k] = v / set.epsilon
		if !(v > math.Inf(-1)) || math.IsInf(c[k], 0) && !math.IsInf(v, 1) {
			return nil, fail(ErrValue, name, "cost of row %d, column %d is %v, want a number whose quotient by ε, %v, is finite, or +Inf", k/m, k%m, v, set.epsilon)
		}
	}
	if err := reachable(c, wa, wb); err != nil {
		return nil, err
	}
	p := problem{cost: c, turned: transpose(c, n, m), a: wa, b: wb, scratch: make([]float64, n*m)}
	plan := &Plan{F: make([]float64, n), G: make([]float64, m)}
	switch {
	case n == 1:
		copy(plan.G, c)
	case m == 1:
		copy(plan.F, c)
	default:
		p.solve(plan, set)
	}
	p.finish(plan, set.epsilon)
	if !(plan.MarginalError <= set.threshold) {
		return plan, fail(ErrNotConverged, name, "not converged after %d iterations: the marginal error is %v, want at most %v", plan.Iterations, plan.MarginalError, set.threshold)
	}
	return plan, nil
}

// marginal returns the weights, or uniform ones for nil, divided by their sum.
func marginal[F tensorops.Float](name, operand string, w []F, n int) ([]float64, error) {
	out := make([]float64, n)
	if w == nil {
		for i := range out {
			out[i] = 1 / float64(n)
		}
		return out, nil
	}
	if err := checkShape(name, operand, len(w), n); err != nil {
		return nil, err
	}
	var sum float64
	for i, x := range w {
		out[i] = float64(x)
		if !(out[i] >= 0) || math.IsInf(out[i], 1) {
			return nil, fail(ErrValue, name, "%s[%d] is %v, want a finite number of at least 0", operand, i, x)
		}
		sum += out[i]
	}
	if !(math.Abs(sum-1) <= 1e-6) {
		return nil, fail(ErrValue, name, "%s sums to %v, want 1", operand, sum)
	}
	for i := range out {
		out[i] /= sum
	}
	return out, nil
}

// reachable returns an error for a row or column of positive weight without a cell that is allowed
// and leads to a positive weight.
func reachable(c, a, b []float64) error {
	row, col := make([]bool, len(a)), make([]bool, len(b))
	for k, v := range c {
		if i, j := k/len(b), k%len(b); a[i] > 0 && b[j] > 0 && !math.IsInf(v, 1) {
			row[i], col[j] = true, true
		}
	}
	for _, side := range []struct {
		what string
		ok   []bool
		w    []float64
	}{{"row", row, a}, {"column", col, b}} {
		for i, ok := range side.ok {
			if !ok && side.w[i] > 0 {
				return fail(ErrValue, "SinkhornPlan", "cost of %s %d is +Inf wherever there is weight, want a cell for its weight of %v", side.what, i, side.w[i])
			}
		}
	}
	return nil
}

func transpose(x []float64, n, m int) []float64 {
	out := make([]float64, len(x))
	for i := range n {
		for j := range m {
			out[j*n+i] = x[i*m+j]
		}
	}
	return out
}

// problem is a transport problem with ε = 1.
type problem struct {
	cost, turned []float64 // (N, M) and (M, N)
	a, b         []float64
	scratch      []float64
}

// solve iterates until the potentials are good enough. Those of the columns are updated last.
//
// A sweep turns potentials f of the rows into better ones. Repeated sweeps alone are slow where the
// plan is nearly split into parts; so each iteration goes from the last points and their sweeps to
// where, were the sweep linear, it would change nothing. Where that is too far away for potentials
// of such costs, or makes the marginal error larger than it was, the iteration goes on from the
// last improvement's sweep, which never does.
func (p *problem) solve(plan *Plan, set settings) {
	var past mixing
	swept := make([]float64, len(p.a)) // from plan.F
	safe := make([]float64, len(p.a))  // from the last point that was an improvement
	p.update(safe, p.cost, p.b, plan.G)
	copy(plan.F, safe)
	last, far := math.Inf(1), p.far()
	for plan.Iterations < set.iterations {
		plan.Iterations++
		plan.MarginalError = p.sweep(plan, swept)
		switch {
		case plan.MarginalError <= set.threshold:
			return
		case plan.MarginalError < last:
			last = plan.MarginalError
			past.add(plan.F, swept)
			copy(safe, swept)
			past.next(plan.F, p.a)
			for i, f := range plan.F {
				if p.a[i] > 0 && !(math.Abs(f-safe[i]) <= far) {
					copy(plan.F, safe)
					break
				}
			}
		default:
			last = math.Inf(1)
			copy(plan.F, safe)
		}
	}
	copy(plan.F, safe)
	plan.MarginalError = p.sweep(plan, swept)
}

// far is a distance of potentials that is more than the costs and weights account for.
func (p *problem) far() float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, c := range p.cost {
		if !math.IsInf(c, 1) {
			lo, hi = min(lo, c), max(hi, c)
		}
	}
	spread := hi - lo + 1
	for _, w := range append(slices.Clone(p.a), p.b...) {
		if w > 0 {
			spread = max(spread, -math.Log(w))
		}
	}
	return spread * float64(len(p.a)+len(p.b))
}

// sweep sets the potentials of the columns to what goes with those of the rows and swept to the
// potentials of the rows that go with them, and returns the marginal error.
func (p *problem) sweep(plan *Plan, swept []float64) float64 {
	p.update(plan.G, p.turned, p.a, plan.F)
	p.update(swept, p.cost, p.b, plan.G)
	var sum float64
	for i, w := range p.a {
		if w > 0 { // row i of the plan sums to w·exp(f_i - swept_i)
			sum += w * math.Abs(math.Expm1(plan.F[i]-swept[i]))
		} else { // it has no part in the others
			plan.F[i] = swept[i]
		}
	}
	return sum
}

// update sets dst_i = -log Σ_j w_j exp(v_j - cost_ij), the potentials with which the plan's rows
// have their weights.
func (p *problem) update(dst, cost, w, v []float64) {
	m := len(w)
	shift := make([]float64, m)
	for j, x := range w {
		shift[j] = math.Inf(-1)
		if x > 0 {
			shift[j] = v[j] + math.Log(x)
		}
	}
	tensorops.ParallelFor(len(dst), 1+1<<13/m, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			z := p.scratch[i*m : (i+1)*m]
			for j, c := range cost[i*m : (i+1)*m] {
				z[j] = shift[j] - c
			}
		}
		tensorops.LogSumExpRows(dst[lo:hi], p.scratch[lo*m:hi*m], m)
		for i := lo; i < hi; i++ {
			dst[i] = -dst[i]
		}
	})
}

// finish pins the potentials, brings them to the unit of the cost and sets what follows from them.
func (p *problem) finish(plan *Plan, epsilon float64) {
	m := len(p.b)
	plan.Mass = p.scratch
	missing := slices.Clone(p.a)
	for k, c := range p.cost {
		i, j := k/m, k%m
		plan.Mass[k] = 0
		if w := p.a[i] * p.b[j]; w > 0 && !math.IsInf(c, 1) {
			plan.Mass[k] = w * math.Exp(plan.F[i]+plan.G[j]-c)
			plan.TransportCost += plan.Mass[k] * c * epsilon
			missing[i] -= plan.Mass[k]
		}
	}
	var off float64
	for _, x := range missing {
		off += math.Abs(x)
	}
	if !(off <= plan.MarginalError+1e-12) { // costs so large that the potentials have few digits left
		plan.MarginalError = off
	}
	rows, cols := mean(p.a, plan.F), mean(p.b, plan.G)
	plan.Value = (rows + cols) * epsilon
	for i := range plan.F {
		plan.F[i] = (plan.F[i] + (cols-rows)/2) * epsilon
	}
	for j := range plan.G {
		plan.G[j] = (plan.G[j] + (rows-cols)/2) * epsilon
	}
}

// mean returns Σ w x over the weights that are not 0.
func mean(w, x []float64) float64 {
	var sum float64
	for i, v := range w {
		if v > 0 {
			sum += v * x[i]
		}
	}
	return sum
}
