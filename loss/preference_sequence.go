package loss

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

// WithMean makes [SequenceLogProb] the mean over tokens instead of the sum.
func WithMean() Option { return core.OptMeanTokens.Flag }

// SequenceLogProb returns the log-probability of each sequence: the sum over its tokens.
//
//	y = Σ_t x_t        dy/dx_t = 1          over the tokens that mask keeps
//	y = Σ_t x_t/T      dy/dx_t = 1/T        [WithMean], with T their number
//
// tokenLogProb has the shape (N, T), as [TokenLogProb] returns it; mask is Bool, Uint8 or of its
// dtype, in its shape, or nil for all tokens. The result has the shape (N): this is a node, not a
// loss, and nothing is reduced.
//
// Options: [WithMean], [WithSegments], [WithMask] (the same as mask).
//
// Masked tokens are never read. A sequence without a token gives 0.
//
// Its results are the operands of [DPO] and its relatives.
//
// Reference: standard.
func SequenceLogProb(tokenLogProb, mask *G.Node, opts ...Option) (*G.Node, error) {
	if mask != nil {
		opts = append(slices.Clone(opts), WithMask(mask))
	}
	return buildValues(&sequenceLogProb, opts, tokenLogProb)
}

var sequenceLogProb = core.Definition{
	Name: "SequenceLogProb", Operands: []core.Operand{{Name: "tokenLogProb", Holds: core.Real, Shape: "N T"}, {Name: "segments", Holds: core.Identifiers, Shape: "T", Option: core.OptSegments}},
	Takes: core.Options(core.OptMeanTokens, core.OptSegments, core.OptMask), Node: true,
	Grouped: func(*core.Settings) core.Grouping { return core.Grouping{Over: "N", Entries: "T", Values: "N"} },
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			f := 1.0
			if s.Preference.TokenMean {
				f = 1 / float64(g.N)
			}
			sum := 0.0
			for _, v := range g.X[0] {
				sum += v
			}
			if g.Value != nil {
				g.Value[0] = f * sum
			}
			for i := range g.Grad[0] {
				g.Grad[0][i] = f * g.Factor[0]
			}
			clear(g.Hess[0])
			return nil
		}
	},
}

// NoScale makes [Advantages] only subtract the mean of the group, as in Dr. GRPO.
func NoScale() Option {
	return func(s *core.Settings) error {
		s.Preference.Scale = 1
		return s.Give(core.OptNoScale)
	}
}

// BatchScale makes [Advantages] divide by the deviation of all rewards instead of the group's.
func BatchScale() Option {
	return func(s *core.Settings) error {
		s.Preference.Scale = 2
		return s.Give(core.OptBatchScale)
	}
}

// LeaveOneOut makes [Advantages] subtract the mean of the others of the group, and not divide, as in
// REINFORCE leave-one-out.
func LeaveOneOut() Option { return core.OptLeaveOneOut.Flag }

var advantages = core.Definition{
	Name: "Advantages", Takes: core.Options(core.OptEpsilon, core.OptNoScale, core.OptBatchScale, core.OptLeaveOneOut), Defaults: core.Settings{Epsilon: 1e-4},
}

// Advantages returns how much better each reward is than the mean of its group, in deviations of the
// group:
//
//	A_i = (r_i - mean)/(std + ε)                 std with n-1 in the denominator
//	A_i = r_i - mean                             [NoScale]
//	A_i = (r_i - mean)/(std of all + ε)          [BatchScale]
//	A_i = r_i - mean of the others               [LeaveOneOut]
//
// Rewards with the same number in groups belong to the same prompt. A group of equal rewards, and
// one of a single reward, has advantages of exactly 0.
//
// Options: [WithEpsilon] (ε >= 0, default 1e-4), NoScale, BatchScale, LeaveOneOut, one of the three
// at most.
//
// A call returns an error of kind [ErrShape] for lists of different lengths, of kind [ErrValue] for
// a reward that is not finite and of kind [ErrOption] for other options.
//
// Reference: Z. Shao et al., DeepSeekMath, 2024; Z. Liu et al., Understanding R1-Zero-Like Training,
// 2025; A. Ahmadian et al., Back to Basics, 2024.
func Advantages(rewards []float64, groups []int, opts ...Option) ([]float64, error) {
	s, err := core.Configure(&advantages, opts)
	switch {
	case err != nil:
		return nil, err
	case s.Epsilon < 0:
		return nil, core.Faultf(ErrOption, advantages.Name, "WithEpsilon is %v, want a number >= 0", s.Epsilon)
	case len(groups) != len(rewards):
		return nil, core.Faultf(ErrShape, advantages.Name, "%d groups, want %d to match the rewards", len(groups), len(rewards))
	}
	given := 0
	for _, o := range []core.OptionSet{core.OptNoScale, core.OptBatchScale, core.OptLeaveOneOut} {
		if s.Has(o) {
			given++
		}
	}
	if given > 1 {
		return nil, core.Faultf(ErrOption, advantages.Name, "NoScale, BatchScale and LeaveOneOut exclude each other")
	}
	members := make(map[int][]int)
	for i, r := range rewards {
		if !core.Finite(r) {
			return nil, core.Faultf(ErrValue, advantages.Name, "reward is %v at index %d, want a finite number", r, i)
		}
		members[groups[i]] = append(members[groups[i]], i)
	}
	_, all := meanDeviation(rewards, nil)
	out := make([]float64, len(rewards))
	for _, at := range members {
		mean, std := meanDeviation(rewards, at)
		if std == 0 {
			continue
		}
		for _, i := range at {
			out[i] = rewards[i] - mean
			switch n := float64(len(at)); {
			case s.Preference.LeaveOneOut:
				out[i] *= n / (n - 1)
			case s.Preference.Scale == 2:
				out[i] /= all + s.Epsilon
			case s.Preference.Scale == 0:
				out[i] /= std + s.Epsilon
			}
		}
	}
	return out, nil
}

// meanDeviation returns the mean of the members of x, nil for all, and their standard deviation with
// n-1 in the denominator; that of equal numbers is exactly 0.
func meanDeviation(x []float64, at []int) (mean, std float64) {
	if at == nil {
		at = make([]int, len(x))
		for i := range at {
			at[i] = i
		}
	}
	n := float64(len(at))
	equal := true
	for _, i := range at {
		mean += x[i] / n
		equal = equal && x[i] == x[at[0]]
	}
	if equal {
		return mean, 0
	}
	for _, i := range at {
		std += (x[i] - mean) * (x[i] - mean) / (n - 1)
	}
	return mean, math.Sqrt(std)
}
