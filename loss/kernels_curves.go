package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A surprisalCurve is a function φ of the surprisal s = -log p for many classes at a time: it writes φ
// and φ' from s and u = 1 - p. u may be slope.
type surprisalCurve func(value, slope, s, u []float64)

// ofSurprisal is the curve without u.
func (f surprisalCurve) ofSurprisal(value, slope, s []float64) {
	formula.Negate(slope, s)
	vec.Expm1(slope, slope)
	formula.Negate(slope, slope)
	f(value, slope, s, slope)
}

// curved makes the kernels of a loss Σ_c w_c·t_c·φ(-log p_c) against labels and soft targets.
func curved(of func(*core.Settings) surprisalCurve) func(*core.Settings, core.Dims) core.Kernels {
	return softmaxRows(
		func(s *core.Settings, o *tensorops.LabelSoftmax) { o.Curve = of(s).ofSurprisal },
		func(s *core.Settings, o *tensorops.TargetSoftmax) { o.Curve = of(s) })
}

// ordinarySurprisal bounds the surprisals whose probability is a normal number.
const ordinarySurprisal = 700

func focalCurve(gamma float64) surprisalCurve {
	exact := focalOf(gamma)
	return func(value, slope, s, u []float64) {
		value, slope, u = value[:len(s)], slope[:len(s)], u[:len(s)]
		if gamma == 2 {
			for i, s := range s {
				u := u[i]
				value[i], slope[i] = u*u*s, u*(u+2*(1-u)*s)
				if !(s < ordinarySurprisal) {
					value[i], slope[i], _ = exact(s, math.Exp(-s), u)
				}
			}
			return
		}
		vec.Log(value, u)
		formula.Scale(value, gamma)
		vec.Exp(value, value)
		for i, s := range s {
			u, w := u[i], value[i]
			value[i], slope[i] = w*s, w*(1+gamma*(1-u)*(s/u))
			if !(u > 0 && s < ordinarySurprisal) {
				value[i], slope[i], _ = exact(s, math.Exp(-s), u)
			}
		}
	}
}

func polyCurve(epsilon float64) surprisalCurve {
	return func(value, slope, s, u []float64) {
		value, slope, u = value[:len(s)], slope[:len(s)], u[:len(s)]
		for i, s := range s {
			u := u[i]
			value[i], slope[i] = s+epsilon*u, 1+epsilon*(1-u)
		}
	}
}

func generalizedCurve(q float64) surprisalCurve {
	return func(value, slope, s, _ []float64) {
		for i, s := range s {
			slope[i] = -q * s
		}
		vec.Expm1(value, slope)
		vec.Exp(slope, slope)
		formula.Divide(value, -q)
	}
}
