package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
)

// HasSpan reports whether vectors have a [Span].
func (m *Metric) HasSpan() bool { return m.Kind != L2 || m.Power == 2 }

// A Span is the distance D of the vectors x and y on their own memory. Its derivative by x is
// k·(x - y + ε), or a·x + b·y under a cosine, and that by y is -k·(x - y + ε), or c·y + b·x.
type Span[F core.Float] struct {
	D       float64
	x, y    []F
	metric  *Metric
	k       float64
	a, b, c float64
}

// Between computes the distance of two vectors. It reports false where the group function is needed:
// for vectors that are equal or nearly parallel, or that need other scales.
func (s *Span[F]) Between(m *Metric, x, y []F) bool {
	s.x, s.y, s.metric = x, y, m
	if m.Kind == Cosine {
		return s.cosine()
	}
	sum := tensorops.GapSquares(x, y, m.Epsilon)
	same := float64(len(x)) * m.Epsilon * m.Epsilon // of equal vectors, whose derivative is 0 by convention
	if !(sum > 1e-280 && sum < 1e280) || math.Abs(sum-same) <= 1e-3*same {
		return false
	}
	if s.D, s.k = sum, 2; m.Kind == L2 {
		s.D = math.Sqrt(sum)
		s.k = 1 / s.D
	}
	return true
}

// cosine computes the distance 1 - ⟨u, w⟩ = ‖u - w‖²/2 of the unit vectors u and w.
func (s *Span[F]) cosine() bool {
	xx, xy, yy := tensorops.DotProducts(s.x, s.y)
	if !(xx > unitFloor*unitFloor && yy > unitFloor*unitFloor && xx < 1e280 && yy < 1e280) {
		return false
	}
	p, q := 1/math.Sqrt(xx), 1/math.Sqrt(yy)
	if s.D = 1 - xy*p*q; s.D < 0.5 { // it has lost digits
		if s.D = tensorops.CombinedSquares(s.x, s.y, p, -q) / 2; s.D < 0x1p-20 {
			return false // the terms of the derivative cancel
		}
	}
	s.a, s.b, s.c = (1-s.D)*p*p, -p*q, (1-s.D)*q*q
	return true
}

// Grad writes f times the derivative by x to dst; nil: not requested.
func (s *Span[F]) Grad(dst []F, f float64) {
	switch {
	case dst == nil:
	case f == 0:
		clear(dst)
	case s.metric.Kind == Cosine:
		tensorops.Combine(dst, s.x, s.y, f*s.a, f*s.b)
	default:
		tensorops.GapScale(dst, s.x, s.y, s.metric.Epsilon, f*s.k)
	}
}

// GradOther writes f times the derivative by y.
func (s *Span[F]) GradOther(dst []F, f float64) {
	switch {
	case dst == nil:
	case f == 0:
		clear(dst)
	case s.metric.Kind == Cosine:
		tensorops.Combine(dst, s.y, s.x, f*s.c, f*s.b)
	default:
		tensorops.GapScale(dst, s.x, s.y, s.metric.Epsilon, -f*s.k)
	}
}

// GradTwo writes the sum of f times the derivative of s and g times that of t by the vector x that
// both begin with. Neither is a cosine.
func (s *Span[F]) GradTwo(dst []F, f float64, t *Span[F], g float64) {
	eps := s.metric.Epsilon
	switch {
	case dst == nil:
	case f == 0 && g == 0:
		clear(dst)
	default:
		tensorops.GapScale2(dst, s.x, s.y, t.y, eps, f*s.k, eps, g*t.k)
	}
}

// GradBetween writes the sum of f times the derivative of s by the vector y, with which t begins,
// and g times that of t. Neither is a cosine.
func (s *Span[F]) GradBetween(dst []F, f float64, t *Span[F], g float64) {
	eps := s.metric.Epsilon
	switch {
	case dst == nil:
	case f == 0 && g == 0:
		clear(dst)
	default:
		tensorops.GapScale2(dst, s.y, s.x, t.y, -eps, f*s.k, eps, g*t.k)
	}
}
