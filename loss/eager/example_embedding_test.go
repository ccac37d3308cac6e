package eager_test

import (
	"fmt"
	"log"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// The gradient of a contrastive loss over a batch that is too large for the activations of its
// encoder. All embeddings are computed first, some rows after others, and only they are kept. The
// loss gives the gradient with respect to the embeddings; then the encoder runs again over the same
// rows and takes its part of the gradient. The sum is exactly the gradient of the whole batch.
//
// The encoder of this example is a matrix of two rows and columns for both views.
func Example_largeBatch() {
	w := []float64{1, 0.5, -0.25, 2}
	queries := []float64{1, 0, 0, 1, 1, 1, -1, 2} // four examples
	keys := []float64{2, 1, 0, 2, 1, 2, -1, 1}
	encode := func(dst, x []float64) { // some rows
		for i := 0; i < len(x); i += 2 {
			dst[i], dst[i+1] = x[i]*w[0]+x[i+1]*w[2], x[i]*w[1]+x[i+1]*w[3]
		}
	}
	pull := func(dw, x, dy []float64) { // adds the gradient with respect to w of some rows
		for i := 0; i < len(x); i += 2 {
			dw[0] += x[i] * dy[i]
			dw[1] += x[i] * dy[i+1]
			dw[2] += x[i+1] * dy[i]
			dw[3] += x[i+1] * dy[i+1]
		}
	}
	infoNCE, err := eager.InfoNCE(loss.WithTemperature(0.5))
	if err != nil {
		log.Fatal(err)
	}
	gradient := func(rows int) []float64 { // the rows of a chunk
		q, k, dq, dk := make([]float64, 8), make([]float64, 8), make([]float64, 8), make([]float64, 8)
		for lo := 0; lo < 8; lo += 2 * rows {
			encode(q[lo:lo+2*rows], queries[lo:lo+2*rows])
			encode(k[lo:lo+2*rows], keys[lo:lo+2*rows])
		}
		dst := []eager.Operand{eager.Slice(dq, 4, 2), eager.Slice(dk, 4, 2)}
		if _, err := infoNCE.ValueGradients(dst, eager.Data{}, eager.Slice(q, 4, 2), eager.Slice(k, 4, 2)); err != nil {
			log.Fatal(err)
		}
		dw := make([]float64, 4)
		for lo := 0; lo < 8; lo += 2 * rows {
			pull(dw, queries[lo:lo+2*rows], dq[lo:lo+2*rows])
			pull(dw, keys[lo:lo+2*rows], dk[lo:lo+2*rows])
		}
		return dw
	}
	fmt.Printf("%.6f\n%.6f\n", gradient(1), gradient(4))
	// Output:
	// [-0.282928 0.050732 0.078769 0.138627]
	// [-0.282928 0.050732 0.078769 0.138627]
}
