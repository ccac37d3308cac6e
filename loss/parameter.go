package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// WithBeta sets the β of a loss that has one; its documentation gives range and default. β is
// finite and >= 0.
func WithBeta(beta float64) Option {
	return number(core.OptBeta, beta)
}

// WithGamma sets the focusing exponent γ >= 0 of the focal losses, default 2, or the scale of
// [Circle].
func WithGamma(gamma float64) Option {
	return number(core.OptGamma, gamma)
}

// WithAlpha sets the α of a loss that has one; its documentation gives range and default. α is
// finite.
func WithAlpha(alpha float64) Option {
	return number(core.OptAlpha, alpha)
}

// WithEpsilon sets the ε of a loss that has one; its documentation gives range and default. ε is
// finite.
func WithEpsilon(epsilon float64) Option {
	return number(core.OptEpsilon, epsilon)
}

// WithQ sets the exponent q, in (0, 1], of the generalised cross-entropy. Default 0.7.
func WithQ(q float64) Option {
	return number(core.OptQ, q)
}

// WithMargin sets the margin of a loss that has one; its documentation gives range and default. The
// margin is finite.
func WithMargin(margin float64) Option {
	return number(core.OptMargin, margin)
}

// WithScale sets the scale > 0 of a loss that has one; its documentation gives the default.
func WithScale(scale float64) Option {
	return number(core.OptScale, scale)
}

// WithPower sets the exponent of a loss that has one; its documentation gives range and default.
// The power is finite, or +Inf where that documentation allows it.
func WithPower(power float64) Option {
	return number(core.OptPower, power)
}

// WithQuantile sets the quantile, in [0, 1], that a quantile loss aims at; [Quantile] takes neither
// end. Default 0.5.
func WithQuantile(quantile float64) Option {
	return number(core.OptQuantile, quantile)
}

// WithTau sets the expectile τ, in (0, 1), that the expectile loss aims at. Default 0.5.
func WithTau(tau float64) Option {
	return number(core.OptTau, tau)
}

// WithFull adds the terms of a likelihood that do not depend on the prediction.
func WithFull() Option {
	return core.OptFull.Flag
}

// WithSquared takes squares: in losses of overlapping sets the products of [Dice] and its relatives
// become p² and t², in [PairwiseQuantile] both sides are squared. Off by default.
func WithSquared() Option { return core.OptSquared.Flag }

// WithIterations sets a number of iterations >= 0: of [NeuralNDCG], exactly (default 50), and of
// [Sinkhorn] and [SinkhornDivergence], at most (>= 1, default 2000).
func WithIterations(n int) Option { return integer(core.OptIterations, n) }

// WithLogPrior adds π_c to the logit of class c after the softcap and the temperature: π = τ·log of
// the classes' frequencies adjusts logits (A. K. Menon et al., 2021), π = log of their counts is
// the balanced softmax. One entry per class, below +Inf; -Inf masks its class. The slice is copied.
// Off by default.
func WithLogPrior(prior []float64) Option { return numbers(core.OptLogPrior, prior) }

// WithSoftcap replaces each logit x by c·tanh(x/c), c > 0, which keeps it within ±c. Off by
// default. It comes before the temperature.
func WithSoftcap(c float64) Option {
	return number(core.OptSoftcap, c)
}

// WithZLoss adds s·(log Σ exp(x))², s >= 0, to each example, which keeps logits from drifting.
// Default 0. [ZTerm] shows the part that it adds.
func WithZLoss(scale float64) Option {
	return number(core.OptZLoss, scale)
}
