package loss_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// linearBench is rows × width hidden numbers, as many weights for each class, and labels.
type linearBench struct {
	n, h, c        int
	hidden, weight []float32
	labels         []int
}

func newLinearBench(n, h, c int) *linearBench {
	r := rand.New(rand.NewPCG(1, 2))
	s := &linearBench{n, h, c, make([]float32, n*h), make([]float32, c*h), make([]int, n)}
	for i := range s.hidden {
		s.hidden[i] = float32(r.NormFloat64())
	}
	for i := range s.weight {
		s.weight[i] = float32(r.NormFloat64()) * 0.05
	}
	for i := range s.labels {
		s.labels[i] = r.IntN(c)
	}
	return s
}

func (s *linearBench) operands() []eager.Operand {
	return []eager.Operand{eager.Slice(s.hidden, s.n, s.h), eager.Slice(s.weight, s.c, s.h), eager.Slice(s.labels)}
}

// valueGradients measures the value with the gradients by hidden and weight.
func (s *linearBench) valueGradients(b *testing.B) {
	l, err := eager.LinearCrossEntropy()
	if err != nil {
		b.Fatal(err)
	}
	dst := []eager.Operand{eager.Slice(make([]float32, s.n*s.h), s.n, s.h), eager.Slice(make([]float32, s.c*s.h), s.c, s.h)}
	operands := s.operands()
	b.ResetTimer()
	for b.Loop() {
		if _, err := l.ValueGradients(dst, eager.Data{}, operands...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLinearCrossEntropy is the value with the gradients by hidden and weight, of rows × width
// × classes, also with every second row ignored, and the product of the Hessian by hidden.
func BenchmarkLinearCrossEntropy(b *testing.B) {
	for _, size := range [][3]int{{2048, 512, 32000}, {256, 512, 128256}, {512, 512, 32000}} {
		n, h, c := size[0], size[1], size[2]
		name := fmt.Sprintf("dtype=f32/shape=%dx%dx%d", n, h, c)
		b.Run(name+"/pass=both", func(b *testing.B) { newLinearBench(n, h, c).valueGradients(b) })
		b.Run("option=ignored/"+name+"/pass=both", func(b *testing.B) {
			s := newLinearBench(n, h, c)
			for i := 0; i < n; i += 2 {
				s.labels[i] = -100
			}
			s.valueGradients(b)
		})
		b.Run(name+"/pass=hessian", func(b *testing.B) {
			s := newLinearBench(n, h, c)
			l, err := eager.LinearCrossEntropy()
			if err != nil {
				b.Fatal(err)
			}
			dst := eager.Slice(make([]float32, n*h), n, h)
			for b.Loop() {
				if err := l.HessianVector(dst, eager.Slice(s.hidden, n, h), eager.Data{}, s.operands()...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkShards is the value with the gradients by hidden and weight where the classes are spread
// over ranks in one process.
func BenchmarkShards(b *testing.B) {
	const n, h, c = 2048, 512, 32000
	for _, size := range []int{1, 2} {
		b.Run(fmt.Sprintf("dtype=f32/shape=%dx%dx%d/ranks=%d", n, h, c, size), func(b *testing.B) {
			s := newLinearBench(n, h, c)
			counts := comm.Split(c, size)
			dx, dw := make([]float32, size*n*h), make([]float32, c*h)
			for b.Loop() {
				err := comm.Run(size, func(r comm.Comm) error {
					first, k := firstClass(counts, r.Rank()), counts[r.Rank()]
					l, err := eager.LinearCrossEntropy(loss.WithShard(r, first))
					if err != nil {
						return err
					}
					dst := []eager.Operand{eager.Slice(dx[r.Rank()*n*h:][:n*h], n, h), eager.Slice(dw[first*h:][:k*h], k, h)}
					_, err = l.ValueGradients(dst, eager.Data{}, eager.Slice(s.hidden, n, h), eager.Slice(s.weight[first*h:][:k*h], k, h), eager.Slice(s.labels))
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
