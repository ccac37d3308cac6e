package main

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
)

// patches makes n images of 6 by 6 pixels with noise, brighter in the middle where the label is 8.
func patches(t *testing.T, n int, seed uint64) *data.Images {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	images := &data.Bytes{Shape: []int{n, 6, 6}, Data: make([]uint8, n*36)}
	labels := &data.Bytes{Shape: []int{n}, Data: make([]uint8, n)}
	for i := range n {
		labels.Data[i] = uint8(i % 10)
		for j := range 36 {
			images.Data[i*36+j] = uint8(rng.IntN(100))
			if i%10 == 8 && j/6 == 3 {
				images.Data[i*36+j] += 120
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
	var out, progress bytes.Buffer
	if err := run(context.Background(), &out, &progress, patches(t, 2000, 1), patches(t, 300, 2), 0, 3); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"1810 training images, 10 of them eights; 300 test images", "with pos_weight 180", "focal, gamma 2, alpha .75"} {
		if !strings.Contains(text, want) {
			t.Errorf("output lacks %q:\n%s", want, text)
		}
	}
}

// TestEights reads rows of the thinned dataset back.
func TestEights(t *testing.T) {
	m := patches(t, 2000, 1)
	ds, eights, err := rareEights(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, single := range []bool{true, false} {
		r := data.AsRecords(ds)
		b := data.NewBatch(r.Fields(), r.Len(), single)
		rows := make([]int, ds.Len())
		for i := range rows {
			rows[i] = i
		}
		if err := b.Fill(r, rows); err != nil {
			t.Fatal(err)
		}
		y := data.Column{F64: make([]float64, ds.Len())}
		if err := y.Copy(b.Out[data.TargetName]); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range y.F64 {
			sum += v
		}
		if int(sum) != eights || eights != 10 {
			t.Errorf("%v eights among the targets, %d counted, want 10", sum, eights)
		}
	}
}

// TestBestF1 holds the metric against F1 at every threshold by itself.
func TestBestF1(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	scores, labels := make([]float64, 60), make([]int, 60)
	for i := range scores {
		labels[i] = rng.IntN(2)
		scores[i] = math.Round(10*(rng.NormFloat64()+float64(labels[i]))) / 10
	}
	m := newBestF1()
	if err := m.Update(metric.Batch{Width: 1, Scores: scores, Labels: labels}); err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, threshold := range scores {
		var tp, fp, fn float64
		for i, s := range scores {
			switch {
			case s >= threshold && labels[i] == 1:
				tp++
			case s >= threshold:
				fp++
			case labels[i] == 1:
				fn++
			}
		}
		want = max(want, 2*tp/(2*tp+fp+fn))
	}
	if got := m.Value(); math.Abs(got-want) > 1e-15 {
		t.Errorf("best F1 %v, want %v", got, want)
	}
}
