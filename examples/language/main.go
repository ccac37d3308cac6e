// Language trains a bigram model of English on Newton's Opticks: from each word, a distribution
// over the next. The scores of all words are the largest matrix of such a model, and its loss,
// loss.LinearCrossEntropy, never holds all of them.
//
//	go run ./examples/language
//	go run ./examples/language -vocabulary 128256
//
// The second uses random text with that many distinct words, the size of the vocabularies of
// current language models, to show the memory.
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/opticks"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
)

func main() {
	seed := program.Seed("initial weights, shuffling and random text")
	epochs := program.Int("epochs", 10, 1, "at most so many passes over the text")
	vocabulary := program.Int("vocabulary", 0, 0, "in place of the Opticks, random text of so many different words")
	program.Main(func(ctx context.Context) error {
		if *vocabulary > 0 {
			return run(ctx, os.Stdout, os.Stderr, random(*vocabulary, *seed), *seed, *epochs)
		}
		text, err := opticks.Text()
		if err != nil {
			return err
		}
		c, err := read(text)
		if err != nil {
			return err
		}
		return run(ctx, os.Stdout, os.Stderr, c, *seed, *epochs)
	})
}

// corpus is a text by the numbers of its words.
type corpus struct {
	words    []int
	distinct int
}

func read(text string) (c corpus, err error) {
	words := data.Words(text)
	vocabulary := data.NewVocabulary(words)
	c.distinct = vocabulary.Len()
	c.words, err = vocabulary.Encode(words)
	return c, err
}

// random is a text for four batches, in which no word says anything about the next.
func random(distinct int, seed uint64) corpus {
	r := rand.New(rand.NewPCG(seed, 0))
	c := corpus{make([]int, 4*batch*10/9), distinct}
	for i := range c.words {
		c.words[i] = r.IntN(distinct)
	}
	return c
}

// batch is the number of words whose successors are predicted at once.
const batch = 512

func run(ctx context.Context, w, progress io.Writer, c corpus, seed uint64, epochs int) error {
	cut := len(c.words) - len(c.words)/10
	fmt.Fprintf(w, "%d words, %d distinct; the last tenth is the test\n", len(c.words), c.distinct)
	if err := compareMemory(w, c.distinct); err != nil {
		return err
	}
	training, err := data.Windows(c.words[:cut], 1)
	if err != nil {
		return err
	}
	test, err := data.Windows(c.words[cut:], 1)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "unigrams, add-one:  test perplexity %.1f\n", unigram(c.words[:cut], c.words[cut:], c.distinct))
	m := newBigram(c.distinct)
	res, err := train.Fit(ctx, m.hidden, m.loss, training, train.Config{
		Epochs: epochs, BatchSize: batch, Optimizer: optim.Adam(1e-2), Seed: seed, Validation: test, ValidationBatch: batch,
		EarlyStop: &train.EarlyStop{Monitor: "val_loss", Patience: 1}, Progress: progress,
	})
	if err != nil {
		return err
	}
	nats := res.Best.Values["val_loss"]
	fmt.Fprintf(w, "bigrams, trained:   test perplexity %.1f, %.2f bits per word, after epoch %d of %d\n",
		math.Exp(nats), nats/math.Ln2, res.Best.Epoch, len(res.History.Epochs))
	return nil
}
