// Imbalanced finds the eights among MNIST's digits when only one digit in 186 is an eight, with
// three losses: binary cross-entropy, the same with a weight on the rare class, and the focal loss.
//
//	go run ./examples/imbalanced -data DIR
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
	G "gorgonia.org/gorgonia"
)

func main() {
	dir := flag.String("data", "", "directory with the four files of MNIST; examples/mnist says where to get them")
	seed := program.Seed("initial weights and shuffling")
	epochs := program.Int("epochs", 3, 1, "passes over the training images")
	program.Main(func(ctx context.Context) error {
		images, test, err := data.MNIST(*dir)
		if errors.Is(err, data.ErrNoMNIST) {
			return fmt.Errorf("%w\n\nName a directory with MNIST's four files by -data; go run ./examples/mnist says where to get them", err)
		}
		if err != nil {
			return err
		}
		return run(ctx, os.Stdout, os.Stderr, images, test, *seed, *epochs)
	})
}

// network has a hidden layer of 64 rectified units and one logit.
func network(b *train.Builder, x *G.Node) (*G.Node, error) {
	h := G.Must(b.Dense("hidden", x, 64))
	return b.Dense("out", G.Must(G.Rectify(h)), 1)
}

// candidate is a loss to try, and candidates are all of them for a training set with so many rows
// and eights.
type candidate struct {
	name string
	fn   loss.Func
}

func candidates(rows, eights int) []candidate {
	ratio := float64(rows-eights) / float64(eights)
	return []candidate{
		{"binary cross-entropy", loss.BinaryCrossEntropy},
		{fmt.Sprintf("with pos_weight %.0f", ratio), loss.With(loss.BinaryCrossEntropy, loss.WithPosWeight([]float64{ratio}))},
		{"focal, gamma 2, alpha .75", loss.With(loss.SigmoidFocal, loss.WithGamma(2), loss.WithAlpha(0.75))},
	}
}

func run(ctx context.Context, w, progress io.Writer, images, test *data.Images, seed uint64, epochs int) error {
	rare, eights, err := rareEights(images)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d training images, %d of them eights; %d test images\n\n", rare.Len(), eights, test.Len())
	fmt.Fprintf(w, "%-26s %17s %8s %8s %12s\n", "loss", "average precision", "AUROC", "best F1", "calibration")
	for _, c := range candidates(rare.Len(), eights) {
		res, err := train.Fit(ctx, network, c.fn, rare, train.Config{
			Epochs: epochs, BatchSize: 128, Optimizer: optim.Adam(1e-3), Seed: seed, Prefetch: 2, Progress: progress,
		})
		if err != nil {
			return err
		}
		v, err := res.Evaluate(ctx, nil, eightOrNot{test}, metric.NewAveragePrecision(), metric.NewAUROC(), metric.NewBestF1(), metric.NewCalibrationError(10))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-26s %17.3f %8.3f %8.3f %12.3f\n", c.name, v["average_precision"], v["auroc"], v["best_f1"], v["calibration_error"])
	}
	return nil
}
