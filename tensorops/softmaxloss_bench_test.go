package tensorops

import (
	"fmt"
	"testing"
	"unsafe"
)

// BenchmarkLabelSoftmax is value and gradient of softmax losses of few classes, one core, with one
// option at a time. inner is the number of rows that lie side by side.
func BenchmarkLabelSoftmax(b *testing.B) {
	for _, s := range [][3]int{{65536, 21, 1}, {100000, 10, 1}, {1000000, 2, 1}, {8192, 128, 1}, {1024, 1000, 1}, {65536, 21, 65536}, {1024, 1000, 1024}} {
		for _, c := range softmaxCases {
			b.Run(fmt.Sprintf("dtype=f32/rows=%d/classes=%d/inner=%d/option=%s", s[0], s[1], s[2], c.name),
				func(b *testing.B) { benchSoftmaxLoss[float32](b, c, s) })
		}
		for _, c := range softmaxCases {
			b.Run(fmt.Sprintf("dtype=f64/rows=%d/classes=%d/inner=%d/option=%s", s[0], s[1], s[2], c.name),
				func(b *testing.B) { benchSoftmaxLoss[float64](b, c, s) })
		}
	}
}

func benchSoftmaxLoss[F Float](b *testing.B, c softmaxCase, shape [3]int) {
	in := newSoftmaxInput[F](newRand(nil, 1), c, shape[0], shape[1], shape[2], 3)
	in.cap *= 6 // 30, as models have it
	values, dst := make([]float64, in.rows), make([]F, len(in.x))
	benchLoop(b, 2*len(in.x)*int(unsafe.Sizeof(in.x[0])), func() { in.run(values, dst, 0, in.rows) })
}
