package data

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestMask: masks follow their rows through subsets, weights and short batches, and what they leave
// out is not checked.
func TestMask(t *testing.T) {
	nan := math.NaN()
	table, err := Values([][]float64{{1}, {2}, {3}}, [][]float64{{1, nan}, {nan, nan}, {5, 6}})
	if err != nil {
		t.Fatal(err)
	}
	weighted, err := table.WithWeights([]float64{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	ds, err := WithoutMissing(weighted)
	if err != nil {
		t.Fatal(err)
	}
	ds, err = Subset(ds, []int{2, 1, 0})
	if err != nil {
		t.Fatal(err)
	}
	_, held, err := Split(ds, func(row int) bool { return row != 1 })
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(AsRecords(held).Fields(), 3, true)
	if err := b.Fill(AsRecords(held), []int{1, 0}); err != nil {
		t.Fatal(err)
	}
	if want := []bool{true, false, true, true}; !slices.Equal(b.Mask["target"], want) || !slices.Equal(b.W, []float64{1, 3}) {
		t.Errorf("mask %v and weights %v, want %v and [1 3]", b.Mask["target"], b.W, want)
	}
	if err := b.Fill(AsRecords(table), []int{2, 0}); err == nil || !strings.Contains(err.Error(), "target of row 0 has NaN at element 1") {
		t.Errorf("error %v of a NaN without a mask", err)
	}
	if err := b.Fill(AsRecords(table), []int{2}); err != nil || slices.Contains(b.Mask["target"], false) {
		t.Errorf("mask %v of a dataset without one (%v)", b.Mask["target"], err)
	}
	ds, err = WithMask(table, []bool{true, true, false, false, true, true})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Fill(AsRecords(ds), []int{1, 0}); err == nil || !strings.Contains(err.Error(), "target of row 0 has NaN at element 1") {
		t.Errorf("error %v of a NaN that counts behind one that does not", err)
	}
	if err := ds.(Masker).ReadMask([]int{3}, make([]bool, 2)); err == nil || !strings.Contains(err.Error(), "row 3, want a row in [0, 3)") {
		t.Errorf("error %v of row 3", err)
	}
}

func TestMaskErrors(t *testing.T) {
	classes, err := Classes([][]float64{{1}, {2}}, []int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Rows([][]float64{{1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]func() (Dataset, error){
		"data.WithMask: dataset is nil":                         func() (Dataset, error) { return WithMask(nil, nil) },
		"data.WithMask: the dataset has no targets":             func() (Dataset, error) { return WithMask(rows, nil) },
		"data.WithMask: 3 entries, want 2 for 2 rows of int ()": func() (Dataset, error) { return WithMask(classes, make([]bool, 3)) },
		"data.WithoutMissing: dataset is nil":                   func() (Dataset, error) { return WithoutMissing(nil) },
		"data.WithoutMissing: the targets are int (), want":     func() (Dataset, error) { return WithoutMissing(classes) },
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
