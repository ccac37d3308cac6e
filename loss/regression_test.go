package loss_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// regress runs a loss of two operands on pairs without reduction, with both gradients.
func regress(t *testing.T, f loss.Func, p, y []float64, opts ...loss.Option) *computed {
	t.Helper()
	return mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return f(b.float("p", []int{len(p)}, p...), b.float("t", []int{len(y)}, y...),
			append(opts, loss.WithReduction(loss.None))...)
	}, "p", "t")
}

// Values and derivatives worked out by hand.
func TestRegressionValues(t *testing.T) {
	type row struct{ p, t, l, dp, dt float64 }
	ln2, ln3 := math.Ln2, math.Log(3)
	for _, c := range []struct {
		name string
		f    loss.Func
		opts []loss.Option
		rows []row
	}{
		{"HalfSquared", loss.HalfSquared, nil, []row{{3, 1, 2, 2, -2}, {1, 1, 0, 0, 0}}},
		{"MAE", loss.MAE, nil, []row{{3, 1, 2, 1, -1}, {1, 3, 2, -1, 1}, {1, 1, 0, 0, 0}}},
		{"Huber", loss.Huber, []loss.Option{loss.WithDelta(2)}, []row{
			{1, 0, 0.5, 1, -1}, {-2, 0, 2, -2, 2}, // e²/2, also at |e| = δ
			{5, 0, 8, 2, -2}, // 2·(5 - 1)
		}},
		{"SmoothL1", loss.SmoothL1, []loss.Option{loss.WithBeta(0.5)}, []row{
			{0.25, 0, 0.0625, 0.5, -0.5}, // e²/(2·½)
			{-2, 0, 1.75, -1, 1},         // 2 - ¼
		}},
		{"SmoothL1 at 0", loss.SmoothL1, []loss.Option{loss.WithBeta(0)}, []row{{2, 0, 2, 1, -1}, {1, 1, 0, 0, 0}}},
		{"LogCosh", loss.LogCosh, nil, []row{{ln2, 0, math.Log(1.25), 0.6, -0.6}}},                                          // cosh log 2 = (2 + ½)/2, tanh log 2 = (2 - ½)/(2 + ½)
		{"PseudoHuber", loss.PseudoHuber, []loss.Option{loss.WithDelta(2)}, []row{{1.5, 0, 1, 1.2, -1.2}}},                  // √(1 + 9/16) = 5/4
		{"Charbonnier", loss.Charbonnier, []loss.Option{loss.WithEpsilon(4)}, []row{{0, 3, 5, -0.6, 0.6}, {0, 0, 4, 0, 0}}}, // 3, 4, 5
		{"Quantile", loss.Quantile, []loss.Option{loss.WithQuantile(0.75)}, []row{
			{2, 0, 0.5, 0.25, -0.25}, {0, 2, 1.5, -0.75, 0.75}, {1, 1, 0, -0.25, 0.25}, // the mean of ¼ and -¾
		}},
		{"Expectile", loss.Expectile, []loss.Option{loss.WithTau(0.75)},
			[]row{{2, 0, 1, 1, -1}, {0, 2, 3, -3, 3}, {1, 1, 0, 0, 0}}},
		{"EpsilonInsensitive", loss.EpsilonInsensitive, []loss.Option{loss.WithEpsilon(0.5)}, []row{
			{0.25, 0, 0, 0, 0}, {0.5, 0, 0, 0, 0}, {-2, 0, 1.5, -1, 1},
		}},
		{"MAPE", loss.MAPE, []loss.Option{loss.WithEpsilon(0.5)}, []row{
			{3, -4, 1.75, 0.25, 0.1875},              // 7/4 and 3/16
			{1, 2, 0.5, -0.5, 0.25},                  // |p/2 - 1|
			{1, 0.25, 1.5, 2, -2}, {-1, 0, 2, -2, 2}, // |e|/½
			{2, 2, 0, 0, 0}, {0.5, 0.5, 0, 0, 0}, {1, 0.5, 1, 2, -2}, // a target of ε counts as below it
		}},
		{"SMAPE", loss.SMAPE, nil, []row{
			{3, 1, 1, 0.25, -0.75}, {-1, -3, 1, 0.75, -0.25}, // 2·2/4, 4·1/16 and 4·3/16
			{3, -1, 2, 0, 0},
			{2, 0, 2, 0, -1}, {0, -2, 2, 1, 0}, // between 0 and ∓4/2 on the sides of 0
			{0, 0, 0, 0, 0}, {2, 2, 0, 0, 0},
		}},
		{"MSLE", loss.MSLE, nil, []row{
			{1, 3, ln2 * ln2, -ln2, ln2 / 2}, // log(2/4)
			{-5, 1e-8, 0, 0, 0},              // both clamped
		}},
		{"Cauchy", loss.Cauchy, []loss.Option{loss.WithScale(2)}, []row{{4, 0, ln3, 1. / 3, -1. / 3}}},
		{"GemanMcClure", loss.GemanMcClure, nil, []row{{-2, 0, 1, -0.5, 0.5}}}, // 8/8 and 32/64
		{"Welsch", loss.Welsch, nil, []row{{1, 0, 1 - math.Exp(-0.5), math.Exp(-0.5), -math.Exp(-0.5)}}},
		{"Tukey", loss.Tukey, []loss.Option{loss.WithScale(2)}, []row{
			{1, 0, 37. / 96, 0.5625, -0.5625}, // 4/6·(1 - 27/64), (3/4)²
			{2, 0, 2. / 3, 0, 0}, {-9, 0, 2. / 3, 0, 0},
		}},
		{"Wing", loss.Wing, nil, []row{
			{0.5, 0, ln2, 1, -1}, {0, 0, 0, 0, 0}, {0, 2, 1 + ln3, -1, 1}, // C = 1 - log 3
			{1, 0, ln3, 1, -1}, // the linear side
		}},
		{"Barron", loss.Barron, []loss.Option{loss.WithScale(2)}, []row{{1.5, 0, 0.25, 0.3, -0.3}}}, // √(1 + 9/16) - 1, ¾/(5/4)/2
		{"PoissonNLL", loss.PoissonNLL, nil,
			[]row{{0, 3, 1, -2, 0}, {ln2, 0, 2, 2, -ln2}, {math.Inf(-1), 0, 0, 0, math.Inf(1)}}},
		{"PoissonNLL full", loss.PoissonNLL, []loss.Option{loss.WithFull()}, []row{
			{0, 3, 1 + 3*ln3 - 3 + math.Log(6*math.Pi)/2, -2, ln3 + 1./6}, {0, 1, 1, 0, 0}, {0, 0.5, 1, 0.5, 0},
		}},
		{"Gamma", loss.Gamma, nil, []row{{0, 3, 3, -2, 1}, {ln3, 3, 1 + ln3, 0, 1. / 3}}},
		{"Tweedie", loss.Tweedie, nil, []row{{0, 3, 8, -2, 2}, {0, 0, 2, 1, 2}}}, // 2·3 + 2
		{"NegativeBinomial", loss.NegativeBinomial, nil,
			[]row{{0, 3, 4 * ln2, -1, ln2}, {math.Inf(-1), 0, 0, 0, math.Inf(1)}}},
		// α = 1 is the geometric distribution: ½·(½)³, and ψ(4) - ψ(4) = 0
		{"NegativeBinomial full", loss.NegativeBinomial, []loss.Option{loss.WithFull()}, []row{{0, 3, 4 * ln2, -1, ln2}}},
		// two failures, p = ⅔: 3·(⅔)²·(⅓)² = 4/27; ψ(3) - ψ(4) = -⅓
		{"NegativeBinomial full", loss.NegativeBinomial, []loss.Option{loss.WithFull(), loss.WithAlpha(0.5)}, []row{
			{0, 2, math.Log(27. / 4), -2. / 3, ln3 - 1./3},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range c.rows {
				got := regress(t, c.f, []float64{r.p}, []float64{r.t}, c.opts...)
				// Logarithms and quotients in another order than here: some units in the last
				// place.
				for what, pair := range map[string][2]float64{"value": {got.value[0], r.l}, "∂/∂pred": {got.grads["p"][0], r.dp}, "∂/∂target": {got.grads["t"][0], r.dt}} {
					if !near64(pair[0], pair[1], 1e-15, 4e-16) {
						t.Errorf("at (%v, %v): %s is %v, want %v", r.p, r.t, what, pair[0], pair[1])
					}
				}
			}
		})
	}
}

// Infinite errors give the limits of value and derivative.
func TestRegressionInfiniteErrors(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name        string
		f           loss.Func
		opts        []loss.Option
		value, high float64 // at +Inf, and the derivative there
		low         float64 // the value at -Inf
	}{
		{"MSE", loss.MSE, nil, inf, inf, inf},
		{"HalfSquared", loss.HalfSquared, nil, inf, inf, inf},
		{"MAE", loss.MAE, nil, inf, 1, inf},
		{"Huber", loss.Huber, []loss.Option{loss.WithDelta(3)}, inf, 3, inf},
		{"SmoothL1", loss.SmoothL1, nil, inf, 1, inf},
		{"LogCosh", loss.LogCosh, nil, inf, 1, inf},
		{"PseudoHuber", loss.PseudoHuber, []loss.Option{loss.WithDelta(3)}, inf, 3, inf},
		{"Charbonnier", loss.Charbonnier, nil, inf, 1, inf},
		{"Quantile", loss.Quantile, []loss.Option{loss.WithQuantile(0.75)}, inf, 0.25, inf},
		{"Expectile", loss.Expectile, nil, inf, inf, inf},
		{"EpsilonInsensitive", loss.EpsilonInsensitive, nil, inf, 1, inf},
		{"MAPE", loss.MAPE, nil, inf, 1, inf},
		{"SMAPE", loss.SMAPE, nil, 2, 0, 2},
		{"MSLE", loss.MSLE, nil, inf, 0, (math.Log1p(1e-7) - math.Ln2) * (math.Log1p(1e-7) - math.Ln2)},
		{"Cauchy", loss.Cauchy, nil, inf, 0, inf},
		{"GemanMcClure", loss.GemanMcClure, nil, 2, 0, 2},
		{"Welsch", loss.Welsch, nil, 1, 0, 1},
		{"Tukey", loss.Tukey, []loss.Option{loss.WithScale(3)}, 1.5, 0, 1.5},
		{"Wing", loss.Wing, nil, inf, 1, inf},
		{"Barron(1)", loss.Barron, nil, inf, 1, inf},
		{"Barron(2)", loss.Barron, alpha(2), inf, inf, inf},
		{"Barron(1.5)", loss.Barron, alpha(1.5), inf, inf, inf},
		{"Barron(0.5)", loss.Barron, alpha(0.5), inf, 0, inf},
		{"Barron(0)", loss.Barron, alpha(0), inf, 0, inf},
		{"Barron(-3)", loss.Barron, alpha(-3), 5. / 3, 0, 5. / 3},
		{"PoissonNLL", loss.PoissonNLL, nil, inf, inf, inf},
		{"Gamma", loss.Gamma, nil, inf, 1, inf},
		{"Tweedie", loss.Tweedie, nil, inf, inf, inf},
		{"NegativeBinomial", loss.NegativeBinomial, []loss.Option{loss.WithAlpha(0.25)}, inf, 4, inf},
	} {
		got := regress(t, c.f, []float64{inf, -inf, math.NaN()}, []float64{1, 1, 1}, c.opts...)
		checkNear(t, c.name, got.value, []float64{c.value, c.low, math.NaN()}, 1e-15)
		checkNear(t, c.name+" derivative", got.grads["p"][:1], []float64{c.high}, 1e-15)
		for i, g := range got.grads["p"] {
			if (g != g) != (i == 2) {
				t.Errorf("%s: derivative %d is %v", c.name, i, g)
			}
		}
	}
}

// randomPairs are predictions and targets of all sizes of errors; positive ones where asked.
func randomPairs(seed uint64, n int, positive bool) (p, y []float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range n {
		a, b := 3*rng.NormFloat64(), math.Exp(2*rng.NormFloat64())
		if !positive {
			b *= rng.NormFloat64()
		}
		p, y = append(p, a), append(y, b)
	}
	return p, y
}

// Two losses that are one: f under opts against g under others times factor.
func TestRegressionIdentities(t *testing.T) {
	const seed = 17
	with := func(o ...loss.Option) []loss.Option { return o }
	for _, c := range []struct {
		name     string
		f        loss.Func
		opts     []loss.Option
		factor   float64
		g        loss.Func
		others   []loss.Option
		positive bool
		tol      float64
	}{
		{"Huber(1e6) = HalfSquared", loss.Huber, with(loss.WithDelta(1e6)), 1, loss.HalfSquared, nil, false, 0},
		{"Huber(δ)/δ = MAE for δ→0", loss.Huber, with(loss.WithDelta(1e-12)), 1e-12, loss.MAE, nil, false, 1e-9}, // |e| - δ/2
		{"SmoothL1(β) = Huber(β)/β", loss.Huber, with(loss.WithDelta(0.3)), 0.3, loss.SmoothL1,
			with(loss.WithBeta(0.3)), false, 1e-15},
		{"SmoothL1(0) = MAE", loss.SmoothL1, with(loss.WithBeta(0)), 1, loss.MAE, nil, false, 0},
		{"EpsilonInsensitive(0) = MAE", loss.EpsilonInsensitive, with(loss.WithEpsilon(0)), 1, loss.MAE, nil, false, 0},
		{"Quantile(½) = MAE/2", loss.Quantile, nil, 0.5, loss.MAE, nil, false, 0},
		{"Expectile(½) = MSE/2", loss.Expectile, nil, 0.5, loss.MSE, nil, false, 1e-15},
		{"Barron(2) = HalfSquared", loss.Barron, alpha(2), 1, loss.HalfSquared, nil, false, 0},
		{"Barron(1) = PseudoHuber", loss.Barron, alpha(1), 1, loss.PseudoHuber, nil, false, 1e-14},
		{"Barron(0) = Cauchy", loss.Barron, alpha(0), 1, loss.Cauchy, nil, false, 1e-14},
		{"Barron(-2) = GemanMcClure", loss.Barron, alpha(-2), 1, loss.GemanMcClure, nil, false, 1e-14},
		{"Barron(α) = HalfSquared for α→2", loss.Barron, alpha(2 - 1e-12), 1, loss.HalfSquared, nil, false, 1e-10}, // b·log(1/b)
		{"Barron(α) = Cauchy for α→0", loss.Barron, alpha(1e-12), 1, loss.Cauchy, nil, false, 1e-11},
		{"Barron(α) = Welsch for α→-∞", loss.Barron, alpha(-1e13), 1, loss.Welsch, nil, false, 1e-9}, // z⁴/(2b)
		{"Barron scales", loss.Barron, with(loss.WithAlpha(1), loss.WithScale(2)), 0.25, loss.PseudoHuber,
			with(loss.WithDelta(2)), false, 1e-14},
		{"Tukey(c) = HalfSquared for c→∞", loss.Tukey, with(loss.WithScale(1e7)), 1, loss.HalfSquared, nil, false, 1e-9},
		{"Tweedie(1) = PoissonNLL", loss.Tweedie, with(loss.WithPower(1)), 1, loss.PoissonNLL, nil, true, 0},
		{"Tweedie(2) = Gamma", loss.Tweedie, with(loss.WithPower(2)), 1, loss.Gamma, nil, true, 0},
		{"NegativeBinomial(α) = PoissonNLL for α→0", loss.NegativeBinomial, alpha(1e-16), 1, loss.PoissonNLL, nil,
			true, 1e-9},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, y := randomPairs(seed, 40, c.positive)
			got, want := regress(t, c.f, p, y, c.opts...), regress(t, c.g, p, y, c.others...)
			for _, pair := range [][2][]float64{{got.value, want.value}, {got.grads["p"], want.grads["p"]}, {got.grads["t"], want.grads["t"]}} {
				for i, v := range pair[0] {
					if w := c.factor * pair[1][i]; !near64(v, w, c.tol, c.tol*c.factor) {
						t.Errorf("at (%v, %v): %v, want %v (seed %d)", p[i], y[i], v, w, seed)
					}
				}
			}
		})
	}
}

// The value of Tweedie has no limit at powers 1 and 2, where terms without the prediction are left
// out; its derivative has.
func TestTweedieGradientIsContinuous(t *testing.T) {
	p, y := randomPairs(23, 40, true)
	for at, f := range map[float64]loss.Func{1: loss.PoissonNLL, 2: loss.Gamma} {
		want := regress(t, f, p, y).grads["p"]
		got := regress(t, loss.Tweedie, p, y, loss.WithPower(at+(1.5-at)*1e-12)).grads["p"]
		for i := range got {
			if !near64(got[i], want[i], 1e-10, 1e-9) { // exp(±1e-12·f), times t up to 1000
				t.Errorf("power %v at (%v, %v): %v, want %v", at, p[i], y[i], got[i], want[i])
			}
		}
	}
}

// The distance of directions that differ by 1e-10 is 5e-21; 1 minus the cosine has no digit of it.
func TestCosineDistance(t *testing.T) {
	cosine := func(opts ...loss.Option) func(b *bench) (*G.Node, error) {
		return func(b *bench) (*G.Node, error) {
			x := b.float("x", []int{6, 2}, 3, 4, 1e30, 1e30, 0, 0, 1e-30, 0, 0, 0, 1, 2)
			y := b.float("y", []int{6, 2}, 4, 3, 1e30, 0, 3, 4, 5, 0, 0, 0, 2, 4)
			return loss.CosineDistance(x, y, append(opts, loss.WithReduction(loss.None))...)
		}
	}
	got := mustCompute(t, tensor.Float64, cosine(), "x", "y")
	checkNear(t, "value", got.value, []float64{0.04, 1 - math.Sqrt(0.5), 1, 1, 1, 0}, 1e-14)
	want := []float64{
		-0.0448, 0.0336, // -((.8, .6) - .96·(.6, .8))/5
		-math.Sqrt(0.125) * 1e-30, math.Sqrt(0.125) * 1e-30,
		-0.6e8, -0.8e8, // -v/ε at a zero vector
		-1e8, 0, // and below ε
		0, 0, 0, 0,
	}
	for i, g := range got.grads["x"] {
		if !near64(g, want[i], 1e-14, 1e-46) {
			t.Errorf("∂/∂x[%d] = %v, want %v", i, g, want[i])
		}
	}
	checkNear(t, "∂/∂y of zero vectors", got.grads["y"][8:10], []float64{0, 0}, 0)

	turned := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CosineDistance(b.float("x", []int{2}, 1, 0), b.float("y", []int{2}, 1, 1e-10))
	}, "x")
	checkNear(t, "distance of nearly equal directions", turned.value, []float64{5e-21}, 1e-6) // 1e-16/θ
	columns := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		x, y := b.float("x", []int{2, 2}, 3, 1, 4, 1), b.float("y", []int{2, 2}, 4, 1, 3, -1)
		return loss.CosineDistance(x, y, loss.WithAxis(0), loss.WithReduction(loss.None))
	}, "x")
	checkNear(t, "along axis 0", columns.value, []float64{0.04, 1}, 1e-14)
}

// Options and targets that do not fit.
func TestRegressionErrors(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		f    loss.Func
		t    float64
		opt  loss.Option
		kind error
		text string
	}{
		{loss.Huber, 1, loss.WithDelta(0), loss.ErrOption, "loss.Huber: WithDelta is 0, want a finite number > 0"},
		{loss.SmoothL1, 1, loss.WithBeta(-1), loss.ErrOption, "loss.SmoothL1: WithBeta is -1, want a finite number >= 0"},
		{loss.Charbonnier, 1, loss.WithEpsilon(0), loss.ErrOption, "loss.Charbonnier: WithEpsilon is 0, want a number > 0"},
		{loss.MAPE, 1, loss.WithEpsilon(-1), loss.ErrOption, "loss.MAPE: WithEpsilon is -1, want a number > 0"},
		{loss.EpsilonInsensitive, 1, loss.WithEpsilon(-1), loss.ErrOption,
			"loss.EpsilonInsensitive: WithEpsilon is -1, want a number >= 0"},
		{loss.Quantile, 1, loss.WithQuantile(1), loss.ErrOption,
			"loss.Quantile: WithQuantile is 1, want a number in (0, 1)"},
		{loss.Quantile, 1, loss.WithTau(0.5), loss.ErrOption, "loss.Quantile: WithTau is not an option of this loss"},
		{loss.Expectile, 1, loss.WithTau(nan), loss.ErrOption, "loss.Expectile: WithTau is NaN, want a number in (0, 1)"},
		{loss.Wing, 1, loss.WithMargin(0), loss.ErrOption, "loss.Wing: WithMargin is 0, want a number > 0"},
		{loss.Wing, 1, loss.WithEpsilon(0), loss.ErrOption, "loss.Wing: WithEpsilon is 0, want a number > 0"},
		{loss.Cauchy, 1, loss.WithScale(0), loss.ErrOption, "loss.Cauchy: WithScale is 0, want a finite number > 0"},
		{loss.Barron, 1, loss.WithAlpha(math.Inf(-1)), loss.ErrOption,
			"loss.Barron: WithAlpha is -Inf, want a finite number"},
		{loss.Tweedie, 1, loss.WithPower(0.5), loss.ErrOption, "loss.Tweedie: WithPower is 0.5, want a number in [1, 2]"},
		{loss.NegativeBinomial, 1, loss.WithAlpha(0), loss.ErrOption,
			"loss.NegativeBinomial: WithAlpha is 0, want a number > 0"},
		{loss.CosineDistance, 1, loss.WithEpsilon(0), loss.ErrOption,
			"loss.CosineDistance: WithEpsilon is 0, want a number > 0"},
		{loss.PoissonNLL, -1, nil, loss.ErrValue, "loss.PoissonNLL: target is -1 at row 1, want finite numbers >= 0"},
		{loss.NegativeBinomial, nan, nil, loss.ErrValue,
			"loss.NegativeBinomial: target is NaN at row 1, want finite numbers >= 0"},
		{loss.Gamma, 0, nil, loss.ErrValue, "loss.Gamma: target is 0 at row 1, want finite numbers > 0"},
		{loss.Tweedie, math.Inf(1), nil, loss.ErrValue, "loss.Tweedie: target is +Inf at row 1, want finite numbers >= 0"},
		{loss.Tweedie, 0, loss.WithPower(2), loss.ErrValue, "loss.Tweedie: target is 0 at row 1, want finite numbers > 0"},
	} {
		_, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
			var opts []loss.Option
			if c.opt != nil {
				opts = append(opts, c.opt)
			}
			return c.f(b.float("p", []int{2}, 1, 1), b.float("t", []int{2}, 1, c.t), opts...)
		})
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("error is %v, want %q of kind %v", err, c.text, c.kind)
		}
	}
}
