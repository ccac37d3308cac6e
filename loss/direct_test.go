package loss_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The losses of many classes and of many elements run through kernels in the operands' dtype. The
// same numbers with the class axis first, and with a mask of ones, run through the row functions in
// float64: both must say the same.

// hostileRows returns rows of logits: ordinary ones of several spreads, then those that go wrong
// elsewhere.
func hostileRows(r *rand.Rand, classes int) [][]float64 {
	var rows [][]float64
	random := func(scale float64) []float64 {
		x := make([]float64, classes)
		for i := range x {
			x[i] = float64(float32(scale * r.NormFloat64()))
		}
		rows = append(rows, x)
		return x
	}
	for _, scale := range []float64{0, 1e-3, 1, 3, 30, 1e4} {
		random(scale)
	}
	dominant := random(1)
	dominant[7] = 60
	masked := random(1)
	for i := 0; i < classes; i += 3 {
		masked[i] = math.Inf(-1)
	}
	for _, v := range []float64{math.Inf(-1), 3e38, -3e38} {
		x := random(0)
		for i := range x {
			x[i] = v
		}
	}
	random(1)[classes-1] = math.Inf(1)
	random(1)[classes/2] = math.NaN()
	far := random(1)
	far[3] = 3e38
	return append(rows, random(1))
}

func flatten(rows [][]float64) (x []float64) {
	for _, r := range rows {
		x = append(x, r...)
	}
	return x
}

// turned returns the matrix with its axes exchanged.
func turned(x []float64, rows, classes int) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i%classes*rows+i/classes] = v
	}
	return out
}

func TestKernelsAndRowFunctionsAgree(t *testing.T) {
	for _, classes := range []int{11, 300} { // in batches, and in long rows
		t.Run(fmt.Sprint(classes, " classes"), func(t *testing.T) { kernelsAndRowFunctionsAgree(t, classes) })
	}
}

func kernelsAndRowFunctionsAgree(t *testing.T, classes int) {
	const seed = 41
	r := rand.New(rand.NewPCG(seed, 1))
	hostile := hostileRows(r, classes)
	rows := len(hostile)
	x := flatten(hostile)
	labels := make([]int, rows)
	var soft []float64
	weights, classWeights := make([]float64, rows), make([]float64, classes)
	for i := range labels {
		labels[i] = r.IntN(classes)
		weights[i] = float64(r.IntN(3)) // some 0
		target := make([]float64, classes)
		for c := range target {
			if c%4 != 0 {
				target[c] = float64(float32(r.Float64() / float64(classes)))
			}
		}
		if i < 3 { // almost the distribution of logits of small spread: the divergence is tiny
			target = nearby(hostile[i], target)
		}
		soft = append(soft, target...)
	}
	labels[1], labels[6] = -100, 7
	for c := range classWeights {
		classWeights[c] = float64(c % 3)
	}
	type variant struct {
		name string
		soft bool
		fn   loss.Func
		opts []loss.Option
	}
	variants := []variant{
		{"labels", false, loss.CrossEntropy, nil},
		{"labels smoothed", false, loss.CrossEntropy, []loss.Option{loss.WithLabelSmoothing(0.1)}},
		{"labels weighted", false, loss.CrossEntropy,
			[]loss.Option{loss.WithClassWeights(classWeights), loss.WithTemperature(2)}},
		{"labels smoothed and weighted", false, loss.CrossEntropy,
			[]loss.Option{loss.WithClassWeights(classWeights), loss.WithLabelSmoothing(0.1)}},
		{"soft", true, loss.CrossEntropy, nil},
		{"soft smoothed", true, loss.CrossEntropy, []loss.Option{loss.WithLabelSmoothing(0.2)}},
		{"KL", true, loss.KL, nil},
		{"KL at a temperature", true, loss.KL, []loss.Option{loss.WithTemperature(3)}},
		{"Entropy", false, nil, nil},
		{"labels at a temperature", false, loss.CrossEntropy, []loss.Option{loss.WithTemperature(3)}},
		{"soft at a temperature", true, loss.CrossEntropy, []loss.Option{loss.WithTemperature(3)}},
	}
	for _, v := range variants {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			for _, weighted := range []bool{false, true} {
				t.Run(fmt.Sprint(v.name, "/", dt, "/weighted=", weighted), func(t *testing.T) {
					build := func(first bool) func(b *bench) (*G.Node, error) {
						return func(b *bench) (*G.Node, error) {
							shape, in, goal := []int{rows, classes}, x, soft
							opts := append([]loss.Option{loss.WithReduction(loss.None)}, v.opts...)
							if first {
								shape, in, goal = []int{classes, rows}, turned(x, rows, classes), turned(soft, rows, classes)
								opts = append(opts, loss.WithAxis(0))
							}
							if v.fn == nil {
								return loss.Entropy(b.float("x", shape, in...), opts[1:]...)
							}
							if weighted {
								opts = append(opts, loss.WithWeights(floatLeaf(b.g, dt, "w", []int{rows}, weights)))
							}
							if v.soft {
								return v.fn(b.float("x", shape, in...), b.float("t", shape, goal...), opts...)
							}
							return v.fn(b.float("x", shape, in...), b.labels([]int{rows}, labels...), opts...)
						}
					}
					wrt := []string{"x"}
					if v.soft {
						wrt = append(wrt, "t")
					}
					got, want := mustCompute(t, dt, build(false), wrt...), mustCompute(t, dt, build(true), wrt...)
					// float64: a few roundings of sums of 300 terms. float32: the kernels' 4 ulp of
					// the largest term; the terms of a gradient are at most 1 (2 with class weights
					// and row weights).
					tol, floor := 1e-12, 1e-14
					if dt == tensor.Float32 && classes <= 128 {
						tol = 2 * 0x1p-23
					} else if dt == tensor.Float32 {
						tol, floor = 4*0x1p-23, 4*0x1p-23*0.02
					}
					agree(t, "value", got.value, want.value, tol, floor)
					agree(t, "gradient", got.grads["x"], turned(want.grads["x"], classes, rows), tol, floor)
					if v.soft {
						agree(t, "target gradient", got.grads["t"], turned(want.grads["t"], classes, rows), tol, floor)
					}
				})
			}
		}
	}
}

// nearby returns the softmax of x with small changes, or the target itself for an x without a
// softmax.
func nearby(x, target []float64) []float64 {
	top, sum := slices.Max(x), 0.0
	out := make([]float64, len(x))
	for c, v := range x {
		out[c] = math.Exp(v - top + 1e-3*target[c])
		sum += out[c]
	}
	if !(sum > 0) || math.IsInf(top, 0) {
		return target
	}
	for c := range out {
		out[c] = float64(float32(out[c] / sum))
	}
	return out
}

func TestSoftmaxKernelsAndRowFunctionsAgree(t *testing.T) {
	const classes, seed = 300, 43
	r := rand.New(rand.NewPCG(seed, 1))
	hostile := hostileRows(r, classes)
	rows := len(hostile)
	x := flatten(hostile)
	upstream := make([]float64, len(x))
	for i := range upstream {
		upstream[i] = float64(float32(2*r.Float64() - 1))
	}
	for name, fn := range map[string]func(*G.Node, ...loss.Option) (*G.Node, error){
		"LogSumExp": loss.LogSumExp, "Softmax": loss.Softmax, "LogSoftmax": loss.LogSoftmax,
	} {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			t.Run(fmt.Sprint(name, "/", dt), func(t *testing.T) {
				// The node is multiplied by upstream, which is its gradient then.
				build := func(axis int) func(b *bench) (*G.Node, error) {
					return func(b *bench) (*G.Node, error) {
						shape, in, u := []int{rows, classes}, x, upstream
						if axis == 0 {
							shape, in, u = []int{classes, rows}, turned(x, rows, classes), turned(upstream, rows, classes)
						}
						y, err := fn(b.float("x", shape, in...), loss.WithAxis(axis))
						if err != nil {
							return nil, err
						}
						if y.Dims() == 1 {
							shape, u = []int{rows}, upstream[:rows]
						}
						return G.HadamardProd(y, b.float("u", shape, u...))
					}
				}
				got, want := mustCompute(t, dt, build(-1), "x"), mustCompute(t, dt, build(0), "x")
				values := want.value
				if len(values) > rows {
					values = turned(values, classes, rows)
				}
				// Both are in float64 and rounded once. The terms of a log-softmax's gradient are
				// p·Σu, and |Σu| is below 64.
				tol, floor := 1e-12, 64*1e-15
				if dt == tensor.Float32 {
					tol = 0x1p-23
				}
				agree(t, "value", got.value, values, tol, floor)
				agree(t, "gradient", got.grads["x"], turned(want.grads["x"], classes, rows), tol, floor)
			})
		}
	}
}

// agree compares numbers with the same NaN and Inf in the same places.
func agree(t *testing.T, what string, got, want []float64, rel, abs float64) {
	t.Helper()
	bad := 0
	for i, w := range want {
		if g := got[i]; g != w && !(g != g && w != w) && !(math.Abs(g-w) <= rel*math.Abs(w)+abs) {
			if bad++; bad > 5 {
				t.Fatal("and more")
			}
			t.Errorf("%s[%d] is %v by the kernels, %v by the row function", what, i, g, w)
		}
	}
}

func TestElementKernelsAndRowFunctionsAgree(t *testing.T) {
	const n, seed = 5003, 42
	r := rand.New(rand.NewPCG(seed, 2))
	x, y, ones := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range x {
		x[i], y[i], ones[i] = float64(float32(5*r.NormFloat64())), float64(float32(r.Float64())), 1
	}
	special := [][2]float64{{200, 1}, {200, 0}, {-200, 0}, {-200, 1}, {0, 0.5}, {1e-30, 0}, {1e4, 1}, {-1e4, 0}, {0.5, 0.5}, {1, 0}, {0, 0}}
	for i, s := range special {
		x[100+i], y[100+i] = s[0], s[1]
	}
	for name, fn := range map[string]loss.Func{
		"BinaryCrossEntropy": loss.BinaryCrossEntropy, "MSE": loss.MSE, "MAE": loss.MAE, "Huber": loss.Huber,
		"HalfSquared": loss.HalfSquared,
		"SmoothL1":    loss.SmoothL1, "LogCosh": loss.LogCosh, "PseudoHuber": loss.PseudoHuber, "Cauchy": loss.Cauchy,
		"BernoulliKL": loss.BernoulliKL, "PoissonNLL": loss.PoissonNLL, "Gamma": loss.Gamma,
		"SoftMargin": loss.SoftMargin, "SigmoidFocal": loss.SigmoidFocal,
		"SigmoidFocal weighted": func(x, t *G.Node, opts ...loss.Option) (*G.Node, error) {
			return loss.SigmoidFocal(x, t, append(opts, loss.WithAlpha(0.25))...)
		},
	} {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			for extreme, v := range map[string]float64{"none": 0, "NaN": math.NaN(), "huge": 1e30, "+Inf": math.Inf(1), "-Inf": math.Inf(-1)} {
				t.Run(fmt.Sprint(name, "/", dt, "/", extreme), func(t *testing.T) {
					in, y := append([]float64(nil), x...), append([]float64(nil), y...)
					info, _ := loss.Describe(strings.Fields(name)[0])
					for i, v := range y {
						switch info.Target {
						case loss.Signs, loss.SignFlags:
							y[i] = math.Copysign(1, v-0.5)
						case loss.Positive:
							y[i] = v + 0.125
						}
					}
					if info.Target == loss.Positive || info.Target == loss.Counts {
						for i, v := range in { // exponentials that float32 has
							if math.Abs(v) > 80 && math.Abs(v) < 1e30 {
								in[i] = math.Copysign(80, v)
							}
						}
					}
					if extreme != "none" {
						in[n-1] = v
					}
					build := func(masked bool) func(b *bench) (*G.Node, error) {
						return func(b *bench) (*G.Node, error) {
							var opts []loss.Option
							if masked {
								opts = append(opts, loss.WithMask(floatLeaf(b.g, dt, "m", []int{n}, ones)))
							}
							return fn(b.float("x", []int{n}, in...), b.float("t", []int{n}, y...), opts...)
						}
					}
					got, want := mustCompute(t, dt, build(false), "x", "t"), mustCompute(t, dt, build(true), "x", "t")
					tol := 1e-12
					if dt == tensor.Float32 {
						tol = 4 * 0x1p-23
					}
					agree(t, "value", got.value, want.value, tol, 0)
					// a gradient of σ - y is within 4 ulp of its larger term, of which there are n
					// in the mean
					agree(t, "gradient", got.grads["x"], want.grads["x"], tol, tol/n)
					agree(t, "target gradient", got.grads["t"], want.grads["t"], tol, tol/n)
				})
			}
		}
	}
}

// A domain fault is found by the kernels' path too, and names its place.
func TestKernelsCheckTargets(t *testing.T) {
	const rows, classes = 20, 300
	x, soft := make([]float64, rows*classes), make([]float64, rows*classes)
	soft[7*classes+11] = -0.25
	_, err := compute(tensor.Float32, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", []int{rows, classes}, x...), b.float("t", []int{rows, classes}, soft...))
	})
	if want := "loss.CrossEntropy: target is -0.25 at row 7 class 11, want finite numbers >= 0"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	_, err = compute(tensor.Float32, func(b *bench) (*G.Node, error) {
		return loss.BinaryCrossEntropy(b.float("x", []int{rows, classes}, x...),
			b.float("t", []int{rows, classes}, soft...))
	})
	if want := "loss.BinaryCrossEntropy: target is -0.25 at row (7, 11), want numbers in [0, 1]"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
