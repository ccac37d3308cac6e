package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	"gorgonia.org/tensor"
)

// An operand is the shape of one in the problem of a loss whose values read more than a row: lists,
// images, sequences, batches.
type operand struct {
	shape       []int
	data        bool // the loss has no derivative by it
	from, below int  // the range of whole numbers; 0, 0: it holds others
}

func model(shape ...int) operand                  { return operand{shape: shape} }
func given(shape ...int) operand                  { return operand{shape: shape, data: true} }
func whole(from, below int, shape ...int) operand { return operand{shape, true, from, below} }

// families are the operands of losses by family: 2 images of 3 classes and 6 pixels, 3 lists of 5
// items, 6 embeddings of 4 numbers.
var families = map[string][]operand{
	"Overlap":     {model(2, 3, 6), whole(0, 3, 2, 6)},
	"Ranking":     {model(3, 5), given(3, 5)},
	"Embeddings":  {model(6, 4), model(6, 4), model(6, 4)},
	"Contrastive": {model(6, 4), model(6, 4)},
}

// labelled are the operands of a loss of embeddings with labels, paired those of pairs with a flag,
// and proxied those of embeddings, proxies of classes and labels.
var (
	labelled = []operand{model(6, 4), whole(0, 3, 6)}
	paired   = []operand{model(6, 4), model(6, 4), given(6)}
	proxied  = []operand{model(6, 4), model(3, 4), whole(0, 3, 6)}
	tokens   = []operand{model(3, 4), given(3, 4), given(3)}
	frames   = []operand{model(5, 3, 4), whole(1, 4, 3, 2), whole(5, 6, 3), whole(2, 3, 3)}
	ensemble = []operand{model(3, 4), model(3)}
)

// operands are those of losses that differ from their family.
var operands = map[string][]operand{
	"LinearCrossEntropy": {model(4, 3), model(5, 3), whole(0, 5, 4)},
	"LovaszHinge":        {model(2, 6), whole(0, 2, 2, 6)},
	"CosineEmbedding":    paired, "Contrastive": paired,
	"BatchTriplet": labelled, "NTXent": labelled, "SupCon": labelled, "Circle": labelled, "MultiSimilarity": labelled,
	"NPairs": {model(6, 4), model(6, 4), whole(0, 3, 6)}, "ProxyNCA": proxied, "ProxyAnchor": proxied,
	"BradleyTerry": {model(4), model(4)}, "KTO": {model(4), given(4), whole(0, 2, 4)},
	"GRPO": {model(3, 4), given(3)}, "PPO": tokens, "PPOValue": {model(3, 4), given(3, 4), given(3, 4)},
	"CTC": frames, "CTCFromLogProb": frames,
	"LinearChainCRF": {model(3, 4, 3), model(3, 3), whole(0, 3, 3, 4), whole(4, 5, 3)},
	"RNNT":           {model(2, 4, 3, 3), whole(1, 3, 2, 2), whole(4, 5, 2), whole(2, 3, 2)},
	"RNNTAdditive":   {model(2, 4, 3), model(2, 3, 3), whole(1, 3, 2, 2), whole(4, 5, 2), whole(2, 3, 2)},
	"Sinkhorn":       {model(3, 4)}, "SinkhornDivergence": {model(4, 2), model(5, 2)},
	"EnsembleCRPS": ensemble, "QuantileCRPS": ensemble,
	"CumulativeLink":       {model(4), model(4), whole(0, 5, 4)},
	"CoxPartialLikelihood": {model(6), given(6), whole(0, 2, 6)},
	"DiscreteHazard":       {model(4, 5), whole(0, 5, 4), whole(0, 2, 4)},
}

// groups returns the operands of a loss that is none of rows, nil for one that is.
func groups(info loss.Info) ([]operand, error) {
	if !info.Grouped && !info.Product {
		return nil, nil
	}
	o, ok := operands[info.Name]
	if !ok {
		o = families[info.Family]
		o = o[:min(len(o), len(info.Operands))]
	}
	if len(o) != len(info.Operands) {
		return nil, fmt.Errorf("zoo: %d shapes of operands for %s, want those of %q", len(o), info.Name, info.Operands)
	}
	return o, nil
}

// draw fills an operand with numbers of a domain. Thresholds of ordered classes rise.
func (o operand) draw(r *rand.Rand, d loss.Domain, rising bool) *tensor.Dense {
	n := tensor.Shape(o.shape).TotalSize()
	if o.below > o.from {
		x := make([]int, n)
		for i := range x {
			x[i] = o.from + r.IntN(o.below-o.from)
		}
		return tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(x))
	}
	var x []float64
	for len(x) < n {
		x = append(x, sample(r, d, o.shape[len(o.shape)-1])...)
	}
	if rising {
		slices.Sort(x)
	}
	return tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(x))
}
