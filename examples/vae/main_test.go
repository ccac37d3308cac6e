package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
)

func TestRun(t *testing.T) {
	out := programtest.Dir(t)
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
		img := programtest.Picture(t, out, name+".png")
		if b := img.Bounds(); b.Dx() != size[0] || b.Dy() != size[1] {
			t.Errorf("%s has %v pixels, want %v", name, b, size)
		}
	}
}

func TestFaults(t *testing.T) {
	programtest.NoDirectory(t, func(out string) error { return run(context.Background(), io.Discard, io.Discard, 0, 1, out) })
}
