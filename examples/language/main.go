// Language trains a bigram model of English on Newton's Opticks: from each word, a distribution
// over the next.
//
//	go run ./examples/language
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// opticks is the fourth edition of 1730 in the text of Project Gutenberg, in the public domain.
//
//go:embed opticks.txt.gz
var opticks []byte

func main() {
	seed := flag.Uint64("seed", 0, "decides initial weights and shuffling")
	epochs := flag.Int("epochs", 10, "at most so many passes over the text")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	z, err := gzip.NewReader(bytes.NewReader(opticks))
	if err != nil {
		log.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		log.Fatal(err)
	}
	if err := run(ctx, os.Stdout, os.Stderr, string(text), *seed, *epochs); err != nil {
		log.Fatal(err)
	}
}

// bigram looks the last word up in a table of 64 numbers for each and scores all words by a linear
// map of them.
func bigram(vocabulary int) train.Model {
	return func(b *train.Builder, x *G.Node) (*G.Node, error) {
		h, err := b.EmbeddingWith("embedding", x, vocabulary, 64, train.Normal(0.1))
		if err != nil {
			return nil, err
		}
		if h, err = G.Reshape(h, tensor.Shape{b.Batch(), 64}); err != nil {
			return nil, err
		}
		return b.Dense("out", h, vocabulary)
	}
}

func run(ctx context.Context, w, progress io.Writer, text string, seed uint64, epochs int) error {
	words := data.Words(text)
	vocabulary := data.NewVocabulary(words)
	ids, err := vocabulary.Encode(words)
	if err != nil {
		return err
	}
	cut := len(ids) - len(ids)/10
	fmt.Fprintf(w, "%d words, %d distinct; the last tenth is the test\n", len(ids), vocabulary.Len())
	training, err := data.Windows(ids[:cut], 1)
	if err != nil {
		return err
	}
	test, err := data.Windows(ids[cut:], 1)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "unigrams, add-one:  test perplexity %.1f\n", unigram(ids[:cut], ids[cut:], vocabulary.Len()))
	res, err := train.Fit(ctx, bigram(vocabulary.Len()), loss.CrossEntropy, training, train.Config{
		Epochs: epochs, BatchSize: 512, Optimizer: optim.Adam(1e-2), Seed: seed, Validation: test, ValidationBatch: 512,
		Metrics: []metric.Metric{metric.NewPerplexity(), metric.NewBits()}, NoTrainMetrics: true,
		EarlyStop: &train.EarlyStop{Monitor: "val_perplexity", Patience: 1}, Progress: progress,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "bigrams, trained:   test perplexity %.1f, %.2f bits per word, after epoch %d of %d\n",
		res.Best.Values["val_perplexity"], res.Best.Values["val_bits"], res.Best.Epoch, len(res.History.Epochs))
	return nil
}
