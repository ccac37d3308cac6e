package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/safetensors"
)

func sample() []*Array {
	return []*Array{
		{Name: "a.weight", Shape: []int{2, 3},
			F32: []float32{1, -2, float32(math.Inf(1)), 1e-45, 0, float32(math.Copysign(0, -1))}},
		{Name: "a.bias", Shape: []int{3}, F32: []float32{1, 2, 3}},
		{Name: "umlaut \"ä\" <&>", Shape: []int{2}, F64: []float64{math.Pi, math.NaN()}},
		{Name: "scalar", Shape: []int{}, F64: []float64{7}},
	}
}

func same(t *testing.T, got, want []*Array) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d arrays, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Name != w.Name || !slices.Equal(g.Shape, w.Shape) {
			t.Errorf("array %d is %q %v, want %q %v", i, g.Name, g.Shape, w.Name, w.Shape)
		}
		for k := range w.F32 {
			if math.Float32bits(g.F32[k]) != math.Float32bits(w.F32[k]) {
				t.Errorf("%q differs at %d: %v, want %v", w.Name, k, g.F32[k], w.F32[k])
			}
		}
		for k := range w.F64 {
			if math.Float64bits(g.F64[k]) != math.Float64bits(w.F64[k]) {
				t.Errorf("%q differs at %d: %v, want %v", w.Name, k, g.F64[k], w.F64[k])
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, sample(), map[string]string{"note": "x"}); err != nil {
		t.Fatal(err)
	}
	got, meta, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, sample())
	if len(meta) != 1 || meta["note"] != "x" {
		t.Errorf("metadata %v", meta)
	}
	if err := Save(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got, _, err := Load(path); err != nil || len(got) != 0 {
		t.Errorf("no arrays: %v, %v", got, err)
	}
}

// TestIndependentReader reads a file with another implementation of the format.
func TestIndependentReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, sample(), map[string]string{"note": "x"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := safetensors.Deserialize(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range sample() {
		v, ok := st.Tensor(a.Name)
		if !ok {
			t.Fatalf("the other reader does not find %q in %q", a.Name, st.Names())
		}
		var raw bytes.Buffer
		if err := a.write(&raw); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Data(), raw.Bytes()) || len(v.Shape()) != len(a.Shape) {
			t.Errorf("the other reader has %q of shape %v, want %v, or other bytes", a.Name, v.Shape(), a.Shape)
		}
	}
}

// TestEveryBit flips each bit of a file and cuts it at each length: all of it is an error that
// names the file.
func TestEveryBit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, sample(), map[string]string{"note": "x"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		for bit := range 8 {
			bad := slices.Clone(text)
			bad[i] ^= 1 << bit
			if _, _, fault := parse(bad); fault == "" {
				t.Errorf("bit %d of byte %d (%q) flipped: no error", bit, i, text[i])
			}
		}
		if _, _, fault := parse(text[:i]); fault == "" {
			t.Errorf("cut after %d of %d bytes: no error", i, len(text))
		}
	}
	if err := os.WriteFile(path, text[:len(text)-3], 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err = Load(path)
	var fe *FileError
	if !errors.As(err, &fe) || fe.Path != path || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("error %v, want a FileError of %s that says truncated", err, path)
	}
}

func TestForeignFiles(t *testing.T) {
	file := func(header string, data int) []byte {
		out := make([]byte, 8, 8+len(header)+data)
		out[0], out[1] = byte(len(header)), byte(len(header)>>8)
		return append(append(out, header...), make([]byte, data)...)
	}
	one, err := json.Marshal(map[string]any{"w": map[string]any{"dtype": "F32", "shape": []int{2}, "data_offsets": []int{0, 8}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, fault := parse(file(string(one), 8)); fault != "" || len(got) != 1 || got[0].Size() != 2 {
		t.Errorf("a file of another writer: %v %q", got, fault)
	}
	for name, text := range map[string][]byte{
		"png":      []byte("\x89PNG\r\n\x1a\n and more"),
		"empty":    {},
		"json":     []byte(`{"w": 1}`),
		"dtype":    file(`{"w":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}`, 4),
		"negative": file(`{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8),
		"huge":     file(`{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0),
		"overlap":  file(`{"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12),
		"trailing": file(string(one), 9),
		"outside":  file(string(one), 7),
		"no list":  file(`[1]`, 0),
	} {
		if _, _, fault := parse(text); fault == "" {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWriteFileKeepsTheEarlier: when writing fails the earlier file is there and nothing else is.
func TestWriteFileKeepsTheEarlier(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put := func(text string, err error) error {
		return WriteFile(path, func(w io.Writer) error {
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			return err
		})
	}
	if err := put("first", nil); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	if err := put(strings.Repeat("second", 1<<16), full); !errors.Is(err, full) {
		t.Errorf("error %v, want that of the writer", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "first" {
		t.Errorf("file holds %.20q, %v, want the first text", text, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("directory holds %v, %v, want one file", list, err)
	}
	if err := WriteFile(filepath.Join(dir, "f", "g"), func(io.Writer) error { return nil }); err == nil {
		t.Error("no error for a directory that is a file")
	}
}

func TestSaveErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	for _, a := range [][]*Array{
		{{Name: "", Shape: []int{1}, F32: []float32{1}}},
		{{Name: "__metadata__", Shape: []int{1}, F32: []float32{1}}},
		{{Name: "a", Shape: []int{1}, F32: []float32{1}}, {Name: "a", Shape: []int{1}, F32: []float32{1}}},
		{{Name: "a", Shape: []int{2}, F32: []float32{1}}},
	} {
		if err := Save(path, a, nil); err == nil {
			t.Errorf("no error for %+v", a[0])
		}
	}
}
