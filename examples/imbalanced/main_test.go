package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/data"
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
