package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithFastEmit multiplies the posteriors of labels by 1 + lambda in the gradient of [RNNT] and
// [RNNTAdditive], which makes models emit labels earlier. The value stays the same: the gradient is
// not that of the value, and there is no second order. lambda is a finite number >= 0; default 0.
//
// Reference: J. Yu et al., FastEmit: Low-latency Streaming ASR with Sequence-level Emission
// Regularization, 2021.
func WithFastEmit(lambda float64) Option { return number(core.OptFastEmit, lambda) }

var transducerOptions = core.Options(alignmentOptions, core.OptFastEmit)

// RNNT returns the negative log-probability of a labelling under a transducer, summed over all
// monotone paths through its lattice of frames and labels.
//
// At the node (t, u), frame t after u labels, the blank leads to (t+1, u) and label u to (t, u+1);
// the last step is the blank of the last node (T-1, U). With z the logits, p = softmax(z) at each
// node, and P the probability of a step given the labels,
//
//	l = -log Σ_paths Π p        dl/dz[t,u,c] = p_c·P(node (t,u)) - P(step from (t,u) by c)
//
// logits have the shape (N, T, U+1, C), targets (Int, Int64, Int32 or Uint8) the shape (N, U), and
// inputLengths and targetLengths (the same types) the shape (N). Where U is 0, targets have any
// width and are never read. The result is a scalar, or has the shape (N) under [None]. Only logits
// have a gradient.
//
// Options: [WithBlank], [WithZeroInfinity], [WithStrict], [WithFastEmit], [WithReduction],
// [WithWeights] (N), [WithMask] (N), [WithNormalizer], [WithNormalizerNode].
//
// The mean does not divide by target lengths. Nodes and targets beyond a row's lengths are never
// read and have gradient 0. Any number of labels fits into one frame. A row whose every path has a
// logit of -Inf is impossible: its value is +Inf, its gradient 0. Without frames an empty target has
// the value 0, another one is impossible. A node of -Inf alone, with NaN or with +Inf makes the row
// NaN.
//
// Lengths beyond T or U, and targets within their length that are the blank or no class, are errors
// when the graph runs. The recursions are in float64 whatever the dtype; they keep two numbers for each
// node beside the logits.
//
// [RNNTAdditive] takes the terms of the logits, [CTC] has predictions that do not depend on labels.
//
// Reference: A. Graves, Sequence Transduction with Recurrent Neural Networks, 2012.
func RNNT(logits, targets, inputLengths, targetLengths *G.Node, opts ...Option) (*G.Node, error) {
	return build(&rnnt, opts, logits, targets, inputLengths, targetLengths)
}

var rnnt = core.Definition{
	Name: "RNNT", Takes: transducerOptions, Laws: core.ShiftInvariant | core.NonNegative,
	Operands: append([]core.Operand{{Name: "logits", Holds: core.Logits, Shape: "N T V C"}}, transduced...),
	Others:   "torchaudio rnnt_loss: WithBlank(-1), no clamp; k2 rnnt_loss: regular, no delay penalty; Paddle rnnt_loss: WithFastEmit(.001); NeMo mean_batch: the default, mean_volume: WithNormalizer(Σ lengths)",
	Bind:     func(s *core.Settings, d *core.GroupDims) error { return bindLattice("RNNT", s, d) },
	Grouped:  ofFrames,
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			nodes := formula.JointNodesOf(g, d.Len('V'), d.Len('C'))
			return latticeOf(g, s, d, "RNNT", 1, &nodes)
		}
	},
}

// RNNTAdditive returns the loss of [RNNT] for logits that are sums of an encoder's and a predictor's,
// which never exist together.
//
//	z[t,u] = encoder[t] + predictor[u]        dl/dencoder[t] = Σ_u dl/dz[t,u]        dl/dpredictor[u] = Σ_t dl/dz[t,u]
//
// encoder has the shape (N, T, C), predictor (N, U+1, C) the same dtype, targets (Int, Int64, Int32
// or Uint8) the shape (N, U), and inputLengths and targetLengths (the same types) the shape (N).
// The result is a scalar, or has the shape (N) under [None]. Encoder and predictor have gradients.
//
// Options: [WithBlank], [WithZeroInfinity], [WithStrict], [WithFastEmit], [WithReduction],
// [WithWeights] (N), [WithMask] (N), [WithNormalizer], [WithNormalizerNode].
//
// The logits of a node are computed where they are read, so that memory is O(T·U) a row and not
// O(T·U·C). Everything else is as in [RNNT] on the sums.
//
// Reference: A. Graves, Sequence Transduction with Recurrent Neural Networks, 2012.
func RNNTAdditive(encoder, predictor, targets, inputLengths, targetLengths *G.Node, opts ...Option) (*G.Node, error) {
	return build(&rnntAdditive, opts, encoder, predictor, targets, inputLengths, targetLengths)
}

var rnntAdditive = core.Definition{
	Name: "RNNTAdditive", Takes: transducerOptions, Laws: core.NonNegative,
	Operands: append([]core.Operand{{Name: "encoder", Holds: core.Logits, Shape: "N T C"}, {Name: "predictor", Holds: core.Logits, Shape: "N V C"}}, transduced...),
	Others:   "k2 rnnt_loss_simple",
	Bind:     func(s *core.Settings, d *core.GroupDims) error { return bindLattice("RNNTAdditive", s, d) },
	Grouped: func(*core.Settings) core.Grouping {
		return core.Grouping{Over: "N", Values: "N"}
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			for k := range 2 {
				clear(g.Grad[k])
				clear(g.Hess[k])
			}
			nodes := &formula.SumNodes{Group: g, Classes: d.Len('C')}
			nodes.Start()
			return latticeOf(g, s, d, "RNNTAdditive", 2, nodes)
		}
	},
}

// transduced are the operands of transducers beside their logits.
var transduced = []core.Operand{{Name: "targets", Holds: core.Identifiers, Shape: "N U"},
	{Name: "input lengths", Holds: core.Lengths, Shape: "N"}, {Name: "target lengths", Holds: core.Lengths, Shape: "N"}}

// bindLattice checks the blank and the width of the lattice.
func bindLattice(name string, s *core.Settings, d *core.GroupDims) error {
	if u, v := d.Len('U'), d.Len('V'); v > 1 && u != v-1 {
		return core.Faultf(core.ErrShape, name,
			"targets have %d columns and the labels' axis of the logits %d, want one more than the targets", u, v)
	}
	return bindBlank(s, d)
}

// latticeOf computes one sequence, whose targets are operand first.
func latticeOf(g *core.Group, s *core.Settings, d *core.GroupDims, name string, first int, nodes formula.Nodes) error {
	if s.Has(core.OptFastEmit) && g.Second() {
		return core.Faultf(core.ErrOption, name, "WithFastEmit has no second order: its gradient is not that of the value")
	}
	frames, err := lengthOf(g, first+1, "input length", d.Len('T'))
	if err != nil {
		return err
	}
	n, err := lengthOf(g, first+2, "target length", d.Len('V')-1)
	if err != nil {
		return err
	}
	l := formula.Lattice{Nodes: nodes, Frames: frames, Blank: blankOf(s, d), Emit: 1 + s.Sequence.FastEmit}
	if l.Labels, err = labelsOf(g, first, "target", n, d.Len('C'), l.Blank); err != nil {
		return err
	}
	deriv := g.Buf(d.Len('C'))
	wanted := g.Second() || g.Grad[0] != nil || g.Grad[1] != nil
	if wanted && (frames < d.Len('T') || n+1 < d.Len('V')) {
		l.Fill(deriv, 0, d.Len('T'), d.Len('V'))
	}
	if frames == 0 && n > 0 {
		return impossible(g, s, "no frames for %d labels", n)
	}
	logProb := 0.0
	if frames > 0 {
		logProb = l.Backward(g, d.Len('C'))
	}
	switch {
	case math.IsInf(logProb, -1):
		if wanted {
			l.Fill(deriv, 0, frames, n+1)
		}
		return impossible(g, s, "every path has a logit of -Inf")
	case !wanted || frames == 0:
	case logProb != logProb:
		l.Fill(deriv, logProb, frames, n+1)
	case g.Second():
		l.Second(g, deriv, g.Factor[0])
	default:
		l.Gradient(deriv, g.Factor[0])
	}
	if g.Value != nil {
		g.Value[0] = max(0, 0-logProb) // rounding
	}
	return nil
}
