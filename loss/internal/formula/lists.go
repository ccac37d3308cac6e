package formula

import (
	"math"
	"slices"

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
	// Parts: a list without a relevance above 0 has no part.
	Parts bool
}

// Kernels is the fast form of Σ_i t_i·(-log softmax(s)_i) for scores s in place 0 and relevances in
// place 1.
func (l *ListTargets) Kernels() core.GroupKernels {
	return core.GroupKernels{F32: listKernel(l, l.single), F64: listKernel(l, l.double)}
}

// listKernel computes lists, by f where they have a part. A list of one item is left to the group
// function, where nothing is rounded.
func listKernel[F core.Float](l *ListTargets, f func(g *core.NativeGroup[F])) core.GroupKernel[F] {
	return func(g *core.NativeGroup[F]) bool {
		if len(g.X[0]) == 1 {
			return false
		}
		if l.Parts && !slices.ContainsFunc(g.X[1], func(y F) bool { return y > 0 }) {
			g.Part = 0
		} else if !g.PartAlone {
			f(g)
		}
		return true
	}
}

// double computes a list of float64.
func (l *ListTargets) double(g *core.NativeGroup[float64]) {
	g.Value = l.exact(g.X[0], g.X[1], g.Grad[0], g.Buf(len(g.X[0])), g.Factor)
}

// single computes a list of float32.
func (l *ListTargets) single(g *core.NativeGroup[float32]) {
	s, y, d := g.X[0], g.X[1], g.Grad[0]
	n := len(s)
	if n >= nativeList && l.native(g, s, y, d) {
		return
	}
	scores, relevances, target, grad := g.Buf(n), g.Buf(n), g.Buf(n), []float64(nil)
	vec.Widen(scores, s)
	vec.Widen(relevances, y)
	if d != nil {
		grad = g.Buf(n)
	}
	g.Value = l.exact(scores, relevances, grad, target, g.Factor)
	if d != nil {
		vec.Narrow(d, grad, 1)
	}
}

// exact computes a list in float64.
func (l *ListTargets) exact(s, y, d, t []float64, f float64) (v float64) {
	if l.Exact(t, y); d == nil {
		return tensorops.SoftCrossEntropyRow(s, t, nil)
	}
	return tensorops.SoftCrossEntropyGradRow(d, s, t, f, nil)
}

// native computes a list in float32. It reports false where the list needs more digits.
func (l *ListTargets) native(g *core.NativeGroup[float32], s, y, d []float32) bool {
	e := g.Singles(len(s))
	t, norm := l.Native(g.Singles(len(s)), y)
	largest, sum := tensorops.ExpTerms(e, s)
	mass, gap := tensorops.TargetSums(t, s, float64(largest))
	logSum := math.Log(sum)
	if !(mass*logSum+gap >= nativeLoss*mass && gap <= math.MaxFloat32*mass) {
		return false
	}
	p, q := g.Factor*mass/(sum*norm), -g.Factor/norm
	if d != nil {
		if !(within(p) && within(q)) {
			return false
		}
		tensorops.MixTerms(d, e, t, float32(p), float32(q))
	}
	g.Value = (mass*logSum + gap) / norm
	return true
}

// within reports whether a factor is within the range of factors.
func within(f float64) bool {
	f = math.Abs(f)
	return f > 1/nativeFactor && f < nativeFactor
}
