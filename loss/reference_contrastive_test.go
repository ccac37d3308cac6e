package loss_test

import (
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

// A referencePair gathers the two nodes of WithReference, which come one after the other.
type referencePair [2]*G.Node

// with returns what takes node k; the second one that comes makes the option.
func (p *referencePair) with(k int) func(n *G.Node) loss.Option {
	return func(n *G.Node) loss.Option {
		if p[k] = n; p[1-k] == nil {
			return func(*core.Settings) error { return nil }
		}
		pair := *p
		*p = referencePair{}
		return loss.WithReference(pair[0], pair[1])
	}
}

// contrastiveCase builds the cases of a loss of a batch.
func contrastiveCase(name string, operands ...string) adapter {
	return func(b *refGraph) (*G.Node, error) {
		var reference referencePair
		return second{loss: name, operands: operands, options: embeddingOptions, nodes: map[string]func(*G.Node) loss.Option{
			"reference": reference.with(0), "reference_labels": reference.with(1),
			"positives_mask": loss.WithPositives, "scale": loss.WithScaleNode, "bias": loss.WithBias,
		}}.build(b)
	}
}

func init() {
	for file, r := range map[string]reference{
		"ntxent":           {contrastiveCase("NTXent", "embeddings", "labels"), tally{28, 28, 0, 0, 0, 14}},
		"ntxent_first":     {contrastiveCase("NTXent", "emb", "labels"), tally{4, 4, 0, 0, 0, 0}},
		"supcon":           {contrastiveCase("SupCon", "embeddings", "labels"), tally{28, 28, 0, 0, 0, 14}},
		"supcon_first":     {contrastiveCase("SupCon", "emb", "labels"), tally{4, 4, 0, 0, 0, 0}},
		"circle":           {contrastiveCase("Circle", "embeddings", "labels"), tally{26, 26, 0, 0, 0, 13}},
		"multi_similarity": {contrastiveCase("MultiSimilarity", "embeddings", "labels"), tally{24, 24, 0, 0, 0, 12}},
		"info_nce":         {contrastiveCase("InfoNCE", "queries", "keys"), tally{30, 30, 0, 0, 0, 15}},
		"siglip":           {contrastiveCase("SigLIP", "queries", "keys"), tally{20, 20, 0, 0, 0, 10}},
		"dcl":              {contrastiveCase("DCL", "x", "y"), tally{16, 16, 0, 0, 0, 8}},
		"batch_triplet":    {contrastiveCase("BatchTriplet", "embeddings", "labels"), tally{30, 30, 0, 0, 0, 15}},
		"npairs":           {contrastiveCase("NPairs", "anchors", "positives", "labels"), tally{12, 10, 2, 0, 0, 5}},
		"proxy_nca":        {contrastiveCase("ProxyNCA", "embeddings", "proxies", "labels"), tally{12, 12, 0, 0, 0, 6}},
		"proxy_anchor":     {contrastiveCase("ProxyAnchor", "embeddings", "proxies", "labels"), tally{12, 12, 0, 0, 0, 6}},
		"uniformity":       {contrastiveCase("Uniformity", "x"), tally{14, 14, 0, 0, 0, 7}},
		"vicreg":           {contrastiveCase("VICReg", "x", "y"), tally{16, 16, 0, 0, 0, 8}},
		"barlow_twins":     {contrastiveCase("BarlowTwins", "x", "y"), tally{16, 16, 0, 0, 0, 8}},
		"info_nce_symmetric": {func(b *refGraph) (*G.Node, error) {
			return loss.InfoNCE(b.input("a"), b.input("b"), loss.WithScale(b.option("scale", 1)))
		}, tally{2, 2, 0, 0, 0, 0}},
		"siglip_first": {func(b *refGraph) (*G.Node, error) {
			return loss.SigLIP(b.input("a"), b.input("b"), loss.WithScale(b.option("t", 1)))
		}, tally{2, 2, 0, 0, 0, 0}},
	} {
		adapters[file] = r
	}
	exceptions = append(exceptions, exception{file: "npairs", cases: `^1e4-and-one-class/`,
		why: "both products are 10,000, so the softmax is the target and the gradient 0; the formula written out loses 1e-11", want: noGradients})
}
