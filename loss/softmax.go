package loss

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops"
)

// A soft is the softmax of a row of logits: p = e/(1+rest), log p = z - max - log1p(rest).
type soft struct {
	z    []float64 // the logits after division by the temperature
	p    []float64
	max  float64
	rest float64 // Σ exp(z - max) without the largest element
	l1   float64 // log1p(rest) = log-sum-exp - max
}

// softmax computes the softmax of a row's operand k at temperature t. Where the row is all -Inf, has a +Inf or a NaN,
// p and l1 are NaN.
func (r *row) softmax(k int, t float64) soft {
	s := soft{z: r.x[k]}
	if t != 1 {
		s.z = r.buf(len(r.x[k]))
		for i, x := range r.x[k] {
			s.z[i] = x / t
		}
	}
	s.p = r.buf(len(s.z))
	s.max, s.rest = tensorops.ExpRow(s.p, s.z)
	s.l1 = math.Log1p(s.rest)
	sum := 1 + s.rest
	for i, e := range s.p {
		s.p[i] = e / sum
	}
	return s
}

// nll returns -log p_c, to full relative accuracy near p = 1.
func (s *soft) nll(c int) float64 { return s.max - s.z[c] + s.l1 }

// others returns Σ p over the classes other than c, which is 1 - p_c without cancellation.
func (s *soft) others(c int) float64 {
	sum := 1 + s.rest
	e := math.Exp(s.z[c] - s.max)
	if e == 1 {
		return s.rest / sum
	}
	return (1 + (s.rest - e)) / sum
}

// surprise writes the derivative of -log p along v, ⟨p, v⟩ - v_j, to dst. Taken from the direction at the largest p it is
// exact where that p is near 1 and the two nearly cancel.
func (s *soft) surprise(dst, v []float64) {
	top := max(0, slices.Index(s.z, s.max))
	mean := 0.0
	for j, p := range s.p {
		mean += p * (v[j] - v[top])
	}
	for j := range dst {
		dst[j] = mean - (v[j] - v[top])
	}
}

// jacobian writes dst = scale·(p∘v - p⟨p, v⟩), the derivative of p along v.
func (s *soft) jacobian(dst, v []float64, scale float64) {
	s.surprise(dst, v)
	for i, p := range s.p {
		dst[i] *= -scale * p
	}
}

// along writes dst = scale·(v - ⟨p, v⟩), the derivative of log p along v.
func (s *soft) along(dst, v []float64, scale float64) {
	s.surprise(dst, v)
	for i := range dst {
		dst[i] *= -scale
	}
}

// ln is the natural logarithm. math.Log takes subnormal numbers for others on amd64 (-709.1 for 1e-310 instead of -713.8).
func ln(x float64) float64 {
	if x > 0 && x < 0x1p-1022 {
		return math.Log(x*0x1p54) - 54*math.Ln2
	}
	return math.Log(x)
}

// addTo adds src to dst.
func addTo(dst, src []float64) {
	for i, v := range src {
		dst[i] += v
	}
}

// fill sets every element of dst to v.
func fill(dst []float64, v float64) {
	for i := range dst {
		dst[i] = v
	}
}

func hasNaN(x []float64) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

// poison writes NaN to all that the row asks for and returns it: the answer to a NaN in the row.
func (r *row) poison() float64 {
	for k := range r.grad {
		fill(r.grad[k], math.NaN())
		fill(r.hess[k], math.NaN())
	}
	fill(r.out, math.NaN())
	return math.NaN()
}
