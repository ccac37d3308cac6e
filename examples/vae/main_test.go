package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "made", "by the program")
	var text bytes.Buffer
	if err := run(context.Background(), &text, io.Discard, 1, 40, out); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text.String(), "nats per test image: ")
	var bound, image, code, alone, least float64
	_, err := fmt.Sscanf(rest, "%f (%f for the pixels, %f for the code); %f with each pixel by itself;\n%f are", &bound, &image, &code, &alone, &least)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text.String())
	}
	// What the program is there to show: the code pays for itself, and is used at all.
	if bound > alone-0.5 || bound < least || code < 1 || math.Abs(image+code-bound) > 0.011 {
		t.Errorf("the model has learned too little, or too much to be true:\n%s", text.String())
	}
	for name, size := range map[string][2]int{"samples": {455, 455}, "reconstructions": {905, 95}, "between": {545, 365}} {
		f, err := os.Open(filepath.Join(out, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		img, err := png.Decode(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b := img.Bounds(); b.Dx() != size[0] || b.Dy() != size[1] {
			t.Errorf("%s has %v pixels, want %v", name, b, size)
		}
	}
}

func TestImages(t *testing.T) {
	logits := make([]float32, 2*pixels)
	logits[pixels] = float32(math.Inf(1))
	if got := images(logits); len(got) != 2 || got[0][0] != 0.5 || got[1][0] != 1 || got[1][1] != 0.5 {
		t.Errorf("probabilities %v", got)
	}
}

func TestFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var pathError *os.PathError
	if err := run(context.Background(), io.Discard, io.Discard, 0, 1, filepath.Join(file, "below")); !errors.As(err, &pathError) {
		t.Errorf("a directory below a file: got the error %v, want a path error", err)
	}
}
