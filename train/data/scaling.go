package data

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// A Scaling maps the numbers of an input to others of a better range:
//
//	x ↦ (x - Mean)/Std
//
// Mean and Std have a number for each of an example, or one for all.
type Scaling struct {
	Mean, Std []float64
}

// Check returns an error for a scaling that does not fit a field: one that is not of the kind
// Float, another number of means or deviations, and numbers that are not finite or, for deviations,
// not positive.
func (s Scaling) Check(f Field) error {
	if f.Kind != Float {
		return fmt.Errorf("scaling of %v, want floats", f)
	}
	for _, part := range []struct {
		name string
		v    []float64
		low  float64
	}{{"mean", s.Mean, math.Inf(-1)}, {"deviation", s.Std, 0}} {
		if n := len(part.v); n != 1 && n != f.Size() {
			return fmt.Errorf("scaling has %d numbers for the %s, want 1 or %d for %v", n, part.name, f.Size(), f)
		}
		for i, v := range part.v {
			if !(v > part.low) || math.IsInf(v, 1) {
				return fmt.Errorf("scaling has the %s %v at %d", part.name, v, i)
			}
		}
	}
	return nil
}

// Standardize returns the scaling after which each number of an input has the mean 0 and the
// standard deviation 1 over all examples, of whatever weight: √(Σ(x-mean)²/n). Where all are the
// same the deviation is 1. A [Dataset]'s input has the name "input". It reads all examples once.
func Standardize(r Records, input string) (Scaling, error) {
	fail := func(err error) (Scaling, error) { return Scaling{}, fmt.Errorf("data.Standardize: %w", err) }
	if r == nil {
		return fail(errors.New("records are nil"))
	}
	fields := r.Fields()
	f, ok := fields.Inputs[input]
	switch {
	case !ok:
		return fail(fmt.Errorf("there is no input %q, only %q", input, slices.Sorted(maps.Keys(fields.Inputs))))
	case f.Kind != Float:
		return fail(fmt.Errorf("%s is %v, want floats", Label(InputName, input), f))
	case r.Len() == 0:
		return fail(errors.New("no rows"))
	}
	size := f.Size()
	s := Scaling{make([]float64, size), make([]float64, size)}
	rows := make([]int, r.Len())
	for i := range rows {
		rows[i] = i
	}
	const chunk = 256
	l := NewLoader(r, rows, chunk, 0, false)
	defer l.Close()
	n := 0.0
	for {
		b, err := l.Next()
		if err != nil {
			return fail(err)
		}
		if b == nil {
			break
		}
		x := b.In[input].F64
		for i := range b.Rows {
			n++
			for j, v := range x[i*size : (i+1)*size] { // Welford's recurrence, which never cancels
				d := v - s.Mean[j]
				s.Mean[j] += d / n
				s.Std[j] += d * (v - s.Mean[j])
			}
		}
	}
	for j, v := range s.Std {
		if s.Std[j] = math.Sqrt(v / n); s.Std[j] == 0 {
			s.Std[j] = 1
		}
	}
	if err := s.Check(f); err != nil { // numbers near the end of the range
		return fail(err)
	}
	return s, nil
}
