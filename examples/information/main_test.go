package main

import (
	"bytes"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
)

// TestWalk runs the program and reads its figures. Those of P and Q are worked out by hand, with
// log2 .1 = -3.321928, log2 .4 = -1.321928, log2 .8 = -.321928, log2 .15 = -2.736966, log2 .05 =
// -4.321928 and a nat of 1.442695 bits.
func TestWalk(t *testing.T) {
	out := programtest.Dir(t)
	var text bytes.Buffer
	if err := run(&text, out); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line string // how the line begins
		nth  int    // which of the lines that begin so
		want []float64
	}{
		{"the sun rises", 0, []float64{1, 0, 0, 0}},
		{"a coin shows heads", 0, []float64{1. / 2, 1, math.Ln2, math.Log10(2)}},
		{"a die shows six", 0, []float64{1. / 6, 2.58496, 1.79176, .77815}},
		{"a tenth of a chance", 0, []float64{1. / 10, 3.32193, 2.30259, 1}},
		{"a die shows seven", 0, []float64{0, math.Inf(1), math.Inf(1), math.Inf(1)}},
		{"a coin ", 1, []float64{1, 1, 2}},
		{"a die ", 2, []float64{2.58496, 2.58496, 6}},
		{"a skewed source", 0, []float64{.85, .10, .03, .02, .79613, 2, 1.73644}},
		{"H(P)", 0, []float64{1.36096, .94335}},
		{"KL(P‖Q)", 0, []float64{1.92698, 1.33568}},
		{"H(P) + KL(P‖Q)", 0, []float64{3.28794, 2.27903}},
		{"H(P,Q) by its formula", 0, []float64{3.28794, 2.27903, 0}},
		{"H(Q)", 0, []float64{.88418, .61287}},
		{"KL(Q‖P)", 0, []float64{2.02165, 1.40130}},
		{"H(Q) + KL(Q‖P)", 0, []float64{2.90583, 2.01417}},
		{"H(Q,P) by its formula", 0, []float64{2.90583, 2.01417, 0}},
		{"Jensen-Shannon divergence", 0, []float64{.42020, .42020, 1}},
		{"perplexity of P ", 0, []float64{2.56857, 9.76719}},
		{"no ", 0, []float64{.2, .22314, .22314}},
		// (-ln .9 - ln .8 - ln .6 - ln .95 - ln .3 - ln .3)/6 = (.10536 + .22314 + .51083 + .05129
		// + 2·1.20397)/6
		{"mean", 0, []float64{.54976, .54976}},
		{"loss.CrossEntropyFromProb", 0, []float64{2.27903, 3}},
		{"loss.BinaryCrossEntropy", 0, []float64{.54976, 5}},
		{"of H(P,Q) by q", 0, []float64{-.125, -.4 / .15, -10}},
		{"of the mean by the scores", 0, []float64{-.1 / 6, .2 / 6, -.4 / 6, .05 / 6, -.7 / 6, .7 / 6}},
	} {
		got := numbers(find(t, text.String(), c.line, c.nth), c.line)
		if len(got) != len(c.want) {
			t.Errorf("the line %q has the numbers %v, want %v", c.line, got, c.want)
			continue
		}
		for i, want := range c.want {
			// Five places are printed; infinities are equal.
			if got[i] != want && !(math.Abs(got[i]-want) <= 1.01e-5) {
				t.Errorf("the line %q has the numbers %v, want %v", c.line, got, c.want)
				break
			}
		}
	}
	checkPicture(t, text.String(), filepath.Join(out, "self-information.png"))
}

// find returns the nth line that begins with start after its indent.
func find(t *testing.T, text, start string, nth int) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), start) {
			if nth == 0 {
				return line
			}
			nth--
		}
	}
	t.Fatalf("no line begins with %q in\n%s", start, text)
	return ""
}

var number = regexp.MustCompile(`(^|[\s(\[])([-+]?(\d*\.?\d+(e[-+]\d+)?|Inf))(/\d+)?\b`)

// numbers returns the numbers of a line after its name, 1/6 as one number.
func numbers(line, name string) []float64 {
	_, rest, _ := strings.Cut(line, name)
	var found []float64
	for _, m := range number.FindAllStringSubmatch(rest, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			continue
		}
		if m[5] != "" {
			divisor, _ := strconv.ParseFloat(m[5][1:], 64)
			v /= divisor
		}
		found = append(found, v)
	}
	return found
}

// checkPicture: the program says where the picture is, and the picture is one: wide, and drawn on.
func checkPicture(t *testing.T, text, file string) {
	t.Helper()
	if !strings.Contains(text, "wrote "+file+"\n") {
		t.Errorf("the output does not say that the picture is %s", file)
	}
	img := programtest.Picture(t, file)
	size := img.Bounds().Size()
	if size.X < 800 || size.Y < 500 {
		t.Errorf("the picture has %v pixels, want at least 800x500", size)
	}
	// The curve is the only thing in its colour, with its dots: it covers some thousands of pixels
	// and it falls, so the leftmost column that has it has it higher than the rightmost.
	count := 0
	var first, last int
	for x := range size.X {
		for y := range size.Y {
			if img.At(x, y) == img.ColorModel().Convert(ink) {
				if count++; count == 1 {
					first = y
				}
				last = y
			}
		}
	}
	if count < 2000 || first >= last {
		t.Errorf("the curve has %d pixels from height %d to height %d, want it to fall", count, first, last)
	}
}

// TestNoPlace: a directory that cannot be made is an error, not a silent loss of the picture.
func TestNoPlace(t *testing.T) {
	programtest.NoDirectory(t, func(out string) error { return run(&bytes.Buffer{}, out) })
}
