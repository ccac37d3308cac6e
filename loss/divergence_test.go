package loss_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A divergence is a loss of two rows under some options.
type divergence struct {
	name string
	fn   loss.Func
	opts []loss.Option
}

// ofProbabilities are the divergences of (prob, target).
func ofProbabilities() []divergence {
	out := []divergence{
		{"TotalVariation", loss.TotalVariation, nil},
		{"Hellinger", loss.Hellinger, nil},
		{"Bhattacharyya", loss.Bhattacharyya, nil},
		{"GeneralizedKL", loss.GeneralizedKL, nil},
	}
	for _, beta := range []float64{0, 1e-6, 0.1, 0.5, 0.9, 1} {
		out = append(out, divergence{fmt.Sprintf("JensenShannon(%v)", beta), loss.JensenShannon, []loss.Option{loss.WithBeta(beta)}})
	}
	for _, alpha := range []float64{1e-9, 0.3, 0.5, 1 - 1e-9, 1, 1 + 1e-9, 2, 7} {
		out = append(out, divergence{fmt.Sprintf("Renyi(%v)", alpha), loss.Renyi, []loss.Option{loss.WithAlpha(alpha)}})
	}
	for _, alpha := range []float64{-2, -1e-6, 0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1, 1 + 1e-6, 2, 5} {
		out = append(out, divergence{fmt.Sprintf("AlphaDivergence(%v)", alpha), loss.AlphaDivergence, []loss.Option{loss.WithAlpha(alpha)}})
	}
	return out
}

// of runs a divergence on rows of n entries without reduction, with both gradients.
func (d divergence) of(t *testing.T, dt tensor.Dtype, n int, pred, target []float64) *computed {
	t.Helper()
	return mustCompute(t, dt, func(b *bench) (*G.Node, error) {
		shape := []int{len(pred) / n, n}
		return d.fn(b.float("p", shape, pred...), b.float("t", shape, target...),
			append(d.opts, loss.WithReduction(loss.None))...)
	}, "p", "t")
}

func alpha(a float64) []loss.Option { return []loss.Option{loss.WithAlpha(a)} }

func beta(b float64) []loss.Option { return []loss.Option{loss.WithBeta(b)} }

func TestDivergenceValues(t *testing.T) {
	half, quarters := []float64{0.5, 0.5}, []float64{0.25, 0.75} // p and t
	root := math.Sqrt(0.5)
	rest := ((root-0.5)*(root-0.5) + (math.Sqrt(0.75)-root)*(math.Sqrt(0.75)-root)) / 2 // 1 - √⅛ - √⅜
	kl := -math.Ln2/4 + 0.75*math.Log(1.5)                                              // ¼·log ½ + ¾·log 3/2
	reverse := math.Ln2/2 - math.Log(1.5)/2                                             // ½·log 2 + ½·log ⅔
	tests := []struct {
		divergence
		pred, target []float64
		want         float64
	}{
		{divergence{"KL", loss.KL, nil}, []float64{3, 3}, quarters, kl},
		{divergence{"KLFromLogProb", loss.KLFromLogProb, nil}, logs(half), quarters, kl},
		{divergence{"ReverseKL", loss.ReverseKL, nil}, []float64{3, 3}, quarters, reverse},
		{divergence{"ReverseKL log", loss.ReverseKL, []loss.Option{loss.WithLogTarget()}}, []float64{3, 3},
			logs(quarters), reverse},
		{divergence{"ReverseKL logits", loss.ReverseKL, []loss.Option{loss.WithTargetLogits()}}, []float64{3, 3},
			[]float64{0, math.Log(3)}, reverse},
		// m = (3/8, 5/8)
		{divergence{"JensenShannon", loss.JensenShannon, nil}, half, quarters,
			(math.Log(2./3)/4 + 0.75*math.Log(6./5) + math.Log(4./3)/2 + math.Log(4./5)/2) / 2},
		{divergence{"JensenShannon β=0", loss.JensenShannon, beta(0)}, half, quarters, kl},
		{divergence{"JensenShannon β=1", loss.JensenShannon, beta(1)}, half, quarters, reverse},
		{divergence{"JensenShannon apart", loss.JensenShannon, nil}, []float64{1, 0}, []float64{0, 1}, math.Ln2},
		{divergence{"TotalVariation", loss.TotalVariation, nil}, half, quarters, 0.25},
		{divergence{"Hellinger", loss.Hellinger, nil}, half, quarters, math.Sqrt(rest)},
		{divergence{"Hellinger apart", loss.Hellinger, nil}, []float64{1, 0}, []float64{0, 1}, 1},
		{divergence{"Bhattacharyya", loss.Bhattacharyya, nil}, half, quarters, -math.Log1p(-rest)},
		{divergence{"GeneralizedKL", loss.GeneralizedKL, nil}, []float64{1, 3}, []float64{2, 0}, 2*math.Ln2 - 2 + 4},
		// Σ t²/p = 2(1/16 + 9/16) = 5/4
		{divergence{"Renyi", loss.Renyi, nil}, half, quarters, math.Log(1.25)},
		{divergence{"Renyi α=1", loss.Renyi, alpha(1)}, half, quarters, kl},
		{divergence{"AlphaDivergence", loss.AlphaDivergence, nil}, half, quarters, 4 * rest},
		{divergence{"AlphaDivergence α=2", loss.AlphaDivergence, alpha(2)}, half, quarters, 0.125},
		// Σ p²/t = 1 + ⅓
		{divergence{"AlphaDivergence α=-1", loss.AlphaDivergence, alpha(-1)}, half, quarters, 1. / 6},
		{divergence{"AlphaDivergence α=1", loss.AlphaDivergence, alpha(1)}, half, quarters, kl},
		{divergence{"AlphaDivergence α=0", loss.AlphaDivergence, alpha(0)}, half, quarters, reverse},
		// rows that are no distributions: the formula as it stands. 2·log 2/1 + 1·log 1/3; Σ t²/p =
		// 4 + ⅓
		{divergence{"KLFromLogProb of masses", loss.KLFromLogProb, nil}, []float64{0, math.Log(3)}, []float64{2, 1},
			2*math.Ln2 - math.Log(3)},
		{divergence{"Renyi of masses", loss.Renyi, nil}, []float64{1, 3}, []float64{2, 1}, math.Log(13. / 3)},
		{divergence{"AlphaDivergence of masses", loss.AlphaDivergence, alpha(2)}, []float64{1, 3}, []float64{2, 1}, 5. / 3},
		// B = √2 + √3 > 1
		{divergence{"Hellinger of masses", loss.Hellinger, nil}, []float64{1, 3}, []float64{2, 1}, 0},
		{divergence{"Bhattacharyya of masses", loss.Bhattacharyya, nil}, []float64{1, 3}, []float64{2, 1},
			-math.Log(math.Sqrt2 + math.Sqrt(3))},
		// ½(1 + (e^½ - 1 - ½) + 4 + (e^-1 - 1 + 1))
		{divergence{"StandardGaussianKL", loss.StandardGaussianKL, nil}, []float64{1, 2}, []float64{0.5, -1},
			(1 + math.Exp(0.5) - 1.5 + 4 + math.Exp(-1)) / 2},
		{divergence{"BernoulliKL", loss.BernoulliKL, []loss.Option{loss.WithReduction(loss.Sum)}}, []float64{0, math.Log(3)}, []float64{math.Log(3), 0},
			reverse + kl},
	}
	for _, test := range tests {
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return test.fn(b.float("p", []int{1, 2}, test.pred...), b.float("t", []int{1, 2}, test.target...), test.opts...)
		}, "p", "t")
		// a few roundings of the sums, here and in the expected value
		if !near64(got.value[0], test.want, 2e-15, 0) {
			t.Errorf("%s = %v, want %v", test.name, got.value[0], test.want)
		}
	}
	// The values that textbooks give for these rows, in bits and to five decimals.
	p, q := []float64{0.10, 0.40, 0.50}, []float64{0.80, 0.15, 0.05}
	for _, test := range []struct {
		divergence
		pred, target []float64
		bits         float64
	}{
		{divergence{"KL(P‖Q)", loss.KLFromLogProb, nil}, logs(q), p, 1.92698},
		{divergence{"KL(Q‖P)", loss.KLFromLogProb, nil}, logs(p), q, 2.02165},
		{divergence{"JS(P, Q)", loss.JensenShannon, nil}, p, q, 0.42020},
	} {
		if got := test.of(t, tensor.Float64, 3, test.pred, test.target).value[0] / math.Ln2; !(math.Abs(got-test.bits) <= 5e-6) {
			t.Errorf("%s = %v bits, want %v", test.name, got, test.bits)
		}
	}
}

// Every divergence has the derivatives of its formula, first and second, for both operands, on
// distributions and on other rows.
func TestDivergenceDerivatives(t *testing.T) {
	logits := []float64{0.3, -1.2, 0.8, 2, 0.1, -0.4}
	other := []float64{-0.6, 0.4, 1.1, 0.5, -1.5, 0.9}
	prob := []float64{0.2, 0.3, 0.5, 0.7, 0.2, 0.1}
	target := []float64{0.6, 0.35, 0.05, 0.25, 0.125, 0.625}
	mass := []float64{1.5, 0.2, 3, 0.4, 2, 0.7}
	check := func(name string, fn loss.Func, pred, target []float64, opts ...loss.Option) {
		t.Run(name, func(t *testing.T) {
			gradcheck.Test(t, func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
				return fn(in[0], in[1], append(opts, loss.WithReduction(loss.None))...)
			}, []gradcheck.Input{gradcheck.Var("p", pred, 2, 3), gradcheck.Var("t", target, 2, 3)},
				gradcheck.WithRandomUpstream(), gradcheck.WithSecondOrder(2))
		})
	}
	for _, d := range ofProbabilities() {
		if strings.Contains(d.name, "e-09") || strings.Contains(d.name, "99999") {
			continue // the terms of order 1e9 that the masses bring drown all others; values are tested below
		}
		check(d.name, d.fn, prob, target, d.opts...)
		if d.name != "Hellinger" {
			check(d.name+" of masses", d.fn, mass, target, d.opts...)
		}
	}
	for name, fn := range map[string]loss.Func{"KL": loss.KL, "ReverseKL": loss.ReverseKL} {
		check(name, fn, logits, target)
		check(name+" of masses", fn, logits, mass, loss.WithTemperature(2))
		check(name+" log", fn, logits, other, loss.WithLogTarget())
		check(name+" logits", fn, logits, other, loss.WithTargetLogits(), loss.WithTemperature(0.7))
	}
	check("KLFromLogProb", loss.KLFromLogProb, other, target)
	check("KLFromLogProb log", loss.KLFromLogProb, other, logs(prob), loss.WithLogTarget())
	check("StandardGaussianKL", loss.StandardGaussianKL, logits, other)
	check("BernoulliKL", loss.BernoulliKL, logits, other)
}

// Equal rows have divergence 0 to the bit, also those of float32 whose sums miss 1, and nearly
// equal ones are never below it.
func TestDivergencesOfEqualRows(t *testing.T) {
	const seed, n, rows = 43, 5, 40
	rng := rand.New(rand.NewPCG(seed, 1))
	p, near := make([]float64, rows*n), make([]float64, rows*n)
	for lo := 0; lo < len(p); lo += n {
		sum := 0.0
		for i := lo; i < lo+n; i++ {
			p[i] = math.Exp(3 * rng.NormFloat64())
			sum += p[i]
		}
		step := math.Ldexp(1, -rng.IntN(24)) // from 1 to half a unit in the last place of float32
		for i := lo; i < lo+n; i++ {
			p[i] = float64(float32(p[i] / sum))
			near[i] = float64(float32(p[i] * (1 + step*(rng.Float64()-0.5))))
		}
	}
	for _, d := range ofProbabilities() {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			if got := d.of(t, dt, n, p, p).value; sameBits(got, make([]float64, rows)) != nil {
				t.Errorf("%s of equal rows in %v is %v, want 0 (seed %d)", d.name, dt, got, seed)
			}
			for i, v := range d.of(t, dt, n, near, p).value {
				row := near[i*n : (i+1)*n]
				if sum := sumOf(row); math.Abs(sum-1) <= 0x1p-22 && !(v >= 0) {
					t.Errorf("%s of nearly equal rows in %v is %v, want >= 0 (p %v, t %v, seed %d)", d.name, dt, v,
						row, p[i*n:(i+1)*n], seed)
				}
			}
		}
	}
}

func sumOf(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// What divergences are at the ends of their parameters and to each other.
func TestDivergenceRelations(t *testing.T) {
	p := []float64{0.2, 0.3, 0.5, 0.7, 0.2, 0.1, 0.98, 0.015, 0.005}
	q := []float64{0.6, 0.3, 0.1, 0.25, 0.125, 0.625, 0.01, 0.5, 0.49}
	value := func(fn loss.Func, p, q []float64, opts ...loss.Option) []float64 {
		return divergence{fn: fn, opts: opts}.of(t, tensor.Float64, 3, p, q).value
	}
	scaled := func(x []float64, by float64) []float64 {
		out := make([]float64, len(x))
		for i, v := range x {
			out[i] = v * by
		}
		return out
	}
	kl, reverse := value(loss.KLFromLogProb, logs(p), q), value(loss.KLFromLogProb, logs(q), p)
	// The relative slopes of these values in the parameter are below 100, the largest ratio of two
	// entries.
	const step, rel = 1e-8, 1e-6
	checkNear(t, "JensenShannon(β)/β", scaled(value(loss.JensenShannon, p, q, loss.WithBeta(step)), 1/step), kl, rel)
	checkNear(t, "JensenShannon(1-β)/β", scaled(value(loss.JensenShannon, p, q, loss.WithBeta(1-step)), 1/step),
		reverse, rel)
	for _, a := range []float64{-step, step} {
		checkNear(t, "Renyi(1±)", value(loss.Renyi, p, q, loss.WithAlpha(1+a)), kl, rel)
		checkNear(t, "AlphaDivergence(1±)", value(loss.AlphaDivergence, p, q, loss.WithAlpha(1+a)), kl, rel)
		checkNear(t, "AlphaDivergence(0±)", value(loss.AlphaDivergence, p, q, loss.WithAlpha(a)), reverse, rel)
	}
	checkNear(t, "Renyi(α)/α for α→0", scaled(value(loss.Renyi, p, q, loss.WithAlpha(step)), 1/step), reverse, rel)
	for _, test := range []struct {
		what      string
		got, want []float64
	}{
		{"KL of logits", value(loss.KL, logs(p), q), kl},
		{"ReverseKL of logits", value(loss.ReverseKL, logs(p), q), reverse},
		{"JensenShannon(0)", value(loss.JensenShannon, p, q, loss.WithBeta(0)), kl},
		{"JensenShannon(1)", value(loss.JensenShannon, p, q, loss.WithBeta(1)), reverse},
		{"JensenShannon exchanged", value(loss.JensenShannon, p, q, loss.WithBeta(0.3)),
			value(loss.JensenShannon, q, p, loss.WithBeta(0.7))},
		{"GeneralizedKL of distributions", value(loss.GeneralizedKL, p, q), kl},
		{"TotalVariation exchanged", value(loss.TotalVariation, p, q), value(loss.TotalVariation, q, p)},
		{"Hellinger exchanged", value(loss.Hellinger, p, q), value(loss.Hellinger, q, p)},
		{"Bhattacharyya is Renyi(½)/2", value(loss.Bhattacharyya, p, q),
			scaled(value(loss.Renyi, p, q, loss.WithAlpha(0.5)), 0.5)},
		{"AlphaDivergence exchanged", value(loss.AlphaDivergence, p, q, loss.WithAlpha(3)),
			value(loss.AlphaDivergence, q, p, loss.WithAlpha(-2))},
	} {
		checkNear(t, test.what, test.got, test.want, 1e-14)
	}
	half, h, tv := value(loss.AlphaDivergence, p, q), value(loss.Hellinger, p, q), value(loss.TotalVariation, p, q)
	low, high := value(loss.Renyi, p, q, loss.WithAlpha(0.5)), value(loss.Renyi, p, q)
	for i := range kl {
		if !near64(4*h[i]*h[i], half[i], 1e-14, 0) {
			t.Errorf("row %d: 4·Hellinger² = %v, want AlphaDivergence(½) = %v", i, 4*h[i]*h[i], half[i])
		}
		if !(h[i]*h[i] <= tv[i] && tv[i] <= math.Sqrt2*h[i] && tv[i] <= math.Sqrt(kl[i]/2)) {
			t.Errorf("row %d: total variation %v, Hellinger %v and KL %v break H² <= TV <= √2·H or Pinsker's inequality", i, tv[i], h[i], kl[i])
		}
		if !(low[i] < kl[i] && kl[i] < high[i]) {
			t.Errorf("row %d: Renyi is %v, %v, %v for α = ½, 1, 2: want it to grow", i, low[i], kl[i], high[i])
		}
	}
}

func TestDivergenceOptions(t *testing.T) {
	for _, test := range []struct {
		divergence
		pred, target []float64
		kind         error
		text         string
	}{
		{divergence{"", loss.JensenShannon, beta(1.5)}, nil, nil, loss.ErrOption,
			"loss.JensenShannon: WithBeta is 1.5, want a number in [0, 1]"},
		{divergence{"", loss.JensenShannon, beta(-0.5)}, nil, nil, loss.ErrOption,
			"loss.JensenShannon: WithBeta is -0.5, want a finite number >= 0"},
		{divergence{"", loss.Renyi, alpha(0)}, nil, nil, loss.ErrOption, "loss.Renyi: WithAlpha is 0, want a number > 0"},
		{divergence{"", loss.AlphaDivergence, alpha(inf)}, nil, nil, loss.ErrOption,
			"loss.AlphaDivergence: WithAlpha is +Inf, want a finite number"},
		{divergence{"", loss.ReverseKL, []loss.Option{loss.WithLogTarget(), loss.WithTargetLogits()}}, nil, nil, loss.ErrOption,
			"loss.ReverseKL: WithLogTarget and WithTargetLogits exclude each other"},
		{divergence{"", loss.Hellinger, []loss.Option{loss.WithTemperature(2)}}, nil, nil, loss.ErrOption,
			"loss.Hellinger: WithTemperature is not an option of this loss, which takes WithReduction, WithAxis, WithWeights, WithMask, WithNormalizer, WithNormalizerNode"},
		{divergence{"", loss.TotalVariation, nil}, []float64{0.5, -0.5}, nil, loss.ErrValue,
			"loss.TotalVariation: prob is -0.5 at row 0 class 1, want numbers >= 0"},
		{divergence{"", loss.GeneralizedKL, nil}, nil, []float64{-1, 2}, loss.ErrValue,
			"loss.GeneralizedKL: target is -1 at row 0 class 0, want finite numbers >= 0"},
		{divergence{"", loss.ReverseKL, nil}, nil, []float64{inf, 2}, loss.ErrValue,
			"loss.ReverseKL: target is +Inf at row 0 class 0, want finite numbers >= 0"},
	} {
		if test.pred == nil {
			test.pred = []float64{0.5, 0.5}
		}
		if test.target == nil {
			test.target = []float64{0.5, 0.5}
		}
		_, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
			return test.fn(b.float("p", []int{1, 2}, test.pred...), b.float("t", []int{1, 2}, test.target...), test.opts...)
		}, "p")
		if !errors.Is(err, test.kind) || err.Error() != test.text {
			t.Errorf("error is %q, want %q of kind %q", err, test.text, test.kind)
		}
	}
}
