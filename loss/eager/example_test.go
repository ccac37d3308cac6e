package eager_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss/eager"
)

// A loss and its gradient on slices: logits of two rows against labels, the second row ignored.
func Example() {
	ce, err := eager.CrossEntropy()
	if err != nil {
		fmt.Println(err)
		return
	}
	dx := make([]float64, 4)
	logits, labels := eager.Slice([]float64{0, 0, 5, 1}, 2, 2), eager.Slice([]int{1, -100})
	value, err := ce.ValueGradient(eager.Slice(dx, 2, 2), eager.Data{}, logits, labels)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f %.1f\n", value, dx)
	// Output: 0.6931 [0.5 -0.5 0.0 0.0]
}

// The first and second derivatives of each logit are what gradient boosting builds trees from.
func ExampleLoss_Derivatives() {
	bce, err := eager.BinaryCrossEntropy()
	if err != nil {
		fmt.Println(err)
		return
	}
	first, second := make([]float64, 2), make([]float64, 2)
	scores, targets := eager.Slice([]float64{0, 0}), eager.Slice([]float64{1, 0})
	if err := bce.Derivatives(eager.Slice(first), eager.Slice(second), eager.Data{}, scores, targets); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(first, second)
	// Output: [-0.5 0.5] [0.25 0.25]
}
