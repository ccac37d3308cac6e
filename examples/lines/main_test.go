package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/train/data"
)

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "made", "by the program")
	var text bytes.Buffer
	if err := run(context.Background(), &text, io.Discard, 1, 500, 100, 8, out); err != nil {
		t.Fatal(err)
	}
	// A fifth of what the program trains for leaves three times its errors.
	for _, name := range []string{"most likely path", "beam of 8"} {
		_, rest, _ := strings.Cut(text.String(), "\n"+name)
		var rate float64
		if _, err := fmt.Sscanf(strings.TrimSpace(rest), "character error rate %f%%", &rate); err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, text.String())
		}
		if rate > 20 {
			t.Errorf("%s: %v%% of the digits are read wrong", name, rate)
		}
	}
	f, err := os.Open(filepath.Join(out, "lines.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
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
	l, err := newLines(images, labels, true, 1, 50)
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
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var pathError *os.PathError
	if err := run(context.Background(), io.Discard, io.Discard, 0, 2, 2, 1, filepath.Join(file, "below")); !errors.As(err, &pathError) {
		t.Errorf("a directory below a file: got the error %v, want a path error", err)
	}
}
