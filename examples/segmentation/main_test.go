package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/metric"
)

// TestRun: 18 steps are enough for the losses of overlap to find something.
func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "made", "by the program")
	var text bytes.Buffer
	if err := run(context.Background(), &text, 1, 60, 6, out); err != nil {
		t.Fatal(err)
	}
	for _, l := range losses {
		_, line, _ := strings.Cut(text.String(), "\n"+l.name+" ")
		var v float64
		if _, err := fmt.Sscan(line, &v); err != nil {
			t.Fatalf("%s: %v in\n%s", l.name, err, text.String())
		}
		// A tenth of the pixels are of digits: who marks all has an overlap of 0.1. Cross-entropy may
		// still mark none.
		if v < .15 && l.name != "cross-entropy" || v < 0 || v > 1 {
			t.Errorf("%s: IoU %v", l.name, v)
		}
	}
	f, err := os.Open(filepath.Join(out, "segmentation.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
}

// TestMasks holds the overlap against package metric's, and the threshold against all others.
func TestMasks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var m masks
	for range 500 {
		y := r.IntN(2)
		m.truth, m.margins = append(m.truth, y), append(m.margins, r.NormFloat64()+float64(y)-2)
	}
	iou := metric.NewIoU(2, metric.Positive)
	if err := iou.Update(metric.Batch{Width: 1, Scores: m.margins, Labels: m.truth}); err != nil {
		t.Fatal(err)
	}
	if got := m.iou(0); got != iou.Value() {
		t.Errorf("IoU %v, want %v", got, iou.Value())
	}
	best := m.threshold()
	for _, v := range m.margins {
		// Between two steps of a tenth lie a few of 500 margins, each of which is worth 1/250.
		if m.iou(v) > m.iou(best)+.02 {
			t.Errorf("threshold %v: IoU %v, and with %v %v", best, m.iou(best), v, m.iou(v))
		}
	}
}

// TestScenes: a tenth of the pixels are of digits, and those are brighter than the others.
func TestScenes(t *testing.T) {
	ds, err := scenes(rand.New(rand.NewPCG(1, 2)), 300, false)
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
