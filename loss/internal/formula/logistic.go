package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A Logistic holds what sigmoids and softplus of the elements x are made of: e = e^-|x| and, where
// requested, l = log(1 + e). Then
//
//	log(1+e^x) = max(x, 0) + l      σ(x) = 1/(1+e) for x >= 0, e/(1+e) below, and σ(-x) the other of the two
type Logistic struct{ X, e, l []float64 }

// LogisticOf computes the logistic of x; log reports that l is needed.
func LogisticOf(r *core.Block, x []float64, log bool) Logistic {
	b := Logistic{X: x, e: r.Buf(len(x))}
	for i, v := range x {
		b.e[i] = -math.Abs(v)
	}
	vec.Exp(b.e, b.e)
	if log {
		b.l = r.Buf(len(x))
		vec.Log1p(b.l, b.e)
	}
	return b
}

// Softplus returns log(1+e^x) of element i.
func (b *Logistic) Softplus(i int) float64 { return Pick(b.X[i] > 0, b.X[i], 0) + b.l[i] }

// Sigmoids returns σ(x) and σ(-x) of element i.
func (b *Logistic) Sigmoids(i int) (yes, no float64) {
	big := 1 / (1 + b.e[i])
	small := b.e[i] * big
	return Pick(b.X[i] < 0, small, big), Pick(b.X[i] < 0, big, small)
}

// Odds are the two outcomes of a logit: -log σ(x) if it is won, -log σ(-x) if it is lost, and their
// probabilities.
type Odds struct{ Won, Lost, Yes, No float64 }

// Odds returns the odds of element i.
func (b *Logistic) Odds(i int) Odds {
	x, l := b.X[i], b.l[i]
	big, small := 1/(1+b.e[i]), b.e[i]/(1+b.e[i])
	return Odds{Won: Pick(x < 0, -x, 0) + l, Lost: Pick(x > 0, x, 0) + l, Yes: Pick(x < 0, small, big), No: Pick(x < 0, big, small)}
}

// ByOdds lifts a function of the odds of a logit, the logit and the target; i is the element's
// place in the block.
func ByOdds(f func(o Odds, x, y float64, i int) Partials) core.BlockFunc {
	return func(b *core.Block) {
		l := LogisticOf(b, b.X[0], true)
		Bivariate(func(x, y float64, i int) Partials { return f(l.Odds(i), x, y, i) })(b)
	}
}

// Softplus returns log(1 + e^x).
func Softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Sigmoids returns σ(x) and σ(-x).
func Sigmoids(x float64) (yes, no float64) {
	e := math.Exp(-math.Abs(x))
	big, small := 1/(1+e), e/(1+e)
	if x < 0 {
		return small, big
	}
	return big, small
}
