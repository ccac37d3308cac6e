// Package eager evaluates the losses of package loss on tensors, without a graph.
//
// A constructor checks the options once and returns a [Loss], which any number of goroutines may
// use:
//
//	ce, err := eager.CrossEntropy(loss.WithLabelSmoothing(0.1))
//	...
//	logits := eager.Slice(x, 64, 10)        // []float32 or []float64, with its shape
//	labels := eager.Slice(y, 64)            // []int, []int64, []int32 or []uint8
//	gradient := eager.Slice(dx, 64, 10)
//	value, err := ce.ValueGradient(gradient, eager.Data{}, logits, labels)
//
// Operands, their shapes, options, corner cases and errors are those of the function of the same
// name in package loss, and so are the numbers, to the bit. What is a node there is data here:
// [Data] holds weights, a mask, a normalizer and an upstream gradient for one call; an option with
// a node is an error of kind loss.ErrOption.
//
// Results go to memory of the caller, of the operands' element type, which must not overlap an
// operand. After the first call with given shapes nothing is allocated.
//
// # Boosting
//
// [Loss.Derivatives] writes the first and second derivative of every entry of the prediction, which
// is what gradient boosting asks an objective for: the second is the diagonal of the Hessian.
package eager

//go:generate go run gen.go
