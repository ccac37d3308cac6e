package loss_test

import (
	"errors"
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

// pixelsOf computes a loss of one operand x and labels y of the images.
func pixelsOf(t *testing.T, dt tensor.Dtype, fn loss.Func, shape []int, x []float64, y []int, opts ...loss.Option) *computed {
	t.Helper()
	labels := []int{shape[0], len(y) / shape[0]}
	return mustCompute(t, dt, func(b *bench) (*G.Node, error) {
		return fn(b.float("x", shape, x...), b.labels(labels, y...), opts...)
	}, "x")
}

// softOf computes a loss of x and a target in its shape.
func softOf(t *testing.T, fn loss.Func, shape []int, x, target []float64, opts ...loss.Option) *computed {
	t.Helper()
	return mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return fn(b.float("x", shape, x...), b.float("t", shape, target...), opts...)
	}, "x")
}

func values() loss.Option { return loss.WithReduction(loss.None) }

// The losses of logits with a value for each class.
var classOverlaps = map[string]loss.Func{"Dice": loss.Dice, "Jaccard": loss.Jaccard, "Tversky": loss.Tversky, "FocalTversky": loss.FocalTversky}

// Reports of users of other toolkits, by their numbers.
func TestComplaintsOverlap(t *testing.T) {
	probs := []float64{0.9, 0.1, 0.8, 0.1, 0.9, 0.2, 0, 0, 0} // 3 classes of 3 pixels, the last one absent
	labels := []int{0, 1, 0}
	t.Run("MONAI#371", func(t *testing.T) { // an absent class had the largest weight
		all := pixelsOf(t, tensor.Float64, loss.GeneralizedDiceFromProb, []int{1, 3, 3}, probs, labels)
		two := pixelsOf(t, tensor.Float64, loss.GeneralizedDiceFromProb, []int{1, 2, 3}, probs[:6], labels)
		checkNear(t, "value", all.value, two.value, 1e-15)
		checkNear(t, "gradient", all.grads["x"], append(slices.Clone(two.grads["x"]), 0, 0, 0), 1e-15)
	})
	t.Run("MONAI#369 #4656 #6765", func(t *testing.T) { // class weights cancelled
		a := pixelsOf(t, tensor.Float64, loss.GeneralizedDiceFromProb, []int{1, 3, 3}, probs, labels,
			loss.WithClassWeights([]float64{1, 1, 1}))
		b := pixelsOf(t, tensor.Float64, loss.GeneralizedDiceFromProb, []int{1, 3, 3}, probs, labels,
			loss.WithClassWeights([]float64{1, 5, 1}))
		if math.Abs(a.value[0]-b.value[0]) < 0.01 {
			t.Errorf("values %v and %v under different weights", a.value, b.value)
		}
	})
	t.Run("PaddleSeg#933", func(t *testing.T) { // a pixel that is ignored had a softmax of 1/C
		x, y := []float64{2, 0, 1, 0, 1, 0}, []int{0, 1, 255}
		with := pixelsOf(t, tensor.Float64, loss.Dice, []int{1, 2, 3}, x, y, loss.WithIgnoreIndex(255))
		without := pixelsOf(t, tensor.Float64, loss.Dice, []int{1, 2, 2}, []float64{2, 0, 0, 1}, y[:2])
		checkNear(t, "value", with.value, without.value, 1e-15)
		checkNear(t, "gradient", []float64{with.grads["x"][2], with.grads["x"][5]}, []float64{0, 0}, 0)
	})
	t.Run("Keras#23333", func(t *testing.T) { // α and β were swapped: α weighs false positives
		fp := pixelsOf(t, tensor.Float64, loss.TverskyFromProb, []int{1, 1, 2}, []float64{1, 1}, []int{1, 0},
			loss.WithAlpha(0.25), loss.WithBeta(0.75), loss.WithSmooth(0))
		fn := pixelsOf(t, tensor.Float64, loss.TverskyFromProb, []int{1, 1, 2}, []float64{1, 0}, []int{1, 1},
			loss.WithAlpha(0.25), loss.WithBeta(0.75), loss.WithSmooth(0))
		checkNear(t, "false positive", fp.value, []float64{0.25 / 1.25}, 1e-15)
		checkNear(t, "false negative", fn.value, []float64{0.75 / 1.75}, 1e-15)
	})
	t.Run("LovaszSoftmax#14", func(t *testing.T) { // nothing to count: NaN, or no gradient
		got := pixelsOf(t, tensor.Float64, loss.LovaszSoftmax, []int{2, 2, 1}, []float64{1, 2, math.NaN(), 0},
			[]int{-100, -100})
		checkNear(t, "value", got.value, []float64{0}, 0)
		checkNear(t, "gradient", got.grads["x"], make([]float64, 4), 0)
	})
	t.Run("LovaszSoftmax#20 MONAI#7883", func(t *testing.T) { // the classes that are absent decide the mean
		all := pixelsOf(t, tensor.Float64, loss.LovaszSoftmaxFromProb, []int{1, 3, 3}, probs, labels, values())
		present := pixelsOf(t, tensor.Float64, loss.LovaszSoftmaxFromProb, []int{1, 3, 3}, probs, labels,
			loss.WithPresentOnly())
		checkNear(t, "mean", present.value, []float64{(all.value[0] + all.value[1]) / 2}, 1e-15)
		checkNear(t, "absent class", all.value[2:], []float64{0}, 0) // its largest p
	})
}

// Ratios that are the same.
func TestOverlapIdentities(t *testing.T) {
	x, y := pixelNumbers(24, 2, 0.1), []int{0, 1, 2, 0, 0, 1, 1, 1}
	shape := []int{2, 3, 4}
	dice := pixelsOf(t, tensor.Float64, loss.Dice, shape, x, y, loss.WithSmooth(0.8), values())
	half := pixelsOf(t, tensor.Float64, loss.Tversky, shape, x, y, loss.WithSmooth(0.4), values())
	checkNear(t, "Dice is Tversky", half.value, dice.value, 1e-14)
	checkNear(t, "Dice is Tversky", half.grads["x"], dice.grads["x"], 1e-12)
	jaccard := pixelsOf(t, tensor.Float64, loss.Jaccard, shape, x, y, values())
	one := pixelsOf(t, tensor.Float64, loss.Tversky, shape, x, y, loss.WithAlpha(1), loss.WithBeta(1), values())
	checkNear(t, "Jaccard is Tversky", one.value, jaccard.value, 0)
	for name, fn := range classOverlaps {
		hot := make([]float64, len(x))
		for i, c := range y {
			hot[i/4*12+4*c+i%4] = 1
		}
		want := pixelsOf(t, tensor.Float64, fn, shape, x, y, values())
		for _, opts := range [][]loss.Option{nil, {loss.WithSemimetric()}} {
			got := softOf(t, fn, shape, x, hot, append(opts, values())...)
			checkNear(t, name+": one-hot target", got.value, want.value, 1e-14)
			checkNear(t, name+": one-hot target", got.grads["x"], want.grads["x"], 1e-12)
		}
		same := softOf(t, map[string]loss.Func{"Dice": loss.DiceFromProb, "Jaccard": loss.JaccardFromProb, "Tversky": loss.TverskyFromProb,
			"FocalTversky": loss.FocalTverskyFromProb}[name], []int{1, 1, 3}, []float64{0.3, 0.6, 0}, []float64{0.3, 0.6, 0}, loss.WithSemimetric())
		checkNear(t, name+": a soft target that is met", append(same.value, same.grads["x"]...), make([]float64, 4), 0)
		flat := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return fn(b.float("x", []int{2, 3}, x[:6]...), b.labels([]int{2}, 2, 0), values())
		}, "x")
		checkNear(t, name+": images of one pixel", flat.value,
			pixelsOf(t, tensor.Float64, fn, []int{2, 3, 1}, x[:6], []int{2, 0}, values()).value, 0)
	}
}

// Losses near 0 keep their digits, and gradients where a probability is near 1.
func TestOverlapNearZero(t *testing.T) {
	e := math.Exp(-40)
	got := pixelsOf(t, tensor.Float64, loss.Dice, []int{1, 2, 2}, []float64{40, -40, 0, 0}, []int{0, 1},
		loss.WithSmooth(0), values())
	// each class has one pixel with p = 1/(1+e), one with e/(1+e), and so FP = FN = e/(1+e)
	checkNear(t, "value", got.value, []float64{e / (1 + e), e / (1 + e)}, 1e-14)
	got = pixelsOf(t, tensor.Float64, loss.FocalTversky, []int{1, 2, 2}, []float64{1000, -1000, 0, 0}, []int{0, 1},
		values())
	checkNear(t, "focal at 0", append(got.value, got.grads["x"]...), make([]float64, 6), 0)
	p := 0.5
	p += 1e-9
	d := p - 0.5
	squared := softOf(t, loss.DiceFromProb, []int{1, 1, 2}, []float64{p, 1}, []float64{0.5, 1}, loss.WithSquared(),
		loss.WithSmooth(0))
	checkNear(t, "squared", squared.value, []float64{d * d / (2.25 + p*p)}, 1e-14)
	x := []float64{math.Log(1e-17), 0, 0, math.Log(2e-17), 0.5, 0.25}
	wrong := pixelsOf(t, tensor.Float64, loss.Jaccard, []int{1, 2, 3}, x, []int{0, 1, 0}, values())
	g := wrong.grads["x"]
	checkNear(t, "the gradients of two classes add up to 0", g[:3], []float64{-g[3], -g[4], -g[5]}, 1e-12)
}

// Images from 256 pixels on are computed in float32 where they can be: like float64 within the
// roundings of one pixel.
func TestOverlapFloat32(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	const images, classes, pixels = 2, 3, 301
	x, y := make([]float64, images*classes*pixels), make([]int, images*pixels)
	for i := range x {
		x[i] = float64(float32(3 * r.NormFloat64()))
	}
	for i := range y {
		y[i] = r.IntN(classes)
	}
	ignored := slices.Clone(y)
	for i := range ignored {
		if i%3 == 0 {
			ignored[i] = -100
			x[i/pixels*classes*pixels+i%pixels] = float64(float32(math.NaN()))
		}
	}
	clean := slices.Clone(x)
	for i, v := range clean {
		if v != v {
			clean[i] = 1
		}
	}
	edges := append(slices.Repeat([]float64{math.Inf(1), math.Inf(-1)}, 150), math.NaN())
	limits := pixelsOf(t, tensor.Float32, loss.Dice, []int{1, 1, 301}, edges, append(slices.Repeat([]int{1, 0}, 150), -100))
	checkNear(t, "infinite logits of one class", append(limits.value, limits.grads["x"]...), make([]float64, 302), 0)
	fns := map[string]loss.Func{"GeneralizedDice": loss.GeneralizedDice}
	for name, fn := range classOverlaps {
		fns[name] = fn
	}
	for name, fn := range fns {
		for _, c := range []struct {
			title string
			shape []int
			x     []float64
			y     []int
			opts  []loss.Option
		}{
			{"plain", []int{images, classes, pixels}, clean, y, nil},
			{"ignored", []int{images, classes, pixels}, x, ignored,
				[]loss.Option{loss.WithClassWeights([]float64{1, 2, 0.5})}},
			{"last", []int{images, pixels, classes}, clean, y, []loss.Option{loss.WithAxis(-1), values()}},
			{"pooled", []int{images, classes, pixels}, clean, ignored,
				[]loss.Option{loss.WithPooled(), loss.WithBackground(false)}},
			{"one class", []int{images, 1, pixels}, clean[:images*pixels], slices.Repeat([]int{0, 1}, pixels), nil},
			{"one class, ignored", []int{images, pixels, 1}, x[:images*pixels],
				slices.Repeat([]int{-100, 1, 0}, pixels)[:images*pixels], []loss.Option{loss.WithAxis(-1)}},
			{"one class, pooled", []int{images, 1, pixels}, clean[:images*pixels], slices.Repeat([]int{0, 1}, pixels),
				[]loss.Option{loss.WithPooled()}},
		} {
			t.Run(name+"/"+c.title, func(t *testing.T) {
				got, want := pixelsOf(t, tensor.Float32, fn, c.shape, c.x, c.y, c.opts...), pixelsOf(t, tensor.Float64, fn, c.shape, c.x, c.y, c.opts...)
				checkNear(t, "value", got.value, want.value, 1e-6)
				largest := 0.0
				for _, g := range want.grads["x"] {
					largest = max(largest, math.Abs(g))
				}
				// 6 units in the last place of terms that cancel in part
				for i, g := range want.grads["x"] {
					if d := math.Abs(got.grads["x"][i] - g); !(d <= 2e-6*largest) {
						t.Fatalf("gradient[%d] = %v, want %v", i, got.grads["x"][i], g)
					}
				}
			})
		}
	}
}

// The Lovász extension of a submodular function is the largest sum over all orders.
func TestLovaszOrders(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 40 {
		n := 1 + r.IntN(5)
		x, y := make([]float64, n), make([]int, n)
		for i := range x {
			x[i], y[i] = math.Round(4*r.NormFloat64())/4, r.IntN(2)
		}
		best := math.Inf(-1)
		permute(n, func(order []int) {
			fore, union, last, sum := 0, 0, 0.0, 0.0
			for _, v := range y {
				fore += v
			}
			union = fore
			left := fore
			for _, i := range order {
				if left -= y[i]; y[i] == 0 {
					union++
				}
				j := 1 - float64(left)/float64(union)
				sum += max(0, 1-x[i]*float64(2*y[i]-1)) * (j - last)
				last = j
			}
			best = max(best, sum)
		})
		got := pixelsOf(t, tensor.Float64, loss.LovaszHinge, []int{1, n}, x, y)
		checkNear(t, fmt.Sprintf("x %v y %v", x, y), got.value, []float64{best}, 1e-14)
	}
}

// permute calls f with every order of n numbers.
func permute(n int, f func(order []int)) {
	var next func(order []int)
	next = func(order []int) {
		if len(order) == n {
			f(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				next(append(slices.Clone(order), i))
			}
		}
	}
	next(nil)
}

// What is not finite stays in its image, and images of weight 0 are not read.
func TestOverlapHostile(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	fns := map[string]loss.Func{"GeneralizedDice": loss.GeneralizedDice, "LovaszSoftmax": loss.LovaszSoftmax}
	for name, fn := range classOverlaps {
		fns[name] = fn
	}
	clean := []float64{1, 2, 0.5, -1, 0, 0.25, 3, 1}
	for name, fn := range fns {
		want := pixelsOf(t, tensor.Float64, fn, []int{2, 2, 2}, clean, []int{0, 1, 1, 1}, values())
		for _, v := range []float64{nan, inf, -inf, 3e38, -3e38} {
			x := append([]float64{v, 2, 0.5, -1}, clean[4:]...)
			got := pixelsOf(t, tensor.Float64, fn, []int{2, 2, 2}, x, []int{0, 1, 1, 1}, values())
			n := len(want.value) / 2
			checkNear(t, name+": the other image", got.value[n:], want.value[n:], 0)
			checkNear(t, name+": the other image", got.grads["x"][4:], want.grads["x"][4:], 0)
			if bad := v != v || v == inf; bad != (got.value[0] != got.value[0]) {
				t.Errorf("%s at %v: value %v", name, v, got.value)
			}
			weighed := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
				return fn(b.float("x", []int{2, 2, 2}, x...), b.labels([]int{2, 2}, 7, -5, 1, 1),
					loss.WithWeights(b.float("w", []int{2}, 0, 1)), values())
			}, "x")
			checkNear(t, name+": weight 0", append(weighed.value, weighed.grads["x"]...),
				slices.Concat(make([]float64, n), want.value[n:], make([]float64, 4), want.grads["x"][4:]), 0)
		}
	}
	big := pixelsOf(t, tensor.Float32, loss.DiceFromProb, []int{1, 1, 2}, []float64{3e38, 3e38}, []int{1, 0},
		loss.WithSmooth(0))
	checkNear(t, "3e38", big.value, []float64{0}, 0) // FP 3e38, FN -3e38
}

// Settings and operands that are refused, and what the error says.
func TestOverlapFaults(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		what  string
		kind  error
		build func(b *bench) (*G.Node, error)
	}{
		{"label is 2 at", loss.ErrValue, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{2, 2, 2}, x...), b.labels([]int{2, 2}, 0, 1, 2, 0))
		}},
		{"label is 2 at", loss.ErrValue, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{2, 1, 4}, x...), b.labels([]int{2, 4}, 0, 1, 2, 0, 0, 0, 0, 0))
		}},
		{"prob is -1 at row (1, 0, 1)", loss.ErrValue, func(b *bench) (*G.Node, error) {
			return loss.DiceFromProb(b.float("x", []int{2, 2, 2}, 1, 2, 3, 4, 5, -1, 7, 8),
				b.labels([]int{2, 2}, 0, 1, 1, 0))
		}},
		{"prob is 3 at row (0, 1, 0)", loss.ErrValue, func(b *bench) (*G.Node, error) {
			return loss.LovaszSoftmaxFromProb(b.float("x", []int{2, 2, 2}, x...), b.labels([]int{2, 2}, 0, 1, 1, 0))
		}},
		{"target is -1 at", loss.ErrValue, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{1, 2, 1}, 1, 2), b.float("t", []int{1, 2, 1}, -1, 1))
		}},
		{"labels have dtype", loss.ErrDType, func(b *bench) (*G.Node, error) {
			return loss.LovaszSoftmax(b.float("x", []int{1, 2, 1}, 1, 2), b.float("t", []int{1, 1}, 1))
		}},
		{"logits have shape", loss.ErrShape, func(b *bench) (*G.Node, error) {
			return loss.LovaszHinge(b.float("x", []int{8}, x...), b.labels([]int{8}, 0, 1, 0, 1, 0, 1, 0, 1))
		}},
		{"labels have shape", loss.ErrShape, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{2, 2, 2}, x...), b.labels([]int{2, 3}, 0, 1, 1, 0, 0, 0))
		}},
		{"exclude each other", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{1, 2, 1}, 1, 2), b.labels([]int{1, 1}, 0), loss.WithSquared(),
				loss.WithSemimetric())
		}},
		{"whole batch is one set", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{1, 2, 1}, 1, 2), b.labels([]int{1, 1}, 0), loss.WithPooled(),
				loss.WithWeights(b.float("w", []int{1}, 1)))
		}},
		{"WithEpsilon is -1", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{1, 2, 1}, 1, 2), b.labels([]int{1, 1}, 0), loss.WithEpsilon(-1))
		}},
		{"WithAlpha is -1", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.Tversky(b.float("x", []int{1, 2, 1}, 1, 2), b.labels([]int{1, 1}, 0), loss.WithAlpha(-1))
		}},
		{"WithSmooth is -1", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.Jaccard(b.float("x", []int{1, 2, 1}, 1, 2), b.labels([]int{1, 1}, 0), loss.WithSmooth(-1))
		}},
		{"WithMultiLabel is not an option", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.DiceFromProb(b.float("x", []int{1, 2, 1}, 1, 2), b.labels([]int{1, 1}, 0), loss.WithMultiLabel())
		}},
		{"WithClassWeights has 2 entries, want 1", loss.ErrOption, func(b *bench) (*G.Node, error) {
			return loss.Dice(b.float("x", []int{1, 1, 2}, 1, 2), b.labels([]int{1, 2}, 0, 1),
				loss.WithClassWeights([]float64{1, 2}))
		}},
	} {
		_, err := compute(tensor.Float64, c.build)
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.what) {
			t.Errorf("error is %v, want one of kind %q with %q", err, c.kind, c.what)
		}
	}
}
