package loss_test

import (
	"fmt"
	"testing"

	"gorgonia.org/tensor"
)

// benchEmbeddings measures losses of embeddings with the gradients by all operands.
func benchEmbeddings(b *testing.B) {
	for _, c := range []struct {
		loss       string
		rows, cols int
	}{
		{"TripletMargin", 1024, 128},
		{"InfoNCE", 512, 128},
	} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			b.Run(fmt.Sprintf("loss=%s/dtype=%s/shape=%dx%d/pass=both", c.loss, dtypeName(dt), c.rows, c.cols), func(b *testing.B) {
				benchPairs(b, c.loss, "", dt, c.rows, c.cols, nil)
			})
		}
	}
}
