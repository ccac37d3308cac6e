package loss

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// A projection maps a row of logits whose largest is 0 to a distribution p, most of whose entries
// may be 0. It writes p and s, p's derivative in the sense that dp = s∘v - s·⟨s, v⟩/Σs, and returns
// τ, where p is positive above τ alone.
type projection func(p, s, z, sorted []float64) (tau float64)

// A regulariser is the convex function Ω(t) = Σ ω(t_c) that a projection maximises ⟨p, z⟩ - Ω(p)
// with: its divergence ω(t) - ω(p) - ω'(p)·(t-p), and the first and second derivative of ω at t.
type regulariser func(t, p float64) (divergence, slope, bend float64)

// fenchel is the loss Ω(t) - Ω(p) + ⟨p - t, x⟩, with p the projection of x. Written as
//
//	l = Σ_c ω(t_c; p_c) + Σ_{p_c=0} t_c·(τ - z_c) + (τ + max x)·(1 - Σ t)
//
// with ω(t; p) the divergence, integral the number with ω(t) = integral·t·ω'(t), and z = x - max x,
// nothing cancels when t is a distribution, and near t = p all terms are small.
func fenchel(s *core.Settings, project projection, omega regulariser, integral float64) core.RowFunc {
	return formula.ByClassWeight(s, func(r *core.Block) float64 {
		x := r.X[0]
		n := len(x)
		top := slices.Max(x) // NaN where there is one
		if !core.Finite(top) {
			return formula.SetNaN(r)
		}
		z, p, slopes := r.Buf(n), r.Buf(n), r.Buf(n)
		for j, v := range x {
			z[j] = v - top
		}
		tau := project(p, slopes, z, r.Buf(n))
		t := targets(r)
		value := fenchelValue(&sparseRow{x: x, z: z, t: t, p: p}, tau, top, omega, integral)
		for j := range r.Grad[0] {
			r.Grad[0][j] = p[j] - t[j]
		}
		for j := range r.Grad[1] {
			_, slope, _ := omega(t[j], p[j])
			r.Grad[1][j] = slope - x[j]
		}
		h, u := r.Hess[0], r.Hess[1]
		formula.Fill(h, 0)
		formula.Fill(u, 0)
		if v := r.Dir[0]; v != nil {
			total, along := 0.0, 0.0
			for j, a := range slopes {
				total += a
				along += formula.Times(a, v[j])
			}
			for j := range h {
				h[j] = formula.Times(slopes[j], v[j]-along/total)
			}
			for j := range u {
				u[j] = -v[j]
			}
		}
		if v := r.Dir[1]; v != nil {
			for j := range h {
				h[j] -= v[j]
			}
			for j := range u {
				_, _, bend := omega(t[j], p[j])
				u[j] += formula.Times(v[j], bend)
			}
		}
		return value
	})
}

// fenchelValue is the value of fenchel for a row whose largest logit is top.
func fenchelValue(r *sparseRow, tau, top float64, omega regulariser, integral float64) float64 {
	value, mass := 0.0, 0.0
	for j, q := range r.t {
		d, _, _ := omega(q, r.p[j])
		value += d
		mass += q
		if r.p[j] == 0 {
			value += formula.Times(q, tau-r.z[j])
		}
	}
	value += formula.Times(1-mass, tau+top)
	if !(math.Abs(1-mass) <= 0.5) { // here the sum above cancels more than the definition does
		value = defined(r.t, r.p, r.x, omega, integral, 1)
	}
	if value != value || math.IsInf(value, 0) && core.Finite(slices.Min(r.x)) {
		value = defined(r.t, r.p, r.x, omega, integral, 0x1p-600)
	}
	return value
}

// defined is the loss as it is defined. Terms may be too large for float64 before they are added:
// they are added in units of unit⁻².
func defined(t, p, x []float64, omega regulariser, integral, unit float64) float64 {
	of := func(q []float64) (sum float64) {
		for j, v := range q {
			_, slope, _ := omega(v, v)
			sum += formula.Times(v*unit, integral*slope*unit-x[j]*unit)
		}
		return sum
	}
	return (of(t) - of(p)) / unit / unit
}

// descending returns the entries of z above -1, largest first, in the memory of dst. A largest
// entry of 0 alone already holds all of the mass at a distance of 1, so no other has a part in a
// projection.
func descending(dst, z []float64) []float64 {
	dst = dst[:0]
	for _, v := range z {
		if v > -1 {
			dst = append(dst, v)
		}
	}
	slices.SortFunc(dst, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	return dst
}

// Sparsemax returns the sparsemax loss of target against logits: what cross-entropy is to softmax,
// for the projection of the logits on the simplex.
//
// With x a row of logits, p the distribution nearest to x, t the target (one-hot for a label y) and
// m = Σ_c w_c·t_c with the class weights w (without [WithClassWeights] m = 1 and the term w_j·l/m
// is not there),
//
//	l = m·(½(‖t‖² - ‖p‖²) + ⟨p - t, x⟩)        dl/dx_j = m·(p_j - t_j)
//	                                           dl/dt_j = m·(t_j - x_j) + w_j·l/m
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The loss of a label is 0, with its gradient, once its logit is 1 above the others. Where t sums
// to 1 the loss is >= 0 and adding a constant to x changes nothing. The second derivative is that
// of the side on which ties have p = 0.
//
// [Entmax15] is between it and [CrossEntropy].
//
// Reference: A. Martins, R. Astudillo, From Softmax to Sparsemax, 2016.
func Sparsemax(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&sparsemax, opts, logits, target)
}

var sparsemax = core.Definition{
	Name: "Sparsemax", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.ClassOptions,
	Defaults: core.Settings{Ignore: []int{-100}},
	Laws:     core.Convex,
	Optax:    "multiclass_sparsemax_loss",
	Kernel: tiles(core.Logits, core.SoftTargets, sparseTile[float32](projectSparsemax, halfSquare, 1./2),
		sparseTile[float64](projectSparsemax, halfSquare, 1./2)),
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return fenchel(s, projectSparsemax, halfSquare, 1./2)
	},
}

// halfSquare is the regulariser t²/2.
func halfSquare(t, p float64) (divergence, slope, bend float64) {
	return (t - p) * (t - p) / 2, t, 1
}

// projectSparsemax is p = max(0, z - τ): τ = (Σ z - 1)/k over the k largest, the most that lie
// above it.
func projectSparsemax(p, s, z, sorted []float64) (tau float64) {
	sum := 0.0
	for k, v := range descending(sorted, z) {
		sum += v
		next := (sum - 1) / float64(k+1)
		if v <= next {
			break
		}
		tau = next
	}
	for j, v := range z {
		p[j], s[j] = max(0, v-tau), float64(formula.Indicator(v > tau))
	}
	return tau
}

// Entmax15 returns the entmax loss with α = 1.5 of target against logits: sparse as sparsemax,
// smooth as softmax.
//
// With x a row of logits, p = max(0, x/2 - τ)² with τ such that p sums to 1, t the target (one-hot
// for a label y) and m = Σ_c w_c·t_c with the class weights w (without [WithClassWeights] m = 1 and
// the term w_j·l/m is not there),
//
//	l = m·(4/3·Σ_c (t_c^1.5 - p_c^1.5) + ⟨p - t, x⟩)        dl/dx_j = m·(p_j - t_j)
//	                                                        dl/dt_j = m·(2·√t_j - x_j) + w_j·l/m
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The loss of a label is 0, with its gradient, once its logit is 2 above the others. Where t sums
// to 1 the loss is >= 0 and adding a constant to x changes nothing. The second derivative by a
// target of 0, which is infinite, is taken as 0.
//
// [Sparsemax] is the case α = 2, [CrossEntropy] α = 1.
//
// Reference: B. Peters, V. Niculae, A. Martins, Sparse Sequence-to-Sequence Models, 2019.
func Entmax15(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&entmax15, opts, logits, target)
}

var entmax15 = core.Definition{
	Name: "Entmax15", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.ClassOptions,
	Defaults: core.Settings{Ignore: []int{-100}},
	Laws:     core.Convex,
	Kernel: tiles(core.Logits, core.SoftTargets, sparseTile[float32](projectEntmax15, threeHalves, 2./3),
		sparseTile[float64](projectEntmax15, threeHalves, 2./3)),
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return fenchel(s, projectEntmax15, threeHalves, 2./3)
	},
}

// threeHalves is the regulariser 4/3·t^(3/2).
func threeHalves(t, p float64) (divergence, slope, bend float64) {
	a, b := math.Sqrt(t), math.Sqrt(p)
	if t > 0 {
		bend = 1 / a
	}
	return 2. / 3 * (a - b) * (a - b) * (2*a + b), 2 * a, bend
}

// projectEntmax15 is p = max(0, y - t)² for y = z/2: t = mean - √((1-S)/k) with the mean and the
// squared deviations S of the k largest y, the most that lie above it. In z the threshold is τ =
// 2t.
func projectEntmax15(p, s, z, sorted []float64) (tau float64) {
	for j, v := range z {
		p[j] = v / 2
	}
	mean, squares, t := 0.0, 0.0, 0.0
	for i, v := range descending(sorted, p) {
		k := float64(i + 1)
		d := v - mean
		mean += d / k
		squares += d * (v - mean)
		next := mean - math.Sqrt(max(0, (1-squares)/k))
		if v <= next {
			break
		}
		t = next
	}
	for j, v := range p {
		s[j] = max(0, v-t)
		p[j] = s[j] * s[j]
	}
	return 2 * t
}
