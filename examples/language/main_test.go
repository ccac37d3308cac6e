package main

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	// A text in which each word says what the next one is: bigrams know it, unigrams do not.
	text := strings.Repeat("the cat sat on a red mat , and it purred . ", 60)
	var out, progress bytes.Buffer
	if err := run(context.Background(), &out, &progress, text, 1, 40); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"720 words, 12 distinct", "unigrams, add-one:  test perplexity 12.0", "bigrams, trained:   test perplexity 1.0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
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
