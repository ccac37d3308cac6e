package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	// A text in which each word says what the next one is: bigrams know it, unigrams do not.
	c, err := read(strings.Repeat("the cat sat on a red mat , and it purred . ", 60))
	if err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	if err := run(context.Background(), &out, &progress, c, 1, 40); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"720 words, 12 distinct", "unigrams, add-one:  test perplexity 12.0", "bigrams, trained:   test perplexity 1.0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}

// The scores of 512 rows of 40,000 words and their gradient are two matrices of 82 MB.
func TestMemory(t *testing.T) {
	var out bytes.Buffer
	if err := compareMemory(&out, 40_000); err != nil {
		t.Fatal(err)
	}
	var linear, dense, saved float64
	if _, err := fmt.Sscanf(out.String(), "output layer: %f MB a step beside its gradients, %f MB with all 512 x 40000 scores: %f MB saved", &linear, &dense, &saved); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if linear > 40 || dense < 2*82 || math.Abs(dense-linear-saved) > 0.11 { // three roundings to 0.1
		t.Errorf("%v MB and %v MB, saved %v", linear, dense, saved)
	}
}

func TestRandom(t *testing.T) {
	c := random(100, 1)
	if c.distinct != 100 || len(c.words) < 4*batch {
		t.Errorf("%d words of %d", len(c.words), c.distinct)
	}
	for i, v := range c.words {
		if v < 0 || v >= c.distinct {
			t.Fatalf("word %d is %d", i, v)
		}
	}
}

func TestUnigram(t *testing.T) {
	// Counts (2, 1, 0) raised by one over 3 + 3: the test words have the probabilities 3/6 and 1/6.
	got := unigram([]int{0, 1, 0}, []int{0, 2}, 3)
	if want := math.Sqrt(6.0 / 3 * 6); math.Abs(got-want) > 1e-14 {
		t.Errorf("perplexity %v, want %v", got, want)
	}
}
