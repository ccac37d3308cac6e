// Package gradcheck checks the gradients of any Gorgonia graph against differences of the function it computes.
//
//	report, err := gradcheck.Check(func(g *gorgonia.ExprGraph, dt tensor.Dtype, in gorgonia.Nodes) (*gorgonia.Node, error) {
//		return loss.CrossEntropy(in[0], in[1])
//	}, []gradcheck.Input{
//		gradcheck.Var("logits", []float64{2, -1, 0.5, 0, 1, 3}, 2, 3),
//		gradcheck.Data("labels", []int{0, 2}),
//	})
//
// In a test, [Test] does the same and fails with the report's text.
//
// # What is compared
//
// The function is given as a [Builder], which Check calls with a new graph for each thing it needs. One build is
// evaluated operation by operation, without a machine: there the differences are taken, in float64. Others run on
// the machines and give the gradients: by gorgonia.Grad, by loss.VJP or by a LispMachine (see [WithPasses]). A float32
// graph is so judged by the float64 function at the same float32 point, and not by its own rounding errors.
//
// # Steps and tolerances
//
// Along each element the function is evaluated at ±h, ±h/2, ±h/4, ... from a tenth of the element's magnitude (or of the
// typical magnitude of its input, if that is larger). Richardson's extrapolation of the central differences gives the
// numeric derivative and an estimate of its truncation error. The rounding error of the function is measured by
// evaluating it at points so close together that only rounding can make the differences uneven. The two errors,
// with a safety factor, are the tolerance. Nothing in it is absolute, so functions and inputs of any scale are judged
// alike. If the differences do not settle the steps shrink by 256, up to five times.
//
// The analytic gradient is granted 16 units in the last place of the element and 4 of the largest element of
// its input, and its own measured rounding error.
//
// # Kinks
//
// Where the one-sided slopes differ, and go on to as the steps shrink, the element is reported as a [Kink] with the
// interval between the slopes. It passes if the analytic derivative lies in the interval.
package gradcheck
