package loss_test

import (
	"fmt"
	"maps"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

var pairNames = []string{"chosen", "rejected", "ref_chosen", "ref_rejected"}

var preferenceOptions = map[string]func(any) loss.Option{
	"beta": numberOption(loss.WithBeta), "gamma": numberOption(loss.WithGamma),
	"label_smoothing": numberOption(loss.WithLabelSmoothing),
	"robust":          flagOption(loss.WithRobust),
}

// preference builds cases of a loss of pairs.
func preference(name string, operands ...string) adapter {
	return second{loss: name, operands: operands, options: preferenceOptions,
		nodes: map[string]func(*G.Node) loss.Option{"margin": loss.WithMarginNode}}.build
}

// policyCase builds cases of GRPO and PPO: from the second script, and from the first with its
// names of the loss types.
func policyCase(b *refGraph) (*G.Node, error) {
	opts := []loss.Option{b.reduction(), loss.WithMask(b.input("mask"))}
	for name, with := range map[string]func(float64) loss.Option{"epsilon": loss.WithEpsilon, "epsilon_high": loss.WithEpsilonHigh, "delta": loss.WithDelta,
		"normalizer": loss.WithNormalizer} {
		if o := number(name, with)(b); o != nil {
			opts = append(opts, o)
		}
	}
	adv := "advantages"
	if b.has("adv") {
		adv = "adv"
	}
	old, advantages := b.input("old_logp"), b.input(adv)
	if b.c.Loss == "ppo" {
		return loss.PPO(b.input("logp"), old, advantages, opts...)
	}
	if o := number("beta", loss.WithBeta)(b); o != nil {
		opts = append(opts, o)
	}
	switch b.c.Options["aggregation"] {
	case "token_mean":
		opts = append(opts, loss.WithAggregation(loss.TokenMean))
	case "sequence_sum":
		opts = append(opts, loss.WithAggregation(loss.SequenceSum))
	case "fixed_length":
		opts = append(opts, loss.WithFixedLength(int(b.option("length", 0))))
	}
	switch b.c.Options["kl_estimator"] {
	case "k2":
		opts = append(opts, loss.WithKLEstimator(loss.K2))
	case "k1":
		opts = append(opts, loss.WithKLEstimator(loss.K1))
	}
	switch b.c.Options["loss_type"] {
	case "grpo":
		opts = append(opts, loss.WithNormalizer(3)) // empty completions count there
	case "bnpo":
		opts = append(opts, loss.WithAggregation(loss.TokenMean))
	}
	if b.c.Options["sequence_ratio"] == true {
		opts = append(opts, loss.WithSequenceRatio())
	}
	var ref *G.Node
	if b.has("ref_logp") {
		ref = b.input("ref_logp")
	}
	return loss.GRPO(b.input("logp"), old, ref, advantages, opts...)
}

// ktoCase builds cases of KTO of both scripts.
func ktoCase(b *refGraph) (*G.Node, error) {
	opts := []loss.Option{b.reduction(), loss.WithBeta(b.option("beta", 0.1))}
	if b.has("kl") {
		opts = append(opts, loss.WithKL(b.input("kl", []int{}...)))
	}
	if w, ok := b.c.Options["class_weights"]; ok {
		opts = append(opts, listOption(loss.WithClassWeights)(w))
	}
	if o := number("normalizer", loss.WithNormalizer)(b); o != nil {
		opts = append(opts, o)
	}
	if b.has("weights") {
		opts = append(opts, loss.WithWeights(b.input("weights")))
	}
	labels := "labels"
	if b.has("label") {
		labels = "label"
	}
	return loss.KTO(b.input("logp"), b.input("ref_logp"), b.leaf(labels), opts...)
}

// sequenceLogProbCase builds cases of sequence_log_prob.
func sequenceLogProbCase(b *refGraph) (*G.Node, error) {
	var opts []loss.Option
	switch v := b.c.Options["mean"]; v {
	case true:
		opts = append(opts, loss.WithMean())
	case false:
	default:
		return nil, fmt.Errorf("mean is %v", v)
	}
	return loss.SequenceLogProb(b.input("token_log_prob"), b.input("mask"), opts...)
}

func init() {
	maps.Copy(adapters, map[string]reference{
		"dpo":           {preference("DPO", pairNames...), tally{14, 13, 0, 1, 0, 7}},
		"dpo_hinge":     {preference("DPOHinge", pairNames...), tally{9, 9, 0, 0, 0, 5}},
		"ipo":           {preference("IPO", pairNames...), tally{9, 9, 0, 0, 0, 5}},
		"apo_zero":      {preference("APOZero", pairNames...), tally{9, 9, 0, 0, 0, 5}},
		"apo_down":      {preference("APODown", pairNames...), tally{9, 9, 0, 0, 0, 5}},
		"nca":           {preference("NCA", pairNames...), tally{9, 9, 0, 0, 0, 5}},
		"simpo":         {preference("SimPO", "chosen", "rejected"), tally{11, 11, 0, 0, 0, 6}},
		"cpo":           {preference("CPO", "chosen", "rejected"), tally{11, 11, 0, 0, 0, 6}},
		"orpo":          {preference("ORPO", "chosen", "rejected"), tally{9, 8, 0, 1, 0, 3}},
		"bradley_terry": {preference("BradleyTerry", "chosen", "rejected"), tally{8, 8, 0, 0, 0, 5}},
		"kto":           {ktoCase, tally{15, 15, 0, 0, 0, 8}},
		"kto_baseline": {second{loss: "KTOBaseline", operands: []string{"logp", "ref_logp"}}.build,
			tally{8, 6, 0, 2, 0, 0}},
		"grpo":              {policyCase, tally{26, 26, 0, 0, 0, 13}},
		"ppo":               {policyCase, tally{7, 7, 0, 0, 0, 4}},
		"ppo_value":         {second{loss: "PPOValue", operands: []string{"value", "old_value", "returns"}, options: map[string]func(any) loss.Option{"epsilon": numberOption(loss.WithEpsilon)}}.build, tally{7, 7, 0, 0, 0, 4}},
		"sequence_log_prob": {sequenceLogProbCase, tally{4, 4, 0, 0, 0, 2}},
		"log1mexp": {func(b *refGraph) (*G.Node, error) { return loss.Log1mExp(b.input("x")) },
			tally{4, 4, 0, 0, 0, 1}},
		"dpo_torch":       {preference("DPO", pairNames...), tally{8, 8, 0, 0, 0, 0}},
		"dpo_hinge_torch": {preference("DPOHinge", pairNames...), tally{4, 4, 0, 0, 0, 0}},
		"ipo_torch":       {preference("IPO", pairNames...), tally{4, 4, 0, 0, 0, 0}},
		"simpo_torch":     {preference("SimPO", "chosen", "rejected"), tally{8, 8, 0, 0, 0, 0}},
		"orpo_term":       {preference("ORPO", "chosen", "rejected"), tally{4, 4, 0, 0, 0, 0}},
		"kto_torch":       {ktoCase, tally{4, 4, 0, 0, 0, 0}},
		"grpo_torch":      {policyCase, tally{8, 8, 0, 0, 0, 0}},
	})
	exceptions = append(exceptions,
		exception{file: "dpo", cases: `^robust-half/`, why: "a share of ½ is no information", refused: loss.ErrOption},
		exception{file: "orpo", cases: `^positive-logp/`, why: "a log-probability above 0", refused: loss.ErrValue},
		exception{file: "kto_baseline", cases: `^empty/`, why: "an empty axis is an error here", refused: loss.ErrShape})
}
