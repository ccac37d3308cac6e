package weights

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Load reads a safetensors file, in the order of its numbers in the file, and its metadata. Arrays
// of the types F32 and F64 come as they are, and F16 and BF16 as float32, which holds each of their
// numbers exactly; any other type is an error.
//
// A file that [Save] wrote is checked against its digest, so that any change to it is found, and
// its metadata come without the keys that Save adds. Other files, which carry no digest, are
// checked for their form: names that occur twice, descriptions that lack a part or have one too
// many, and arrays that overlap or leave gaps are errors. Faults are of type [*FileError].
func Load(path string) ([]*Array, map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("weights.Load: %w", err)
	}
	arrays, meta, fault := parse(text)
	if fault != "" {
		return nil, nil, fmt.Errorf("weights.Load: %w", &FileError{path, fault})
	}
	return arrays, meta, nil
}

func parse(text []byte) (arrays []*Array, meta map[string]string, fault string) {
	if len(text) < 8 {
		return nil, nil, fmt.Sprintf("%d bytes, too short for a safetensors file", len(text))
	}
	n := binary.LittleEndian.Uint64(text)
	if n > maxHeader {
		return nil, nil, "not a safetensors file: it does not begin with the length of a header"
	}
	if uint64(len(text)-8) < n {
		return nil, nil, fmt.Sprintf("truncated in the header: %d bytes of %d", len(text)-8, n)
	}
	list, meta, err := describe(text[8 : 8+n])
	if err != nil {
		return nil, nil, fmt.Sprintf("not a safetensors file or damaged: header: %v", err)
	}
	data := text[8+n:]
	if arrays, fault = entries(list, data); fault != "" {
		return nil, nil, fault
	}
	if _, signed := meta[sumKey]; !signed && meta[writerKey] != writer {
		return arrays, meta, ""
	}
	if fault := verify(arrays, meta, text[:8+n], data); fault != "" {
		return nil, nil, fault
	}
	delete(meta, writerKey)
	delete(meta, sumKey)
	return arrays, meta, ""
}

// named is an entry with its name.
type named struct {
	name string
	entry
}

// describe reads a header. It goes from token to token, as decoding into a map and structs would
// take the last of several equal names, any case of a key, and null for everything.
func describe(head []byte) (list []named, meta map[string]string, err error) {
	switch {
	case len(head) == 0 || head[0] != '{':
		return nil, nil, errors.New("it does not begin with {")
	case !utf8.Valid(head):
		return nil, nil, errors.New("it is not UTF-8")
	case !json.Valid(head):
		return nil, nil, errors.New("it is not JSON")
	}
	if err := surrogates(head); err != nil {
		return nil, nil, err
	}
	in := &reader{json.NewDecoder(bytes.NewReader(head))}
	in.UseNumber()
	err = in.object(func(name string) error {
		if name == reserved {
			meta = make(map[string]string)
			return in.object(func(key string) error {
				meta[key], err = in.text()
				return err
			})
		}
		e := named{name: name}
		parts := 0
		err := in.object(func(key string) (err error) {
			parts++
			switch key {
			case "dtype":
				e.DType, err = in.text()
			case "shape":
				e.Shape, err = in.numbers()
			case "data_offsets":
				var at []int
				if at, err = in.numbers(); err == nil && len(at) != 2 {
					err = fmt.Errorf("%d offsets, want 2", len(at))
				}
				copy(e.Offsets[:], at)
			default:
				err = errors.New("want dtype, shape and data_offsets")
			}
			return err
		})
		if err == nil && parts != 3 {
			err = errors.New("it lacks one of dtype, shape and data_offsets")
		}
		list = append(list, e)
		return err
	})
	return list, meta, err
}

// reader reads valid JSON of expected kinds.
type reader struct{ *json.Decoder }

// object calls f for each key of an object, with the reader at its value. A key that comes twice is
// an error.
func (r *reader) object(f func(key string) error) error {
	if t, err := r.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%v, want an object", t)
	}
	seen := make(map[string]bool)
	for r.More() {
		key, err := r.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%q comes twice", key)
		}
		seen[key] = true
		if err := f(key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	_, err := r.Token()
	return err
}

func (r *reader) text() (string, error) {
	t, err := r.Token()
	s, ok := t.(string)
	if err != nil || !ok {
		return "", fmt.Errorf("%v, want a text", t)
	}
	return s, nil
}

// numbers reads an array of whole numbers >= 0 that an int holds.
func (r *reader) numbers() ([]int, error) {
	if t, err := r.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%v, want an array", t)
	}
	out := []int{}
	for r.More() {
		t, err := r.Token()
		if err != nil {
			return nil, err
		}
		text, ok := t.(json.Number)
		n, err := strconv.ParseInt(string(text), 10, strconv.IntSize)
		if !ok || err != nil || strings.HasPrefix(string(text), "-") {
			return nil, fmt.Errorf("%v, want whole numbers >= 0", t)
		}
		out = append(out, int(n))
	}
	_, err := r.Token()
	return out, err
}

// surrogates returns an error for half of a pair of escapes such as \ud83d, of which the decoder
// makes a replacement character, so that different names become one.
func surrogates(head []byte) error {
	unit := func(i int) uint64 { // of the escape \uXXXX at i, or 0
		if i+6 > len(head) || head[i] != '\\' || head[i+1] != 'u' {
			return 0
		}
		u, err := strconv.ParseUint(string(head[i+2:i+6]), 16, 16)
		if err != nil {
			return 0
		}
		return u
	}
	for i := 0; i < len(head); i++ {
		if head[i] != '\\' {
			continue
		}
		u := unit(i)
		if u>>10 == 0xd800>>10 && unit(i+6)>>10 == 0xdc00>>10 {
			i += 6 // a pair
		} else if u>>11 == 0xd800>>11 {
			return errors.New("a text has half of a surrogate pair")
		}
		i++ // the escaped sign may be another backslash
	}
	return nil
}

// entries reads the arrays that a header describes.
func entries(list []named, data []byte) ([]*Array, string) {
	// Arrays without numbers lie between others and share their offsets; the order of the header is
	// kept among them.
	slices.SortStableFunc(list, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.Offsets[0], b.Offsets[0]), cmp.Compare(a.Offsets[1], b.Offsets[1]))
	})
	var arrays []*Array
	at := 0
	for _, e := range list {
		size := map[string]int{"F16": 2, "BF16": 2, "F32": 4, "F64": 8}[e.DType]
		if size == 0 {
			return nil, fmt.Sprintf("array %q has dtype %q, want F32, F64, F16 or BF16", e.name, e.DType)
		}
		count, ok := product(e.Shape)
		if !ok {
			return nil, fmt.Sprintf("damaged: array %q has shape %v", e.name, e.Shape)
		}
		from, to := e.Offsets[0], e.Offsets[1]
		if from != at || to-from != count*size {
			return nil, fmt.Sprintf("damaged: array %q of shape %v is at bytes %d to %d, want %d bytes from %d", e.name, e.Shape, from, to, count*size, at)
		}
		if to > len(data) {
			return nil, fmt.Sprintf("truncated: %d bytes of numbers, array %q ends at %d", len(data), e.name, to)
		}
		arrays = append(arrays, decode(e, data[from:to]))
		at = to
	}
	if at != len(data) {
		return nil, fmt.Sprintf("damaged: %d bytes follow the last array", len(data)-at)
	}
	return arrays, ""
}

// decode reads the numbers of an array.
func decode(e named, text []byte) *Array {
	a := New(e.name, e.DType != "F64", e.Shape...)
	switch e.DType {
	case "F16":
		for i := range a.F32 {
			a.F32[i] = half(binary.LittleEndian.Uint16(text[2*i:]))
		}
	case "BF16":
		for i := range a.F32 {
			a.F32[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(text[2*i:])) << 16)
		}
	case "F32":
		for i := range a.F32 {
			a.F32[i] = math.Float32frombits(binary.LittleEndian.Uint32(text[4*i:]))
		}
	case "F64":
		for i := range a.F64 {
			a.F64[i] = math.Float64frombits(binary.LittleEndian.Uint64(text[8*i:]))
		}
	}
	return a
}

// half returns the number of an IEEE 754 binary16: a sign, 5 bits of exponent and 10 of fraction.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zeros and subnormal numbers, multiples of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinities and NaN
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// verify compares a file of this package with its digest.
func verify(arrays []*Array, meta map[string]string, head, data []byte) string {
	if !bytes.Equal(header(arrays, meta), head) {
		return "damaged: the header is not as it was written"
	}
	blank := maps.Clone(meta)
	blank[sumKey] = ""
	sum := sha256.New()
	sum.Write(header(arrays, blank))
	sum.Write(data)
	if got, want := hex.EncodeToString(sum.Sum(nil)), meta[sumKey]; got != want {
		return fmt.Sprintf("damaged: the digest is %s, want %s", got, want)
	}
	return ""
}
