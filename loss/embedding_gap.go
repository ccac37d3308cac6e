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

// gapBatches is the fast form of gapGroup.
func gapBatches(m formula.Metric, f gapLoss) core.Batches {
	if !m.HasSpan() {
		return core.Batches{}
	}
	return core.Batches{F32: gapBatch[float32](m, f), F64: gapBatch[float64](m, f)}
}

func gapBatch[F core.Float](m formula.Metric, f gapLoss) core.BatchFunc[F] {
	return func(b *core.Batch[F]) {
		for i := range b.N {
			s, ok := formula.SpanOf(&m, b.X[0].At(i), b.X[1].At(i))
			if !ok {
				b.Leave(i)
				continue
			}
			y := 0.0
			if flags := &b.X[flagPlace]; flags.All != nil {
				y = float64(flags.At(i)[0])
			}
			l, d, _ := f(s.D, y)
			b.Give(i, l)
			d *= b.Factor[i]
			s.Grad(b.Grad[0].At(i), d)
			s.GradOther(b.Grad[1].At(i), d)
		}
	}
}

// tripletBatches is the fast form of [TripletMargin].
func tripletBatches(m formula.Metric, margin float64, soft, swap bool) core.Batches {
	if !m.HasSpan() || m.Kind == formula.Cosine {
		return core.Batches{}
	}
	return core.Batches{F32: tripletBatch[float32](m, margin, soft, swap), F64: tripletBatch[float64](m, margin, soft, swap)}
}

func tripletBatch[F core.Float](m formula.Metric, margin float64, soft, swap bool) core.BatchFunc[F] {
	return func(b *core.Batch[F]) {
		for i := range b.N {
			anchor, positive, negative := b.X[0].At(i), b.X[1].At(i), b.X[2].At(i)
			near, ok := formula.SpanOf(&m, anchor, positive)
			far, fine := formula.SpanOf(&m, anchor, negative)
			swapped := false
			if swap && ok && fine {
				var other formula.Span[F]
				if other, fine = formula.SpanOf(&m, positive, negative); other.D < far.D {
					far, swapped = other, true
				}
			}
			if !ok || !fine {
				b.Leave(i)
				continue
			}
			l, d, _ := excess(near.D-far.D+margin, soft)
			b.Give(i, l)
			d *= b.Factor[i]
			if swapped {
				near.Grad(b.Grad[0].At(i), d)
				near.GradBetween(b.Grad[1].At(i), d, &far, -d)
			} else {
				near.GradTwo(b.Grad[0].At(i), d, &far, -d)
				near.GradOther(b.Grad[1].At(i), d)
			}
			far.GradOther(b.Grad[2].At(i), -d)
		}
	}
}
