package data

import (
	"errors"
	"fmt"
	"math"
)

// A Masker is a Dataset in which not every element of every target counts, because some were never
// measured. What such an element holds is not looked at: it may be NaN, or a label out of range.
type Masker interface {
	Dataset
	// ReadMask writes to mask, for the targets of the examples with the given indices one after the
	// other, whether each of their elements counts. The rules of Read hold for it.
	ReadMask(rows []int, mask []bool) error
}

// masked is a dataset with a mask for all its targets.
type masked struct {
	Dataset
	mask []bool
}

// WithMask returns the examples of ds with a mask for the elements of their targets, one example
// after the other: where it is false an element has no part in losses and metrics. A mask that ds
// has already is replaced. mask is copied.
func WithMask(ds Dataset, mask []bool) (Dataset, error) {
	if ds == nil {
		return nil, errors.New("data.WithMask: dataset is nil")
	}
	f := ds.Spec().Target
	if f.Kind == None {
		return nil, errors.New("data.WithMask: the dataset has no targets")
	}
	if got, want := len(mask), ds.Len()*f.Size(); got != want {
		return nil, fmt.Errorf("data.WithMask: %d entries, want %d for %d rows of %v", got, want, ds.Len(), f)
	}
	return &masked{Dataset: ds, mask: append([]bool(nil), mask...)}, nil
}

// WithoutMissing returns the examples of ds with a mask that leaves out every element of a target
// that is NaN. It reads all examples once.
func WithoutMissing(ds Dataset) (Dataset, error) {
	if ds == nil {
		return nil, errors.New("data.WithoutMissing: dataset is nil")
	}
	spec := ds.Spec()
	if spec.Target.Kind != Float {
		return nil, fmt.Errorf("data.WithoutMissing: the targets are %v, want floats", spec.Target)
	}
	size := spec.Target.Size()
	mask := make([]bool, 0, ds.Len()*size)
	x, y := makeColumn(spec.Input, 1, false), makeColumn(spec.Target, 1, false)
	for row := range ds.Len() {
		if err := ds.Read([]int{row}, x, y); err != nil {
			return nil, fmt.Errorf("data.WithoutMissing: %w", err)
		}
		for _, v := range y.F64 {
			mask = append(mask, !math.IsNaN(v))
		}
	}
	return WithMask(ds, mask)
}

func (m *masked) Weight(row int) float64 { return WeightOf(m.Dataset, row) }

func (m *masked) ReadMask(rows []int, mask []bool) error {
	size := m.Spec().Target.Size()
	for i, r := range rows {
		if r < 0 || r >= m.Len() {
			return fmt.Errorf("data: row %d, want a row in [0, %d)", r, m.Len())
		}
		copy(mask[i*size:(i+1)*size], m.mask[r*size:])
	}
	return nil
}

// maskedSubset is a subset of a [Masker].
type maskedSubset struct {
	*subset
	from Masker
}

func (s *maskedSubset) ReadMask(rows []int, mask []bool) error {
	inner, err := s.inner(rows)
	if err != nil {
		return err
	}
	return s.from.ReadMask(inner, mask)
}

// firstNonFinite returns the index of the first NaN or infinity of a column that counts, or -1.
func firstNonFinite(c Column, mask []bool) int {
	from := 0
	for from < c.Len() {
		i := c.Slice(from, c.Len()).NonFinite()
		if i < 0 {
			return -1
		}
		if from += i; mask == nil || mask[from] {
			return from
		}
		from++
	}
	return -1
}
