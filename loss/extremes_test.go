package loss_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func withCores(t *testing.T, cores int, dt tensor.Dtype, build func(b *bench) (*G.Node, error)) *computed {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	c, err := computeTape(dt, build, []string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What each function makes of a row that is not ordinary, and that the ordinary row beside it does
// not notice.
func TestExtremeRows(t *testing.T) {
	third, log3 := 1.0/3, math.Log(3)
	nans := []float64{nan, nan, nan}
	functions := map[string]func(x *G.Node, b *bench) (*G.Node, error){
		"LogSumExp":  func(x *G.Node, _ *bench) (*G.Node, error) { return loss.LogSumExp(x) },
		"Softmax":    func(x *G.Node, b *bench) (*G.Node, error) { b.up = pick; return loss.Softmax(x) },
		"LogSoftmax": func(x *G.Node, b *bench) (*G.Node, error) { b.up = pick; return loss.LogSoftmax(x) },
		"Entropy":    func(x *G.Node, _ *bench) (*G.Node, error) { return loss.Entropy(x) },
		"CrossEntropy": func(x *G.Node, b *bench) (*G.Node, error) {
			return loss.CrossEntropy(x, b.labels([]int{2}, 0, 0), loss.WithReduction(loss.None))
		},
		"CrossEntropy soft": func(x *G.Node, b *bench) (*G.Node, error) {
			return loss.CrossEntropy(x, b.float("t", []int{2, 3}, 1, 0, 0, 1, 0, 0), loss.WithReduction(loss.None))
		},
		"KL": func(x *G.Node, b *bench) (*G.Node, error) {
			return loss.KL(x, b.float("t", []int{2, 3}, 1, 0, 0, 1, 0, 0), loss.WithReduction(loss.None))
		},
	}
	tests := []struct {
		row         [3]float64
		function    string
		value, grad []float64
	}{
		{[3]float64{ninf, ninf, ninf}, "LogSumExp", []float64{ninf}, nans},
		{[3]float64{ninf, ninf, ninf}, "Softmax", nans, nans},
		{[3]float64{ninf, ninf, ninf}, "LogSoftmax", nans, nans},
		{[3]float64{ninf, ninf, ninf}, "Entropy", []float64{nan}, nans},
		{[3]float64{ninf, ninf, ninf}, "CrossEntropy", []float64{nan}, nans},
		{[3]float64{ninf, ninf, ninf}, "CrossEntropy soft", []float64{nan}, nans},
		{[3]float64{ninf, ninf, ninf}, "KL", []float64{nan}, nans},
		{[3]float64{0, inf, inf}, "LogSumExp", []float64{inf}, []float64{0, nan, nan}},
		{[3]float64{inf, 0, ninf}, "LogSumExp", []float64{inf}, []float64{nan, 0, 0}},
		{[3]float64{inf, 0, 1}, "Softmax", nans, nans},
		{[3]float64{inf, 0, 1}, "LogSoftmax", nans, nans},
		{[3]float64{inf, 0, 1}, "Entropy", []float64{nan}, nans},
		{[3]float64{inf, 0, 1}, "CrossEntropy", []float64{nan}, nans},
		{[3]float64{0, inf, 1}, "CrossEntropy", []float64{nan}, nans},
		{[3]float64{inf, 0, 1}, "CrossEntropy soft", []float64{nan}, nans},
		{[3]float64{inf, 0, 1}, "KL", []float64{nan}, nans},
		{[3]float64{0, nan, 1}, "LogSumExp", []float64{nan}, nans},
		{[3]float64{inf, nan, 1}, "LogSumExp", []float64{nan}, nans},
		{[3]float64{0, nan, 1}, "Softmax", nans, nans},
		{[3]float64{0, 1, nan}, "LogSoftmax", nans, nans},
		{[3]float64{nan, 0, 1}, "Entropy", []float64{nan}, nans},
		{[3]float64{0, nan, 1}, "CrossEntropy", []float64{nan}, nans},
		{[3]float64{nan, 0, 1}, "CrossEntropy soft", []float64{nan}, nans},
		{[3]float64{0, 0, nan}, "KL", []float64{nan}, nans},
		// a masked class has probability exactly 0
		{[3]float64{0, ninf, 0}, "LogSumExp", []float64{math.Ln2}, []float64{0.5, 0, 0.5}},
		{[3]float64{0, ninf, 0}, "Softmax", []float64{0.5, 0, 0.5}, []float64{0.25, 0, -0.25}},
		{[3]float64{0, ninf, 0}, "LogSoftmax", []float64{-math.Ln2, ninf, -math.Ln2}, []float64{0.5, 0, -0.5}},
		{[3]float64{0, ninf, 0}, "Entropy", []float64{math.Ln2}, []float64{0, 0, 0}},
		{[3]float64{0, ninf, 0}, "CrossEntropy", []float64{math.Ln2}, []float64{-0.5, 0, 0.5}},
		{[3]float64{0, ninf, 0}, "CrossEntropy soft", []float64{math.Ln2}, []float64{-0.5, 0, 0.5}},
		{[3]float64{0, ninf, 0}, "KL", []float64{math.Ln2}, []float64{-0.5, 0, 0.5}},
		// a masked true class: +Inf, and the gradient is still softmax - onehot
		{[3]float64{ninf, 0, 0}, "CrossEntropy", []float64{inf}, []float64{-1, 0.5, 0.5}},
		{[3]float64{ninf, 0, 0}, "CrossEntropy soft", []float64{inf}, []float64{-1, 0.5, 0.5}},
		{[3]float64{ninf, 0, 0}, "KL", []float64{inf}, []float64{-1, 0.5, 0.5}},
		// the largest numbers
		{[3]float64{-3e38, -3e38, -3e38}, "LogSumExp", []float64{-3e38}, []float64{third, third, third}},
		{[3]float64{-3e38, -3e38, -3e38}, "Entropy", []float64{log3}, []float64{0, 0, 0}},
		{[3]float64{3e38, 3e38, 3e38}, "Softmax", []float64{third, third, third}, []float64{2.0 / 9, -1.0 / 9, -1.0 / 9}},
		{[3]float64{3e38, 3e38, 3e38}, "CrossEntropy", []float64{log3}, []float64{-2 * third, third, third}},
		{[3]float64{3e38, -3e38, 0}, "CrossEntropy", []float64{0}, []float64{0, 0, 0}},
		{[3]float64{-1e38, 1e38, 0}, "CrossEntropy", []float64{2e38}, []float64{-1, 1, 0}},
		{[3]float64{0, 0, 0}, "KL", []float64{log3}, []float64{-2 * third, third, third}},
	}
	ordinary := [3]float64{0.5, -1, 2}
	for _, test := range tests {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			what := fmt.Sprintf("%s%v %v", test.function, test.row, dt)
			run := func(rows ...[3]float64) *computed {
				return mustCompute(t, dt, func(b *bench) (*G.Node, error) {
					return functions[test.function](b.float("x", []int{2, 3}, append(rows[0][:], rows[1][:]...)...), b)
				}, "x")
			}
			got, clean := run(test.row, ordinary), run(ordinary, ordinary)
			n := len(test.value)
			check := func(what string, got, want []float64) {
				if dt == tensor.Float32 {
					checkNear32(t, what, got, want, 1)
					return
				}
				for i, w := range want {
					// 1e-16 beside 0: gradients of equal probabilities are differences of their
					// roundings
					if !near64(got[i], w, 1e-15, 1.2e-16) {
						t.Errorf("%s[%d] = %v, want %v", what, i, got[i], w)
					}
				}
			}
			check(what, got.value[:n], test.value)
			check(what+" gradient", got.grads["x"][:3], test.grad)
			if err := sameBits(got.value[n:], clean.value[n:]); err != nil {
				t.Errorf("%s: value of the row beside it: %v", what, err)
			}
			if err := sameBits(got.grads["x"][3:], clean.grads["x"][3:]); err != nil {
				t.Errorf("%s: gradient of the row beside it: %v", what, err)
			}
		}
	}
}

// pick is an upstream gradient that looks at the first class of both rows.
var pick = []float64{1, 0, 0, 1, 0, 0}

// Smoothing gives masked classes no mass: t' = (1-ε)·onehot + ε/K over the K classes that are not
// masked.
func TestSmoothingOverMaskedClasses(t *testing.T) {
	x := []float64{1, ninf, 2, 0.5}
	for _, eps := range []float64{0.2, 1} {
		for label := range x {
			onehot := make([]float64, 4)
			onehot[label] = 1
			value, grad, byTarget := crossEntropyRow(x, onehot, []float64{1, 1, 1, 1}, eps)
			got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
				return loss.CrossEntropy(b.float("x", []int{1, 4}, x...), b.labels([]int{1}, label),
					loss.WithLabelSmoothing(eps))
			}, "x")
			what := fmt.Sprintf("ε %v, label %d", eps, label)
			checkNear(t, what, got.value, []float64{value}, 1e-14)
			checkNear(t, what+" gradient", got.grads["x"], grad, 1e-14)
			if want := label == 1 && eps != 1; math.IsInf(got.value[0], 1) != want {
				t.Errorf("%s: value %v, want +Inf: %t", what, got.value[0], want)
			}
			got = mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
				return loss.CrossEntropy(b.float("x", []int{1, 4}, x...), b.float("t", []int{1, 4}, onehot...),
					loss.WithLabelSmoothing(eps))
			}, "x", "t")
			if eps == 1 {
				byTarget = make([]float64, 4) // the target has no part any more, and 0·Inf = 0
			}
			checkNear(t, what+" target gradient", got.grads["t"], byTarget, 1e-14)
		}
	}
}

// The gradient for a target or probability of exactly 0 is 0 in KL and Entropy, and -log p in
// CrossEntropy.
func TestZeroTargets(t *testing.T) {
	x, target := []float64{0, ninf, 0, 0}, []float64{0.5, 0, 0.5, 0}
	tests := []struct {
		name  string
		build func(b *bench) (*G.Node, error)
		wrt   string
		value float64
		grad  []float64
	}{
		{"CrossEntropy", func(b *bench) (*G.Node, error) {
			return loss.CrossEntropy(b.float("x", []int{1, 4}, x...), b.float("t", []int{1, 4}, target...))
		}, "t", math.Log(3), []float64{math.Log(3), inf, math.Log(3), math.Log(3)}},
		{"KL", func(b *bench) (*G.Node, error) {
			return loss.KL(b.float("x", []int{1, 4}, x...), b.float("t", []int{1, 4}, target...))
		}, "t", math.Log(1.5), []float64{math.Log(1.5) + 1, 0, math.Log(1.5) + 1, 0}},
		{"KL log target", func(b *bench) (*G.Node, error) {
			return loss.KL(b.float("x", []int{1, 4}, x...),
				b.float("t", []int{1, 4}, -math.Ln2, ninf, -math.Ln2, ninf), loss.WithLogTarget())
		}, "t", math.Log(1.5), []float64{(math.Log(1.5) + 1) / 2, 0, (math.Log(1.5) + 1) / 2, 0}},
		{"KL target logits", func(b *bench) (*G.Node, error) {
			return loss.KL(b.float("x", []int{1, 4}, x...), b.float("t", []int{1, 4}, 7, ninf, 7, ninf),
				loss.WithTargetLogits())
		}, "t", math.Log(1.5), []float64{0, 0, 0, 0}},
		{"KLFromLogProb", func(b *bench) (*G.Node, error) {
			return loss.KLFromLogProb(b.float("x", []int{1, 4}, x...), b.float("t", []int{1, 4}, target...))
		}, "t", -math.Ln2, []float64{1 - math.Ln2, 0, 1 - math.Ln2, 0}},
		{"EntropyFromProb", func(b *bench) (*G.Node, error) {
			return loss.EntropyFromProb(b.float("p", []int{1, 4}, target...))
		}, "p", math.Ln2, []float64{math.Ln2 - 1, 0, math.Ln2 - 1, 0}},
		{"CrossEntropyFromProb", func(b *bench) (*G.Node, error) {
			return loss.CrossEntropyFromProb(b.float("p", []int{1, 4}, 0.5, 0, 0.25, 0.25),
				b.float("t", []int{1, 4}, 1, 0, 0, 0))
		}, "p", math.Ln2, []float64{-2, 0, 0, 0}},
		{"CrossEntropyFromProb off support", func(b *bench) (*G.Node, error) {
			return loss.CrossEntropyFromProb(b.float("p", []int{1, 4}, 0.5, 0, 0.25, 0.25), b.labels([]int{1}, 1))
		}, "p", inf, []float64{0, ninf, 0, 0}},
	}
	for _, test := range tests {
		got := mustCompute(t, tensor.Float64, test.build, test.wrt)
		checkNear(t, test.name, got.value, []float64{test.value}, 1e-15)
		checkNear(t, test.name+" gradient", got.grads[test.wrt], test.grad, 1e-15)
	}
}

// BinaryCrossEntropy at ±Inf is the limit: 0 on the right side, +Inf on the wrong one and for
// anything between.
func TestBinaryCrossEntropyAtInfinity(t *testing.T) {
	for _, test := range []struct{ x, y, value, grad float64 }{
		{inf, 1, 0, 0}, {ninf, 0, 0, 0}, {inf, 0, inf, 1}, {ninf, 1, inf, -1}, {inf, 0.5, inf, 0.5},
		{ninf, 0.25, inf, -0.25}, {nan, 1, nan, nan},
		{nan, 0, nan, nan}, {3e38, 0, 3e38, 1}, {-3e38, 1, 3e38, -1}, {3e38, 1, 0, 0},
	} {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			got := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
				return loss.BinaryCrossEntropy(b.float("x", []int{1}, test.x), b.float("y", []int{1}, test.y))
			}, "x")
			what := fmt.Sprintf("BinaryCrossEntropy(%v, %v) %v", test.x, test.y, dt)
			checkNear32(t, what, got.value, []float64{test.value}, 0)
			checkNear32(t, what+" gradient", got.grads["x"], []float64{test.grad}, 0)
		}
	}
}

// One class is certain whatever its logit.
func TestOneClass(t *testing.T) {
	x := []float64{-5, 0, 3e38}
	tests := map[string]struct {
		build func(x *G.Node, b *bench) (*G.Node, error)
		value []float64
		grad  []float64
	}{
		"CrossEntropy": {func(x *G.Node, b *bench) (*G.Node, error) {
			return loss.CrossEntropy(x, b.labels([]int{3}, 0, 0, 0), loss.WithReduction(loss.None),
				loss.WithLabelSmoothing(0.1))
		}, []float64{0, 0, 0}, []float64{0, 0, 0}},
		"KL": {func(x *G.Node, b *bench) (*G.Node, error) {
			return loss.KL(x, b.float("t", []int{3, 1}, 1, 1, 1), loss.WithReduction(loss.None))
		}, []float64{0, 0, 0}, []float64{0, 0, 0}},
		"LogSumExp": {func(x *G.Node, _ *bench) (*G.Node, error) { return loss.LogSumExp(x) }, x, []float64{1, 1, 1}},
		"Softmax": {func(x *G.Node, _ *bench) (*G.Node, error) { return loss.Softmax(x) }, []float64{1, 1, 1},
			[]float64{0, 0, 0}},
		"LogSoftmax": {func(x *G.Node, _ *bench) (*G.Node, error) { return loss.LogSoftmax(x) }, []float64{0, 0, 0},
			[]float64{0, 0, 0}},
		"Entropy": {func(x *G.Node, _ *bench) (*G.Node, error) { return loss.Entropy(x) }, []float64{0, 0, 0},
			[]float64{0, 0, 0}},
	}
	for name, test := range tests {
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return test.build(b.float("x", []int{3, 1}, x...), b)
		}, "x")
		checkNear(t, name, got.value, test.value, 0)
		checkNear(t, name+" gradient", got.grads["x"], test.grad, 0)
	}
}

// Ten million classes in one float32 row: half at 0, half at -20, so that log Σ exp is log(5e6·(1 +
// e^-20)), of which a float32 sum would lose everything beyond 2^24 terms and the small half.
func TestTenMillionClasses(t *testing.T) {
	const classes = 10_000_000
	data := make([]float32, classes)
	for i := range data {
		if i%2 == 1 {
			data[i] = -20
		}
	}
	g := G.NewGraph()
	x := tensorLeaf(g, tensor.Float32, "x", []int{1, classes}, data)
	y := labelLeaf(g, tensor.Int32, "y", []int{1}, []int{classes - 1})
	l, err := loss.CrossEntropy(x, y)
	if err != nil {
		t.Fatal(err)
	}
	grads, err := loss.Gradients(l, x)
	if err != nil {
		t.Fatal(err)
	}
	values, err := runTape(g, l, grads[0])
	if err != nil {
		t.Fatal(err)
	}
	lse := math.Log(classes/2) + math.Log1p(math.Exp(-20))
	checkNear32(t, "value", values[0], []float64{lse + 20}, 1)
	p, q := math.Exp(-lse), math.Exp(-20-lse)
	checkNear32(t, "gradient", append(values[1][:3], values[1][classes-1]), []float64{p, q, p, q - 1}, 1)
}

// A float32 loss is the float64 loss of the same float32 numbers, rounded once. The gradient of a
// cross-entropy of many classes comes from float32 kernels: there an element is within 4 units in
// the last place of the larger of p and t', whose difference it is.
func TestFloat32IsFloat64Rounded(t *testing.T) {
	const seed = 77
	rng := rand.New(rand.NewPCG(seed, 4))
	for _, classes := range []int{2, 10, 1000, 100_003} {
		x := make([]float64, classes)
		for i := range x {
			x[i] = float64(float32(3 * rng.NormFloat64()))
		}
		for name, build := range map[string]func(b *bench) (*G.Node, error){
			"CrossEntropy": func(b *bench) (*G.Node, error) {
				return loss.CrossEntropy(b.float("x", []int{1, classes}, x...), b.labels([]int{1}, classes/2),
					loss.WithLabelSmoothing(0.125))
			},
			"LogSumExp": func(b *bench) (*G.Node, error) { return loss.LogSumExp(b.float("x", []int{1, classes}, x...)) },
			"Softmax":   func(b *bench) (*G.Node, error) { return loss.Softmax(b.float("x", []int{1, classes}, x...)) },
			"Entropy":   func(b *bench) (*G.Node, error) { return loss.Entropy(b.float("x", []int{1, classes}, x...)) },
			"MSE": func(b *bench) (*G.Node, error) {
				return loss.MSE(b.float("x", []int{classes}, x...),
					b.float("t", []int{classes}, make([]float64, classes)...))
			},
		} {
			single, double := mustCompute(t, tensor.Float32, build, "x"), mustCompute(t, tensor.Float64, build, "x")
			checkNear32(t, fmt.Sprintf("seed %d: %s of %d", seed, name, classes), single.value, double.value, 1)
			if name == "CrossEntropy" && classes > 128 {
				for i, want := range double.grads["x"] {
					term := math.Abs(want) + 0.125/float64(classes) // t' of all classes but the label's, whose own term is p
					if d := math.Abs(single.grads["x"][i] - want); d > 4*0x1p-23*term {
						t.Errorf("seed %d: gradient of CrossEntropy of %d[%d] is off by %g, want at most 4 ulp of %g",
							seed, classes, i, d, term)
					}
				}
			} else if name != "Softmax" { // Σ upstream·softmax is 1: its gradient is 0 but for rounding
				checkNear32(t, fmt.Sprintf("seed %d: gradient of %s of %d", seed, name, classes), single.grads["x"],
					double.grads["x"], 1)
			}
		}
	}
}
