package loss

import (
	"fmt"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	G "gorgonia.org/gorgonia"
)

// A Reduction combines the values of the examples into the result of a loss: [Mean], [Sum] or
// [None].
type Reduction = core.Reduction

const (
	// Mean divides the weighted sum by the sum of the active weights. It is the default.
	Mean = core.Mean
	// Sum adds the weighted values.
	Sum = core.Sum
	// None keeps one value per example, or per element for elementwise losses.
	None = core.None
)

// An Option changes how a loss is computed. An option that a loss does not take, and a value
// outside an option's range, are errors of kind [ErrOption] when the loss is built. Given twice,
// the last one counts.
type Option func(*core.Settings) error

// number makes the Option of a number.
func number(o core.OptionSet, v float64) Option {
	return func(s *core.Settings) error { return o.Number(s, v) }
}

// integer makes the Option of a whole number.
func integer(o core.OptionSet, v int) Option {
	return func(s *core.Settings) error { return o.Integer(s, v) }
}

// numbers makes the Option of a list of numbers, which is copied.
func numbers(o core.OptionSet, v []float64) Option {
	v = slices.Clone(v)
	return func(s *core.Settings) error { return o.List(s, v) }
}

// operand makes the Option of a node.
func operand(o core.OptionSet, n *G.Node) Option {
	return func(s *core.Settings) error { return o.Operand(s, n, n == nil) }
}

// WithReduction sets how the values of the examples are combined: [Mean] (default), [Sum] or
// [None].
func WithReduction(r Reduction) Option {
	return func(s *core.Settings) error {
		if r > None {
			return fmt.Errorf("WithReduction is %v, want Mean, Sum or None", r)
		}
		return core.Choice(s, core.OptReduction, &s.Reduction, r, int(None)+1)
	}
}

// WithAxis sets the class axis, counted from 0, or from the end when negative. Default -1, the last
// axis.
func WithAxis(axis int) Option {
	return func(s *core.Settings) error {
		s.Axis = axis
		return s.Give(core.OptAxis)
	}
}

// WithIgnoreIndex replaces the labels that mark an example as not to be counted. Default -100. An
// ignored example is never read: it has value 0, gradient 0 and no part in the denominator. Without
// arguments no label is ignored.
func WithIgnoreIndex(labels ...int) Option {
	labels = slices.Clone(labels)
	return func(s *core.Settings) error {
		s.Ignore = labels
		return s.Give(core.OptIgnoreIndex)
	}
}

// WithWeights multiplies the value of each example (of each element for elementwise losses) by an
// entry of w, a node of the prediction's dtype in the shape that the loss has under [None];
// elementwise losses also take one entry per row, in the shape of the first axis. An example with
// the weight 0 is never read; negative weights are legal; NaN or Inf is an error when the graph
// runs. There is no gradient with respect to w.
func WithWeights(w *G.Node) Option {
	return operand(core.OptWeights, w)
}

// WithMask keeps the examples (elements) whose entry of m is 1 or true and leaves out those with 0
// or false as if they were not there. m is Bool, Uint8 or of the prediction's dtype, in the shape
// that the loss has under [None], or for elementwise losses in the shape of the first axis.
func WithMask(m *G.Node) Option {
	return operand(core.OptMask, m)
}

// WithClassWeights gives class c the weight w[c], finite and >= 0; one entry per class. The slice
// is copied. Under [Mean] the weights of the true classes enter the denominator.
func WithClassWeights(w []float64) Option {
	return numbers(core.OptClassWeights, w)
}

// WithPosWeight multiplies the term of the positive class by w[c], finite and >= 0: one entry per
// class along the class axis, or a single one for all. The slice is copied. It has no part in the
// denominator.
func WithPosWeight(w []float64) Option {
	return numbers(core.OptPosWeight, w)
}

// WithNormalizer replaces the denominator of [Mean] by n > 0, for losses summed over several
// batches whose common number of examples is known.
func WithNormalizer(n float64) Option {
	return number(core.OptNormalizer, n)
}

// WithNormalizerNode is [WithNormalizer] with the value of a scalar node of the prediction's dtype,
// which may change from run to run. There is no gradient for n. A value of 0 is legal when no
// example is active.
func WithNormalizerNode(n *G.Node) Option {
	return operand(core.OptNormalizerNode, n)
}

// WithLabelSmoothing replaces a target t by (1-eps)·t + eps/K in the K classes that are not masked
// by a logit of -Inf, with eps in [0, 1]: the share eps of a target that sums to 1 is spread
// evenly. Default 0.
func WithLabelSmoothing(eps float64) Option {
	return number(core.OptLabelSmoothing, eps)
}

// WithTemperature divides the logits by t > 0. Default 1, unless the documentation of the loss says
// otherwise.
func WithTemperature(t float64) Option {
	return number(core.OptTemperature, t)
}

// WithDelta sets the residual δ > 0 at which a robust loss turns from quadratic to linear. Default
// 1.
func WithDelta(delta float64) Option {
	return number(core.OptDelta, delta)
}

// WithLogTarget declares that the target holds log-probabilities.
func WithLogTarget() Option {
	return core.OptLogTarget.Flag
}

// WithTargetLogits declares that the target holds logits, of which the softmax is taken.
func WithTargetLogits() Option {
	return core.OptTargetLogits.Flag
}

// WithBufferReuse keeps the memory of the derivatives from run to run: allocating a large gradient
// takes longer than computing it. Every loss and node takes it. Off by default.
//
// The Value of such a node is overwritten by the next run; what gorgonia.Read copied stays. A graph
// built with it serves one machine at a time: a second one that runs at the same moment gets an
// error.
func WithBufferReuse() Option {
	return core.OptBufferReuse.Flag
}

// WithUncheckedValues, an option of every loss and node, leaves out the check that operands lie in
// their domains: soft targets >= 0, probabilities in [0, 1], signs of -1 and +1, positive scales. A
// value outside gives a meaningless result instead of an error. Labels are checked all the same.
// The check costs up to a fifth of a cheap elementwise loss (BENCHMARKS.md) and little elsewhere.
func WithUncheckedValues() Option {
	return core.OptUncheckedValues.Flag
}

// WithComm spreads the values of a loss over the ranks of c: each rank has operands of its own, and
// the loss is that of all of them together. [Mean] is one mean over all ranks, whatever part each
// has, and [Sum] the sum; every rank gets the same number, to the bit. Derivatives are those of that
// number by the rank's own operands, so that gradients by parameters that ranks share are still to
// be added up. Under [None] a rank's values are its own, and nothing is exchanged.
//
// Every loss with a reduction takes it but most of those whose values read the whole batch: of these
// [InfoNCE], [SigLIP], [SupCon], [NTXent], [Circle] and [MultiSimilarity] gather the rows of all
// ranks.
//
// Every rank builds the loss with the same options and runs the same operations in the same order,
// with the same upstream. A rank without a value that counts sends a batch of weights 0. Ranks that
// disagree, and bad data on one rank, are an error on every rank, which names the rank. What is
// wrong with shapes is an error of one rank alone.
func WithComm(c comm.Comm) Option {
	return func(s *core.Settings) error {
		if c == nil {
			return fmt.Errorf("WithComm is nil")
		}
		s.Comm = c
		return s.Give(core.OptComm)
	}
}

// WithShard spreads the classes of a loss over the ranks of c: every rank has the same rows and
// labels, weights and masks, and of each row the logits of its own classes, the first of which is
// class first of all. Shards may have any sizes, none included, and follow each other without gaps;
// together they have all classes. Labels, ignored ones too, count over all of them, as do the lists
// of [WithClassWeights] and [WithLogPrior], which every rank gives in full; a soft target is spread
// as the logits are. [LinearCrossEntropy] and [LinearTokenLogProb] have the rows of weight, and the
// entries of bias, of the rank's classes, and all of hidden.
//
// Every rank gets the value of the whole loss, the same to the bit, and the derivatives by its own
// logits, weight, bias and target. The derivative by hidden, to which all classes contribute, is
// added up over the ranks and the same on each. Of a row the ranks exchange two numbers, with label
// smoothing, soft targets and second derivatives eight.
//
// What [WithComm] says of ranks holds here, too; both together spread rows and classes, each over
// its own Comm.
func WithShard(c comm.Comm, first int) Option {
	return func(s *core.Settings) error {
		switch {
		case c == nil:
			return fmt.Errorf("WithShard has a nil Comm")
		case first < 0:
			return fmt.Errorf("WithShard is %d, want a class >= 0", first)
		}
		s.Shard = core.Shard{Comm: c, First: first}
		return s.Give(core.OptShard)
	}
}
