package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithStart gives [LinearChainCRF] the scores of the first tag, (C) in the dtype of the emissions.
// They have a gradient.
func WithStart(scores *G.Node) Option { return operand(core.OptStart, scores) }

// WithEnd gives [LinearChainCRF] the scores of the last tag, (C) in the dtype of the emissions. They
// have a gradient.
func WithEnd(scores *G.Node) Option { return operand(core.OptEnd, scores) }

// LinearChainCRF returns the negative log-likelihood of a sequence of tags under a linear-chain
// conditional random field.
//
// With E the emissions of a sequence, A the transitions, b and e the scores of [WithStart] and
// [WithEnd], 0 without them, and y the tags,
//
//	score(y) = Σ_t E[t,y_t] + Σ_t A[y_(t-1),y_t] + b[y_0] + e[y_last]
//	l = log Σ_y' e^score(y') - score(y)        dl/dE[t,j] = P(y'_t = j) - [j = y_t]
//
// and dl/dA[i,j] is the expected number of transitions from i to j less the observed number.
// emissions have the shape (N, T, C), transitions (C, C), row from and column to, the same dtype,
// tags (Int, Int64, Int32 or Uint8) the shape (N, T) and lengths (the same types) the shape (N). The
// result is a scalar, or has the shape (N) under [None]. Emissions, transitions and the scores of
// the options have gradients.
//
// Options: [WithStart], [WithEnd], [WithReduction], [WithWeights] (N), [WithMask] (N),
// [WithNormalizer] (the number of tags: the mean over tags), [WithNormalizerNode].
//
// Steps beyond a row's length are never read and have gradient 0. A row of length 0 has the value 0
// and counts. A score of -Inf forbids a tag or a transition and has gradient 0; forbidden observed
// tags have the value +Inf and gradient 0. NaN or +Inf in what a row reads makes it NaN. A length
// beyond T and a tag that is no class within the length are errors when the graph runs. It takes
// O(T·C²) a row.
//
// Package tensorops/decode finds the best tags (Viterbi). [CrossEntropy] treats tags as independent.
//
// Reference: J. Lafferty, A. McCallum, F. Pereira, Conditional Random Fields: Probabilistic Models
// for Segmenting and Labeling Sequence Data, 2001.
func LinearChainCRF(emissions, transitions, tags, lengths *G.Node, opts ...Option) (*G.Node, error) {
	return build(&linearChainCRF, opts, emissions, transitions, tags, lengths)
}

var linearChainCRF = core.Definition{
	Name: "LinearChainCRF",
	Operands: []core.Operand{{Name: "emissions", Holds: core.Logits, Shape: "N T C"}, {Name: "transitions", Holds: core.Logits, Shape: "C C"},
		{Name: "tags", Holds: core.Identifiers, Shape: "N T"}, {Name: "lengths", Holds: core.Lengths, Shape: "N"},
		{Name: "start", Holds: core.Logits, Shape: "C", Option: core.OptStart},
		{Name: "end", Holds: core.Logits, Shape: "C", Option: core.OptEnd}},
	Takes: core.Options(core.ReduceOptions, core.OptStart, core.OptEnd), Laws: core.NonNegative,
	Others: "pytorch-crf CRF: WithStart, WithEnd, reduction mean or, for token_mean, WithNormalizer(number of tags); TensorFlow Addons crf_log_likelihood: None, negated; AllenNLP ConditionalRandomField: Sum",
	Grouped: func(*core.Settings) core.Grouping {
		return core.Grouping{Over: "N", Values: "N"}
	},
	Group: func(_ *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error { return chainOf(g, d.Len('T'), d.Len('C')) }
	},
}

// chainOf computes one sequence.
func chainOf(g *core.Group, steps, tags int) error {
	for k := range g.Grad {
		clear(g.Grad[k])
		clear(g.Hess[k])
	}
	n, err := lengthOf(g, 3, "length", steps)
	if err != nil {
		return err
	}
	c := formula.Chain{Emissions: g.X[0][:n*tags], Transitions: g.X[1], Start: g.X[4], End: g.X[5]}
	if c.Tags, err = labelsOf(g, 2, "tag", n, tags, -1); err != nil {
		return err
	}
	value := 0.0
	switch {
	case n == 0:
	case c.Undefined():
		value = math.NaN()
		c.Fill(g, value)
	case c.Forbidden(tags):
		value = math.Inf(1)
	default:
		value = c.Forward(g, tags)
		if g.Second() {
			c.Second(g, g.Factor[0])
		} else {
			c.Backward(g, g.Factor[0])
		}
	}
	if g.Value != nil {
		g.Value[0] = value
	}
	return nil
}
