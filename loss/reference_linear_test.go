package loss_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

func init() {
	maps.Copy(adapters, linearAdapters)
	exceptions = append(exceptions,
		exception{file: "linear_cross_entropy", cases: `-mean-.*nign6`, why: "all ignored: 0, not NaN", want: nothing})
}

// linearCase builds a case of linear_cross_entropy, whose inputs have the names that the file gives
// them.
func linearCase(hidden, weight, target, bias, classWeights string) adapter {
	return func(b *refGraph) (*G.Node, error) {
		opts := []loss.Option{b.reduction()}
		if b.has(bias) {
			opts = append(opts, loss.WithBias(b.input(bias)))
		}
		if b.has(classWeights) {
			opts = append(opts, loss.WithClassWeights(b.list(classWeights)))
		}
		if w, ok := b.c.Options["class_weights"].([]any); ok {
			var list []float64
			for _, v := range w {
				list = append(list, v.(float64))
			}
			opts = append(opts, loss.WithClassWeights(list))
		}
		if b.has("weights") {
			opts = append(opts, loss.WithWeights(b.input("weights")))
		}
		for _, o := range []func(*refGraph) loss.Option{number("z_loss", loss.WithZLoss), number("softcap", loss.WithSoftcap), number("temperature", loss.WithTemperature),
			number("label_smoothing", loss.WithLabelSmoothing), number("normalizer", loss.WithNormalizer)} {
			if opt := o(b); opt != nil {
				opts = append(opts, opt)
			}
		}
		if !b.has(target) {
			return loss.LinearCrossEntropy(b.input(hidden), b.input(weight), b.input("target"), opts...)
		}
		if v, ok := b.c.Options["ignore_index"].(float64); ok {
			opts = append(opts, loss.WithIgnoreIndex(int(v)))
		}
		return loss.LinearCrossEntropy(b.input(hidden), b.input(weight), b.labels(target), opts...)
	}
}

// tokenCase builds a case of token_log_prob: on logits or on their factors, the log-probabilities
// or the entropies.
func tokenCase(b *refGraph) (*G.Node, error) {
	var opts []loss.Option
	for _, o := range []func(*refGraph) loss.Option{number("softcap", loss.WithSoftcap), number("temperature", loss.WithTemperature)} {
		if opt := o(b); opt != nil {
			opts = append(opts, opt)
		}
	}
	if b.has("mask") {
		opts = append(opts, loss.WithMask(b.input("mask")))
	}
	var node *G.Node
	var err error
	if b.has("logits") {
		node, err = loss.TokenLogProb(b.input("logits"), b.labels("labels"), opts...)
	} else {
		opts = append(opts, loss.WithBias(b.input("bias")))
		node, err = loss.LinearTokenLogProb(b.input("hidden"), b.input("weight"), b.labels("labels"), opts...)
	}
	if err != nil || b.c.Options["out"] != "entropy" {
		return node, err
	}
	h, err := loss.EntropyTerm(node)
	if err != nil {
		return nil, err
	}
	// A LispMachine takes every root for a cost: the log-probabilities must not be one.
	var zero *G.Node
	if b.c.Dtype == "float32" {
		zero = G.NewConstant(float32(0))
	} else {
		zero = G.NewConstant(0.0)
	}
	if node, err = G.Mul(node, zero); err != nil {
		return nil, err
	}
	return G.Add(h, node)
}

var linearAdapters = map[string]reference{
	"linear_cross_entropy": {linearCase("input", "linear_weight", "target", "linear_bias", "weight"),
		tally{74, 66, 8, 0, 0, 0}},
	"linear_cross_entropy_options": {linearCase("hidden", "weight", "labels", "bias", ""), tally{29, 29, 0, 0, 0, 15}},
	"token_log_prob":               {tokenCase, tally{16, 16, 0, 0, 0, 8}},
}

// The Hessian by all operands at once: the gradients, by all of them, of Σ_k ⟨∂l/∂x_k, v_k⟩.
func TestLinearHessian(t *testing.T) {
	files := readReference(t)
	cases := 0
	for name, a := range linearAdapters {
		for i, c := range files[name].Cases {
			if c.HVPJoint == nil || exceptionOf(name, c) != nil {
				continue
			}
			cases++
			if err := jointHessian(c, i, a.build); err != nil {
				t.Errorf("%s %s: %v", name, c.Name, err)
			}
		}
	}
	if cases != 17 {
		t.Errorf("%d cases, want 17", cases)
	}
}

func jointHessian(c *refCase, number int, build adapter) error {
	b, out, wrt, err := start(c, number, build)
	if err != nil {
		return err
	}
	grads, err := b.derivatives(out, wrt)
	if err != nil {
		return err
	}
	var terms G.Nodes
	for k, g := range grads {
		v := floatLeaf(b.g, b.dtype, "v "+c.Diff[k], g.Shape(), c.HVPJoint["v"][c.Diff[k]].values())
		p, err := G.HadamardProd(g, v)
		if err != nil {
			return err
		}
		s, err := G.Sum(p)
		if err != nil {
			return err
		}
		terms = append(terms, s)
	}
	total, err := G.ReduceAdd(terms)
	if err != nil {
		return err
	}
	hv, err := loss.Gradients(total, wrt...)
	if err != nil {
		return err
	}
	values, err := runTape(b.g, hv...)
	if err != nil {
		return err
	}
	for k, name := range c.Diff {
		if err := c.compare("Hessian by "+name, values[k], c.HVPJoint["h"][name], 4); err != nil {
			return fmt.Errorf("%w", err)
		}
	}
	return nil
}
