package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A logistic block is what sigmoids, softplus and their like are made of for a run of elements x: e = e^-|x| and,
// where asked for, l = log(1 + e). Then
//
//	log(1+e^x) = max(x, 0) + l      σ(x) = 1/(1+e) for x >= 0, e/(1+e) below, and σ(-x) the other of the two
type logistic struct{ x, e, l []float64 }

// logistic computes the block; log says that l is needed.
func (r *row) logistic(x []float64, log bool) logistic {
	b := logistic{x: x, e: r.buf(len(x))}
	for i, v := range x {
		b.e[i] = -math.Abs(v)
	}
	vec.Exp(b.e, b.e)
	if log {
		b.l = r.buf(len(x))
		vec.Log1p(b.l, b.e)
	}
	return b
}

// softplus returns log(1+e^x) of element i.
func (b *logistic) softplus(i int) float64 { return pick(b.x[i] > 0, b.x[i], 0) + b.l[i] }

// sigmoids returns σ(x) and σ(-x) of element i.
func (b *logistic) sigmoids(i int) (yes, no float64) {
	big := 1 / (1 + b.e[i])
	small := b.e[i] * big
	return pick(b.x[i] < 0, small, big), pick(b.x[i] < 0, big, small)
}

// odds returns the odds of element i.
func (b *logistic) odds(i int) odds {
	x, l := b.x[i], b.l[i]
	big, small := 1/(1+b.e[i]), b.e[i]/(1+b.e[i])
	return odds{won: pick(x < 0, -x, 0) + l, lost: pick(x > 0, x, 0) + l, yes: pick(x < 0, small, big), no: pick(x < 0, big, small)}
}
