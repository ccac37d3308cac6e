package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// scoreLosses lists the scoring rules and the losses for imbalanced classes of two operands,
// scoreWide the ones of more.
var scoreLosses = []entry{
	{&brier, Brier},
	{&sphericalScore, SphericalScore},
	{&rankedProbability, RankedProbability},
	{&ensembleCRPS, EnsembleCRPS},
	{&quantileCRPS, QuantileCRPS},
	{&asymmetricLoss, AsymmetricLoss},
	{&ldam, LDAM},
}

var scoreWide = []*core.Definition{&cumulativeLink, &gaussianCRPS}

// Brier returns the Brier score: the squared distance between softmax(logits) and target.
//
// With x a row of logits, p = softmax(x), t the target (one-hot for a label y), e = p - t and m =
// Σ_c w_c·t_c with the class weights w (without [WithClassWeights] m = 1 and the term w_j·l/m is
// not there),
//
//	l = m·Σ_c e_c²        dl/dx_j = 2m·p_j·(e_j - ⟨p, e⟩)
//	                      dl/dt_j = -2m·e_j + w_j·l/m
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The score of two distributions lies in [0, 2]. For two classes it is twice the binary score
// (p - y)². It keeps its digits where the true class is nearly certain.
//
// [CrossEntropy] punishes confident errors without bound; [SphericalScore] and [RankedProbability]
// are bounded, too.
//
// Reference: G. W. Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
func Brier(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&brier, opts, logits, target)
}

var brier = core.Definition{
	Name: "Brier", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.ClassOptions, Defaults: core.Settings{Ignore: []int{-100}},
	Laws:   core.ShiftInvariant | core.NonNegative | core.ZeroAtEqual,
	Others: "scikit-learn brier_score_loss for two classes is half of it",
	Row:    func(s *core.Settings, _ core.Dims) core.RowFunc { return quadraticScore(s, squares) },
	Kernel: tiles(core.Logits, core.SoftTargets, brierTile[float32], brierTile[float64]),
}

// squares returns Σ e² and writes its derivative to dst.
func squares(dst, e []float64) (value float64) {
	formula.Blend(dst, e, e, 2, 0)
	return formula.Squares(e)
}

// SphericalScore returns 1 minus the spherical score of softmax(logits) under target.
//
// With x a row of logits, p = softmax(x), u = p/‖p‖₂, q = u², t the target (one-hot for a label y)
// and m = Σ_c w_c·t_c with the class weights w (without [WithClassWeights] m = 1 and the term
// w_j·l/m is not there),
//
//	l = m·Σ_c t_c·(1 - u_c)        dl/dx_j = m·(q_j·⟨t, u⟩ - t_j·u_j)
//	                               dl/dt_j = m·(1 - u_j) + w_j·l/m
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The loss of a distribution lies in [0, 1] and keeps its digits where the true class is nearly
// certain.
//
// [Brier] is the quadratic score.
//
// Reference: T. Gneiting, A. E. Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation,
// 2007.
func SphericalScore(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&sphericalScore, opts, logits, target)
}

// u² is the softmax of 2x, so that 1 - u is a curve of its surprisal: a temperature of ½.
var sphericalScore = core.Definition{
	Name: "SphericalScore", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.ClassOptions,
	Defaults: core.Settings{Ignore: []int{-100}, Temperature: 0.5},
	Kernel:   labelled(func(_ *core.Settings, o *tensorops.LabelSoftmax) { o.Curve = sphericalCurve }),
	Laws:     core.ShiftInvariant | core.NonNegative,
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		plain := *s
		plain.ClassWeights = nil
		return formula.ByClassWeight(s, formula.Compose(func(r *core.Block, z, d, dd []float64) {
			for j, x := range r.X[0] {
				z[j], d[j], dd[j] = 2*x, 2, 0
			}
		}, bySurprisal(&plain, sphericalCurve, func(s, _, _ float64) (l, d, dd float64) {
			d = math.Exp(-s/2) / 2
			return -math.Expm1(-s / 2), d, -d / 2
		})))
	},
	Fast: func(s *core.Settings, d core.Dims) core.FastFunc {
		if s.ClassWeights != nil || d.Cols == 1 { // weights are those of the whole loss
			return nil
		}
		return sphericalFast
	},
}

// sphericalFast is SphericalScore of soft targets without class weights: with e = exp(x), Σ t less
// Σ t·e over √Σe².
func sphericalFast(b *core.Block, wrt int, value, grad []float64) {
	n, t := len(b.X[0]), b.X[1]
	if t == nil {
		formula.Fill(value, math.NaN())
		return
	}
	p, te, ee := formula.ExpsOf(b, b.X[0], 1), b.Buf(n), b.Buf(n)
	vec.Multiply(te, t, p.E)
	vec.Multiply(ee, p.E, p.E)
	for i := range value {
		lo, hi := i*b.Cols, (i+1)*b.Cols
		mass, squares, hit := formula.Sum(t[lo:hi]), formula.Sum(ee[lo:hi]), formula.Sum(te[lo:hi])
		length := math.Sqrt(squares)
		if value[i] = mass - hit/length; !formula.Keeps(b, value[i], mass) || !(squares > 0x1p-500) {
			value[i] = math.NaN()
			continue
		}
		switch {
		case grad == nil:
		case wrt == 0:
			formula.Blend(grad[lo:hi], ee[lo:hi], te[lo:hi], hit/length/squares, -1/length)
		default:
			for j, e := range p.Row(i) {
				if grad[lo+j] = 1 - e/length; e > length/2 {
					value[i] = math.NaN() // a difference of nearly equal numbers
				}
			}
		}
	}
}

// sphericalCurve is 1 - e^(-s/2) with its derivative.
func sphericalCurve(value, slope, nll []float64) {
	generalizedCurve(0.5)(value, slope, nll, nil)
	formula.Scale(value, 0.5)
	formula.Scale(slope, 0.5)
}

// RankedProbability returns the ranked probability score: the squared distance between the
// cumulative distributions of softmax(logits) and target, for classes that have an order.
//
// With x a row of logits, p = softmax(x), t the target (one-hot for a label y), m = Σ_c w_c·t_c
// with the class weights w (without [WithClassWeights] m = 1 and the term w_j·l/m is not there) and
// G_i = 2·Σ_{i<=k<C-1} Σ_{j<=k} (p_j - t_j),
//
//	l = m·Σ_{k<C-1} (Σ_{j<=k} (p_j - t_j))²        dl/dx_j = m·p_j·(G_j - ⟨p, G⟩)
//	                                               dl/dt_j = -m·G_j + w_j·l/m
//
// logits have the shape (N, C), or any other with a class axis, in the order of the classes. target
// is integer labels in that shape without the axis, or numbers >= 0 in the dtype and shape of
// logits. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// It is not divided by C - 1, as Epstein's form is. For labels it equals [EMD]; for a soft target
// that does not sum to 1, EMD also counts the difference of the totals.
//
// [EnsembleCRPS] is the same for real numbers.
//
// Reference: E. S. Epstein, A Scoring System for Probability Forecasts of Ranked Categories, 1969.
func RankedProbability(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&rankedProbability, opts, logits, target)
}

var rankedProbability = core.Definition{
	Name: "RankedProbability", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.ClassOptions, Defaults: core.Settings{Ignore: []int{-100}},
	Laws:   core.ShiftInvariant | core.NonNegative | core.ZeroAtEqual,
	Others: "properscoring, scoringrules rps",
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return quadraticScore(s, aheadButLast)
	},
	Kernel: tiles(core.Logits, core.SoftTargets, cumulativeTile[float32](1), cumulativeTile[float64](1)),
}

// aheadButLast is ahead without the sum over all classes.
func aheadButLast(dst, e []float64) float64 {
	last := len(e) - 1
	dst[last] = 0
	return ahead(dst[:last], e[:last])
}
