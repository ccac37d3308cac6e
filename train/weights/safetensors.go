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
	"os"
	"slices"
	"strings"
)

// The metadata that files written by this package carry besides the caller's.
const (
	writerKey = "writer"
	writer    = "surprisal"
	sumKey    = "sha256"
)

// maxHeader is the largest header that the safetensors format allows.
const maxHeader = 100_000_000

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

// Save writes arrays and metadata to a safetensors file with [WriteFile]. The names are unique and not "__metadata__". The
// keys "writer" and "sha256" of the metadata are set by Save: the latter is the digest of everything else in the file.
func Save(path string, arrays []*Array, metadata map[string]string) error {
	seen := map[string]bool{"__metadata__": true}
	for _, a := range arrays {
		if seen[a.Name] || a.Name == "" {
			return fmt.Errorf("weights.Save: name %q is empty, reserved or used twice", a.Name)
		}
		seen[a.Name] = true
		if got := len(a.F32) + len(a.F64); got != a.Size() || a.F32 != nil && a.F64 != nil {
			return fmt.Errorf("weights.Save: %q has %d numbers, want %d for shape %v", a.Name, got, a.Size(), a.Shape)
		}
	}
	meta := maps.Clone(metadata)
	if meta == nil {
		meta = make(map[string]string)
	}
	meta[writerKey] = writer
	meta[sumKey] = ""
	sum := sha256.New()
	sum.Write(header(arrays, meta))
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

// header returns everything before the numbers: the length of the description, and the description as JSON in the order of
// the arrays, padded to a multiple of 8 bytes.
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
	b.WriteString(`{"__metadata__":`)
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

// Load reads a safetensors file of float32 and float64 arrays, in the order of their numbers in the file, and its metadata
// without the keys that [Save] adds. A file that Save wrote is checked against its digest, so that any change to it is found;
// other files, which carry none, are checked for their form alone. Faults are of type [*FileError].
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
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text[8:8+n], &raw); err != nil {
		return nil, nil, fmt.Sprintf("not a safetensors file or damaged: header: %v", err)
	}
	if m, ok := raw["__metadata__"]; ok {
		if err := json.Unmarshal(m, &meta); err != nil {
			return nil, nil, fmt.Sprintf("damaged: metadata: %v", err)
		}
		delete(raw, "__metadata__")
	}
	data := text[8+n:]
	if arrays, fault = entries(raw, data); fault != "" {
		return nil, nil, fault
	}
	if fault := verify(arrays, meta, text[:8+n], data); fault != "" {
		return nil, nil, fault
	}
	delete(meta, writerKey)
	delete(meta, sumKey)
	return arrays, meta, ""
}

// entries reads the arrays that a header describes.
func entries(raw map[string]json.RawMessage, data []byte) ([]*Array, string) {
	type named struct {
		name string
		entry
	}
	var list []named
	for name, m := range raw {
		e := named{name: name}
		if err := json.Unmarshal(m, &e.entry); err != nil {
			return nil, fmt.Sprintf("damaged: description of %q: %v", name, err)
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b named) int {
		if d := a.Offsets[0] - b.Offsets[0]; d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	var arrays []*Array
	at := 0
	for _, e := range list {
		size := map[string]int{"F32": 4, "F64": 8}[e.DType]
		if size == 0 {
			return nil, fmt.Sprintf("array %q has dtype %q, want F32 or F64", e.name, e.DType)
		}
		count := 1
		for _, d := range e.Shape {
			if d < 0 || d > 0 && count > math.MaxInt/8/d {
				return nil, fmt.Sprintf("damaged: array %q has shape %v", e.name, e.Shape)
			}
			count *= d
		}
		from, to := e.Offsets[0], e.Offsets[1]
		if from != at || to-from != count*size {
			return nil, fmt.Sprintf("damaged: array %q of shape %v is at bytes %d to %d, want %d bytes from %d", e.name, e.Shape, from, to, count*size, at)
		}
		if to > len(data) {
			return nil, fmt.Sprintf("truncated: %d bytes of numbers, array %q ends at %d", len(data), e.name, to)
		}
		a := New(e.name, size == 4, e.Shape...)
		for i := range a.F32 {
			a.F32[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[from+4*i:]))
		}
		for i := range a.F64 {
			a.F64[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[from+8*i:]))
		}
		arrays = append(arrays, a)
		at = to
	}
	if at != len(data) {
		return nil, fmt.Sprintf("damaged: %d bytes follow the last array", len(data)-at)
	}
	return arrays, ""
}

// verify compares a file of this package with its digest.
func verify(arrays []*Array, meta map[string]string, head, data []byte) string {
	want, signed := meta[sumKey]
	if !signed && meta[writerKey] != writer {
		return ""
	}
	if !bytes.Equal(header(arrays, meta), head) {
		return "damaged: the header is not as it was written"
	}
	blank := maps.Clone(meta)
	blank[sumKey] = ""
	sum := sha256.New()
	sum.Write(header(arrays, blank))
	sum.Write(data)
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Sprintf("damaged: the digest is %s, want %s", got, want)
	}
	return ""
}
