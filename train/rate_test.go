package train

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestFindRate: for a quadratic l(w) = (w - 1)²/2 gradient descent contracts by |1 - rate| a step.
// The losses of the test are these, smoothed, and it ends once they blow up, beyond the rate 2.
func TestFindRate(t *testing.T) {
	ds, err := data.Values([][]float64{{1}}, [][]float64{{1}})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, x *G.Node) (*G.Node, error) { return b.DenseWith("w", x, 1, Constant(0), nil) }
	cfg := Config{Epochs: 1, Optimizer: optim.SGD(0.5), DType: tensor.Float64}
	r, err := FindRate(background, model, loss.HalfSquared, ds, cfg, RateTest{From: 1e-4, To: 100, Steps: 200})
	if err != nil {
		t.Fatal(err)
	}
	w, average := 0.0, 0.0
	for k, rate := range r.Rates {
		want := 1e-4 * math.Pow(1e6, float64(k)/199)
		average = 0.9*average + 0.1*(w-1)*(w-1)/2
		smooth := average / (1 - math.Pow(0.9, float64(k+1)))
		// A few roundings for a rate, which the contraction then multiplies 200 times.
		if math.Abs(rate-want) > 1e-14*want || math.Abs(r.Losses[k]-smooth) > 1e-11*smooth {
			t.Fatalf("step %d: rate %v and loss %v, want %v and %v", k, rate, r.Losses[k], want, smooth)
		}
		w -= rate * (w - 1)
	}
	if last := r.Rates[len(r.Rates)-1]; len(r.Rates) == 200 || last < 2 {
		t.Errorf("the test ended at step %d with the rate %v, want an end between the rates 2 and 100", len(r.Rates), last)
	}
	if r.Best < 1e-3 || r.Best > 2 {
		t.Errorf("the best rate is %v, want one that is neither slow nor above 2, where steps diverge", r.Best)
	}
	if math.IsNaN(r.Best) {
		t.Error("the best rate is NaN")
	}
	named, err := FindRateNamed(background, kinds, kindObjective, newStream(t, generated), Config{Optimizer: optim.Adam(1e-3)}, RateTest{})
	if err != nil || len(named.Rates) > 100 || named.Best < 1e-6 || named.Best > 1 {
		t.Errorf("a network over a stream: %+v (%v)", named, err)
	}
	ended, cancel := context.WithCancel(background)
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		cfg  Config
		test RateTest
		want string
	}{
		{"order of rates", background, cfg, RateTest{From: 1, To: 0.1}, "want 0 < From < To"},
		{"no lower rate", background, cfg, RateTest{To: 1}, "want 0 < From < To"},
		{"few steps", background, cfg, RateTest{Steps: 3}, "want at least 10"},
		{"no optimizer", background, Config{}, RateTest{}, "no Optimizer"},
		{"only large rates", background, cfg, RateTest{From: 1e3, To: 1e6}, "the loss never fell"},
		{"end of the context", ended, cfg, RateTest{}, "context canceled"},
	} {
		if _, err := FindRate(c.ctx, model, loss.HalfSquared, ds, c.cfg, c.test); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := FindRate(background, model, nil, ds, cfg, RateTest{}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a nil loss: %v", err)
	}
}
