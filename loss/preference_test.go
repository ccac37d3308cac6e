package loss_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	tokens := func(name string, data bool, x ...float64) groupInput {
		return groupInput{name: name, shape: []int{3, 4}, x: x, data: data, masked: everyRow(1)}
	}
	logp := tokens("logp", false, -0.5, -1, -2, -0.25, -1.5, -0.75, -0.125, -3, -2, -1.25, -0.75, -0.5)
	old := tokens("oldLogp", true, -0.75, -1.125, -1.5, -0.25, -1.25, -1, -0.5, -2.75, -2.5, -1, -0.875, -0.5)
	ref := tokens("refLogp", true, -0.25, -1.5, -1, -0.5, -1.75, -0.75, -0.25, -2.5, -2, -1.5, -0.5, -1.5)
	ref.with, ref.field = loss.NewRefLogProb, func(d *eager.Data) *eager.Operand { return &d.RefLogProb }
	optional := old
	optional.with, optional.field = loss.NewOldLogProb, func(d *eager.Data) *eager.Operand { return &d.OldLogProb }
	perSequence := groupInput{name: "advantages", shape: []int{3}, x: []float64{1.5, -0.5, 0}, data: true}
	perToken := tokens("advantages", true, 1, -1, 2, -2, 0, 0.5, -0.5, 1.5, -1.5, 1, 1, -1)
	flat := func(in groupInput) groupInput { in.shape = []int{12}; return in }
	segments := groupInput{name: "segments", shape: []int{12}, ints: []int{7, 2, 7, -1, 2, 7, 9, 9, 2, -4, 7, 9},
		with: loss.WithSegments, field: func(d *eager.Data) *eager.Operand { return &d.Segments }}
	add := func(name, title string, inputs []groupInput, opts ...loss.Option) {
		groupProblems = append(groupProblems,
			groupProblem{loss: name, title: title, inputs: inputs, opts: opts, mask: []int{3, 4}, inner: name == "GRPO"})
	}
	add("GRPO", "plain", []groupInput{logp, perSequence, optional})
	add("GRPO", "on policy", []groupInput{logp, perToken}, loss.WithAggregation(loss.TokenMean))
	groupProblems[len(groupProblems)-1].kinks = true // the old policy is a constant; TestOnPolicy
	add("GRPO", "k3", []groupInput{logp, perToken, optional, ref}, loss.WithBeta(.25), loss.WithEpsilonHigh(.3),
		loss.WithDelta(1.4))
	add("GRPO", "k2", []groupInput{logp, perSequence, optional, ref}, loss.WithBeta(.25),
		loss.WithKLEstimator(loss.K2), loss.WithAggregation(loss.SequenceSum))
	add("GRPO", "k1", []groupInput{logp, perSequence, optional, ref}, loss.WithBeta(.25),
		loss.WithKLEstimator(loss.K1), loss.WithFixedLength(8))
	add("GRPO", "sequence ratio", []groupInput{logp, perToken, optional}, loss.WithSequenceRatio())
	add("PPO", "plain", []groupInput{logp, old, perSequence})
	add("SequenceLogProb", "sum", []groupInput{logp})
	add("SequenceLogProb", "mean", []groupInput{logp}, loss.WithMean())
	for i := range groupProblems[len(groupProblems)-2:] {
		p := &groupProblems[len(groupProblems)-2+i]
		p.node = true
		p.inputs = slices.Clone(p.inputs)
		p.inputs[0].name = "tokenLogProb"
	}
	groupProblems = append(groupProblems,
		groupProblem{loss: "GRPO", title: "segments",
			inputs: []groupInput{flat(logp), flat(perToken), flat(optional), segments}, mask: []int{12}, inner: true},
		groupProblem{loss: "PPO", title: "one sequence", inputs: []groupInput{flat(logp), flat(old), flat(perToken)},
			mask: []int{12}})

	row := func(name string, data bool, x ...float64) groupInput {
		return groupInput{name: name, shape: []int{4}, x: x, data: data, masked: everyRow(1)}
	}
	chosen, rejected := row("chosen", false, -1, 2.5, 0.25, 3), row("rejected", false, 0.5, -1, 0.75, -2)
	margin := row("margin", true, 0.5, 1, 0, -0.25)
	margin.with, margin.field = loss.WithMarginNode, func(d *eager.Data) *eager.Operand { return &d.Margin }
	kl := groupInput{name: "kl", x: []float64{0.25}, data: true, with: loss.WithKL, field: func(d *eager.Data) *eager.Operand { return &d.KL }}
	completions := []groupInput{row("logp", false, -1, 2.5, 0.25, 3), row("refLogp", false, 0.5, -1, 0.75, -2), {name: "labels", shape: []int{4}, ints: []int{1, 0, 0, 1}, masked: everyRow(1)}}
	groupProblems = append(groupProblems,
		groupProblem{loss: "BradleyTerry", title: "plain", inputs: []groupInput{chosen, rejected}, mask: []int{4},
			weights: []int{4}},
		groupProblem{loss: "BradleyTerry", title: "margin", inputs: []groupInput{chosen, rejected, margin},
			mask: []int{4}, weights: []int{4}},
		groupProblem{loss: "KTO", title: "plain", inputs: completions, opts: []loss.Option{loss.WithBeta(.5)},
			mask: []int{4}, weights: []int{4}},
		groupProblem{loss: "KTO", title: "kl and weights", inputs: append(slices.Clone(completions), kl),
			opts: []loss.Option{loss.WithClassWeights([]float64{1, 1.5})}, mask: []int{4}, weights: []int{4}},
		groupProblem{loss: "KTOBaseline", title: "plain", inputs: []groupInput{{name: "logp", shape: []int{4}, x: chosen.x, data: true, masked: everyRow(1)}, {name: "refLogp", shape: []int{4}, x: rejected.x, data: true, masked: everyRow(1)}}, mask: []int{4}, node: true, kinks: true},
		groupProblem{loss: "PPOValue", title: "plain", inputs: []groupInput{row("value", false, -1, 2.5, 0.25, 3), row("oldValue", true, -0.75, 2, 0.3, 3.5), row("returns", true, 0.5, 2, 0.75, -2)}, mask: []int{4}, weights: []int{4}})
}

func TestAdvantages(t *testing.T) {
	rewards, groups := []float64{1, 0, 0.5, 1, 1, 1, 2}, []int{0, 0, 0, 1, 1, 1, 2}
	std := 0.5                          // of 1, 0, ½
	batch := math.Sqrt(31.0 / 14 / 6.0) // of all: Σ r² = 8.25, Σ r = 6.5, so that Σ (r-mean)² = 31/14
	for _, c := range []struct {
		opts []loss.Option
		want []float64
	}{
		{nil, []float64{0.5 / (std + 1e-4), -0.5 / (std + 1e-4), 0, 0, 0, 0, 0}},
		{[]loss.Option{loss.WithEpsilon(0)}, []float64{1, -1, 0, 0, 0, 0, 0}},
		{[]loss.Option{loss.NoScale()}, []float64{0.5, -0.5, 0, 0, 0, 0, 0}},
		{[]loss.Option{loss.BatchScale()}, []float64{0.5 / (batch + 1e-4), -0.5 / (batch + 1e-4), 0, 0, 0, 0, 0}},
		{[]loss.Option{loss.LeaveOneOut()}, []float64{0.75, -0.75, 0, 0, 0, 0, 0}},
	} {
		got, err := loss.Advantages(rewards, groups, c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		nearList(t, "advantages", got, c.want, 4e-16)
	}
	for _, c := range []struct {
		rewards []float64
		groups  []int
		opts    []loss.Option
		kind    error
		want    string
	}{
		{[]float64{1, 2}, []int{0}, nil, loss.ErrShape, "loss.Advantages: 1 groups, want 2 to match the rewards"},
		{[]float64{1, math.NaN()}, []int{0, 0}, nil, loss.ErrValue, "loss.Advantages: reward is NaN at index 1"},
		{[]float64{1}, []int{0}, []loss.Option{loss.WithEpsilon(-1)}, loss.ErrOption, "loss.Advantages: WithEpsilon is -1"},
		{[]float64{1}, []int{0}, []loss.Option{loss.NoScale(), loss.LeaveOneOut()}, loss.ErrOption,
			"loss.Advantages: NoScale, BatchScale and LeaveOneOut exclude each other"},
		{[]float64{1}, []int{0}, []loss.Option{loss.WithBeta(1)}, loss.ErrOption, "loss.Advantages: WithBeta is not an option of this loss, which takes WithEpsilon, NoScale, BatchScale, LeaveOneOut"},
	} {
		if _, err := loss.Advantages(c.rewards, c.groups, c.opts...); !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// Equal rewards have advantages of exactly 0, whatever they are.
func TestEqualRewards(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		rewards := slices.Repeat([]float64{r.NormFloat64() * math.Pow(10, 20*r.Float64()-10)}, 1+r.IntN(9))
		got, err := loss.Advantages(rewards, make([]int, len(rewards)), loss.WithEpsilon(0))
		if err != nil || slices.ContainsFunc(got, func(a float64) bool { return a != 0 }) {
			t.Fatalf("advantages of %v: %v, error %v", rewards, got, err)
		}
	}
}

// k3 keeps its digits near 0 (d = 1e-9: 5e-19), an advantage of 0 gives 0 with gradient 0 at an
// infinite ratio, and a completion that is wholly masked has no part (trl #5826, #3382).
func TestPolicyCorners(t *testing.T) {
	solve := func(logp, old, ref, adv, mask []float64, opts ...loss.Option) (value, grad []float64) {
		t.Helper()
		g := G.NewGraph()
		rows := len(adv)
		shape := []int{rows, len(logp) / rows}
		x := floatLeaf(g, tensor.Float64, "logp", shape, logp)
		var oldNode, refNode *G.Node
		if old != nil {
			oldNode = floatLeaf(g, tensor.Float64, "old", shape, old)
		}
		if ref != nil {
			refNode = floatLeaf(g, tensor.Float64, "ref", shape, ref)
		}
		if mask != nil {
			opts = append(opts, loss.WithMask(floatLeaf(g, tensor.Float64, "mask", shape, mask)))
		}
		l, err := loss.GRPO(x, oldNode, refNode, floatLeaf(g, tensor.Float64, "adv", []int{rows}, adv), opts...)
		if err != nil {
			t.Fatal(err)
		}
		grads, err := loss.Gradients(l, x)
		if err != nil {
			t.Fatal(err)
		}
		out, err := runTape(g, l, grads[0])
		if err != nil {
			t.Fatal(err)
		}
		return out[0], out[1]
	}
	value, _ := solve([]float64{-1}, nil, []float64{-1 + 0x1p-30}, []float64{0}, nil, loss.WithBeta(1))
	nearList(t, "k3 at 2^-30", value, []float64{0x1p-61 * (1 + 0x1p-30/3)}, 0) // d²/2 + d³/6
	if math.Abs(value[0]/(0x1p-61*(1+0x1p-30/3))-1) > 1e-15 {
		t.Errorf("k3 is %v", value[0])
	}
	value, grad := solve([]float64{0}, []float64{math.Inf(-1)}, nil, []float64{0}, nil)
	nearList(t, "no advantage, infinite ratio", append(value, grad...), []float64{0, 0}, 0)
	value, grad = solve([]float64{-1, -2, math.NaN(), 3}, nil, nil, []float64{1, 5}, []float64{1, 1, 0, 0})
	nearList(t, "a masked completion", append(value, grad...), []float64{-1, -0.5, -0.5, 0, 0}, 0)
}

// Without an old policy, the gradient is that with the policy itself as the old one, and so is the
// Hessian.
func TestOnPolicy(t *testing.T) {
	logp, adv := []float64{-0.5, -1, -2, -0.25, -1.5, -0.75}, []float64{1.5, -0.5}
	solve := func(old *G.Node, g *G.ExprGraph, x *G.Node) [][]float64 {
		l, err := loss.GRPO(x, old, nil, floatLeaf(g, tensor.Float64, "adv", []int{2}, adv))
		if err != nil {
			t.Fatal(err)
		}
		grads, err := loss.Gradients(l, x)
		if err != nil {
			t.Fatal(err)
		}
		hv, err := loss.VJP(grads[0], floatLeaf(g, tensor.Float64, "v", []int{2, 3}, []float64{1, 2, -1, 0.5, 3, -2}), x)
		if err != nil {
			t.Fatal(err)
		}
		out, err := runTape(g, l, grads[0], hv[0])
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	g, h := G.NewGraph(), G.NewGraph()
	got := solve(nil, g, floatLeaf(g, tensor.Float64, "x", []int{2, 3}, logp))
	want := solve(floatLeaf(h, tensor.Float64, "old", []int{2, 3}, logp), h,
		floatLeaf(h, tensor.Float64, "x", []int{2, 3}, logp))
	for i, what := range []string{"value", "gradient", "H·v"} {
		nearList(t, what, got[i], want[i], 0)
	}
}

func TestPreferenceFaults(t *testing.T) {
	g := G.NewGraph()
	x := func(shape ...int) *G.Node {
		return floatLeaf(g, tensor.Float64, "x"+string(rune('a'+len(g.AllNodes()))), shape, make([]float64, product(shape)))
	}
	for _, c := range []struct {
		build func() (*G.Node, error)
		kind  error
		want  string
	}{
		{func() (*G.Node, error) { return loss.DPO(x(3), x(3), x(3), x(4)) }, loss.ErrShape,
			"loss.DPO: refRejected has shape (4), want (3) to match chosen"},
		{func() (*G.Node, error) { return loss.DPO(x(3), x(3), x(3), x(3), loss.WithBeta(0)) }, loss.ErrOption,
			"loss.DPO: WithBeta is 0, want a number > 0"},
		{func() (*G.Node, error) {
			return loss.DPO(x(3), x(3), x(3), x(3), loss.WithRobust(), loss.WithLabelSmoothing(.5))
		}, loss.ErrOption, "loss.DPO: WithLabelSmoothing is 0.5, want a number in [0, 0.5) with WithRobust"},
		{func() (*G.Node, error) { return loss.GRPO(x(3, 2), nil, nil, x(2)) }, loss.ErrShape,
			"loss.GRPO: advantages have shape (2), want (3) to match logp"},
		{func() (*G.Node, error) { return loss.GRPO(x(3, 2), nil, nil, x(3, 3)) }, loss.ErrShape,
			"loss.GRPO: advantages have shape (3, 3), want (3, 2) to match logp"},
		{func() (*G.Node, error) { return loss.GRPO(x(3, 2), nil, nil, x(3), loss.WithBeta(1)) }, loss.ErrOption,
			"loss.GRPO: WithBeta is 1 without refLogp, want 0"},
		{func() (*G.Node, error) { return loss.GRPO(x(3, 2), nil, nil, x(3), loss.WithDelta(1.1)) }, loss.ErrOption,
			"loss.GRPO: WithDelta is 1.1, want a number >= 1.2"},
		{func() (*G.Node, error) { return loss.GRPO(x(3, 2), nil, nil, x(3), loss.WithEpsilon(-1)) }, loss.ErrOption,
			"loss.GRPO: WithEpsilon is -1, want a number >= 0"},
		{func() (*G.Node, error) { return loss.GRPO(x(3, 2), nil, nil, x(3), loss.WithKLEstimator(7)) },
			loss.ErrOption, "loss.GRPO: WithKLEstimator is 7"},
		{func() (*G.Node, error) { return loss.GRPO(x(3, 2), nil, nil, x(3), loss.WithFixedLength(0)) },
			loss.ErrOption, "loss.GRPO: WithFixedLength is 0, want a number >= 1"},
		{func() (*G.Node, error) {
			return loss.GRPO(x(3, 2), nil, nil, x(3), loss.WithFixedLength(3), loss.WithAggregation(loss.TokenMean))
		}, loss.ErrOption, "loss.GRPO: WithFixedLength and WithAggregation exclude each other"},
		{func() (*G.Node, error) { return loss.PPO(x(3, 2), nil, x(3)) }, loss.ErrShape, "loss.PPO: oldLogp is nil"},
		{func() (*G.Node, error) { return loss.KTO(x(3), x(3), x(3), loss.WithClassWeights([]float64{1})) },
			loss.ErrOption, "loss.KTO: WithClassWeights has 1 entries, want 2"},
		{func() (*G.Node, error) { return loss.KTO(x(3), x(3), x(3), loss.WithKL(x(3))) }, loss.ErrShape,
			"loss.KTO: kl has shape (3), want ()"},
		{func() (*G.Node, error) { return loss.SequenceLogProb(x(3, 2), x(3)) }, loss.ErrShape,
			"loss.SequenceLogProb: mask has shape (3), want (3, 2) to match tokenLogProb (3, 2)"},
		{func() (*G.Node, error) { return loss.BradleyTerry(x(3), x(3), loss.WithMarginNode(nil)) }, loss.ErrOption,
			"loss.BradleyTerry: WithMarginNode is nil"},
	} {
		if n, err := c.build(); n != nil || !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	h := G.NewGraph()
	n, err := loss.ORPO(floatLeaf(h, tensor.Float64, "c", []int{2}, []float64{-1, 0.5}), floatLeaf(h, tensor.Float64, "r", []int{2}, []float64{-1, -1}))
	if err == nil {
		_, err = runTape(h, n)
	}
	if err = loss.Cause(err); err == nil || err.Error() != "loss.ORPO: chosen is 0.5 at row 1, want numbers <= 0" {
		t.Errorf("error %v", err)
	}
}
