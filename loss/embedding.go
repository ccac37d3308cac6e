package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// embeddingLosses lists the losses of rows of vectors with two operands, embeddingWide the others.
var embeddingLosses, embeddingWide = []entry{{&batchTriplet, BatchTriplet}, {&alignment, Alignment}},
	[]*core.Definition{&pairwiseDistance, &tripletMargin, &cosineEmbedding, &contrastive}

// A Distance is the distance between two embeddings that [WithDistance] chooses.
type Distance uint8

const (
	// DistanceL2 is the length of the difference. It is the default.
	DistanceL2 Distance = iota
	// DistanceSquared is the square of that length.
	DistanceSquared
	// DistanceCosine is 1 minus the cosine of the angle. A vector of zeros has the cosine 0 with
	// every other.
	DistanceCosine
)

// WithDistance sets the distance between embeddings: [DistanceL2] (default), [DistanceSquared] or
// [DistanceCosine].
func WithDistance(d Distance) Option {
	return func(s *core.Settings) error {
		return core.Choice(s, core.OptDistance, &s.Embedding.Distance, uint8(d), 3)
	}
}

// WithSwap takes the distance of the negative to the anchor or to the positive, whichever is
// smaller.
func WithSwap() Option {
	return core.OptSwap.Flag
}

// WithSoft replaces the hinge max(0, x) of a triplet loss by log(1 + e^x), and makes 0 the default
// of [WithMargin].
func WithSoft() Option {
	return core.OptSoft.Flag
}

// vectors declares operands of one vector for each value.
func vectors(names ...string) (out []core.Operand) {
	for _, name := range names {
		out = append(out, core.Operand{Name: name, Holds: core.Real, Shape: "N D"})
	}
	return out
}

// ofVectors is the grouping of losses with a value for each row of their operands.
func ofVectors(*core.Settings) core.Grouping { return core.Grouping{Over: "N", Values: "N"} }

// metric is the distance of vectors that the settings choose.
func metric(s *core.Settings) formula.Metric {
	kinds := [3]formula.MetricKind{formula.L2, formula.Squared, formula.Cosine}
	return formula.Metric{Kind: kinds[s.Embedding.Distance], Power: s.Power, Epsilon: s.Epsilon}
}

// distanceOptions checks the options of a distance.
func distanceOptions(s *core.Settings) error {
	d := Distance(s.Embedding.Distance)
	switch {
	case s.Has(core.OptPower) && d != DistanceL2:
		return fmt.Errorf("WithPower needs DistanceL2")
	case s.Has(core.OptEpsilon) && d == DistanceCosine:
		return fmt.Errorf("WithEpsilon needs DistanceL2 or DistanceSquared")
	case !(s.Power >= 1):
		return fmt.Errorf("WithPower is %v, want a number >= 1, or +Inf", s.Power)
	case s.Epsilon < 0:
		return fmt.Errorf("WithEpsilon is %v, want a number >= 0", s.Epsilon)
	}
	return nil
}

// PairwiseDistance returns the distance between the vectors in each row of x1 and x2.
//
// With e = x1 - x2 + ε, p the power and u_i = sign(e_i)·(|e_i|/l)^(p-1),
//
//	l = (Σ_i |e_i|^p)^(1/p)        dl/dx1 = u = -dl/dx2
//
// and l = max_i |e_i| for p = +Inf, with u spread evenly over the entries that attain it. x1 and x2
// have the shape (N, D), or (D) for one pair, and the same dtype. The result has the shape (N), or
// is a scalar for one pair: this is a node, not a loss, and nothing is reduced.
//
// Options: [WithPower] (p >= 1 or +Inf, default 2), [WithEpsilon] (ε >= 0, default 1e-6).
//
// Equal rows have the distance ε·D^(1/p) and the derivatives 0. Intermediate results neither
// overflow nor underflow.
//
// [TripletMargin] and [Contrastive] are losses of distances. [CosineDistance] compares directions.
//
// Reference: standard.
func PairwiseDistance(x1, x2 *G.Node, opts ...Option) (*G.Node, error) {
	return buildValues(&pairwiseDistance, opts, x1, x2)
}

var pairwiseDistance = core.Definition{
	Name: "PairwiseDistance", Operands: vectors("x1", "x2"), Takes: core.Options(core.OptPower, core.OptEpsilon), Grouped: ofVectors,
	Defaults: core.Settings{Power: 2, Epsilon: 1e-6, Reduction: core.None}, Check: distanceOptions, Node: true,
	Torch:       "pairwise_distance",
	Group:       func(s *core.Settings, _ *core.GroupDims) core.GroupFunc { return gapGroup(metric(s), itself) },
	GroupKernel: func(s *core.Settings, _ *core.GroupDims) core.GroupKernels { return gapKernels(metric(s), itself) },
}

// excess returns max(0, x), or log(1 + e^x) where it is soft, with its derivatives.
func excess(x float64, soft bool) (l, d, dd float64) {
	switch {
	case soft:
		yes, no := formula.Sigmoids(x)
		return formula.Softplus(x), yes, yes * no
	case x <= 0:
		return 0, 0, 0
	}
	return x, 1, 0 // NaN, too
}

// tripletMarginOf is the margin of a loss of triplets.
func tripletMarginOf(s *core.Settings) float64 {
	if s.Embedding.Soft && !s.Has(core.OptMargin) {
		return 0
	}
	return s.Margin
}

// TripletMargin returns the triplet margin loss: the amount by which the distance of each anchor to
// its negative fails to exceed the distance to its positive by a margin.
//
// With a, p and n the rows of anchor, positive and negative, d the distance and m the margin,
//
//	l = max(0, d(a, p) - d(a, n) + m)        dl/dp = ∂d(a, p)/∂p where l > 0, and 0 elsewhere
//
// and likewise for a and n. [WithSwap] replaces d(a, n) by min(d(a, n), d(p, n)), and [WithSoft]
// replaces max(0, x) by log(1 + e^x). anchor, positive and negative have the shape (N, D), or (D)
// for one triplet, and the same dtype. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithMargin] (default 1, with WithSoft 0), [WithDistance] (default [DistanceL2]),
// [WithPower] (p >= 1 or +Inf, default 2), [WithEpsilon] (ε >= 0, default 1e-6), [WithSwap],
// [WithSoft], [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// DistanceL2 is [PairwiseDistance] with its options, DistanceSquared its square for p = 2, and
// DistanceCosine takes neither p nor ε. A triplet of equal rows has the margin as its loss. The
// derivatives of the distance between equal rows are 0.
//
// [BatchTriplet] forms the triplets of a labelled batch.
//
// Reference: F. Schroff, D. Kalenichenko, J. Philbin, FaceNet: A Unified Embedding for Face
// Recognition and Clustering, 2015.
func TripletMargin(anchor, positive, negative *G.Node, opts ...Option) (*G.Node, error) {
	return build(&tripletMargin, opts, anchor, positive, negative)
}

var tripletMargin = core.Definition{
	Name: "TripletMargin", Operands: vectors("anchor", "positive", "negative"), Grouped: ofVectors,
	Takes:    core.Options(core.ReduceOptions, core.OptMargin, core.OptDistance, core.OptPower, core.OptEpsilon, core.OptSwap, core.OptSoft),
	Defaults: core.Settings{Margin: 1, Power: 2, Epsilon: 1e-6}, Check: distanceOptions,
	Laws: core.NonNegative,
	GroupKernel: func(s *core.Settings, _ *core.GroupDims) core.GroupKernels {
		m := metric(s)
		return tripletKernels(m, tripletMarginOf(s), s.Embedding.Soft, s.Embedding.Swap)
	},
	Torch: "triplet_margin_loss", Optax: "triplet_margin_loss", Others: "PyTorch triplet_margin_with_distance_loss: WithDistance",
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		m, margin, soft, swap := metric(s), tripletMarginOf(s), s.Embedding.Soft, s.Embedding.Swap
		return func(g *core.Group) error {
			near, far := m.Between(g, 0, 1), m.Between(g, 0, 2)
			from := 0 // the operand that far is the distance of
			if swap {
				if other := m.Between(g, 1, 2); other.D < far.D {
					far, from = other, 1
				}
			}
			l, d, dd := excess(near.D-far.D+margin, soft)
			if g.Value != nil {
				g.Value[0] = l
			}
			d *= g.Factor[0]
			dd *= g.Factor[0] * (near.DD - far.DD)
			for k := range 3 {
				a, b := k, formula.Indicator(k == 2) // the sides of the operand in near and far
				p, q := float64(formula.Indicator(k < 2)), -float64(formula.Indicator(k == 2 || k == from))
				if k == 2 {
					a = 0 // which counts 0 times
				}
				if grad := g.Grad[k]; grad != nil {
					formula.Combine(grad, near.Grad(a, p*d), far.Grad(b, q*d))
				}
				if hess := g.Hess[k]; hess != nil {
					formula.Combine(hess, near.Hess(a, p*d), near.Grad(a, p*dd), far.Hess(b, q*d), far.Grad(b, q*dd))
				}
			}
			return nil
		}
	},
}

// CosineEmbedding returns 1 minus the cosine of the angle between the vectors of similar pairs, and
// for dissimilar pairs the amount by which the cosine exceeds a margin.
//
// With c the cosine between the rows of x1 and x2, u and v the rows divided by their lengths and m
// the margin,
//
//	l = 1 - c            where y = 1         dl/dx1 = -(v - c·u)/‖x1‖
//	l = max(0, c - m)    where y = -1        dl/dx1 = (v - c·u)/‖x1‖ where c > m
//
// and the same for x2. x1 and x2 have the shape (N, D), or (D) for one pair, and the same dtype. y
// holds -1 or 1 for each pair, in the shape (N), as integers or in the dtype of x1; it has no
// gradient. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithMargin] (default 0), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The cosine with a vector of zeros is 0, with gradient 0. Vectors shorter than 1e-8 are divided by
// 1e-8. A y other than -1 and 1 is an error when the graph runs.
//
// [CosineDistance] is the loss of similar pairs, [Contrastive] takes distances.
//
// Reference: standard.
func CosineEmbedding(x1, x2, y *G.Node, opts ...Option) (*G.Node, error) {
	return build(&cosineEmbedding, opts, x1, x2, y)
}

var cosineEmbedding = core.Definition{
	Name: "CosineEmbedding", Operands: append(vectors("x1", "x2"), core.Operand{Name: "y", Holds: core.SignFlags, Shape: "N", Data: true}), Grouped: ofVectors,
	Takes: core.Options(core.ReduceOptions, core.OptMargin),
	Laws:  core.NonNegative,
	Torch: "cosine_embedding_loss",
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return gapGroup(formula.Metric{Kind: formula.Cosine}, signedGap(s.Margin))
	},
	GroupKernel: func(s *core.Settings, _ *core.GroupDims) core.GroupKernels {
		return gapKernels(formula.Metric{Kind: formula.Cosine}, signedGap(s.Margin))
	},
}

// Contrastive returns the squared distance between the vectors of similar pairs, and for dissimilar
// pairs the square of the amount by which their distance falls short of a margin.
//
// With d = ‖x1 - x2‖, u = (x1 - x2)/d and m the margin,
//
//	l = y·d² + (1-y)·max(0, m - d)²        dl/dx1 = 2·(y·d - (1-y)·max(0, m - d))·u = -dl/dx2
//
// x1 and x2 have the shape (N, D), or (D) for one pair, and the same dtype. y has the shape (N): 1
// for similar and 0 for dissimilar pairs as integers, or numbers in [0, 1] in the dtype of x1; it
// has no gradient. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithMargin] (default 1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// There is neither a factor 1/2 nor an ε. The derivatives at equal rows are 0. Given distances are
// passed as x1 of shape (N, 1), with zeros as x2.
//
// [CosineEmbedding] uses angles. [TripletMargin] compares two distances.
//
// Reference: R. Hadsell, S. Chopra, Y. LeCun, Dimensionality Reduction by Learning an Invariant
// Mapping, 2006.
func Contrastive(x1, x2, y *G.Node, opts ...Option) (*G.Node, error) {
	return build(&contrastive, opts, x1, x2, y)
}

var contrastive = core.Definition{
	Name: "Contrastive", Operands: append(vectors("x1", "x2"), core.Operand{Name: "y", Holds: core.SoftFlags, Shape: "N", Data: true}), Grouped: ofVectors,
	Takes: core.Options(core.ReduceOptions, core.OptMargin), Defaults: core.Settings{Margin: 1},
	Laws:   core.NonNegative,
	Others: "tfa contrastive_loss of distances (N, 1) and zeros; PML ContrastiveLoss: pos_margin 0, squared",
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return gapGroup(formula.Metric{Kind: formula.L2, Power: 2}, gapToMargin(s.Margin))
	},
	GroupKernel: func(s *core.Settings, _ *core.GroupDims) core.GroupKernels {
		return gapKernels(formula.Metric{Kind: formula.L2, Power: 2}, gapToMargin(s.Margin))
	},
}

// Alignment returns a power of the distance between the directions of the vectors in each row of x
// and y.
//
// With u and v the rows divided by their lengths, d = ‖u - v‖ and α the power,
//
//	l = d^α        dl/dx = (w - ⟨u, w⟩·u)/‖x‖ with w = α·d^(α-2)·(u - v)
//
// and the same for y. x and y have the shape (N, D), or (D) for one pair, and the same dtype. The
// result is a scalar, or has the shape (N) under [None].
//
// Options: [WithPower] (α >= 1, default 2), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// A zero vector remains zero and has gradient 0; vectors shorter than 1e-8 are divided by 1e-8. For
// α below 2 the derivatives at equal directions are 0.
//
// [Uniformity] is its counterpart, which spreads embeddings apart. For α = 2 the loss is twice
// [CosineDistance].
//
// Reference: T. Wang, P. Isola, Understanding Contrastive Representation Learning through Alignment
// and Uniformity on the Hypersphere, 2020.
func Alignment(x, y *G.Node, opts ...Option) (*G.Node, error) {
	return build(&alignment, opts, x, y)
}

var alignment = core.Definition{
	Name: "Alignment", Operands: vectors("x", "y"), Takes: core.Options(core.ReduceOptions, core.OptPower), Grouped: ofVectors,
	Defaults: core.Settings{Power: 2}, Laws: core.NonNegative, Others: "lightly and the authors' align_loss",
	Check: func(s *core.Settings) error {
		if !(s.Power >= 1) || math.IsInf(s.Power, 1) {
			return fmt.Errorf("WithPower is %v, want a finite number >= 1", s.Power)
		}
		return nil
	},
	GroupKernel: func(s *core.Settings, _ *core.GroupDims) core.GroupKernels {
		return gapKernels(formula.Metric{Kind: formula.Cosine}, powerOfAngle(s.Power))
	},
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			n := len(g.X[0])
			a, b := formula.PointsOf(g, formula.MatrixOf(g, 0), n, true), formula.PointsOf(g, formula.MatrixOf(g, 1), n, true)
			l := formula.PowerOfDistance(g, a, b, s.Power, g.Factor[0])
			if g.Value != nil {
				g.Value[0] = l
			}
			a.Finish()
			b.Finish()
			return nil
		}
	},
}
