package loss_test

import (
	"maps"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	maps.Copy(adapters, sequenceAdapters)
	exceptions = append(exceptions, exception{file: "ctc_loss", cases: `^impossible-\w+-ziFalse/`, why: "an impossible row has gradient 0, in PyTorch NaN", want: impossibleRule})
	exceptions = append(exceptions,
		exception{file: "ctc", cases: `^target-(is-blank|out-of-range)/`,
			why: "a target that is the blank or no class", refused: loss.ErrValue},
		exception{file: "ctc", cases: `-length-too-long/`, why: "a length beyond its axis", refused: loss.ErrValue})
}

// alignmentOptions are the options of losses that sum over alignments.
var alignmentOptions = map[string]func(any) loss.Option{"blank": integerOption(loss.WithBlank), "zero_infinity": flagOption(loss.WithZeroInfinity)}

// alignment builds cases of a loss on the operands, targets and lengths.
func alignment(name string, options map[string]func(any) loss.Option, operands ...string) adapter {
	return second{loss: name, operands: append(operands, "targets", "input_lengths", "target_lengths"), options: options}.build
}

// lengths is the leaf for lengths, which are an input or a list among the options of a case.
func (b *refGraph) lengths(name string) *G.Node {
	if b.has(name) {
		return b.labels(name)
	}
	var n []int
	for _, v := range b.c.Options[name].([]any) {
		n = append(n, int(v.(float64)))
	}
	return labelLeaf(b.g, tensor.Int, name, []int{len(n)}, n)
}

// impossibleRule is a case with 0 for the gradients that are NaN in PyTorch: those of impossible
// rows.
func impossibleRule(c *refCase) (*refCase, error) {
	d := *c
	zero := func(a *refArray) *refArray {
		b := *a
		b.Data = slices.Clone(a.Data)
		for i, v := range b.Data {
			if v != v {
				b.Data[i] = 0
			}
		}
		return &b
	}
	d.Grads, d.Grads64 = maps.Clone(c.Grads), maps.Clone(c.Grads64)
	for _, g := range []map[string]*refArray{d.Grads, d.Grads64} {
		for name, a := range g {
			g[name] = zero(a)
		}
	}
	return &d, nil
}

// transducer builds cases of a transducer. Targets without columns are an empty axis here, and stand
// for those of any width that are not read.
func transducer(name string, operands ...string) adapter {
	options := maps.Clone(alignmentOptions)
	options["fast_emit"] = numberOption(loss.WithFastEmit)
	build := alignment(name, options, operands...)
	return func(b *refGraph) (*G.Node, error) {
		if targets := b.c.Inputs["targets"]; targets.size() == 0 {
			targets.Shape, targets.Data = []int{targets.Shape[0], 1}, make([]refNumber, targets.Shape[0])
		}
		return build(b)
	}
}

var sequenceAdapters = map[string]reference{
	"ctc": {alignment("CTC", alignmentOptions, "logits"), tally{34, 30, 0, 4, 0, 16}},
	"ctc_loss": {func(b *refGraph) (*G.Node, error) {
		opts := []loss.Option{b.reduction(), loss.WithBlank(int(b.option("blank", 0)))}
		if b.c.Options["zero_infinity"] == true {
			opts = append(opts, loss.WithZeroInfinity())
		}
		return loss.CTC(b.input("logits"), b.labels("targets"), b.lengths("input_lengths"),
			b.lengths("target_lengths"), opts...)
	}, tally{40, 34, 6, 0, 0, 0}},
	"ctc_from_log_prob": {alignment("CTCFromLogProb", alignmentOptions, "log_prob"), tally{9, 9, 0, 0, 0, 5}},
	"linear_chain_crf": {second{loss: "LinearChainCRF", operands: []string{"emissions", "transitions", "tags", "lengths"},
		nodes: map[string]func(*G.Node) loss.Option{"start": loss.WithStart, "end": loss.WithEnd}}.build, tally{19,
		19, 0, 0, 0, 10}},
	"rnnt":          {transducer("RNNT", "logits"), tally{27, 27, 0, 0, 0, 13}},
	"rnnt_additive": {transducer("RNNTAdditive", "encoder", "predictor"), tally{9, 9, 0, 0, 0, 5}},
}
