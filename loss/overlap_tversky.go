package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

var (
	tverskyOptions = core.Options(classOptions, core.OptAlpha, core.OptBeta)
	focalOptions   = core.Options(tverskyOptions, core.OptGamma)
	tverskyLoss    = ratioLoss{errors: alphaBeta, score: eachRatio(1), parts: classParts, values: ofClasses}

	tversky = tverskyLoss.of(core.Definition{Name: "Tversky", Takes: core.Options(tverskyOptions, core.OptMultiLabel), Defaults: tverskyDefaults(1),
		Optax: "dice_loss", Others: "MONAI TverskyLoss: WithSmooth(nr), WithEpsilon(dr-nr)"})
	tverskyFromProb = tverskyLoss.of(core.Definition{Name: "TverskyFromProb", Takes: tverskyOptions, Defaults: tverskyDefaults(1),
		Keras: "Tversky (one image, C = 1, WithSmooth(0), WithEpsilon(1e-7))"})
	focalTversky = tverskyLoss.of(core.Definition{Name: "FocalTversky", Takes: core.Options(focalOptions, core.OptMultiLabel),
		Defaults: tverskyDefaults(0.75)})
	focalTverskyFromProb = tverskyLoss.of(core.Definition{Name: "FocalTverskyFromProb", Takes: focalOptions, Defaults: tverskyDefaults(0.75)})
)

// tverskyDefaults are the defaults at a power γ.
func tverskyDefaults(gamma float64) core.Settings {
	return core.Settings{Overlap: core.Overlap{Smooth: 1}, Alpha: 0.5, Beta: 0.5, Gamma: gamma}
}

func alphaBeta(s *core.Settings) (float64, float64) { return s.Alpha, s.Beta }

// Tversky returns the Tversky loss of the pixels of each class, with separate weights for false
// positives and false negatives.
//
// With p, t, I, FP, FN, s and e as in [Dice], α of [WithAlpha] and β of [WithBeta],
//
//	l = (α·FP + β·FN + e)/(I + α·FP + β·FN + s + e)
//	dl/dp = ((1 - l)·(α·(1 - t) - β·t) - l·t)/(I + α·FP + β·FN + s + e)
//
// α is the weight of false positives and β that of false negatives, both finite and >= 0, 0.5 by
// default. logits, target, the result and the rules for classes are those of [Dice]. The derivative
// shown is the one without [WithSquared] and [WithSemimetric].
//
// Options: [WithAlpha], [WithBeta], [WithSmooth] (default 1), [WithEpsilon] (default 0, >= 0),
// [WithSquared], [WithSemimetric], [WithMultiLabel], [WithBackground], [WithPresentOnly],
// [WithPooled], [WithAxis] (default 1), [WithIgnoreIndex], [WithClassWeights], [WithReduction],
// [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer], [WithNormalizerNode].
//
// With α = β = 0.5 it is [Dice] with twice the smoothing; with α = β = 1 it is [Jaccard].
//
// Reference: S. S. M. Salehi, D. Erdogmus and A. Gholipour, Tversky Loss Function for Image
// Segmentation Using 3D Fully Convolutional Deep Networks, 2017.
func Tversky(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&tversky, opts, logits, target)
}

// TverskyFromProb returns the [Tversky] loss of given probabilities.
//
//	l = (α·FP + β·FN + e)/(I + α·FP + β·FN + s + e)
//	dl/dp = ((1 - l)·(α·(1 - t) - β·t) - l·t)/(I + α·FP + β·FN + s + e)
//
// prob holds numbers >= 0, which may exceed 1 and need not sum to 1, in the shape (N, C, ...).
// Everything else is as in [Tversky].
//
// Options: [WithAlpha], [WithBeta], [WithSmooth], [WithEpsilon], [WithSquared], [WithSemimetric],
// [WithBackground], [WithPresentOnly], [WithPooled], [WithAxis], [WithIgnoreIndex],
// [WithClassWeights], [WithReduction], [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer],
// [WithNormalizerNode].
//
// Reference: S. S. M. Salehi, D. Erdogmus and A. Gholipour, Tversky Loss Function for Image
// Segmentation Using 3D Fully Convolutional Deep Networks, 2017.
func TverskyFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&tverskyFromProb, opts, prob, target)
}

// FocalTversky returns a power of the Tversky loss of the pixels of each class.
//
// With l the loss of [Tversky] and γ of [WithGamma],
//
//	f = l^γ        df/dp = γ·l^(γ-1)·dl/dp
//
// γ is finite and >= 0, 0.75 by default; the paper writes 1/γ, with γ = 4/3. A power below 1 raises
// the gradient of classes that are nearly right, one above 1 lowers it. The power is applied to
// each class before the mean is taken. logits, target, the result and the rules for classes are
// those of [Dice].
//
// Options: [WithGamma], [WithAlpha], [WithBeta], [WithSmooth] (default 1), [WithEpsilon] (default
// 0, >= 0), [WithSquared], [WithSemimetric], [WithMultiLabel], [WithBackground], [WithPresentOnly],
// [WithPooled], [WithAxis] (default 1), [WithIgnoreIndex], [WithClassWeights], [WithReduction],
// [WithWeights] (N), [WithMask] (N, ...), [WithNormalizer], [WithNormalizerNode].
//
// At l = 0 the value and the gradient are 0, whatever γ is.
//
// Reference: N. Abraham and N. M. Khan, A Novel Focal Tversky Loss Function with Improved Attention
// U-Net for Lesion Segmentation, 2018.
func FocalTversky(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&focalTversky, opts, logits, target)
}

// FocalTverskyFromProb returns the [FocalTversky] loss of given probabilities.
//
//	f = l^γ        df/dp = γ·l^(γ-1)·dl/dp
//
// prob holds numbers >= 0, which may exceed 1 and need not sum to 1, in the shape (N, C, ...).
// Everything else is as in [FocalTversky].
//
// Options: [WithGamma], [WithAlpha], [WithBeta], [WithSmooth], [WithEpsilon], [WithSquared],
// [WithSemimetric], [WithBackground], [WithPresentOnly], [WithPooled], [WithAxis],
// [WithIgnoreIndex], [WithClassWeights], [WithReduction], [WithWeights] (N), [WithMask] (N, ...),
// [WithNormalizer], [WithNormalizerNode].
//
// Reference: N. Abraham and N. M. Khan, A Novel Focal Tversky Loss Function with Improved Attention
// U-Net for Lesion Segmentation, 2018.
func FocalTverskyFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&focalTverskyFromProb, opts, prob, target)
}
