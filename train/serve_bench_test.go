package train

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

// BenchmarkPredictRow is a row of 784 numbers through a network of 256 hidden units and 10 classes,
// for one caller and for several at once.
func BenchmarkPredictRow(b *testing.B) {
	x := make([][]float32, 64)
	labels := make([]int, len(x))
	rng := data.Rand(1, "rows", 0)
	for i := range x {
		x[i], labels[i] = make([]float32, 784), i%10
		for j := range x[i] {
			x[i][j] = rng.Float32()
		}
	}
	ds, err := data.Classes(x, labels)
	if err != nil {
		b.Fatal(err)
	}
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("hidden", x, 256)
		if err != nil {
			return nil, err
		}
		return b.Dense("out", G.Must(G.Rectify(h)), 10)
	}
	res, err := Fit(background, model, loss.CrossEntropy, ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1)})
	if err != nil {
		b.Fatal(err)
	}
	for _, callers := range []int{1, 2, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for i := range callers {
				row := Row{data.InputName: {F32: x[i]}}
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := res.PredictRow(background, row); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
