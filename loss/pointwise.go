package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// directSum is the sum of an elementwise loss by the kernels. ok is false where the row functions must have a closer look: at a
// target outside its domain, a NaN, or a loss that is infinite.
func (j *job[F]) directSum() (total float64, ok bool) {
	total = j.direct.sum(j.x[0], j.x[1])
	return total, finite(total)
}

// elementGradients writes the derivative of an elementwise loss by operand k, and reports whether the kernels know it and nothing
// wants a closer look, as for directSum.
func (j *job[F]) elementGradients(out []F, d float64) bool {
	sign := 1.0
	if j.k == 1 {
		if sign = -1; !j.direct.mirrored {
			return false
		}
	}
	return finite(j.direct.each(out, j.x[0], j.x[1], sign*j.upstreamOf(0)/d))
}

// elementsInAdvance computes the value of an elementwise loss together with the gradient, where that is wanted. The gradient is for
// the upstream of the last run, as it mostly is the same in every run; where it is not, takeElements computes it again.
// ok is false where the value alone must be computed.
func (j *job[F]) elementsInAdvance() (v G.Value, ok bool, err error) {
	a := j.ahead
	if a == nil || !a.wanted.Load() || !j.def.elementwise || j.mode != modeValue || j.direct == nil {
		return nil, false, nil
	}
	a.ready = false
	if j.set.reduction == Mean {
		if err := j.sums(); err != nil {
			return nil, true, err
		}
	}
	d, zero := j.divisor()
	if zero || d == 0 {
		return nil, false, nil
	}
	if a.upstream == 0 {
		a.upstream = 1
	}
	total := j.direct.each(gradientMemory(a, j.x[0]), j.x[0], j.x[1], a.upstream/d)
	if !finite(total) {
		return nil, false, nil
	}
	a.ready = true
	return wrap([]F{F(total / d)}, nil), true, nil
}

// takeElements returns the gradient that elementsInAdvance has left for this run, or nil.
func (j *job[F]) takeElements() []F {
	a := j.ahead
	if a == nil || !a.ready || !j.def.elementwise || j.mode != modeGrad || j.k != 0 || a.x != any(&j.x[0][0]) {
		return nil
	}
	a.ready = false
	data := a.data.([]F)
	if u := j.upstreamOf(0); u != a.upstream {
		d, _ := j.divisor()
		j.direct.each(data, j.x[0], j.x[1], u/d)
		if a.upstream = u; !moderate(math.Abs(u)) {
			a.upstream = 0 // the kernels leave extreme factors to others, and with them the value
		}
	}
	return data
}

// binaryDirect is the binary cross-entropy without positive weights and smoothing.
func binaryDirect[F float](s *spec) *direct[F] {
	if s.set.posWeight != nil || s.set.smoothing != 0 {
		return nil
	}
	return &direct[F]{sum: tensorops.BinaryCrossEntropySum[F], each: tensorops.BinaryCrossEntropyGrad[F]}
}

func softMarginDirect[F float](*spec) *direct[F] {
	return &direct[F]{sum: tensorops.SoftMarginSum[F], each: tensorops.SoftMarginGrad[F]}
}

// sigmoidFocalDirect is the focal loss with the exponent 2.
func sigmoidFocalDirect[F float](s *spec) *direct[F] {
	if s.set.gamma != 2 {
		return nil
	}
	no, yes := 1.0, 1.0
	if s.set.given&knobAlpha != 0 {
		no, yes = 1-s.set.alpha, s.set.alpha
	}
	return &direct[F]{
		sum:  func(x, t []F) float64 { return tensorops.SigmoidFocalSum(x, t, no, yes) },
		each: func(dst, x, t []F, g float64) float64 { return tensorops.SigmoidFocalGrad(dst, x, t, no, yes, g) },
	}
}

func mseDirect[F float](*spec) *direct[F] {
	return &direct[F]{sum: tensorops.SquaredErrorSum[F], each: tensorops.SquaredErrorGrad[F], mirrored: true}
}

func halfSquaredDirect[F float](*spec) *direct[F] {
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.SquaredErrorSum(x, t) / 2 },
		each:     func(dst, x, t []F, g float64) float64 { return tensorops.SquaredErrorGrad(dst, x, t, g/2) / 2 },
		mirrored: true,
	}
}

func maeDirect[F float](*spec) *direct[F] {
	return &direct[F]{sum: tensorops.AbsoluteErrorSum[F], each: tensorops.AbsoluteErrorGrad[F], mirrored: true}
}

func logCoshDirect[F float](*spec) *direct[F] {
	return &direct[F]{sum: tensorops.LogCoshSum[F], each: tensorops.LogCoshGrad[F], mirrored: true}
}

func huberDirect[F float](s *spec) *direct[F] {
	delta := s.set.delta
	if !moderate(delta) {
		return nil
	}
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.HuberSum(x, t, delta) },
		each:     func(dst, x, t []F, g float64) float64 { return tensorops.HuberGrad(dst, x, t, delta, g) },
		mirrored: true,
	}
}

// smoothL1Direct is Huber's loss divided by β. Extreme β, which would leave float32, are left to the row function.
func smoothL1Direct[F float](s *spec) *direct[F] {
	beta := s.set.beta
	switch {
	case beta == 0:
		return maeDirect[F](s)
	case !moderate(beta):
		return nil
	}
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.HuberSum(x, t, beta) / beta },
		each:     func(dst, x, t []F, g float64) float64 { return tensorops.HuberGrad(dst, x, t, beta, g/beta) / beta },
		mirrored: true,
	}
}

// moderate reports that neither the scale nor its square or inverse leaves float32.
func moderate(scale float64) bool { return scale >= 0x1p-20 && scale <= 0x1p20 }

func pseudoHuberDirect[F float](s *spec) *direct[F] {
	delta := s.set.delta
	if !moderate(delta) {
		return nil
	}
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.PseudoHuberSum(x, t, delta) },
		each:     func(dst, x, t []F, g float64) float64 { return tensorops.PseudoHuberGrad(dst, x, t, delta, g) },
		mirrored: true,
	}
}

func cauchyDirect[F float](s *spec) *direct[F] {
	scale := s.set.scale
	if !moderate(scale) {
		return nil
	}
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.CauchySum(x, t, scale) },
		each:     func(dst, x, t []F, g float64) float64 { return tensorops.CauchyGrad(dst, x, t, scale, g) },
		mirrored: true,
	}
}

// poissonDirect is the Poisson likelihood without the terms of the target.
func poissonDirect[F float](s *spec) *direct[F] {
	if s.set.full {
		return nil
	}
	return &direct[F]{sum: tensorops.PoissonSum[F], each: tensorops.PoissonGrad[F]}
}

func gammaDirect[F float](*spec) *direct[F] {
	return &direct[F]{sum: tensorops.GammaSum[F], each: tensorops.GammaGrad[F]}
}

// bernoulliDirect is for float32: the row function has the digits that float64 wants of nearly equal logits.
func bernoulliDirect(*spec) *direct[float32] {
	return &direct[float32]{sum: tensorops.BernoulliKLSum, each: tensorops.BernoulliKLGrad}
}
