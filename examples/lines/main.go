// Lines reads lines of three to eight handwritten digits with gaps of random widths. It learns from
// lines and their digits alone, without being told where a digit begins or ends: a small network
// looks at each column of a line with its neighbours, and loss.CTC sums over all alignments of the
// digits with the columns.
//
//	go run ./examples/lines
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/decode"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() {
	seed := program.Seed("the lines, initial weights and shuffling")
	training := program.Int("training", 2000, 1, "number of lines for training")
	test := program.Int("test", 500, 1, "number of lines for the test")
	epochs := program.Int("epochs", 10, 1, "passes over the lines for training")
	out := program.Out("lines")
	program.Main(func(ctx context.Context) error {
		return run(ctx, os.Stdout, os.Stderr, *seed, *training, *test, *epochs, *out)
	})
}

const (
	blank  = 10 // the class of a column that ends no digit; the others are the digits
	window = 13 // columns that the network sees at a time
)

// model gives each column of a line the scores of all classes: shape (rows, columns, classes).
func model(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	h := G.Must(b.Conv2D("window", in["line"], 64, train.Window{Height: digits.Side, Width: window}))
	h = G.Must(G.Reshape(G.Must(G.Rectify(h)), tensor.Shape{b.Batch() * longest, 64}))
	h = G.Must(G.Rectify(G.Must(b.Dense("hidden", h, 64))))
	h = G.Must(b.Dense("class", G.Must(b.Dropout("drop", h, 0.2)), blank+1))
	scores, err := G.Reshape(h, tensor.Shape{b.Batch(), longest, blank + 1})
	return train.Nodes{"scores": scores}, err
}

// objective hands the columns, in the order of time, to the loss. The columns behind the end of a
// line and the labels behind its last digit have no part in it.
var objective = train.Objective{{Name: "ctc", Output: "scores", Build: func(out, target train.Nodes, opts ...loss.Option) (*G.Node, error) {
	columns, err := G.Transpose(out["scores"], 1, 0, 2)
	if err != nil {
		return nil, err
	}
	return loss.CTC(columns, target["digits"], target["columns"], target["length"], append(opts, loss.WithBlank(blank))...)
}}}

func run(ctx context.Context, w, progress io.Writer, seed uint64, training, test, epochs int, out string) error {
	known, err := newLines(digits.Part, false, seed, training)
	if err != nil {
		return err
	}
	held, err := newLines(digits.Part, true, seed, test)
	if err != nil {
		return err
	}
	res, err := train.FitNamed(ctx, model, objective, known.records, train.Config{
		Epochs: epochs, BatchSize: 8, Optimizer: optim.Adam(5e-3), Schedule: optim.Cosine(0, 0), ClipNorm: 5, Seed: seed, Progress: progress,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d lines for training and %d of other digits for the test; %d epochs in %.1f s\n",
		training, test, len(res.History.Epochs), res.History.Seconds())
	scores, err := res.PredictNamed(ctx, held.records)
	if err != nil {
		return err
	}
	// By column, line and class, as the loss has them.
	logits := make([]float32, 0, test*longest*(blank+1))
	for t := range longest {
		for i := range test {
			at := (i*longest + t) * (blank + 1)
			logits = append(logits, scores["scores"].Data().([]float32)[at:at+blank+1]...)
		}
	}
	shape := [3]int{longest, test, blank + 1}
	greedy, err := decode.CTCGreedy(logits, shape, held.columns, decode.WithBlank(blank))
	if err != nil {
		return err
	}
	beams, err := decode.CTCBeam(logits, shape, held.columns, 8, decode.WithBlank(blank))
	if err != nil {
		return err
	}
	beam := make([]decode.Labelling, test)
	for i := range beam {
		beam[i] = beams[i][0]
	}
	for _, d := range []struct {
		name string
		read []decode.Labelling
	}{{"most likely path", greedy}, {"beam of 8", beam}} {
		if err := grade(w, d.name, d.read, held.digits); err != nil {
			return err
		}
	}
	p, err := picture(logits, shape, held, beam)
	if err != nil {
		return err
	}
	return program.Save(w, out, "lines.png", p)
}

// grade writes how often single digits, and whole lines, are read wrong.
func grade(w io.Writer, name string, read []decode.Labelling, truth [][]int) error {
	decoded, wrong := make([][]int, len(read)), 0
	for i, r := range read {
		decoded[i] = r.Labels
		if metric.EditDistance(r.Labels, truth[i]) > 0 {
			wrong++
		}
	}
	cer := metric.NewCER()
	if err := cer.Update(metric.Batch{References: truth, Decoded: decoded}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%-18scharacter error rate %.2f%%, %d of %d lines wrong\n", name, 100*cer.Value(), wrong, len(truth))
	return err
}
