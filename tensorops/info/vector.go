package info

import (
	"fmt"
	"math"
)

// Float is the element type of distributions.
type Float interface{ float32 | float64 }

// Weight is the element type of unnormalised input: whole-number counts too.
type Weight interface {
	uint8 | int | int32 | int64 | float32 | float64
}

// sum is a compensated sum: high is the running sum as rounded, low the total of what rounding took
// away (the error of each addition is itself a float64, by D. E. Knuth's TwoSum). Terms must be
// finite.
type sum struct{ high, low float64 }

func (s *sum) add(x float64) {
	x = float64(x) // the conversion forbids fusing a product into the addition, which would lose the remainder
	t := s.high + x
	part := t - s.high
	s.low += (s.high - (t - part)) + (x - part)
	s.high = t
}

func (s *sum) value() float64 { return s.high + s.low }

// An input says what an operand must be.
type input struct {
	weights  bool    // unnormalised
	roundoff float64 // of a distribution's dtype, for the tolerance of its sum
}

var counts = input{weights: true}

const (
	roundoff32 = 0x1p-24
	roundoff64 = 0x1p-53
)

func distribution[T Float]() input {
	if _, single := any(T(0)).(float32); single {
		return input{roundoff: roundoff32}
	}
	return input{roundoff: roundoff64}
}

// tolerance is how far the sum of n elements may be from 1. The package documentation has the
// reason.
func (in input) tolerance(n int) float64 { return (256 + 8*math.Sqrt(float64(n))) * in.roundoff }

// vec is a checked operand: element i has the probability data[i]·scale/total. Scale and total are
// 1 for a distribution.
type vec[T Weight] struct {
	data    []T
	weights bool
	scale   float64 // a power of two that brings the largest weight into [½, 1), so that total is finite
	total   sum
}

func (v *vec[T]) at(i int) float64 { return float64(v.data[i]) * v.scale / v.total.high }

// sum returns the sum of the data in scale.
func (v *vec[T]) sum() sum {
	var s sum
	for _, x := range v.data {
		s.add(float64(x) * v.scale)
	}
	return s
}

// surprisal returns -log of element i's probability: +Inf for 0, +0 for 1.
func (v *vec[T]) surprisal(i int, u Unit) float64 {
	if v.weights {
		if x := float64(v.data[i]) * v.scale; 2*x > v.total.high {
			// The quotient would round the distance to 1 away, and with it the digits of the
			// result.
			rest := (v.total.high - x) + v.total.low
			return 0 - u.log1p(-rest/v.total.high)
		}
	}
	return 0 - u.log(v.at(i))
}

// read checks data and returns it as probabilities.
func read[T Weight](data []T, in input) (vec[T], *fault) {
	v := vec[T]{data: data, scale: 1, total: sum{high: 1}}
	if len(data) == 0 {
		return v, &fault{-1, "has no elements, want at least 1", ErrEmpty}
	}
	largest, least := 0.0, -1
	for i, x := range data {
		f := float64(x)
		if !(f >= 0 && f <= math.MaxFloat64) {
			return v, &fault{i, fmt.Sprintf("is %v, want a finite number of at least 0", x), ErrProbability}
		}
		largest = max(largest, f)
		if f > 0 && (least < 0 || x < data[least]) {
			least = i
		}
	}
	if in.weights {
		return normalise(v, largest, least)
	}
	total := v.sum()
	off := (total.high - 1) + total.low
	if math.IsInf(total.high, 0) {
		off = total.high
	}
	if tol := in.tolerance(len(data)); !(math.Abs(off) <= tol) {
		return v, &fault{-1, fmt.Sprintf("sums to %.10g, want 1: it is off by %.3g, and %.2g is the tolerance"+
			" (the Weights form takes unnormalised input)", 1+off, off, tol), ErrSum}
	}
	return v, nil
}

// normalise sets v's scale and total. largest is the largest weight, least the index of the
// smallest positive one.
func normalise[T Weight](v vec[T], largest float64, least int) (vec[T], *fault) {
	if least < 0 {
		return v, &fault{-1, "sums to 0, want a positive weight", ErrSum}
	}
	v.weights = true
	_, exponent := math.Frexp(largest)
	v.scale = math.Ldexp(1, -max(exponent, -1022)) // 2^1023 is the largest power of two there is
	v.total = v.sum()
	if v.at(least) < minNormal {
		return v, &fault{least, fmt.Sprintf("is %v, which vanishes beside the sum: want a share of at least 2^-1022",
			v.data[least]), ErrProbability}
	}
	return v, nil
}
