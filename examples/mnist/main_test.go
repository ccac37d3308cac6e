package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/data"
)

// strokes makes n images of 28 by 28 pixels with noise and a bright row at a height that is the
// digit.
func strokes(t *testing.T, n int, seed uint64) *data.Images {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	images := &data.Bytes{Shape: []int{n, 28, 28}, Data: make([]uint8, n*784)}
	labels := &data.Bytes{Shape: []int{n}, Data: make([]uint8, n)}
	for i := range n {
		labels.Data[i] = uint8(i % 10)
		for j := range 784 {
			images.Data[i*784+j] = uint8(rng.IntN(60))
			if j/28 == 4+2*(i%10) {
				images.Data[i*784+j] += 150
			}
		}
	}
	m, err := data.NewImages(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var out, progress bytes.Buffer
	if err := run(context.Background(), &out, &progress, strokes(t, 400, 1), strokes(t, 100, 2), 0, 6, dir); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "test accuracy 1.0000"); got != 2 {
		t.Errorf("%d models read clear strokes, want 2:\n%s", got, out.String())
	}
	for _, name := range []string{"regression.html", "network.html"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(text), "<svg "); got != 3 {
			t.Errorf("%s has %d pictures, want 3", name, got)
		}
	}
}
