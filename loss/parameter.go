package loss

// WithBeta sets the β of a loss that has one; its documentation gives range and default. β is finite and >= 0.
func WithBeta(beta float64) Option {
	return number(knobBeta, beta, func(s *settings) *float64 { return &s.beta }, beta >= 0 && finite(beta), "a finite number >= 0")
}

// WithGamma sets the focusing exponent γ >= 0 of the focal losses. Default 2.
func WithGamma(gamma float64) Option {
	return number(knobGamma, gamma, func(s *settings) *float64 { return &s.gamma }, gamma >= 0 && finite(gamma), "a finite number >= 0")
}

// WithAlpha sets the α of a loss that has one; its documentation gives range and default. α is finite.
func WithAlpha(alpha float64) Option {
	return number(knobAlpha, alpha, func(s *settings) *float64 { return &s.alpha }, finite(alpha), "a finite number")
}

// WithEpsilon sets the ε of a loss that has one; its documentation gives range and default. ε is finite.
func WithEpsilon(epsilon float64) Option {
	return number(knobEpsilon, epsilon, func(s *settings) *float64 { return &s.epsilon }, finite(epsilon), "a finite number")
}

// WithQ sets the exponent q, in (0, 1], of the generalised cross-entropy. Default 0.7.
func WithQ(q float64) Option {
	return number(knobQ, q, func(s *settings) *float64 { return &s.q }, q > 0 && q <= 1, "a number in (0, 1]")
}

// WithMargin sets the margin of a loss that has one; its documentation gives range and default. The margin is finite.
func WithMargin(margin float64) Option {
	return number(knobMargin, margin, func(s *settings) *float64 { return &s.margin }, finite(margin), "a finite number")
}

// WithScale sets the scale > 0 of a loss that has one; its documentation gives the default.
func WithScale(scale float64) Option {
	return number(knobScale, scale, func(s *settings) *float64 { return &s.scale }, scale > 0 && finite(scale), "a finite number > 0")
}

// WithPower sets the exponent of a loss that has one; its documentation gives range and default. The power is finite.
func WithPower(power float64) Option {
	return number(knobPower, power, func(s *settings) *float64 { return &s.power }, finite(power), "a finite number")
}

// WithQuantile sets the quantile, in (0, 1), that the quantile loss aims at. Default 0.5.
func WithQuantile(quantile float64) Option {
	return number(knobQuantile, quantile, func(s *settings) *float64 { return &s.quantile }, quantile > 0 && quantile < 1, "a number in (0, 1)")
}

// WithTau sets the expectile τ, in (0, 1), that the expectile loss aims at. Default 0.5.
func WithTau(tau float64) Option {
	return number(knobTau, tau, func(s *settings) *float64 { return &s.tau }, tau > 0 && tau < 1, "a number in (0, 1)")
}

// WithFull adds the terms of a likelihood that do not depend on the prediction.
func WithFull() Option {
	return func(s *settings) error {
		s.given |= knobFull
		s.full = true
		return nil
	}
}

// WithSoftcap replaces each logit x by c·tanh(x/c), c > 0, which keeps it within ±c. Off by default. It
// comes before the temperature.
func WithSoftcap(c float64) Option {
	return number(knobSoftcap, c, func(s *settings) *float64 { return &s.softcap }, c > 0 && finite(c), "a finite number > 0")
}

// WithZLoss adds s·(log Σ exp(x))², s >= 0, to each example, which keeps logits from drifting. Default 0. [ZTerm] shows
// the part that it adds.
func WithZLoss(scale float64) Option {
	return number(knobZLoss, scale, func(s *settings) *float64 { return &s.zloss }, scale >= 0 && finite(scale), "a finite number >= 0")
}
