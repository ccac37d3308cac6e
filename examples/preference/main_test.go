package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/opticks"
	"github.com/surprisal-go/surprisal/examples/internal/programtest"
	"github.com/surprisal-go/surprisal/tensorops/mat"
)

func TestRun(t *testing.T) {
	mat.Use()
	text, err := opticks.Text()
	if err != nil {
		t.Fatal(err)
	}
	out := programtest.Dir(t)
	var b bytes.Buffer
	if err := run(&b, text, 0, 100, 1, 20, out); err != nil {
		t.Fatal(err)
	}
	// 20 steps take every objective away from the reference, and towards colours.
	var share, wins, kl [5]float64
	for i, name := range []string{"reference", "chosen only", "DPO", "IPO", "SimPO"} {
		_, rest, _ := strings.Cut(b.String(), "\n"+name+" ")
		line, _, _ := strings.Cut(rest, "\n")
		if len(line) < 30 {
			t.Fatalf("no line of %s in\n%s", name, b.String())
		}
		var length float64
		if _, err := fmt.Sscanf(line[len(line)-30:], "%f%%%f%%%f%f", &share[i], &wins[i], &kl[i], &length); err != nil {
			t.Fatalf("%s: %v in %q", name, err, line)
		}
		if i > 0 && (share[i] < share[0]+5 || kl[i] < .1 || math.Abs(wins[i]-50-(share[i]-share[0])/2) > .1 || length > longest) {
			t.Errorf("%s: %s", name, line)
		}
	}
	programtest.Picture(t, out, "preference.png")
}

const few = "Red, orange; yellow: (green)? blue 7 indigo violet rays. " +
	"one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen."

func TestRead(t *testing.T) {
	c, err := read(few)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i, s := range c.sentences {
		texts = append(texts, c.text(s))
		if c.has(s) != (i < 4) {
			t.Errorf("%q has a colour: %v", texts[i], c.has(s))
		}
		if last := c.sentences[max(i-1, 0)]; i > 0 && s[0] != last[len(last)-1] {
			t.Errorf("%q does not begin after %q", texts[i], texts[i-1])
		}
	}
	want := "red, orange.|yellow.|green.|blue indigo violet rays.|one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen|seventeen."
	if got := strings.Join(texts, "|"); got != want {
		t.Errorf("sentences %s, want %s", got, want)
	}
	if _, err := read("a text without any"); err == nil {
		t.Error("a text without colours is no error")
	}
}

// TestAgainst holds the exact measures of a model against 4,000 sentences that it writes: they are
// within 4 standard errors.
func TestAgainst(t *testing.T) {
	c, err := read(few)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	random := func() chain {
		m := newModel(r)
		for i := range known { // a stop in one sentence of five, colours in one of four
			m.embedding[i*width] = 1
		}
		m.output[c.stop] = 4
		for j, colour := range c.colour {
			if colour {
				m.output[j] = 1
			}
		}
		return m.chain()
	}
	model, reference := random(), random()
	m := model.against(reference, &c)
	const n = 4000
	var sum, squares [3]float64
	for range n {
		s := model.sample(r, c.stop)
		x := [3]float64{0, model.logProb(s) - reference.logProb(s), float64(len(s) - 1)}
		if c.has(s) {
			x[0] = 1
		}
		for k := range x {
			sum[k], squares[k] = sum[k]+x[k], squares[k]+x[k]*x[k]
		}
	}
	for k, exact := range []float64{m.share, m.kl, m.length} {
		mean := sum[k] / n
		deviation := math.Sqrt((squares[k]/n - mean*mean) / n)
		if math.Abs(mean-exact) > 4*deviation || exact <= 0 {
			t.Errorf("measure %d: %.4f, and %.4f ± %.4f of sentences", k, exact, mean, deviation)
		}
	}
	if self := model.against(model, &c); self.kl != 0 || self.share != m.share {
		t.Errorf("against itself: %+v", self)
	}
}

func TestBound(t *testing.T) {
	// A share of 1/2 in place of 1/5 costs ½·log(5/2) + ½·log(5/8) nats, and 1 in its place log 5.
	for kl, want := range map[float64]float64{0: .2, .5*math.Log(2.5) + .5*math.Log(.625): .5, math.Log(5) + 1e-9: 1, 9: 1} {
		// Near a divergence of 0 the share moves with its root: 1e-8 for an error of one unit.
		if got := bound(.2, kl); math.Abs(got-want) > 1e-7 {
			t.Errorf("at a divergence of %v at most %v, want %v", kl, got, want)
		}
	}
}

func TestShareAt(t *testing.T) {
	path := []measure{{share: .1}, {share: .3, kl: .5}, {share: .7, kl: 2.5}}
	if got := shareAt(path, 1); math.Abs(got-.4) > 1e-15 {
		t.Errorf("share %v, want .4", got)
	}
	if got := shareAt(path, 3); !math.IsNaN(got) {
		t.Errorf("beyond the path the share is %v, want NaN", got)
	}
}

// TestFill: a long sentence and then a short one in the same row.
func TestFill(t *testing.T) {
	var s side
	s.fill(1, []int{1, 2, 3, 4}, -6, true)
	if s.reference[1] != -2 {
		t.Errorf("mean log-probability %v, want -2", s.reference[1])
	}
	s.fill(1, []int{5, 6, 7}, -6, false)
	at := s.written[longest : 2*longest]
	if s.reference[1] != -6 || !at[0] || !at[1] || at[2] || s.written[0] || s.last[longest+1] != 6 || s.next[longest+1] != 7 {
		t.Errorf("row 1 is %v, %v, %v", at, s.last[longest:2*longest], s.next[longest:2*longest])
	}
}
