package loss_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, shape := range [][4]int{{100, 32, 64, 20}, {2000, 8, 128, 400}} {
			familyGraphs = append(familyGraphs, struct {
				name string
				run  func(b *testing.B)
			}{
				fmt.Sprintf("loss=CTC/dtype=%s/shape=%dx%dx%dx%d/pass=both", dtypeName(dt), shape[0], shape[1],
					shape[2], shape[3]),
				func(b *testing.B) { benchCTC(b, dt, shape[0], shape[1], shape[2], shape[3]) },
			})
		}
	}
}

// benchCTC measures runs of a machine over CTC and its gradient; all sequences have their full
// lengths.
func benchCTC(b *testing.B, dt tensor.Dtype, frames, n, classes, width int) {
	r := rand.New(rand.NewPCG(1, 2))
	g := G.NewGraph()
	logits := benchInput(g, dt, "logits", normals(r, frames*n*classes, 3), frames, n, classes)
	targets := make([]int, n*width)
	for i := range targets {
		targets[i] = 1 + r.IntN(classes-1)
	}
	labels := labelLeaf(g, tensor.Int, "targets", []int{n, width}, targets)
	inputLengths := labelLeaf(g, tensor.Int, "inputs", []int{n}, slices.Repeat([]int{frames}, n))
	targetLengths := labelLeaf(g, tensor.Int, "lengths", []int{n}, slices.Repeat([]int{width}, n))
	benchRuns(b, func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		return loss.CTC(pred, target, inputLengths, targetLengths, opts...)
	}, logits, labels)
}
