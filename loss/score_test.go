package loss_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	ensemble := []groupInput{{name: "ensemble", shape: []int{3, 4}, x: []float64{0.5, -1, 2, 0.25, 1.5, -0.75, 0, 3, -2, 1.25, 0.75, -0.5}, masked: everyRow(4)},
		{name: "target", shape: []int{3}, x: []float64{0.3, 1.1, -3}, masked: everyRow(1)}}
	quantiles := slices.Clone(ensemble)
	quantiles[0].name = "quantiles"
	ordinal := []groupInput{{name: "score", shape: []int{4}, x: []float64{0.5, -1.5, 2, 0.25}, masked: everyRow(1)},
		{name: "thresholds", shape: []int{3}, x: []float64{-1, 0.125, 1.5}},
		{name: "labels", shape: []int{4}, ints: []int{1, 0, 3, 2}, masked: everyRow(1)}}
	survival := []groupInput{{name: "risk", shape: []int{6}, x: []float64{0.5, -1, 2, 0.25, 1.5, -0.75}, masked: everyRow(1)},
		{name: "time", shape: []int{6}, x: []float64{3, 1, 3, 2, 3, 5}, data: true, masked: everyRow(1)},
		{name: "event", shape: []int{6}, ints: []int{1, 0, 1, 1, 0, 1}, masked: everyRow(1)}}
	strata := append(slices.Clone(survival), groupInput{name: "segments", shape: []int{6}, ints: []int{4, 8, 4, 8, 4, -1},
		with: loss.WithSegments, field: func(d *eager.Data) *eager.Operand { return &d.Segments }})
	hazard := []groupInput{{name: "logits", shape: []int{3, 4}, x: ensemble[0].x, masked: everyRow(4)},
		{name: "interval", shape: []int{3}, ints: []int{2, 0, 3}, masked: everyRow(1)},
		{name: "event", shape: []int{3}, ints: []int{1, 1, 0}, masked: everyRow(1)}}
	labelled := []groupInput{{name: "logits", shape: []int{3, 4}, x: ensemble[0].x, masked: everyRow(4)}, {name: "labels", shape: []int{3}, ints: []int{2, 0, 3}, masked: everyRow(1)}}
	groupProblems = append(groupProblems,
		groupProblem{loss: "LDAM", title: "plain", opts: []loss.Option{loss.WithCounts([]float64{100, 5, 20, 1000}), loss.WithScale(4)}, inputs: labelled, mask: []int{3}, weights: []int{3}},
		groupProblem{loss: "EnsembleCRPS", title: "plain", inputs: ensemble, mask: []int{3}, weights: []int{3}},
		groupProblem{loss: "EnsembleCRPS", title: "fair", opts: []loss.Option{loss.WithFair()}, inputs: ensemble,
			mask: []int{3}, weights: []int{3}},
		groupProblem{loss: "QuantileCRPS", title: "plain", inputs: quantiles, mask: []int{3}, weights: []int{3}},
		groupProblem{loss: "QuantileCRPS", title: "levels", opts: []loss.Option{loss.WithLevels(.1, .3, .8, .9)},
			inputs: quantiles, mask: []int{3}, weights: []int{3}},
		groupProblem{loss: "CumulativeLink", title: "plain", inputs: ordinal, mask: []int{4}, weights: []int{4}},
		groupProblem{loss: "CumulativeLink", title: "binary tasks", opts: []loss.Option{loss.WithBinaryTasks()},
			inputs: ordinal, mask: []int{4}, weights: []int{4}},
		groupProblem{loss: "CoxPartialLikelihood", title: "breslow", inputs: survival, mask: []int{6}},
		groupProblem{loss: "CoxPartialLikelihood", title: "efron", opts: []loss.Option{loss.WithEfron()},
			inputs: survival, mask: []int{6}},
		groupProblem{loss: "CoxPartialLikelihood", title: "strata", opts: []loss.Option{loss.WithEfron()},
			inputs: strata, mask: []int{6}},
		groupProblem{loss: "DiscreteHazard", title: "plain", inputs: hazard, mask: []int{3}, weights: []int{3}})
}

func TestClassBalanced(t *testing.T) {
	for _, c := range []struct {
		counts []float64
		beta   float64
		want   []float64
	}{
		{[]float64{1, 2, 0}, 0, []float64{1, 1, 0}},
		{[]float64{1, 2}, 0.5, []float64{1.2, 0.8}}, // 1 and 1/1.5, times 2/(5/3)
	} {
		got, err := loss.ClassBalanced(c.counts, c.beta)
		if err != nil {
			t.Fatal(err)
		}
		nearList(t, "weights", got, c.want, 4e-16)
	}
	for _, c := range []struct {
		counts []float64
		beta   float64
		want   string
	}{
		{[]float64{1}, 1, "loss.ClassBalanced: beta is 1, want a number in [0, 1)"},
		{[]float64{1}, math.NaN(), "loss.ClassBalanced: beta is NaN"},
		{[]float64{1, -1}, .5, "loss.ClassBalanced: count is -1 at class 1"},
		{[]float64{math.Inf(1)}, .5, "loss.ClassBalanced: count is +Inf at class 0"},
		{[]float64{0, 0}, .5, "loss.ClassBalanced: no class has a count above 0"},
		{nil, .5, "loss.ClassBalanced: no class has a count above 0"},
	} {
		if _, err := loss.ClassBalanced(c.counts, c.beta); !errors.Is(err, loss.ErrValue) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("counts %v, beta %v: error %v, want %s", c.counts, c.beta, err, c.want)
		}
	}
}

// What is refused when a graph of scores or survival is built or run.
func TestScoreFaults(t *testing.T) {
	float := func(shape ...int) func(g *G.ExprGraph, name string) *G.Node {
		return func(g *G.ExprGraph, name string) *G.Node {
			x := make([]float64, product(shape))
			for i := range x {
				x[i] = float64(i)
			}
			return floatLeaf(g, tensor.Float64, name, shape, x)
		}
	}
	values := func(x ...float64) func(g *G.ExprGraph, name string) *G.Node {
		return func(g *G.ExprGraph, name string) *G.Node { return floatLeaf(g, tensor.Float64, name, []int{len(x)}, x) }
	}
	labels := func(y ...int) func(g *G.ExprGraph, name string) *G.Node {
		return func(g *G.ExprGraph, name string) *G.Node { return labelLeaf(g, tensor.Int, name, []int{len(y)}, y) }
	}
	for _, c := range []struct {
		loss     string
		operands []func(g *G.ExprGraph, name string) *G.Node
		opts     []loss.Option
		kind     error
		want     string
	}{
		{"EnsembleCRPS", []func(*G.ExprGraph, string) *G.Node{float(3, 4), float(4)}, nil, loss.ErrShape,
			"loss.EnsembleCRPS: target has shape (4), want (3) to match ensemble"},
		{"QuantileCRPS", []func(*G.ExprGraph, string) *G.Node{float(3, 4), float(3)}, []loss.Option{loss.WithLevels(.5)}, loss.ErrOption, "loss.QuantileCRPS: WithLevels has 1 entries, want 4, one for each quantile"},
		{"QuantileCRPS", []func(*G.ExprGraph, string) *G.Node{float(3, 1), float(3)}, []loss.Option{loss.WithLevels(1)}, loss.ErrOption, "loss.QuantileCRPS: WithLevels has 1 at index 0, want a number in (0, 1)"},
		{"CumulativeLink", []func(*G.ExprGraph, string) *G.Node{float(2), values(1, 1), labels(0, 2)}, nil,
			loss.ErrValue, "loss.CumulativeLink: threshold 1 is 1 after 1, want increasing thresholds"},
		{"CumulativeLink", []func(*G.ExprGraph, string) *G.Node{float(2), values(1, 2), labels(0, 3)}, nil,
			loss.ErrValue, "loss.CumulativeLink: label is 3 at row 1, want one in [0, 3)"},
		{"GaussianCRPS", []func(*G.ExprGraph, string) *G.Node{float(2), float(2), values(1, -1)}, nil, loss.ErrValue,
			"loss.GaussianCRPS: std is -1 at row 1, want numbers >= 0"},
		{"DiscreteHazard", []func(*G.ExprGraph, string) *G.Node{float(2, 3), labels(0, 3), labels(0, 1)}, nil,
			loss.ErrValue, "loss.DiscreteHazard: interval is 3 at row 1, want one in [0, 3)"},
		{"DiscreteHazard", []func(*G.ExprGraph, string) *G.Node{float(2, 3), labels(0, 2), labels(0, 2)}, nil,
			loss.ErrValue, "loss.DiscreteHazard: event is 2 at row 1, want 0 or 1"},
		{"CoxPartialLikelihood", []func(*G.ExprGraph, string) *G.Node{float(2), values(1, math.NaN()), labels(0, 1)},
			nil, loss.ErrValue, "loss.CoxPartialLikelihood: time is NaN at row 1"},
		{"CoxPartialLikelihood", []func(*G.ExprGraph, string) *G.Node{float(2), values(1, 2), values(0, .5)}, nil,
			loss.ErrValue, "loss.CoxPartialLikelihood: event is 0.5 at row 1, want 0 or 1"},
		{"LDAM", []func(*G.ExprGraph, string) *G.Node{float(2, 3), labels(0, 2)}, nil, loss.ErrOption,
			"loss.LDAM: WithCounts is missing, which has no default"},
		{"LDAM", []func(*G.ExprGraph, string) *G.Node{float(2, 3), labels(0, 2)},
			[]loss.Option{loss.WithCounts([]float64{1, 2})}, loss.ErrOption, "loss.LDAM: WithCounts has 2 entries, want 3"},
		{"LDAM", []func(*G.ExprGraph, string) *G.Node{float(2, 3), labels(0, 2)}, []loss.Option{loss.WithCounts([]float64{1, 0, 2})}, loss.ErrOption, "loss.LDAM: WithCounts has 0 at index 1, want a finite number > 0"},
		{"AsymmetricLoss", []func(*G.ExprGraph, string) *G.Node{values(1), values(.5)},
			[]loss.Option{loss.WithClip(1)}, loss.ErrOption, "loss.AsymmetricLoss: WithClip is 1, want a number in [0, 1)"},
		{"AsymmetricLoss", []func(*G.ExprGraph, string) *G.Node{values(1), values(.5)},
			[]loss.Option{loss.WithGammas(1, -1)}, loss.ErrOption, "loss.AsymmetricLoss: WithGammas has -1 at index 1"},
	} {
		g := G.NewGraph()
		info, _ := loss.Describe(c.loss)
		var nodes []*G.Node
		for k, f := range c.operands {
			nodes = append(nodes, f(g, info.Operands[k]))
		}
		n, err := info.Call(nodes, c.opts...)
		if err == nil {
			_, err = runTape(g, n)
			err = loss.Cause(err)
		}
		if !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// The fair score of a sample has the expectation of the score of the population (Ferro 2014): its
// mean over all pairs out of a population is the population's score.
func TestFairEnsemble(t *testing.T) {
	population := []float64{-1.5, 0.25, 0.5, 2, 3.25}
	const y = 0.75
	l, err := eager.EnsembleCRPS(loss.WithFair())
	if err != nil {
		t.Fatal(err)
	}
	score := func(x ...float64) float64 {
		v, err := l.Value(eager.Data{}, eager.Slice(x, 1, len(x)), eager.Slice([]float64{y}, 1))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	sum, pairs := 0.0, 0.0
	for i, a := range population {
		for _, b := range population[i+1:] {
			sum += score(a, b)
			pairs++
		}
	}
	nearList(t, "mean over pairs", []float64{sum / pairs}, []float64{score(population...)}, sumTolerance)
}
