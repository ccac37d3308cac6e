// Package loss has the functions that neural networks are trained on, as nodes of Gorgonia graphs.
//
//	cost, err := loss.CrossEntropy(logits, labels, loss.WithLabelSmoothing(0.1))
//	grads, err := loss.Gradients(cost, weights, bias)
//
// Each loss is one function that adds one node to a graph. The node works on float32 and float64, on the TapeMachine and
// on the LispMachine, and has exact first and second derivatives for every operand that is not data.
//
// The doc comment of a loss is its whole specification: what it computes, the formula with its derivative, shapes,
// options with range and default, what happens at the edges, siblings, and the source. What is true of all of
// them is said here once. An index by family stands at the end of this text. [All], [Lookup], [Families] and [Describe]
// give the same to programs.
//
// # Operands
//
// What the model produced comes first, what the data says second: (logits, labels), (pred, target), (prob, target). Most losses
// have these two operands and so the type [Func]; those with more, such as a predicted variance, say which comes where.
//
// Classifiers take logits, numbers of any size of which they take the softmax or sigmoid themselves, because only so can they
// be stable. A form on probabilities or log-probabilities says that in its name: [CrossEntropyFromProb], [KLFromLogProb]. The
// exceptions are the divergences from [JensenShannon] to [AlphaDivergence], which have no other form.
//
// Operands have exactly the shapes that the documentation names. Nothing is broadcast: a column (N, 1) against a vector
// (N) is an error.
//
// Classes lie along the last axis, or along the one that [WithAxis] names for layouts like (N, C, H, W). The other axes
// together number the examples. Elementwise losses have no class axis; each of their elements is an example of its own.
//
// Integer labels have dtype Int, Int64, Int32 or Uint8 and the shape of the logits without the class axis. A label out of
// range is an error that names row, value and range. A row whose label [WithIgnoreIndex] lists, -100 by default, is left
// out.
//
// Soft targets are finite numbers >= 0 in the shape of the logits. They need not sum to 1. A one-hot soft target gives the
// same number as its label.
//
// # Reduction
//
// [WithReduction] says how the values of the examples become the result: [Mean], which is the default, [Sum], or [None] for
// all of them, in the shape of the operand without the class axis (for elementwise losses in the shape of the operand).
//
// Every example has a factor
//
//	s = weight × mask × (1, or 0 for an ignored label)
//
// with its entry in [WithWeights] and [WithMask] (1 where these are not given), and a share w in the denominator:
//
//	None   s·l
//	Sum    Σ s·l
//	Mean   Σ s·l / Σ s·w
//
// The share is 1 unless there are class weights ([WithClassWeights]); then it is the weight of the label's class, Σ_c w_c·t_c
// for a soft target t, and the mean of the weights for a multi-label row. Class weights also multiply the value: a
// cross-entropy term by term, Σ_c w_c·t_c·(-log p_c), other losses as a whole. Positive weights ([WithPosWeight]) change values
// and never the denominator.
//
// Where all factors of the denominator are 0 the result is 0 and so is the gradient. Weights may be negative. A weight that
// is not finite is an error.
//
// An example with s = 0 is never read: NaN, infinities and labels out of range in it reach neither the value nor a gradient.
// A class weight of 0 is an ordinary factor.
//
// [WithNormalizer] and [WithNormalizerNode] replace the denominator. A batch that is worked off in parts has the gradient of the
// whole when each part is divided by the number of active examples of the whole.
//
// Weights, masks and normalizers are data: they have no gradient.
//
// # Options
//
// An option that a loss does not take is an error, and so is a value out of range. The documentation of a loss lists what it
// takes under Options; beside that, every loss and node takes [WithBufferReuse] and
// [WithUncheckedValues]. Given twice, the last one counts.
//
// Logits are transformed in this order: [WithSoftcap], then [WithTemperature]. [WithZLoss] is about the log-sum-exp of the
// result.
//
// # Errors
//
// Building a loss never panics. Faults that can be seen then are errors of kind [ErrShape], [ErrDType] or [ErrOption], to be tested
// with errors.Is; a call that fails adds nothing to the graph. Data out of its domain is seen when the graph
// runs, which ends with an error of kind [ErrValue] that names function, operand, value, place and what was wanted; [Cause]
// finds it in what a machine returns. After an error a LispMachine is better not run again: its own goroutine may still be at work.
//
// # Derivatives
//
// [Gradients] and [VJP] differentiate without state: they can be called any number of times on one graph and on gradients. The
// Hessian times a vector v is the gradient of Σ g·v. gorgonia.Grad works as well, once. Where there is a kink the
// derivative is one of the subgradients, which one is documented. There is no third derivative. Where a
// value is infinite its second derivative may be NaN.
//
// # Numbers
//
// Computation is in float64, whatever the dtype of the operands, and each result is rounded once: float32 results are those of
// float64 on the same inputs. Where there are many numbers, kernels in the operands' own dtype take over and add up in float64: for
// [CrossEntropy], [KL] and [Entropy] of more than 128 classes along the last axis, and for [MSE], [HalfSquared], [MAE], [Huber],
// [SmoothL1], [LogCosh], [PseudoHuber], [Cauchy], [BinaryCrossEntropy], [SoftMargin], [SigmoidFocal] with γ = 2, [PoissonNLL], [Gamma] and,
// of float32, [BernoulliKL] of more than 128 elements without weights or a mask. Values of the former are as before. Of the latter,
// each float32 term is within 3 units in the last place, or of the larger of the two terms it is the difference of; terms that overflow
// float32 where their mean does not are computed in float64 again. An element of a float32 gradient is within
// 4 units in the last place of the larger of the terms whose difference it is, such as p and t (6 for SigmoidFocal);
// below 2^-124 it may be 0. Results do not depend on the number of cores, to the bit.
//
// A large gradient costs more for its fresh memory than for its numbers. [WithBufferReuse] says what to do about it and what that means.
//
// A NaN in an example makes that example NaN and no other. 0·log 0 is 0. A logit of -Inf is a probability of 0: such a class is
// masked, takes no part in label smoothing, and as the true class makes the loss +Inf with the gradient softmax - target.
// A row of logits that are all -Inf, or one with +Inf, is no distribution: [LogSumExp] is -Inf or +Inf and all else
// NaN. Sigmoids have limits at ±Inf, and [BinaryCrossEntropy] has them too. The gradient by a target or probability
// of exactly 0 is 0 by convention in entropies and divergences; in cross-entropies it is -log p, which may be +Inf.
//
// -log p keeps its relative accuracy near p = 1, and divergences keep theirs where the distributions are nearly equal.
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
// [LogSumExp], [Softmax], [LogSoftmax], [LogSigmoid], [Softplus], [Entropy] and [EntropyFromProb] are nodes of one operand, with
// the same care for numbers and derivatives. A softmax followed by a loss on probabilities gives away what the loss on
// logits keeps.
//
// # Adding a loss
//
// A loss is written in four places; take a neighbour as the model. Say it is the cube of the absolute residual.
//
// First its family, that is the file for losses of its kind: regression.go. There goes the function, which checks nothing itself,
// under a doc comment in the order that all have: what it returns, the formula with its derivative, shapes, the Options line, what
// is surprising about its numbers, siblings, the source:
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
//	func Cubic(pred, target *G.Node, opts ...Option) (*G.Node, error) { return cubic.build(pred, target, opts) }
//
// and its definition, the mathematics and what the mechanism must know about it:
//
//	var cubic = definition{
//		name: "Cubic", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
//		laws: Symmetric | NonNegative | ZeroAtEqual | Convex,
//		rows: func(*settings, int, int) rowFunc {
//			return profile{
//				value: each(func(e float64) float64 { return math.Abs(e) * e * e }),
//				slope: each(func(e float64) float64 { return 3 * e * math.Abs(e) }),
//				bend:  each(func(e float64) float64 { return 6 * math.Abs(e) }),
//			}.row
//		},
//	}
//
// The function that rows returns gives the value with its first and second derivative in float64. A profile is for functions
// of pred - target (or of a margin), surface for other functions of one prediction and one target, volume for those of more
// operands (each makes a loop of a formula; loops written out, and a front of them before a surface, are several times as
// fast), separable for sums of such functions along the class axis; a loss that couples the classes is a rowFunc of its own,
// as in multiclass.go. Reductions, weights, masks, axes, float32, both machines and the second order are the mechanism's,
// and no loss mentions them. An option is taken by naming its knob in takes and its default in defaults; the row function
// reads it from the settings, and check refuses values that the option itself allows but the loss does not. Domains of
// operands (pred, target: [Labels], [SoftTargets], [Counts], ...) are checked by naming them. laws are the properties that
// tests hold the loss to.
//
// Second, a line in the family's list, {&cubic, Cubic}, at the head of the file. It makes the loss known to [All], and so to
// the tests of the contract that every loss keeps: derivatives, reductions, masks, dtypes, machines, laws.
//
// Third, rows of known values and of hostile ones in the family's test file, each with its source or arithmetic.
//
// Fourth, an Example in the family's example file.
//
// Then
//
//	go generate ./loss && go test ./loss .
//
// brings the tables of losses up to date and says what is missing.
package loss

//go:generate go run gen_tables.go
