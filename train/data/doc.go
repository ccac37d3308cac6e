// Package data holds the examples that a model is trained on and hands them out in batches.
//
// A [Dataset] is a fixed number of examples, each an input and, unless it is only there to be
// predicted, a target. [Classes], [Values], [Rows] and [NewTable] make one from slices, [CSV] from
// a table of text, [MNIST] and [IDX] from IDX files and [Windows] from a sequence of tokens.
// [Split] and [Subset] pick examples by index without copying them. A program's own type is a
// Dataset with the three methods of the interface.
//
// Examples are addressed by index and never drawn from a stream, so the order of an epoch is a
// permutation that depends on a seed and the epoch's number alone ([Permutation]): a run that is
// resumed sees the same batches.
//
// Nothing in this package needs a graph, and it does not import Gorgonia.
package data
