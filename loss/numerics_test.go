package loss_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Values where a float64 reference loses its digits, against arithmetic in 1200 bits: enough for 1
// + e^-745.
const bigPrecision = 1200

func bigOf(x float64) *big.Float { return new(big.Float).SetPrec(bigPrecision).SetFloat64(x) }
func bigZero() *big.Float        { return new(big.Float).SetPrec(bigPrecision) }

func float64Of(x *big.Float) float64 {
	v, _ := x.Float64()
	return v
}

// bigSoftmax returns p, -log p and 1 - p of a row.
func bigSoftmax(x []float64) (p, nll, others []*big.Float) {
	e := make([]*big.Float, len(x))
	sum := bigZero()
	for i, v := range x {
		e[i] = vectest.BigExp(bigOf(v))
		sum.Add(sum, e[i])
	}
	lse := vectest.BigLog(sum)
	for i, v := range x {
		p = append(p, bigZero().Quo(e[i], sum))
		nll = append(nll, bigZero().Sub(lse, bigOf(v)))
		rest := bigZero()
		for j := range e {
			if j != i {
				rest.Add(rest, e[j])
			}
		}
		others = append(others, bigZero().Quo(rest, sum))
	}
	return p, nll, others
}

// bigSoftplus returns log(1 + e^x) and 1/(1 + e^-x).
func bigSoftplus(x float64) (value, slope *big.Float) {
	one := bigOf(1)
	e := vectest.BigExp(bigOf(x))
	sum := bigZero().Add(one, e)
	return vectest.BigLog(sum), bigZero().Quo(e, sum)
}

// nearOne are rows of logits whose first class has a probability near 1, with all float32.
var nearOne = [][]float64{
	{40, 0, 0}, {90, 0, 0}, {700, 0, 0}, {740, 0, -1}, {745, 0, 0}, {37, 36, -5}, {20, -3, 4}, {17, 0, 0},
	{0, -40, -41}, {-100, -160, -150}, {1000, 950, 955.5}, {64, 0.5, -64}, {5, 0, 0}, {1, 0, 0}, {0, 0, 0},
}

// The value keeps its relative accuracy, which the difference lse - x does not: it is 0 for {40, 0,
// 0} where 8.5e-18 is right. The label's gradient is -Σ of the others' probabilities and keeps it
// too, where p - 1 is 0.
func TestCrossEntropyNearOne(t *testing.T) {
	for _, x := range nearOne {
		p, nll, others := bigSoftmax(x)
		for label := range x {
			want := []float64{float64Of(nll[label])}
			grad := make([]float64, len(x))
			soft := make([]float64, len(x))
			soft[label] = 1
			for j := range x {
				grad[j] = float64Of(p[j])
			}
			grad[label] = -float64Of(others[label])
			for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
				for _, target := range []string{"label", "one-hot"} {
					t.Run(fmt.Sprintf("%v/%v/%d/%s", x, dt, label, target), func(t *testing.T) {
						got := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
							logits := b.float("x", []int{1, 3}, x...)
							if target == "label" {
								return loss.CrossEntropy(logits, b.labels([]int{1}, label))
							}
							return loss.CrossEntropy(logits, b.float("t", []int{1, 3}, soft...))
						}, "x")
						checkSharp(t, dt, "value", got.value, want)
						checkSharp(t, dt, "gradient", got.grads["x"], grad)
					})
				}
			}
		}
	}
}

// checkSharp holds float64 results to a few roundings of the functions that make them up (exp,
// log1p and a quotient, each good to one unit in the last place; 5e-324 is one unit there), and
// float32 results to one unit.
func checkSharp(t *testing.T, dt tensor.Dtype, what string, got, want []float64) {
	t.Helper()
	if dt == tensor.Float32 {
		checkNear32(t, what, got, want, 1)
		return
	}
	for i, w := range want {
		if !near64(got[i], w, 1e-15, 2*math.SmallestNonzeroFloat64) {
			t.Errorf("%s[%d] = %v, want %v (%s)", what, i, got[i], w, distance("float64", got[i], w))
		}
	}
}

func TestLogSoftmaxNearOne(t *testing.T) {
	for _, x := range nearOne {
		p, nll, others := bigSoftmax(x)
		want := make([]float64, len(x))
		for j := range x {
			want[j] = -float64Of(nll[j])
		}
		for picked := range x {
			grad := make([]float64, len(x))
			for j := range x {
				grad[j] = -float64Of(p[j])
			}
			grad[picked] = float64Of(others[picked])
			up := make([]float64, len(x))
			up[picked] = 1
			for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
				t.Run(fmt.Sprintf("%v/%v/%d", x, dt, picked), func(t *testing.T) {
					got := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
						b.up = up
						return loss.LogSoftmax(b.float("x", []int{1, 3}, x...))
					}, "x")
					checkSharp(t, dt, "value", got.value, want)
					checkSharp(t, dt, "gradient", got.grads["x"], grad)
				})
			}
		}
	}
}

// Random rows of all widths and sizes of logits: value and gradient of CrossEntropy and the
// log-sum-exp.
func TestCrossEntropyRandomRows(t *testing.T) {
	const seed = 20240607
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range 60 {
		n := 1 + rng.IntN(20)
		scale := math.Exp2(float64(rng.IntN(12)) - 4)
		x := make([]float64, n)
		for j := range x {
			x[j] = float64(float32(scale * rng.NormFloat64()))
		}
		label := rng.IntN(n)
		p, nll, others := bigSoftmax(x)
		grad := make([]float64, n)
		for j := range x {
			grad[j] = float64Of(p[j])
		}
		grad[label] = -float64Of(others[label])
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			t.Run(fmt.Sprintf("seed%d/%d/%v", seed, i, dt), func(t *testing.T) {
				got := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
					return loss.CrossEntropy(b.float("x", []int{1, n}, x...), b.labels([]int{1}, label))
				}, "x")
				checkSharp(t, dt, "value", got.value, []float64{float64Of(nll[label])})
				checkSharp(t, dt, "gradient", got.grads["x"], grad)
			})
		}
	}
}

// tails are logits on which log(1 + e^x) by its definition overflows or loses its digits; all are
// float32.
var tails = []float64{
	0, 0.0625, -0.0625, 1, -1, 17, -17, 20.125, -20.125, 36.75, -36.75, 40, -40, 88, -88, 104, -104, 700, -700, 740,
	-740, 745, -745, 800, -800, 1e4, -1e4,
}

// Softplus has no threshold above which it returns x (PyTorch's is 20, where that costs 2e-9), and
// it is e^x far below 0.
func TestSoftplusTails(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		for _, x := range tails {
			up, slope := bigSoftplus(x)
			down, fall := bigSoftplus(-x)
			got := mustCompute(t, dt, func(b *bench) (*G.Node, error) { return loss.Softplus(b.float("x", []int{1}, x)) }, "x")
			checkSharp(t, dt, fmt.Sprintf("Softplus(%v)", x), got.value, []float64{float64Of(up)})
			checkSharp(t, dt, fmt.Sprintf("Softplus'(%v)", x), got.grads["x"], []float64{float64Of(slope)})
			got = mustCompute(t, dt, func(b *bench) (*G.Node, error) { return loss.LogSigmoid(b.float("x", []int{1}, x)) }, "x")
			checkSharp(t, dt, fmt.Sprintf("LogSigmoid(%v)", x), got.value, []float64{-float64Of(down)})
			checkSharp(t, dt, fmt.Sprintf("LogSigmoid'(%v)", x), got.grads["x"], []float64{float64Of(fall)})
		}
	}
}

// On the right side the loss of a confident logit is e^-|x|, not 0, and so is its gradient.
func TestBinaryCrossEntropyTails(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		for _, x := range tails {
			no, yes := bigSoftplus(x) // -log of the probability of no, probability of yes
			won, missed := bigSoftplus(-x)
			for _, y := range []float64{0, 1, 0.25} {
				value := bigZero().Mul(bigOf(y), won)
				value.Add(value, bigZero().Mul(bigOf(1-y), no))
				slope := bigZero().Mul(bigOf(1-y), yes)
				slope.Sub(slope, bigZero().Mul(bigOf(y), missed))
				got := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
					return loss.BinaryCrossEntropy(b.float("x", []int{1}, x), b.float("y", []int{1}, y))
				}, "x", "y")
				what := fmt.Sprintf("BinaryCrossEntropy(%v, %v)", x, y)
				checkSharp(t, dt, what, got.value, []float64{float64Of(value)})
				checkSharp(t, dt, what+" gradient", got.grads["x"], []float64{float64Of(slope)})
				checkNear(t, what+" target gradient", got.grads["y"], []float64{-x}, 0)
			}
		}
	}
}

// klTerms returns KL(t‖softmax(x)), Σ t·|log t - log p|, and the largest |log p|.
func klTerms(t []*big.Float, x []float64) (kl, distance, largest float64) {
	_, nll, _ := bigSoftmax(x)
	sum, size := bigZero(), bigZero()
	for j, q := range t {
		term := vectest.BigLog(q)
		term.Add(term, nll[j]).Mul(term, q)
		sum.Add(sum, term)
		size.Add(size, term.Abs(term))
		largest = max(largest, float64Of(nll[j]))
	}
	return float64Of(sum), float64Of(size), largest
}

// The divergence of nearly equal distributions is of second order in their distance, and a sum of
// terms of first order that cancel. What is left of the error is that of the logarithms, times the
// distance: never a negative value, and 0 for the same logits.
func TestKLNearlyEqual(t *testing.T) {
	const seed = 41
	rng := rand.New(rand.NewPCG(seed, 2))
	for _, gap := range []float64{1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0} {
		for range 10 {
			n := 2 + rng.IntN(6)
			x, z := make([]float64, n), make([]float64, n)
			for j := range x {
				x[j] = 3 * rng.NormFloat64()
				z[j] = x[j] + gap*rng.NormFloat64()
			}
			target, _, _ := bigSoftmax(z)
			want, distance, largest := klTerms(target, x)
			got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
				return loss.KL(b.float("x", []int{1, n}, x...), b.float("z", []int{1, n}, z...), loss.WithTargetLogits())
			}, "x", "z")
			tolerance := 16 * 0x1p-53 * distance * (1 + largest)
			if got.value[0] < 0 {
				t.Errorf("seed %d, gap %v: KL(%v, %v) = %v, want a number >= 0", seed, gap, x, z, got.value[0])
			}
			if !(math.Abs(got.value[0]-want) <= tolerance) {
				t.Errorf("seed %d, gap %v: KL(%v, %v) = %v, want %v ± %v", seed, gap, x, z, got.value[0], want, tolerance)
			}
		}
	}
}
