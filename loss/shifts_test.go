package loss_test

import (
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// Costs below 0 are costs: a constant added to all of them is added to the loss, and the plan stays.
func TestSinkhornOfNegativeCosts(t *testing.T) {
	l, err := eager.Sinkhorn()
	if err != nil {
		t.Fatal(err)
	}
	of := func(shift float64) (v float64, plan []float64) {
		cost, plan := []float64{.1, .9, .4, .7, .2, .5}, make([]float64, 6)
		for i := range cost {
			cost[i] += shift
		}
		a, b := eager.Slice([]float64{.4, .6}, 2), eager.Slice([]float64{.5, .3, .2}, 3)
		v, err := l.ValueGradient(eager.Slice(plan, 2, 3), eager.Data{A: a, B: b}, eager.Slice(cost, 2, 3))
		if err != nil {
			t.Fatal(err)
		}
		return v, plan
	}
	v, plan := of(0)
	shifted, samePlan := of(-3)
	// Both are converged to a marginal error of 1e-6 or less.
	if math.Abs(shifted-(v-3)) > 1e-5 {
		t.Errorf("costs less 3 give %v, want %v", shifted, v-3)
	}
	nearList(t, "plan", samePlan, plan, 1e-5)
}

// Only the order of times counts, below 0 too; without an event at risk there is no loss.
func TestCoxOfNegativeTimes(t *testing.T) {
	l, err := eager.CoxPartialLikelihood(loss.WithEfron())
	if err != nil {
		t.Fatal(err)
	}
	of := func(shift float64, data eager.Data) (float64, []float64) {
		risk, time := []float64{.3, -1, 2, .5, 0}, []float64{2, 1, 3, 1, 4}
		for i := range time {
			time[i] += shift
		}
		grad := make([]float64, len(risk))
		v, err := l.ValueGradient(eager.Slice(grad, 5), data, eager.Slice(risk, 5),
			eager.Slice(time, 5), eager.Slice([]int{1, 1, 0, 1, 0}, 5))
		if err != nil {
			t.Fatal(err)
		}
		return v, grad
	}
	v, grad := of(0, eager.Data{})
	shifted, sameGrad := of(-10, eager.Data{})
	if shifted != v || !slices.Equal(sameGrad, grad) {
		t.Errorf("times less 10 give %v and %v, want %v and %v", shifted, sameGrad, v, grad)
	}
	v, grad = of(-10, eager.Data{Mask: eager.Slice([]bool{false, false, true, false, true}, 5)})
	if v != 0 || slices.ContainsFunc(grad, func(x float64) bool { return x != 0 }) {
		t.Errorf("with every event masked the loss is %v with gradient %v, want 0", v, grad)
	}
}
