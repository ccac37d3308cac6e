// Ranks trains a network on handwritten digits on any number of ranks: the processes that mpirun
// starts, on one host or on many, or this one alone. Up to rounding, the parameters in the end do
// not depend on their number.
//
//	go run ./examples/ranks
//	go build -o ranks ./examples/ranks && mpirun -np 2 ./ranks
//
// With -dir the run is kept on disk: a run that was killed continues where it was, on any number of
// ranks.
//
//	mpirun -np 2 ./ranks -steps 400 -batch 1024
//
// times steps, and
//
//	mpirun -np 2 ./ranks -classes 1000000
//
// trains an output layer of a million classes, spread over the ranks, and prints the memory of each
// rank.
package main

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/tensorops/comm/mpi"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

func main() {
	seed := program.Seed("initial weights and shuffling")
	epochs := program.Int("epochs", 20, 1, "passes over the training images")
	batch := program.Int("batch", 128, 1, "images of a batch, on all ranks together")
	dir := flag.String("dir", "", "directory for checkpoints, from which a run goes on; none without it")
	steps := program.Int("steps", 0, 0, "in place of the digits, so many steps on images of MNIST's size, and their time")
	anyOrder := flag.Bool("anyorder", false, "for -steps: add gradients in the order of the MPI library")
	classes := program.Int("classes", 0, 0, "in place of the digits, an output layer of so many classes")
	width := program.Int("width", 512, 1, "inputs of the output layer")
	program.Main(func(ctx context.Context) error { // of an error the launcher ends the other ranks
		c, err := mpi.World()
		switch {
		case err != nil:
			return err
		case *steps > 0:
			err = measure(ctx, os.Stdout, c, *steps, *batch, *anyOrder)
		case *classes > 0:
			err = shard(os.Stdout, c, *classes, *width, 16, 3)
		default:
			err = run(ctx, os.Stdout, c, *seed, *epochs, *batch, *dir)
		}
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// network has a hidden layer of 256 rectified units.
func network(b *train.Builder, x *G.Node) (*G.Node, error) {
	h := G.Must(b.Dense("hidden", x, 256))
	return b.Dense("out", G.Must(G.Rectify(h)), 10)
}

// run trains on the ranks of c. Rank 0 reports.
func run(ctx context.Context, w io.Writer, c comm.Comm, seed uint64, epochs, batch int, dir string) error {
	images, test, err := digits.Split()
	if err != nil {
		return err
	}
	cfg := train.Config{Epochs: epochs, BatchSize: batch, Optimizer: optim.Adam(1e-3), Seed: seed, Comm: c,
		Validation: test, Metrics: []metric.Metric{metric.NewAccuracy()}}
	if dir != "" {
		cfg.Checkpoint = &train.Checkpoint{Dir: dir, Resume: true, EverySteps: 5}
	}
	res, err := train.Fit(ctx, network, loss.CrossEntropy, images, cfg)
	if err != nil || c.Rank() != 0 {
		return err
	}
	fmt.Fprintf(w, "%d ranks: test accuracy %.4f, test loss %.6f, parameters %016x\n", c.Size(),
		res.History.Last("val_accuracy"), res.History.Last("val_loss"), digest(res))
	fmt.Fprintf(w, "%d steps in %v, of which %.0f %% between ranks\n", res.Steps, res.Time.Total.Round(1e6),
		100*res.Time.Exchange.Seconds()/res.Time.Total.Seconds())
	return nil
}

// digest tells parameters apart that differ in one bit.
func digest(res *train.Result) uint64 {
	h := fnv.New64a()
	for _, p := range res.Params() {
		for _, v := range p.F32 {
			fmt.Fprintf(h, "%08x", math.Float32bits(v))
		}
	}
	return h.Sum64()
}
