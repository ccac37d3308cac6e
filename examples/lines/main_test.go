package main

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/programtest"
	"github.com/surprisal-go/surprisal/train/data"
)

func TestRun(t *testing.T) {
	out := programtest.Dir(t)
	var text bytes.Buffer
	if err := run(context.Background(), &text, io.Discard, 1, 500, 100, 8, out); err != nil {
		t.Fatal(err)
	}
	// A fifth of what the program trains for leaves three times its errors.
	for _, name := range []string{"most likely path", "beam of 8"} {
		var rate float64
		programtest.Scan(t, text.String(), name, "character error rate %f%%", &rate)
		if rate > 20 {
			t.Errorf("%s: %v%% of the digits are read wrong", name, rate)
		}
	}
	programtest.Picture(t, out, "lines.png")
}

// TestLines: a line is its digits, in order, between paper.
func TestLines(t *testing.T) {
	images, labels, err := digits.Images()
	if err != nil {
		t.Fatal(err)
	}
	// Images that are all ink, as dark as their digit, so that a line can be read by eye.
	for i := range images {
		for k := range images[i] {
			images[i][k] = float64(1+labels[i]) / 10
		}
	}
	l, err := newLines(func(bool) ([][]float64, []int, error) { return images, labels, nil }, true, 1, 50)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range l.pixels {
		var read []int
		for x := 0; x < longest+2*margin; x++ {
			if ink := p[x]; ink > 0 {
				read = append(read, int(10*ink+0.5)-1)
				for y := range digits.Side {
					for k := range digits.Side {
						if at := p[y*(longest+2*margin)+x+k]; at != ink {
							t.Fatalf("line %d: pixel %v beside %v of one digit", i, at, ink)
						}
					}
				}
				x += digits.Side - 1
				if end := x + 1 - margin; end > l.columns[i] || end+widest < l.columns[i] && len(read) == len(l.digits[i]) {
					t.Fatalf("line %d: a digit ends at %d of %d columns", i, end, l.columns[i])
				}
			}
		}
		if !slices.Equal(read, l.digits[i]) || len(read) < fewest || len(read) > most {
			t.Fatalf("line %d is %v, want %v", i, read, l.digits[i])
		}
	}
	b := data.NewBatch(l.records.Fields(), 1, false)
	if err := b.Fill(l.records, []int{7}); err != nil {
		t.Fatal(err)
	}
	if n := b.Out["length"].Int[0]; !slices.Equal(b.In["line"].F64, l.pixels[7]) || !slices.Equal(b.Out["digits"].Int[:n], l.digits[7]) ||
		b.Out["columns"].Int[0] != l.columns[7] {
		t.Errorf("the records have another line 7")
	}
}

func TestFaults(t *testing.T) {
	programtest.NoDirectory(t, func(out string) error { return run(context.Background(), io.Discard, io.Discard, 0, 2, 2, 1, out) })
}
