package loss_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A likelihood is a loss of mean, target and width.
type likelihood func(mean, target, width *G.Node, opts ...loss.Option) (*G.Node, error)

var likelihoods = map[string]likelihood{"GaussianNLL": loss.GaussianNLL, "LaplaceNLL": loss.LaplaceNLL, "StudentTNLL": loss.StudentTNLL}

// of runs a likelihood with all three gradients.
func (f likelihood) of(t *testing.T, dt tensor.Dtype, m, y, s []float64, opts ...loss.Option) *computed {
	t.Helper()
	return mustCompute(t, dt, func(b *bench) (*G.Node, error) {
		n := []int{len(m)}
		return f(b.float("m", n, m...), b.float("t", n, y...), b.float("s", n, s...), opts...)
	}, "m", "t", "s")
}

func TestLikelihoodValues(t *testing.T) {
	const root = 2.5066282746310002 // √(2π)
	for _, c := range []struct {
		name           string
		f              likelihood
		opts           []loss.Option
		m, t, s        float64
		l, dm, dt, dsc float64
	}{
		{"GaussianNLL", loss.GaussianNLL, nil, 3, 1, 4, math.Ln2 + 0.5, 0.5, -0.5, 0},
		{"GaussianNLL", loss.GaussianNLL, nil, 1, 3, 1, 2, -2, 2, -1.5},
		// below the floor everything but the variance itself is as at the floor
		{"GaussianNLL", loss.GaussianNLL, []loss.Option{loss.WithEpsilon(0.25)}, 1, 0, 0, 2 - math.Ln2, 4, -4, -6},
		{"GaussianNLL", loss.GaussianNLL, []loss.Option{loss.WithFull()}, 2, 2, 1, math.Log(root), 0, 0, 0.5},
		{"LaplaceNLL", loss.LaplaceNLL, nil, 3, 1, 2, 2*math.Ln2 + 1, 0.5, -0.5, 0},
		{"LaplaceNLL", loss.LaplaceNLL, nil, 1, 1, 0.5, 0, 0, 0, 2},
		{"StudentTNLL", loss.StudentTNLL, []loss.Option{loss.WithAlpha(1)}, 1, 0, 1, math.Log(2 * math.Pi), 1, -1, 0}, // 1/(π·(1 + 1))
		{"StudentTNLL", loss.StudentTNLL, []loss.Option{loss.WithAlpha(2)}, 2, 0, 2,
			math.Log(4) + 1.5*math.Log(1.5) + math.Log(1.4142135623730951), 0.5, -0.5, 0},
		{"StudentTNLL", loss.StudentTNLL, nil, 0, 0, 1, math.Log(8. / 3), 0, 0, 1}, // ν = 4 has density 3/8 at 0
	} {
		got := c.f.of(t, tensor.Float64, []float64{c.m}, []float64{c.t}, []float64{c.s},
			append(c.opts, loss.WithReduction(loss.None))...)
		for what, pair := range map[string][2]float64{"value": {got.value[0], c.l}, "∂/∂mean": {got.grads["m"][0], c.dm},
			"∂/∂target": {got.grads["t"][0], c.dt}, "∂/∂width": {got.grads["s"][0], c.dsc}} {
			if !near64(pair[0], pair[1], 1e-15, 4e-16) { // a few roundings
				t.Errorf("%s at (%v, %v, %v): %s is %v, want %v", c.name, c.m, c.t, c.s, what, pair[0], pair[1])
			}
		}
	}
}

// With many degrees of freedom Student's t is the normal distribution.
func TestStudentTNLLIsGaussianInTheLimit(t *testing.T) {
	m, y, s := []float64{0.3, -1.5, 4}, []float64{1, 1, 1.5}, []float64{0.5, 2, 3}
	student := loss.StudentTNLL
	got := likelihood(student).of(t, tensor.Float64, m, y, s, loss.WithAlpha(1e14), loss.WithReduction(loss.None))
	squares := []float64{0.25, 4, 9}
	want := likelihood(loss.GaussianNLL).of(t, tensor.Float64, m, y, squares, loss.WithFull(),
		loss.WithReduction(loss.None))
	checkNear(t, "value", got.value, want.value, 1e-12) // z⁴/4ν
	checkNear(t, "∂/∂mean", got.grads["m"], want.grads["m"], 1e-12)
	for i := range s { // dv/dσ = 2σ
		want.grads["s"][i] *= 2 * s[i]
	}
	checkNear(t, "∂/∂scale", got.grads["s"], want.grads["s"], 1e-12)
}

// Reductions, weights and masks treat three operands as they treat two, and float32 is float64
// rounded.
func TestLikelihoodReductions(t *testing.T) {
	m, y, s := []float64{0.5, -1, 4, 2}, []float64{1, 1, 1.5, -0.25}, []float64{0.5, 2, 3, 0.125}
	for name, f := range likelihoods {
		t.Run(name, func(t *testing.T) {
			none := f.of(t, tensor.Float64, m, y, s, loss.WithReduction(loss.None))
			sum, norm := 0.0, 0.0
			w := []float64{1, 2, 0, 0.5}
			for i, l := range none.value {
				sum += w[i] * l
				norm += w[i]
			}
			weighted := func(dt tensor.Dtype) *computed {
				return mustCompute(t, dt, func(b *bench) (*G.Node, error) {
					broken := append([]float64(nil), s...)
					broken[2] = -7 // never read: its weight is 0
					return f(b.float("m", []int{4}, m...), b.float("t", []int{4}, y...), b.float("s", []int{4}, broken...),
						loss.WithWeights(b.float("w", []int{4}, w...)))
				}, "m", "t", "s")
			}
			got := weighted(tensor.Float64)
			checkNear(t, "weighted mean", got.value, []float64{sum / norm}, 1e-14)
			narrow := weighted(tensor.Float32)
			checkNear32(t, "float32 value", narrow.value, got.value, 1)
			for k, g := range got.grads {
				want := make([]float64, len(g))
				for i := range g {
					want[i] = none.grads[k][i] * w[i] / norm
				}
				checkNear(t, "gradient by "+k, g, want, 1e-14)
				checkNear32(t, "float32 gradient by "+k, narrow.grads[k], g, 1)
			}
		})
	}
}

func TestLikelihoodErrors(t *testing.T) {
	three := []int{3}
	for _, c := range []struct {
		f     likelihood
		width []float64
		shape []int
		opt   loss.Option
		kind  error
		text  string
	}{
		{loss.GaussianNLL, []float64{1, -0.5, 1}, three, nil, loss.ErrValue,
			"loss.GaussianNLL: variance is -0.5 at row 1, want numbers >= 0"},
		{loss.LaplaceNLL, []float64{1, 1, 0}, three, nil, loss.ErrValue,
			"loss.LaplaceNLL: scale is 0 at row 2, want numbers > 0"},
		{loss.StudentTNLL, []float64{-1, 1, 1}, three, nil, loss.ErrValue,
			"loss.StudentTNLL: scale is -1 at row 0, want numbers > 0"},
		{loss.GaussianNLL, []float64{1}, []int{1}, nil, loss.ErrShape,
			"loss.GaussianNLL: variance has shape (1), want (3) to match mean"},
		{loss.GaussianNLL, []float64{1, 1, 1}, three, loss.WithEpsilon(0), loss.ErrOption,
			"loss.GaussianNLL: WithEpsilon is 0, want a number > 0"},
		{loss.StudentTNLL, []float64{1, 1, 1}, three, loss.WithAlpha(0), loss.ErrOption,
			"loss.StudentTNLL: WithAlpha is 0, want a number > 0"},
		{loss.LaplaceNLL, []float64{1, 1, 1}, three, loss.WithFull(), loss.ErrOption,
			"loss.LaplaceNLL: WithFull is not an option of this loss"},
	} {
		_, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
			var opts []loss.Option
			if c.opt != nil {
				opts = append(opts, c.opt)
			}
			return c.f(b.float("m", three, 0, 0, 0), b.float("t", three, 1, 1, 1), b.float("s", c.shape, c.width...),
				opts...)
		})
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("error is %v, want %q of kind %v", err, c.text, c.kind)
		}
	}
	// A NaN that the model predicts is not an error but a NaN, in its row.
	for name, f := range likelihoods {
		got := f.of(t, tensor.Float64, []float64{0, 0}, []float64{1, 1}, []float64{math.NaN(), 1},
			loss.WithReduction(loss.None))
		if got.value[0] == got.value[0] || got.value[1] != got.value[1] {
			t.Errorf("%s of widths NaN and 1 is %v", name, got.value)
		}
	}
}
