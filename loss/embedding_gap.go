package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
)

// A gapLoss is a loss of the distance d of two vectors, and of the flag y of the pair where there is
// one, with its derivatives by d.
type gapLoss func(d, y float64) (l, first, second float64)

// flagPlace is where the flags of pairs stand among the operands.
const flagPlace = 2

// itself is the distance.
func itself(d, _ float64) (l, first, second float64) { return d, 1, 0 }

// signedGap is the loss of [CosineEmbedding].
func signedGap(margin float64) gapLoss {
	return func(d, y float64) (l, first, second float64) {
		if y >= 0 {
			return d, 1, 0
		}
		l, first, second = excess(1-d-margin, false)
		return l, -first, second
	}
}

// gapToMargin is the loss of [Contrastive].
func gapToMargin(margin float64) gapLoss {
	return func(d, y float64) (l, first, second float64) {
		short := max(0, margin-d)
		rest := (1 - y) * float64(formula.Indicator(short > 0))
		return formula.Times(y, d*d) + (1-y)*short*short, 2 * (y*d - (1-y)*short), 2 * (y + rest)
	}
}

// powerOfAngle is the loss of [Alignment] of 1 - cos, half the square of the distance between
// directions.
func powerOfAngle(alpha float64) gapLoss {
	return func(d, _ float64) (l, first, second float64) {
		if alpha == 2 {
			return 2 * d, 2, 0
		}
		first = alpha * math.Pow(2*d, alpha/2-1)
		return math.Pow(2*d, alpha/2), first, first * (alpha - 2) / (2 * d)
	}
}

// gapGroup is the mathematics of a loss of one distance.
func gapGroup(m formula.Metric, f gapLoss) core.GroupFunc {
	return func(g *core.Group) error {
		gap, y := m.Between(g, 0, 1), 0.0
		if x := g.X[flagPlace]; x != nil {
			y = x[0]
		}
		l, d, dd := f(gap.D, y)
		if g.Value != nil {
			g.Value[0] = l
		}
		d, dd = d*g.Factor[0], dd*g.Factor[0]
		for k := range 2 {
			if out := g.Grad[k]; out != nil {
				formula.Combine(out, gap.Grad(k, d))
			}
			if out := g.Hess[k]; out != nil {
				formula.Combine(out, gap.Hess(k, d), gap.Grad(k, dd*gap.DD))
			}
		}
		return nil
	}
}

// gapKernels is the fast form of gapGroup.
func gapKernels(m formula.Metric, f gapLoss) core.GroupKernels {
	if !m.HasSpan() {
		return core.GroupKernels{}
	}
	return core.GroupKernels{F32: gapKernel[float32](m, f), F64: gapKernel[float64](m, f)}
}

func gapKernel[F core.Float](m formula.Metric, f gapLoss) core.GroupKernel[F] {
	return func(g *core.NativeGroup[F]) bool {
		var s formula.Span[F]
		if !s.Between(&m, g.X[0], g.X[1]) {
			return false
		}
		y := 0.0
		if flag := g.X[flagPlace]; flag != nil {
			y = float64(flag[0])
		}
		l, d, _ := f(s.D, y)
		g.Value = l
		d *= g.Factor
		s.Grad(g.Grad[0], d)
		s.GradOther(g.Grad[1], d)
		return true
	}
}

// tripletKernels is the fast form of [TripletMargin].
func tripletKernels(m formula.Metric, margin float64, soft, swap bool) core.GroupKernels {
	if !m.HasSpan() || m.Kind == formula.Cosine {
		return core.GroupKernels{}
	}
	return core.GroupKernels{F32: tripletKernel[float32](m, margin, soft, swap), F64: tripletKernel[float64](m, margin, soft, swap)}
}

func tripletKernel[F core.Float](m formula.Metric, margin float64, soft, swap bool) core.GroupKernel[F] {
	return func(g *core.NativeGroup[F]) bool {
		anchor, positive, negative := g.X[0], g.X[1], g.X[2]
		var near, far, other formula.Span[F]
		if !near.Between(&m, anchor, positive) || !far.Between(&m, anchor, negative) || swap && !other.Between(&m, positive, negative) {
			return false
		}
		swapped := swap && other.D < far.D
		if swapped {
			far = other
		}
		l, d, _ := excess(near.D-far.D+margin, soft)
		g.Value = l
		d *= g.Factor
		if swapped {
			near.Grad(g.Grad[0], d)
			near.GradBetween(g.Grad[1], d, &far, -d)
		} else {
			near.GradTwo(g.Grad[0], d, &far, -d)
			near.GradOther(g.Grad[1], d)
		}
		far.GradOther(g.Grad[2], -d)
		return true
	}
}
