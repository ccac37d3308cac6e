package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// CTC returns the negative log-probability of a labelling, summed over all of its alignments with
// the frames: connectionist temporal classification.
//
// With z the logits of a sequence of T frames, p_t = softmax(z_t), and A the paths of T classes that
// become the labels when first repetitions and then blanks are removed,
//
//	l = -log Σ_{a in A} Π_t p_t[a_t]        dl/dz_t[c] = p_t[c] - P(a_t = c | labels)
//
// logits have the shape (T, N, C), targets (Int, Int64, Int32 or Uint8) the shape (N, S), and
// inputLengths and targetLengths (the same types) the shape (N). The result is a scalar, or has the
// shape (N) under [None]. Only logits have a gradient.
//
// Options: [WithBlank], [WithZeroInfinity], [WithStrict], [WithReduction], [WithWeights] (N),
// [WithMask] (N), [WithNormalizer], [WithNormalizerNode].
//
// The mean is (1/Σ s)·Σ s·l/max(L, 1) with L the target lengths and s the weights; with a normalizer
// n it is Σ s·l/n. Frames and targets beyond a row's lengths are never read, and such frames have
// gradient 0.
//
// L labels with r equal neighbours need L + r frames. A row without them, and one whose every path
// has a logit of -Inf, is impossible: its value is +Inf, its gradient 0. An empty target is all
// blanks. Without frames an empty target has the value 0, another one is impossible. A frame of
// -Inf alone, with NaN or with +Inf makes the row NaN.
//
// Lengths beyond T or S, and targets within their length that are the blank or no class, are errors
// when the graph runs. The recursions are in float64 whatever the dtype and take O(T·S) time and
// memory a row. The second order is exact.
//
// [CTCFromLogProb] takes log-probabilities, [RNNT] has predictions that depend on the labels before.
// Package tensorops/decode finds labellings (CTCGreedy, CTCBeam) and alignments (CTCAlign).
//
// Reference: A. Graves et al., Connectionist Temporal Classification: Labelling Unsegmented
// Sequence Data with Recurrent Neural Networks, 2006.
func CTC(logits, targets, inputLengths, targetLengths *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ctc, opts, logits, targets, inputLengths, targetLengths)
}

var ctc = core.Definition{
	Name: "CTC", Operands: alignedFrames("logits", core.Logits), Takes: alignmentOptions,
	Laws: core.ShiftInvariant | core.NonNegative, Torch: "CTCLoss on log_softmax", Keras: "CTC: WithNormalizer(N)",
	Optax: "ctc_loss: WithNormalizer(N)",
	Bind:  bindBlank, Parts: perLabel, Grouped: ofFrames,
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc { return ctcOf(s, d, true) },
}

// CTCFromLogProb returns the loss of [CTC] for log-probabilities, which are read as they are.
//
// With y the log-probabilities of a sequence and A the paths that become the labels,
//
//	l = -log Σ_{a in A} e^(Σ_t y_t[a_t])        dl/dy_t[c] = -P(a_t = c | labels)
//
// logProb has the shape (T, N, C), targets (Int, Int64, Int32 or Uint8) the shape (N, S), and
// inputLengths and targetLengths (the same types) the shape (N). The result is a scalar, or has the
// shape (N) under [None]. Only logProb has a gradient.
//
// Options: [WithBlank], [WithZeroInfinity], [WithStrict], [WithReduction], [WithWeights] (N),
// [WithMask] (N), [WithNormalizer], [WithNormalizerNode].
//
// The gradient is that of the formula. PyTorch's ctc_loss returns e^y less the posterior, which is
// right only behind a log_softmax. Numbers that are not normalised are allowed, and their value may
// be negative. NaN or +Inf at a class of the labels or at the blank makes the row NaN. Everything
// else is as in [CTC].
//
// Reference: A. Graves et al., Connectionist Temporal Classification: Labelling Unsegmented
// Sequence Data with Recurrent Neural Networks, 2006.
func CTCFromLogProb(logProb, targets, inputLengths, targetLengths *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ctcFromLogProb, opts, logProb, targets, inputLengths, targetLengths)
}

var ctcFromLogProb = core.Definition{
	Name: "CTCFromLogProb", Operands: alignedFrames("log-probabilities", core.LogProbabilities), Takes: alignmentOptions,
	Torch: "CTCLoss (its gradient is another)", Optax: "ctc_loss_with_forward_probs, logprobs",
	Bind: bindBlank, Parts: perLabel, Grouped: ofFrames,
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc { return ctcOf(s, d, false) },
}

// alignedFrames declares the operands of losses of frames that are aligned with targets.
func alignedFrames(name string, holds core.Domain) []core.Operand {
	return []core.Operand{{Name: name, Holds: holds, Shape: "T N C"}, {Name: "targets", Holds: core.Identifiers, Shape: "N S"},
		{Name: "input lengths", Holds: core.Lengths, Shape: "N"}, {Name: "target lengths", Holds: core.Lengths, Shape: "N"}}
}

func ofFrames(*core.Settings) core.Grouping {
	return core.Grouping{Over: "N", Values: "N", Streamed: "T V"}
}

// perLabel divides the values by their target lengths under Mean.
func perLabel(*core.Settings, *core.GroupDims) core.PartsFunc {
	return func(g *core.Group) error {
		g.Num[0] = 1 / float64(max(1, g.Int[3][0]))
		return nil
	}
}

// ctcOf computes one sequence, of logits or of log-probabilities.
func ctcOf(s *core.Settings, d *core.GroupDims, softmax bool) core.GroupFunc {
	steps, most, classes, blank := d.Len('T'), d.Len('S'), d.Len('C'), blankOf(s, d)
	least := 4e-3 // of the loss of a frame: roundings of some 1e-15 are then below 3e-13 of it
	if d.Float32 {
		least = 3e-7 // and below 2^-27 here
	}
	return func(g *core.Group) error {
		frames, err := lengthOf(g, 2, "input length", steps)
		if err != nil {
			return err
		}
		n, err := lengthOf(g, 3, "target length", most)
		if err != nil {
			return err
		}
		labels, err := labelsOf(g, 1, "target", n, classes, blank)
		if err != nil {
			return err
		}
		c := formula.CTC{Nodes: formula.JointNodesOf(g, 1, classes), Labels: labels, Frames: frames, Blank: blank, Softmax: softmax}
		if r := c.Repeats(); frames < n+r {
			c.Fill(0, 0, steps)
			return impossible(g, s, "%d frames, want %d for %d labels with %d repetitions", frames, n+r, n, r)
		}
		logProb, linear := 0.0, false
		if frames > 0 {
			c.Start(steps, min(most, steps))
			if softmax && !g.Second() {
				logProb, linear = c.Linear(least)
			}
			if !linear {
				logProb = c.Forward()
			}
		}
		switch {
		case logProb != logProb:
			c.Fill(math.NaN(), 0, frames)
		case math.IsInf(logProb, -1):
			c.Fill(0, 0, steps)
			return impossible(g, s, "every path has a logit of -Inf")
		case g.Grad[0] == nil && g.Hess[0] == nil || frames == 0:
		case linear:
			c.LinearGradient(g.Factor[0])
		case g.Grad[0] != nil:
			c.Backward(g.Factor[0])
		default:
			c.Second(g.Factor[0])
		}
		c.Fill(0, frames, steps)
		if g.Value != nil {
			g.Value[0] = 0 - logProb
			if softmax {
				g.Value[0] = max(0, g.Value[0]) // rounding
			}
		}
		return nil
	}
}
