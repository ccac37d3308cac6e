package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// contrastiveLosses lists the losses on batches of embeddings that have two operands,
// contrastiveWide the others.
var contrastiveLosses = []entry{{&ntXent, NTXent}, {&supCon, SupCon}, {&circle, Circle}, {&multiSimilarity, MultiSimilarity},
	{&infoNCE, InfoNCE}, {&sigLIP, SigLIP}, {&dcl, DCL}, {&vicReg, VICReg}, {&barlowTwins, BarlowTwins}}
var contrastiveWide = []*core.Definition{&nPairs, &proxyNCA, &proxyAnchor, &uniformity}

// WithReference takes the partners of the anchors from another set of embeddings, such as a memory
// of earlier batches, instead of the batch itself: embeddings has the shape (M, D) and the dtype of
// the anchors, labels the shape (M) and any integer dtype. Anchors are then not partners of each
// other. embeddings is differentiated like any operand.
func WithReference(embeddings, labels *G.Node) Option {
	return func(s *core.Settings) error {
		if err := core.OptReference.Operand(s, embeddings, embeddings == nil); err != nil {
			return err
		}
		return core.OptReferenceLabels.Operand(s, labels, labels == nil)
	}
}

// withLabels declares the operands of a loss of a batch of embeddings with labels.
func withLabels() []core.Operand {
	return []core.Operand{{Name: "embeddings", Holds: core.Real, Shape: "N D"}, {Name: "labels", Holds: core.Identifiers, Shape: "N", Data: true},
		{Name: "reference", Holds: core.Real, Shape: "M D", Option: core.OptReference},
		{Name: "referenceLabels", Holds: core.Identifiers, Shape: "M", Option: core.OptReferenceLabels, Data: true}}
}

// ofBatch is the grouping of losses with a value for each example of a batch that read all of it.
func ofBatch(*core.Settings) core.Grouping { return core.Grouping{Entries: "N", Values: "N"} }

// gatheredBatch is ofBatch where values need no more of the batch than its rows.
func gatheredBatch(*core.Settings) core.Grouping {
	return core.Grouping{Entries: "N", Values: "N", Gathered: true}
}

// referenceOptions checks that a reference has labels; a graph cannot give one without the other.
func referenceOptions(s *core.Settings) error {
	if s.Has(core.OptReference) != s.Has(core.OptReferenceLabels) {
		return fmt.Errorf("WithReference needs embeddings and labels")
	}
	return nil
}

// batchOptions are the options of losses of batches with labels.
var batchOptions = core.Options(core.ReduceOptions, core.OptReference, core.OptReferenceLabels)

// A batch is the anchors and their partners with labels.
type batch struct {
	anchors, partners []int
	self              bool          // the partners are the anchors
	places            map[int][]int // of the partners with a label
}

func batchOf(g *core.Group) *batch {
	b := &batch{anchors: g.Int[1], partners: g.Int[1], self: true}
	if g.Int[3] != nil {
		b.partners, b.self = g.Int[3], false
	}
	b.places = placesOf(b.partners)
	return b
}

// placesOf returns the places of each label, in their order.
func placesOf(labels []int) map[int][]int {
	places := make(map[int][]int)
	for j, label := range labels {
		places[label] = append(places[label], j)
	}
	return places
}

// counts returns how many positives and negatives an anchor has.
func (b *batch) counts(i int) (p, n int) {
	p = len(b.places[b.anchors[i]])
	n = len(b.partners) - p
	if b.self {
		p--
	}
	return p, n
}

// shares makes the parts of anchors: none without a positive, nor, with both, without a negative;
// share is the part in the denominator.
func shares(both bool, share func(p, n int) int) func(*core.Settings, *core.GroupDims) core.PartsFunc {
	return func(*core.Settings, *core.GroupDims) core.PartsFunc {
		return func(g *core.Group) error {
			b := batchOf(g)
			for i := range g.Parts {
				p, n := b.counts(i)
				if p == 0 || both && n == 0 {
					g.Parts[i], g.Den[i] = 0, 0
				} else if share != nil {
					g.Den[i] = float64(share(p, n))
				}
			}
			return nil
		}
	}
}

// An anchor is the row of an anchor: its pairs with all partners.
type anchor struct {
	*formula.PairRow
	*batch
	same   []int // the partners with its label, itself among them
	own    int   // its place among the partners; -1: it has none
	factor float64
}

// at returns the row as that of an anchor.
func (b *batch) at(r *formula.PairRow, factor float64) *anchor {
	a := &anchor{r, b, b.places[b.anchors[r.I]], -1, factor}
	if b.self {
		a.own = r.I
	}
	return a
}

// positives yields the positives with equal shares.
func (a *anchor) positives(yield func(int, float64) bool) {
	n, _ := a.counts(a.I)
	for _, j := range a.same {
		if j != a.own && !yield(j, 1/float64(n)) {
			return
		}
	}
}

// negatives yields the negatives.
func (a *anchor) negatives(yield func(int) bool) {
	label := a.anchors[a.I]
	for j, other := range a.partners {
		if other != label && !yield(j) {
			return
		}
	}
}

// byAnchors makes the mathematics of a loss of the cosines of anchors and partners, times a scale;
// row returns the value of an anchor and writes the derivatives. It may read rows in float32.
func byAnchors(scale func(s *core.Settings) float64, float32Rows bool, row func(s *core.Settings) func(a *anchor) float64) func(*core.Settings, *core.GroupDims) core.GroupFunc {
	return func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		f := row(s)
		return func(g *core.Group) error {
			b := batchOf(g)
			pairs := anchorPairs(g, d, formula.Products, true)
			if pairs.Scale = scale(s); float32Rows {
				pairs.InFloat32()
			}
			pairs.EachRow(func(r *formula.PairRow) {
				v := f(b.at(r, g.Factor[r.I]))
				if g.Value != nil {
					g.Value[r.I] = v
				}
			})
			pairs.Finish()
			return nil
		}
	}
}

// anchorPairs returns the pairs of anchors and partners.
func anchorPairs(g *core.Group, d *core.GroupDims, kind formula.PairKind, unit bool) *formula.Pairs {
	x := formula.PointsOf(g, formula.MatrixOf(g, 0), d.Len('D'), unit)
	y := x
	if g.X[2] != nil {
		y = formula.PointsOf(g, formula.MatrixOf(g, 2), d.Len('D'), unit)
	}
	return formula.NewPairs(g, kind, x, y, d.Float32)
}

func perTemperature(s *core.Settings) float64 { return 1 / s.Temperature }
func unscaled(*core.Settings) float64         { return 1 }

// NTXent returns the cross-entropy of identifying each positive of an anchor among its negatives by
// cosine similarity, summed over the positives.
//
// With z_ij the cosine of embeddings i and j divided by the temperature, P the other examples with
// the label of anchor i and N those with other labels,
//
//	l_i = Σ_{j∈P} -log (e^(z_ij)/(e^(z_ij) + Σ_{k∈N} e^(z_ik)))
//	dl_i/dz_ij = -q_j        dl_i/dz_ik = Σ_{j∈P} q_j·e^(z_ik)/Σ_{N} e^z
//
// with q_j the share of the negatives in the denominator of positive j. embeddings have the shape
// (N, D), labels (Int, Int64, Int32 or Uint8, any integers) the shape (N). The result is a scalar,
// or has the shape (N) under [None]. The denominator of [Mean] is the number of positives, times
// the weights of their anchors: it is the mean over ordered pairs of positives.
//
// Options: [WithTemperature] (T > 0, default 0.07), [WithReference], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Masked examples are neither anchors nor partners. An anchor without a positive does not count,
// and where no anchor counts the value and the gradient are 0. The value of an anchor without
// negatives is 0. The cosine with a zero vector is 0, with gradient 0. The memory beyond the
// operands grows with the size of the batch, not with its square. If the cosines take 2^20
// multiplications or more, those of float32 embeddings are computed in float32: they are accurate
// to 5e-7, and the sums in the gradients to 5e-7 of their largest entry.
//
// [SupCon] also has the other positives in the denominator and averages over the positives. With
// the temperature 0.5 and two views of each example as the rows, all first views and then all
// second ones, each labelled 0, 1, ..., this is SimCLR's loss.
//
// Reference: T. Chen, S. Kornblith, M. Norouzi, G. Hinton, A Simple Framework for Contrastive
// Learning of Visual Representations, 2020.
func NTXent(embeddings, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ntXent, opts, embeddings, labels)
}

var ntXent = core.Definition{
	Name: "NTXent", Operands: withLabels(), Takes: core.Options(batchOptions, core.OptTemperature), Defaults: core.Settings{Temperature: 0.07},
	Grouped: gatheredBatch, Check: referenceOptions, Laws: core.NonNegative,
	Optax: "ntxent", Others: "PML NTXentLoss; lightly NTXentLoss",
	Parts: shares(false, func(p, _ int) int { return p }),
	Group: byAnchors(perTemperature, true, func(*core.Settings) func(*anchor) float64 {
		return func(a *anchor) (v float64) {
			if a.S32 != nil {
				return a.EachAgainst(a.positives, a.same, a.factor)
			}
			copy(a.G, a.S)
			for _, j := range a.same {
				a.G[j] = math.Inf(-1)
			}
			n := formula.LogSumOf(a.G, a.G)
			dn, q, dq := n.Along(a.DS), 0.0, 0.0
			moved := a.Buf[0][:0] // of the derivatives by positives
			for j := range a.positives {
				v += formula.Softplus(n.L - a.S[j])
				yes, no := formula.Sigmoids(n.L - a.S[j])
				q += yes
				if a.DG != nil {
					moved = append(moved, -yes*no*(dn-a.DS[j]))
					dq -= moved[len(moved)-1]
				}
			}
			for j := range a.DG {
				a.DG[j] = n.P[j] * (dq + q*(a.DS[j]-dn))
			}
			formula.Scale(a.G, q)
			k := 0
			for j := range a.positives {
				yes, _ := formula.Sigmoids(n.L - a.S[j])
				if a.G[j] = -yes; a.DG != nil {
					a.DG[j] = moved[k]
					k++
				}
			}
			formula.Scale(a.G, a.factor)
			formula.Scale(a.DG, a.factor)
			return v
		}
	}),
}

// SupCon returns the mean cross-entropy of identifying the positives of each anchor among all other
// examples by cosine similarity.
//
// With z_ij the cosine of embeddings i and j divided by the temperature, P the other examples with
// the label of anchor i and p the softmax of z_i over all examples but i,
//
//	l_i = -1/|P|·Σ_{j∈P} log p_j        dl_i/dz_ij = p_j - [j∈P]/|P|
//
// embeddings have the shape (N, D), labels (Int, Int64, Int32 or Uint8, any integers) the shape
// (N). The result is a scalar, or has the shape (N) under [None]. [Mean] is the mean over the
// anchors that have a positive.
//
// Options: [WithTemperature] (T > 0, default 0.1), [WithReference], [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Masked examples are neither anchors nor partners. An anchor without a positive does not count,
// and where no anchor counts the value and the gradient are 0. Zero vectors, memory and float32 are
// as in [NTXent].
//
// [NTXent] leaves the other positives out of the denominator.
//
// Reference: P. Khosla et al., Supervised Contrastive Learning, 2020.
func SupCon(embeddings, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&supCon, opts, embeddings, labels)
}

var supCon = core.Definition{
	Name: "SupCon", Operands: withLabels(), Takes: core.Options(batchOptions, core.OptTemperature), Defaults: core.Settings{Temperature: 0.1},
	Grouped: gatheredBatch, Check: referenceOptions, Laws: core.NonNegative,
	Others: "PML SupConLoss; Keras examples' SupervisedContrastiveLoss",
	Parts:  shares(false, nil),
	Group: byAnchors(perTemperature, true, func(*core.Settings) func(*anchor) float64 {
		return func(a *anchor) float64 {
			if a.own >= 0 {
				a.Out(a.own)
			}
			return a.CrossEntropy(a.positives, a.factor)
		}
	}),
}

// Circle returns the circle loss of each anchor, in which every cosine is weighted by its own
// distance from the optimum.
//
// With c_ij the cosine of embeddings i and j, P the other examples with the label of anchor i and N
// those with other labels, m the margin and x₊ = max(0, x),
//
//	l_i = log(1 + Σ_{j∈P} e^(-γ·a_j·(c_ij - 1 + m))·Σ_{k∈N} e^(γ·b_k·(c_ik - m)))
//	dl_i/dc_ij = -γ·a_j·(1 - e^(-l_i))·p_j        dl_i/dc_ik = γ·b_k·(1 - e^(-l_i))·q_k
//
// with the weights a_j = (1 + m - c_ij)₊ and b_k = (c_ik + m)₊ and the shares p and q of the terms
// in their sums. The weights are held constant in all derivatives, which therefore differ from
// finite differences of the value. embeddings have the shape (N, D), labels (Int, Int64, Int32 or
// Uint8, any integers) the shape (N). The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithMargin] (default 0.4), [WithGamma] (γ >= 0, default 80), [WithReference],
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// An anchor without a positive or without a negative does not count, and where no anchor counts the
// value is 0. Masks, zero vectors, memory and float32 are as in [NTXent].
//
// [MultiSimilarity] treats positives and negatives separately. Keras differentiates the weights.
//
// Reference: Y. Sun et al., Circle Loss: A Unified Perspective of Pair Similarity Optimization,
// 2020.
func Circle(embeddings, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&circle, opts, embeddings, labels)
}

var circle = core.Definition{
	Name: "Circle", Operands: withLabels(), Takes: core.Options(batchOptions, core.OptMargin, core.OptGamma), Defaults: core.Settings{Margin: 0.4, Gamma: 80},
	Grouped: gatheredBatch, Check: referenceOptions, Laws: core.NonNegative,
	Keras: "Circle", Others: "PML CircleLoss",
	Parts: shares(true, nil),
	Group: byAnchors(unscaled, false, func(s *core.Settings) func(*anchor) float64 {
		m, gamma := s.Margin, s.Gamma
		positive := formula.Side{Factor: -gamma, Centre: 1 - m, Reach: true, From: 1 + m}
		negative := formula.Side{Factor: gamma, Centre: m, Reach: true, From: -m}
		join := func(p, n float64) formula.Join {
			yes, no := formula.Sigmoids(p + n)
			return formula.Join{V: formula.Softplus(p + n), P: yes, N: yes, PP: yes * no, PN: yes * no, NN: yes * no}
		}
		return func(a *anchor) float64 { return a.Joined(a.same, a.own, positive, negative, join, a.factor) }
	}),
}

// MultiSimilarity returns smooth maxima of the amounts by which the cosines of an anchor with its
// positives fall below a margin and those with its negatives exceed it.
//
// With c_ij the cosine of embeddings i and j, P the other examples with the label of anchor i, N
// those with other labels and m the margin,
//
//	l_i = 1/α·log(1 + Σ_{j∈P} e^(-α(c_ij - m))) + 1/β·log(1 + Σ_{k∈N} e^(β(c_ik - m)))
//	dl_i/dc_ij = -e^(-α(c_ij - m))/(1 + Σ_{P} e^(-α(c - m)))
//	dl_i/dc_ik = e^(β(c_ik - m))/(1 + Σ_{N} e^(β(c - m)))
//
// embeddings have the shape (N, D), labels (Int, Int64, Int32 or Uint8, any integers) the shape
// (N). The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithAlpha] (α > 0, default 2), [WithBeta] (β > 0, default 50), [WithMargin] (default
// 0.5), [WithReference], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// An anchor without a positive does not count, and where no anchor counts the value is 0. An anchor
// without negatives has only the first term. Masks, zero vectors, memory and float32 are as in
// [NTXent].
//
// [Circle] weights every pair by its own distance from the optimum.
//
// Reference: X. Wang et al., Multi-Similarity Loss with General Pair Weighting for Deep Metric
// Learning, 2019.
func MultiSimilarity(embeddings, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&multiSimilarity, opts, embeddings, labels)
}

var multiSimilarity = core.Definition{
	Name: "MultiSimilarity", Operands: withLabels(), Takes: core.Options(batchOptions, core.OptAlpha, core.OptBeta, core.OptMargin),
	Defaults: core.Settings{Alpha: 2, Beta: 50, Margin: 0.5}, Grouped: gatheredBatch, Laws: core.NonNegative,
	Others: "PML MultiSimilarityLoss, which keeps the negatives of anchors without a positive; TF Similarity MultiSimilarityLoss",
	Check: func(s *core.Settings) error {
		if s.Alpha <= 0 {
			return fmt.Errorf("WithAlpha is %v, want a number > 0", s.Alpha)
		}
		if s.Beta <= 0 {
			return fmt.Errorf("WithBeta is %v, want a number > 0", s.Beta)
		}
		return referenceOptions(s)
	},
	Parts: shares(false, nil),
	Group: byAnchors(unscaled, false, func(s *core.Settings) func(*anchor) float64 {
		positive, negative := formula.Side{Factor: -s.Alpha, Centre: s.Margin}, formula.Side{Factor: s.Beta, Centre: s.Margin}
		join := apart(1/s.Alpha, 1/s.Beta)
		return func(a *anchor) float64 { return a.Joined(a.same, a.own, positive, negative, join, a.factor) }
	}),
}

// apart returns a·log(1 + e^p) + b·log(1 + e^n).
func apart(a, b float64) func(p, n float64) formula.Join {
	return func(p, n float64) formula.Join {
		py, pn := formula.Sigmoids(p)
		ny, nn := formula.Sigmoids(n)
		return formula.Join{V: a*formula.Softplus(p) + b*formula.Softplus(n), P: a * py, N: b * ny, PP: a * py * pn, NN: b * ny * nn}
	}
}
