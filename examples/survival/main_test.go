package main

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
	"github.com/surprisal-go/surprisal/loss"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot/plotter"
)

func TestRun(t *testing.T) {
	out := programtest.Dir(t)
	var text bytes.Buffer
	if err := run(&text, 1, 10, 300, out); err != nil {
		t.Fatal(err)
	}
	// What the program is there to show: of 40 intervals of 3 standard errors, each of which misses
	// in 0.3 % of all studies, at most one misses, and who takes the censored for dead is far off.
	for name, want := range map[string][2]int{"Cox, Efron's ties": {39, 40}, "Cox, censored taken for dead": {0, 20}} {
		var beta [4]float64
		var within int
		programtest.Scan(t, text.String(), name, "%f%f%f%f%d of 40", &beta[0], &beta[1], &beta[2], &beta[3], &within)
		if within < want[0] || within > want[1] {
			t.Errorf("%s: %d of 40 within 3 standard errors, want %v", name, within, want)
		}
	}
	if !strings.Contains(text.String(), "better than least squares in 10 of 10 studies") {
		t.Errorf("least squares ranks better somewhere:\n%s", text.String())
	}
	programtest.Picture(t, out, "survival.png")
}

// TestFit holds the standard errors, which come from the Hessian, against the deviation of the
// estimates among 100 studies. Its own relative error is 1/√200 = 7 %; 4 of these are allowed. The
// mean of the estimates is within 4 of its standard errors from the truth.
func TestFit(t *testing.T) {
	const studies = 100
	estimates, deviations := make([][]float64, len(truth)), make([][]float64, len(truth))
	for i := range studies {
		e, err := fit(simulate(3, i, 300), loss.WithEfron())
		if err != nil {
			t.Fatal(err)
		}
		for k := range truth {
			estimates[k], deviations[k] = append(estimates[k], e.beta[k]), append(deviations[k], e.deviation[k])
		}
	}
	for k, name := range covariates {
		mean, found := stat.MeanStdDev(estimates[k], nil)
		stated := stat.Mean(deviations[k], nil)
		if math.Abs(mean-truth[k]) > 4*found/math.Sqrt(studies) {
			t.Errorf("%s: %.3f on the mean of %d studies, want %v", name, mean, studies, truth[k])
		}
		if r := found / stated; math.Abs(r-1) > 4/math.Sqrt(2*studies) {
			t.Errorf("%s: the estimates deviate by %.3f, their standard errors are %.3f", name, found, stated)
		}
	}
}

// four patients, all with x = 0.
func four(event ...float64) study {
	return study{make([]float64, 4*len(truth)), []float64{3, 3, 6, 9}, event}
}

// TestCurves: worked out by hand.
func TestCurves(t *testing.T) {
	for _, c := range []struct {
		name string
		got  plotter.XYs
		want []float64
	}{
		{"Kaplan-Meier", four(1, 0, 1, 0).kaplanMeier(), []float64{3. / 4, 3. / 8, 3. / 8}},
		{"hazard", baseline(four(1, 0, 1, 0), make([]float64, 4))[:3], []float64{1. / 4, 1./4 + 1./2, 1./4 + 1./2}},
		{"hazard of a tie", baseline(four(1, 1, 0, 0), make([]float64, 4))[:1], []float64{1./4 + 1./3}},
	} {
		if len(c.got) != len(c.want) {
			t.Fatalf("%s: %v, want the values %v", c.name, c.got, c.want)
		}
		for i, want := range c.want {
			if c.got[i].X != 3*float64(i+1) || math.Abs(c.got[i].Y-want) > 1e-15 {
				t.Errorf("%s: %v, want the values %v", c.name, c.got, c.want)
				break
			}
		}
	}
}

func TestLeastSquares(t *testing.T) {
	s := simulate(1, 0, 50)
	want := []float64{.5, -1, 2, 0}
	for i := range s.time {
		log := 7.0
		for k, x := range s.row(i) {
			log += -x * want[k] / shape
		}
		s.time[i] = math.Exp(log)
	}
	e, err := leastSquares(s)
	if err != nil {
		t.Fatal(err)
	}
	for k, b := range e.beta { // an exact line: what is left is rounding
		if math.Abs(b-want[k]) > 1e-12 || e.deviation[k] > 1e-12 {
			t.Errorf("%s: %v ± %v, want %v", covariates[k], b, e.deviation[k], want[k])
		}
	}
}

func TestFaults(t *testing.T) {
	if _, err := fit(four(1, 0, 1, 0)); err == nil || !strings.Contains(err.Error(), "not positive definite") {
		t.Errorf("patients without a difference: got the error %v", err)
	}
	programtest.NoDirectory(t, func(out string) error { return run(&bytes.Buffer{}, 0, 1, 300, out) })
}
