package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
)

func TestRun(t *testing.T) {
	out := programtest.Dir(t)
	var text bytes.Buffer
	const updates = 60
	if err := run(context.Background(), &text, 1, updates, out); err != nil {
		t.Fatal(err)
	}
	line := func(name string) (transport, bits float64) {
		programtest.Scan(t, text.String(), name, "%f%f", &transport, &bits)
		return transport, bits
	}
	// What the program is there to show: the generated images come near the true ones, and are of
	// several classes. True images are nearer still, and have all classes alike.
	before, _ := line("generated, 0 updates")
	after, bits := line(fmt.Sprintf("generated, %d updates", updates))
	other, all := line("other training images")
	if after > 0.7*before || bits < 1.5 || other > after || math.Abs(all-math.Log2(10)) > 0.02 {
		t.Errorf("the generator has learned too little, or the measure is wrong:\n%s", text.String())
	}
	for name, height := range map[string]int{"generated": 230, "stages": 230} {
		img := programtest.Picture(t, out, name+".png")
		if b := img.Bounds(); b.Dx() != 905 || b.Dy() != height {
			t.Errorf("%s has %v pixels", name, b)
		}
	}
}

// TestSame: a game is decided by its seed.
func TestSame(t *testing.T) {
	images := [][]float64{make([]float64, pixels), make([]float64, pixels)}
	images[1][5] = 1
	var first [][]float64
	for range 2 {
		g, err := newGame(images, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		for range 3 {
			if _, err := g.play(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		generated, err := g.generated(context.Background(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = generated
		} else if fmt.Sprint(first) != fmt.Sprint(generated) {
			t.Error("two games of one seed differ")
		}
	}
}

func TestFaults(t *testing.T) {
	programtest.NoDirectory(t, func(out string) error { return run(context.Background(), io.Discard, 0, 4, out) })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g, err := newGame([][]float64{make([]float64, pixels)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.play(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a game that was cancelled: got the error %v", err)
	}
}
