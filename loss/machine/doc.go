// Package machine runs Gorgonia graphs on the goroutine of the caller.
//
//	m, err := machine.New(g)
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	err = m.RunAll()
//
// A [Machine] is a gorgonia.VM and takes the place of a TapeMachine: the same graphs, the same
// results to the bit, Let and Read as before. A TapeMachine starts a goroutine for each run and
// waits for it, which takes longer than a small graph takes to compute, and it allocates every
// result anew. The machine calls one operation after the other.
//
//	microseconds a run, float32, one core, best    TapeMachine   Machine
//	a graph without operations                          12         0.07
//	loss.Huber of 64x10, value and gradient             13         3.6
//	loss.CrossEntropy of 64x10, value and gradient      24         8.1
//
// # Training
//
// [WithGradients] binds the gradients that gorgonia.Grad built to their inputs, for solvers;
// [WithGradientNodes] does it for the gradients of loss.Gradients. [WithOutputs] leaves out what
// nobody reads: gorgonia.Grad also builds the derivative by the network's input, a third of the
// products of a dense network. [WithBufferReuse] keeps the memory of products and elementwise
// operations.
//
//	grads, err := loss.Gradients(cost, w, b)
//	m, err := machine.New(g, machine.WithOutputs(cost), machine.WithGradientNodes(gorgonia.Nodes{w, b}, grads))
//	for range steps {
//		err = m.RunAll()
//		err = solver.Step(gorgonia.NodesToValueGrads(gorgonia.Nodes{w, b}))
//	}
//
// # Runs
//
// Every call of RunAll, or of [Machine.Run] with a context, computes the graph from the values that
// the inputs have then, whether Reset was called or not. Random nodes are drawn anew. After a run
// Node.Value is the result of every node that was run, and no other node's memory: unlike a
// TapeMachine, the machine gives no register to two nodes. A Read statement copies. A Set statement
// does nothing, as on a TapeMachine.
//
// # Errors
//
// An [Error] names the node. A panic inside an operation is an error of kind [ErrPanic]; on a
// TapeMachine it ends the process. errors.Is and errors.As see through the machine's errors to
// those of the operations, so loss.ErrValue needs no loss.Cause. Goroutines that an operation
// starts are its own: a panic there still ends the process.
//
// # When to use a TapeMachine instead
//
// Use gorgonia.NewTapeMachine for a graph on a CUDA device; for its logger, its watch list and its
// watch for NaN; for memory that matters more than time, as the machine keeps all intermediate
// values of a run until the next, where a TapeMachine lets some operations overwrite their
// operands; and for programs that are given VMOpts, which only Gorgonia's own machines understand.
// Graphs that grow while they run are for a LispMachine.
package machine
