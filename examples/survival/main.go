// Survival recovers the coefficients of a hazard from patients who do not all die, by the partial
// likelihood of the proportional hazards model, loss.CoxPartialLikelihood.
//
//	go run ./examples/survival
//
// The patients are simulated, so that the truth is known; study.go says how.
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/metric"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

func main() {
	seed := program.Seed("the patients of all studies")
	studies := program.Int("studies", 20, 1, "number of studies")
	patients := program.Int("patients", 500, 1, "number of patients in each study")
	out := program.Out("survival")
	program.Main(func(context.Context) error { return run(os.Stdout, *seed, *studies, *patients, *out) })
}

// concordance is that of the risks x·beta with the times of a study.
func concordance(s study, beta []float64) (float64, error) {
	var risk mat.VecDense
	risk.MulVec(mat.NewDense(len(s.time), len(beta), s.x), mat.NewVecDense(len(beta), beta))
	labels := make([]int, len(s.event))
	for i, e := range s.event {
		labels[i] = int(e)
	}
	c := metric.NewConcordance()
	err := c.Update(metric.Batch{Width: 1, Scores: risk.RawVector().Data, Targets: s.time, Labels: labels})
	return c.Value(), err
}

// methods are ways to look at a study. The last one, which is no loss of hazards, is told that the
// logarithm of the time falls by 1/shape where that of the hazard rises by 1.
var methods = []struct {
	name string
	fit  func(study) (estimate, error)
}{
	{"Cox, Efron's ties", func(s study) (estimate, error) { return fit(s, loss.WithEfron()) }},
	{"Cox, Breslow's ties", func(s study) (estimate, error) { return fit(s) }},
	{"Cox, censored taken for dead", func(s study) (estimate, error) { return fit(s.uncensored(true), loss.WithEfron()) }},
	{"Cox, censored left out", func(s study) (estimate, error) { return fit(s.uncensored(false), loss.WithEfron()) }},
	{"least squares, censored left out", func(s study) (estimate, error) { return leastSquares(s.uncensored(false)) }},
}

func run(w io.Writer, seed uint64, studies, patients int, out string) error {
	test := simulate(seed, studies, 4*patients)
	best, err := concordance(test, truth)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "means of %d studies of %d patients; concordance on %d others, of whom %.0f%% are censored\n\n",
		studies, patients, len(test.time), 100*test.censored())
	fmt.Fprintf(w, "%-34s%s   within 3 s.e.  concordance\n", "", columns("%10s", covariates))
	fmt.Fprintf(w, "%-34s%s%16s%13.3f\n", "truth", columns("%10.3f", truth), "", best)
	ranked := make([][]float64, len(methods)) // by method and study
	for j, m := range methods {
		mean, deviation, within := make([]float64, len(truth)), make([]float64, len(truth)), 0
		for i := range studies {
			e, err := m.fit(simulate(seed, i, patients))
			if err != nil {
				return fmt.Errorf("%s, study %d: %w", m.name, i, err)
			}
			c, err := concordance(test, e.beta)
			if err != nil {
				return err
			}
			ranked[j] = append(ranked[j], c)
			floats.AddScaled(mean, 1/float64(studies), e.beta)
			floats.AddScaled(deviation, 1/float64(studies), e.deviation)
			for k, b := range e.beta {
				if math.Abs(b-truth[k]) <= 3*e.deviation[k] {
					within++
				}
			}
		}
		share := fmt.Sprintf("%d of %d", within, studies*len(truth))
		fmt.Fprintf(w, "%-34s%s%16s%13.3f\n", m.name, columns("%10.3f", mean), share, floats.Sum(ranked[j])/float64(studies))
		fmt.Fprintf(w, "%-34s%s\n", "    standard errors", columns("%10.3f", deviation))
	}
	gain, better := 0.0, 0
	for i, c := range ranked[0] {
		other := ranked[len(methods)-1][i]
		gain += (c - other) / float64(studies)
		if c > other {
			better++
		}
	}
	fmt.Fprintf(w, "\nthe partial likelihood ranks better than least squares in %d of %d studies, by %.3f on the mean\n", better, studies, gain)
	first := simulate(seed, 0, patients)
	e, err := fit(first, loss.WithEfron())
	if err != nil {
		return err
	}
	picture, err := draw(first, e.beta)
	if err != nil {
		return err
	}
	return program.Save(w, out, "survival.png", picture)
}

// columns writes each of some values in a format.
func columns[T any](format string, values []T) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, format, v)
	}
	return b.String()
}
