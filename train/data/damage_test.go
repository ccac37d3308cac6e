package data

import (
	"bytes"
	"compress/gzip"
	"slices"
	"testing"
)

// damaged calls f with every truncation of a text and every flip of one of its bits.
func damaged(text []byte, f func(bad []byte, cut bool)) {
	for i := range text {
		f(text[:i:i], true)
		for bit := range 8 {
			bad := slices.Clone(text)
			bad[i] ^= 1 << bit
			f(bad, false)
		}
	}
}

// TestDamagedIDX: a file that is cut is refused, and what is taken of one with a flipped bit says
// what the file says. A packed one is refused or unpacks to what it was.
func TestDamagedIDX(t *testing.T) {
	plain := []byte("\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x02abcdefghijkl")
	damaged(plain, func(bad []byte, cut bool) {
		b, err := IDX(bytes.NewReader(bad))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WriteIDX(&again, b); err != nil || cut || !bytes.Equal(again.Bytes(), bad) {
			t.Errorf("%q was read and is written as %q, %v", bad, again.Bytes(), err)
		}
	})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	damaged(packed.Bytes(), func(bad []byte, cut bool) {
		b, err := IDX(bytes.NewReader(bad))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WriteIDX(&again, b); err != nil || cut || !bytes.Equal(again.Bytes(), plain) {
			t.Errorf("packed %q was read as %q, %v", bad, again.Bytes(), err)
		}
	})
}

// TestDamagedCSV: no damage makes the reader panic, and what it takes is finite, named and
// labelled.
func TestDamagedCSV(t *testing.T) {
	for _, text := range []string{"\ufeffheight,\"wing, left\",kind\n1.5,-2e3,cat\n2,0.25,\"dog\"\n-0,7,cat\n", "1;2\r\n\"3\";4\r\n"} {
		for _, f := range []CSVFormat{{Header: true, Target: -1}, {Target: 0, Divisor: 255}, {Target: 1, Comma: ';'}} {
			damaged([]byte(text), func(bad []byte, _ bool) { checkCSV(t, string(bad), f) })
		}
	}
}
