// Package train fits models that are plain Gorgonia graphs.
//
// A [Model] is a function that builds the forward graph; a [loss.Func] says what is minimised; a
// [data.Dataset] holds the examples; a [Config] says how. [Fit] does the rest and returns a
// [Result]: the [Net], which predicts, evaluates and is saved, and the [History].
//
//	model := func(b *train.Builder, x *G.Node) (*G.Node, error) { return b.Dense("out", x, 10) }
//	res, err := train.Fit(ctx, model, loss.CrossEntropy, images, train.Config{
//		Epochs: 50, Optimizer: optim.SGD(0.5), Validation: test, Progress: os.Stderr,
//	})
//
// # What holds for every run
//
// Every batch has one shape. A short last batch is padded with copies of its last row that have
// weight 0 in the loss, so means, gradients and metrics are exactly those of the rows that are
// there.
//
// One seed decides initial parameters, shuffling and dropout. Each of these draws its numbers by
// name and position, not from a common stream, so a run that is resumed goes on to the same bits as
// one that was left alone, and nothing depends on the number of cores.
//
// Parameters, gradients and the optimizer's memory are plain named slices. Optimizers are in
// package [optim], metrics in package [metric], datasets in package [data], pictures in package
// [report]; none of them needs a graph.
//
// The loss of an epoch, of a validation set and of accumulated batches is one quotient: the sum of
// all numerators over the sum of all denominators, in the words of package loss. Ignored labels,
// class weights, row weights and masks of missing targets ([data.Masker]) give the same numbers in
// batches of any size, up to rounding. Where nothing counts there is no loss, which is an error.
//
// A loss or gradient that is not finite ends the run before it reaches the parameters, with an
// error that names the step, the rows of the batch and the first node of the graph that went wrong.
//
// # Several inputs, outputs and losses
//
// [FitNamed] is Fit with names: the examples are [data.Records] with any number of inputs and
// targets ([data.NewFrame] makes them), the model is a [Network], which gets its inputs and returns
// its outputs by name, and the [Objective] is a sum of terms, each a loss of some outputs and
// targets. Each term has a denominator of its own and is shown by its name. A run of Fit is one of
// an input, an output, a target and a term, and everything here holds for both. A method or
// function whose name ends in Named takes records, a Network or an Objective in the place of a
// dataset, a Model or a loss.
//
// # Steps of one's own
//
// A [Trainer] is a set of parameters with several [Step]s, each a model with its objective and an
// optimizer of some of the parameters, in a loop that the caller writes: for adversarial networks,
// online learning and reinforcement learning, with the checks and checkpoints of Fit. A [Solver] is
// an optimizer of package optim for a loop that runs Gorgonia's machines.
//
// # Losses of one's own
//
// A [loss.Func] of one's own makes its result from its two operands and hands the options on to the
// losses of package loss that it is made of: by these it gets weights and reduction. It is built
// for several numbers of rows, in graphs of their own. [loss.Reduce] makes a loss of values for
// which there is none, [loss.Weighted] adds losses, [loss.With] fixes options. A sum of losses is
// no quotient: an epoch's loss is then the mean of its batches' losses, weighted by their rows, and
// Config.Accumulate is refused.
//
// # Keeping a run
//
// With a [Checkpoint] the whole state of a run is on disk after each epoch, or every few steps: a
// process that is killed at any moment and started again with the same configuration ends with the
// same bits as one that was left alone. [Load] makes a model for prediction from a checkpoint or
// from a file of [Net.Save], without data or an optimizer, [LoadBest] from the best checkpoint of a
// run. Weights are safetensors files, which other tools read.
//
// # Several ranks
//
// With Config.Comm several processes, on one host or on many, train one model: package comm/mpi
// connects them, and comm.Run tries it out in one process. Each rank calls Fit with the same model,
// datasets and configuration. Ranks that differ get an error that names two of them and what they
// differ in, before the first step.
//
// Each batch of BatchSize rows is cut into a part for each rank, which may be empty. Numerators,
// denominators and gradients are added over the ranks, so that a loss is one mean, whatever part
// each rank has; with several terms each has a mean of its own. Shuffling, dropout and initial
// parameters do not depend on the number of ranks, and neither do the results, up to rounding. On
// one number of ranks every rank and every run has the same bits, unless Config.AnyOrder gives that
// up; at the end of each epoch the ranks compare their parameters. Each measures a part of the
// validation set.
//
// Rank 0 shows Progress, writes to Logger and keeps the checkpoints, which any number of ranks go
// on with. Callbacks are told on every rank; an error, [ErrStop] or a context that ends on one of
// them ends the run on all, after the same step. BatchNorm and losses that are no quotient need a
// whole batch and are refused. A rank that dies ends an MPI run; start it again with
// Checkpoint.Resume.
//
// # Layers
//
// A model is plain Gorgonia; the [Builder] has layers where Gorgonia's are wrong, slow or without a
// state that is saved: Dense, Concat, Embedding, Conv2D, MaxPool2D and MeanPool2D of pictures with
// the channels last, GRU and LengthMask for sequences of any lengths, LayerNorm, BatchNorm with
// running averages, and Dropout and Noise by the run's seed. Batches that are padded give the
// numbers of their rows.
//
// # Parts of a model
//
// [Net.Part] and [LoadPart] make a model of the parameters with a prefix, such as a decoder. A run
// begins with the numbers in Config.Initial: those of a file, of another model or of a part of it.
// Groups freeze parameters, and a second run from the first one's Params unfreezes them.
// Config.Scaling and Config.Classes are saved with a model, which then takes inputs as they are.
//
// # Serving
//
// [Net.PredictRow] answers one row, [Net.Predict] a dataset; [Net.Predictions] iterates over any
// number of examples in bounded memory, and [Net.PredictStream] over a stream of rows without an
// end. All of them run on every processor for any number of callers, end with their context, and
// give a row the same bits.
//
// # Watching a run
//
// Config.Progress shows a bar on a terminal and lines elsewhere, Config.Logger writes records,
// [NewTensorBoard] event files; a [Callback] is told of every step and epoch and may stop the run.
// History writes JSON and CSV, and package report draws it.
//
// Before a long run, Config.FastDevRun tries one batch of everything, Config.OverfitBatch whether
// the model can learn a few batches by heart, and [Lint] and [LintData] look for common mistakes,
// such as a softmax before a loss of logits. Fit reports the ones that it meets.
//
// # Why not Gorgonia's own parts
//
// Gorgonia's solvers cannot be saved, its AdamW changes nothing and its RMSProp differs from every
// other; its dropout scales gradients wrongly; its matrix product transposes shared weights in
// place. This package uses none of them. Models may use any of Gorgonia's operations but those that
// are known to be wrong, which are refused unless a model names them to [Builder.Allow].
package train
