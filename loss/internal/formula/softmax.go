package formula

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A SoftmaxRow is the softmax of a row of logits: p = e/(1+Rest), log p = z - Max - L1. Where
// classes of the row are elsewhere, they are one more class beside those of Z.
type SoftmaxRow struct {
	Z    []float64 // the logits after division by the temperature
	P    []float64
	Max  float64
	Rest float64 // Σ exp(z - max) without the largest element
	L1   float64 // log1p(Rest) = log-sum-exp - max

	Other, Along float64 // the probability of classes elsewhere, and the direction at them
}

// Softmax computes the softmax of a row's operand k at temperature t. Where the row is all -Inf,
// has a +Inf or a NaN, P and L1 are NaN.
func Softmax(r *core.Block, k int, t float64) SoftmaxRow {
	z := r.X[k]
	if t != 1 {
		z = r.Buf(len(r.X[k]))
		for i, x := range r.X[k] {
			z[i] = x / t
		}
	}
	return softmaxBeside(r, k, z, t)
}

// SoftmaxWithPrior computes the softmax of z/t + prior for a row's operand k; nil: no prior. A prior
// of -Inf masks its class whatever the logit.
func SoftmaxWithPrior(r *core.Block, k int, t float64, prior []float64) SoftmaxRow {
	if prior == nil {
		return Softmax(r, k, t)
	}
	z := r.Buf(len(r.X[k]))
	for i, x := range r.X[k] {
		if z[i] = prior[i]; !math.IsInf(z[i], -1) {
			z[i] += x / t
		}
	}
	return softmaxBeside(r, k, z, t)
}

// softmaxBeside is the softmax of z, of operand k, with the classes that are elsewhere.
func softmaxBeside(r *core.Block, k int, z []float64, t float64) SoftmaxRow {
	beside := r.Beside()
	if beside == nil || k != 0 {
		return softmax(r.Buf(len(z)), z)
	}
	s := SoftmaxRow{Z: z, P: r.Buf(len(z)), Along: t * beside.Along}
	s.Max, s.Rest = tensorops.ExpRow(s.P, s.Z)
	switch largest, sum := beside.Max, 1+beside.Rest; {
	case math.IsInf(s.Max, -1) && !math.IsInf(largest, -1): // no class is here
		clear(s.P)
		s.Max, s.Rest, s.Other = largest, beside.Rest, sum
	case largest > s.Max:
		f := math.Exp(s.Max - largest)
		Scale(s.P, f)
		s.Max, s.Rest, s.Other = largest, beside.Rest+(1+s.Rest)*f, sum
	default:
		s.Other = sum * math.Exp(largest-s.Max)
		s.Rest += s.Other
	}
	s.share()
	return s
}

// SoftmaxOf computes the softmax of logits in a group, as [Softmax] does.
func SoftmaxOf(g *core.Group, z []float64) SoftmaxRow { return softmax(g.Buf(len(z)), z) }

// softmax writes the softmax of z to p.
func softmax(p, z []float64) SoftmaxRow {
	s := SoftmaxRow{Z: z, P: p}
	s.Max, s.Rest = tensorops.ExpRow(s.P, s.Z)
	s.share()
	return s
}

// share makes probabilities of the exponentials.
func (s *SoftmaxRow) share() {
	s.L1 = math.Log1p(s.Rest)
	sum := 1 + s.Rest
	tensorops.Quotients(s.P, s.P, sum)
	s.Other /= sum
}

// Part returns what the row comes to as one of several shards, but for its target.
func (s *SoftmaxRow) Part() core.RowPart {
	if math.IsInf(s.Max, -1) {
		return core.RowPart{Max: s.Max}
	}
	return core.RowPart{Max: s.Max, Rest: s.Rest}
}

// Mean returns ⟨p, v⟩.
func (s *SoftmaxRow) Mean(v []float64) float64 {
	mean := core.Dot(s.P, v)
	if s.Other != 0 {
		mean += s.Other * s.Along
	}
	return mean
}

// NLL returns -log p_c, to full relative accuracy near p = 1.
func (s *SoftmaxRow) NLL(c int) float64 { return s.Max - s.Z[c] + s.L1 }

// OneMinus returns Σ p over the classes other than c, which is 1 - p_c without cancellation.
func (s *SoftmaxRow) OneMinus(c int) float64 {
	sum := 1 + s.Rest
	e := math.Exp(s.Z[c] - s.Max)
	if e == 1 {
		return s.Rest / sum
	}
	return (1 + (s.Rest - e)) / sum
}

// NLLDeriv writes the derivative of -log p along v, ⟨p, v⟩ - v_j, to dst. Taken from the direction
// at the largest p it is exact where that p is near 1 and the two nearly cancel.
func (s *SoftmaxRow) NLLDeriv(dst, v []float64) {
	top := s.Along
	if at := slices.Index(s.Z, s.Max); at >= 0 {
		top = v[at]
	}
	mean := 0.0
	for j, p := range s.P {
		mean += p * (v[j] - top)
	}
	if s.Other != 0 {
		mean += s.Other * (s.Along - top)
	}
	for j := range dst {
		dst[j] = mean - (v[j] - top)
	}
}

// Jacobian writes dst = scale·(p∘v - p⟨p, v⟩), the derivative of p along v.
func (s *SoftmaxRow) Jacobian(dst, v []float64, scale float64) {
	s.NLLDeriv(dst, v)
	for i, p := range s.P {
		dst[i] *= -scale * p
	}
}

// LogProbDeriv writes dst = scale·(v - ⟨p, v⟩), the derivative of log p along v.
func (s *SoftmaxRow) LogProbDeriv(dst, v []float64, scale float64) {
	s.NLLDeriv(dst, v)
	for i := range dst {
		dst[i] *= -scale
	}
}

// Log is the natural logarithm. math.Log is wrong for subnormal numbers on amd64 (-709.1 for 1e-310
// instead of -713.8).
func Log(x float64) float64 {
	if x > 0 && x < 0x1p-1022 {
		return math.Log(x*0x1p54) - 54*math.Ln2
	}
	return math.Log(x)
}

// Logs writes [Log] of each element of x to dst.
func Logs(dst, x []float64) {
	vec.Log(dst, x)
	for i, v := range x {
		if v > 0 && v < 0x1p-1022 {
			dst[i] = Log(v)
		}
	}
}

// AddTo adds src to dst.
func AddTo(dst, src []float64) {
	for i, v := range src {
		dst[i] += v
	}
}

// Fill sets every element of dst to v.
func Fill(dst []float64, v float64) {
	for i := range dst {
		dst[i] = v
	}
}

// HasNaN reports whether an entry is NaN.
func HasNaN(x []float64) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

// SetNaN fills every requested output with NaN and returns NaN.
func SetNaN(r *core.Block) float64 {
	for k := range r.Grad {
		Fill(r.Grad[k], math.NaN())
		Fill(r.Hess[k], math.NaN())
	}
	Fill(r.Out, math.NaN())
	return math.NaN()
}
