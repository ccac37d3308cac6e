package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithBias adds b, a node of the logits' dtype with one entry for each class, to the logits of
// [LinearCrossEntropy] and [LinearTokenLogProb], or a scalar node to those of [SigLIP]. It is
// differentiated like any operand. An entry of -Inf masks its class.
func WithBias(b *G.Node) Option {
	return operand(core.OptBias, b)
}

// LinearCrossEntropy returns the cross-entropy of target against the softmax of hidden·weightᵀ,
// without ever holding all of these logits.
//
// With x = W·h (+ b) the logits of a row h of hidden, l the [CrossEntropy] of x with all its
// options and g = dl/dx,
//
//	l = CrossEntropy(x)        dl/dh = Wᵀ·g        dl/dW = g⊗h        dl/db = g
//
// hidden has the shape (N, H), weight (C, H). target is either integer labels (Int, Int64, Int32 or
// Uint8) of shape (N), or numbers >= 0 in the dtype of hidden and of shape (N, C), whose derivative
// is that of CrossEntropy. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithBias], [WithIgnoreIndex] (labels only, default -100), [WithClassWeights],
// [WithLabelSmoothing] (ε in [0, 1], default 0), [WithTemperature] (T > 0, default 1),
// [WithSoftcap] (c > 0, default off), [WithLogPrior] (default 0), [WithZLoss] (s >= 0, default 0),
// [WithShard], [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Beside the results it takes the memory of 32 MiB of logits, or of 16 rows of them where that is
// more. Second derivatives count the changes of the logits among these, and where rows are left out
// a soft target's rows are copied and counted, too. Rows that do not count are left out before the
// product. Value and gradients come from one pass over the logits where the upstream is that of the
// run before. The logits are products in the operands' dtype; the rest is as accurate as
// CrossEntropy.
//
//	as in PyTorch's LinearCrossEntropyLoss        the defaults
//	as in Liger and trl with num_items_in_batch   WithNormalizer(items), or WithNormalizerNode
//	Liger's logit_scale s                         WithTemperature(1/s)
//	Gemma's cap of final logits                   WithSoftcap(30)
//	Liger's lse_square_scale                      WithZLoss, which Liger divides by the number of
//	                                              labels even under class weights
//
// [CrossEntropy] takes logits, [LinearTokenLogProb] gives the log-probabilities of labels.
//
// Reference: standard; E. Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models,
// 2025.
func LinearCrossEntropy(hidden, weight, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&linearCrossEntropy, opts, hidden, weight, target)
}

var linearCrossEntropy = core.Definition{
	Name: "LinearCrossEntropy", Operands: linearOperands("target", core.LabelsOrSoft),
	Takes:    core.Options(crossEntropy.Takes.Without(core.OptAxis), core.OptBias),
	Defaults: crossEntropy.Defaults,
	Linked:   &core.Linked{Link: linear, Of: &crossEntropy},
	Kernel:   crossEntropy.Kernel,
	Laws:     core.NonNegative,
	Torch:    "linear_cross_entropy",
}

// LinearTokenLogProb returns the log-probability that the softmax of hidden·weightᵀ gives each
// label, without ever holding all of these logits.
//
// With x = W·h (+ b) the logits of a row h of hidden, l the [TokenLogProb] of x with its options
// and g = dl/dx,
//
//	l = log p_y        dl/dh = Wᵀ·g        dl/dW = g⊗h        dl/db = g
//
// hidden has the shape (N, H), weight (C, H), labels (Int, Int64, Int32 or Uint8) the shape (N).
// The result has the labels' shape: this is a node, not a loss, and nothing is reduced.
//
// Options: [WithBias], [WithIgnoreIndex] (default -100), [WithMask], [WithSoftcap] (c > 0, default
// off), [WithTemperature] (T > 0, default 1), [WithShard].
//
// Memory and numbers are those of [LinearCrossEntropy]. Rows that are ignored or masked are 0 with
// gradient 0.
//
// [EntropyTerm] gives the entropy of the same distributions, [TokenLogProb] takes logits.
//
// Reference: standard.
func LinearTokenLogProb(hidden, weight, labels *G.Node, opts ...Option) (*G.Node, error) {
	return buildValues(&linearTokenLogProb, opts, hidden, weight, labels)
}

var linearTokenLogProb = core.Definition{
	Name: "LinearTokenLogProb", Operands: linearOperands("labels", core.Labels),
	Takes:    core.Options(tokenLogProb.Takes.Without(core.OptAxis), core.OptBias),
	Defaults: tokenLogProb.Defaults,
	Linked:   &core.Linked{Link: linear, Of: &tokenLogProb},
	Kernel:   tokenLogProb.Kernel,
	Node:     true,
}

// linearEntropyTerm is the entropy of the logits of a linear link.
var linearEntropyTerm = core.Definition{
	Name: "EntropyTerm", Operands: linearTokenLogProb.Operands,
	Linked: &core.Linked{Link: linear, Of: &entropyTerm},
}

// linearOperands declares the operands of a loss of linear logits.
func linearOperands(target string, holds core.Domain) []core.Operand {
	shape := "N C"
	if holds == core.Labels {
		shape = "N"
	}
	return []core.Operand{{Name: "hidden", Holds: core.Real, Shape: "N H"}, {Name: "weight", Holds: core.Real, Shape: "C H"},
		{Name: target, Holds: holds, Shape: shape}, {Name: "bias", Holds: core.Real, Shape: "C", Option: core.OptBias}}
}

// linear is the linear link.
func linear(d core.Dims, o core.LinkOperands) core.Links {
	return formula.Linear(d, o.Width[0], o.Of(core.OptBias))
}
