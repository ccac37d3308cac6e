package loss

import (
	"fmt"
	"iter"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// A Mining says which triplets of a batch count; [WithMining] chooses it.
type Mining uint8

const (
	// MineAll takes every positive with every negative of an anchor. It is the default.
	MineAll Mining = iota
	// MineHard takes the farthest positive and the nearest negative of an anchor.
	MineHard
	// MineSemiHard takes the farthest positive and the nearest of the negatives that are farther
	// than that, or the farthest negative where none is: one triplet for an anchor, where
	// TensorFlow Addons has one for each of its positives and pytorch-metric-learning all whose
	// loss is between 0 and the margin.
	MineSemiHard
)

// WithMining sets the triplets of a batch that count: [MineAll] (default), [MineHard] or
// [MineSemiHard]. Among equal distances the first counts. The choice is held constant in the
// derivatives.
func WithMining(m Mining) Option {
	return func(s *core.Settings) error {
		return core.Choice(s, core.OptMining, &s.Embedding.Mining, uint8(m), 3)
	}
}

// WithNonZero divides the mean of [BatchTriplet] by the number of triplets with a loss above 0.
func WithNonZero() Option {
	return core.OptNonZero.Flag
}

// BatchTriplet returns the sum of the triplet margin losses of each anchor of a labelled batch with
// its positives and negatives.
//
// With d_ij the distance of embeddings i and j, m the margin and T the triplets of anchor i, each
// with another example j of the same label and an example k of another,
//
//	l_i = Σ_{(j,k)∈T} max(0, d_ij - d_ik + m)
//	dl_i/dd_ij = |{k: d_ij - d_ik + m > 0}|        dl_i/dd_ik = -|{j: d_ij - d_ik + m > 0}|
//
// [WithMining] chooses T. embeddings have the shape (N, D), labels (Int, Int64, Int32 or Uint8, any
// integers) the shape (N). The result is a scalar, or has the shape (N) under [None]. The
// denominator of [Mean] is the number of triplets, times the weights of their anchors.
//
// Options: [WithMining] (default [MineAll]), [WithMargin] (default 1, with WithSoft 0), [WithSoft],
// [WithDistance] (default [DistanceL2]), [WithNonZero], [WithReference], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Distances have no ε; the derivative of the distance of equal rows is 0. Masked examples are in no
// triplet. An anchor without a positive or without a negative does not count, and where no anchor
// counts the value is 0. The memory beyond the operands grows with the size of the batch, not with
// the number of triplets.
//
// [TripletMargin] takes triplets that are given.
//
// Reference: A. Hermans, L. Beyer, B. Leibe, In Defense of the Triplet Loss for Person
// Re-Identification, 2017.
func BatchTriplet(embeddings, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&batchTriplet, opts, embeddings, labels)
}

var batchTriplet = core.Definition{
	Name: "BatchTriplet", Operands: withLabels(), Defaults: core.Settings{Margin: 1}, Check: referenceOptions, Laws: core.NonNegative,
	Takes:  core.Options(batchOptions, core.OptMining, core.OptMargin, core.OptSoft, core.OptDistance, core.OptNonZero),
	Others: "PML TripletMarginLoss: unit rows, WithMargin(0.05), WithNonZero; tfa triplet_hard_loss: WithMining(MineHard); TF Similarity TripletLoss: WithMining(MineSemiHard)",
	Grouped: func(s *core.Settings) core.Grouping {
		return core.Grouping{Entries: "N", Values: "N", Scan: s.Embedding.NonZero}
	},
	Parts: func(s *core.Settings, d *core.GroupDims) core.PartsFunc {
		t := tripletsOf(s)
		counted := shares(true, func(p, n int) int {
			if t.mining == MineAll {
				return p * n
			}
			return 1
		})(s, d)
		return func(g *core.Group) error {
			if err := counted(g); err != nil || !s.Embedding.NonZero {
				return err
			}
			b := batchOf(g)
			t.pairs(g, d).EachRow(func(r *formula.PairRow) {
				if g.Den[r.I] == 0 {
					return
				}
				_, above := t.row(b.at(r, 0))
				if g.Den[r.I] = float64(above); above == 0 {
					g.Parts[r.I] = 0
				}
			})
			return nil
		}
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		t := tripletsOf(s)
		return func(g *core.Group) error {
			b, pairs := batchOf(g), t.pairs(g, d)
			pairs.EachRow(func(r *formula.PairRow) {
				l, _ := t.row(b.at(r, g.Factor[r.I]))
				if g.Value != nil {
					g.Value[r.I] = l
				}
			})
			pairs.Finish()
			return nil
		}
	},
}

// triplets are the triplets that the settings choose.
type triplets struct {
	mining   Mining
	distance Distance
	margin   float64
	soft     bool
}

func tripletsOf(s *core.Settings) *triplets {
	return &triplets{Mining(s.Embedding.Mining), Distance(s.Embedding.Distance), tripletMarginOf(s), s.Embedding.Soft}
}

// pairs returns the pairs whose numbers are distances, or cosines with the sign changed: only their
// differences count.
func (t *triplets) pairs(g *core.Group, d *core.GroupDims) *formula.Pairs {
	if t.distance != DistanceCosine {
		return anchorPairs(g, d, [2]formula.PairKind{formula.Distances, formula.SquaredDistances}[t.distance], false)
	}
	p := anchorPairs(g, d, formula.Products, true)
	p.Scale = -1
	return p
}

// row returns the sum of the losses of the triplets of an anchor and how many are above 0, and
// writes the derivatives.
func (t *triplets) row(a *anchor) (sum float64, above int) {
	clear(a.G)
	clear(a.DG)
	add := func(j, k int) {
		l, d, dd := excess(a.S[j]-a.S[k]+t.margin, t.soft)
		sum += l
		above += formula.Indicator(l > 0)
		a.G[j] += a.factor * d
		a.G[k] -= a.factor * d
		if a.DG != nil && dd != 0 {
			moved := a.factor * dd * (a.DS[j] - a.DS[k])
			a.DG[j] += moved
			a.DG[k] -= moved
		}
	}
	if t.mining == MineAll {
		negatives := slices.Collect(a.negatives)
		for j := range a.positives {
			for _, k := range negatives {
				if t.soft || !(a.S[j]-a.S[k]+t.margin <= 0) {
					add(j, k)
				}
			}
		}
		return sum, above
	}
	far, near, last := -1, -1, -1 // the furthest positive, the nearest negative (beyond that), the furthest one
	for j := range a.positives {
		if far < 0 || a.S[j] > a.S[far] {
			far = j
		}
	}
	if far < 0 {
		return 0, 0
	}
	for j := range a.negatives {
		if s := a.S[j]; t.mining == MineHard || s > a.S[far] {
			if near < 0 || s < a.S[near] {
				near = j
			}
		}
		if last < 0 || a.S[j] > a.S[last] {
			last = j
		}
	}
	if near < 0 && t.mining != MineHard {
		near = last
	}
	if near >= 0 {
		add(far, near)
	}
	return sum, above
}

// NPairs returns the cross-entropy of identifying the positives of each anchor among the positives
// of all anchors by dot product.
//
// With S_ij the dot product of anchor i and positive j, p_i the softmax of S_i and t_ij the share
// 1/n of each of the n positives whose label is that of anchor i,
//
//	l_i = -Σ_j t_ij·log p_ij        dl_i/dS_ij = p_ij - t_ij
//
// anchors and positives have the shape (N, D) and the same dtype; labels (Int, Int64, Int32 or
// Uint8, any integers) the shape (N). With [WithPositives] W of shape (N, N), t_ij = W_ij/Σ_j W_ij,
// and the labels are not used. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithPositives], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// A mask removes row i of both operands and its row and column of W. An anchor whose row of W is 0
// does not count. The lengths of the vectors are not penalised; [MSE] against zeros does that.
//
// [InfoNCE] uses cosines, in both directions.
//
// Reference: K. Sohn, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, 2016.
func NPairs(anchors, positives, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&nPairs, opts, anchors, positives, labels)
}

var nPairs = core.Definition{
	Name: "NPairs", Operands: append(vectors("anchors", "positives"), core.Operand{Name: "labels", Holds: core.Identifiers, Shape: "N", Data: true},
		core.Operand{Name: "shares", Holds: core.Relations, Shape: "N N", Option: core.OptPositives, Data: true}),
	Takes: core.Options(core.ReduceOptions, core.OptPositives), Grouped: ofBatch, Laws: core.NonNegative,
	Others: "tfa npairs_loss; npairs_multilabel_loss: WithPositives with the numbers of common labels; PML NPairsLoss",
	Parts: func(*core.Settings, *core.GroupDims) core.PartsFunc {
		return func(g *core.Group) error {
			for i := range g.Parts {
				if w := g.X[3]; len(w) > 0 && !positiveRow(w[i*g.N:(i+1)*g.N]) {
					g.Parts[i], g.Den[i] = 0, 0
				}
			}
			return nil
		}
	},
	Group: func(_ *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			a, b := formula.PointsOf(g, formula.MatrixOf(g, 0), d.Len('D'), false), formula.PointsOf(g, formula.MatrixOf(g, 1), d.Len('D'), false)
			pairs, labels, w := formula.NewPairs(g, formula.Products, a, b, d.Float32), g.Int[2], g.X[3]
			same, given := placesOf(labels), (*relations)(nil)
			if w != nil {
				given = relationsOf(g, w, g.N, g.N, nil, false)
			}
			positives := func(i int) iter.Seq2[int, float64] {
				if given != nil {
					return given.of(i)
				}
				return func(yield func(int, float64) bool) {
					for _, j := range same[labels[i]] {
						if !yield(j, 1) {
							return
						}
					}
				}
			}
			pairs.EachRow(func(r *formula.PairRow) {
				t := positives(r.I)
				l := r.CrossEntropy(fractions(t, total(t)), g.Factor[r.I])
				if g.Value != nil {
					g.Value[r.I] = l
				}
			})
			pairs.Finish()
			return nil
		}
	},
}

// positiveRow reports whether a row has a number above 0.
func positiveRow(w []float64) bool {
	for _, v := range w {
		if v > 0 {
			return true
		}
	}
	return false
}

// withProxies declares the operands of a loss of embeddings and a proxy for each class.
func withProxies() []core.Operand {
	return append(vectors("embeddings"), core.Operand{Name: "proxies", Holds: core.Real, Shape: "C D"},
		core.Operand{Name: "labels", Holds: core.Labels, Shape: "N", Data: true})
}

// proxyPairs returns the pairs of embeddings and proxies, or with byProxy of proxies and
// embeddings.
func proxyPairs(g *core.Group, d *core.GroupDims, kind formula.PairKind, byProxy bool) *formula.Pairs {
	var p [2]*formula.Points
	for k := range p {
		p[k] = formula.PointsOf(g, formula.MatrixOf(g, k), d.Len('D'), true)
	}
	if byProxy {
		return formula.NewPairs(g, kind, p[1], p[0], d.Float32)
	}
	return formula.NewPairs(g, kind, p[0], p[1], d.Float32)
}

// ProxyNCA returns the cross-entropy of each embedding's label against the softmax of its negated
// squared distances to the proxies of all classes.
//
// With u the embedding and v_c the proxies divided by their lengths, s the scale and
// p = softmax(-s·‖u - v_c‖²),
//
//	l = -log p_y        dl/d‖u - v_c‖² = s·([c=y] - p_c)
//
// embeddings have the shape (N, D), proxies, one for each class, (C, D) and the same dtype; both
// are differentiated. labels (Int, Int64, Int32 or Uint8) in [0, C) have the shape (N). The result
// is a scalar, or has the shape (N) under [None].
//
// Options: [WithScale] (s > 0, default 1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The sum includes the proxy of the label, which the first paper leaves out. A zero vector remains
// zero, with gradient 0; vectors shorter than 1e-8 are divided by 1e-8.
//
// [ProxyAnchor] uses proxies as anchors. [ArcFace] uses cosines with a margin.
//
// Reference: Y. Movshovitz-Attias et al., No Fuss Distance Metric Learning Using Proxies, 2017; E.
// W. Teh, T. DeVries, G. W. Taylor, ProxyNCA++, 2020.
func ProxyNCA(embeddings, proxies, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&proxyNCA, opts, embeddings, proxies, labels)
}

var proxyNCA = core.Definition{
	Name: "ProxyNCA", Operands: withProxies(), Takes: core.Options(core.ReduceOptions, core.OptScale), Defaults: core.Settings{Scale: 1},
	Grouped: func(*core.Settings) core.Grouping { return core.Grouping{Entries: "N", Values: "N", Apart: true} },
	Laws:    core.NonNegative, Others: "PML ProxyNCALoss: softmax_scale",
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			pairs := proxyPairs(g, d, formula.SquaredDistances, false)
			pairs.EachRow(func(r *formula.PairRow) {
				formula.Scale(r.S, -s.Scale)
				formula.Scale(r.DS, -s.Scale)
				l := r.CrossEntropy(formula.One(g.Int[2][r.I]), g.Factor[r.I])
				formula.Scale(r.G, -s.Scale)
				formula.Scale(r.DG, -s.Scale)
				if g.Value != nil {
					g.Value[r.I] = l
				}
			})
			pairs.Finish()
			return nil
		}
	},
}

// oneValue is the grouping of losses with one value for the whole batch.
func oneValue(*core.Settings) core.Grouping { return core.Grouping{Entries: "N", Whole: true} }

// wholeOptions are the options of losses with one value for the whole batch.
var wholeOptions = core.Options(core.OptReduction, core.OptMask)

// ProxyAnchor returns smooth maxima of the amounts by which the cosines of each proxy with the
// embeddings of its class fall below a margin, and those with other embeddings exceed minus the
// margin, averaged over the proxies.
//
// With c_xp the cosine of embedding x and proxy p, X_p the embeddings whose label is p, P the
// proxies with any, C the number of proxies and m the margin,
//
//	l = 1/|P|·Σ_{p∈P} log(1 + Σ_{x∈X_p} e^(-α(c_xp - m))) + 1/C·Σ_p log(1 + Σ_{x∉X_p} e^(α(c_xp + m)))
//	dl/dc_xp = -α/|P|·e^(-α(c_xp - m))/(1 + Σ_{X_p} e^(-α(c - m)))  for x in X_p
//
// and likewise for the others. embeddings have the shape (N, D), proxies, one for each class, (C,
// D) and the same dtype; both are differentiated. labels (Int, Int64, Int32 or Uint8) in [0, C)
// have the shape (N). The result is a scalar under every reduction, and takes no weights.
//
// Options: [WithMargin] (default 0.1), [WithAlpha] (α > 0, default 32), [WithReduction],
// [WithMask].
//
// A mask of shape (N) removes embeddings; if none is left, the value is 0. Zero vectors and float32
// are as in [NTXent].
//
// [ProxyNCA] uses embeddings as anchors. [MultiSimilarity] has no proxies.
//
// Reference: S. Kim, D. Kim, M. Cho, S. Kwak, Proxy Anchor Loss for Deep Metric Learning, 2020.
func ProxyAnchor(embeddings, proxies, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&proxyAnchor, opts, embeddings, proxies, labels)
}

var proxyAnchor = core.Definition{
	Name: "ProxyAnchor", Operands: withProxies(), Takes: core.Options(wholeOptions, core.OptMargin, core.OptAlpha),
	Defaults: core.Settings{Margin: 0.1, Alpha: 32}, Grouped: oneValue, Laws: core.NonNegative, Others: "PML ProxyAnchorLoss",
	Check: func(s *core.Settings) error {
		if s.Alpha <= 0 {
			return fmt.Errorf("WithAlpha is %v, want a number > 0", s.Alpha)
		}
		return nil
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		positive, negative := formula.Side{Factor: -s.Alpha, Centre: s.Margin}, formula.Side{Factor: s.Alpha, Centre: -s.Margin}
		return func(g *core.Group) error {
			pairs := proxyPairs(g, d, formula.Products, true)
			n, labels := pairs.A.N, g.Int[2]
			same := placesOf(labels)
			values, join := g.Buf(n), apart(1/float64(len(same)), 1/float64(n))
			pairs.Factor = nil
			pairs.EachRow(func(r *formula.PairRow) {
				values[r.I] = r.Joined(same[r.I], -1, positive, negative, join, g.Factor[0])
			})
			pairs.Finish()
			if g.Value != nil {
				g.Value[0] = 0
				for _, v := range values {
					g.Value[0] += v
				}
			}
			return nil
		}
	},
}
