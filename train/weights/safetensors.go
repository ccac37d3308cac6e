package weights

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"unicode/utf8"
)

// The metadata that files written by this package carry besides the caller's.
const (
	writerKey = "writer"
	writer    = "surprisal"
	sumKey    = "sha256"
)

// maxHeader is the largest header that the safetensors format allows.
const maxHeader = 100_000_000

// reserved is the name in a header under which the metadata lie.
const reserved = "__metadata__"

// entry describes an array in the header of a file.
type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// A FileError says what is wrong with a file.
type FileError struct {
	Path  string
	Fault string
}

// Error names the file and the fault.
func (e *FileError) Error() string { return e.Path + ": " + e.Fault }

// Save writes arrays and metadata to a safetensors file with [WriteFile]. The names are unique and
// not "__metadata__", names and metadata are UTF-8, and an array holds as many numbers as its shape
// says, which may be none. The keys "writer" and "sha256" of the metadata are set by Save: the
// latter is the digest of everything else in the file.
func Save(path string, arrays []*Array, metadata map[string]string) error {
	if err := checkSave(arrays, metadata); err != nil {
		return fmt.Errorf("weights.Save: %w", err)
	}
	meta := maps.Clone(metadata)
	if meta == nil {
		meta = make(map[string]string)
	}
	meta[writerKey] = writer
	meta[sumKey] = ""
	sum := sha256.New()
	head := header(arrays, meta)
	if len(head) > maxHeader-sha256.Size*2 {
		return fmt.Errorf("weights.Save: names and metadata take %d bytes, want at most %d", len(head), maxHeader)
	}
	sum.Write(head)
	for _, a := range arrays {
		if err := a.write(sum); err != nil {
			return fmt.Errorf("weights.Save: %w", err)
		}
	}
	meta[sumKey] = hex.EncodeToString(sum.Sum(nil))
	err := WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(header(arrays, meta)); err != nil {
			return err
		}
		for _, a := range arrays {
			if err := a.write(w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("weights.Save: %w", err)
	}
	return nil
}

// checkSave returns an error for what a file could not hold, or not give back as it was.
func checkSave(arrays []*Array, metadata map[string]string) error {
	seen := map[string]bool{reserved: true}
	for i, a := range arrays {
		if a == nil {
			return fmt.Errorf("array %d is nil", i)
		}
		if seen[a.Name] || a.Name == "" {
			return fmt.Errorf("name %q is empty, reserved or used twice", a.Name)
		}
		seen[a.Name] = true
		if !utf8.ValidString(a.Name) {
			return fmt.Errorf("name %q is not UTF-8", a.Name)
		}
		size, ok := product(a.Shape)
		if !ok {
			return fmt.Errorf("%q has shape %v, want dimensions >= 0 and a product that can be stored", a.Name, a.Shape)
		}
		if (a.F32 == nil) == (a.F64 == nil) {
			return fmt.Errorf("%q has both float32 and float64 numbers or neither, want one of them", a.Name)
		}
		if got := len(a.F32) + len(a.F64); got != size {
			return fmt.Errorf("%q has %d numbers, want %d for shape %v", a.Name, got, size, a.Shape)
		}
	}
	for k, v := range metadata {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return fmt.Errorf("metadata %q: %q is not UTF-8", k, v)
		}
	}
	return nil
}

// product returns the size of a shape, and whether its dimensions and its length in bytes make
// sense.
func product(shape []int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt/8/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// header returns everything before the numbers: the length of the description, and the description
// as JSON in the order of the arrays, padded to a multiple of 8 bytes.
func header(arrays []*Array, meta map[string]string) []byte {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	quote := func(v any) {
		text, err := json.Marshal(v)
		if err != nil { // strings, ints and a struct of them always marshal
			panic(err)
		}
		b.Write(text)
	}
	b.WriteString(`{"` + reserved + `":`)
	quote(meta) // Go sorts the keys
	at := 0
	for _, a := range arrays {
		size, dtype := 4, "F32"
		if !a.Single() {
			size, dtype = 8, "F64"
		}
		shape := a.Shape
		if shape == nil {
			shape = []int{}
		}
		end := at + size*a.Size()
		b.WriteByte(',')
		quote(a.Name)
		b.WriteByte(':')
		quote(entry{dtype, shape, [2]int{at, end}})
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	out := b.Bytes()
	binary.LittleEndian.PutUint64(out, uint64(len(out)-8))
	return out
}

// write writes the numbers in little-endian order.
func (a *Array) write(w io.Writer) error {
	const piece = 4096
	var buf []byte
	for i := 0; i < len(a.F32); i += piece {
		buf = buf[:0]
		for _, v := range a.F32[i:min(i+piece, len(a.F32))] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	for i := 0; i < len(a.F64); i += piece {
		buf = buf[:0]
		for _, v := range a.F64[i:min(i+piece, len(a.F64))] {
			buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}
