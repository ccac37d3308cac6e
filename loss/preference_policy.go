package loss

import (
	"fmt"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// A KLEstimator estimates the divergence of the policy from the reference at a sampled token, with d
// = refLogp - logp.
type KLEstimator uint8

const (
	// K3 is e^d - d - 1: never negative, of low variance; off-policy its gradient is biased. It is
	// the default.
	K3 KLEstimator = iota
	// K2 is d²/2, whose gradient on-policy is that of the reverse divergence.
	K2
	// K1 is -d, unbiased; the expectation of its gradient is 0.
	K1
)

// An Aggregation is a way of averaging the values of tokens in [GRPO].
type Aggregation uint8

const (
	// SequenceMean is the mean over sequences of the mean over their tokens. It is the default.
	SequenceMean Aggregation = iota
	// TokenMean is the mean over all tokens.
	TokenMean
	// SequenceSum is the mean over sequences of the sum over their tokens.
	SequenceSum
)

// WithSequenceRatio makes [GRPO] take one ratio for all tokens of a sequence: the geometric mean of
// the tokens' ratios, as in group sequence policy optimisation.
func WithSequenceRatio() Option { return core.OptSequenceRatio.Flag }

// WithEpsilonHigh sets the upper clip range ε' >= 0 of [GRPO] and [PPO]. Default ε.
func WithEpsilonHigh(eps float64) Option { return number(core.OptEpsilonHigh, eps) }

// WithKLEstimator sets how [GRPO] estimates the divergence from the reference: [K3] (default), [K2]
// or [K1].
func WithKLEstimator(k KLEstimator) Option {
	return func(s *core.Settings) error {
		return core.Choice(s, core.OptKLEstimator, (*KLEstimator)(&s.Preference.KLEstimator), k, int(K1)+1)
	}
}

// WithAggregation sets the mean of [GRPO]: [SequenceMean] (default), [TokenMean] or [SequenceSum].
func WithAggregation(a Aggregation) Option {
	return func(s *core.Settings) error {
		return core.Choice(s, core.OptAggregation, (*Aggregation)(&s.Preference.Aggregation), a, int(SequenceSum)+1)
	}
}

// WithFixedLength makes the mean of [GRPO] the mean over sequences of the sum over their tokens
// divided by n >= 1, in the place of [WithAggregation].
func WithFixedLength(n int) Option { return integer(core.OptFixedLength, n) }

// GRPO returns the clipped surrogate of group relative policy optimisation with an estimate of the
// divergence from the reference, token by token.
//
// With A the advantage, r = exp(logp - oldLogp), d = refLogp - logp and k an estimate of the
// divergence ([KLEstimator]),
//
//	l = -min(min(r, δ)·A, clip(r, 1-ε, 1+ε')·A) + β·k        dl/dlogp = -r·A + β·dk/dlogp, without the first term where r is clipped
//
// logp, oldLogp and refLogp have the shape (N, T), a sequence in each row, advantages the shape (N)
// or (N, T), all of one dtype. oldLogp may be nil: the policy is the old one, and r = 1 with the
// derivative of r. refLogp may be nil where β = 0. There is a gradient with respect to logp alone:
// the old policy and the reference gave the samples and are constants. The result is a scalar, or
// has the shape (N, T) under [None].
//
// Options: [WithEpsilon] (ε >= 0, default 0.2), [WithEpsilonHigh] (ε', default ε), [WithDelta] (δ >=
// 1+ε', a bound for negative advantages, default off), [WithBeta] (β >= 0, default 0),
// [WithKLEstimator] (default K3), [WithSequenceRatio], [WithAggregation] (default SequenceMean),
// [WithFixedLength], [WithSegments], [WithReduction], [WithWeights] (N, T), [WithMask] (N, T),
// [WithNormalizer], [WithNormalizerNode].
//
// Masked tokens have value 0 and no part in any denominator, nor has a sequence without a token.
// [Sum] is the numerator of the mean, and a normalizer replaces its outer denominator. At a tie of
// the branches the unclipped one has the derivative. An advantage of 0 gives 0 with gradient 0,
// whatever the ratio. Log-ratios are not clamped.
//
// [Advantages] computes advantages from rewards, [TokenLogProb] log-probabilities. [PPO] is the form
// without a reference.
//
// Reference: Z. Shao et al., DeepSeekMath, 2024; C. Zheng et al., Group Sequence Policy
// Optimization, 2025.
func GRPO(logp, oldLogp, refLogp, advantages *G.Node, opts ...Option) (*G.Node, error) {
	if oldLogp != nil {
		opts = append(slices.Clone(opts), operand(core.OptOldLogProb, oldLogp))
	}
	if refLogp != nil {
		opts = append(slices.Clone(opts), operand(core.OptRefLogProb, refLogp))
	}
	return build(&grpo, opts, logp, advantages)
}

var grpo = core.Definition{
	Name: "GRPO", Operands: []core.Operand{{Name: "logp", Holds: core.Real, Shape: "N T"}, {Name: "advantages", Holds: core.FiniteReal, Shape: "N|N T", Data: true},
		{Name: "oldLogp", Holds: core.Real, Shape: "N T", Option: core.OptOldLogProb, Data: true},
		{Name: "refLogp", Holds: core.Real, Shape: "N T", Option: core.OptRefLogProb, Data: true},
		{Name: "segments", Holds: core.Identifiers, Shape: "T", Option: core.OptSegments}},
	Takes: core.Options(policyOptions, core.OptBeta, core.OptKLEstimator, core.OptAggregation, core.OptFixedLength,
		core.OptSequenceRatio, core.OptOldLogProb, core.OptRefLogProb),
	Defaults: core.Settings{Epsilon: 0.2}, Check: checkPolicy,
	Others:  "trl grpo: WithNormalizer(N), bnpo: TokenMean, dapo: TokenMean and WithNormalizer(tokens), dr_grpo: WithFixedLength and WithNormalizer(N), GSPO: WithSequenceRatio; verl seq-mean-token-mean, token-mean, seq-mean-token-sum: the aggregations",
	Grouped: perToken, Parts: tokenParts,
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc { return policy(s, 1, 2, 3) },
}

// PPO returns the clipped surrogate of proximal policy optimisation, token by token.
//
// With A the advantage and r = exp(logp - oldLogp),
//
//	l = -min(min(r, δ)·A, clip(r, 1-ε, 1+ε')·A)        dl/dlogp = -r·A, 0 where r is clipped
//
// logp and oldLogp have the shape (N, T), a sequence in each row, advantages the shape (N) or (N,
// T), all of one dtype. There is a gradient with respect to logp alone. The result is a scalar, the
// mean over all tokens, or has the shape (N, T) under [None].
//
// Options: [WithEpsilon] (ε >= 0, default 0.2), [WithEpsilonHigh] (ε', default ε), [WithDelta] (δ >=
// 1+ε', a bound for negative advantages, default off), [WithSegments], [WithReduction],
// [WithWeights] (N, T), [WithMask] (N, T), [WithNormalizer], [WithNormalizerNode].
//
// It is [GRPO] with β = 0 and [TokenMean]. [PPOValue] is the loss of the value function.
//
// Reference: J. Schulman et al., Proximal Policy Optimization Algorithms, 2017; D. Ye et al.,
// Mastering Complex Control in MOBA Games with Deep Reinforcement Learning, 2020, for δ.
func PPO(logp, oldLogp, advantages *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ppo, opts, logp, oldLogp, advantages)
}

var policyOptions = core.Options(core.ReduceOptions, core.OptSegments, core.OptEpsilon, core.OptEpsilonHigh, core.OptDelta)

var ppo = core.Definition{
	Name: "PPO", Operands: []core.Operand{{Name: "logp", Holds: core.Real, Shape: "N T"}, {Name: "oldLogp", Holds: core.Real, Shape: "N T", Data: true},
		{Name: "advantages", Holds: core.FiniteReal, Shape: "N|N T", Data: true},
		{Name: "segments", Holds: core.Identifiers, Shape: "T", Option: core.OptSegments}},
	Takes: policyOptions, Defaults: core.Settings{Epsilon: 0.2,
		Preference: core.Preference{Aggregation: uint8(TokenMean)}}, Check: checkPolicy,
	Others: "trl PPOTrainer, verl", Grouped: perToken, Parts: tokenParts,
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return policy(s, 2, 1, -1)
	},
}

// perToken is the grouping of losses with a value for each token of a sequence.
func perToken(*core.Settings) core.Grouping {
	return core.Grouping{Over: "N", Entries: "T", Values: "N T", Inside: true}
}

func checkPolicy(s *core.Settings) error {
	switch high := epsilonHigh(s); {
	case s.Epsilon < 0:
		return fmt.Errorf("WithEpsilon is %v, want a number >= 0", s.Epsilon)
	case s.Has(core.OptDelta) && s.Delta < 1+high:
		return fmt.Errorf("WithDelta is %v, want a number >= %v, the upper end of the clip range", s.Delta, 1+high)
	case s.Has(core.OptFixedLength) && s.Has(core.OptAggregation):
		return fmt.Errorf("WithFixedLength and WithAggregation exclude each other")
	case s.Beta != 0 && !s.Has(core.OptRefLogProb):
		return fmt.Errorf("WithBeta is %v without refLogp, want 0", s.Beta)
	}
	return nil
}

func epsilonHigh(s *core.Settings) float64 {
	if s.Has(core.OptEpsilonHigh) {
		return s.Preference.EpsilonHigh
	}
	return s.Epsilon
}

// tokenParts are the parts of tokens in the aggregation. The weights of tokens are inside.
func tokenParts(s *core.Settings, _ *core.GroupDims) core.PartsFunc {
	return func(g *core.Group) error {
		sum := float64(g.N)
		if g.Weight != nil {
			sum = 0
			for _, w := range g.Weight {
				sum += w
			}
		}
		inner := 1.0
		switch {
		case s.Reduction == None:
		case s.Has(core.OptFixedLength):
			inner = 1 / float64(s.Preference.FixedLength)
		case Aggregation(s.Preference.Aggregation) == SequenceMean:
			if inner = 1 / sum; sum == 0 {
				inner = 0
			}
		}
		for i := range g.Parts {
			w := 1.0
			if g.Weight != nil {
				w = g.Weight[i]
			}
			g.Parts[i], g.Den[i] = w*inner, 0
			if Aggregation(s.Preference.Aggregation) == TokenMean && !s.Has(core.OptFixedLength) {
				g.Den[i] = w
			}
		}
		if sum != 0 && (Aggregation(s.Preference.Aggregation) != TokenMean || s.Has(core.OptFixedLength)) {
			g.Den[0] = 1 // the sequence
		}
		return nil
	}
}

// policy is the clipped surrogate of a sequence; advantage, old and ref are the places of the
// advantages, the old policy and the reference.
func policy(s *core.Settings, advantage, old, ref int) core.GroupFunc {
	lo, hi, delta, beta := 1-s.Epsilon, 1+epsilonHigh(s), math.Inf(1), s.Beta
	if s.Has(core.OptDelta) {
		delta = s.Delta
	}
	// surrogate returns -min(..) and its derivative by r.
	surrogate := func(r, a float64) (l, d float64) {
		if a == 0 {
			return 0, 0
		}
		free, clipped := min(r, delta)*a, min(max(r, lo), hi)*a
		switch {
		case r != r:
			return r, r
		case free > clipped:
			return -clipped, 0
		case r > delta:
			return -free, 0
		}
		return -free, -a
	}
	return func(g *core.Group) error {
		x, v, n := g.X[0], g.Dir[0], float64(g.N)
		grad, hess := g.Grad[0], g.Hess[0]
		ratio := g.Buf(g.N) // of logarithms, then of probabilities
		mean := 0.0
		for i, p := range x {
			ratio[i] = 0
			if g.X[old] != nil {
				ratio[i] = p - g.X[old][i]
			}
			mean += ratio[i] / n
		}
		moved := 0.0 // the mean of the direction
		for i := range v {
			moved += v[i] / n
		}
		pull, turn := 0.0, 0.0 // of the shared ratio
		for i, p := range x {
			if s.Preference.SequenceRatio {
				ratio[i] = mean
			}
			r, a := math.Exp(ratio[i]), g.X[advantage][0]
			if len(g.X[advantage]) > 1 {
				a = g.X[advantage][i]
			}
			l, d := surrogate(r, a)
			d = formula.Times(d, r) // also the second derivative: the surrogate is linear in r
			var k, dk, ddk float64
			if beta != 0 {
				k, dk, ddk = klEstimate(KLEstimator(s.Preference.KLEstimator), g.X[ref][i]-p)
			}
			if g.Value != nil {
				g.Value[i] = l + beta*k
			}
			f := g.Factor[i]
			if f == 0 {
				d, dk, ddk = 0, 0, 0
			}
			pull += f * d
			if s.Preference.SequenceRatio {
				turn += f * d * moved
				d = 0
			}
			if grad != nil {
				grad[i] = f * (d + beta*dk)
			}
			if hess != nil {
				hess[i] = 0
				if v != nil {
					hess[i] = formula.Times(v[i], f*(d+beta*ddk))
				}
			}
		}
		if s.Preference.SequenceRatio {
			for i := range grad {
				grad[i] += pull / n
			}
			for i := range hess {
				hess[i] += turn / n
			}
		}
		return nil
	}
}

// klEstimate returns an estimate of the divergence at d = refLogp - logp, with its derivatives by
// logp.
func klEstimate(k KLEstimator, d float64) (l, first, second float64) {
	switch k {
	case K2:
		return d * d / 2, -d, 1
	case K1:
		return -d, 1, 0
	}
	return formula.Expm1mx(d), -math.Expm1(d), math.Exp(d)
}

// PPOValue returns the clipped loss of the value function in proximal policy optimisation, element
// by element.
//
// With c = clip(value, oldValue-ε, oldValue+ε),
//
//	l = ½·max((value - returns)², (c - returns)²)        dl/dvalue = value - returns, 0 where the clipped term is larger and value is clipped
//
// value, oldValue and returns have one shape (any rank) and dtype. There is a gradient with respect
// to value alone. The result is a scalar, or has the shape of value under [None].
//
// Options: [WithEpsilon] (ε >= 0, default 0.2), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// At a tie the unclipped term has the derivative.
//
// [PPO] is the loss of the policy.
//
// Reference: J. Schulman et al., Proximal Policy Optimization Algorithms, 2017; the clipping of
// values from its authors' program.
func PPOValue(value, oldValue, returns *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ppoValue, opts, value, oldValue, returns)
}

var ppoValue = core.Definition{
	Name: "PPOValue", Operands: []core.Operand{{Name: "value", Holds: core.Real, Shape: "*"}, {Name: "oldValue", Holds: core.Real, Shape: "*", Data: true},
		{Name: "returns", Holds: core.Real, Shape: "*", Data: true}},
	Takes: core.Options(core.ReduceOptions, core.OptEpsilon), Defaults: core.Settings{Epsilon: 0.2}, Check: checkPolicy,
	Laws: core.NonNegative, Others: "trl, verl: the same with the ½",
	Grouped: func(*core.Settings) core.Grouping { return core.Grouping{Entries: "*", Values: "*", Apart: true} },
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		eps := s.Epsilon
		return entrywise(func(x [core.MaxPlaces]float64) (j formula.MultiPartials) {
			e := x[0] - x[2]
			c := min(max(x[0], x[1]-eps), x[1]+eps) - x[2]
			if math.Abs(c) > math.Abs(e) { // clipped, where c is not e
				j.L = c * c / 2
				return j
			}
			j.L, j.D[0], j.H[0][0] = e*e/2, e, 1
			return j
		})
	},
}
