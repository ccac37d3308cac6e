package loss_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss/eager"
)

// BenchmarkLinearCrossEntropy is the value with the gradients by hidden and weight.
func BenchmarkLinearCrossEntropy(b *testing.B) {
	for _, size := range [][3]int{{2048, 512, 32000}, {256, 512, 128256}} {
		n, h, c := size[0], size[1], size[2]
		b.Run(fmt.Sprintf("dtype=f32/shape=%dx%dx%d/pass=both", n, h, c), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			hidden, weight, labels := make([]float32, n*h), make([]float32, c*h), make([]int, n)
			for i := range hidden {
				hidden[i] = float32(r.NormFloat64())
			}
			for i := range weight {
				weight[i] = float32(r.NormFloat64()) * 0.05
			}
			for i := range labels {
				labels[i] = r.IntN(c)
			}
			l, err := eager.LinearCrossEntropy()
			if err != nil {
				b.Fatal(err)
			}
			x, w, y := eager.Slice(hidden, n, h), eager.Slice(weight, c, h), eager.Slice(labels)
			dst := []eager.Operand{eager.Slice(make([]float32, n*h), n, h), eager.Slice(make([]float32, c*h), c, h)}
			for b.Loop() {
				if _, err := l.ValueGradients(dst, eager.Data{}, x, w, y); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
