package train_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	wordsKnown   = 1000 // words with vectors; the others are left out of the text
	wordsWidth   = 32
	wordsAround  = 2 // words on either side that belong to a word
	wordsOthers  = 5 // words drawn at random for each that belongs to it
	wordsBatch   = 512
	wordsLongest = 40_000 // words of the text
)

// pairs are the words of a text by number, each with one near it, and the seed of the others.
type pairs struct {
	centre, near []int
	seed         uint64
}

// wordPairs returns those of the text, every tenth for the test.
func wordPairs(tb testing.TB) (known, held pairs) {
	text := data.Words(read(tb, "../examples/internal/opticks/opticks.txt.gz"))[4000:]
	numbers, err := data.NewVocabulary(text).Encode(text)
	if err != nil {
		tb.Fatal(err)
	}
	numbers = slices.DeleteFunc(numbers, func(n int) bool { return n >= wordsKnown })[:wordsLongest]
	for i, centre := range numbers {
		part := &known
		if i%10 == 9 {
			part = &held
		}
		for j := max(0, i-wordsAround); j < min(len(numbers), i+wordsAround+1); j++ {
			if j != i {
				part.centre, part.near = append(part.centre, centre), append(part.near, numbers[j])
			}
		}
	}
	return known, held
}

// other draws a word that has no part in a pair.
func other(r *rand.Rand) int { return r.IntN(wordsKnown) }

// separation is the share of pairs of the test whose score is above that of the same word with one
// drawn at random, a half where they are equal.
func separation(in, out []float32, held pairs) (share float64) {
	score := func(a, b int) (sum float32) {
		for k, v := range in[a*wordsWidth : (a+1)*wordsWidth] {
			sum += v * out[b*wordsWidth+k]
		}
		return sum
	}
	r := data.Rand(1, "test", 0)
	for i, c := range held.centre {
		switch near, far := score(c, held.near[i]), score(c, other(r)); {
		case near > far:
			share++
		case near == far:
			share += 0.5
		}
	}
	return share / float64(len(held.centre))
}

// ReadBatch gives each word its neighbour and, behind it, others.
func (p pairs) ReadBatch(b *data.Batch) error {
	for i, row := range b.Rows {
		r := rand.New(rand.NewPCG(p.seed, uint64(row)*0x9e3779b97f4a7c15)) // neighbouring rows have seeds far apart
		b.In["word"].Int[i] = p.centre[row]
		words := b.In["words"].Int[i*(1+wordsOthers) : (i+1)*(1+wordsOthers)]
		near := b.Out["near"].F32[i*(1+wordsOthers) : (i+1)*(1+wordsOthers)]
		for k := range words {
			words[k], near[k] = other(r), 0
		}
		words[0], near[0] = p.near[row], 1
	}
	return nil
}

func (p pairs) Len() int { return len(p.centre) }

func (p pairs) Fields() data.Fields {
	return data.Fields{
		Inputs:  map[string]data.Field{"word": {Kind: data.Int}, "words": {Kind: data.Int, Shape: []int{1 + wordsOthers}}},
		Targets: map[string]data.Field{"near": {Kind: data.Float, Shape: []int{1 + wordsOthers}}},
	}
}

// words learns a vector of each word and one of its neighbourhood.
func words(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := wordPairs(tb)
	known.seed = seed
	model := func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		word, err := b.EmbeddingWith("in", in["word"], wordsKnown, wordsWidth, train.Uniform(0.5/wordsWidth))
		if err != nil {
			return nil, err
		}
		around, err := b.EmbeddingWith("out", in["words"], wordsKnown, wordsWidth, train.Uniform(0.5/wordsWidth))
		if err != nil {
			return nil, err
		}
		near, err := b.Dot(around, word)
		return train.Nodes{"near": near}, err
	}
	objective := train.Objective{{Output: "near", Target: "near", Loss: loss.BinaryCrossEntropy}}
	res, err := train.FitNamed(context.Background(), model, objective, known, train.Config{Epochs: epochs, BatchSize: wordsBatch, Optimizer: optim.Adam(0.01), Seed: seed})
	if err != nil {
		tb.Fatal(err)
	}
	tables := make(map[string][]float32)
	for _, a := range res.Params() {
		tables[a.Name] = a.F32
	}
	return separation(tables["in.weight"], tables["out.weight"], held)
}

// wordsByHand moves the vectors of each pair by itself, as the original program does.
func wordsByHand(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := wordPairs(tb)
	r := rand.New(rand.NewPCG(5, seed))
	in, out := make([]float32, wordsKnown*wordsWidth), make([]float32, wordsKnown*wordsWidth)
	for i := range in {
		in[i] = (r.Float32() - 0.5) / wordsWidth
	}
	sum := make([]float32, wordsWidth)
	steps := epochs * len(known.centre)
	for n := range steps {
		i := r.IntN(len(known.centre))
		rate := float32(0.05 * (1 - float64(n)/float64(steps)))
		a := in[known.centre[i]*wordsWidth:][:wordsWidth]
		clear(sum)
		for k := range 1 + wordsOthers {
			word, near := known.near[i], float32(1)
			if k > 0 {
				word, near = other(r), 0
			}
			b := out[word*wordsWidth:][:wordsWidth]
			var dot float32
			for j, v := range a {
				dot += v * b[j]
			}
			g := rate * (near - float32(1/(1+math.Exp(-float64(dot)))))
			for j, v := range a {
				sum[j] += g * b[j]
				b[j] += g * v
			}
		}
		for j, v := range sum {
			a[j] += v
		}
	}
	return separation(in, out, held)
}

// wordsByGorgonia repeats each word for its neighbour and the others, so that all are rows.
func wordsByGorgonia(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := wordPairs(tb)
	const rows = wordsBatch * (1 + wordsOthers)
	p := newMachine(tb, make(map[string]G.Value), seed)
	table := func(name string) *G.Node { return p.param(name, 4*wordsWidth*wordsWidth, wordsKnown, wordsWidth) }
	in, out := table("in"), table("out")
	ids := func(name string) *G.Node {
		return G.NewTensor(p.g, tensor.Int, 1, G.WithShape(rows), G.WithName(name))
	}
	word, words, near := ids("word"), ids("words"), p.input("near", rows)
	z := G.Must(G.Sum(G.Must(G.HadamardProd(G.Must(G.ByIndices(in, word, 0)), G.Must(G.ByIndices(out, words, 0)))), 1))
	p.minimise(G.Must(G.Mean(G.Must(G.Sub(G.Must(G.Softplus(z)), G.Must(G.HadamardProd(z, near)))))), adam(0.01))
	defer p.vm.Close()
	wordData, wordsData := make([]int, rows), make([]int, rows)
	truth := filled([]int{rows}, func(i int) float32 {
		if i%(1+wordsOthers) == 0 {
			return 1
		}
		return 0
	})
	for range epochs {
		order := p.rng.Perm(len(known.centre))
		for i := 0; i+wordsBatch <= len(order); i += wordsBatch {
			for k := range rows {
				pair := order[i+k/(1+wordsOthers)]
				wordData[k], wordsData[k] = known.centre[pair], other(p.rng)
				if k%(1+wordsOthers) == 0 {
					wordsData[k] = known.near[pair]
				}
			}
			p.let(word, tensor.New(tensor.WithShape(rows), tensor.WithBacking(wordData)))
			p.let(words, tensor.New(tensor.WithShape(rows), tensor.WithBacking(wordsData)))
			p.let(near, truth)
			p.step()
		}
	}
	return separation(p.values["in"].Data().([]float32), p.values["out"].Data().([]float32), held)
}
