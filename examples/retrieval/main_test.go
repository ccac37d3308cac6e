package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun: after four passes the losses of embeddings are ahead of the classifier already.
func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "made", "by the program")
	var text bytes.Buffer
	if err := run(context.Background(), &text, 1, 4, out); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, name := range []string{"cross-entropy", "triplet", "NTXent", "SupCon", "InfoNCE", "pixels"} {
		_, line, _ := strings.Cut(text.String(), "\n"+name+" ")
		var recall, precision float64
		if _, err := fmt.Sscanf(line, "%f%f", &recall, &precision); err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, text.String())
		}
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
	f, err := os.Open(filepath.Join(out, "retrieval.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
}

// TestMeasure: rows in the directions of 0, 10, 25 and 90 degrees, of different lengths. The two
// sevens are the only queries.
func TestMeasure(t *testing.T) {
	rows := []float64{5, 0, .985, .174, 9.06, 4.23, 0, 1}
	for _, c := range []struct {
		shown []int
		want  float64
	}{{[]int{7, 7, 8, 9}, 1}, {[]int{7, 8, 7, 9}, .5}} { // the other seven is the nearest, and the second
		recall, precision, err := gallery{shown: c.shown}.measure(rows)
		if err != nil {
			t.Fatal(err)
		}
		if recall != math.Floor(c.want) || precision != c.want {
			t.Errorf("%v: recall %v, precision %v, want %v and %v", c.shown, recall, precision, math.Floor(c.want), c.want)
		}
	}
}

func TestImages(t *testing.T) {
	known, err := images(0, 6)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range known.shown {
		if d > 6 || len(known.pixels[i]) != 64 {
			t.Fatalf("image %d shows %d in %d pixels", i, d, len(known.pixels[i]))
		}
	}
	if n := len(known.shown); n != 1264 {
		t.Errorf("%d training images, want 1264", n)
	}
}
