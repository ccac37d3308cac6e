package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
	"github.com/surprisal-go/surprisal/train/data"
)

// TestRun: with one seed and a part of the lists, the losses of lists are ahead of MSE already.
func TestRun(t *testing.T) {
	var text bytes.Buffer
	if err := run(context.Background(), &text, 1, 100, 15); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, l := range losses {
		var v float64
		programtest.Scan(t, text.String(), l.Name+" ", "%f", &v)
		if values[l.Name] = v; v <= values["MSE"] && l.Name != "MSE" || v < .5 || v > 1 {
			t.Errorf("%s: NDCG@5 %v", l.Name, v)
		}
	}
}

// TestLists: the grades are all used, rise with the digits, and differ in their means from list to
// list.
func TestLists(t *testing.T) {
	ds, err := lists(1, 200, false)
	if err != nil {
		t.Fatal(err)
	}
	b := data.NewBatch(ds.Fields(), ds.Len(), false)
	rows := make([]int, ds.Len())
	for i := range rows {
		rows[i] = i
	}
	if err := b.Fill(ds, rows); err != nil {
		t.Fatal(err)
	}
	var counts [grades]int
	low, high := grades*1.0, 0.0
	for i := range rows {
		sum := 0.0
		for _, g := range b.Out["relevance"].F64[i*items : (i+1)*items] {
			counts[int(g)]++
			sum += g
		}
		low, high = min(low, sum/items), max(high, sum/items)
	}
	for g, n := range counts {
		if n < 200 {
			t.Errorf("%d of %d images have the grade %d", n, 200*items, g)
		}
	}
	if high-low < 2 {
		t.Errorf("the means of lists are between %v and %v", low, high)
	}
}
