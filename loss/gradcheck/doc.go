// Package gradcheck checks the gradients of any Gorgonia graph against differences of the function
// it computes.
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
// The function is given as a [Builder], which Check calls with a new graph for each thing it needs.
// One build is evaluated operation by operation, without a machine: there the differences are
// taken, in float64. Others run on the machines and give the gradients: by gorgonia.Grad or
// loss.VJP on a TapeMachine, by loss.VJP on the machine of package loss/machine, or by a
// LispMachine (see [WithPasses]). A float32 graph is so judged by the float64 function at the same
// float32 point, and not by its own rounding errors.
//
// # Steps and tolerances
//
// Along each element the function is evaluated at ±h, ±h/2, ±h/4, ... from a tenth of the element's
// magnitude (or of the typical magnitude of its input, if that is larger). Richardson's
// extrapolation of the central differences gives the numeric derivative and an estimate of its
// truncation error. The rounding error of the function is measured in two ways: at points in a row,
// where the higher differences of a smooth function vanish and those of rounding do not; and by
// Monte Carlo arithmetic, which moves the operands and results of all operations in the last place.
// Four times the one and eight times the other, and 2e-8 of the derivative, are the tolerance.
// Nothing in it is absolute, so functions and inputs of any scale are judged alike. If the
// differences do not settle the steps shrink by 256, up to five times.
//
// The analytic gradient is granted 16 units in the last place of the element and 4 of the largest
// element of its input (in float64), and a few of the cost over the element's magnitude. Before an
// element is called wrong, the rounding error of its gradient is measured likewise (in float32 also
// against the same gradient in float64 at nearby points), and the derivative is taken again with
// other steps. A gradient in float64 that is wrong by 1e-6 of itself does not pass unless rounding
// hides it; [Summary.Resolution] says how small a fault was seen.
//
// # Modes
//
// All elements, a sample of each input ([WithSample]), or random directions over all inputs at once
// ([WithDirections]). A direction costs two to six evaluations and shows that something is wrong, but
// not where. [WithBudget] bounds the time. Beside the numbers, Check looks
// for runs that differ to the bit, operations that write to their operands, gradients that do not
// follow when an input is bound again, entries that must be exactly 0 ([WithZero]), values that
// differ from a reference ([WithReference]) and, with [WithSecondOrder], wrong Hessian-vector
// products and Hessians that are not symmetric.
//
// # Kinks
//
// Where the one-sided slopes differ, and go on to as the steps shrink, the element is reported as a
// [Kink] with the interval between the slopes. It passes if the analytic derivative lies in the
// interval. A kink that is nearer than about 1e-10 of the operand's magnitude cannot be told from
// one at the point.
//
// # Causes
//
// For what failed the report names what the numbers look like: a constant factor, the sign, a
// transposed matrix, a term along an axis that is missing, the part of an axis where all failures
// lie. Each operation of the graph is then checked by itself, at the operands that it has, and
// those whose own derivative is wrong are named with the operand; if there are none, the pass is at
// fault.
//
// # Panics
//
// Gorgonia's machines run operations on goroutines of their own, where a panic ends the program.
// Check evaluates the function and the gradient graph on the caller's goroutine first, where it
// recovers, and a LispMachine gets a copy of the graph whose operations recover. What remains is a
// panic in a machine itself, and one on a goroutine that an operation starts. After an error in a
// LispMachine's backward pass Gorgonia leaves one goroutine behind.
package gradcheck
