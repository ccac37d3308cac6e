package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file returns a safetensors file of a header and numbers.
func file(header string, data ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

// empties are arrays without numbers in every place: first, last, and between others with whose
// offsets theirs agree.
func empties() []*Array {
	return []*Array{
		New("z", true, 0), {Name: "m", Shape: []int{1}, F32: []float32{1}}, New("b", false, 3, 0), New("a", true, 0, 5),
		{Name: "c", Shape: []int{2}, F64: []float64{2, 3}}, New("last", false, 0),
	}
}

func TestEmptyArrays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for _, list := range [][]*Array{empties(), {New("only", true, 0)}} {
		if err := Save(path, list, nil); err != nil {
			t.Fatal(err)
		}
		got, _, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, list)
		for i, a := range got {
			if a.Single() != list[i].Single() {
				t.Errorf("%q is %s, want %s", a.Name, a.dtype(), list[i].dtype())
			}
		}
	}
}

// small returns little files of other writers and of this package.
func small(t *testing.T) map[string][]byte {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	files := map[string][]byte{
		"foreign": file(`{"__metadata__":{"format":"pt"},"ab":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},`+
			`"e":{"dtype":"F64","shape":[0,3],"data_offsets":[8,8]},"h":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},`+
			`"g":{"dtype":"BF16","shape":[1],"data_offsets":[14,16]}}`, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0x3c, 0,
			0xc0, 1, 0, 0x80, 0x3f),
		"bare":  file(`{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}   `, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f),
		"empty": file(`{}`),
	}
	for name, list := range map[string][]*Array{"ours": empties(), "ours without arrays": nil} {
		if err := Save(path, list, map[string]string{"k": "v"}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	return files
}

// TestDamage cuts small files at every length and flips every bit of them. A file of this package
// is refused whatever happens to it. Another one is refused too, unless the change makes another
// valid file: then the numbers that did not change, their type and shape are as before, and what
// differs is a name, the metadata, the number with the changed bit or a dimension of an array
// without numbers.
func TestDamage(t *testing.T) {
	for name, text := range small(t) {
		ours := strings.HasPrefix(name, "ours")
		want, _, fault := parse(text)
		if fault != "" {
			t.Fatalf("%s: %s", name, fault)
		}
		head := 8 + int(binary.LittleEndian.Uint64(text))
		for i := range text {
			if _, _, fault := parse(text[:i]); fault == "" {
				t.Errorf("%s: cut after %d of %d bytes: no error", name, i, len(text))
			}
			for bit := range 8 {
				bad := slices.Clone(text)
				bad[i] ^= 1 << bit
				got, _, fault := parse(bad)
				if fault != "" {
					continue
				}
				if ours {
					t.Errorf("%s: bit %d of byte %d flipped: no error", name, bit, i)
					continue
				}
				if err := alike(got, want, i >= head); err != nil {
					t.Errorf("%s: bit %d of byte %d (%q) flipped: %v", name, bit, i, text[i], err)
				}
			}
		}
	}
}

// alike compares the arrays of a damaged file with those of the whole one; of their numbers one may
// differ where the numbers were damaged.
func alike(got, want []*Array, numbers bool) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d arrays, want %d", len(got), len(want))
	}
	changed := 0
	for i, w := range want {
		g := got[i]
		if g.Size() != w.Size() || w.Size() > 0 && (!slices.Equal(g.Shape, w.Shape) || g.Single() != w.Single()) {
			return fmt.Errorf("array %d is %s %v, want %s %v", i, g.dtype(), g.Shape, w.dtype(), w.Shape)
		}
		for k := range w.F32 {
			if math.Float32bits(g.F32[k]) != math.Float32bits(w.F32[k]) {
				changed++
			}
		}
		for k := range w.F64 {
			if math.Float64bits(g.F64[k]) != math.Float64bits(w.F64[k]) {
				changed++
			}
		}
	}
	if changed > 1 || changed == 1 && !numbers {
		return fmt.Errorf("%d numbers changed", changed)
	}
	return nil
}

func TestMalformed(t *testing.T) {
	const w = `"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for name, c := range map[string]struct{ header, want string }{
		"null":                   {`null`, "does not begin with {"},
		"a space before":         {` {` + w + `}`, "does not begin with {"},
		"nothing":                {``, "does not begin with {"},
		"two values":             {`{` + w + `}{}`, "not JSON"},
		"a comma at the end":     {`{` + w + `,}`, "not JSON"},
		"bytes that are no text": {"{\"\xff" + w[1:] + `}`, "not UTF-8"},
		"half a pair":            {`{"\ud800` + w[1:] + `}`, "surrogate"},
		"the second half":        {`{"\udc00` + w[1:] + `}`, "surrogate"},
		"two first halves":       {`{"\ud800\ud800` + w[1:] + `}`, "surrogate"},
		"a name twice":           {`{` + w + `,` + w + `}`, `"w" comes twice`},
		"a name twice, escaped":  {`{` + w + `,"\u0077` + w[2:] + `}`, `"w" comes twice`},
		"metadata twice":         {`{"__metadata__":{},"__metadata__":{},` + w + `}`, "comes twice"},
		"a key twice":            {`{"__metadata__":{"a":"1","a":"2"},` + w + `}`, `"a" comes twice`},
		"metadata null":          {`{"__metadata__":null,` + w + `}`, "want an object"},
		"metadata of null":       {`{"__metadata__":{"a":null},` + w + `}`, "want a text"},
		"metadata of numbers":    {`{"__metadata__":{"a":1},` + w + `}`, "want a text"},
		"array null":             {`{"w":null}`, "want an object"},
		"array a list":           {`{"w":[]}`, "want an object"},
		"one offset":             {`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4]}}`, "1 offsets, want 2"},
		"three offsets":          {`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, "3 offsets, want 2"},
		"offsets null":           {`{"w":{"dtype":"F32","shape":[1],"data_offsets":null}}`, "want an array"},
		"no offsets":             {`{"w":{"dtype":"F32","shape":[1]}}`, "lacks one of"},
		"no shape":               {`{"w":{"dtype":"F32","data_offsets":[0,4]}}`, "lacks one of"},
		"shape null":             {`{"w":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, "want an array"},
		"shape twice": {`{"w":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,4]}}`,
			`"shape" comes twice`},
		"no type":   {`{"w":{"shape":[1],"data_offsets":[0,4]}}`, "lacks one of"},
		"type null": {`{"w":{"dtype":null,"shape":[1],"data_offsets":[0,4]}}`, "want a text"},
		"another key": {`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`,
			"want dtype, shape and data_offsets"},
		"keys in capitals": {`{"w":{"DType":"F32","shape":[1],"data_offsets":[0,4]}}`,
			"want dtype, shape and data_offsets"},
		"a dimension 1.0":       {`{"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, "want whole numbers"},
		"a dimension 1e0":       {`{"w":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}`, "want whole numbers"},
		"a dimension in quotes": {`{"w":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, "want whole numbers"},
		"a dimension -0":        {`{"w":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}`, "want whole numbers"},
		"a negative offset":     {`{"w":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, "want whole numbers"},
		"a number beyond 64 bits": {`{"w":{"dtype":"F32","shape":[18446744073709551617],"data_offsets":[0,4]}}`,
			"want whole numbers"},
		"offsets backwards":     {`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, "at bytes 4 to 0"},
		"a gap":                 {`{"w":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, "at bytes 4 to 4"},
		"an empty one inside":   {`{` + w + `,"e":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}}`, "at bytes 2 to 2"},
		"two of the same bytes": {`{` + w + `,"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "at bytes 0 to 4"},
		"a product that is 0":   {`{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, "shape"},
	} {
		if _, _, fault := parse(file(c.header, 0, 0, 0x80, 0x3f)); !strings.Contains(fault, c.want) {
			t.Errorf("%s: fault %q, want one with %q", name, fault, c.want)
		}
	}
	// A pair of escapes, and a backslash before a u, are no halves.
	for header, want := range map[string]string{`{"\ud83d\ude00` + w[1:] + `}`: "\U0001F600w", `{"\\ud800` + w[1:] + `}`: `\ud800w`} {
		got, _, fault := parse(file(header, 0, 0, 0x80, 0x3f))
		if fault != "" || got[0].Name != want || got[0].F32[0] != 1 {
			t.Errorf("%s: %v, fault %q, want the name %q", header, got, fault, want)
		}
	}
	// What other writers call "writer" is theirs.
	_, meta, fault := parse(file(`{"__metadata__":{"writer":"someone"},`+w+`}`, 0, 0, 0x80, 0x3f))
	if fault != "" || meta["writer"] != "someone" {
		t.Errorf("metadata %v, fault %q", meta, fault)
	}
}

// TestHalf: the numbers are from the definition (IEEE 754-2019, 3.4): 1 + 2^-10 follows 1, the
// largest is (2 - 2^-10)·2^15 = 65504, the smallest normal one 2^-14 and the smallest 2^-24;
// bfloat16 is the upper half of a float32.
func TestHalf(t *testing.T) {
	inf := float32(math.Inf(1))
	list := []struct {
		half, brain uint16
		h, b        float32
	}{
		{0x0000, 0x0000, 0, 0}, {0x8000, 0x8000, float32(math.Copysign(0, -1)), float32(math.Copysign(0, -1))},
		{0x3c00, 0x3f80, 1, 1}, {0x3c01, 0x3f81, 1 + 0x1p-10, 1 + 0x1p-7}, {0xc000, 0xc000, -2, -2},
		{0x7bff, 0x7f7f, 65504, 0x1.fep127}, {0x0400, 0x0080, 0x1p-14, 0x1p-126}, {0x0001, 0x0001, 0x1p-24, 0x1p-133},
		{0x83ff, 0x807f, -0x1.ff8p-15, -0x1.fcp-127}, {0x7c00, 0x7f80, inf, inf}, {0xfc00, 0xff80, -inf, -inf},
	}
	var data []byte
	for _, c := range list {
		data = binary.LittleEndian.AppendUint16(data, c.half)
	}
	for _, c := range list {
		data = binary.LittleEndian.AppendUint16(data, c.brain)
	}
	n := len(list)
	header := fmt.Sprintf(`{"h":{"dtype":"F16","shape":[%d],"data_offsets":[0,%d]},"b":{"dtype":"BF16","shape":[1,%d],"data_offsets":[%d,%d]}}`, n, 2*n, n, 2*n, 4*n)
	path := filepath.Join(t.TempDir(), "half.safetensors")
	if err := os.WriteFile(path, file(header, data...), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range list {
		for _, p := range []struct{ got, want float32 }{{got[0].F32[i], c.h}, {got[1].F32[i], c.b}} {
			if math.Float32bits(p.got) != math.Float32bits(p.want) {
				t.Errorf("%04x or %04x is %v, want %v", c.half, c.brain, p.got, p.want)
			}
		}
	}
	if v := half(0x7e00); v == v {
		t.Errorf("7e00 is %v, want NaN", v)
	}
	// Every number of 16 bits is exact: adding its parts as a float64 gives it again.
	for h := range 1 << 16 {
		e, f := h>>10&0x1f, float64(h&0x3ff)
		want := math.Ldexp(1+f/1024, e-15)
		switch e {
		case 0:
			want = math.Ldexp(f, -24)
		case 0x1f:
			continue
		}
		if h>>15 == 1 {
			want = -want
		}
		if v := float64(half(uint16(h))); v != want {
			t.Fatalf("%04x is %v, want %v", h, v, want)
		}
	}
}

func TestSaveRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	one := []float32{1}
	for _, c := range []struct {
		name string
		list []*Array
		meta map[string]string
		want string
	}{
		{"nil", []*Array{{Name: "a", Shape: []int{1}, F32: one}, nil}, nil, "array 1 is nil"},
		{"name", []*Array{{Name: "\xff", Shape: []int{1}, F32: one}}, nil, `name "\xff" is not UTF-8`},
		{"negative", []*Array{{Name: "a", Shape: []int{-1, -1}, F32: one}}, nil, "has shape [-1 -1]"},
		{"overflow", []*Array{{Name: "a", Shape: []int{math.MaxInt/2 + 1, 4}, F32: []float32{}}}, nil, "has shape"},
		{"no numbers", []*Array{{Name: "a", Shape: []int{0}}}, nil, "or neither"},
		{"both", []*Array{{Name: "a", Shape: []int{1}, F32: one, F64: []float64{}}}, nil, "both float32 and float64"},
		{"key", nil, map[string]string{"\xff": "v"}, "not UTF-8"},
		{"value", nil, map[string]string{"k": "\xff"}, "not UTF-8"},
	} {
		if err := Save(path, c.list, c.meta); err == nil || !strings.HasPrefix(err.Error(), "weights.Save: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file is there: %v", c.name, err)
		}
	}
}

// TestWriteFileTargets: only regular files are replaced, and they keep their permissions.
func TestWriteFileTargets(t *testing.T) {
	dir := t.TempDir()
	put := func(name string) error {
		return WriteFile(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := io.WriteString(w, "new")
			return err
		})
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"link": "file", "to nothing": "nowhere", "to socket": "socket"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"socket": "not a regular file", "directory": "not a regular file", "to socket": "not a regular file", "to nothing": "no such file"} {
		if err := put(name); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	if err := put("link"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil || string(text) != "new" {
		t.Errorf("the file of a link holds %q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "file")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a private file has become %v, %v", info.Mode(), err)
	}
	after, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(before, after, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() && a.Type() == b.Type() }) {
		t.Errorf("the directory held %v and holds %v", before, after)
	}
	if err := WriteFile(filepath.Join(dir, "x"), nil); err == nil {
		t.Error("nothing to write with: no error")
	}
}

// FuzzLoad: no text makes the reader panic, and what it takes can be written and read again.
func FuzzLoad(f *testing.F) {
	f.Add(file(`{"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}`, 0, 0x3c))
	f.Add(file(`{"__metadata__":{"a":"b"},"e":{"dtype":"F64","shape":[0],"data_offsets":[0,0]}}`))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, meta, fault := parse(text)
		if fault != "" || slices.ContainsFunc(list, func(a *Array) bool { return a.Name == "" }) {
			return
		}
		path := filepath.Join(t.TempDir(), "w")
		if err := Save(path, list, meta); err != nil {
			t.Fatal(err)
		}
		again, _, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, list)
	})
}
