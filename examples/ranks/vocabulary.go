package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// shard trains an output layer of many classes, of which each rank has its own: neither weights,
// gradients nor scores of all classes are ever on one rank.
func shard(w io.Writer, c comm.Comm, classes, width, rows, steps int) error {
	counts := comm.Split(classes, c.Size())
	first := 0
	for _, n := range counts[:c.Rank()] {
		first += n
	}
	own := counts[c.Rank()]
	weight, gradient := make([]float32, own*width), make([]float32, own*width)
	for class := range own { // the same weights on any number of ranks
		rng := rand.New(rand.NewPCG(1, uint64(first+class)))
		for i := range width {
			weight[class*width+i] = (rng.Float32() - 0.5) / 8
		}
	}
	hidden, labels := make([]float32, rows*width), make([]int, rows)
	rng := rand.New(rand.NewPCG(2, 0))
	for i := range hidden {
		hidden[i] = float32(rng.NormFloat64())
	}
	for i := range labels {
		labels[i] = rng.IntN(classes)
	}
	l, err := eager.LinearCrossEntropy(loss.WithShard(c, first))
	if err != nil {
		return err
	}
	operands := []eager.Operand{eager.Slice(hidden, rows, width), eager.Slice(weight, own, width), eager.Slice(labels, rows)}
	began := time.Now()
	for step := range steps {
		value, err := l.ValueGradients([]eager.Operand{{}, eager.Slice(gradient, own, width)}, eager.Data{}, operands...)
		if err != nil {
			return err
		}
		if c.Rank() == 0 {
			fmt.Fprintf(w, "step %d: loss %.6f, ln %d is %.6f\n", step+1, value, classes, math.Log(float64(classes)))
		}
		for i, g := range gradient {
			weight[i] -= 0.5 * g
		}
	}
	took := time.Since(began)
	memory := []float64{peak(), float64(own)}
	all := make([]float64, 2*c.Size())
	if err := comm.Allgather(c, all, memory, nil); err != nil || c.Rank() != 0 {
		return err
	}
	for r := range c.Size() {
		bytes := 8 * all[2*r+1] * float64(width)
		fmt.Fprintf(w, "rank %d: %.0f classes, weights and gradient %.2f GB, process at most %.2f GB\n", r, all[2*r+1], bytes/1e9, all[2*r]/1e9)
	}
	fmt.Fprintf(w, "%v a step of %d rows\n", (took / time.Duration(steps)).Round(time.Millisecond), rows)
	return nil
}

// peak returns the most memory that this process has had, in bytes: resident memory where the
// system tells it, and what Go has asked for elsewhere.
func peak() float64 {
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		_, rest, _ := strings.Cut(string(text), "VmHWM:")
		var kilobytes float64
		if _, err := fmt.Sscan(rest, &kilobytes); err == nil {
			return 1024 * kilobytes
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys)
}
