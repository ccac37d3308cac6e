package loss_test

import (
	"errors"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// What the divergences answer to zeros, infinities and numbers at the ends of the range.
func TestDivergencesOfExtremeRows(t *testing.T) {
	disjoint, other := []float64{1, 0}, []float64{0, 1}
	for _, test := range []struct {
		divergence
		pred, target []float64
		value        float64
		byPred       []float64
		byTarget     []float64
	}{
		// A class that one side does not have.
		{divergence{"JensenShannon", loss.JensenShannon, nil}, []float64{0, 0.5, 0.5}, []float64{0.5, 0.5, 0},
			math.Ln2 / 2, []float64{0, 0, math.Ln2 / 2}, []float64{math.Ln2 / 2, 0, 0}},
		{divergence{"JensenShannon both 0", loss.JensenShannon, nil}, []float64{0, 1}, other, 0, []float64{0, 0},
			[]float64{0, 0}},
		{divergence{"JensenShannon β=0", loss.JensenShannon, beta(0)}, []float64{0, 0.5, 0.5}, []float64{0.5, 0.5, 0},
			inf, []float64{ninf, -1, 0}, []float64{inf, 1, 0}},
		{divergence{"JensenShannon β=1", loss.JensenShannon, beta(1)}, []float64{0, 0.5, 0.5}, []float64{0.5, 0.5, 0},
			inf, []float64{0, 1, inf}, []float64{0, -1, ninf}},
		{divergence{"TotalVariation", loss.TotalVariation, nil}, disjoint, other, 1, []float64{0.5, -0.5},
			[]float64{-0.5, 0.5}},
		{divergence{"Hellinger", loss.Hellinger, nil}, disjoint, other, 1, []float64{0, 0}, []float64{0, 0}},
		{divergence{"Hellinger equal", loss.Hellinger, nil}, disjoint, disjoint, 0, []float64{0, 0}, []float64{0, 0}},
		{divergence{"Bhattacharyya", loss.Bhattacharyya, nil}, disjoint, other, inf, []float64{0, 0}, []float64{0, 0}},
		{divergence{"Bhattacharyya half", loss.Bhattacharyya, nil}, disjoint, []float64{0.25, 0.75}, math.Ln2,
			[]float64{-0.5, 0}, []float64{-2, 0}},
		{divergence{"GeneralizedKL", loss.GeneralizedKL, nil}, []float64{0, 0.5, 0.5}, []float64{0.5, 0.5, 0},
			inf, []float64{ninf, 0, 1}, []float64{inf, 0, 0}},
		{divergence{"GeneralizedKL both 0", loss.GeneralizedKL, nil}, []float64{0, 1}, other, 0, []float64{1, 0},
			[]float64{0, 0}},
		{divergence{"Renyi", loss.Renyi, nil}, []float64{0, 1}, []float64{0.5, 0.5}, inf, []float64{ninf, 0},
			[]float64{4, 0}},
		{divergence{"Renyi covered", loss.Renyi, nil}, []float64{0.5, 0.5}, disjoint, math.Ln2, []float64{-2, 0},
			[]float64{2, 0}},
		{divergence{"Renyi apart", loss.Renyi, alpha(0.5)}, disjoint, other, inf, []float64{0, 0}, []float64{0, 0}},
		// Σ t^9·p^-8 is 1e2560, far out of range: l = ⅛·log of it, and the derivatives by the other
		// class vanish.
		{divergence{"Renyi out of range", loss.Renyi, alpha(9)}, []float64{0x1p-1000, 1}, disjoint, 1000 * math.Ln2,
			[]float64{-0x1p1000, 0}, []float64{9. / 8, 0}},
		{divergence{"AlphaDivergence", loss.AlphaDivergence, nil}, disjoint, other, 4, []float64{0, 0}, []float64{0, 0}},
		{divergence{"AlphaDivergence α=2", loss.AlphaDivergence, alpha(2)}, []float64{0, 1}, []float64{0.5, 0.5}, inf,
			[]float64{ninf, -0.125}, []float64{inf, 0.5}},
		{divergence{"AlphaDivergence α=-1", loss.AlphaDivergence, alpha(-1)}, []float64{0.5, 0.5}, disjoint, inf,
			[]float64{0.5, inf}, []float64{-0.125, ninf}},
		// NaN and +Inf are no probabilities.
		{divergence{"JensenShannon NaN", loss.JensenShannon, nil}, []float64{nan, 1}, other, nan, []float64{nan, nan},
			[]float64{nan, nan}},
		{divergence{"Renyi Inf", loss.Renyi, nil}, []float64{inf, 1}, other, nan, []float64{nan, nan}, []float64{nan, nan}},
		// A masked class: softmax is (1, 0).
		{divergence{"ReverseKL", loss.ReverseKL, nil}, []float64{3, ninf}, []float64{0.25, 0.75}, math.Log(4),
			[]float64{0, 0}, []float64{-4, 0}},
		{divergence{"ReverseKL both", loss.ReverseKL, nil}, []float64{3, ninf}, disjoint, 0, []float64{0, 0},
			[]float64{-1, 0}},
		{divergence{"ReverseKL off support", loss.ReverseKL, nil}, []float64{0, 0}, disjoint, inf,
			[]float64{ninf, inf}, []float64{-0.5, ninf}},
		{divergence{"ReverseKL one class", loss.ReverseKL, nil}, []float64{7}, []float64{0}, inf, []float64{0},
			[]float64{ninf}},
		{divergence{"ReverseKL at 3e38", loss.ReverseKL, nil}, []float64{3e38, -3e38}, []float64{0.5, 0.5}, math.Ln2,
			[]float64{0, 0}, []float64{-2, 0}},
		{divergence{"ReverseKL of nothing", loss.ReverseKL, nil}, []float64{ninf, ninf}, []float64{0.5, 0.5}, nan,
			[]float64{nan, nan}, []float64{nan, nan}},
		{divergence{"KL target logits off support", loss.KL, []loss.Option{loss.WithTargetLogits()}}, []float64{0, ninf}, []float64{0, 0}, inf,
			[]float64{0.5, -0.5}, []float64{ninf, inf}},
		// ½(1e8 + e^-3e38 - 1 + 3e38)
		{divergence{"StandardGaussianKL", loss.StandardGaussianKL, nil}, []float64{1e4, 0}, []float64{-3e38, ninf},
			inf, []float64{1e4, 0}, []float64{-0.5, -0.5}},
		{divergence{"StandardGaussianKL wide", loss.StandardGaussianKL, nil}, []float64{0, ninf}, []float64{inf, 0},
			inf, []float64{0, ninf}, []float64{inf, 0}},
	} {
		got := test.of(t, tensor.Float64, len(test.pred), test.pred, test.target)
		// The exponential of a sum of logarithms near 6000 has that many roundings.
		const rel = 1e-12
		checkNear(t, test.name, got.value, []float64{test.value}, rel)
		checkNear(t, test.name+" by prediction", got.grads["p"], test.byPred, rel)
		checkNear(t, test.name+" by target", got.grads["t"], test.byTarget, rel)
	}
}

func TestBernoulliKLOfExtremeLogits(t *testing.T) {
	for _, test := range []struct{ a, b, value, byA, byB float64 }{
		{1e4, -1e4, 1e4, 0, -1},
		{-1e4, 3e38, 3e38, 0, 1},
		{1e308, -1e308, 1e308, 0, -1},
		{0, 1e4, 5e3 - math.Ln2, -2.5e3, 0.5},
		{1e4, 1e4, 0, 0, 0},
		{inf, inf, 0, 0, 0},
		{ninf, ninf, 0, 0, 0},
		{ninf, 0, math.Ln2, 0, 0.5},
		{inf, ninf, inf, 0, -1},
		{0, inf, inf, ninf, 0.5},
		{1, ninf, inf, inf, -1 / (1 + math.Exp(-1))},
		{nan, 0, nan, nan, nan},
		{0, nan, nan, nan, nan},
	} {
		got := divergence{fn: loss.BernoulliKL}.of(t, tensor.Float64, 1, []float64{test.a}, []float64{test.b})
		checkNear(t, "BernoulliKL", got.value, []float64{test.value}, 1e-15)
		checkNear(t, "BernoulliKL by a", got.grads["p"], []float64{test.byA}, 1e-15)
		checkNear(t, "BernoulliKL by b", got.grads["t"], []float64{test.byB}, 1e-15)
	}
}

func TestGaussianKL(t *testing.T) {
	for _, test := range []struct{ m1, s1, m2, s2, value float64 }{
		{1, 2, 3, 4, math.Ln2 + (4.+4)/32 - 0.5}, // log 4/2 + (2² + (1-3)²)/(2·4²) - ½
		{0, 1, 0, 1, 0},
		{-3e38, 1e-30, -3e38, 1e-30, 0},
		{1e4, 1, -1e4, 1, 2e8},
		{0, 1e-300, 0, 1e300, 600*math.Ln10 - 0.5},
		{0, 1e300, 0, 1e-300, inf},
		{0, inf, 0, 1, inf},
		{0, 1, 0, inf, inf},
		{0, 1, 0, nan, nan},
	} {
		got := gaussian(t, test.m1, test.s1, test.m2, test.s2)
		checkNear(t, "GaussianKL", got.value, []float64{test.value}, 1e-15)
	}
	gradcheck.Test(t, func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		return loss.GaussianKL(in[0], in[1], in[2], in[3], loss.WithReduction(loss.None))
	}, []gradcheck.Input{
		gradcheck.Var("mean1", []float64{0.5, -1, 2}, 3), gradcheck.Var("std1", []float64{0.7, 1, 3}, 3),
		gradcheck.Var("mean2", []float64{0.25, 1.5, 2.125}, 3), gradcheck.Var("std2", []float64{1.5, 0.8, 2.75}, 3),
	}, gradcheck.WithRandomUpstream(), gradcheck.WithSecondOrder(3))
	for _, s := range []float64{0, -1, ninf} {
		_, err := compute(tensor.Float32, func(b *bench) (*G.Node, error) {
			return loss.GaussianKL(b.float("m1", []int{2}, 0, 0), b.float("s1", []int{2}, 1, 1),
				b.float("m2", []int{2}, 0, 0), b.float("s2", []int{2}, 1, s))
		}, "m1")
		if !errors.Is(err, loss.ErrValue) {
			t.Errorf("std2 of %v: error is %v, want one of kind %q", s, err, loss.ErrValue)
		}
	}
}
