package data

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// flowers is a frame with one field of every kind: real numbers, a category, sequences and their
// lengths, labels, and real targets of which one is missing.
func flowers(t *testing.T) *Frame {
	t.Helper()
	words := [][]int{{4, 5}, {6}, {7, 8, 9}}
	f, err := NewFrame(
		map[string]Series{"sizes": Numbers([][]float64{{1, 2}, {3, 4}, {5, 6}}), "colour": Labels([]int{2, 0, 1}),
			"words": Sequences(words, 3, 0), "length": Lengths(words)},
		map[string]Series{"colour": Labels([]int{1, 1, 0}),
			"height": Numbers([][]float32{{1, 2}, {3, float32(math.NaN())}, {5, 6}}).WithoutMissing()})
	if err == nil {
		f, err = f.WithWeights([]float64{1, 2, 3})
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFrame(t *testing.T) {
	f := flowers(t)
	held, rest, err := SplitRecords(f, func(row int) bool { return row == 0 })
	if err != nil || held.Len() != 2 || rest.Len() != 1 {
		t.Fatal(held, rest, err)
	}
	r, err := SubsetRecords(held, []int{1, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, ahead := range []int{0, 2} {
		l := NewLoader(r, []int{0, 1, 2}, 2, ahead, true)
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.In["sizes"].F32, []float32{5, 6, 3, 4}) || !slices.Equal(b.In["colour"].Int, []int{1, 0}) ||
			!slices.Equal(b.In["words"].Int, []int{7, 8, 9, 6, 0, 0}) || !slices.Equal(b.In["length"].Int, []int{3, 1}) ||
			!slices.Equal(b.Out["colour"].Int, []int{0, 1}) || !slices.Equal(b.W, []float64{3, 2}) ||
			!slices.Equal(b.Mask["height"], []bool{true, true, true, false}) || !slices.Equal(b.Rows, []int{0, 1}) {
			t.Errorf("ahead %d: read %+v", ahead, b)
		}
		if b, err = l.Next(); err != nil || !slices.Equal(b.W, []float64{3}) || slices.Contains(b.Mask["height"], false) || len(b.Mask["height"]) != 2 {
			t.Errorf("ahead %d: the last batch is %+v (%v)", ahead, b, err)
		}
		l.Close()
	}
	s, err := f.Select([]string{"colour"}, []string{"height"})
	if err != nil || len(s.Fields().Inputs) != 1 || !s.Fields().Masked["height"] || s.weights == nil {
		t.Errorf("selected %+v (%v)", s, err)
	}
}

// TestFrameFaults: whatever does not fit is an error that names the field.
func TestFrameFaults(t *testing.T) {
	x := Numbers([][]float64{{1, 2}, {3, 4}})
	two, three := Labels([]int{0, 1}), Labels([]int{0, 1, 2})
	for want, f := range map[string]func() error{
		`target "y" has 3 rows, want 2 as input "x" has`: func() error { return made(map[string]Series{"x": x}, map[string]Series{"y": three}) },
		"there are no inputs":                            func() error { return made(nil, map[string]Series{"y": two}) },
		`input "x": the field has kind none`:             func() error { return made(map[string]Series{"x": {}}, nil) },
		`input "x": data.Numbers: series row 1 has 1`:    func() error { return made(map[string]Series{"x": Numbers([][]float64{{1, 2}, {1}})}, nil) },
		`input "x": sequence 1 has 3 numbers, want at`:   func() error { return made(map[string]Series{"x": Sequences([][]int{{1}, {1, 2, 3}}, 2, 0)}, nil) },
		"sequences of at most 0, want at least 1":        func() error { return made(map[string]Series{"x": Sequences(nil, 0, 0)}, nil) },
		"no rows":                    func() error { return made(map[string]Series{"x": Labels(nil)}, nil) },
		"an input has an empty name": func() error { return made(map[string]Series{"": two}, nil) },
		`input "x" has a mask, which only targets have`: func() error { return made(map[string]Series{"x": x.WithoutMissing()}, nil) },
		`target "y": the mask has 3 entries, want 2`: func() error {
			return made(map[string]Series{"x": x}, map[string]Series{"y": two.WithMask(make([]bool, 3))})
		},
		"the field is int () and its column holds float64s": func() error {
			return made(map[string]Series{"x": NewSeries(Field{Kind: Int}, Column{F64: []float64{1}})}, nil)
		},
		"3 numbers, want a multiple of 2 for float (2)": func() error {
			return made(map[string]Series{"x": NewSeries(Field{Float, []int{2}}, Column{F64: make([]float64, 3)})}, nil)
		},
		"1 weights, want 3 to match the rows":    func() error { _, err := flowers(t).WithWeights([]float64{1}); return err },
		"weight 1 is +Inf, want a finite":        func() error { _, err := flowers(t).WithWeights([]float64{1, math.Inf(1), 1}); return err },
		`there is no input "size", only ["col`:   func() error { _, err := flowers(t).Select([]string{"size"}, nil); return err },
		`there is no target "size", only ["col`:  func() error { _, err := flowers(t).Select([]string{"sizes"}, []string{"size"}); return err },
		"index 1 is row 3, want a row in [0, 3)": func() error { _, err := SubsetRecords(flowers(t), []int{0, 3}); return err },
		"records are nil":                        func() error { _, err := SubsetRecords(nil, nil); return err },
		"records or test is nil":                 func() error { _, _, err := SplitRecords(flowers(t), nil); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := (Fields{Inputs: map[string]Field{"x": {Kind: Int}}, Masked: map[string]bool{"y": true}}).Check(); err == nil {
		t.Error("no error for the mask of a target that is not there")
	}
	if err := (Fields{Inputs: map[string]Field{"x": {Kind: Int, Shape: []int{math.MaxInt, 2}}}}).Check(); err == nil {
		t.Error("no error for a field that no int counts")
	}
}

func made(inputs, targets map[string]Series) error {
	_, err := NewFrame(inputs, targets)
	return err
}

// TestFrameNonFinite: a NaN that counts is found in any field, one that is masked in none.
func TestFrameNonFinite(t *testing.T) {
	f, err := NewFrame(map[string]Series{"a": Labels([]int{1, 2}), "b": Numbers([][]float32{{1, 2}, {3, float32(math.Inf(1))}})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := NewBatch(f.Fields(), 2, false).Fill(f, []int{0, 1}); err == nil || err.Error() != `input "b" of row 1 has +Inf at element 1, want finite numbers` {
		t.Errorf("error %v of an infinite input", err)
	}
	if err := NewBatch(flowers(t).Fields(), 3, false).Fill(flowers(t), []int{2, 1, 0}); err != nil {
		t.Errorf("error %v of a missing target", err)
	}
	if err := NewBatch(f.Fields(), 2, false).Fill(f, []int{2}); err == nil || !strings.Contains(err.Error(), "row 2, want a row in [0, 2)") {
		t.Errorf("error %v of a row that is not there", err)
	}
}

// short is records whose source ends before their last row.
type short struct{ *Frame }

var errEnd = errors.New("the source has ended")

func (s short) ReadBatch(b *Batch) error {
	for _, r := range b.Rows {
		if r > 0 {
			return errEnd
		}
	}
	return s.Frame.ReadBatch(b)
}

// TestSourceEnds: an error of a source comes through the loader as it is, after the batches before.
func TestSourceEnds(t *testing.T) {
	for _, ahead := range []int{0, 2} {
		l := NewLoader(short{flowers(t)}, []int{0, 1, 2}, 1, ahead, true)
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Next(); !errors.Is(err, errEnd) {
			t.Errorf("ahead %d: error %v, want the source's", ahead, err)
		}
		l.Close()
	}
}
