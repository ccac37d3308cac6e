package tensorboard

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// crc32c is the checksum bit by bit, with the reversed polynomial of RFC 3720, appendix B.4.
func crc32c(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0x82f63b78
			} else {
				c >>= 1
			}
		}
	}
	return ^c
}

type scalar struct {
	version string
	step    int64
	wall    float64
	tag     string
	value   float32
}

// parse reads an event file without this package: framing by hand, messages by the wire format of
// the protobuf module.
func parse(text []byte) ([]scalar, error) {
	var out []scalar
	for len(text) > 0 {
		if len(text) < 16 {
			return out, fmt.Errorf("%d bytes left", len(text))
		}
		check := func(b, sum []byte) bool {
			m := binary.LittleEndian.Uint32(sum) - 0xa282ead8
			return m>>17|m<<15 == crc32c(b)
		}
		n := binary.LittleEndian.Uint64(text)
		if !check(text[:8], text[8:]) {
			return out, fmt.Errorf("checksum of the length")
		}
		message := text[12 : 12+n]
		if !check(message, text[12+n:]) {
			return out, fmt.Errorf("checksum of the message")
		}
		text = text[16+n:]
		var s scalar
		if err := fields(message, func(f protowire.Number, v any) error {
			switch f {
			case 1:
				s.wall = math.Float64frombits(v.(uint64))
			case 2:
				s.step = int64(v.(uint64))
			case 3:
				s.version = string(v.([]byte))
			case 5:
				return fields(v.([]byte), func(_ protowire.Number, v any) error {
					return fields(v.([]byte), func(f protowire.Number, v any) error {
						if f == 1 {
							s.tag = string(v.([]byte))
						} else {
							s.value = math.Float32frombits(v.(uint32))
						}
						return nil
					})
				})
			}
			return nil
		}); err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, nil
}

func fields(b []byte, f func(protowire.Number, any) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v any
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			v, n = protowire.ConsumeFixed32(b)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		default:
			return fmt.Errorf("wire type %d", typ)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(num, v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// TestChecksum has the vectors of RFC 3720, appendix B.4.
func TestChecksum(t *testing.T) {
	if got := crc32c(make([]byte, 32)); got != 0x8a9136aa {
		t.Errorf("checksum of 32 zeros is %x", got)
	}
	if got := crc32c([]byte("123456789")); got != 0xe3069283 {
		t.Errorf("checksum of 123456789 is %x", got)
	}
}

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	w, err := NewWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 250000000)
	values := []float64{0.5, -1e30, math.Inf(1), math.NaN(), 3}
	for i, v := range values {
		if err := w.Scalar("loss/übung", i*1000, at, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1+len(values) || got[0].version != "brain.Event:2" {
		t.Fatalf("%d events, the first %+v", len(got), got[0])
	}
	for i, v := range values {
		g := got[i+1]
		if g.tag != "loss/übung" || g.step != int64(i*1000) || g.wall != 1700000000.25 || math.Float32bits(g.value) != math.Float32bits(float32(v)) {
			t.Errorf("event %d is %+v, want value %v", i, g, v)
		}
	}
	again, err := NewWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Path() == w.Path() {
		t.Error("a second writer has the first one's file")
	}
}

// TestHistogram: counts and moments are those of the numbers.
func TestHistogram(t *testing.T) {
	w, err := NewWriter(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v := []float64{-3, -2.95, 0, 0, 0.001, 2.9, 3}
	for i, v := range [][]float64{v, {5, 5}, {-1e308, 1.5e308}, {math.SmallestNonzeroFloat64, 0}} {
		if err := w.Histogram("weights", i, time.Unix(1, 0), v); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range [][]float64{nil, {1, math.NaN()}, {math.Inf(1)}} {
		if err := w.Histogram("weights", 0, time.Unix(1, 0), bad); err == nil {
			t.Errorf("no error for %v", bad)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	var got [][8][]float64
	for pos := 0; pos < len(text); {
		n := int(binary.LittleEndian.Uint64(text[pos:]))
		if err := histogram(text[pos+12:pos+12+n], &got); err != nil {
			t.Fatal(err)
		}
		pos += 16 + n
	}
	if len(got) != 4 {
		t.Fatalf("%d histograms, want 4", len(got))
	}
	h := got[0]
	for field, want := range map[int]float64{1: -3, 2: 3, 3: 7, 4: -0.049, 5: 35.112501} {
		if math.Abs(h[field][0]-want) > 1e-12 {
			t.Errorf("field %d is %v, want %v", field, h[field], want)
		}
	}
	for i, limit := range h[6] { // 30 buckets of width 0.2
		want := map[int]float64{0: 2, 15: 3, 29: 2}[i]
		if math.Abs(limit-(-3+0.2*float64(i+1))) > 1e-12 || h[7][i] != want {
			t.Errorf("bucket %d ends at %v and has %v, want %v", i, limit, h[7][i], want)
		}
	}
	for i, h := range got {
		sum := 0.0
		for _, c := range h[7] {
			sum += c
		}
		if len(h[6]) != len(h[7]) || sum != h[3][0] || h[6][len(h[6])-1] != h[2][0] {
			t.Errorf("histogram %d has %d limits up to %v, counts %v, and %v numbers up to %v", i, len(h[6]),
				h[6][len(h[6])-1], h[7], h[3][0], h[2][0])
		}
	}
}

// histogram appends the fields of a histogram that an event holds, where it holds one.
func histogram(message []byte, all *[][8][]float64) error {
	return fields(message, func(f protowire.Number, v any) error {
		if f != 5 {
			return nil
		}
		return fields(v.([]byte), func(_ protowire.Number, v any) error {
			return fields(v.([]byte), func(f protowire.Number, v any) error {
				if f != 5 {
					return nil
				}
				var h [8][]float64
				err := fields(v.([]byte), func(f protowire.Number, v any) error {
					if one, ok := v.(uint64); ok {
						h[f] = []float64{math.Float64frombits(one)}
						return nil
					}
					for b := v.([]byte); len(b) > 0; b = b[8:] {
						h[f] = append(h[f], math.Float64frombits(binary.LittleEndian.Uint64(b)))
					}
					return nil
				})
				*all = append(*all, h)
				return err
			})
		})
	})
}
