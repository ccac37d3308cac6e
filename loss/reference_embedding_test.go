package loss_test

import (
	"math"
	"math/big"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// powerOption is a power, +Inf as a word.
func powerOption(v any) loss.Option {
	if v == "inf" {
		return loss.WithPower(math.Inf(1))
	}
	return loss.WithPower(v.(float64))
}

func distanceOption(v any) loss.Option {
	return loss.WithDistance(map[any]loss.Distance{"l2": loss.DistanceL2, "squared": loss.DistanceSquared,
		"cosine": loss.DistanceCosine, "1-cosine": loss.DistanceCosine}[v])
}

// embeddingOptions are the options of all losses of embeddings by their names in the files.
var embeddingOptions = map[string]func(any) loss.Option{
	"power": powerOption, "p": powerOption, "epsilon": numberOption(loss.WithEpsilon),
	"eps":    numberOption(loss.WithEpsilon),
	"margin": numberOption(loss.WithMargin), "temperature": numberOption(loss.WithTemperature),
	"gamma": numberOption(loss.WithGamma), "alpha": numberOption(loss.WithAlpha), "beta": numberOption(loss.WithBeta),
	"scale": numberOption(loss.WithScale), "one_way": flagOption(loss.WithOneWay),
	"non_zero": flagOption(loss.WithNonZero), "unbiased": flagOption(loss.WithUnbiased),
	"mining": func(v any) loss.Option {
		return loss.WithMining(map[any]loss.Mining{"all": loss.MineAll, "hard": loss.MineHard, "semi_hard": loss.MineSemiHard}[v])
	},
	"terms": func(v any) loss.Option {
		list := v.([]any)
		return loss.WithTerms(list[0].(float64), list[1].(float64), list[2].(float64))
	},
	"swap": flagOption(loss.WithSwap), "soft": flagOption(loss.WithSoft), "distance": distanceOption,
}

func embedding(name string, operands ...string) adapter {
	return second{loss: name, operands: operands, options: embeddingOptions}.build
}

func init() {
	for file, r := range map[string]reference{
		"pairwise_distance":       {embedding("PairwiseDistance", "x1", "x2"), tally{10, 10, 0, 0, 0, 5}},
		"pairwise_distance_first": {embedding("PairwiseDistance", "input1", "input2"), tally{6, 6, 0, 0, 0, 0}},
		"triplet_margin": {embedding("TripletMargin", "anchor", "positive", "negative"),
			tally{24, 24, 0, 0, 0, 12}},
		"triplet_margin_loss": {embedding("TripletMargin", "anchor", "positive", "negative"),
			tally{26, 24, 2, 0, 0, 0}},
		"triplet_margin_with_distance_loss": {embedding("TripletMargin", "anchor", "positive", "negative"),
			tally{2, 2, 0, 0, 0, 0}},
		"cosine_embedding": {embedding("CosineEmbedding", "x1", "x2", "y"), tally{10, 10, 0, 0, 0, 5}},
		"cosine_embedding_loss": {embedding("CosineEmbedding", "input1", "input2", "target"),
			tally{14, 8, 6, 0, 0, 0}},
		"contrastive": {embedding("Contrastive", "x1", "x2", "y"), tally{10, 10, 0, 0, 0, 5}},
		"contrastive_first": {func(b *refGraph) (*G.Node, error) {
			return loss.Contrastive(b.input("a"), b.input("b"), b.input("y"), b.perRow(),
				loss.WithMargin(b.option("margin", 1)))
		}, tally{2, 2, 0, 0, 0, 0}},
		"alignment": {embedding("Alignment", "x", "y"), tally{14, 14, 0, 0, 0, 7}},
	} {
		adapters[file] = r
	}
	exceptions = append(exceptions,
		exception{file: "triplet_margin_loss", cases: `^identical/`,
			why: "the gradient of the distance of equal rows is 0, in PyTorch that of ε", want: noGradients},
		exception{file: "cosine_embedding_loss", cases: `^zero-vector/`,
			why: "the cosine with a vector of zeros is 0 with gradient 0", want: cosineRule},
		exception{file: "cosine_embedding_loss", cases: `^(none|sum)-.*/float64`,
			why: "PyTorch is off by 1e-14 where the entries of a gradient cancel", want: cosineRule})
}

// noGradients keeps the values of a case and puts 0 for its gradients.
func noGradients(c *refCase) (*refCase, error) {
	zeros, err := nothing(c)
	if err != nil {
		return nil, err
	}
	output, _ := c.results()
	grads := make(map[string][]float64)
	for name, a := range zeros.Grads {
		grads[name] = a.values()
	}
	return c.replaced(output.values(), grads), nil
}

// cosineRule computes the gradients of a case of cosine_embedding_loss with 120 bits: for the rows
// a and b with the lengths m and n and the cosine c they are ∓(b/n - c·a/m)/m, and 0 for zeros.
func cosineRule(c *refCase) (*refCase, error) {
	x, y, target := c.Inputs["input1"].values(), c.Inputs["input2"].values(), c.Inputs["target"].values()
	margin, _ := c.Options["margin"].(float64)
	up := slices.Repeat([]float64{1}, len(target))
	if c.Upstream != nil {
		up = c.Upstream.values()
	}
	n := len(x) / len(target)
	wide := func(v float64) *big.Float { return new(big.Float).SetPrec(120).SetFloat64(v) }
	dot := func(a, b []float64) *big.Float {
		s := wide(0)
		for i := range a {
			s.Add(s, new(big.Float).Mul(wide(a[i]), wide(b[i])))
		}
		return s
	}
	gx, gy := make([]float64, len(x)), make([]float64, len(y))
	for i, t := range target {
		a, b := x[i*n:(i+1)*n], y[i*n:(i+1)*n]
		la, lb := dot(a, a), dot(b, b)
		if la.Sign() == 0 || lb.Sign() == 0 {
			continue
		}
		la.Sqrt(la)
		lb.Sqrt(lb)
		cos := dot(a, b)
		cos.Quo(cos, la).Quo(cos, lb)
		if v, _ := cos.Float64(); t < 0 && v <= margin {
			continue
		}
		grad := func(to, a, b []float64, la, lb *big.Float) {
			for k := range a {
				own, other := wide(a[k]), wide(b[k])
				other.Quo(other, lb)
				other.Sub(other, own.Mul(own, cos).Quo(own, la))
				g, _ := other.Quo(other, la).Float64()
				to[k] = -t * up[i] * g
			}
		}
		grad(gx[i*n:], a, b, la, lb)
		grad(gy[i*n:], b, a, lb, la)
	}
	output, _ := c.results()
	return c.replaced(output.values(), map[string][]float64{"input1": gx, "input2": gy}), nil
}
