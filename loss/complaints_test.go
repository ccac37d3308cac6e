package loss_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// What users of other toolkits ran into, by the number of the report there.

func rowsOf(b *bench, x ...float64) *G.Node { return b.float("x", []int{len(x) / 3, 3}, x...) }

func TestComplaintAllIgnored(t *testing.T) { // pytorch#70348, pytorch#75181: NaN, and NaN gradients from then on
	got := mustCompute(t, tensor.Float32, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, 1, 2, 3, 4, 5, 6), b.labels([]int{2}, -100, -100))
	}, "x")
	checkNear(t, "value", got.value, []float64{0}, 0)
	checkNear(t, "gradient", got.grads["x"], make([]float64, 6), 0)
}

func TestComplaintIgnoredRowPoisonsGradient(t *testing.T) { // pytorch#11551
	got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, ninf, ninf, ninf, 0, 0, 0), b.labels([]int{2}, -100, 1))
	}, "x")
	third := 1.0 / 3
	checkNear(t, "value", got.value, []float64{math.Log(3)}, 1e-15)
	checkNear(t, "gradient", got.grads["x"], []float64{0, 0, 0, third, -2 * third, third}, 1e-15)
}

func TestComplaintMaskedLogitWithZeroLabel(t *testing.T) { // optax#896: 0·Inf is NaN
	got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, ninf, 0, 0), b.float("t", []int{1, 3}, 0, 0.5, 0.5))
	}, "x")
	checkNear(t, "value", got.value, []float64{math.Ln2}, 1e-15)
	checkNear(t, "gradient", got.grads["x"], []float64{0, 0, 0}, 0)
}

func TestComplaintKLGradientAtZeroTarget(t *testing.T) { // optax#1786, pytorch#89558: NaN
	for _, fn := range []loss.Func{loss.KL, loss.KLFromLogProb} {
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return fn(rowsOf(b, -math.Ln2, -2*math.Ln2, -2*math.Ln2), b.float("t", []int{1, 3}, 0, 0.25, 0.75))
		}, "x", "t")
		checkNear(t, "value", got.value, []float64{math.Log(3) * 0.75}, 1e-15)
		checkNear(t, "target gradient", got.grads["t"], []float64{0, 1, 1 + math.Log(3)}, 1e-15)
		for i, g := range got.grads["x"] {
			if math.IsNaN(g) || math.IsInf(g, 0) {
				t.Errorf("gradient[%d] = %v", i, g)
			}
		}
	}
}

func TestComplaintKLMean(t *testing.T) { // pytorch#2259, sparseml#674: the mean is over elements, or over the batch alone
	p, q := [][]float64{{0.1, 0.4, 0.5}, {0.25, 0.25, 0.5}}, [][]float64{{0.8, 0.15, 0.05}, {0.5, 0.25, 0.25}}
	sum := 0.0
	for i := range p {
		for c := range p[i] {
			sum += p[i][c] * math.Log(p[i][c]/q[i][c])
		}
	}
	for _, shape := range [][]int{{2, 3}, {1, 2, 3}, {2, 1, 3}} {
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.KLFromLogProb(b.float("x", shape, logs(slices.Concat(q...))...),
				b.float("t", shape, slices.Concat(p...)...))
		})
		checkNear(t, fmt.Sprintf("mean over rows of %v", shape), got.value, []float64{sum / 2}, 1e-15)
	}
	// KL(P‖Q) of the first rows is 1.92698 bits.
	got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.KL(rowsOf(b, logs(q[0])...), b.float("t", []int{1, 3}, p[0]...))
	})
	if bits := got.value[0] / math.Ln2; math.Abs(bits-1.92698) > 5e-6 {
		t.Errorf("KL(P‖Q) = %v bits, want 1.92698", bits)
	}
}

func TestComplaintWeightedDenominator(t *testing.T) { // pytorch#72047, pytorch#31295
	w := []float64{0.2, 1.5, 3}
	rows := []float64{1, 2, 3, -1, 0.5, 2, 0, 0, 1}
	labels := []int{0, 2, 1}
	var l []float64
	for i, y := range labels {
		_, nll := distribution(rows[3*i : 3*i+3])
		l = append(l, nll[y])
	}
	weighted := 0.2*l[0] + 3*l[1] + 1.5*l[2]
	got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, rows...), b.labels([]int{3}, labels...), loss.WithClassWeights(w))
	}, "x")
	checkNear(t, "class weights divide", got.value, []float64{weighted / (0.2 + 3 + 1.5)}, 1e-14)
	got = mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, rows...), b.labels([]int{3}, labels...),
			loss.WithWeights(b.float("w", []int{3}, 0.2, 3, 1.5)))
	}, "x")
	checkNear(t, "so do the same weights given by row", got.value, []float64{weighted / (0.2 + 3 + 1.5)}, 1e-14)
	got = mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, rows...), b.labels([]int{3}, labels...), loss.WithClassWeights(w),
			loss.WithNormalizer(3))
	}, "x")
	checkNear(t, "a normalizer divides by the rows", got.value, []float64{weighted / 3}, 1e-14)
	// A single row's loss does not depend on its class weight.
	got = mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, rows[:3]...), b.labels([]int{1}, 0), loss.WithClassWeights(w))
	}, "x")
	checkNear(t, "one row", got.value, l[:1], 1e-14)
}

func TestComplaintGradientAccumulation(t *testing.T) { // transformers#34191: a mean of means is not the mean
	rows := []float64{1, 2, 3, -1, 0.5, 2, 0, 0, 1, 4, 0, 0}
	labels := []int{0, 2, -100, 1} // two tokens in the first batch, one in the second
	whole := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, rows...), b.labels([]int{4}, labels...))
	}, "x")
	value := 0.0
	var grad []float64
	for i := range 2 {
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.CrossEntropy(rowsOf(b, rows[6*i:6*i+6]...), b.labels([]int{2}, labels[2*i:2*i+2]...),
				loss.WithNormalizer(3))
		}, "x")
		value += got.value[0]
		grad = append(grad, got.grads["x"]...)
	}
	checkNear(t, "value", []float64{value}, whole.value, 1e-15)
	checkNear(t, "gradient", grad, whole.grads["x"], 1e-15)
}

func TestComplaintWeightsSmoothingIgnore(t *testing.T) { // pytorch#104776, pytorch#69339: all three at once
	w, eps := []float64{0.2, 1.5, 3}, 0.1
	rows := []float64{1, 2, 3, -1, 0.5, 2, 0, 0, 1}
	labels := []int{0, 1, 2}
	sum, denominator := 0.0, 0.0
	want := make([]float64, 9)
	for i, y := range labels {
		if y == 1 {
			continue // ignored
		}
		onehot := make([]float64, 3)
		onehot[y] = 1
		l, g, _ := crossEntropyRow(rows[3*i:3*i+3], onehot, w, eps)
		sum += l
		denominator += w[y]
		copy(want[3*i:], g)
	}
	for i := range want {
		want[i] /= denominator
	}
	got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(rowsOf(b, rows...), b.labels([]int{3}, labels...),
			loss.WithClassWeights(w), loss.WithLabelSmoothing(eps), loss.WithIgnoreIndex(1))
	}, "x")
	checkNear(t, "value", got.value, []float64{sum / denominator}, 1e-14)
	checkNear(t, "gradient", got.grads["x"], want, 1e-13)
}

func TestComplaintLabelDtypes(t *testing.T) { // pytorch#45540: int64 only
	var first *computed
	for _, dt := range []tensor.Dtype{tensor.Int, tensor.Int64, tensor.Int32, tensor.Uint8} {
		for _, fn := range []loss.Func{loss.CrossEntropy, loss.NLL, loss.CrossEntropyFromProb} {
			got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
				x := b.float("x", []int{2, 200}, slices.Repeat([]float64{0.005}, 400)...)
				return fn(x, labelLeaf(b.g, dt, "y", []int{2}, []int{1, 199}))
			}, "x")
			if g := got.grads["x"]; g[1] >= 0 || g[399] >= 0 || g[0] < 0 || g[398] < 0 {
				t.Errorf("labels of %v: gradient %v at 1, %v at 199, want both below 0 and no other", dt, g[1], g[399])
			}
		}
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.CrossEntropy(rowsOf(b, 1, 2, 3, 4, 5, 7), labelLeaf(b.g, dt, "y", []int{2}, []int{1, 0}))
		}, "x")
		if first == nil {
			first = got
		}
		if err := sameBits(got.value, first.value); err != nil {
			t.Errorf("labels of %v: %v", dt, err)
		}
		if err := sameBits(got.grads["x"], first.grads["x"]); err != nil {
			t.Errorf("labels of %v: gradient: %v", dt, err)
		}
	}
}

func TestComplaintLabelOutOfRange(t *testing.T) { // optax#1185, tensorflow#10268: no error, but NaN or a wrong number
	for _, y := range []int{3, -1, 1 << 30} {
		_, err := compute(tensor.Float32, func(b *bench) (*G.Node, error) {
			return loss.CrossEntropy(rowsOf(b, 1, 2, 3, 4, 5, 6), b.labels([]int{2}, 0, y))
		}, "x")
		want := fmt.Sprintf("loss.CrossEntropy: label is %d at row 1, want one in [0, 3)", y)
		if !errors.Is(err, loss.ErrValue) || err.Error() != want {
			t.Errorf("label %d: error %v, want %s", y, err, want)
		}
	}
}

func TestComplaintColumnAgainstVector(t *testing.T) { // FARM#229: it broadcasts to (N, N)
	for name, fn := range loss.All() {
		info, _ := loss.Describe(name)
		if !info.Elementwise {
			continue
		}
		for _, shapes := range [][2][]int{{{4, 1}, {4}}, {{4}, {4, 1}}, {{4}, {1}}, {{4}, nil}} {
			b := newBench(tensor.Float64)
			x := b.float("x", shapes[0], make([]float64, 4)...)
			if n, err := fn(x, b.float("t", shapes[1], make([]float64, volume(shapes[1]))...)); n != nil || err == nil {
				t.Errorf("%s of %v against %v is no error", name, shapes[0], shapes[1])
			}
		}
	}
}

func TestComplaintUpstreamOfRows(t *testing.T) { // Liger#968, Liger#678: None with an upstream that is not the same for all rows
	for _, s := range subjects {
		_, up := s.spread(0.5, -2, 0, 3)
		got := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			b.up = up
			return s.build(b, s.pred, s.target, someLabels, loss.WithReduction(loss.None))
		}, s.wrt()...)
		ones := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return s.build(b, s.pred, s.target, someLabels, loss.WithReduction(loss.None))
		}, s.wrt()...)
		for _, name := range s.wrt() {
			want := slices.Clone(ones.grads[name])
			for i := range want {
				want[i] *= up[i*len(up)/len(want)]
			}
			// A gradient is the difference of terms up to 30 times its size, which kernels multiply
			// by the upstream first.
			checkNear(t, s.name+" ∂/∂"+name, got.grads[name], want, 1e-14)
		}
	}
}

func TestComplaintManyMaskedLogits(t *testing.T) { // flash-attention#1930: whole tiles of -Inf in a log-sum-exp
	const classes = 5000
	for _, open := range []int{0, 777, 2048, classes - 1} {
		x := slices.Repeat([]float64{ninf}, classes)
		x[open], x[(open+1500)%classes] = 3, 2
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			got := mustCompute(t, dt, func(b *bench) (*G.Node, error) { return loss.LogSumExp(b.float("x", []int{1, classes}, x...)) }, "x")
			want := make([]float64, classes)
			want[open], want[(open+1500)%classes] = 1/(1+math.Exp(-1)), 1/(1+math.E)
			checkNear32(t, fmt.Sprintf("%v, open %d", dt, open), got.value, []float64{3 + math.Log1p(math.Exp(-1))}, 1)
			checkNear32(t, fmt.Sprintf("%v, open %d: gradient", dt, open), got.grads["x"], want, 1)
		}
	}
}

func TestComplaintSecondDerivativeByTarget(t *testing.T) { // pytorch#65466: PyTorch has none
	x, target, v := []float64{0.5, -1, 2}, []float64{0.25, 0.5, 0.25}, []float64{1, -2, 3}
	p, _ := distribution(x)
	tests := []struct {
		name string
		fn   loss.Func
		// the derivatives of ⟨∂l/∂t, v⟩ by x and by t; Σ v = 2
		byX, byT func(j int) float64
	}{
		{"CrossEntropy", loss.CrossEntropy, func(j int) float64 { return 2*p[j] - v[j] }, func(int) float64 { return 0 }},
		{"KL", loss.KL, func(j int) float64 { return 2*p[j] - v[j] }, func(j int) float64 { return v[j] / target[j] }},
		{"MSE", loss.MSE, func(j int) float64 { return -2 * v[j] / 3 }, func(j int) float64 { return 2 * v[j] / 3 }},
		{"BinaryCrossEntropy", loss.BinaryCrossEntropy, func(j int) float64 { return -v[j] / 3 },
			func(int) float64 { return 0 }},
	}
	for _, test := range tests {
		b := newBench(tensor.Float64)
		xn, tn := b.float("x", []int{1, 3}, x...), b.float("t", []int{1, 3}, target...)
		l, err := test.fn(xn, tn)
		if err != nil {
			t.Fatal(err)
		}
		g, err := loss.Gradients(l, tn)
		if err != nil {
			t.Fatal(err)
		}
		along, err := loss.VJP(g[0], b.float("v", []int{1, 3}, v...), xn, tn)
		if err != nil {
			t.Fatal(err)
		}
		values, err := runTape(b.g, along...)
		if err != nil {
			t.Fatal(err)
		}
		for j := range 3 {
			checkNear(t, fmt.Sprintf("%s ∂²/∂t∂x[%d]", test.name, j), values[0][j:j+1], []float64{test.byX(j)}, 1e-14)
			checkNear(t, fmt.Sprintf("%s ∂²/∂t∂t[%d]", test.name, j), values[1][j:j+1], []float64{test.byT(j)}, 1e-14)
		}
	}
}
