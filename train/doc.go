// Package train fits models that are plain Gorgonia graphs, keeps them and serves them.
//
// # Start
//
// A table whose last column is a class, a network with one hidden layer, and a prediction:
//
//	ds, err := data.CSV(file, data.CSVFormat{Header: true, Target: -1})
//	...
//	model := func(b *train.Builder, x *G.Node) (*G.Node, error) {
//		h, err := b.Dense("hidden", x, 16)
//		if err != nil {
//			return nil, err
//		}
//		return b.Dense("out", G.Must(G.Tanh(h)), len(ds.Classes))
//	}
//	res, err := train.Fit(ctx, model, loss.CrossEntropy, ds, train.Config{
//		Epochs: 100, Optimizer: optim.Adam(0.01), Progress: os.Stderr})
//	...
//	err = res.Save("model.safetensors")
//	out, err := res.PredictRow(ctx, train.Row{"input": {F32: []float32{5.1, 3.5, 1.4, 0.2}}})
//	logits := out["output"].F32
//
// A [Model] is a function that builds the forward graph. A [loss.Func] is what training minimises,
// a [data.Dataset] holds the examples, and a [Config] holds the settings. [Fit] returns a [Result]:
// the trained [Net], which predicts, is evaluated and is saved, and the [History] of the run.
//
// # What holds for every run
//
// All batches have one shape. A short last batch is padded with copies of its last row, which have
// weight 0 in the loss, so means, gradients and metrics are exactly those of the real rows. Losses
// of pairs in a batch get the padding masked as well. A loss that is a single value for the whole
// batch, such as VICReg, takes no row weights; an epoch's is the mean of its batches' losses,
// weighted by their numbers of rows.
//
// One seed decides initial parameters, shuffling, augmentation and dropout. Each draws its random
// numbers by name and position rather than from a shared generator, so a resumed run continues to
// the same bits as an uninterrupted one, and no result depends on the number of cores.
//
// Parameters, gradients and the optimizer's memory are named slices. Optimizers are in package
// [optim], metrics in package [metric], datasets in package [data] and pictures in package
// [report]; none of these needs a graph.
//
// The loss of an epoch, of a validation set and of accumulated batches is one quotient, as package
// loss defines it: the sum of all numerators over the sum of all denominators. Ignored labels,
// class weights, row weights and masks of missing targets ([data.Masker]) therefore give the same
// numbers for every batch size, up to rounding. If no row counts, there is no loss, and that is an
// error.
//
// A loss or gradient that is not finite ends the run before it reaches the parameters. The error
// names the step, the rows of the batch and the first node of the graph that is not finite.
//
// # Several inputs, outputs and losses
//
// [FitNamed] trains models with several inputs, outputs and losses. The examples are
// [data.Records], with any number of inputs and targets by name ([data.NewFrame] makes them from
// slices). The model is a [Network], which takes its inputs and returns its outputs by name. The
// [Objective] is a sum of terms, each a loss of some outputs and targets; each term has its own
// denominator and is reported under its own name. Fit is the special case of one input, one output,
// one target and one term. A function or method whose name ends in Named takes records, a Network
// or an Objective in place of a dataset, a Model or a loss.
//
// # Data that does not stand still
//
// Config.Augment changes each training example at random, differently in each epoch.
// [data.NewStream] makes records of examples that arrive one after the other and need not fit in
// memory. Both are reproducible from the seed, and a resumed run continues within an epoch.
//
// # Custom training loops
//
// A [Trainer] is a set of parameters with several [Step]s for a loop that the caller writes: for
// adversarial networks, online learning and reinforcement learning. A Step is a model, an objective
// and an optimizer for some of the parameters. The checks and checkpoints are those of Fit. A
// [Solver] adapts an optimizer of package optim to a loop around one of Gorgonia's machines.
//
// # Custom losses
//
// A custom loss.Func computes its result from its two operands and passes its options on to the
// losses of package loss that it is made of; the options carry weights and reduction. It is built
// for several batch sizes, in separate graphs. loss.Reduce turns values of any kind into a loss,
// loss.Weighted adds losses and loss.With fixes options. A sum of losses is not a quotient of two
// sums: its epoch loss is the mean of the batch losses, weighted by their rows, and
// Config.Accumulate is refused.
//
// # Keeping a run
//
// With a [Checkpoint] the complete state of a run is on disk after each epoch, or every few steps.
// A process that is killed at any moment and started again with the same configuration ends with
// the same bits as an uninterrupted run. [Load] reads a model for prediction from a checkpoint or
// from a file of [Net.Save], without data or an optimizer; [LoadBest] reads the best checkpoint of
// a run. Weights are stored as safetensors, which other tools read.
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
// each rank has; with several terms each has a mean of its own. A loss whose values read the whole
// batch and that loss.WithComm gathers, such as InfoNCE and SupCon, reads the rows of all ranks.
// Shuffling, dropout and initial parameters do not depend on the number of ranks, and neither do the
// results, up to rounding. On one number of ranks every rank and every run has the same bits, unless
// Config.AnyOrder gives that up; at the end of each epoch the ranks compare their parameters. Each
// measures a part of the validation set.
//
// Rank 0 shows Progress, writes to Logger and keeps the checkpoints, which any number of ranks go
// on with. Callbacks are told on every rank; an error, [ErrStop] or a context that ends on one of
// them ends the run on all, after the same step. BatchNorm, losses that read the whole batch and are
// not gathered, and other losses that are no quotient are refused; so is Accumulate above 1 with
// losses that are gathered. A [Trainer] has one rank. A rank that dies ends an MPI run; start it
// again with Checkpoint.Resume.
//
// # Layers
//
// A model is plain Gorgonia. The [Builder] adds layers where Gorgonia's are wrong, slow or cannot
// save their state: Dense, Concat and Embedding; Conv2D, MaxPool2D and MeanPool2D for pictures with
// the channels last; GRU and LengthMask for sequences of different lengths; LayerNorm, and
// BatchNorm with running averages; Dot, inner products of vectors; Dropout and Noise, seeded by the
// run. Rows that pad a batch affect none of them. [Builder.Again] applies layers a second time with
// the same parameters, as siamese networks do.
//
// # Parts of a model
//
// [Net.Part] and [LoadPart] make a model of all parameters with a given prefix, such as a decoder.
// Config.Initial starts a run from the parameters of a file, of another model or of part of one.
// Groups freeze parameters; a second run with the first one's Params as Initial unfreezes them.
// Config.Scaling and Config.Classes are saved with the model, which then takes raw inputs and names
// its classes. [Net.Params] exports all parameters as a list.
//
// # Serving
//
// [Net.PredictRow] predicts one row and [Net.Predict] a dataset. [Net.Predictions] iterates over
// any number of examples in bounded memory, and [Net.PredictStream] over an endless stream of rows.
// All of them are safe for concurrent use, with as many batches at a time as there are processors.
// They stop when their context ends, and give the same bits for the same row.
//
// # Watching a run
//
// Config.Progress shows a bar on a terminal and lines elsewhere, Config.Logger writes log records,
// and [NewTensorBoard] and [NewHistograms] write event files. A [Callback] receives every step and
// epoch and can stop the run. [History] writes JSON and CSV, and package report plots it.
//
// Before a long run, [Summarize] lists a model's parameters, [FindRate] tests learning rates,
// Config.FastDevRun tries one batch of everything, and Config.OverfitBatch checks that the model
// can memorise a few batches. [Lint] and [LintData] look for common mistakes, such as a softmax
// before a loss that takes logits; Fit reports those that it notices.
//
// # Why not Gorgonia's own parts
//
// Gorgonia's solvers cannot be saved; its AdamW never changes a parameter and its RMSProp differs
// from every other implementation. Its dropout scales gradients incorrectly, and its matrix product
// transposes shared weights in place. This package uses none of them. Models may use all of
// Gorgonia's operations except those known to be wrong, which need [Builder.Allow].
package train
