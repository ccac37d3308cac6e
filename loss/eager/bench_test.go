package eager_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// BenchmarkEager measures the value and the gradient of one call.
func BenchmarkEager(b *testing.B) {
	cases := []struct {
		name   string
		make   func(...loss.Option) (*eager.Loss, error)
		target func(x float64) float64 // nil for labels; rows of softmax targets are normalised
		rows   bool
	}{
		{"CrossEntropy", eager.CrossEntropy, nil, false},
		{"CrossEntropySoft", eager.CrossEntropy, math.Exp, true},
		{"KL", eager.KL, math.Exp, true},
		{"BinaryCrossEntropy", eager.BinaryCrossEntropy, sigmoid, false},
		{"MSE", eager.MSE, sigmoid, false},
		{"Huber", eager.Huber, sigmoid, false},
	}
	for _, c := range cases {
		for _, shape := range [][2]int{{64, 10}, {1024, 1000}} {
			name := func(bits int) string {
				return fmt.Sprintf("loss=%s/dtype=f%d/shape=%dx%d/pass=both", c.name, bits, shape[0], shape[1])
			}
			l, err := c.make()
			if err != nil {
				b.Fatal(err)
			}
			b.Run(name(32), func(b *testing.B) { benchCall[float32](b, l, c.target, c.rows, shape) })
			b.Run(name(64), func(b *testing.B) { benchCall[float64](b, l, c.target, c.rows, shape) })
		}
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func benchCall[F float32 | float64](b *testing.B, l *eager.Loss, target func(float64) float64, rows bool, shape [2]int) {
	r := rand.New(rand.NewPCG(1, 2))
	n := shape[0] * shape[1]
	x, t, dx, labels := make([]F, n), make([]F, n), make([]F, n), make([]int, shape[0])
	for i := range x {
		v := 3 * r.NormFloat64()
		x[i] = F(v)
		if target != nil {
			t[n-1-i] = F(target(v))
		}
	}
	for i := range labels {
		labels[i] = r.IntN(shape[1])
	}
	if rows {
		for i := range shape[0] {
			row, sum := t[i*shape[1]:(i+1)*shape[1]], F(0)
			for _, v := range row {
				sum += v
			}
			for c := range row {
				row[c] /= sum
			}
		}
	}
	logits, gradient := eager.Slice(x, shape[:]...), eager.Slice(dx, shape[:]...)
	second := eager.Slice(labels)
	if target != nil {
		second = eager.Slice(t, shape[:]...)
	}
	b.SetBytes(int64(n) * int64(unsafe.Sizeof(x[0])))
	b.ReportAllocs()
	for b.Loop() {
		if v, err := l.ValueGradient(gradient, eager.Data{}, logits, second); err != nil || v != v {
			b.Fatal(v, err)
		}
	}
}
