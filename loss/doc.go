// Package loss provides loss functions for training neural networks, as nodes of Gorgonia graphs.
//
//	cost, err := loss.CrossEntropy(logits, labels, loss.WithLabelSmoothing(0.1))
//	grads, err := loss.Gradients(cost, weights, bias)
//
// Each loss is a function that adds one node to a graph. The node works on float32 and float64, on
// the TapeMachine and on the LispMachine, and has exact first and second derivatives with respect
// to every operand that is not data. Package loss/eager evaluates the same losses on slices and
// tensors without a graph.
//
// The doc comment of a loss is its specification: the formula with its derivative, shapes, options
// with range and default, corner cases, siblings, and the source. What holds for all losses is
// documented here. An index by family stands at the end of this text. [All], [Losses], [Lookup],
// [Families] and [Describe] give the same to programs.
//
// # Operands
//
// The prediction comes first, the target second: (logits, labels), (pred, target), (prob, target).
// Most losses have these two operands and the type [Func]; losses with more, such as a predicted
// variance, document their order.
//
// Classifiers take logits, any real numbers, and apply the softmax or sigmoid themselves: nothing
// else is numerically stable. The name of a form on probabilities or log-probabilities says so:
// [CrossEntropyFromProb], [KLFromLogProb]. The exceptions are the divergences from [JensenShannon]
// to [AlphaDivergence], which have no other form.
//
// Operands have exactly the shapes that the documentation names. Nothing is broadcast: a column (N,
// 1) against a vector (N) is an error.
//
// Classes lie along the last axis, or along the one that [WithAxis] names for layouts like (N, C,
// H, W). The other axes together number the examples. Elementwise losses have no class axis; each
// of their elements is an example of its own.
//
// Integer labels have dtype Int, Int64, Int32 or Uint8 and the shape of the logits without the
// class axis. A label out of range is an error that names row, value and range. Rows whose label is
// listed by [WithIgnoreIndex], -100 by default, are left out.
//
// Soft targets are finite numbers >= 0 in the shape of the logits. They need not sum to 1. A
// one-hot soft target gives the same number as its label.
//
// [LinearCrossEntropy] and [LinearTokenLogProb] take the factors of the logits, hidden states and
// an output matrix, and compute the logits some rows at a time: for vocabularies whose logits do
// not fit in memory.
//
// # Reduction
//
// [WithReduction] sets how the values of the examples are combined: [Mean], the default, [Sum], or
// [None], which keeps all of them, in the shape of the operand without the class axis (for
// elementwise losses in the shape of the operand).
//
// Every example has a factor
//
//	s = weight × mask × (1, or 0 for an ignored label)
//
// with its entry in [WithWeights] and [WithMask] (1 where these are not given; elementwise losses
// also take one entry per row, in the shape of the first axis), and a share w in the denominator:
//
//	None   s·l
//	Sum    Σ s·l
//	Mean   Σ s·l / Σ s·w
//
// The share is 1 unless there are class weights ([WithClassWeights]); then it is the weight of the
// label's class, Σ_c w_c·t_c for a soft target t, and the mean of the weights for a multi-label
// row. Class weights also multiply the value: a cross-entropy term by term, Σ_c w_c·t_c·(-log p_c),
// other losses as a whole. Positive weights ([WithPosWeight]) change values and never the
// denominator.
//
// Where all factors of the denominator are 0 the result is 0 and so is the gradient. Weights may be
// negative. A weight that is not finite is an error.
//
// An example with s = 0 is never read: NaN, infinities and labels out of range in it reach neither
// the value nor a gradient. A class weight of 0 is an ordinary factor.
//
// [WithNormalizer] and [WithNormalizerNode] replace the denominator. The gradients of the parts of
// a batch add up to the gradient of the whole when each part is divided by the denominator of the
// whole. [Parts] gives a loss's numerator and denominator, whatever its reduction.
//
// [Reduce] applies the same rules to values of one's own, [Weighted] adds losses with factors, and
// [With] fixes options of a loss.
//
// Weights, masks and normalizers are data: they have no gradient.
//
// # Lists, images, sequences and batches
//
// The values of some losses read more than one example's row: all items of a list ([ListNet]), all
// tokens of a sequence ([GRPO]), all subjects at risk ([CoxPartialLikelihood]), two clouds of points
// ([SinkhornDivergence]). The rules above hold for their values. A mask leaves out what such a value
// reads, items, tokens or rows, as if it were not there: neither the value nor a gradient depends on
// it. Each loss says what its weights weigh, and which of its values have a part in the mean. Lists
// and sequences of different lengths may be padded and masked, or stand in one row without padding:
// [WithSegments].
//
// # Options
//
// An option that a loss does not take is an error, and so is a value out of range. The
// documentation of a loss lists its options; in addition every loss and node takes
// [WithBufferReuse] and [WithUncheckedValues], and every loss with a reduction [WithComm]. Given
// twice, the last one counts.
//
// Logits are transformed in this order: [WithSoftcap], then [WithTemperature]. [WithZLoss] uses the
// log-sum-exp of the result.
//
// # Errors
//
// Building a loss never panics. Wrong shapes, types and options are errors of kind [ErrShape],
// [ErrDType] or [ErrOption], to be tested with errors.Is; a call that fails adds nothing to the
// graph. Data outside its domain is found when the graph runs, which then ends with an error of
// kind [ErrValue] that names function, operand, value, place and what was wanted; [Cause] extracts
// it from the error of a machine. A LispMachine should not be run again after an error: its
// goroutine may still be running.
//
// # Derivatives
//
// [Gradients] and [VJP] differentiate without state: they can be called any number of times on one
// graph and on gradients. The Hessian times a vector v is the gradient of Σ g·v. gorgonia.Grad
// works as well, once. At a kink the derivative is one of the subgradients; the documentation
// states which. There is no third derivative. Where a value is infinite its second derivative may
// be NaN.
//
// # Numbers
//
// Kernels compute the losses on the operands' own memory, with every option, weight, mask, axis and
// number of classes, and add up in float64; second derivatives, and what kernels lack, are computed
// in float64 by the formulas. In units of the last place of float32:
//
//	softmax losses against labels, up to 128 classes       0.5001: float64, rounded once
//	softmax losses of more classes                         value 1, gradient 4 of the largest term
//	focal, poly and generalised against soft targets       1 up to 128 classes, else value 1 and gradient 4 of the largest term
//	sums over a row of elementwise losses                  as those: MultiLabelSoftMargin, StandardGaussianKL
//	divergences of probabilities                           1.5: float64, rounded; Hellinger, Bhattacharyya and α = ½ value and
//	                                                       gradient 8 of the largest term
//	ListNet and RankingSoftmax, lists of over 64 items     value 8, gradient 4 of the largest term
//	elementwise losses                                     6 of the larger of the numbers whose difference a term is;
//	                                                       gradient 4, SigmoidFocal 10
//	elementwise losses of up to 128 elements, all others   0.5: float64, rounded once
//
// float64 results are within a relative 1e-12 or an absolute 1e-14. Elements of a gradient below
// 2^-124 (float64: 2^-1020) may be 0. Results depend neither on the number of cores nor on what
// lies in the other rows, to the bit.
//
// Allocating a large gradient takes longer than computing it; [WithBufferReuse] keeps the memory
// from run to run.
//
// A NaN in an example makes that example NaN and no other. [NLL] reads the label's entry alone.
// 0·log 0 is 0. A logit of -Inf is a probability of 0: such a class is masked, takes no part in
// label smoothing, and as the true class makes the loss +Inf with the gradient softmax - target. A
// row of logits that are all -Inf, or one with +Inf, is no distribution: [LogSumExp] is -Inf or
// +Inf and all else NaN. Sigmoids have limits at ±Inf, and [BinaryCrossEntropy] has them too. The
// gradient by a target or probability of exactly 0 is 0 by convention in entropies and divergences;
// in cross-entropies it is -log p, which may be +Inf.
//
// -log p keeps its relative accuracy near p = 1, and divergences keep theirs where the
// distributions are nearly equal.
//
// # Where we differ from PyTorch on purpose
//
// The values are otherwise those of PyTorch.
//
//	                                          PyTorch                    here
//	all labels ignored, or weights 0          NaN                        0, gradient 0
//	NaN or Inf in an ignored or masked row    poisons the gradient       never read
//	label smoothing over a masked class       +Inf                       a masked class gets no mass
//	target 0 against probability 0            NaN                        0
//	gradient of KL by a target of 0           -Inf or NaN                0
//	mean of soft targets, class weights       divides by N               divides by Σ w·t
//	mean of kl_div                            divides by elements        sums classes, divides by rows
//	mean of weighted BCE, multi_margin and    divides by N               divides by the weights
//	multilabel_soft_margin
//	nll_loss, weight 0 of a class at -Inf     NaN                        0
//	BCE with logits at ±Inf                   NaN                        the limits 0 and +Inf
//	BCE of probabilities 0 and 1              log clamped at -100        exact
//	soft_margin_loss at ±1e4                  +Inf                       1e4
//	softplus above 20                         x                          exact
//	entropy of equal logits at -3e38          loses digits               log n
//	entropy with a masked class               gradient NaN               gradient 0 there
//	logsumexp of n equal logits at ±3e38      gradient 1                 gradient 1/n
//	l1_loss of a NaN                          gradient 0                 gradient NaN
//	kl_div with a NaN                         NaN in that element        NaN in that row's value and gradient
//	shapes (N, 1) and (N), weights or         broadcast                  an error
//	variances of lower rank
//
// # Nodes that losses stand on
//
// [LogSumExp], [Softmax], [LogSoftmax], [LogSigmoid], [Softplus], [Entropy] and [EntropyFromProb]
// are nodes of one operand, with the same care for numbers and derivatives; [TokenLogProb],
// [LinearTokenLogProb] and [EntropyTerm] give log-probabilities of labels and the entropies beside
// them. A softmax followed by a loss on probabilities gives away what the loss on logits keeps.
//
// # Adding a loss
//
// A loss is written in four places; take a neighbour as the model. Say it is the cube of the
// absolute residual.
//
// First, its family file: regression_residual.go, with the other functions of pred - target. There
// goes the function, under a doc comment in the order that all have: what it returns, the formula
// with its derivative, shapes, the Options line, surprising numbers, siblings, the source:
//
//	// Cubic returns the cube of the absolute error of pred against target.
//	//
//	// With e = pred - target,
//	//
//	//	l(e) = |e|³        dl/de = 3e·|e|
//	//
//	// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//	//
//	// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//	//
//	// [MSE] grows less in the tails.
//	//
//	// Reference: standard.
//	func Cubic(pred, target *G.Node, opts ...Option) (*G.Node, error) { return build(&cubic, opts, pred, target) }
//
// and its definition: operands, options, and the formula with its first and second derivative in
// float64:
//
//	var cubic = core.Definition{
//		Name: "Cubic", Operands: elements("pred", core.Real, "target", core.Real), Takes: core.ReduceOptions,
//		Laws: core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
//		Block: func(*core.Settings, core.Dims) core.BlockFunc {
//			return formula.Curve{
//				Value:  formula.Each(func(e float64) float64 { return math.Abs(e) * e * e }),
//				Deriv:  formula.Each(func(e float64) float64 { return 3 * e * math.Abs(e) }),
//				Second: formula.Each(func(e float64) float64 { return 6 * math.Abs(e) }),
//			}.Residual
//		},
//	}
//
// Package loss/internal/formula lifts formulas: a Curve is a function of pred - target or of a
// margin, Bivariate of one prediction and one target, Multivariate of more operands, Separable a
// sum of such functions along the class axis. A loss that couples the classes is a Row function, as
// in multiclass_crossentropy.go. A loss whose values read lists, images, sequences or the whole
// batch is a Group function, as in ranking.go: its Grouping names by letters the axes that make
// groups, those that a mask thins out and those of the values, and the function gets the entries
// that are there and writes the derivatives of the weighted sum of its values. Reductions, weights,
// masks, axes, float32, both machines, the second order and package eager belong to the mechanism
// (loss/internal/core and graph), and no loss mentions them. A loss takes an option by naming it in
// Takes, with a default in Defaults; the formula reads it from the settings, and Check refuses
// values that the option allows but the loss does not. A new option is one row of the table in
// loss/internal/core/option.go. Laws are the properties that tests hold the loss to. A Kernel, a
// function of package tensorops, is optional.
//
// Second, a line in the family's list, {&cubic, Cubic}, at the head of the file. It makes the loss
// known to [All], and so to the tests of the contract that every loss keeps: derivatives,
// reductions, masks, dtypes, machines, laws.
//
// Third, rows of known values and of hostile ones in the family's test file, each with its source
// or arithmetic.
//
// Fourth, an Example in the family's example file.
//
// Then
//
//	go generate ./loss/... && go test ./loss/... .
//
// updates the tables of losses and the constructors of package eager, and reports what is missing.
package loss

//go:generate go run gen_tables.go
