package main

import (
	"bytes"
	"context"
	"image"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
)

// TestRun: 18 steps are enough for the losses of overlap to find something.
func TestRun(t *testing.T) {
	out := programtest.Dir(t)
	var text bytes.Buffer
	if err := run(context.Background(), &text, 1, 60, 6, out); err != nil {
		t.Fatal(err)
	}
	for _, l := range losses {
		var best, v float64
		programtest.Scan(t, text.String(), l.Name+" ", "%f%f", &best, &v)
		// A tenth of the pixels are of digits: who marks all has an overlap of 0.1. Cross-entropy may
		// still mark none.
		if v < .15 && l.Name != "cross-entropy" || v < 0 || v > 1 {
			t.Errorf("%s: IoU %v", l.Name, v)
		}
	}
	if got, want := programtest.Picture(t, out, "segmentation.png").Bounds().Size(), image.Pt(6*(6*17+1), 6*(8*17+1)); got != want {
		t.Errorf("the picture has %v pixels, want %v", got, want)
	}
}

// TestScenes: a tenth of the pixels are of digits, and those are brighter than the others.
func TestScenes(t *testing.T) {
	ds, err := scenes(1, 300, false)
	if err != nil {
		t.Fatal(err)
	}
	var sum, count [2]float64
	for i := range ds.Len() {
		for k, y := range ds.Target(i).Int {
			sum[y] += float64(ds.Input(i).F32[k])
			count[y]++
		}
	}
	share, light := count[1]/(count[0]+count[1]), sum[1]/count[1]
	// The mean of 7,000 pixels of noise .6 is known to .01; strokes are between ink and 1 on it.
	if dark := sum[0] / count[0]; share < .07 || share > .13 || light < ink || light > 1 || dark > .1 {
		t.Errorf("%.3f of the pixels are of digits, %.3f bright", share, light)
	}
}
