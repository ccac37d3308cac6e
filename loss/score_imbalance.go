package loss

import (
	"fmt"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// WithGammas sets the focusing powers γ₊ and γ₋ >= 0 of [AsymmetricLoss] for positive and negative
// targets. Default 1 and 4.
func WithGammas(positive, negative float64) Option {
	return numbers(core.OptGammas, []float64{positive, negative})
}

// WithClip sets the shift c of negative probabilities in [AsymmetricLoss], in [0, 1). Default 0.05.
func WithClip(c float64) Option { return number(core.OptClip, c) }

// AsymmetricLoss returns the asymmetric focal loss of independent yes/no targets against the
// sigmoid of logits: easy negatives count less than positives, and very easy ones not at all.
//
// With x a logit, y its target, p = σ(x) and p_m = max(p - c, 0),
//
//	l = -y·(1-p)^γ₊·log p - (1-y)·p_m^γ₋·log(1-p_m)
//	dl/dx = y·(1-p)^γ₊·(γ₊·p·log p - (1-p)) + (1-y)·p_m^γ₋·(1/(1-p_m) - γ₋·log(1-p_m)/p_m)·p(1-p)
//	dl/dy = -(1-p)^γ₊·log p + p_m^γ₋·log(1-p_m)
//
// logits and target have the same shape (any rank); targets lie in [0, 1]. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithGammas] (γ₊, γ₋ >= 0, default 1, 4), [WithClip] (c in [0, 1), default 0.05),
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The derivative goes through the focusing factors. Where p <= c the negative part is 0 with
// derivative 0.
//
// [SigmoidFocal] has one power for both.
//
// Reference: T. Ridnik et al., Asymmetric Loss for Multi-Label Classification, 2021.
func AsymmetricLoss(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&asymmetricLoss, opts, logits, target)
}

var asymmetricLoss = core.Definition{
	Name: "AsymmetricLoss", Operands: elements("logits", core.Logits, "target", core.UnitInterval), Takes: core.Options(core.ReduceOptions, core.OptGammas, core.OptClip),
	Defaults: core.Settings{Score: core.Score{Gammas: []float64{1, 4}, Clip: 0.05}},
	Kernel: points(false, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.Asymmetric, A: s.Score.Gammas[0], B: s.Score.Gammas[1], C: s.Score.Clip}
	}),
	Laws: core.NonNegative, Others: "ASL and timm AsymmetricLossMultiLabel: Sum (the ASL repository's default takes the focusing factors for constants); mmpretrain: Mean",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		plus, minus, clip := s.Score.Gammas[0], s.Score.Gammas[1], s.Score.Clip
		partials := formula.Bivariate(func(x, y float64, _ int) formula.Partials {
			o := formula.OddsOf(x)
			a := focused(o, plus)
			b := clippedNegative(o, minus, clip)
			return formula.Partials{
				L: formula.Times(y, a.L) + formula.Times(1-y, b.L), P: formula.Times(y, a.P) + formula.Times(1-y, b.P), T: a.L - b.L,
				PP: formula.Times(y, a.PP) + formula.Times(1-y, b.PP), PT: a.P - b.P,
			}
		})
		return formula.FirstOrder{Both: func(b *core.Block, value, deriv []float64) {
			l, t := formula.LogisticOf(b, b.X[0], true), b.X[1]
			n := len(l.X)
			yes, no, won, lost := b.Buf(n), b.Buf(n), b.Buf(n), b.Buf(n) // lost: log(1 - p_m)
			for i := range lost {
				o := l.Odds(i)
				yes[i], no[i], won[i], lost[i] = o.Yes, o.No, o.Won, -o.Lost
				if clip != 0 {
					lost[i] = -max(o.Yes-clip, 0)
				}
			}
			if clip != 0 {
				vec.Log1p(lost, lost)
			}
			for i, y := range t {
				o := formula.Odds{Won: won[i], Lost: -lost[i], Yes: yes[i], No: no[i]}
				up, um := power(o.No, plus), 0.0
				m := o.Yes - clip
				if !(m <= 0) {
					um = power(m, minus)
				}
				if value != nil {
					value[i] = formula.Times(y, formula.Times(up, o.Won)) + formula.Times(1-y, formula.Times(um, o.Lost))
				}
				if deriv == nil {
					continue
				}
				a, c := 0.0, 0.0
				if o.No != 0 {
					a = -up * (formula.Times(plus*o.Yes, o.Won) + o.No)
				}
				switch {
				case m <= 0:
				case clip == 0:
					c = um * (o.Yes + minus*o.No*o.Lost)
				default:
					c = (um/(o.No+clip) + minus*um/m*o.Lost) * o.Yes * o.No
				}
				deriv[i] = formula.Times(y, a) + formula.Times(1-y, c)
			}
		}}.Completed(partials)
	},
}

// focused is (1-p)^γ·(-log p) with its derivatives by the logit.
func focused(o formula.Odds, gamma float64) formula.Partials {
	u, s := o.No, o.Won // du/dx = -p·u, ds/dx = -u
	w := power(u, gamma)
	if u == 0 {
		return formula.Partials{L: formula.Times(w, s)}
	}
	q := formula.Times(gamma*o.Yes, s) // γ·p·s
	d := -w * (q + u)
	// d(q+u)/dx = γ·(p·u·s - p·u) - p·u
	dd := w*gamma*o.Yes*(q+u) - w*(formula.Times(gamma*o.Yes*u, s)-gamma*o.Yes*u-o.Yes*u)
	return formula.Partials{L: formula.Times(w, s), P: d, PP: dd}
}

// clippedNegative is p_m^γ·(-log(1-p_m)) with its derivatives by the logit.
func clippedNegative(o formula.Odds, gamma, clip float64) formula.Partials {
	m := o.Yes - clip
	if m <= 0 {
		return formula.Partials{}
	}
	rest, s := o.No+clip, o.Lost // 1 - p_m, -log(1-p_m)
	if clip != 0 {
		s = -math.Log1p(-m)
	}
	w := power(m, gamma)
	first := w / rest // by p_m: w·(1/(1-m) + γ·s/m)
	if gamma != 0 {
		first += gamma * w / m * s
	}
	second := w / rest / rest
	if gamma != 0 {
		second += 2 * gamma * w / m / rest
		if gamma != 1 {
			second += gamma * (gamma - 1) * w / m / m * s
		}
	}
	rate := o.Yes * o.No
	if clip == 0 { // by the logit directly: p_m = p, and 1/(1-p) meets dp/dx = p(1-p)
		d := w * (o.Yes + gamma*o.No*s)
		return formula.Partials{L: formula.Times(w, s), P: d,
			PP: gamma*o.No*d + w*(rate+gamma*o.No*o.Yes-gamma*rate*s)}
	}
	return formula.Partials{L: w * s, P: first * rate, PP: second*rate*rate + first*rate*(o.No-o.Yes)}
}

// WithCounts gives [LDAM] the numbers of training examples of the classes, each above 0; it is
// required. The slice is copied.
func WithCounts(counts []float64) Option { return numbers(core.OptCounts, counts) }

// LDAM returns the cross-entropy of logits from which, for the true class, a margin is taken that
// is larger for rarer classes.
//
// With x a row of logits, y its label, n the counts of the classes, s the scale, w the class
// weights (1 by default) and Δ_c = m·n_c^-¼ / max_k n_k^-¼,
//
//	z = s·(x - Δ_y·[c = y])        l = w_y·(log Σ exp(z) - z_y)
//	dl/dx_j = w_y·s·(softmax(z)_j - [j = y])
//
// logits have the shape (N, C), or any other with a class axis; the authors feed cosines. labels
// (Int, Int64, Int32 or Uint8) have that shape without the axis. The result is a scalar, or has the
// labels' shape under [None].
//
// Options: [WithCounts] (required, one for each class), [WithMargin] (m >= 0, default 0.5),
// [WithScale] (s > 0, default 30), [WithAxis] (the class axis, default -1), [WithIgnoreIndex]
// (default -100), [WithClassWeights], [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The rarest class has the margin m. Deferred re-weighting is [WithClassWeights] later in training,
// for example by [ClassBalanced].
//
// [CosFace] has one margin for all classes.
//
// Reference: K. Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
// 2019.
func LDAM(logits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ldam, opts, logits, labels)
}

var ldam = core.Definition{
	Name: "LDAM", Operands: rows("logits", core.Logits, "labels", core.Labels), Takes: core.Options(core.ClassOptions, core.OptCounts, core.OptMargin, core.OptScale),
	Defaults: core.Settings{Ignore: []int{-100}, Temperature: 1, Scale: 30, Margin: 0.5},
	Laws:     core.ShiftInvariant | core.NonNegative | core.Convex,
	Requires: core.OptCounts,
	Check: func(s *core.Settings) error {
		if s.Margin < 0 {
			return fmt.Errorf("WithMargin is %v, want a number >= 0", s.Margin)
		}
		return nil
	},
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return scaled(s, lessMargin(s))
	},
	Kernel: tiles(core.Logits, core.Labels, scaledTile[float32](lessMargin), scaledTile[float64](lessMargin)),
}

// lessMargin is a logit less the margin of its class.
func lessMargin(s *core.Settings) func(class int, x float64) (z, d, dd float64) {
	rarest := slices.Min(s.Score.Counts)
	margins := make([]float64, len(s.Score.Counts))
	for c, n := range s.Score.Counts {
		margins[c] = s.Margin * math.Sqrt(math.Sqrt(rarest/n))
	}
	return func(class int, x float64) (z, d, dd float64) { return x - margins[class], 1, 0 }
}

// ClassBalanced returns class weights by the effective number of examples, for [WithClassWeights]:
//
//	w_c = (1-β)/(1-β^n_c), scaled to sum to the number of classes with n_c > 0
//
// counts are the numbers n_c >= 0 of examples of the classes; β lies in [0, 1). A class without
// examples has the weight 0. β = 0 gives 1 for every other class; towards 1 the weights become
// proportional to 1/n_c.
//
// A call returns an error of kind [ErrValue] for counts that are empty, negative or not finite, or
// all 0, and for β outside its range.
//
// Reference: Y. Cui et al., Class-Balanced Loss Based on Effective Number of Samples, 2019.
func ClassBalanced(counts []float64, beta float64) ([]float64, error) {
	const name = "ClassBalanced"
	if !(beta >= 0 && beta < 1) {
		return nil, core.Faultf(ErrValue, name, "beta is %v, want a number in [0, 1)", beta)
	}
	w := make([]float64, len(counts))
	sum, present := 0.0, 0
	for c, n := range counts {
		if !(n >= 0 && core.Finite(n)) {
			return nil, core.Faultf(ErrValue, name, "count is %v at class %d, want a finite number >= 0", n, c)
		}
		if n == 0 {
			continue
		}
		w[c] = 1
		if beta > 0 {
			w[c] = (1 - beta) / -math.Expm1(n*math.Log(beta))
		}
		sum += w[c]
		present++
	}
	if present == 0 {
		return nil, core.Faultf(ErrValue, name, "no class has a count above 0")
	}
	for c := range w {
		w[c] *= float64(present) / sum
	}
	return w, nil
}
