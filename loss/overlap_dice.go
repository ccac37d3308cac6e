package loss

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

var (
	smoothOne = core.Settings{Overlap: core.Overlap{Smooth: 1}, Gamma: 1}
	diceLoss  = ratioLoss{errors: allErrors, score: eachRatio(2), parts: classParts, values: ofClasses}

	dice = diceLoss.of(core.Definition{Name: "Dice", Takes: core.Options(classOptions, core.OptMultiLabel), Defaults: smoothOne,
		Others: "MONAI DiceLoss: WithSmooth(nr), WithEpsilon(dr-nr); segmentation-models-pytorch DiceLoss: WithPooled, WithSmooth(2·smooth), WithPresentOnly, WithNormalizer(C)"})
	diceFromProb = diceLoss.of(core.Definition{Name: "DiceFromProb", Takes: classOptions, Defaults: smoothOne,
		Keras: "Dice (one image, C = 1, WithSmooth(0), WithEpsilon(1e-7))"})

	jaccardLoss = ratioLoss{errors: allErrors, score: eachRatio(1), parts: classParts, values: ofClasses}

	jaccard = jaccardLoss.of(core.Definition{Name: "Jaccard", Takes: core.Options(classOptions, core.OptMultiLabel), Defaults: smoothOne,
		Others: "MONAI DiceLoss(jaccard=True): WithSmooth(nr/2); segmentation-models-pytorch JaccardLoss: WithPooled, WithSmooth(0), WithPresentOnly, WithNormalizer(C)"})
	jaccardFromProb = jaccardLoss.of(core.Definition{Name: "JaccardFromProb", Takes: classOptions, Defaults: smoothOne})

	generalizedDiceLoss = ratioLoss{errors: allErrors, score: generalized, parts: presentParts, values: [2]string{"N", ""}}

	generalizedDice = generalizedDiceLoss.of(core.Definition{Name: "GeneralizedDice", Takes: core.Options(generalizedOptions, core.OptMultiLabel),
		Defaults: core.Settings{Power: 2}, Others: "MONAI GeneralizedDiceLoss: WithPower(2) for square, 1 for simple, 0 for uniform, WithSmooth(nr), WithEpsilon(dr-nr)"})
	generalizedDiceFromProb = generalizedDiceLoss.of(core.Definition{Name: "GeneralizedDiceFromProb", Takes: generalizedOptions, Defaults: core.Settings{Power: 2}})
)

var generalizedOptions = core.Options(ratioOptions, core.OptPower)

// Dice returns the Dice loss of the pixels of each class, 1 - 2·|P∩T|/(|P|+|T|) of soft sets.
//
// With p the softmax over the classes (the sigmoid where there is one class, or with
// [WithMultiLabel]) and t the target of the pixels of an image and a class,
//
//	I = Σ p·t   FP = Σ p·(1-t)   FN = Σ t·(1-p)
//	l = (FP + FN + e)/(2I + FP + FN + s + e)
//	dl/dp = (1 - 2t - l)/(2I + FP + FN + s + e)
//
// with s of [WithSmooth] (default 1) and e of [WithEpsilon] (default 0, >= 0). l is never negative
// and keeps its digits near 0; 0/0 is 0 with gradient 0. [WithSquared] uses FP = Σ p·(p-t) and FN =
// Σ t·(t-p), which makes the denominator Σ p² + Σ t² + s + e. [WithSemimetric] uses I = Σ min(p,
// t), FP = Σ max(p-t, 0) and FN = Σ max(t-p, 0), and at p = t the mean of the one-sided
// derivatives, so that a soft target that is matched exactly has the loss 0. The two options cannot
// be combined.
//
// logits have the shape (N, C, ...), images by classes by pixels; [WithAxis] selects a class axis
// other than 1, such as -1 for (N, ..., C). target holds labels (N, ...), which are 0 and 1 for C =
// 1, or numbers >= 0 in the shape of the logits. There is no gradient with respect to target. The
// result is a scalar. Under [None] it has the shape (N, C) whatever the other options, or (C) with
// [WithPooled].
//
// A class of an image counts unless [WithBackground] or [WithPresentOnly] excludes it or every
// pixel of the image is masked or ignored. [Mean] is the mean over images of Σ_c w_c·l_c / Σ_c w_c
// over the classes that count, with the weights w of [WithClassWeights]; images in which no class
// counts are left out. [Sum] adds w_c·l_c, and under [None] classes that do not count have the
// value 0. [WithWeights] takes one weight per image.
//
// Options: [WithSmooth], [WithEpsilon], [WithSquared], [WithSemimetric], [WithMultiLabel],
// [WithBackground], [WithPresentOnly], [WithPooled], [WithAxis], [WithIgnoreIndex],
// [WithClassWeights], [WithReduction], [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer],
// [WithNormalizerNode].
//
// Pixels that are masked or whose label is ignored are left out of all sums. A class that is absent
// from the target counts like any other: for e = 0 its loss is FP/(FP + s). [Tversky] weights the
// two kinds of errors differently, [GeneralizedDice] balances classes of different sizes, and
// [Jaccard] is based on the intersection over the union.
//
// Labelled float32 images of at least 256 pixels are computed in float32 if they go through the
// softmax, or the sigmoid of a single class, and neither [WithSquared] nor [WithSemimetric] is
// given: values are accurate to a relative 1e-6, gradients to 2e-6 of the largest entry. Everything
// else is computed in float64 and rounded once. The same holds for [Tversky], [FocalTversky],
// [Jaccard] and [GeneralizedDice].
//
// Reference: F. Milletari, N. Navab and S.-A. Ahmadi, V-Net: Fully Convolutional Neural Networks
// for Volumetric Medical Image Segmentation, 2016; Z. Wang et al., Dice Semimetric Losses, 2023.
func Dice(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&dice, opts, logits, target)
}

// DiceFromProb returns the [Dice] loss of given probabilities.
//
//	l = (FP + FN + e)/(2I + FP + FN + s + e)
//	dl/dp = (1 - 2t - l)/(2I + FP + FN + s + e)
//
// prob holds numbers >= 0, which may exceed 1 and need not sum to 1, in the shape (N, C, ...).
// Everything else is as in [Dice].
//
// Options: [WithSmooth], [WithEpsilon], [WithSquared], [WithSemimetric], [WithBackground],
// [WithPresentOnly], [WithPooled], [WithAxis], [WithIgnoreIndex], [WithClassWeights],
// [WithReduction], [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer], [WithNormalizerNode].
//
// Reference: F. Milletari, N. Navab and S.-A. Ahmadi, V-Net: Fully Convolutional Neural Networks
// for Volumetric Medical Image Segmentation, 2016.
func DiceFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&diceFromProb, opts, prob, target)
}

// Jaccard returns the Jaccard loss of the pixels of each class, 1 - |P∩T|/|P∪T| of soft sets.
//
// With p, t, I, FP, FN, s and e as in [Dice],
//
//	l = (FP + FN + e)/(I + FP + FN + s + e)
//	dl/dp = ((1 - l)·(1 - t) - t)/(I + FP + FN + s + e)
//
// logits, target, the result and the rules for classes are those of [Dice]. The derivative shown is
// the one without [WithSquared] and [WithSemimetric].
//
// Options: [WithSmooth] (default 1), [WithEpsilon] (default 0, >= 0), [WithSquared],
// [WithSemimetric], [WithMultiLabel], [WithBackground], [WithPresentOnly], [WithPooled], [WithAxis]
// (default 1), [WithIgnoreIndex], [WithClassWeights], [WithReduction], [WithWeights] (N),
// [WithMask] (N, ...), [WithNormalizer], [WithNormalizerNode].
//
// The loss is never negative and keeps its digits near 0; 0/0 is 0 with gradient 0. [LovaszSoftmax]
// is another continuous extension of the same index.
//
// Reference: M. A. Rahman and Y. Wang, Optimizing Intersection-Over-Union in Deep Neural Networks
// for Image Segmentation, 2016.
func Jaccard(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&jaccard, opts, logits, target)
}

// JaccardFromProb returns the [Jaccard] loss of given probabilities.
//
//	l = (FP + FN + e)/(I + FP + FN + s + e)
//	dl/dp = ((1 - l)·(1 - t) - t)/(I + FP + FN + s + e)
//
// prob holds numbers >= 0, which may exceed 1 and need not sum to 1, in the shape (N, C, ...).
// Everything else is as in [Jaccard].
//
// Options: [WithSmooth], [WithEpsilon], [WithSquared], [WithSemimetric], [WithBackground],
// [WithPresentOnly], [WithPooled], [WithAxis], [WithIgnoreIndex], [WithClassWeights],
// [WithReduction], [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer], [WithNormalizerNode].
//
// Reference: M. A. Rahman and Y. Wang, Optimizing Intersection-Over-Union in Deep Neural Networks
// for Image Segmentation, 2016.
func JaccardFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&jaccardFromProb, opts, prob, target)
}

// GeneralizedDice returns the generalised Dice loss of each image: a single ratio of sums over the
// classes, each weighted by a power of its size in the target.
//
// With p, t, I, FP, FN, s and e as in [Dice] and T_c = Σ t the size of a class,
//
//	l = (Σ_c v_c·(FP_c + FN_c) + e)/(Σ_c v_c·(2I_c + FP_c + FN_c) + s + e)    v_c = w_c/T_c^p
//	dl/dp_c = v_c·(1 - 2t - l)/(Σ_c v_c·(2I_c + FP_c + FN_c) + s + e)
//
// The exponent p is that of [WithPower], any finite number: 2 by default, 1 for sizes, 0 for equal
// weights; w are the class weights. Classes that are absent from the target, and the background if
// [WithBackground] excludes it, have v = 0. Images without any other class are left out of the
// mean.
//
// logits and target are those of [Dice]. The result is a scalar, or has the shape (N) under [None]
// without [WithPooled]. There is no gradient with respect to target.
//
// Options: [WithPower], [WithSmooth] (default 0, since v is small), [WithEpsilon] (default 0, >=
// 0), [WithSquared], [WithSemimetric], [WithMultiLabel], [WithBackground], [WithPooled], [WithAxis]
// (default 1), [WithIgnoreIndex], [WithClassWeights], [WithReduction], [WithWeights] (N),
// [WithMask] (N, ...), [WithNormalizer], [WithNormalizerNode].
//
// [Dice] computes a separate ratio for each class.
//
// Reference: C. H. Sudre et al., Generalised Dice Overlap as a Deep Learning Loss Function for
// Highly Unbalanced Segmentations, 2017.
func GeneralizedDice(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&generalizedDice, opts, logits, target)
}

// GeneralizedDiceFromProb returns the [GeneralizedDice] loss of given probabilities.
//
//	l = (Σ_c v_c·(FP_c + FN_c) + e)/(Σ_c v_c·(2I_c + FP_c + FN_c) + s + e)    v_c = w_c/T_c^p
//	dl/dp_c = v_c·(1 - 2t - l)/(Σ_c v_c·(2I_c + FP_c + FN_c) + s + e)
//
// prob holds numbers >= 0, which may exceed 1 and need not sum to 1, in the shape (N, C, ...).
// Everything else is as in [GeneralizedDice].
//
// Options: [WithPower], [WithSmooth], [WithEpsilon], [WithSquared], [WithSemimetric],
// [WithBackground], [WithPooled], [WithAxis], [WithIgnoreIndex], [WithClassWeights],
// [WithReduction], [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer], [WithNormalizerNode].
//
// Reference: C. H. Sudre et al., Generalised Dice Overlap as a Deep Learning Loss Function for
// Highly Unbalanced Segmentations, 2017.
func GeneralizedDiceFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&generalizedDiceFromProb, opts, prob, target)
}

// sizeWeights replaces the sizes of classes by their weights w/T^p, 0 for classes that are absent
// or do not count.
func sizeWeights(s *core.Settings, mass []float64) {
	for c, t := range mass {
		w := 1.0
		if s.ClassWeights != nil {
			w = s.ClassWeights[c]
		}
		switch {
		case t == 0 || c == 0 && s.Overlap.NoBackground:
			mass[c] = 0
		default:
			mass[c] = w * math.Pow(t, -s.Power)
		}
	}
}

// presentParts leave out images without a class that counts.
func presentParts(s *core.Settings, d *core.GroupDims) core.PartsFunc {
	return func(g *core.Group) error {
		v := g.Buf(d.Len('C'))
		formula.TargetMass(g, v)
		sizeWeights(s, v)
		if !slices.ContainsFunc(v, func(w float64) bool { return w != 0 }) {
			g.Parts[0], g.Den[0] = 0, 0
		}
		return nil
	}
}

// generalized scores the sums over all classes, weighed by their sizes.
func generalized(s *core.Settings) pixelScore {
	return func(g *core.Group, sums []formula.OverlapSums, slopes []formula.OverlapSlope) {
		v := g.Buf(len(sums))
		for c, x := range sums {
			v[c] = x.T
		}
		sizeWeights(s, v)
		var all formula.OverlapSums
		for c, x := range sums {
			if w := v[c]; w != 0 {
				all.I, all.W, all.DI, all.DW = all.I+w*x.I, all.W+w*x.W, all.DI+w*x.DI, all.DW+w*x.DW
			}
		}
		l, _, by := formula.RatioSlope(all, 2, s.Overlap.Smooth, s.Epsilon)
		if g.Value != nil {
			g.Value[0] = l
		}
		if f := g.Factor[0]; f != 0 {
			for c, w := range v {
				slopes[c] = by.Times(f * w)
			}
		}
	}
}
