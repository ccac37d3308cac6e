package data

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// CSVFormat says how [CSV] reads a table.
type CSVFormat struct {
	Header  bool    // the first line names the columns
	Comma   rune    // the separator; 0 means a comma
	Target  int     // the column of the target; negative counts from the end, so -1 is the last
	Values  bool    // the target is a real number and not a class
	Divisor float64 // divides every feature: a positive number that float32 holds; 0 means 1
}

// check returns an error for a divisor that would make features infinite, zero or NaN, and fills in
// the default.
func (f *CSVFormat) check() error {
	if f.Divisor == 0 {
		f.Divisor = 1
	}
	// The smallest and the largest number that float32, the default of training, holds with all its
	// digits.
	if !(f.Divisor >= 0x1p-126 && f.Divisor <= math.MaxFloat32) {
		return fmt.Errorf("divisor is %v, want a positive number that float32 holds", f.Divisor)
	}
	return nil
}

// A CSVTable is what [CSV] read.
type CSVTable struct {
	*Table
	Features []string // names of the feature columns; empty without a header
	Classes  []string // the texts of the classes, label i being Classes[i], in the order that CSV documents; nil for real targets
}

// CSV reads examples from a table of text: one target column, and numbers in all the others. The
// text is UTF-8; a byte-order mark before it is skipped. Spaces around a field are not part of it.
//
// Classes may have any text but the empty one, and two texts are two classes: "1" and "01" as well.
// Their labels follow the order of the numbers where all of them are numbers, of any length, and
// otherwise the order of the texts.
//
// Errors, which name the line and column: lines of different lengths, features that are no finite
// numbers before or after the division, a target that is missing, names of columns that are missing
// or occur twice, and text in another encoding.
func CSV(r io.Reader, f CSVFormat) (*CSVTable, error) {
	t, err := readCSV(r, f)
	if err != nil {
		return nil, fmt.Errorf("data.CSV: %w", err)
	}
	return t, nil
}

func readCSV(r io.Reader, f CSVFormat) (*CSVTable, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	text, err := skipMark(r)
	if err != nil {
		return nil, err
	}
	in := csv.NewReader(text)
	if f.Comma != 0 {
		in.Comma = f.Comma
	}
	in.ReuseRecord = true
	t := new(CSVTable)
	var x, values []float64
	var labels []string
	rows, target := 0, 0
	for first := true; ; first = false {
		line, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		for i, field := range line {
			if err := checkText(field); err != nil {
				return nil, at(in, i, err)
			}
			line[i] = strings.TrimSpace(field)
		}
		if first {
			if target = f.Target; target < 0 {
				target += len(line)
			}
			if target < 0 || target >= len(line) || len(line) < 2 {
				return nil, fmt.Errorf("target is column %d of %d, want one of at least 2 columns", f.Target, len(line))
			}
			if f.Header {
				if t.Features, err = columnNames(in, line, target); err != nil {
					return nil, err
				}
				continue
			}
		}
		for i, field := range line {
			if i == target && !f.Values {
				if field == "" {
					return nil, at(in, i, errors.New("the target is empty"))
				}
				labels = append(labels, field)
				continue
			}
			v, err := strconv.ParseFloat(field, 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, at(in, i, fmt.Errorf("%q is no finite number", field))
			}
			if i == target {
				values = append(values, v)
				continue
			}
			if v /= f.Divisor; math.IsInf(v, 0) {
				return nil, at(in, i, fmt.Errorf("%q divided by %v is no finite number", field, f.Divisor))
			}
			x = append(x, v)
		}
		rows++
	}
	if rows == 0 {
		return nil, errors.New("no rows")
	}
	spec := Spec{Field{Float, []int{len(x) / rows}}, Field{Float, []int{1}}}
	y := Column{F64: values}
	if !f.Values {
		t.Classes = classNames(labels)
		index := make(map[string]int)
		for i, name := range t.Classes {
			index[name] = i
		}
		y = Column{Int: make([]int, rows)}
		for i, text := range labels {
			y.Int[i] = index[text]
		}
		spec.Target = Field{Kind: Int}
	}
	t.Table, err = NewTable(rows, spec, Column{F64: x}, y)
	return t, err
}

// at names the place of a field of the line that was read last.
func at(in *csv.Reader, field int, err error) error {
	line, column := in.FieldPos(field)
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// byteOrderMark is U+FEFF in UTF-8.
const byteOrderMark = "\uFEFF"

// skipMark returns the text after a byte-order mark of UTF-8. The marks of other encodings are
// errors: read as UTF-8, each byte of theirs would count as a character.
func skipMark(r io.Reader) (io.Reader, error) {
	if r == nil {
		return nil, errors.New("reader is nil")
	}
	text := bufio.NewReader(r)
	head, err := text.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	for _, e := range []struct{ mark, name string }{
		{"\xff\xfe\x00\x00", "UTF-32"}, {"\x00\x00\xfe\xff", "UTF-32"}, {"\xff\xfe", "UTF-16"}, {"\xfe\xff", "UTF-16"},
	} {
		if strings.HasPrefix(string(head), e.mark) {
			return nil, fmt.Errorf("the text is %s, want UTF-8; convert it first", e.name)
		}
	}
	if strings.HasPrefix(string(head), byteOrderMark) {
		if _, err := text.Discard(len(byteOrderMark)); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// checkText returns an error for a field that would become part of a name although nobody sees it
// there.
func checkText(field string) error {
	switch {
	case strings.Contains(field, "\x00"):
		return errors.New("zero bytes in the text, which is perhaps UTF-16, want UTF-8; convert it first")
	case !utf8.ValidString(field):
		return fmt.Errorf("%q is not UTF-8; convert the text first", field)
	case strings.Contains(field, byteOrderMark):
		return fmt.Errorf("%q has a byte-order mark inside the text", field)
	case strings.Contains(field, "\r"):
		return fmt.Errorf("%q has a carriage return without a line feed, want lines that end in a line feed", field)
	}
	return nil
}

// columnNames returns the names of the feature columns from a header.
func columnNames(in *csv.Reader, line []string, target int) ([]string, error) {
	var names []string
	seen := make(map[string]int)
	for i, name := range line {
		if name == "" {
			return nil, at(in, i, errors.New("the header has no name for the column, which may be an index of the rows"))
		}
		if j, twice := seen[name]; twice {
			return nil, at(in, i, fmt.Errorf("the name %q is that of field %d, too", name, j+1))
		}
		seen[name] = i
		if i != target {
			names = append(names, name)
		}
	}
	return names, nil
}

// classNames returns the distinct texts in order: as whole numbers of any length where all of them
// are, as numbers where all of them are finite, otherwise as texts. Texts of the same number keep
// the order of texts.
func classNames(labels []string) []string {
	names := slices.Clone(labels)
	slices.Sort(names)
	names = slices.Compact(names)
	whole, floats := make(map[string]*big.Int), make(map[string]float64)
	for _, n := range names {
		if v, ok := new(big.Int).SetString(n, 10); ok {
			whole[n] = v
		}
		if v, err := strconv.ParseFloat(n, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			floats[n] = v
		}
	}
	switch len(names) {
	case len(whole):
		slices.SortStableFunc(names, func(a, b string) int { return whole[a].Cmp(whole[b]) })
	case len(floats):
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(floats[a], floats[b]) })
	}
	return names
}
