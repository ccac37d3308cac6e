package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func table(t *testing.T, n int) *Table {
	t.Helper()
	var x [][]float32
	var y []int
	for i := range n {
		x, y = append(x, []float32{float32(i), float32(-i)}), append(y, i%3)
	}
	ds, err := Classes(x, y)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// order is Permutation of a number of examples that is no error.
func order(t *testing.T, n int, seed uint64, epoch int) []int {
	t.Helper()
	rows, err := Permutation(n, seed, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// batches reads a whole pass and returns copies of what it gave.
func batches(t *testing.T, ds Dataset, rows []int, size, ahead int) (seen []int, sums []float32) {
	t.Helper()
	l := NewLoader(AsRecords(ds), rows, size, ahead, true)
	defer l.Close()
	for {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return seen, sums
		}
		seen = append(seen, b.Rows...)
		for i, r := range b.Rows {
			if b.In["input"].F32[2*i] != float32(r) || b.In["input"].F32[2*i+1] != float32(-r) || b.Out["target"].Int[i] != r%3 || b.W[i] != 1 {
				t.Fatalf("row %d reads as %v, %d", r, b.In["input"].F32[2*i:2*i+2], b.Out["target"].Int[i])
			}
		}
		sums = append(sums, b.In["input"].F32[0])
	}
}

func TestLoader(t *testing.T) {
	ds := table(t, 103)
	want := order(t, 103, 1, 1)
	for _, ahead := range []int{0, 1, 4} {
		seen, _ := batches(t, ds, want, 10, ahead)
		if !slices.Equal(seen, want) {
			t.Errorf("ahead %d: rows %v, want %v", ahead, seen, want)
		}
	}
}

// TestLoaderRestarts: a loader whose pass was left in its middle reads others with the same memory,
// rows in a run as well as rows out of order.
func TestLoaderRestarts(t *testing.T) {
	ds := AsRecords(table(t, 103))
	for _, ahead := range []int{0, 1, 4} {
		l := NewLoader(ds, order(t, 103, 1, 1), 10, ahead, true)
		known := make(map[*Batch]bool)
		for _, b := range l.buffers {
			known[b] = true
		}
		for _, want := range [][]int{{0, 1, 2, 5, 4, 5, 6, 6, 7, 102}, order(t, 103, 1, 2), {}, order(t, 103, 1, 3)[:11]} {
			if _, err := l.Next(); err != nil {
				t.Fatal(err)
			}
			l.Restart(ds, want)
			var seen []int
			for {
				b, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				if b == nil {
					break
				}
				if !known[b] {
					t.Error("a pass has memory of its own")
				}
				for i, r := range b.Rows {
					if b.In["input"].F32[2*i] != float32(r) || b.Out["target"].Int[i] != r%3 {
						t.Errorf("row %d reads as %v, %d", r, b.In["input"].F32[2*i], b.Out["target"].Int[i])
					}
				}
				seen = append(seen, b.Rows...)
			}
			if !slices.Equal(seen, want) {
				t.Errorf("ahead %d: rows %v, want %v", ahead, seen, want)
			}
		}
		l.Close()
	}
}

// TestLoaderEnds: closing in the middle of a pass leaves no goroutine.
func TestLoaderEnds(t *testing.T) {
	ds := table(t, 1000)
	before := runtime.NumGoroutine()
	for range 50 {
		l := NewLoader(AsRecords(ds), order(t, 1000, 1, 1), 7, 3, false)
		for range 3 {
			if _, err := l.Next(); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
		l.Close()
	}
	for range 100 { // a goroutine that has closed its channel may still be on its way out
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// faulty is a dataset whose Read fails or panics at a row.
type faulty struct {
	*Table
	panics bool
}

func (f faulty) Read(rows []int, x, y Column) error {
	if slices.Contains(rows, 50) {
		if f.panics {
			panic("read past the end")
		}
		return errors.New("disk on fire")
	}
	return f.Table.Read(rows, x, y)
}

func TestLoaderErrors(t *testing.T) {
	for _, ahead := range []int{0, 2} {
		for _, panics := range []bool{false, true} {
			l := NewLoader(AsRecords(faulty{table(t, 100), panics}), order(t, 100, 1, 1), 10, ahead, true)
			var err error
			for n := 0; err == nil && n < 20; n++ {
				_, err = l.Next()
			}
			l.Close()
			want := "disk on fire"
			if panics {
				want = "read past the end"
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("ahead %d: error %v, want one with %q", ahead, err, want)
			}
		}
	}
}

func TestPermutation(t *testing.T) {
	a, b := order(t, 100, 1, 1), order(t, 100, 1, 1)
	if !slices.Equal(a, b) {
		t.Error("the same epoch has two orders")
	}
	for _, other := range [][]int{order(t, 100, 2, 1), order(t, 100, 1, 2)} {
		if slices.Equal(a, other) {
			t.Error("another seed or epoch has the same order")
		}
		slices.Sort(other)
		for i, v := range other {
			if i != v {
				t.Fatalf("not a permutation: %v", other)
			}
		}
	}
	// Over many epochs each row comes first about equally often: 1000 draws of 10 rows, 4 standard
	// deviations of 9.5.
	var first [10]int
	for e := range 1000 {
		first[order(t, 10, 3, e)[0]]++
	}
	for i, n := range first {
		if n < 62 || n > 138 {
			t.Errorf("row %d came first %d times in 1000", i, n)
		}
	}
}

func TestSubsetAndSplit(t *testing.T) {
	ds, err := table(t, 10).WithWeights([]float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	if err != nil {
		t.Fatal(err)
	}
	train, test, err := Split(ds, func(i int) bool { return i%5 == 4 })
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 8 || test.Len() != 2 {
		t.Fatalf("%d and %d rows, want 8 and 2", train.Len(), test.Len())
	}
	sub, err := Subset(test, []int{1, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(AsRecords(sub).Fields(), 3, false)
	if err := b.Fill(AsRecords(sub), []int{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.In["input"].F64, []float64{9, -9, 4, -4, 9, -9}) || !slices.Equal(b.W, []float64{9, 4, 9}) || !slices.Equal(b.Out["target"].Int, []int{0, 1, 0}) {
		t.Errorf("read %v %v %v", b.In["input"].F64, b.Out["target"].Int, b.W)
	}
	if _, err := Subset(ds, []int{10}); err == nil {
		t.Error("no error for a row that is not there")
	}
	if _, err := ds.WithWeights([]float64{1}); err == nil {
		t.Error("no error for one weight of ten")
	}
	if err := ds.Read([]int{11}, b.In["input"], b.Out["target"]); err == nil {
		t.Error("no error for reading a row that is not there")
	}
}

func TestCSV(t *testing.T) {
	in := "a,b,kind\n1,2,cat\n3,4.5,dog\n-1e2,0,cat\n"
	d, err := CSV(strings.NewReader(in), CSVFormat{Header: true, Target: -1, Divisor: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Features, []string{"a", "b"}) || !slices.Equal(d.Classes, []string{"cat", "dog"}) || !slices.Equal(d.Labels(), []int{0, 1, 0}) {
		t.Errorf("features %q, classes %q, labels %v", d.Features, d.Classes, d.Labels())
	}
	if got := d.Input(2).F64; !slices.Equal(got, []float64{-50, 0}) {
		t.Errorf("row 2 is %v", got)
	}
	num, err := CSV(strings.NewReader("10;1\n9;2\n"), CSVFormat{Comma: ';'})
	if err != nil || !slices.Equal(num.Classes, []string{"9", "10"}) || !slices.Equal(num.Labels(), []int{1, 0}) {
		t.Errorf("numeric classes %v, %v", num, err)
	}
	real, err := CSV(strings.NewReader("1,2.5\n"), CSVFormat{Target: 1, Values: true})
	if err != nil || real.Target(0).F64[0] != 2.5 || real.Classes != nil {
		t.Errorf("real target %v, %v", real, err)
	}
	for in, want := range map[string]string{
		"":               "no rows",
		"1,2\n3\n":       "wrong number of fields",
		"1,2\nx,3\n":     `line 2, column 1: "x" is no finite number`,
		"1,2\nNaN,3\n":   "no finite number",
		"1,2\n1e999,3\n": "no finite number",
		"1\n":            "at least 2 columns",
	} {
		if _, err := CSV(strings.NewReader(in), CSVFormat{Target: -1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", in, err, want)
		}
	}
}

func TestIDX(t *testing.T) {
	want := &Bytes{Shape: []int{2, 2, 3}, Data: []uint8{0, 1, 2, 3, 4, 255, 6, 7, 8, 9, 10, 51}}
	var buf bytes.Buffer
	if err := WriteIDX(&buf, want); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(buf.Bytes())
	z.Close()
	for _, text := range [][]byte{buf.Bytes(), packed.Bytes()} {
		got, err := IDX(bytes.NewReader(text))
		if err != nil || !slices.Equal(got.Shape, want.Shape) || !slices.Equal(got.Data, want.Data) {
			t.Errorf("read %v, %v", got, err)
		}
	}
	for i := range buf.Len() {
		if _, err := IDX(bytes.NewReader(buf.Bytes()[:i])); err == nil {
			t.Errorf("cut after %d bytes: no error", i)
		}
	}
	if _, err := IDX(bytes.NewReader([]byte{0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0})); err == nil || !strings.Contains(err.Error(), "type 0x0d") {
		t.Errorf("floats: %v", err)
	}
	m, err := NewImages(want, &Bytes{Shape: []int{2}, Data: []uint8{7, 3}})
	if err != nil {
		t.Fatal(err)
	}
	for _, single := range []bool{true, false} {
		b := NewBatch(AsRecords(m).Fields(), 2, single)
		if err := b.Fill(AsRecords(m), []int{1, 0}); err != nil {
			t.Fatal(err)
		}
		last := Column{F64: make([]float64, 12)}
		if err := last.Copy(b.In["input"]); err != nil {
			t.Fatal(err)
		}
		if last.F64[11] != 1 && last.F64[11] != 255.0/255 || last.F64[6] != 0 || b.Out["target"].Int[0] != 3 || b.Out["target"].Int[1] != 7 {
			t.Errorf("images %v, labels %v", last.F64, b.Out["target"].Int)
		}
		if d := last.F64[5] - 0.2; d > 1e-7 || d < -1e-7 {
			t.Errorf("pixel 51 is %v, want 0.2", last.F64[5])
		}
	}
}

// TestMNISTChecks: a missing file and one with other contents are told apart.
func TestMNISTChecks(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := MNIST(dir); !errors.Is(err, ErrNoMNIST) {
		t.Errorf("empty directory: %v", err)
	}
	var buf bytes.Buffer
	if err := WriteIDX(&buf, &Bytes{Shape: []int{1, 28, 28}, Data: make([]uint8, 784)}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, mnistFiles[0].name)
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := MNIST(dir); err == nil || errors.Is(err, ErrNoMNIST) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "MD5") {
		t.Errorf("foreign contents: %v", err)
	}
}

func TestText(t *testing.T) {
	tokens := Words("The cat's hat, THE 42 hats!")
	if want := []string{"the", "cat's", "hat", ",", "the", "42", "hats", "!"}; !slices.Equal(tokens, want) {
		t.Fatalf("words %q, want %q", tokens, want)
	}
	v := NewVocabulary(tokens)
	ids, err := v.Encode(tokens)
	if err != nil {
		t.Fatal(err)
	}
	if v.Len() != 7 || v.Token(0) != "the" || ids[0] != 0 || ids[4] != 0 {
		t.Errorf("%d tokens, ids %v", v.Len(), ids)
	}
	for i, id := range ids {
		if v.Token(id) != tokens[i] {
			t.Errorf("token %d is %q after coding, want %q", i, v.Token(id), tokens[i])
		}
	}
	if _, err := v.Encode([]string{"dog"}); err == nil {
		t.Error("no error for a token that is not in the vocabulary")
	}
	w, err := Windows(ids, 3)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(AsRecords(w).Fields(), 2, true)
	if err := b.Fill(AsRecords(w), []int{0, 4}); err != nil {
		t.Fatal(err)
	}
	if w.Len() != 5 || !slices.Equal(b.In["input"].Int, []int{ids[0], ids[1], ids[2], ids[4], ids[5], ids[6]}) || !slices.Equal(b.Out["target"].Int, []int{ids[3], ids[7]}) {
		t.Errorf("windows %v %v of %v", b.In["input"].Int, b.Out["target"].Int, ids)
	}
	if _, err := Windows(ids, 8); err == nil {
		t.Error("no error for a context as long as the text")
	}
}

func TestNonFinite(t *testing.T) {
	for n := range 12 {
		for bad := -1; bad < n; bad++ {
			for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				x, y := make([]float64, n), make([]float32, n)
				for i := range x {
					x[i], y[i] = math.MaxFloat64, math.MaxFloat32
				}
				for i := bad; i >= 0 && i < n; i += 3 {
					x[i], y[i] = v, float32(v)
				}
				if got := (Column{F64: x}).NonFinite(); got != bad {
					t.Errorf("%d of %d numbers is %v: found %d", bad, n, v, got)
				}
				if got := (Column{F32: y}).NonFinite(); got != bad {
					t.Errorf("float32: %d of %d numbers is %v: found %d", bad, n, v, got)
				}
			}
		}
	}
}

func TestNewTableErrors(t *testing.T) {
	f, i := Field{Float, []int{2}}, Field{Kind: Int}
	for _, c := range []struct {
		n    int
		spec Spec
		x, y Column
		want string
	}{
		{0, Spec{f, i}, Column{}, Column{}, "0 rows"},
		{2, Spec{f, i}, Column{F64: make([]float64, 3)}, Column{Int: make([]int, 2)}, "input has 3 numbers, want 4"},
		{2, Spec{f, i}, Column{F64: make([]float64, 4)}, Column{F64: make([]float64, 2)},
			"target is int () and its column holds float64s"},
		{2, Spec{Field{}, i}, Column{}, Column{Int: make([]int, 2)}, "input has kind none"},
		{2, Spec{Field{Float, []int{0}}, i}, Column{}, Column{Int: make([]int, 2)}, "positive dimensions"},
	} {
		if _, err := NewTable(c.n, c.spec, c.x, c.y); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if err := (Column{Int: make([]int, 1)}).Copy(Column{F64: make([]float64, 1)}); err == nil {
		t.Error("floats copied into ints")
	}
}
