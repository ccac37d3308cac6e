package loss_test

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// A reference describes how to build the cases of a file and the expected counts: all cases, those
// equal to PyTorch, intentionally different, with an error or of an unsupported dtype, and
// Hessian-vector products.
type reference struct {
	build adapter
	want  tally
}

// adapters are the references by the names of the files.
var adapters = map[string]reference{
	"bce_with_logits": {func(b *refGraph) (*G.Node, error) {
		opts := []loss.Option{b.reduction()}
		if b.has("weight") {
			opts = append(opts, loss.WithWeights(b.expanded("weight", "input")))
		}
		if b.has("pos_weight") {
			opts = append(opts, loss.WithPosWeight(b.list("pos_weight")))
		}
		return loss.BinaryCrossEntropy(b.input("input"), b.input("target"), opts...)
	}, tally{47, 44, 2, 1, 0, 3}},
	"cross_entropy":      {crossEntropyCase, tally{551, 456, 85, 8, 2, 18}},
	"cross_entropy_prob": {crossEntropyCase, tally{84, 75, 9, 0, 0, 12}},
	"entropy": {func(b *refGraph) (*G.Node, error) {
		h, err := loss.EntropyFromProb(b.input("p"))
		if err != nil || b.c.Options["base"] == "nats" {
			return h, err
		}
		if b.c.Dtype == "float32" {
			return G.Div(h, G.NewConstant(float32(math.Ln2)))
		}
		return G.Div(h, G.NewConstant(math.Ln2))
	}, tally{6, 4, 2, 0, 0, 0}},
	"entropy_from_logits": {func(b *refGraph) (*G.Node, error) {
		return loss.Entropy(b.input("logits"))
	}, tally{28, 17, 11, 0, 0, 1}},
	"huber_loss": {func(b *refGraph) (*G.Node, error) {
		return loss.Huber(b.input("input"), b.input("target"), b.reduction(), loss.WithDelta(b.option("delta", 1)))
	}, tally{20, 20, 0, 0, 0, 6}},
	"kl_categorical_logits": {func(b *refGraph) (*G.Node, error) {
		return loss.KL(b.input("b"), b.input("a"), loss.WithTargetLogits(), loss.WithReduction(loss.None))
	}, tally{2, 2, 0, 0, 0, 0}},
	"kl_div": {klDivCase, tally{44, 29, 13, 2, 0, 0}},
	"l1_loss": {func(b *refGraph) (*G.Node, error) {
		return loss.MAE(b.input("input"), b.input("target"), b.reduction())
	}, tally{10, 8, 2, 0, 0, 0}},
	"log_softmax": {func(b *refGraph) (*G.Node, error) {
		return loss.LogSoftmax(b.input("input"), b.axis())
	}, tally{42, 42, 0, 0, 0, 4}},
	"logsumexp": {func(b *refGraph) (*G.Node, error) {
		return loss.LogSumExp(b.input("input"), b.axis())
	}, tally{36, 33, 3, 0, 0, 4}},
	"margin_log_sigmoid": {func(b *refGraph) (*G.Node, error) {
		return loss.LogSigmoid(b.input("input"))
	}, tally{2, 2, 0, 0, 0, 0}},
	"mse_loss": {func(b *refGraph) (*G.Node, error) {
		return loss.MSE(b.input("input"), b.input("target"), b.reduction())
	}, tally{12, 10, 0, 2, 0, 3}},
	"nll_loss": {func(b *refGraph) (*G.Node, error) {
		opts := []loss.Option{b.reduction()}
		if b.has("weight") {
			opts = append(opts, loss.WithClassWeights(b.list("weight")))
		}
		return loss.NLL(b.input("input"), b.labels("target"), opts...)
	}, tally{18, 14, 4, 0, 0, 0}},
	"softmax": {func(b *refGraph) (*G.Node, error) {
		return loss.Softmax(b.input("input"), b.axis())
	}, tally{42, 42, 0, 0, 0, 4}},
	"softmin": {func(b *refGraph) (*G.Node, error) {
		x, err := G.Neg(b.input("input"))
		if err != nil {
			return nil, err
		}
		return loss.Softmax(x, b.axis())
	}, tally{36, 36, 0, 0, 0, 4}},
	"softplus": {func(b *refGraph) (*G.Node, error) {
		return loss.Softplus(b.input("input"))
	}, tally{2, 1, 1, 0, 0, 0}},
}

func (b *refGraph) axis() loss.Option { return loss.WithAxis(int(b.option("axis", -1))) }

// crossEntropyCase builds a case of cross_entropy. PyTorch's class axis is 1 for batches and 0 for
// a single example.
func crossEntropyCase(b *refGraph) (*G.Node, error) {
	axis := min(1, len(b.c.Inputs["input"].Shape)-1)
	opts := []loss.Option{b.reduction(), loss.WithAxis(axis)}
	target := b.c.Inputs["target"]
	if target.Dtype == "int" {
		opts = append(opts, loss.WithIgnoreIndex(int(b.option("ignore_index", -100))))
	}
	if eps := b.option("label_smoothing", 0); eps != 0 {
		opts = append(opts, loss.WithLabelSmoothing(eps))
	}
	if b.has("weight") {
		opts = append(opts, loss.WithClassWeights(b.list("weight")))
	}
	if target.Dtype == "int" {
		return loss.CrossEntropy(b.input("input"), b.labels("target"), opts...)
	}
	return loss.CrossEntropy(b.input("input"), b.input("target"), opts...)
}

// klDivCase builds a case of kl_div. PyTorch's function is one of elements: its "none" and "mean"
// are those of rows of a single class here, its "batchmean" divides by the first axis alone.
func klDivCase(b *refGraph) (*G.Node, error) {
	opts := []loss.Option{b.reduction()}
	if b.c.Options["log_target"] == true {
		opts = append(opts, loss.WithLogTarget())
	}
	shape := b.shape("input")
	switch b.c.Options["reduction"] {
	case "none", "mean":
		shape = append(shape, 1)
	case "batchmean":
		if len(shape) > 2 {
			opts = append(opts, loss.WithNormalizer(float64(shape[0])))
		}
	}
	return loss.KLFromLogProb(b.input("input", shape...), b.input("target", slices.Clone(shape)...), opts...)
}
