// Information walks from the surprise of one event to the cross-entropy that classifiers are
// trained with, with the figures of every step.
//
//	go run ./examples/information
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/tensorops/info"
)

func main() {
	out := program.Out("information")
	program.Main(func(context.Context) error { return run(os.Stdout, *out) })
}

func run(w io.Writer, out string) error {
	for _, chapter := range []func(w io.Writer) error{
		surprise,
		func(w io.Writer) error { return picture(w, out) },
		uncertainty,
		wrongBeliefs,
		sameBothWays,
		logLoss,
		asNodes,
	} {
		if err := chapter(w); err != nil {
			return err
		}
	}
	return nil
}

// A ledger takes the results of calls that may fail and keeps the first error, so that a table can
// be written as one.
type ledger struct{ err error }

func (l *ledger) of(v float64, err error) float64 {
	if l.err == nil {
		l.err = err
	}
	return v
}

func surprise(w io.Writer) error {
	fmt.Fprint(w, `1. Self-information: how surprising is one event?

   i(p) = -log p. What is certain tells nothing, and half the probability is one bit more.

   event                           p               bits      nats  hartleys
`)
	var l ledger
	for _, e := range []struct {
		name, odds string
		p          float64
	}{
		{"the sun rises", "1", 1},
		{"a coin shows heads", "1/2", 1. / 2},
		{"a die shows six", "1/6", 1. / 6},
		{"a tenth of a chance", "1/10", 1. / 10},
		{"ten coins all show heads", "1/1024", 1. / 1024},
		{"six numbers of 49 are guessed", "1/13983816", 1. / 13983816},
		{"a die shows seven", "0", 0},
	} {
		fmt.Fprintf(w, "   %-30s  %-10s  %8.5f  %8.5f  %8.5f\n", e.name, e.odds, l.of(info.SelfInformation(e.p, info.Bits)),
			l.of(info.SelfInformation(e.p, info.Nats)), l.of(info.SelfInformation(e.p, info.Hartleys)))
	}
	return l.err
}

func uncertainty(w io.Writer) error {
	fmt.Fprint(w, `
2. Entropy: how surprising is a source, on average?

   H(p) = -Σ p log p, largest where all outcomes are equally likely. Its perplexity 2^H is
   the number of sides that a fair die has when it is as hard to guess.

   source                                             bits   at most  perplexity
`)
	var l ledger
	for _, s := range []struct {
		name string
		p    []float64
	}{
		{"a coin", []float64{.5, .5}},
		{"a bent coin  (.9 .1)", []float64{.9, .1}},
		{"a die", []float64{1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6}},
		{"a loaded die  (.5 .1 .1 .1 .1 .1)", []float64{.5, .1, .1, .1, .1, .1}},
		{"a skewed source  (.85 .10 .03 .02)", []float64{.85, .10, .03, .02}},
		{"a foregone conclusion  (1 0 0)", []float64{1, 0, 0}},
	} {
		fmt.Fprintf(w, "   %-45s  %7.5f   %7.5f     %7.5f\n", s.name, l.of(info.Entropy(s.p, info.Bits)),
			l.of(info.SelfInformation(1/float64(len(s.p)), info.Bits)), l.of(info.Perplexity(s.p, s.p)))
	}
	return l.err
}

// The truth and the model of chapters 3, 4 and 6.
var (
	truth = []float64{.10, .40, .50}
	model = []float64{.80, .15, .05}
)

func wrongBeliefs(w io.Writer) error {
	fmt.Fprint(w, `
3. Cross-entropy and KL divergence: what does believing the wrong thing cost?

   P = (.10 .40 .50), Q = (.80 .15 .05). Who believes Q where P is true is surprised by
   H(P,Q) = -Σ p log q on average: what P costs anyone, and KL(P‖Q) for the error.
`)
	var l ledger
	for _, c := range []struct {
		p, q   string
		pp, qq []float64
	}{{"P", "Q", truth, model}, {"Q", "P", model, truth}} {
		var h, kl, cross [2]float64
		for i, u := range []info.Unit{info.Bits, info.Nats} {
			h[i], kl[i] = l.of(info.Entropy(c.pp, u)), l.of(info.KL(c.pp, c.qq, u))
			cross[i] = l.of(info.CrossEntropy(c.pp, c.qq, u))
		}
		fmt.Fprintf(w, `
   %[1]s is true, %[2]s is believed             bits      nats
   H(%[1]s)                              %7.5[3]f   %7.5[4]f
   KL(%[1]s‖%[2]s)                           %7.5[5]f   %7.5[6]f
   H(%[1]s) + KL(%[1]s‖%[2]s)                    %7.5[7]f   %7.5[8]f
   H(%[1]s,%[2]s) by its formula             %7.5[9]f   %7.5[10]f   (they differ by %.0[11]e bits)
`, c.p, c.q, h[0], h[1], kl[0], kl[1], h[0]+kl[0], h[1]+kl[1], cross[0], cross[1], math.Abs(cross[0]-h[0]-kl[0]))
	}
	return l.err
}

func sameBothWays(w io.Writer) error {
	var l ledger
	fmt.Fprintf(w, `
4. Two more views of P and Q

   Jensen-Shannon divergence   JS(P,Q) = %7.5f, JS(Q,P) = %7.5f bits: the same, and never above 1
   perplexity of P             %7.5f to who knows P, %7.5f to who believes Q
`, l.of(info.JensenShannon(truth, model, info.Bits)), l.of(info.JensenShannon(model, truth, info.Bits)),
		l.of(info.Perplexity(truth, truth)), l.of(info.Perplexity(truth, model)))
	return l.err
}
