package data

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// wide returns a text in UTF-16, low byte first, with its byte-order mark unless bare.
func wide(text string, bare bool) string {
	var out []byte
	if !bare {
		out = append(out, 0xff, 0xfe)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

// TestCSVNames: what an editor, a spreadsheet or an operating system puts around names is no part
// of them.
func TestCSVNames(t *testing.T) {
	for name, c := range map[string]struct {
		in       string
		f        CSVFormat
		features []string
		classes  []string
	}{
		"mark before a name": {"\ufeffa,b,kind\n1,2,cat\n3,4,dog\n", CSVFormat{Header: true, Target: -1},
			[]string{"a", "b"}, []string{"cat", "dog"}},
		"mark before a quoted name": {"\ufeff\"a\",b,kind\n1,2,cat\n3,4,dog\n", CSVFormat{Header: true, Target: -1},
			[]string{"a", "b"}, []string{"cat", "dog"}},
		"mark before a class":  {"\ufeffcat,1\ncat,2\ndog,3\n", CSVFormat{}, nil, []string{"cat", "dog"}},
		"mark before a number": {"\ufeff1,cat\n2,dog\n", CSVFormat{Target: 1}, nil, []string{"cat", "dog"}},
		"carriage returns": {"a,kind\r\n1,cat\r\n2,dog\r\n3,cat\r", CSVFormat{Header: true, Target: -1},
			[]string{"a"}, []string{"cat", "dog"}},
		"spaces": {"a, kind \n 1, cat\n2 ,dog\n3,cat \n", CSVFormat{Header: true, Target: -1},
			[]string{"a"}, []string{"cat", "dog"}},
		"a comma and quotes in text": {"a,kind\n1,\"cat, \"\"big\"\"\"\n2,dog\n", CSVFormat{Header: true, Target: -1},
			[]string{"a"}, []string{`cat, "big"`, "dog"}},
		"tabs": {"a\tkind\n1\tcat\n2\tdog\n", CSVFormat{Header: true, Target: -1, Comma: '\t'},
			[]string{"a"}, []string{"cat", "dog"}},
	} {
		d, err := CSV(strings.NewReader(c.in), c.f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(d.Features, c.features) || !slices.Equal(d.Classes, c.classes) {
			t.Errorf("%s: features %q and classes %q, want %q and %q", name, d.Features, d.Classes, c.features, c.classes)
		}
	}
}

// TestCSVClassOrder: numbers are in the order of numbers, however long they are. 2^64 =
// 18446744073709551616.
func TestCSVClassOrder(t *testing.T) {
	for _, want := range [][]string{
		{"-2", "9", "10"},
		{"9", "18446744073709551616", "18446744073709551617", "100000000000000000000"},
		{"-100000000000000000000", "-9", "0"},
		{"0.0", "1.0", "2.0", "10.0"},
		{"-0.5", "2", "1e2"},
		{"01", "1", "2"},
		{"10", "9", "x"},
	} {
		// Given backwards, so that the order of the lines is no help.
		var in strings.Builder
		for i := range want {
			in.WriteString(want[len(want)-1-i] + ",1\n")
		}
		d, err := CSV(strings.NewReader(in.String()), CSVFormat{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.Classes, want) {
			t.Errorf("classes %q, want %q", d.Classes, want)
		}
		for i, label := range d.Labels() {
			if got := len(want) - 1 - i; label != got {
				t.Errorf("class %q has label %d, want %d", want[got], label, got)
			}
		}
	}
}

func TestCSVErrors(t *testing.T) {
	header := CSVFormat{Header: true, Target: -1}
	for _, c := range []struct {
		name, in string
		f        CSVFormat
		want     string
	}{
		{"UTF-16", wide("a,kind\n1,cat\n", false), header, "the text is UTF-16, want UTF-8"},
		{"UTF-16, high byte first", "\xfe\xff\x00a\x00,", header, "the text is UTF-16"},
		{"UTF-16 without a mark", wide("a,kind\n1,cat\n", true), header,
			"line 1, column 1: zero bytes in the text, which is perhaps UTF-16"},
		{"UTF-32", "\xff\xfe\x00\x00a\x00\x00\x00", header, "the text is UTF-32"},
		{"Latin-1", "a,kind\n1,caf\xe9\n", header, `line 2, column 3: "caf\xe9" is not UTF-8`},
		{"a mark inside", "a,kind\n1,cat\n\ufeffa,kind\n2,dog\n", header,
			`line 3, column 1: "\ufeffa" has a byte-order mark inside`},
		{"carriage returns alone", "a,kind\r1,cat\r2,dog\r", header, "carriage return without a line feed"},
		{"two columns of one name", "a,b,a,kind\n1,2,3,cat\n", header,
			`line 1, column 5: the name "a" is that of field 1, too`},
		{"a name twice but for spaces", "a,a ,kind\n1,2,cat\n", header, "is that of field 1, too"},
		{"the target's name twice", "kind,a,kind\n1,2,cat\n", header, `the name "kind" is that of field 1, too`},
		{"an index without a name", ",a,kind\n0,1,cat\n", header, "line 1, column 1: the header has no name"},
		{"no class", "a,kind\n1,cat\n2,\n", header, "line 3, column 3: the target is empty"},
		{"no number", "a,kind\n,cat\n", header, `line 2, column 1: "" is no finite number`},
		{"too small a divisor", "1,2\n", CSVFormat{Divisor: 1e-300},
			"divisor is 1e-300, want a positive number that float32 holds"},
		{"NaN", "1,2\n", CSVFormat{Divisor: math.NaN()}, "divisor is NaN"},
		{"infinite", "1,2\n", CSVFormat{Divisor: math.Inf(1)}, "divisor is +Inf"},
		{"negative", "1,2\n", CSVFormat{Divisor: -255}, "divisor is -255"},
		{"too large", "1,2\n", CSVFormat{Divisor: 1e300}, "divisor is 1e+300"},
		{"an infinite quotient", "cat,1e308\n", CSVFormat{Divisor: 0.1},
			`line 1, column 5: "1e308" divided by 0.1 is no finite number`},
		{"target beyond the columns", "1,2\n", CSVFormat{Target: 2}, "target is column 2 of 2"},
		{"target before the columns", "1,2\n", CSVFormat{Target: -3}, "target is column -3 of 2"},
		{"header alone", "a,kind\n", header, "no rows"},
	} {
		if _, err := CSV(strings.NewReader(c.in), c.f); err == nil || !strings.HasPrefix(err.Error(), "data.CSV: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := CSV(nil, header); err == nil || !strings.Contains(err.Error(), "reader is nil") {
		t.Errorf("no reader: error %v", err)
	}
}

func TestWordsSkipMarks(t *testing.T) {
	if got, want := Words("\ufeffThe cat\n\ufeffsat"), []string{"the", "cat", "sat"}; !slices.Equal(got, want) {
		t.Errorf("words %q, want %q", got, want)
	}
}

// TestShapes: arrays without data, sizes of 0, and products that no int holds are errors.
func TestShapes(t *testing.T) {
	const half = math.MaxInt/2 + 1 // times 2 it is the smallest int, times 4 it is 0
	one := &Bytes{Shape: []int{1}, Data: []uint8{1}}
	image := &Bytes{Shape: []int{1, 2, 2}, Data: make([]uint8, 4)}
	for _, c := range []struct {
		name           string
		images, labels *Bytes
		want           string
	}{
		{"no images", nil, one, "images: array is nil"},
		{"no labels", image, nil, "labels: array is nil"},
		{"no shape", &Bytes{}, one, "images: array has no dimensions"},
		{"no rows", &Bytes{Shape: []int{0, 2, 2}}, &Bytes{Shape: []int{0}}, "images: shape is [0 2 2], want positive"},
		{"no pixels", &Bytes{Shape: []int{1, 0}}, one, "images: shape is [1 0], want positive"},
		{"negative", &Bytes{Shape: []int{-1, -4}, Data: make([]uint8, 4)}, one, "want positive"},
		{"no data", &Bytes{Shape: []int{1, 2, 2}}, one, "images: 0 elements, too few for shape [1 2 2]"},
		{"overflow to 0", &Bytes{Shape: []int{1, half, 4}}, one, "too few for shape"},
		{"too much data", &Bytes{Shape: []int{1, 2, 1}, Data: make([]uint8, 4)}, one, "images: 4 elements, want 2"},
		{"too few labels", image, &Bytes{Shape: []int{1}}, "labels: 0 elements"},
		{"other rows", image, &Bytes{Shape: []int{2}, Data: make([]uint8, 2)},
			"images have shape [1 2 2] and labels [2], want (n, ...) and (n)"},
	} {
		if _, err := NewImages(c.images, c.labels); err == nil || !strings.HasPrefix(err.Error(), "data.NewImages: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		if c.labels != one {
			continue
		}
		var buf bytes.Buffer
		if err := WriteIDX(&buf, c.images); err == nil || buf.Len() > 0 {
			t.Errorf("WriteIDX, %s: error %v after %d bytes, want an error before the first", c.name, err, buf.Len())
		}
	}
	if err := WriteIDX(nil, image); err == nil {
		t.Error("WriteIDX to nothing: no error")
	}
	if _, err := IDX(nil); err == nil {
		t.Error("IDX of nothing: no error")
	}
	for name, head := range map[string]string{
		"a dimension of 0":    "\x00\x00\x08\x01\x00\x00\x00\x00",
		"a negative int32":    "\x00\x00\x08\x01\xff\xff\xff\xff",
		"a product beyond 64": "\x00\x00\x08\x03\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x04",
	} {
		if _, err := IDX(strings.NewReader(head)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	spec := Spec{Input: Field{Float, []int{half, 4}}}
	if err := spec.Check(); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a field whose size overflows: %v", err)
	}
	if _, err := NewTable(half, Spec{Input: Field{Float, []int{4}}}, Column{F64: []float64{}}, Column{}); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("rows whose size overflows: %v", err)
	}
}

// TestArguments: numbers of rows that make no sense are errors, not panics or passes without an
// end.
func TestArguments(t *testing.T) {
	if _, err := Permutation(-1, 1, 1); err == nil || !strings.Contains(err.Error(), "-1 examples") {
		t.Errorf("a negative permutation: %v", err)
	}
	if rows, err := Permutation(0, 1, 1); err != nil || len(rows) != 0 {
		t.Errorf("a permutation of nothing: %v, %v", rows, err)
	}
	ds := table(t, 4)
	for _, ahead := range []int{0, 2} {
		for _, size := range []int{0, -1} {
			l := NewLoader(AsRecords(ds), []int{0, 1}, size, ahead, true)
			if _, err := l.Next(); err == nil || !strings.Contains(err.Error(), "want at least 1") {
				t.Errorf("batches of %d: error %v", size, err)
			}
			l.Close()
		}
		l := NewLoader(nil, nil, 1, ahead, true)
		if _, err := l.Next(); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("no dataset: error %v", err)
		}
		l.Close()
	}
	if err := NewBatch(AsRecords(ds).Fields(), -1, true).Fill(AsRecords(ds), []int{0}); err == nil || !strings.Contains(err.Error(), "room") {
		t.Errorf("a batch without room: %v", err)
	}
	if err := NewBatch(AsRecords(ds).Fields(), 1, true).Fill(nil, []int{0}); err == nil {
		t.Error("no dataset to fill from: no error")
	}
	sub, err := Subset(ds, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(AsRecords(ds).Fields(), 1, true)
	for _, row := range []int{-1, 2} {
		if err := sub.Read([]int{row}, b.In["input"], b.Out["target"]); err == nil || !strings.Contains(err.Error(), "want a row in [0, 2)") {
			t.Errorf("row %d of a subset of 2: %v", row, err)
		}
	}
	m, err := NewImages(&Bytes{Shape: []int{1, 1}, Data: []uint8{255}}, &Bytes{Shape: []int{1}, Data: []uint8{3}})
	if err != nil {
		t.Fatal(err)
	}
	x := Column{F64: make([]float64, 1)}
	if err := m.Read([]int{0}, x, Column{}); err != nil || x.F64[0] != 1 {
		t.Errorf("images without labels read as %v, %v", x.F64, err)
	}
}

// FuzzCSV: no text makes the reader panic, and what it takes is finite, named and labelled.
func FuzzCSV(f *testing.F) {
	f.Add("\ufeffa,kind\n1,cat\n2,dog\n", true, -1, 1.0)
	f.Add("1;2\r\n\"3\";4\r\n", false, 0, 255.0)
	f.Add(wide("a,kind\n1,cat\n", false), true, 1, math.Inf(1))
	f.Fuzz(func(t *testing.T, text string, header bool, target int, divisor float64) {
		checkCSV(t, text, CSVFormat{Header: header, Target: target, Divisor: divisor})
	})
}

// checkCSV holds what the reader takes of a text to what it promises.
func checkCSV(t *testing.T, text string, f CSVFormat) {
	t.Helper()
	d, err := CSV(strings.NewReader(text), f)
	if err != nil {
		return
	}
	if len(d.Labels()) != d.Len() || f.Header && len(d.Features) != d.Spec().Input.Size() {
		t.Fatalf("%d labels and names %q for %d rows of %v", len(d.Labels()), d.Features, d.Len(), d.Spec())
	}
	for i, label := range d.Labels() {
		if label < 0 || label >= len(d.Classes) || d.Input(i).NonFinite() >= 0 {
			t.Fatalf("row %d is %v with label %d of %d", i, d.Input(i), label, len(d.Classes))
		}
	}
	for _, name := range slices.Concat(d.Features, d.Classes) {
		if name == "" || name != strings.TrimSpace(name) || !utf8.ValidString(name) || strings.ContainsAny(name, "\ufeff\x00") {
			t.Fatalf("name %q", name)
		}
	}
}

// FuzzIDX: no text makes the reader panic, and what it takes is written as it was.
func FuzzIDX(f *testing.F) {
	f.Add([]byte("\x00\x00\x08\x02\x00\x00\x00\x01\x00\x00\x00\x03abc"))
	f.Add([]byte("\x00\x00\x08\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := IDX(bytes.NewReader(text))
		if err != nil || text[0] == 0x1f { // packed
			return
		}
		var again bytes.Buffer
		if err := WriteIDX(&again, b); err != nil || !bytes.Equal(again.Bytes(), text) {
			t.Fatalf("%q was read and is written as %q, %v", text, again.Bytes(), err)
		}
	})
}
