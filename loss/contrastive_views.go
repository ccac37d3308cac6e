package loss

import (
	"fmt"
	"iter"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithPositives says which rows of two views belong together, in place of the rows with the same
// index: a Bool node, or one of numbers >= 0 of any integer type or the dtype of the operands, with
// a row for each row of the first and a column for each row of the second. Numbers are the weights
// of several positives of a row. w has no gradient.
func WithPositives(w *G.Node) Option { return operand(core.OptPositives, w) }

// WithScaleNode is [WithScale] with a scalar node of the operands' dtype, which is differentiated
// like any operand. Models often learn its logarithm.
func WithScaleNode(scale *G.Node) Option { return operand(core.OptScaleNode, scale) }

// WithOneWay keeps only the direction from queries to keys; there may be more keys than queries.
func WithOneWay() Option {
	return core.OptOneWay.Flag
}

// The places of the operands of losses of two views that options give.
const (
	positivesAt = 2
	scaleAt     = 3
	biasAt      = 4
)

// twoViews declares the operands of a loss of two views.
func twoViews() []core.Operand {
	return append(vectors("queries", "keys"), core.Operand{Name: "positives", Holds: core.Relations, Shape: "N N", Option: core.OptPositives, Data: true},
		core.Operand{Name: "scale", Holds: core.Real, Option: core.OptScaleNode})
}

// oneScale refuses more than one way to give the scale.
func oneScale(s *core.Settings) error {
	n := 0
	for _, o := range [3]core.OptionSet{core.OptScale, core.OptScaleNode, core.OptTemperature} {
		n += formula.Indicator(s.Has(o))
	}
	if n > 1 {
		return fmt.Errorf("WithScale, WithScaleNode and WithTemperature exclude each other")
	}
	return nil
}

// InfoNCE returns the cross-entropy of identifying the key of each query among all keys by cosine
// similarity, and the query of each key among all queries.
//
// With c_ij the cosine of query i and key j, z = σ·c, σ the scale, and p and q the softmax of z
// over the keys of a query and over the queries of a key,
//
//	r_i = -log p_ii        dr_i/dz_ij = p_ij - [i=j]
//	c_j = -log q_jj        dc_j/dz_ij = q_ij - [i=j]
//
// the result is half the mean of r plus half the mean of c. Under [None], of shape (N), and in
// [Sum], the values are (r_i + c_i)/2. queries and keys have the shape (N, D) and the same dtype.
// [WithPositives] W of shape (N, N) makes r_i = -Σ_j W_ij·log p_ij/Σ_j W_ij, and c_j the same by
// columns; a mean is then over the rows, or the columns, that have a positive. [WithOneWay] keeps
// only r, for keys of shape (M, D) and W of shape (N, M).
//
// Options: [WithTemperature] (T > 0, σ = 1/T, default 0.07), [WithScale] (σ > 0) or [WithScaleNode]
// (any number) instead, [WithPositives], [WithOneWay], [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// A mask of shape (N) removes row i of both views and its row and column of W. Weights of shape (N)
// are those of the queries in the mean of r and of the keys in the mean of c. The mean of both
// directions is not a quotient of two sums; with a normalizer it is Σ (r + c)/2 divided by the
// normalizer. Duplicates of a key are negatives of its query unless W says otherwise. The memory
// beyond the operands is two numbers for each pair. Zero vectors and float32 are as in [NTXent].
//
// [SigLIP] treats each pair separately. [DCL] leaves the positive out of the denominator.
//
// Reference: A. van den Oord, Y. Li, O. Vinyals, Representation Learning with Contrastive
// Predictive Coding, 2018; A. Radford et al., Learning Transferable Visual Models from Natural
// Language Supervision, 2021.
func InfoNCE(queries, keys *G.Node, opts ...Option) (*G.Node, error) {
	return build(&infoNCE, opts, queries, keys)
}

var infoNCE = core.Definition{
	Name: "InfoNCE", Operands: twoViews(), Defaults: core.Settings{Temperature: 0.07}, Check: oneScale, Laws: core.NonNegative,
	Takes:  core.Options(core.ReduceOptions, core.OptTemperature, core.OptScale, core.OptScaleNode, core.OptPositives, core.OptOneWay),
	Others: "CLIP and open_clip ClipLoss: WithScaleNode; sentence-transformers MultipleNegativesRankingLoss: WithOneWay, WithScale(20)",
	Grouped: func(s *core.Settings) core.Grouping {
		if s.Embedding.OneWay {
			return core.Grouping{Entries: "N", Values: "N", Gathered: true, Shapes: map[int]string{1: "M D", positivesAt: "N M"}}
		}
		return core.Grouping{Entries: "N", Values: "N", Gathered: true, Whole: true}
	},
	Parts: func(s *core.Settings, d *core.GroupDims) core.PartsFunc {
		return func(g *core.Group) error {
			v := newViews(g, s, d)
			for i := range g.Parts {
				if v.oneWay && total(v.positives(i, false)) == 0 {
					g.Parts[i], g.Den[i] = 0, 0
				}
			}
			return nil
		}
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			newViews(g, s, d).infoNCE(s, d)
			return nil
		}
	},
}

// A views is what InfoNCE reads.
type views struct {
	g     *core.Group
	n, m  int           // queries and keys
	given [2]*relations // the positives of queries and of keys; nil: those with the same place
	dead  []bool        // keys that the mask takes out; nil: none

	oneWay bool
}

// newViews returns the views of a group. As many keys as queries are masked with them, in one
// direction, too, where they are no entries of the group.
func newViews(g *core.Group, s *core.Settings, d *core.GroupDims) *views {
	v := &views{g: g, n: g.N, m: g.N, oneWay: s.Embedding.OneWay}
	if v.oneWay {
		if v.m = d.Len('M'); v.m == d.Len('N') && g.At != nil {
			v.dead = make([]bool, v.m)
			for j := range v.dead {
				v.dead[j] = true
			}
			for _, j := range g.At {
				v.dead[j] = false
			}
		}
	}
	if w := g.X[positivesAt]; w != nil {
		v.given[0] = relationsOf(g, w, v.n, v.m, v.dead, false)
		if !v.oneWay {
			v.given[1] = relationsOf(g, w, v.n, v.m, v.dead, true)
		}
	}
	return v
}

// positives yields the weights of the positives of query i, or of key i.
func (v *views) positives(i int, byKey bool) iter.Seq2[int, float64] {
	if r := v.given[formula.Indicator(byKey)]; r != nil {
		return r.of(i)
	}
	if v.oneWay { // keys are no entries of the group
		i = v.g.Position(i)
	}
	return formula.One(i)
}

// relations are the weights of the pairs of a row or a column of a matrix, but those of 0.
type relations struct {
	from []int // where those of a row begin; one more: the end
	at   []int
	w    []float64
}

// relationsOf returns those of the rows of an n×m matrix, or of its columns, without dead columns.
func relationsOf(g *core.Group, w []float64, n, m int, dead []bool, byColumn bool) *relations {
	r := &relations{from: g.Ints([2]int{n, m}[formula.Indicator(byColumn)] + 1)}
	clear(r.from)
	each := func(f func(row, column int, x float64)) {
		for k, x := range w {
			if i, j := k/m, k%m; x != 0 && (dead == nil || !dead[j]) {
				if byColumn {
					i, j = j, i
				}
				f(i, j, x)
			}
		}
	}
	each(func(i, _ int, _ float64) { r.from[i+1]++ })
	for i := range r.from[1:] {
		r.from[i+1] += r.from[i]
	}
	all := r.from[len(r.from)-1]
	r.at, r.w = g.Ints(all), g.Buf(all)
	next := append(g.Ints(len(r.from))[:0], r.from...)
	each(func(i, j int, x float64) {
		r.at[next[i]], r.w[next[i]] = j, x
		next[i]++
	})
	return r
}

// of yields the weights of a row.
func (r *relations) of(i int) iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) {
		for k := r.from[i]; k < r.from[i+1]; k++ {
			if !yield(r.at[k], r.w[k]) {
				return
			}
		}
	}
}

// total returns the sum of weights.
func total(t iter.Seq2[int, float64]) (sum float64) {
	for _, w := range t {
		sum += w
	}
	return sum
}

// fractions yields weights divided by their sum.
func fractions(t iter.Seq2[int, float64], sum float64) iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) {
		for j, w := range t {
			if !yield(j, w/sum) {
				return
			}
		}
	}
}

// jointScale is the largest scale with which one exponential of each pair serves both directions.
const jointScale = 300

// infoNCE computes the loss.
func (v *views) infoNCE(s *core.Settings, d *core.GroupDims) {
	g, scale := v.g, 1/s.Temperature
	if s.Has(core.OptScale) {
		scale = s.Scale
	}
	queries, keys, width := formula.MatrixOf(g, 0), formula.MatrixOf(g, 1), d.Len('D')
	if v.dead != nil { // zeros for what is never read
		keys.X = append(g.Buf(len(keys.X))[:0], keys.X...)
		for j, dead := range v.dead {
			if dead {
				clear(keys.X[j*width : (j+1)*width])
			}
		}
	}
	y := scalingOf(g, scale, 0, v.n+v.m)
	values, factors, share := v.parts()
	if sigma := math.Abs(y.scale[0]); !g.Second() && !g.Part() && !v.oneWay && v.given[0] == nil && sigma != 0 && sigma <= jointScale {
		formula.NewBothWays(g, queries, keys, width, y.scale[0], d.Float32).CrossEntropy(values, factors, y.first(v.n))
	} else {
		a, b := formula.PointsOf(g, queries, width, true), formula.PointsOf(g, keys, width, true)
		v.direction(y, y.pairs(a, b, factors[0], d.Float32), values[0], factors[0], false)
		if !v.oneWay {
			v.direction(y, y.pairs(b, a, factors[1], d.Float32), values[1], factors[1], true)
		}
		a.Finish()
		b.Finish()
	}
	y.finish()
	switch {
	case g.Value == nil:
	case g.Whole:
		g.Value[0] = 0
		for k, of := range values {
			for i, l := range of {
				if share[k][i] != 0 {
					g.Value[0] += share[k][i] * l
				}
			}
		}
	case v.oneWay:
		copy(g.Value, values[0])
	default:
		for i := range g.Value {
			g.Value[i] = (values[0][i] + values[1][i]) / 2
		}
	}
}

// parts returns memory for the values of both directions, and their factors in the derivatives; of
// the mean of a whole group also their shares in it.
func (v *views) parts() (values, factors, share [2][]float64) {
	g := v.g
	for k := range 2 {
		values[k], factors[k] = g.Zeros(v.n), g.Zeros(v.n)
		switch {
		case v.oneWay:
			copy(factors[k], g.Factor)
		case !g.Whole:
			for i, f := range g.Factor {
				factors[k][i] = f / 2
			}
		default:
			share[k] = g.Zeros(v.n)
			sum := 0.0
			for i := range share[k] {
				if v.given[0] != nil && total(v.positives(i, k == 1)) == 0 {
					continue
				}
				if share[k][i] = 1; g.Weight != nil {
					share[k][i] = g.Weight[i]
				}
				sum += share[k][i]
			}
			for i, w := range share[k] {
				if sum == 0 {
					share[k][i] = 0
					continue
				}
				share[k][i] = w / sum / 2
				factors[k][i] = g.Factor[0] * share[k][i]
			}
		}
	}
	return values, factors, share
}

// direction computes the values of the rows of pairs, which are queries or keys.
func (v *views) direction(y *scaling, pairs *formula.Pairs, values, factors []float64, byKey bool) {
	if !y.learned && !y.shifted {
		pairs.InFloat32()
	}
	pairs.EachRow(func(r *formula.PairRow) {
		i, place := r.I, r.I
		if byKey {
			place += v.n
		}
		t := v.positives(i, byKey)
		sum := total(t)
		if values[i] = 0; sum == 0 {
			clear(r.S32)
			clear(r.G)
			clear(r.DG)
			return
		}
		values[i] = y.row(r, place, factors[i] == 0, func(r *formula.PairRow) float64 {
			for j, dead := range v.dead {
				if dead {
					r.Out(j)
				}
			}
			return r.CrossEntropy(fractions(t, sum), factors[i])
		})
	})
}

// SigLIP returns the binary cross-entropy of deciding, for each pair of a query and a key, whether
// they belong together.
//
// With c_ij the cosine of query i and key j, z = σ·c + b with the scale σ and the bias b, and y_ij
// = 1 where they belong together and -1 elsewhere,
//
//	l_i = Σ_j log(1 + e^(-y_ij·z_ij))        dl_i/dz_ij = -y_ij/(1 + e^(y_ij·z_ij))
//
// queries and keys have the shape (N, D) and the same dtype. Row i of both belong together, or
// those with a number above 0 in [WithPositives] of shape (N, N). The result is a scalar, or has
// the shape (N) under [None]. [Mean] divides by the number of rows, not of pairs.
//
// Options: [WithScale] (σ > 0, default 10) or [WithScaleNode] (any number) instead, [WithBias] (b,
// a scalar node, default -10), [WithPositives], [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// A mask removes row i of both views. The scale is taken as it is, not its exponential. Zero
// vectors, memory and float32 are as in [NTXent].
//
// In [InfoNCE] the keys of a query compete.
//
// Reference: X. Zhai et al., Sigmoid Loss for Language Image Pre-Training, 2023.
func SigLIP(queries, keys *G.Node, opts ...Option) (*G.Node, error) {
	return build(&sigLIP, opts, queries, keys)
}

var sigLIP = core.Definition{
	Name: "SigLIP", Operands: append(twoViews(), core.Operand{Name: "bias", Holds: core.Real, Option: core.OptBias}),
	Takes:    core.Options(core.ReduceOptions, core.OptScale, core.OptScaleNode, core.OptBias, core.OptPositives),
	Defaults: core.Settings{Scale: 10}, Grouped: gatheredBatch, Check: oneScale, Laws: core.NonNegative,
	Others: "open_clip SigLipLoss and big_vision, which learn log σ",
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			v := newViews(g, s, d)
			a, b := formula.PointsOf(g, formula.MatrixOf(g, 0), d.Len('D'), true), formula.PointsOf(g, formula.MatrixOf(g, 1), d.Len('D'), true)
			y := scalingOf(g, s.Scale, -10, g.N)
			pairs := y.pairs(a, b, g.Factor, d.Float32)
			pairs.EachRow(func(r *formula.PairRow) {
				f := g.Factor[r.I]
				l := y.row(r, r.I, f == 0, func(r *formula.PairRow) float64 {
					return r.Pairwise(v.positives(r.I, false), f)
				})
				if g.Value != nil {
					g.Value[r.I] = l
				}
			})
			pairs.Finish()
			y.finish()
			return nil
		}
	},
}

// DCL returns the decoupled contrastive loss of two views: the cross-entropy of identifying the
// other view of an example among all other examples, without the positive in the denominator.
//
// With z the cosines of the rows of both views divided by the temperature, x_i and y_i the two
// views of example i and N all rows but these two,
//
//	l_i = -z(x_i, y_i) + ½·log Σ_{k∈N} e^z(x_i, k) + ½·log Σ_{k∈N} e^z(y_i, k)
//	dl_i/dz(x_i, k) = ½·e^z(x_i, k)/Σ_{N} e^z(x_i, ·)        dl_i/dz(x_i, y_i) = -1
//
// x and y have the shape (N, D) and the same dtype. The result is a scalar, or has the shape (N)
// under [None].
//
// Options: [WithTemperature] (T > 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// A mask removes row i of both views. A single row does not count, and the value is 0. The loss may
// be negative. Zero vectors, memory and float32 are as in [NTXent].
//
// [NTXent] has the positive in the denominator. [InfoNCE] compares only across the views.
//
// Reference: C.-H. Yeh et al., Decoupled Contrastive Learning, 2022.
func DCL(x, y *G.Node, opts ...Option) (*G.Node, error) { return build(&dcl, opts, x, y) }

var dcl = core.Definition{
	Name: "DCL", Operands: vectors("x", "y"), Takes: core.Options(core.ReduceOptions, core.OptTemperature), Defaults: core.Settings{Temperature: 0.1},
	Grouped: ofBatch, Others: "lightly DCLLoss",
	Parts: func(*core.Settings, *core.GroupDims) core.PartsFunc {
		return func(g *core.Group) error {
			if g.N < 2 {
				clear(g.Parts)
				clear(g.Den)
			}
			return nil
		}
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			m, split := formula.Stacked(g, 0, 1)
			points := formula.PointsOf(g, m, d.Len('D'), true)
			pairs := formula.NewPairs(g, formula.Products, points, points, d.Float32)
			pairs.Scale = 1 / s.Temperature
			n, values := g.N, g.Buf(2*g.N)
			pairs.InFloat32()
			pairs.EachRow(func(r *formula.PairRow) {
				values[r.I] = r.Decoupled((r.I+n)%(2*n), g.Factor[r.I%n]/2)
			})
			for i := range g.Value {
				g.Value[i] = (values[i] + values[n+i]) / 2
			}
			points.Finish()
			split()
			return nil
		}
	},
}
