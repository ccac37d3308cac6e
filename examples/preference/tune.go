package main

import (
	"math/rand/v2"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// pair is a chosen and a rejected sentence, with their log-probabilities under the reference.
type pair struct {
	sentence  [2][]int
	reference [2]float64
}

// compare has the reference write sentences until it has n pairs of one with and one without a
// colour.
func compare(reference chain, c *corpus, n int, r *rand.Rand) []pair {
	pairs := make([]pair, n)
	for filled := [2]int{}; min(filled[0], filled[1]) < n; {
		s, k := reference.sample(r, c.stop), 1
		if c.has(s) {
			k = 0
		}
		if i := filled[k]; i < n {
			pairs[i].sentence[k], pairs[i].reference[k] = s, reference.logProb(s)
			filled[k]++
		}
	}
	return pairs
}

// batch is the number of pairs in a step.
const batch = 32

// side is the inputs of the chosen sentences of a batch, or of the rejected ones.
type side struct {
	last, next [batch * longest]int
	written    [batch * longest]bool
	reference  [batch]float32
}

// fill writes the sentence of row i.
func (s *side) fill(i int, sentence []int, reference float64, mean bool) {
	for t := range longest {
		at := i*longest + t
		if s.written[at] = t+1 < len(sentence); s.written[at] {
			s.last[at], s.next[at] = sentence[t], sentence[t+1]
		}
	}
	s.reference[i] = float32(reference)
	if mean {
		s.reference[i] /= float32(len(sentence) - 1)
	}
}

// tune makes steps of Adam on a model and calls done after each.
func tune(m model, o objective, pairs []pair, steps int, rate float64, r *rand.Rand, done func()) error {
	g := G.NewGraph()
	input := func(name string, of tensor.Dtype, data any, shape ...int) *G.Node {
		return G.NewTensor(g, of, len(shape), G.WithName(name), G.WithShape(shape...),
			G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))))
	}
	embedding := input("embedding", tensor.Float32, m.embedding, known, width)
	output := input("output", tensor.Float32, m.output, width, known)
	var options []loss.Option
	if o.mean {
		options = append(options, loss.WithMean())
	}
	var sides [2]side
	var model, reference [2]*G.Node
	for k, name := range []string{"chosen", "rejected"} {
		s := &sides[k]
		hidden, err := G.ByIndices(embedding, input(name+" last", tensor.Int, s.last[:], batch*longest), 0)
		if err != nil {
			return err
		}
		scores, err := G.Mul(hidden, output)
		if err != nil {
			return err
		}
		words, err := loss.TokenLogProb(scores, input(name+" next", tensor.Int, s.next[:], batch*longest))
		if err != nil {
			return err
		}
		if words, err = G.Reshape(words, tensor.Shape{batch, longest}); err != nil {
			return err
		}
		model[k], err = loss.SequenceLogProb(words, input(name+" written", tensor.Bool, s.written[:], batch, longest), options...)
		if err != nil {
			return err
		}
		reference[k] = input(name+" reference", tensor.Float32, s.reference[:], batch)
	}
	cost, err := o.cost(model[0], model[1], reference[0], reference[1])
	if err != nil {
		return err
	}
	gradients, err := loss.Gradients(cost, embedding, output)
	if err != nil {
		return err
	}
	run, err := machine.New(g, machine.WithOutputs(gradients...))
	if err != nil {
		return err
	}
	defer run.Close()
	adam := optim.Adam(rate)
	parameters := [][]float32{m.embedding, m.output}
	slots := make([][][]float32, len(parameters))
	for i, p := range parameters {
		for range adam.Slots() {
			slots[i] = append(slots[i], make([]float32, len(p)))
		}
	}
	for n := range steps {
		for i := range batch {
			p := pairs[r.IntN(len(pairs))]
			for k := range sides {
				sides[k].fill(i, p.sentence[k], p.reference[k], o.mean)
			}
		}
		if err := run.RunAll(); err != nil {
			return err
		}
		for i, p := range parameters {
			adam.Update32(optim.Step{N: n + 1, Rate: rate}, p, gradients[i].Value().Data().([]float32), slots[i])
		}
		done()
	}
	return nil
}
