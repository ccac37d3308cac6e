package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

const (
	// nativeList is the number of items from which lists of float32 scores are computed in float32:
	// the results of fewer are rounded once.
	nativeList = 65
	// nativeLoss is the loss below which such a list is computed in float64 nevertheless: it has
	// lost digits.
	nativeLoss = 0.25
	// nativeFactor bounds the factors of terms, and their inverses: they are neither denormal nor
	// too large for float32.
	nativeFactor = 0x1p100
)

// ListTargets are the targets of lists, which their relevances make.
type ListTargets struct {
	// Exact writes the target of relevances y to t.
	Exact func(t, y []float64)
	// Native returns the target times norm, in memory of t or as y itself.
	Native func(t, y []float32) (target []float32, norm float64)
}

// Batches is the fast form of Σ_i t_i·(-log softmax(s)_i) for scores s in place 0 and relevances in
// place 1. A list without a relevance above 0 has no part where lists have parts.
func (l *ListTargets) Batches() core.Batches {
	return core.Batches{F32: l.singles, F64: func(b *core.Batch[float64]) {
		for i := range b.N {
			if hasPart(b, i) {
				s := b.X[0].At(i)
				b.Give(i, l.exact(s, b.X[1].At(i), b.Grad[0].At(i), b.Buf(len(s)), b.Factor[i]))
			}
		}
	}}
}

// singles computes lists of float32.
func (l *ListTargets) singles(b *core.Batch[float32]) {
	var e, t []float32
	var wide []float64
	for i := range b.N {
		if !hasPart(b, i) {
			continue
		}
		s, y, d := b.X[0].At(i), b.X[1].At(i), b.Grad[0].At(i)
		n := len(s)
		if n >= nativeList {
			if len(e) < n {
				e, t = b.Singles(n), b.Singles(n)
			}
			if l.native(b, i, s, y, d, e[:n], t[:n]) {
				continue
			}
		}
		if len(wide) < 4*n {
			wide = b.Buf(4 * n)
		}
		scores, relevances, grad := wide[:n], wide[n:2*n], []float64(nil)
		vec.Widen(scores, s)
		vec.Widen(relevances, y)
		if d != nil {
			grad = wide[2*n : 3*n]
		}
		b.Give(i, l.exact(scores, relevances, grad, wide[3*n:4*n], b.Factor[i]))
		if d != nil {
			vec.Narrow(d, grad, 1)
		}
	}
}

// hasPart writes the part of list i where it is requested. It reports whether more is requested of
// the list. That of one item is left to the group function, where nothing is rounded.
func hasPart[F core.Float](b *core.Batch[F], i int) bool {
	if b.Part != nil {
		b.Part[i] = 0
		for _, y := range b.X[1].At(i) {
			if y > 0 {
				b.Part[i] = 1
				break
			}
		}
	}
	if len(b.X[0].At(i)) == 1 {
		b.Leave(i)
		return false
	}
	return b.Factor != nil && (b.Part == nil || b.Part[i] != 0)
}

// exact computes a list in float64.
func (l *ListTargets) exact(s, y, d, t []float64, f float64) (v float64) {
	if l.Exact(t, y); d == nil {
		return tensorops.SoftCrossEntropyRow(s, t, nil)
	}
	return tensorops.SoftCrossEntropyGradRow(d, s, t, f, nil)
}

// native computes a list in float32, with e and t for its terms. It reports false where the list
// needs more digits.
func (l *ListTargets) native(b *core.Batch[float32], i int, s, y, d, e, t []float32) bool {
	t, norm := l.Native(t, y)
	largest, sum := tensorops.ExpTerms(e, s)
	mass, gap := tensorops.TargetSums(t, s, float64(largest))
	logSum := math.Log(sum)
	if !(mass*logSum+gap >= nativeLoss*mass && gap <= math.MaxFloat32*mass) {
		return false
	}
	p, q := b.Factor[i]*mass/(sum*norm), -b.Factor[i]/norm
	if d != nil {
		if !(within(p) && within(q)) {
			return false
		}
		tensorops.MixTerms(d, e, t, float32(p), float32(q))
	}
	b.Give(i, (mass*logSum+gap)/norm)
	return true
}

// within reports whether a factor is within the range of factors.
func within(f float64) bool {
	f = math.Abs(f)
	return f > 1/nativeFactor && f < nativeFactor
}
