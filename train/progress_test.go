package train

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
)

// clock is a time that a test sets.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// longNamed is a metric with a name of many columns.
type longNamed struct {
	*metric.Accuracy
	name string
}

func (n longNamed) Name() string       { return n.name }
func (n longNamed) New() metric.Metric { return longNamed{metric.NewAccuracy(), n.name} }
func (n longNamed) Merge(o metric.Metric) error {
	return n.Accuracy.Merge(o.(longNamed).Accuracy)
}

// longNames are metrics that do not fit any usual terminal: letters of two columns, composed
// letters, a control character.
func longNames() []metric.Metric {
	var out []metric.Metric
	for _, name := range []string{"précision_moyenne_pondérée", "正解率正解率正解率", "two\nlines", "e\u0301e\u0301e\u0301"} {
		out = append(out, longNamed{metric.NewAccuracy(), name})
	}
	return out
}

// TestBar: at any width the bar stays on one line, and at a usual one it shows the epoch, the share
// of the steps, the loss of the step, the time left, the steps and the rate. The clock advances by
// a second with each event, so that 8 steps and 2 epochs end at 10 s.
func TestBar(t *testing.T) {
	for _, columns := range []int{200, 125, 124, 80, 79, 60, 51, 50, 40, 20, 5, 1} {
		var buf bytes.Buffer
		c := new(clock)
		b := &bar{w: &buf, now: c.now, columns: func() int { return columns }}
		tick := CallbackFunc(func(_ context.Context, e Event) error {
			c.at = c.at.Add(time.Second)
			return nil
		})
		mustFit(t, linear3, blobs(t, 64, 1), Config{Epochs: 2, BatchSize: 16, Optimizer: optim.SGD(0.1), Validation: blobs(t, 20, 2),
			Metrics: longNames(), Callbacks: []Callback{b, tick}})
		text := buf.String()
		if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
			t.Errorf("%d columns: the bar is not one line:\n%q", columns, text)
		}
		pictures := strings.Split(strings.TrimSuffix(text, "\n"), "\r")
		for _, p := range pictures {
			if w := uniseg.StringWidth(p); w > columns-1 {
				t.Errorf("%d columns: a line has %d:\n%q", columns, w, p)
			}
		}
		want := []string{"epoch 2/2", "100%", "step loss "}
		if columns >= 80 {
			want = append(want, "[=", "0s left", "8/8", "0.8 steps/s")
		}
		if columns >= 200 {
			want = append(want, "loss ", "two lines 0.")
		}
		if columns < 40 {
			want = nil
		}
		for _, w := range want {
			if last := pictures[len(pictures)-1]; !strings.Contains(last, w) {
				t.Errorf("%d columns: the bar lacks %q:\n%q", columns, w, last)
			}
		}
		if columns == 80 && !strings.Contains(text, "epoch 1/2 37% [===") {
			t.Errorf("no picture of the third of 8 steps:\n%q", text)
		}
	}
}

// TestBarIsNotDrawnTooOften: within a tenth of a second one picture is enough.
func TestBarIsNotDrawnTooOften(t *testing.T) {
	var buf bytes.Buffer
	c := new(clock)
	b := &bar{w: &buf, now: c.now, columns: func() int { return 80 }}
	for step := range 1000 {
		c.at = c.at.Add(time.Millisecond)
		if err := b.Event(context.Background(), Event{Kind: StepDone, Step: step, Steps: 2000, Epoch: 1, Epochs: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(buf.String(), "\r"); n != 10 {
		t.Errorf("%d pictures in a second, want 10", n)
	}
	// A run that was resumed beyond its end has no more than all steps.
	if err := b.Event(context.Background(), Event{Kind: EpochDone, Step: 9, Steps: 4, Epoch: 3, Epochs: 2, Record: &Epoch{}}); err != nil || !strings.Contains(buf.String(), "100%") {
		t.Errorf("%v: %q", err, buf.String())
	}
}

// TestSilence: off a terminal a run says where it is whenever 10 seconds have passed without a
// line, in training and in validation.
func TestSilence(t *testing.T) {
	var buf bytes.Buffer
	c := new(clock)
	l := &lines{w: &buf, now: c.now}
	event := func(after int, e Event) {
		t.Helper()
		c.at = c.at.Add(time.Duration(after) * time.Second)
		e.Epoch, e.Epochs, e.PerEpoch = 1, 3, 100
		if err := l.Event(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	event(5, Event{Kind: RunBegin})
	event(9, Event{Kind: StepDone, InEpoch: 1, Loss: 2})
	event(1, Event{Kind: StepDone, InEpoch: 2, Loss: 1.5})
	event(1, Event{Kind: StepDone, InEpoch: 3, Loss: 1})
	event(12, Event{Kind: StepDone, InEpoch: 100, Loss: 1e-5})
	c.at = c.at.Add(11 * time.Second)
	if err := l.validating(Event{Epoch: 1, Epochs: 3}, 256, 1000); err != nil {
		t.Fatal(err)
	}
	event(5, Event{Kind: EpochDone, Record: &Epoch{Seconds: 39, Values: Values{"loss": 0.5}}})
	event(9, Event{Kind: StepDone, InEpoch: 1, Loss: 2})
	want := `epoch 1/3  step 2/100  step loss 1.5000
epoch 1/3  step 100/100  step loss 1.00e-05
epoch 1/3  validation row 256/1000
epoch 1/3  loss 0.5000  (39.00 s)
`
	if buf.String() != want {
		t.Errorf("progress is\n%swant\n%s", buf.String(), want)
	}
}

// TestValidationIsWatched: Fit tells the progress how far a validation is.
func TestValidationIsWatched(t *testing.T) {
	var buf bytes.Buffer
	c := new(clock)
	l := &lines{w: &buf, now: func() time.Time { c.at = c.at.Add(quiet); return c.at }} // every look at the clock is late enough
	mustFit(t, linear3, blobs(t, 12, 1), Config{Epochs: 1, BatchSize: 6, Optimizer: optim.SGD(0.1), Validation: blobs(t, 25, 2),
		ValidationBatch: 10, Callbacks: []Callback{l}})
	for _, want := range []string{"step 1/2", "step 2/2", "row 10/25", "row 20/25", "row 25/25"} {
		if !strings.Contains(buf.String(), fmt.Sprintf("epoch 1/1  %s", want)) && !strings.Contains(buf.String(), "epoch 1/1  validation "+want) {
			t.Errorf("no line about %s:\n%s", want, buf.String())
		}
	}
}
