package tensorops

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// expDifference returns exp(x - max) with what the rounding of the difference takes away: within a
// unit.
func expDifference(x, max float64) float64 {
	d := x - max
	moved := d - x
	e := math.Exp(d)
	return e + e*((x-(d-moved))+(-max-moved))
}

// units returns the distance of got from want in units in the last place.
func units(got, want float64) float64 { return math.Abs(got-want) / ulp[float64](want) }

// TestLongSums holds float64 softmax to 4 units, of which 2 are the exponential's and one each the
// sum's and the quotient's, and what is made of it, on rows of up to a million classes (ten million
// without -short), near 0 and far from it: beyond anchorLimit, too. The terms of the reference are
// added without loss, and hold to a unit.
func TestLongSums(t *testing.T) {
	lengths := []int{2, 5, 8, 9, 31, 100, 1000, 5000, 1 << 20}
	if !testing.Short() {
		lengths = append(lengths, 10_000_000)
	}
	for _, n := range lengths {
		x, dst, l := make([]float64, n), make([]float64, n), make([]float64, 1)
		for _, c := range []struct{ offset, spread float64 }{{0, 1e-3}, {0, 5}, {1e5, 1}, {-1e5, 5}, {1e8, 1}} {
			if n > 1<<20 && c.offset != 1e5 {
				continue
			}
			r := rand.New(rand.NewPCG(uint64(n), 3))
			max := math.Inf(-1)
			for i := range x {
				x[i] = c.offset + c.spread*r.NormFloat64()
				max = math.Max(max, x[i])
			}
			sum, lost, at := 0.0, 0.0, slices.Index(x, max)
			for i, v := range x {
				if i != at {
					sum, lost = addLost(sum, lost, expDifference(v, max))
				}
			}
			logSum := math.Log1p(sum + lost)
			sum += 1 + lost
			worst := func(what string, limit, abs float64, want func(i int) float64) {
				t.Helper()
				for i := range min(n, 100_000) {
					if w := want(i); units(dst[i], w) > limit && math.Abs(dst[i]-w) > abs {
						t.Errorf("%d classes of %v ± %v: %s of %v is %v, want %v: %v units", n, c.offset, c.spread,
							what, x[i], dst[i], w, units(dst[i], w))
						return
					}
				}
			}
			SoftmaxRows(dst, x, n)
			worst("softmax", 4, 0, func(i int) float64 { return expDifference(x[i], max) / sum })
			LogSoftmaxRows(dst, x, n)
			// the sum's unit is that of a logarithm near 0
			worst("log-softmax", 4, 0x1p-52, func(i int) float64 { return x[i] - max - logSum })
			LogSumExpRows(l, x, n)
			if w := max + logSum; units(l[0], w) > 2 {
				t.Errorf("%d classes of %v ± %v: log-sum-exp is %v, want %v", n, c.offset, c.spread, l[0], w)
			}
			if _, rest := ExpRow(dst, x); units(1+rest, sum) > 2 {
				t.Errorf("%d classes of %v ± %v: ExpRow sums to %v, want %v", n, c.offset, c.spread, 1+rest, sum)
			}
		}
	}
}

// TestLongSumsOfLosses is TestLongSums for the losses' kernels, along rows and across them: the
// gradient beside the label is the probability.
func TestLongSumsOfLosses(t *testing.T) {
	// Go code takes the maximum away before the exponential, and the rounding of a difference of 8
	// to 16 is up to 8 units of the exponential.
	limit := 4.0
	if vec.Active() == vec.Generic {
		limit = 12
	}
	for _, c := range []struct{ classes, inner int }{{100, 1}, {1000, 1}, {1 << 20, 1}, {1000, 16}, {1 << 17, 16}} {
		for _, o := range []LabelSoftmax{{Scale: 1}, {Scale: 0.5}, {Scale: 1, ZLoss: 1e-300}} {
			o.Classes, o.Inner = c.classes, c.inner
			r := rand.New(rand.NewPCG(uint64(c.classes), 3))
			x, dst := make([]float64, c.classes*c.inner), make([]float64, c.classes*c.inner)
			for i := range x {
				x[i] = 2 + r.NormFloat64()
			}
			labels, g, values := make([]int, c.inner), make([]float64, c.inner), make([]float64, c.inner)
			for i := range g {
				g[i] = 1
			}
			LabelSoftmaxRows(values, dst, x, 0, c.inner, labels, g, &o)
			sum, lost := 0.0, 0.0
			for i := 0; i < len(x); i += c.inner {
				sum, lost = addLost(sum, lost, math.Exp(o.Scale*x[i]))
			}
			sum += lost
			for i := c.inner; i < len(x); i += c.inner {
				if p := o.Scale * math.Exp(o.Scale*x[i]) / sum; units(dst[i], p) > limit {
					t.Errorf("%+v: gradient %v, want %v: %v units", o, dst[i], p, units(dst[i], p))
					break
				}
			}
			if want := math.Log(sum) - o.Scale*x[0]; units(values[0], want) > 4 {
				t.Errorf("%+v: value %v, want %v: %v units", o, values[0], want, units(values[0], want))
			}
		}
	}
}
