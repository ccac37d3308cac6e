package loss_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// randomExamples are rows of five logits with a label each, of ordinary size.
func randomExamples(seed uint64) []example {
	r := rand.New(rand.NewPCG(seed, 5))
	out := make([]example, 20)
	for i := range out {
		out[i] = example{x: make([]float64, 5), label: r.IntN(5)}
		for j := range out[i].x {
			out[i].x[j] = 2 * r.NormFloat64()
		}
	}
	return out
}

// sameLoss compares values and gradients of two losses on a row, to a tolerance relative to the
// larger or to 1.
func sameLoss(t *testing.T, what string, e example, got, want *computed, factor, tol float64) {
	t.Helper()
	near := func(a, b float64) bool { return near64(a, b, tol, tol) }
	for i, w := range want.value {
		if !near(got.value[i], factor*w) {
			t.Errorf("%s: %v has value %v, want %v", what, e, got.value[i], factor*w)
		}
	}
	for name, g := range want.grads {
		for i, w := range g {
			if !near(got.grads[name][i], factor*w) {
				t.Errorf("%s: %v has gradient %d by %s %v, want %v", what, e, i, name, got.grads[name][i], factor*w)
			}
		}
	}
}

// TestClassificationLimits: special settings are other losses.
func TestClassificationLimits(t *testing.T) {
	const rounding = 1e-13
	for _, e := range randomExamples(1) {
		ce := e.of(t, loss.CrossEntropy)
		sameLoss(t, "focal γ=0", e, e.of(t, loss.SoftmaxFocal, loss.WithGamma(0)), ce, 1, rounding)
		sameLoss(t, "poly ε=0", e, e.of(t, loss.PolyCrossEntropy, loss.WithEpsilon(0)), ce, 1, rounding)
		// (1-p^q)/q - (-log p) = -q·log²p/2 + ...
		sameLoss(t, "generalised q → 0", e, e.of(t, loss.GeneralizedCrossEntropy, loss.WithQ(1e-12)), ce, 1, 1e-9)
		sameLoss(t, "generalised q subnormal", e, e.of(t, loss.GeneralizedCrossEntropy, loss.WithQ(1e-310)), ce, 1,
			rounding)
		p := math.Exp(-ce.value[0])
		if got := e.of(t, loss.GeneralizedCrossEntropy, loss.WithQ(1)).value[0]; !near64(got, 1-p, rounding, rounding) {
			t.Errorf("generalised q=1: %v has value %v, want %v", e, got, 1-p)
		}
		// a softcap far above the logits: c·tanh(x/c) = x - x³/3c² + ...
		sameLoss(t, "softcap → ∞", e, e.of(t, loss.CrossEntropy, loss.WithSoftcap(1e8)), ce, 1, 1e-12)

		hinge := e.of(t, loss.MulticlassHinge)
		two := example{x: e.x[:2], label: e.label % 2}
		sameLoss(t, "multi-margin of two classes", two, two.of(t, loss.MultiMargin), two.of(t, loss.MulticlassHinge),
			0.5, rounding)
		if sum := e.of(t, loss.MultiMargin).value[0] * 5; sum < hinge.value[0]-rounding || sum > 4*hinge.value[0]+rounding {
			t.Errorf("multi-margin ×5 of %v is %v, not between one and four times the worst class's %v", e, sum,
				hinge.value[0])
		}
		if l := e.of(t, loss.MulticlassPerceptron).value[0]; l < hinge.value[0]-1-rounding || l > hinge.value[0] {
			t.Errorf("perceptron of %v is %v, hinge %v", e, l, hinge.value[0])
		}

		cosines := example{x: make([]float64, 5), label: e.label}
		for j, x := range e.x {
			cosines.x[j] = math.Tanh(x)
		}
		plain := cosines.of(t, loss.CrossEntropy)
		sameLoss(t, "ArcFace m=0", cosines, cosines.of(t, loss.ArcFace, loss.WithMargin(0), loss.WithScale(1)), plain,
			1, rounding)
		sameLoss(t, "CosFace m=0", cosines, cosines.of(t, loss.CosFace, loss.WithMargin(0), loss.WithScale(1)), plain,
			1, rounding)

		signs := example{x: e.x, soft: []float64{1, -1, 1, -1, 1}}
		bits := example{x: e.x, soft: []float64{1, 0, 1, 0, 1}}
		soft, bce := signs.of(t, loss.SoftMargin), bits.of(t, loss.BinaryCrossEntropy)
		if err := closeTo(soft.value, bce.value, rounding); err != nil {
			t.Errorf("soft margin against binary cross-entropy: %v", err)
		}
		if err := closeTo(soft.grads["x"], bce.grads["x"], rounding); err != nil {
			t.Errorf("soft margin against binary cross-entropy: gradient %v", err)
		}
		probs := example{x: []float64{0.1, 0.3, 0.5, 0.7, 0.9}, soft: []float64{1, 0, 0.25, 0.5, 1}}
		logits := example{x: make([]float64, 5), soft: probs.soft}
		for j, p := range probs.x {
			logits.x[j] = math.Log(p) - math.Log1p(-p)
		}
		fromProb, fromLogit := probs.of(t, loss.BinaryCrossEntropyFromProb), logits.of(t, loss.BinaryCrossEntropy)
		if err := closeTo(fromProb.value, fromLogit.value, 1e-14); err != nil {
			t.Errorf("binary cross-entropy from probabilities: %v", err)
		}
		sameLoss(t, "sigmoid focal γ=0", logits, logits.of(t, loss.SigmoidFocal, loss.WithGamma(0)), fromLogit, 1, rounding)
		mean := logits.of(t, loss.MultiLabelSoftMargin)
		if got, want := mean.value[0], sum(fromLogit.value)/5; !near64(got, want, rounding, 0) {
			t.Errorf("multi-label soft margin is %v, want %v", got, want)
		}
	}
}

// TestEntmaxIsBetween: the projections for α = 1, 1.5 and 2 get sparser, so the probability of the
// largest logit grows.
func TestEntmaxIsBetween(t *testing.T) {
	for _, e := range randomExamples(2) {
		// dl/dx = p for a target without mass
		e.soft = make([]float64, 5)
		spread := func(f loss.Func) (top float64, zeros int) {
			p := e.of(t, f).grads["x"]
			if s := sum(p); math.Abs(s-1) > 1e-14 {
				t.Errorf("the projection of %v sums to %v", e.x, s)
			}
			for _, v := range p {
				if v < 0 {
					t.Errorf("the projection of %v has %v", e.x, v)
				}
				if v == 0 {
					zeros++
				}
			}
			return slices.Max(p), zeros
		}
		soft := slices.Max(softmaxOf(e.x))
		middle, middleZeros := spread(loss.Entmax15)
		sparse, sparseZeros := spread(loss.Sparsemax)
		if !(soft < middle && middle <= sparse && middleZeros <= sparseZeros) {
			t.Errorf("largest probabilities of %v: softmax %v, entmax %v, sparsemax %v; zeros %d and %d", e.x, soft,
				middle, sparse, middleZeros, sparseZeros)
		}
	}
}

func softmaxOf(x []float64) []float64 {
	p, _ := distribution(x)
	return p
}

// TestFenchelYoung holds the forms in which nothing cancels against the definition, for labels and
// distributions, on rows with more classes than the projections keep.
func TestFenchelYoung(t *testing.T) {
	for _, e := range randomExamples(3) {
		e.x = append(e.x, e.x...)
		for j := range e.x[5:] {
			e.x[5+j] -= 0.1
		}
		target := softmaxOf(e.x)
		for _, soft := range [][]float64{nil, target} {
			e.soft = soft
			for _, c := range []struct {
				name  string
				f     loss.Func
				power float64
				scale float64
			}{{"Sparsemax", loss.Sparsemax, 2, 0.5}, {"Entmax15", loss.Entmax15, 1.5, 4. / 3}} {
				got := e.of(t, c.f)
				want, shift := 0.0, slices.Max(e.x)
				for j, d := range got.grads["x"] { // p - t
					q := 0.0
					if soft != nil {
						q = soft[j]
					} else if j == e.label {
						q = 1
					}
					p := max(0, d+q)
					want += c.scale*(math.Pow(q, c.power)-math.Pow(p, c.power)) + d*(e.x[j]-shift)
				}
				if !near64(got.value[0], want, 1e-12, 1e-14) {
					t.Errorf("%s of %v: %v, by definition %v", c.name, e, got.value[0], want)
				}
				if got.value[0] < 0 {
					t.Errorf("%s of %v is %v", c.name, e, got.value[0])
				}
			}
		}
	}
}

// TestFocalNearOne: with logits (40, 0, 0), u = 1 - p and s = -log p are 2e^-40 to a relative
// 1e-17, and φ = u^γ·s = s^(1+γ). The gradient's exponent is then that of (e^(x₁-x₀) +
// e^(x₂-x₀))^(1+γ), whose derivatives by x₀ bring down -(1+γ).
func TestFocalNearOne(t *testing.T) {
	e := example{x: []float64{40, 0, 0}}
	s := 2 * math.Exp(-40)
	for _, gamma := range []float64{0.25, 0.5, 1, 2} {
		k := 1 + gamma
		got := e.of(t, loss.SoftmaxFocal, loss.WithGamma(gamma))
		want := math.Pow(s, k)
		if err := closeTo(got.value, []float64{want}, 1e-14); err != nil {
			t.Errorf("γ = %v: value %v", gamma, err)
		}
		if err := closeTo(got.grads["x"], []float64{-k * want, k * want / 2, k * want / 2}, 1e-13); err != nil {
			t.Errorf("γ = %v: gradient %v", gamma, err)
		}
		b := newBench(tensor.Float64)
		l, err := loss.SoftmaxFocal(b.float("x", []int{1, 3}, e.x...), b.labels([]int{1}, 0), loss.WithGamma(gamma))
		if err != nil {
			t.Fatal(err)
		}
		hv := hessianOf(t, b, l, []float64{1, 0, 0})
		if err := closeTo(hv, []float64{k * k * want, -k * k * want / 2, -k * k * want / 2}, 1e-13); err != nil {
			t.Errorf("γ = %v: second derivative %v", gamma, err)
		}
	}
}

// hessianOf is the Hessian of a scalar by the leaf x, times v.
func hessianOf(t *testing.T, b *bench, l *G.Node, v []float64) []float64 {
	t.Helper()
	x := b.leaves["x"]
	g, err := loss.Gradients(l, x)
	if err != nil {
		t.Fatal(err)
	}
	h, err := loss.VJP(g[0], floatLeaf(b.g, b.dt, "v", x.Shape(), v), x)
	if err != nil {
		t.Fatal(err)
	}
	out, err := runTape(b.g, h[0])
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// TestDistillationParts: α = 0 is the cross-entropy of the labels, α = 1 T² times the divergence
// from the teacher.
func TestDistillationParts(t *testing.T) {
	shape := []int{2, 3}
	x, z, y := []float64{1, -0.5, 0.3, 2, 0, -1}, []float64{0.2, 1.5, -1, 0, 0.1, 4}, []int{2, 0}
	part := func(alpha float64, labels ...int) *computed {
		t.Helper()
		got, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.Distillation(b.float("x", shape, x...), b.float("z", shape, z...), b.labels(shape[:1], labels...),
				loss.WithAlpha(alpha), loss.WithTemperature(3))
		}, "x", "z")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	hard, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.CrossEntropy(b.float("x", shape, x...), b.labels(shape[:1], y...))
	}, "x")
	if err != nil {
		t.Fatal(err)
	}
	hard.grads["z"] = make([]float64, 6)
	soft, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.KL(b.float("x", shape, x...), b.float("z", shape, z...), loss.WithTargetLogits(),
			loss.WithTemperature(3))
	}, "x", "z")
	if err != nil {
		t.Fatal(err)
	}
	e := example{x: x}
	sameLoss(t, "α = 0", e, part(0, y...), hard, 1, 1e-14)
	sameLoss(t, "α = 1", e, part(1, y...), soft, 9, 1e-14)
	mixed := &computed{value: []float64{0.3*9*soft.value[0] + 0.7*hard.value[0]}, grads: map[string][]float64{}}
	for name, g := range soft.grads {
		for i := range g {
			mixed.grads[name] = append(mixed.grads[name], 0.3*9*g[i]+0.7*hard.grads[name][i])
		}
	}
	sameLoss(t, "α = 0.3", e, part(0.3, y...), mixed, 1, 1e-14)
	ignored := part(0.5, -100, -100)
	if err := closeTo(append(ignored.value, ignored.grads["z"]...), make([]float64, 7), 0); err != nil {
		t.Errorf("all ignored: %v", err)
	}
}

// TestClassWeightsMultiply: beside cross-entropy, a class weight is a factor on value and gradient
// of its rows, and of a one-hot soft target's.
func TestClassWeightsMultiply(t *testing.T) {
	w := []float64{0.5, 2, 0, 3, 1}
	for name, f := range map[string]loss.Func{"SoftmaxFocal": loss.SoftmaxFocal, "PolyCrossEntropy": loss.PolyCrossEntropy,
		"GeneralizedCrossEntropy": loss.GeneralizedCrossEntropy, "MultiMargin": loss.MultiMargin,
		"MulticlassHinge":      loss.MulticlassHinge,
		"MulticlassPerceptron": loss.MulticlassPerceptron, "CategoricalHinge": loss.CategoricalHinge,
		"Sparsemax": loss.Sparsemax,
		"Entmax15":  loss.Entmax15, "EMD": loss.EMD} {
		info, _ := loss.Describe(name)
		for _, e := range randomExamples(4) {
			plain := e.of(t, f)
			sameLoss(t, name, e, e.of(t, f, loss.WithClassWeights(w)), plain, w[e.label], 1e-14)
			if info.Target == loss.LabelsOrSoft {
				e.soft = make([]float64, 5)
				e.soft[e.label] = 1
				sameLoss(t, name+" one-hot", e, e.of(t, f), plain, 1, 1e-14)
				sameLoss(t, name+" one-hot", e, e.of(t, f, loss.WithClassWeights(w)), plain, w[e.label], 1e-14)
			}
		}
	}
}

// TestMultiLabelWeights: equal class weights change nothing in a mean, which divides by the
// weights.
func TestMultiLabelWeights(t *testing.T) {
	x, y := []float64{1, -0.5, 0.3, 2, 0, -1}, []float64{0, 0, 0, 1, 0, 1}
	mean := func(opts ...loss.Option) float64 {
		got, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.MultiLabelSoftMargin(b.float("x", []int{2, 3}, x...), b.float("y", []int{2, 3}, y...), opts...)
		}, "x", "y")
		if err != nil {
			t.Fatal(err)
		}
		return got.value[0]
	}
	if got, want := mean(loss.WithClassWeights([]float64{3, 3, 3})), mean(); !near64(got, want, 1e-15, 0) {
		t.Errorf("mean with weights of 3 is %v, want %v", got, want)
	}
}

// TestZTerm: the node is what WithZLoss adds, and nothing to a gradient.
func TestZTerm(t *testing.T) {
	shape := []int{3, 4}
	x := []float64{5, -1, 2, 0, 3, 3, 3, 3, -40, 2, 7, 1}
	z := loss.WithZLoss(0.01)
	for name, opts := range map[string][]loss.Option{"mean": nil, "sum": {loss.WithReduction(loss.Sum)}, "none": {loss.WithReduction(loss.None)},
		"softcap": {loss.WithSoftcap(4), loss.WithTemperature(2), loss.WithLabelSmoothing(0.1), loss.WithClassWeights([]float64{1, 2, 0, 4})}} {
		run := func(build func(x, y *G.Node) (*G.Node, error)) *computed {
			t.Helper()
			got, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
				return build(b.float("x", shape, x...), b.labels(shape[:1], 1, -100, 3))
			}, "x")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		with := run(func(x, y *G.Node) (*G.Node, error) { return loss.CrossEntropy(x, y, append(opts, z)...) })
		without := run(func(x, y *G.Node) (*G.Node, error) { return loss.CrossEntropy(x, y, opts...) })
		term := run(func(x, y *G.Node) (*G.Node, error) {
			l, err := loss.CrossEntropy(x, y, append(opts, z)...)
			if err != nil {
				return nil, err
			}
			term, err := loss.ZTerm(l)
			if err != nil {
				return nil, err
			}
			// Both are used, so that neither is a root of its own; the loss's gradient is taken out
			// again.
			back, err := loss.CrossEntropy(x, y, append(opts, z)...)
			if err != nil {
				return nil, err
			}
			if term, err = G.Add(term, l); err != nil {
				return nil, err
			}
			return G.Sub(term, back)
		})
		for i, w := range with.value {
			if got := without.value[i] + term.value[i]; !near64(got, w, 1e-14, 1e-14) {
				t.Errorf("%s: value %d is %v with the z-loss, %v and %v apart", name, i, w, without.value[i], term.value[i])
			}
		}
		if err := closeTo(term.grads["x"], make([]float64, 12), 0); err != nil {
			t.Errorf("%s: gradient of the z-term: %v", name, err)
		}
	}
	b := newBench(tensor.Float64)
	leaf := b.float("x", shape, x...)
	plain, _ := loss.CrossEntropy(leaf, b.labels(shape[:1], 1, 2, 3))
	nll, _ := loss.NLL(leaf, b.labels(shape[:1], 1, 2, 3))
	for want, n := range map[string]*G.Node{"no WithZLoss": plain, "not a node of CrossEntropy": nll, "is nil": nil} {
		if _, err := loss.ZTerm(n); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "loss.ZTerm: ") {
			t.Errorf("ZTerm: error %v, want one that says %q", err, want)
		}
	}
	if _, err := loss.ZTerm(plain); !errors.Is(err, loss.ErrOption) {
		t.Errorf("ZTerm: error %v is no ErrOption", err)
	}
}

// TestSoftcapAtTheEnds: the cap is the limit of large logits, with gradient 0; a masked class stays
// masked.
func TestSoftcapAtTheEnds(t *testing.T) {
	for _, c := range []struct {
		x     []float64
		value float64
	}{
		{[]float64{3e38, -3e38}, math.Log1p(math.Exp(-10))},
		{[]float64{inf, 0}, math.Log1p(math.Exp(-5))},
		{[]float64{-3e38, 3e38}, 10 + math.Log1p(math.Exp(-10))},
		{[]float64{0, -inf}, 0},
		{[]float64{-inf, 0}, inf},
	} {
		got := example{x: c.x}.of(t, loss.CrossEntropy, loss.WithSoftcap(5))
		if err := closeTo(got.value, []float64{c.value}, 1e-14); err != nil {
			t.Errorf("%v: %v", c.x, err)
		}
		for i, g := range got.grads["x"] {
			if g != g || math.IsInf(c.x[i], 0) && g != 0 {
				t.Errorf("%v: gradient %d is %v", c.x, i, g)
			}
		}
	}
}
