// Preference tunes a small language model of Newton's Opticks to prefer sentences that name a
// colour, with losses of pairs of sentences: loss.DPO, loss.IPO and loss.SimPO, and beside them
// plain training on the preferred sentences.
//
//	go run ./examples/preference
//
// The better loss gets more sentences with a colour for the same KL divergence from the model that
// all begin with, the reference. A win is a sentence with a colour beside one of the reference's
// without; if both or neither name one, half of it.
//
// Close to the reference, training on the chosen sentences alone is as good as DPO, and better than
// the others. It ends where the model writes as those sentences do; DPO goes on from there.
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/opticks"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/mat"
	"gonum.org/v1/gonum/stat"
	G "gorgonia.org/gorgonia"
)

func main() {
	seed := program.Seed("the reference, the pairs and their order")
	training := program.Int("training", 600, 0, "number of steps that train the reference")
	sets := program.Int("sets", 5, 1, "number of sets of pairs")
	steps := program.Int("steps", 150, every, "number of steps of tuning")
	out := program.Out("preference")
	program.Main(func(context.Context) error {
		mat.Use()
		text, err := opticks.Text()
		if err != nil {
			return err
		}
		return run(os.Stdout, text, *seed, *training, *sets, *steps, *out)
	})
}

// objective is a loss of the log-probabilities of chosen and rejected sentences under the model and
// the reference, which are sums over the words or means.
type objective struct {
	name string
	mean bool
	cost func(chosen, rejected, refChosen, refRejected *G.Node) (*G.Node, error)
}

// objectives begin with the one that trained the reference.
var objectives = []objective{
	{"chosen only", false, func(c, _, _, _ *G.Node) (*G.Node, error) { return G.Neg(G.Must(G.Mean(c))) }},
	{"DPO", false, func(c, r, refC, refR *G.Node) (*G.Node, error) { return loss.DPO(c, r, refC, refR, loss.WithBeta(.5)) }},
	{"IPO", true, func(c, r, refC, refR *G.Node) (*G.Node, error) { return loss.IPO(c, r, refC, refR, loss.WithBeta(.5)) }},
	{"SimPO", true, func(c, r, _, _ *G.Node) (*G.Node, error) { return loss.SimPO(c, r) }},
}

const (
	pairs = 500
	every = 10 // steps between two measures
)

func run(w io.Writer, text string, seed uint64, training, sets, steps int, out string) error {
	c, err := read(text)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(seed, 0))
	start := newModel(r)
	var sentences []pair
	for _, s := range c.sentences {
		sentences = append(sentences, pair{sentence: [2][]int{s, s}})
	}
	if err := tune(start, objectives[0], sentences, training, 1e-2, r, func() {}); err != nil {
		return err
	}
	reference := start.chain()
	before := reference.against(reference, &c)
	fmt.Fprintf(w, "reference trained on %d sentences; %d sets of %d pairs, %d steps on each\n\n%14sshare of sentences with a colour at a KL of\n",
		len(c.sentences), sets, pairs, steps, "")
	fmt.Fprintf(w, "%-12s%13s%15s%15s     at the end: share    wins   KL   words\n", "", "1 nat", "2 nats", "3 nats")
	fmt.Fprintf(w, "%-12s%63.1f%%%7.1f%%%6.2f%7.1f\n", "reference", 100*before.share, 50.0, before.kl, before.length)
	paths := make([][][]measure, len(objectives)) // by objective and set
	written := make([]string, len(objectives))
	for i, o := range objectives {
		var end measure
		for set := range sets {
			r := rand.New(rand.NewPCG(seed, uint64(1+set)))
			m, path, taken := start.clone(), []measure{before}, 0
			err := tune(m, o, compare(reference, &c, pairs, r), steps, 3e-3, r, func() {
				if taken++; taken%every == 0 {
					path = append(path, m.chain().against(reference, &c))
				}
			})
			if err != nil {
				return fmt.Errorf("%s: %w", o.name, err)
			}
			last, n := path[len(path)-1], float64(sets)
			end.share, end.kl, end.length = end.share+last.share/n, end.kl+last.kl/n, end.length+last.length/n
			paths[i] = append(paths[i], path)
			written[i] = c.text(m.chain().sample(r, c.stop))
		}
		fmt.Fprintf(w, "%-12s%s%s%s%18.1f%%%7.1f%%%6.2f%7.1f\n", o.name, shares(paths[i], 1), shares(paths[i], 2), shares(paths[i], 3),
			100*end.share, 50+50*(end.share-before.share), end.kl, end.length)
	}
	fmt.Fprintf(w, "%-12s%8.1f%%%14.1f%%%14.1f%%\n\n", "any model", 100*bound(before.share, 1),
		100*bound(before.share, 2), 100*bound(before.share, 3))
	for i, o := range objectives {
		fmt.Fprintf(w, "%-12s  %s\n", o.name, written[i])
	}
	picture, err := draw(paths, 4)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return program.Save(w, out, "preference.png", picture)
}

// shares is the mean and the standard deviation of the shares at a KL divergence, in percent.
func shares(paths [][]measure, kl float64) string {
	var at []float64
	for _, path := range paths {
		at = append(at, 100*shareAt(path, kl))
	}
	mean, deviation := stat.PopMeanStdDev(at, nil)
	if math.IsNaN(mean) {
		return fmt.Sprintf("%15s", "not reached")
	}
	return fmt.Sprintf("%8.1f%% ± %3.1f", mean, deviation)
}

// shareAt interpolates the share with a colour at a KL divergence. It is NaN if the path does not
// get there.
func shareAt(path []measure, kl float64) float64 {
	for i, b := range path {
		if b.kl >= kl {
			a := path[i-1]
			return a.share + (b.share-a.share)*(kl-a.kl)/(b.kl-a.kl)
		}
	}
	return math.NaN()
}
