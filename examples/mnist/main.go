// Mnist trains softmax regression and a network with one hidden layer on MNIST, which is not part
// of the program.
//
//	go run ./examples/mnist -data DIR
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/report"
	G "gorgonia.org/gorgonia"
)

const howToGet = `MNIST is four files, 11 MB in all:

  train-images-idx3-ubyte.gz  train-labels-idx1-ubyte.gz  t10k-images-idx3-ubyte.gz  t10k-labels-idx1-ubyte.gz

Any of its many mirrors will do, such as https://storage.googleapis.com/cvdf-datasets/mnist/ or
https://ossci-datasets.s3.amazonaws.com/mnist/: the contents are checked by digest. Put the files into one directory,
packed or unpacked, and name it:  go run ./examples/mnist -data DIR`

func main() {
	dir := flag.String("data", "", "directory with the four files of MNIST")
	seed := program.Seed("initial weights and shuffling")
	epochs := program.Int("epochs", 10, 1, "passes over the 60,000 training images")
	out := program.Out("mnist")
	program.Main(func(ctx context.Context) error {
		images, test, err := data.MNIST(*dir)
		if errors.Is(err, data.ErrNoMNIST) {
			return fmt.Errorf("%w\n\n%s", err, howToGet)
		}
		if err != nil {
			return err
		}
		return run(ctx, os.Stdout, os.Stderr, images, test, *seed, *epochs, *out)
	})
}

// regression is softmax regression: one score per class.
func regression(b *train.Builder, x *G.Node) (*G.Node, error) { return b.Dense("out", x, 10) }

// network has a hidden layer of 256 rectified units.
func network(b *train.Builder, x *G.Node) (*G.Node, error) {
	h := G.Must(b.Dense("hidden", x, 256))
	return b.Dense("out", G.Must(G.Rectify(h)), 10)
}

func run(ctx context.Context, w, progress io.Writer, images, test *data.Images, seed uint64, epochs int, out string) error {
	fmt.Fprintf(w, "%d training images, %d test images\n", images.Len(), test.Len())
	for _, m := range []struct {
		name, file string
		model      train.Model
		optimizer  optim.Optimizer
	}{
		{"softmax regression", "regression.html", regression, optim.SGD(0.1)},
		{"network 784-256-10", "network.html", network, optim.Adam(1e-3)},
	} {
		res, err := train.Fit(ctx, m.model, loss.CrossEntropy, images, train.Config{
			Epochs: epochs, BatchSize: 128, Optimizer: m.optimizer, Seed: seed, Prefetch: 2, Validation: test,
			Metrics: []metric.Metric{metric.NewAccuracy()}, Progress: progress,
		})
		if err != nil {
			return err
		}
		t := res.Time
		fmt.Fprintf(w, "%s  test accuracy %.4f  %.2f s per epoch (outside graphs and the optimizer %.1f %%, the optimizer %.1f %%)\n",
			m.name, res.History.Last("val_accuracy"), res.History.Seconds()/float64(epochs), 100*t.Overhead(),
			100*t.Update.Seconds()/(t.Total-t.Setup).Seconds())
		page, err := reportOf(ctx, "MNIST: "+m.name, test, res)
		if err != nil {
			return err
		}
		if err := program.Save(w, out, m.file, page); err != nil {
			return err
		}
	}
	return nil
}

// reportOf is an HTML page on a trained model.
func reportOf(ctx context.Context, title string, test data.Dataset, res *train.Result) (*report.Page, error) {
	confusion := metric.NewConfusion(10)
	if _, err := res.Evaluate(ctx, nil, test, confusion); err != nil {
		return nil, err
	}
	matrix, err := report.Confusion("", nil, confusion.Counts())
	if err != nil {
		return nil, err
	}
	page, err := report.NewPage(title, res.History)
	if err != nil {
		return nil, err
	}
	page.Facts = []report.Fact{
		{Name: "parameters", Value: fmt.Sprint(res.Size())}, {Name: "steps", Value: fmt.Sprint(res.Steps)},
		{Name: "seconds", Value: fmt.Sprintf("%.1f", res.History.Seconds())},
		{Name: "test accuracy", Value: fmt.Sprintf("%.4f", confusion.Value())},
	}
	page.Figures = append(page.Figures, report.Figure{Caption: "Confusion matrix of the test images", Picture: matrix})
	return page, nil
}
