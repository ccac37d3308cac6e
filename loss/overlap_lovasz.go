package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// ofLovasz is the definition of a Lovász loss of classes.
func ofLovasz(name, operand string, holds core.Domain, act formula.Activation, others string) core.Definition {
	return core.Definition{
		Name: name, Others: others, Takes: core.Options(pixelOptions, core.OptPresentOnly), Defaults: core.Settings{Axis: 1, Ignore: []int{-100}},
		Operands: []core.Operand{{Name: operand, Holds: holds, Shape: "N C *"}, {Name: "labels", Holds: core.Labels, Shape: "N *"}},
		Grouped:  ofPixels(ofClasses), Parts: classParts, Laws: core.NonNegative,
		Group: func(_ *core.Settings, d *core.GroupDims) core.GroupFunc {
			return func(g *core.Group) error {
				formula.PixelsOf(g, act, d.Len('C')).Lovasz()
				return nil
			}
		},
	}
}

var (
	lovaszSoftmax = ofLovasz("LovaszSoftmax", "logits", core.Logits, formula.SoftmaxOverClasses,
		"segmentation-models-pytorch LovaszLoss, and that of its authors: WithPooled, WithPresentOnly")
	lovaszSoftmaxFromProb = ofLovasz("LovaszSoftmaxFromProb", "prob", core.UnitInterval, formula.NoActivation, "")
)

// LovaszSoftmax returns the Lovász-softmax loss of each class: the convex extension of the Jaccard
// loss to the errors of the pixels.
//
// With p the softmax over the classes (the sigmoid where there is one class), e_i = |t_i - p_i| the
// errors of the pixels of an image and a class in descending order, F_k the first k pixels in this
// order and T the pixels of the class,
//
//	l = Σ_k e_(k)·(J_k - J_(k-1))        J_k = 1 - |T \ F_k| / |T ∪ F_k|
//	dl/dp_(k) = ±(J_k - J_(k-1))         - where the pixel is of the class
//
// The J are held constant in the derivatives, and ties are broken by pixel order. The second
// derivative with respect to p is therefore 0; only the curvature of the softmax remains. The time
// is O(P log P) for P pixels.
//
// logits have the shape (N, C, ...), images by classes by pixels; [WithAxis] selects a class axis
// other than 1. labels (N, ...) are classes, 0 and 1 for C = 1. The result is a scalar. Under
// [None] it has the shape (N, C), or (C) with [WithPooled]. Which classes count and how the mean is
// taken are as in [Dice].
//
// Options: [WithBackground], [WithPresentOnly], [WithPooled], [WithAxis] (default 1),
// [WithIgnoreIndex], [WithClassWeights], [WithReduction], [WithWeights] (N), [WithMask] (N, ...),
// [WithNormalizer], [WithNormalizerNode].
//
// The loss of a class that is absent from the labels is its largest p; [WithPresentOnly] excludes
// such classes. [WithPooled] with [WithPresentOnly] is the authors' form. [LovaszHinge] is for two
// classes.
//
// Reference: M. Berman, A. Rannen Triki and M. B. Blaschko, The Lovász-Softmax Loss: A Tractable
// Surrogate for the Optimization of the Intersection-Over-Union Measure in Neural Networks, 2018.
func LovaszSoftmax(logits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&lovaszSoftmax, opts, logits, labels)
}

// LovaszSoftmaxFromProb returns the [LovaszSoftmax] loss of given probabilities.
//
//	l = Σ_k e_(k)·(J_k - J_(k-1))        J_k = 1 - |T \ F_k| / |T ∪ F_k|
//	dl/dp_(k) = ±(J_k - J_(k-1))         - where the pixel is of the class
//
// prob lies in [0, 1], in the shape (N, C, ...). Everything else is as in [LovaszSoftmax].
//
// Options: [WithBackground], [WithPresentOnly], [WithPooled], [WithAxis], [WithIgnoreIndex],
// [WithClassWeights], [WithReduction], [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer],
// [WithNormalizerNode].
//
// Reference: M. Berman, A. Rannen Triki and M. B. Blaschko, The Lovász-Softmax Loss: A Tractable
// Surrogate for the Optimization of the Intersection-Over-Union Measure in Neural Networks, 2018.
func LovaszSoftmaxFromProb(prob, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&lovaszSoftmaxFromProb, opts, prob, labels)
}

// LovaszHinge returns the Lovász hinge loss of each image: the convex extension of the Jaccard loss
// to hinge errors, for two classes.
//
// With e_i = max(0, 1 - x_i·(2y_i - 1)) the errors of the pixels of an image in descending order,
// and J as in [LovaszSoftmax] with T the pixels with y = 1,
//
//	l = Σ_k e_(k)·(J_k - J_(k-1))        dl/dx_(k) = -(2y - 1)·(J_k - J_(k-1)) where e > 0
//
// The J are held constant in the derivatives, and ties are broken by pixel order; the second
// derivative is 0. The time is O(P log P) for P pixels.
//
// logits and labels, 0 or 1, have the shape (N, ...), images by pixels, with at least two axes. The
// result is a scalar, or has the shape (N) under [None] without [WithPooled].
//
// Options: [WithPooled], [WithIgnoreIndex], [WithReduction], [WithWeights] (N), [WithMask] (N,
// ...), [WithNormalizer], [WithNormalizerNode].
//
// The loss of an image without a pixel with y = 1 is its largest error.
//
// Reference: J. Yu and M. B. Blaschko, The Lovász Hinge: A Novel Convex Surrogate for Submodular
// Losses, 2015.
func LovaszHinge(logits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&lovaszHinge, opts, logits, labels)
}

var lovaszHinge = core.Definition{
	Name: "LovaszHinge", Takes: core.Options(core.ReduceOptions, core.OptIgnoreIndex, core.OptPooled), Defaults: core.Settings{Ignore: []int{-100}},
	Operands: []core.Operand{{Name: "logits", Holds: core.Logits, Shape: "N P *"}, {Name: "labels", Holds: core.Labels, Shape: "N P *"}},
	Laws:     core.NonNegative,
	Grouped: func(s *core.Settings) core.Grouping {
		if s.Overlap.Pooled {
			return core.Grouping{Entries: "N P *", Classes: twoClasses, Unweighted: true}
		}
		return core.Grouping{Over: "N", Entries: "P *", Values: "N", Classes: twoClasses}
	},
	Group: func(*core.Settings, *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			y, e, step := g.Int[1], g.Buf(g.N), g.Buf(g.N)
			side := func(i int) float64 { return float64(2*y[i] - 1) }
			for i, x := range g.X[0] {
				e[i] = max(0, 1-x*side(i))
			}
			copy(step, e)
			value := formula.Lovasz(step, func(i int) bool { return y[i] == 1 })
			if g.Value != nil {
				g.Value[0] = value
			}
			for i := range g.Grad[0] {
				if g.Grad[0][i] = 0; e[i] != 0 {
					g.Grad[0][i] = -side(i) * formula.Times(g.Factor[0], step[i])
				}
			}
			clear(g.Hess[0])
			return nil
		}
	},
}

// twoClasses are the labels 0 and 1.
func twoClasses(*core.GroupDims) int { return 2 }
