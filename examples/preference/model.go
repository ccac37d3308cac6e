package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/train/data"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/floats"
)

const (
	known   = 500 // words: the most frequent ones, the last of which stands for all others
	width   = 32  // numbers that the model keeps for each word
	longest = 16  // words in a sentence, with its full stop
)

// corpus is sentences by the numbers of their words. Each begins with the word before it, which is
// the full stop or, where a longer sentence was cut, its last word.
type corpus struct {
	vocabulary *data.Vocabulary
	sentences  [][]int
	colour     [known]bool
	stop       int
}

// read takes colons, semicolons and question marks for full stops, and leaves out all other signs
// but commas.
func read(text string) (c corpus, err error) {
	var words []string
	for _, word := range data.Words(text) {
		if strings.Contains(":;?", word) {
			word = "."
		}
		if strings.ContainsAny(word, "abcdefghijklmnopqrstuvwxyz,.") {
			words = append(words, word)
		}
	}
	c.vocabulary = data.NewVocabulary(words)
	numbers, err := c.vocabulary.Encode(append(words, ".", "red", "orange", "yellow", "green", "blue", "indigo", "violet"))
	if err != nil {
		return c, err
	}
	c.stop = numbers[len(words)]
	for _, n := range numbers[len(words)+1:] {
		c.colour[min(n, known-1)] = n < known-1
	}
	sentence := []int{c.stop}
	for _, n := range numbers[:len(words)] {
		n = min(n, known-1)
		if sentence = append(sentence, n); n == c.stop || len(sentence) > longest {
			c.sentences = append(c.sentences, sentence)
			sentence = []int{n}
		}
	}
	return c, nil
}

// has reports whether a sentence names a colour.
func (c *corpus) has(sentence []int) bool {
	return slices.ContainsFunc(sentence, func(n int) bool { return c.colour[n] })
}

func (c *corpus) text(sentence []int) string {
	var b strings.Builder
	for _, n := range sentence[1:] {
		switch word := c.vocabulary.Token(n); {
		case n == known-1:
			b.WriteString(" ~")
		case word == "." || word == ",":
			b.WriteString(word)
		default:
			b.WriteString(" " + word)
		}
	}
	return strings.TrimSpace(b.String())
}

// model is a bigram model: the numbers of the last word times output are the scores of the next.
type model struct{ embedding, output []float32 } // known x width and width x known

func newModel(r *rand.Rand) (m model) {
	for range known * width {
		m.embedding = append(m.embedding, float32(r.NormFloat64()))
		m.output = append(m.output, float32(.1*r.NormFloat64()))
	}
	return m
}

func (m model) clone() model { return model{slices.Clone(m.embedding), slices.Clone(m.output)} }

// chain is the log-probabilities of each next word after each word.
type chain [][]float64

func (m model) chain() chain {
	general := func(rows, columns int, data []float32) blas32.General {
		return blas32.General{Rows: rows, Cols: columns, Stride: columns, Data: data}
	}
	scores := general(known, known, make([]float32, known*known))
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, general(known, width, m.embedding), general(width, known, m.output), 0,
		scores)
	c := make(chain, known)
	for i := range c {
		for _, s := range scores.Data[i*known : (i+1)*known] {
			c[i] = append(c[i], float64(s))
		}
		floats.AddConst(-floats.LogSumExp(c[i]), c[i])
	}
	return c
}

// sample is a sentence after a full stop.
func (c chain) sample(r *rand.Rand, stop int) []int {
	s := []int{stop}
	for len(s) <= longest {
		next, u := 0, r.Float64()
		for row := c[s[len(s)-1]]; next < known-1; next++ {
			if u -= math.Exp(row[next]); u < 0 {
				break
			}
		}
		if s = append(s, next); next == stop {
			break
		}
	}
	return s
}

// logProb is the log-probability of a sentence.
func (c chain) logProb(sentence []int) (sum float64) {
	for i, next := range sentence[1:] {
		sum += c[sentence[i]][next]
	}
	return sum
}

// measure is what a model does, over all sentences that it can write: the share of them that name a
// colour, the KL divergence from the reference, in nats a sentence, and their mean length.
type measure struct{ share, kl, length float64 }

// against measures a model exactly: it follows the probability of having written each last word,
// with and without a colour so far, from word to word.
func (c chain) against(reference chain, corpus *corpus) (m measure) {
	p, kl := make([][]float64, known), make([]float64, known)
	for i, row := range c {
		p[i] = make([]float64, known)
		for j, l := range row {
			p[i][j] = math.Exp(l)
			kl[i] += p[i][j] * (l - reference[i][j])
		}
	}
	var at [2][known]float64 // without and with a colour
	at[0][corpus.stop] = 1
	for range longest {
		var next [2][known]float64
		for named := range at {
			for i, mass := range at[named] {
				m.kl += mass * kl[i]
				m.length += mass
				floats.AddScaled(next[named][:], mass, p[i])
			}
		}
		for j, colour := range corpus.colour {
			if colour {
				next[0][j], next[1][j] = 0, next[1][j]+next[0][j]
			}
		}
		m.share += next[1][corpus.stop]
		next[0][corpus.stop], next[1][corpus.stop] = 0, 0
		at = next
	}
	m.share += floats.Sum(at[1][:])
	return m
}

// bound is the largest share at a KL divergence that any model can have, if the reference has share
// q: the one that writes the reference's sentences with other odds of a colour.
func bound(q, kl float64) float64 {
	lo, hi := q, 1.0
	for range 60 {
		if p := (lo + hi) / 2; p*math.Log(p/q)+(1-p)*math.Log((1-p)/(1-q)) < kl {
			lo = p
		} else {
			hi = p
		}
	}
	return lo
}
