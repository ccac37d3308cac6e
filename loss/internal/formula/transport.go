package formula

import (
	"math"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops/decode"
	"gonum.org/v1/gonum/mat"
)

// A Transport is the entropic optimal transport of weights a to weights b at a cost: the plan P and
// the potentials f and g, with which
//
//	OT = min <P,C> + ε·KL(P‖a⊗b) = Σ a·f + Σ b·g        dOT = <P,dC> + <f,da> + <g,db>
//
// f and g are free but for a constant, and those with Σ a·f = Σ b·g are the derivatives of the value
// for weights of any sum, √(Σa·Σb)·OT(C, a/Σa, b/Σb).
type Transport struct {
	*decode.Plan
	Cost    []float64
	a, b    []float64
	rows    []float64 // the sums of the plan's rows, which are a but for what the threshold leaves
	n, m    int
	epsilon float64
	cols    []int         // the columns that have mass
	schur   *mat.SymDense // of those
	factor  mat.Cholesky
	inverse *mat.Dense // where the factor does not exist
}

// SolveTransport solves a problem. a or b nil is uniform. An error has no name before it.
func SolveTransport(cost []float64, n, m int, a, b []float64, epsilon float64, iterations int, threshold float64) (*Transport, error) {
	p, err := decode.SinkhornPlan(cost, [2]int{n, m}, a, b, decode.WithEpsilon(epsilon), decode.WithIterations(iterations), decode.WithThreshold(threshold))
	if err != nil {
		return nil, &transportError{err}
	}
	t := &Transport{Plan: p, Cost: cost, a: weightsOf(a, n), b: weightsOf(b, m), rows: make([]float64, n), n: n, m: m, epsilon: epsilon}
	for k, mass := range p.Mass {
		t.rows[k/m] += mass
	}
	return t, nil
}

// weightsOf returns weights divided by their sum, uniform ones for nil.
func weightsOf(w []float64, n int) []float64 {
	out, sum := make([]float64, n), 0.0
	for i := range out {
		if out[i] = 1; w != nil {
			out[i] = w[i]
		}
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// transportError is an error of package decode without the name of its function.
type transportError struct{ err error }

func (e *transportError) Error() string {
	return strings.TrimPrefix(e.err.Error(), "decode.SinkhornPlan: ")
}

func (e *transportError) Unwrap() error { return e.err }

// A Variation is how a solution changes along a direction.
type Variation struct{ P, F, G []float64 }

// Along returns the change of the solution along directions of the cost and of the weights; nil is
// 0. Weights that do not keep their sum change it as in the value for weights of any sum.
func (t *Transport) Along(dc, da, db []float64) Variation {
	alpha, da := centred(da, t.a)
	beta, db := centred(db, t.b)
	v := t.change(dc, da, db)
	for k, p := range t.Mass {
		v.P[k] += (alpha + beta) / 2 * p
	}
	for i, f := range t.F {
		v.F[i] += Times((beta-alpha)/2, f)
	}
	for j, g := range t.G {
		v.G[j] += Times((alpha-beta)/2, g)
	}
	return v
}

// centred returns the sum of a direction and what is left of it without that multiple of w.
func centred(d, w []float64) (sum float64, rest []float64) {
	rest = make([]float64, len(w))
	if d == nil {
		return 0, rest
	}
	for _, v := range d {
		sum += v
	}
	for i, v := range d {
		rest[i] = v - sum*w[i]
	}
	return sum, rest
}

// change is the variation along directions whose weights sum to 0. With φ = δf/ε + δa/a and ψ
// likewise, δP = P·(φ + ψ - δC/ε), and the marginals say
//
//	a·φ + P·ψ = δa + rows of P·δC/ε        Pᵀ·φ + b·ψ = δb + columns of P·δC/ε
func (t *Transport) change(dc, da, db []float64) Variation {
	row, col := make([]float64, t.n), make([]float64, t.m)
	copy(row, da)
	copy(col, db)
	dc, shift := t.byTop(dc)
	for k, p := range t.Mass {
		if p != 0 {
			row[k/t.m] += p * dc[k] / t.epsilon
			col[k%t.m] += p * dc[k] / t.epsilon
		}
	}
	phi, psi := t.solve(row, col)
	v := Variation{P: make([]float64, len(t.Mass)), F: make([]float64, t.n), G: make([]float64, t.m)}
	for k, p := range t.Mass {
		if p == 0 {
			continue
		}
		v.P[k] = p * (phi[k/t.m] + psi[k%t.m] - dc[k]/t.epsilon)
	}
	for i, a := range t.a {
		if a > 0 {
			v.F[i] = t.epsilon*(phi[i]-da[i]/a) + shift[i]
			for j := range t.m { // the rows' own costs again, for what follows
				dc[i*t.m+j] += shift[i]
			}
		}
	}
	for j, b := range t.b {
		if b > 0 {
			v.G[j] = t.epsilon * (psi[j] - db[j]/b)
		}
	}
	t.empty(&v, dc, da, db)
	// Σ a·f - Σ b·g stays 0
	turn := 0.0
	for i, a := range t.a {
		turn -= Times(a, v.F[i]) + Times(da[i], t.F[i])
	}
	for j, b := range t.b {
		turn += Times(b, v.G[j]) + Times(db[j], t.G[j])
	}
	for i := range v.F {
		v.F[i] += turn / 2
	}
	for j := range v.G {
		v.G[j] -= turn / 2
	}
	return v
}

// byTop returns a copy of a direction of the cost from which each row's entry at its largest mass is
// taken, and those entries: they move a potential and no mass, and without them nothing cancels in a
// row that goes to one column.
func (t *Transport) byTop(dc []float64) (rest, shift []float64) {
	rest, shift = make([]float64, len(t.Mass)), make([]float64, t.n)
	if dc == nil {
		return rest, shift
	}
	for i := range shift {
		row, top := t.Mass[i*t.m:(i+1)*t.m], 0
		for j, p := range row {
			if p > row[top] {
				top = j
			}
		}
		if t.a[i] > 0 {
			shift[i] = dc[i*t.m+top]
		}
		for j := range row {
			if rest[i*t.m+j] = dc[i*t.m+j]; t.a[i] > 0 && !math.IsInf(dc[i*t.m+j], 0) {
				rest[i*t.m+j] -= shift[i]
			}
		}
	}
	return rest, shift
}

// empty sets the change of the potentials of rows and columns without weight, which follow from the
// others: f_i = -ε·log Σ_j b_j·exp((g_j - C_ij)/ε).
func (t *Transport) empty(v *Variation, dc, da, db []float64) {
	follow := func(n int, w, dw, g, dg []float64, at func(j int) int) float64 {
		top := math.Inf(-1)
		for j := range n {
			if w[j] > 0 {
				top = max(top, g[j]-t.Cost[at(j)])
			}
		}
		if math.IsInf(top, -1) {
			return 0
		}
		sum, moved := 0.0, 0.0
		for j := range n {
			if w[j] == 0 || math.IsInf(t.Cost[at(j)], 1) {
				continue
			}
			e := w[j] * math.Exp((g[j]-t.Cost[at(j)]-top)/t.epsilon)
			sum += e
			moved += e * (dg[j] - dc[at(j)] + t.epsilon*dw[j]/w[j])
		}
		return -moved / sum
	}
	for i, a := range t.a {
		if a == 0 {
			v.F[i] = follow(t.m, t.b, db, t.G, v.G, func(j int) int { return i*t.m + j })
		}
	}
	for j, b := range t.b {
		if b == 0 {
			v.G[j] = follow(t.n, t.a, da, t.F, v.F, func(i int) int { return i*t.m + j })
		}
	}
}

// Twice returns the second change of the plan along the direction u of the cost and, again, v.
func (t *Transport) Twice(u, v []float64) []float64 {
	zero, none := make([]float64, t.n), make([]float64, t.m)
	first, second := t.change(u, zero, none), t.change(v, zero, none)
	out := make([]float64, len(t.Mass))
	row, col := make([]float64, t.n), make([]float64, t.m)
	for k, p := range t.Mass {
		if p != 0 {
			out[k] = second.P[k] * (first.P[k] / p)
			row[k/t.m] -= out[k]
			col[k%t.m] -= out[k]
		}
	}
	phi, psi := t.solve(row, col)
	for k, p := range t.Mass {
		out[k] += p * (phi[k/t.m] + psi[k%t.m])
	}
	return out
}

// solve solves a·φ + P·ψ = row, Pᵀ·φ + b·ψ = col by the Schur complement b - Pᵀ·P/a, whose null
// vector of ones is pinned.
func (t *Transport) solve(row, col []float64) (phi, psi []float64) {
	t.prepare()
	phi, psi = make([]float64, t.n), make([]float64, t.m)
	rhs := mat.NewVecDense(len(t.cols), nil)
	for c, j := range t.cols {
		v := col[j]
		for i, a := range t.rows {
			if a > 0 {
				v -= t.Mass[i*t.m+j] / a * row[i]
			}
		}
		rhs.SetVec(c, v)
	}
	var x mat.VecDense
	if t.inverse != nil {
		x.MulVec(t.inverse, rhs)
	} else if err := t.factor.SolveVecTo(&x, rhs); err != nil {
		if _, ill := err.(mat.Condition); !ill {
			return phi, psi
		}
	}
	for c, j := range t.cols {
		psi[j] = x.AtVec(c)
	}
	for i, a := range t.rows {
		if a == 0 {
			continue
		}
		phi[i] = row[i]
		for j, v := range psi {
			phi[i] -= t.Mass[i*t.m+j] * v
		}
		phi[i] /= a
	}
	return phi, psi
}

// prepare factorises the Schur complement once. Where the plan falls into parts that exchange
// nothing it has more null vectors, and the pseudo-inverse takes the place of the factor.
func (t *Transport) prepare() {
	if t.schur != nil {
		return
	}
	for j, b := range t.b {
		if b > 0 {
			t.cols = append(t.cols, j)
		}
	}
	n := len(t.cols)
	t.schur = mat.NewSymDense(n, nil)
	for c, j := range t.cols {
		for d, k := range t.cols[:c+1] {
			v := 0.0
			for i, a := range t.rows {
				if a > 0 {
					v -= t.Mass[i*t.m+j] / a * t.Mass[i*t.m+k]
				}
			}
			if c == d { // b - Σ P²/a without cancellation
				v = 0
				for i, a := range t.rows {
					if p := t.Mass[i*t.m+j]; a > 0 {
						v += p * ((a - p) / a)
					}
				}
			}
			t.schur.SetSym(c, d, v)
		}
	}
	pinned := mat.NewSymDense(n, nil)
	for c, j := range t.cols {
		for d, k := range t.cols[:c+1] {
			pinned.SetSym(c, d, t.schur.At(c, d)+t.b[j]*t.b[k])
		}
	}
	if t.factor.Factorize(pinned) && t.factor.Cond() < 1e13 {
		return
	}
	var eigen mat.EigenSym
	t.inverse = mat.NewDense(n, n, nil)
	if !eigen.Factorize(t.schur, true) {
		return
	}
	values := eigen.Values(nil)
	var q mat.Dense
	eigen.VectorsTo(&q)
	least := 1e-14 * values[n-1]
	scaled := mat.DenseCopyOf(&q)
	for c, v := range values {
		for r := range n {
			if v > least {
				scaled.Set(r, c, q.At(r, c)/v)
			} else {
				scaled.Set(r, c, 0)
			}
		}
	}
	t.inverse.Mul(scaled, q.T())
}
