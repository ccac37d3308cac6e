package main

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
)

// TestRun: after four passes the losses of embeddings are ahead of the classifier already.
func TestRun(t *testing.T) {
	out := programtest.Dir(t)
	var text bytes.Buffer
	if err := run(context.Background(), &text, 1, 4, out); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, name := range []string{"cross-entropy", "triplet", "NTXent", "SupCon", "InfoNCE", "pixels"} {
		var recall, precision float64
		programtest.Scan(t, text.String(), name+" ", "%f%f", &recall, &precision)
		if recall < .5 || recall > 1 || precision < 1./3 || precision > recall {
			t.Errorf("%s: recall@1 %v, MAP %v", name, recall, precision)
		}
		values[name] = precision
	}
	for _, name := range []string{"triplet", "NTXent", "SupCon", "InfoNCE"} {
		if values[name] < values["cross-entropy"]+worth {
			t.Errorf("%s: MAP %v, that of cross-entropy is %v", name, values[name], values["cross-entropy"])
		}
	}
	programtest.Picture(t, out, "retrieval.png")
}

// TestMeasure: rows in the directions of 0, 10, 25 and 90 degrees, of different lengths. The two
// sevens are the only queries.
func TestMeasure(t *testing.T) {
	rows := []float64{5, 0, .985, .174, 9.06, 4.23, 0, 1}
	for _, c := range []struct {
		shown []int
		want  float64
	}{{[]int{7, 7, 8, 9}, 1}, {[]int{7, 8, 7, 9}, .5}} { // the other seven is the nearest, and the second
		got, err := measure(rows, c.shown)
		if err != nil {
			t.Fatal(err)
		}
		if want := []float64{math.Floor(c.want), c.want}; !slices.Equal(got, want) {
			t.Errorf("%v: recall and precision %v, want %v", c.shown, got, want)
		}
	}
}

func TestImages(t *testing.T) {
	known, err := images(0, 6)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range known.shown {
		if d > 6 {
			t.Fatalf("image %d shows %d", i, d)
		}
	}
	if n := known.Len(); n != 1264 || len(known.pixels) != 64*n {
		t.Errorf("%d training images of %d pixels in all, want 1264 of 64 each", n, len(known.pixels))
	}
}
