package main

import (
	"bytes"
	"context"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
)

func TestRun(t *testing.T) {
	out := programtest.Dir(t)
	var text bytes.Buffer
	if err := run(context.Background(), &text, 1, 1, out); err != nil {
		t.Fatal(err)
	}
	// The program with many cross-validations finds 0.97 for the first two, 0.95 for the last, and
	// at most 0.17 bits; one cross-validation deviates from that by 0.007 and 0.07. Four times as
	// much is allowed.
	for name, want := range map[string]float64{"four numbers": 0.97, "three numbers and a category": 0.97, "three numbers, without the category": 0.95} {
		var accuracy, bits, calibration, deviation float64
		programtest.Scan(t, text.String(), name, "%f ± %f%f ± %f%f ± %f", &accuracy, &deviation, &bits, &deviation, &calibration, &deviation)
		if math.Abs(accuracy-want) > 0.03 || bits > 0.45 || calibration > 0.08 {
			t.Errorf("%s: accuracy %v, %v bits, calibration error %v", name, accuracy, bits, calibration)
		}
	}
	programtest.Picture(t, out, "reliability.png")
}

func TestData(t *testing.T) {
	f, err := load()
	if err != nil {
		t.Fatal(err)
	}
	// The means of Fisher's table, as they are given with the data everywhere.
	var mean [4]float64
	for _, s := range f.size {
		for k, v := range s {
			mean[k] += v / 150
		}
	}
	for k, want := range []float64{5.843, 3.057, 3.758, 1.199} {
		if math.Abs(mean[k]-want) > 0.0005 {
			t.Errorf("mean of column %d is %.4f, want %v", k, mean[k], want)
		}
	}
	parts := f.parts(3, 1)
	count := make(map[[2]int]int)
	for i, p := range parts {
		count[[2]int{f.label[i], p}]++
	}
	if len(count) != 3*folds {
		t.Errorf("%d pairs of species and part, want %d", len(count), 3*folds)
	}
	for k, n := range count {
		if n != 5 {
			t.Errorf("species %d has %d flowers in part %d, want 5", k[0], n, k[1])
		}
	}
}

func TestFaults(t *testing.T) {
	programtest.NoDirectory(t, func(out string) error { return run(context.Background(), &bytes.Buffer{}, 0, 1, out) })
}
