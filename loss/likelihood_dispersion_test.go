package loss_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// psiOf returns ψ(x) and ψ'(x) for x > 0 to 1e-55, by their series beyond 100.
func psiOf(x real) (psi, slope real) {
	psi, slope = exact(0), exact(0)
	for x.Cmp(exact(100)) < 0 {
		y := quotient(exact(1), x)
		psi, slope = minus(psi, y), plus(slope, product2(y, y))
		x = plus(x, exact(1))
	}
	y := quotient(exact(1), x)
	square := product2(y, y)
	psi = plus(psi, minus(logOf(x), multiple(0.5, y)))
	slope = plus(slope, plus(y, multiple(0.5, square)))
	power := square
	for i, b := range bernoulliNumbers {
		number := quotient(exact(b[0]), exact(b[1]))
		psi = minus(psi, product2(quotient(number, exact(float64(2*i+2))), power))
		slope = plus(slope, product2(number, product2(power, y)))
		power = product2(power, square)
	}
	return psi, slope
}

// A dispersedTruth is the likelihood of a predicted dispersion in big floats: value, gradient and
// Hessian by f, t and α.
type dispersedTruth struct {
	value   real
	grad    [3]real
	hessian [3][3]real
}

// dispersedOf computes the truth from μ; full adds log Γ(t+1).
func dispersedOf(f, t, alpha, mu real, full bool) (w dispersedTruth) {
	one := exact(1)
	r := quotient(one, alpha)
	s, b, d := plus(r, mu), plus(r, t), minus(mu, t)
	rise := logOf(plus(one, product2(alpha, mu)))
	psiR, slopeR := psiOf(r)
	psiB, slopeB := psiOf(b)
	w.value = minus(product2(b, rise), product2(t, f))
	w.value = plus(w.value, plus(minus(logGamma(r), logGamma(b)), product2(t, logOf(r))))
	w.grad[0] = quotient(product2(d, r), s)
	w.grad[1] = plus(minus(rise, f), minus(logOf(r), psiB))
	curve := minus(exact(0), slopeB)
	if full {
		psi, slope := psiOf(plus(t, one))
		w.value, w.grad[1], curve = plus(w.value, logGamma(plus(t, one))), plus(w.grad[1], psi), plus(curve, slope)
	}
	share := quotient(r, s)
	square := product2(r, r)
	byShape := minus(plus(minus(psiR, psiB), rise), quotient(d, s)) // dl/dr
	w.grad[2] = minus(exact(0), product2(square, byShape))
	again := plus(minus(quotient(one, s), quotient(one, r)), plus(minus(slopeR, slopeB), quotient(d, product2(s, s)))) // d²l/dr²
	w.hessian[0] = [3]real{product2(product2(share, share), product2(mu, plus(one, product2(alpha, t)))), minus(exact(0), share),
		minus(exact(0), product2(product2(d, mu), product2(share, share)))}
	mixed := product2(square, minus(slopeB, quotient(one, s)))
	w.hessian[1] = [3]real{w.hessian[0][1], curve, mixed}
	w.hessian[2] = [3]real{w.hessian[0][2], mixed, product2(product2(square, r), plus(multiple(2, byShape), product2(r, again)))}
	return w
}

// dispersedNodes is a graph's value, gradient and Hessian of the sum of a likelihood with a
// predicted dispersion, element by element.
func dispersedNodes(t *testing.T, dt tensor.Dtype, in [3][]float64, opts ...loss.Option) (value []float64, grad [3][]float64, hessian [3][3][]float64) {
	t.Helper()
	b := newBench(dt)
	var leaves G.Nodes
	for k, name := range []string{"pred", "target", "alpha"} {
		leaves = append(leaves, b.float(name, []int{len(in[k])}, in[k]...))
	}
	must := func(n *G.Node, err error) *G.Node {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	with := append(opts, loss.WithDispersion(leaves[2]))
	out := G.Nodes{must(loss.NegativeBinomial(leaves[0], leaves[1], append(with, loss.WithReduction(loss.None))...))}
	first, err := loss.Gradients(must(loss.NegativeBinomial(leaves[0], leaves[1], append(with, loss.WithReduction(loss.Sum))...)), leaves...)
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, first...)
	for _, g := range first {
		second, err := loss.Gradients(must(G.Sum(g)), leaves...)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, second...)
	}
	all, err := runTape(b.g, out...)
	if err != nil {
		t.Fatal(err)
	}
	copy(grad[:], all[1:4])
	for k := range hessian {
		copy(hessian[k][:], all[4+3*k:])
	}
	return all[0], grad, hessian
}

// TestDispersion holds the likelihood of a predicted dispersion, its gradient and its Hessian to
// big floats, for α from 1e-12 to 1e6 and counts up to 1e9, near the mean and far away. They have
// 1e-12 of themselves and 1e-14, second derivatives 1e-13, of the terms of which they are the sum;
// and what four units in the last place of exp(f) make of them.
func TestDispersion(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 1))
	var in [3][]float64
	for range *extremeRows {
		alpha := math.Pow(10, -12+18*rng.Float64())
		count := math.Pow(10, 9*rng.Float64())
		switch rng.IntN(8) {
		case 0:
			count = float64(rng.IntN(4))
		case 1, 2, 3, 4:
			count = math.Round(count)
		case 5:
			count = math.Pow(10, -9*rng.Float64())
		}
		f := math.Log(max(count, 1e-3)) + math.Pow(10, -8*rng.Float64())*rng.NormFloat64()
		if rng.IntN(4) == 0 {
			f = 8 * rng.NormFloat64()
		}
		in[0], in[1], in[2] = append(in[0], f), append(in[1], count), append(in[2], alpha)
	}
	for _, full := range []bool{false, true} {
		var opts []loss.Option
		if full {
			opts = append(opts, loss.WithFull())
		}
		value, grad, hessian := dispersedNodes(t, tensor.Float64, in, opts...)
		for i, f := range in[0] {
			count, alpha := in[1][i], in[2][i]
			mu := vectest.BigExp(exact(f))
			truth := func(mu real) dispersedTruth { return dispersedOf(exact(f), exact(count), exact(alpha), mu, full) }
			want, moved := truth(mu), truth(product2(mu, exact(1+0x1p-50)))
			check := func(what string, got float64, want, moved real, size, own float64) {
				t.Helper()
				allowed := plus(sizeOf(minus(moved, want)), plus(multiple(1e-12, sizeOf(want)), exact(own*size)))
				if off := sizeOf(minus(exact(got), want)); off.Cmp(allowed) > 0 {
					t.Errorf("full %t, f = %v, count %v, α = %v: %s is %v, want %s", full, f, count, alpha, what, got,
						show(want))
				}
			}
			r, m := 1/alpha, math.Exp(f)
			slope := math.Abs(m-count) / (1 + alpha*m)
			own := count * r / (r + count)
			logs := 1 + math.Abs(f) + math.Abs(math.Log(alpha))
			if full {
				check("value", value[i], want.value, moved.value, 1+min(m, r)+math.Log1p(count), 1e-14)
			} else {
				check("value", value[i], want.value, moved.value, 1+min(m, r)+count*logs, 1e-14)
			}
			for k, size := range []float64{0, logs, slope*slope + own} {
				check(fmt.Sprint("derivative ", k), grad[k][i], want.grad[k], moved.grad[k], size, 1e-14)
			}
			third := slope*slope*slope + own*slope*slope + own*own + own
			for k, sizes := range [3][3]float64{{0, 0, 0}, {0, 1e-3, slope + 1}, {0, slope + 1, third}} {
				for j, size := range sizes {
					check(fmt.Sprint("second derivative ", k, j), hessian[k][j][i], want.hessian[k][j],
						moved.hessian[k][j], size, 1e-13)
				}
			}
		}
	}
}

// dispersedRows are log-means, counts and dispersions; the same α is everywhere in the last list.
func dispersedRows(n int) (in [3][]float64, same []float64) {
	rng := rand.New(rand.NewPCG(23, 2))
	for range n {
		in[0] = append(in[0], 2*rng.NormFloat64())
		in[1] = append(in[1], float64(rng.IntN(12)))
		in[2] = append(in[2], math.Exp(rng.NormFloat64()))
		same = append(same, 0.3)
	}
	return in, same
}

// As α falls to 0 the likelihood and its derivatives are Poisson's, and that by α is
// (t - (μ - t)²)/2; at 1e-15 the difference is α·(t + μ)³ or less.
func TestDispersionNearZeroIsPoisson(t *testing.T) {
	in, _ := dispersedRows(20)
	for i := range in[2] {
		in[2][i] = []float64{1e-15, 1e-300, 5e-324}[i%3]
	}
	value, grad, _ := dispersedNodes(t, tensor.Float64, in)
	poisson := mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.PoissonNLL(b.float("x", []int{20}, in[0]...), b.float("t", []int{20}, in[1]...),
			loss.WithReduction(loss.None))
	}, "x", "t")
	for i, f := range in[0] {
		mu, count := math.Exp(f), in[1][i]
		limit := (count - (mu-count)*(mu-count)) / 2
		for what, pair := range map[string][2]float64{"value": {value[i], poisson.value[i]}, "∂/∂pred": {grad[0][i], poisson.grads["x"][i]},
			"∂/∂target": {grad[1][i], poisson.grads["t"][i]}, "∂/∂dispersion": {grad[2][i], limit}} {
			if off := math.Abs(pair[0] - pair[1]); !(off <= 1e-15*math.Pow(4+mu+count, 3)) {
				t.Errorf("f = %v, count %v, α = %v: %s is %v, want %v", f, count, in[2][i], what, pair[0], pair[1])
			}
		}
	}
}

// One dispersion everywhere is WithAlpha, to the bit under WithFull; the likelihood without it has
// the same derivative by pred, and in its value the terms of α more.
func TestDispersionOfOneAlpha(t *testing.T) {
	in, same := dispersedRows(200)
	in[2] = same
	fixed := func(opts ...loss.Option) *computed {
		return mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.NegativeBinomial(b.float("x", []int{200}, in[0]...), b.float("t", []int{200}, in[1]...),
				append(opts, loss.WithAlpha(0.3), loss.WithReduction(loss.None))...)
		}, "x", "t")
	}
	value, grad, _ := dispersedNodes(t, tensor.Float64, in, loss.WithFull())
	want := fixed(loss.WithFull())
	for what, pair := range map[string][2][]float64{"value": {value, want.value}, "∂/∂target": {grad[1], want.grads["t"]}} {
		if err := sameBits(pair[0], pair[1]); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	value, grad, _ = dispersedNodes(t, tensor.Float64, in)
	want = fixed()
	if err := sameBits(grad[0], want.grads["x"]); err != nil {
		t.Errorf("∂/∂pred: %v", err)
	}
	for i, l := range want.value {
		r, count := 1/0.3, in[1][i]
		low, _ := math.Lgamma(r)
		high, _ := math.Lgamma(r + count)
		if more := low - high + count*math.Log(r); !near64(value[i], l+more, 1e-13, 1e-13) { // logarithms up to 40
			t.Errorf("count %v: %v, want %v", count, value[i], l+more)
		}
	}
}

// 300 elements are enough for kernels of float32, which know one α alone and have no part: the
// values and gradients are those of float64 up to the rounding of operands, a few units of 6e-8
// times derivatives below 1e2.
func TestDispersionOfFloat32(t *testing.T) {
	in, _ := dispersedRows(300)
	value, grad, _ := dispersedNodes(t, tensor.Float32, in)
	want, slopes, _ := dispersedNodes(t, tensor.Float64, in)
	for i := range want {
		pairs := [][2]float64{{value[i], want[i]}}
		for k := range grad {
			pairs = append(pairs, [2]float64{grad[k][i], slopes[k][i]})
		}
		for k, p := range pairs {
			if !near64(p[0], p[1], 1e-5, 1e-5) {
				t.Errorf("f = %v, count %v, α = %v: number %d is %v, want %v", in[0][i], in[1][i], in[2][i], k, p[0], p[1])
			}
		}
	}
}

// The numbers of package eager are those of the graph to the bit, in both dtypes, with weights, a
// mask and every reduction.
func TestDispersionEager(t *testing.T) {
	in, _ := dispersedRows(300)
	w, m := make([]float64, 300), make([]bool, 300)
	for i := range w {
		w[i], m[i] = float64(i%4)/2, i%5 != 0
		if w[i] == 0 || !m[i] {
			in[2][i] = -7 // never read
		}
	}
	testDispersionEager[float32](t, tensor.Float32, in, w, m)
	testDispersionEager[float64](t, tensor.Float64, in, w, m)
}

func testDispersionEager[F float32 | float64](t *testing.T, dt tensor.Dtype, in [3][]float64, w []float64, m []bool) {
	t.Helper()
	list := func(x []float64) []F {
		out := make([]F, len(x))
		for i, v := range x {
			out[i] = F(v)
		}
		return out
	}
	wide := func(x []F) []float64 {
		out := make([]float64, len(x))
		for i, v := range x {
			out[i] = float64(v)
		}
		return out
	}
	marks := make([]int, len(m))
	for i, v := range m {
		if v {
			marks[i] = 1
		}
	}
	shape := []int{len(w)}
	data := eager.Data{Weights: eager.Slice(list(w)), Mask: eager.Slice(m), Dispersion: eager.Slice(list(in[2]))}
	for _, red := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
		want := mustCompute(t, dt, func(b *bench) (*G.Node, error) {
			return loss.NegativeBinomial(b.float("0", shape, in[0]...), b.float("1", shape, in[1]...), loss.WithDispersion(b.float("2", shape, in[2]...)),
				loss.WithWeights(b.float("w", shape, w...)), loss.WithMask(b.mask(tensor.Bool, shape, marks...)), loss.WithReduction(red))
		}, "0", "1", "2")
		l, err := eager.NegativeBinomial(loss.WithReduction(red))
		if err != nil {
			t.Fatal(err)
		}
		x, y := eager.Slice(list(in[0])), eager.Slice(list(in[1]))
		value := make([]F, 1)
		if red == loss.None {
			value = make([]F, len(w))
			err = l.Values(eager.Slice(value), data, x, y)
		} else {
			var v float64
			v, err = l.Value(data, x, y)
			value[0] = F(v)
		}
		if err == nil {
			err = sameBits(wide(value), want.value)
		}
		if err != nil {
			t.Errorf("%v %v, value: %v", dt, red, err)
		}
		for k := range in {
			dst := make([]F, len(w))
			err := l.Gradient(k, eager.Slice(dst), data, x, y)
			if err == nil {
				err = sameBits(wide(dst), want.grads[fmt.Sprint(k)])
			}
			if err != nil {
				t.Errorf("%v %v, gradient %d: %v", dt, red, k, err)
			}
		}
	}
}

func TestDispersionGradients(t *testing.T) {
	for i, opts := range [][]loss.Option{nil, {loss.WithFull(), loss.WithReduction(loss.None)}, nil, {loss.WithFull()}} {
		gradcheck.Test(t, func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
			return loss.NegativeBinomial(in[0], in[1], append(opts, loss.WithDispersion(in[2]))...)
		}, []gradcheck.Input{
			gradcheck.Var("pred", []float64{0.5, -1, 2, 1.25, 0, 3}, 2, 3),
			gradcheck.Var("target", []float64{1, 2.5, 7, 3, 0.5, 12}, 2, 3),
			gradcheck.Var("dispersion", []float64{0.7, 0.05, 3, 1.5, 0.25, 0.125}, 2, 3),
		}, gradcheck.WithRandomUpstream(), gradcheck.WithSecondOrder(3), gradcheck.WithDType([]tensor.Dtype{tensor.Float64, tensor.Float32}[i/2]))
	}
}

func TestDispersionErrors(t *testing.T) {
	three := []int{3}
	for _, c := range []struct {
		with func(b *bench) []loss.Option
		kind error
		text string
	}{
		{func(b *bench) []loss.Option { return []loss.Option{loss.WithDispersion(b.float("a", []int{1}, 1))} }, loss.ErrShape,
			"loss.NegativeBinomial: dispersion has shape (1), want (3) to match pred"},
		{func(b *bench) []loss.Option {
			return []loss.Option{loss.WithDispersion(floatLeaf(b.g, tensor.Float32, "a", three, []float64{1, 1, 1}))}
		}, loss.ErrDType, "loss.NegativeBinomial: dispersion has dtype float32, want float64 like pred"},
		{func(b *bench) []loss.Option { return []loss.Option{loss.WithDispersion(b.float("a", three, 1, 0, 1))} }, loss.ErrValue,
			"loss.NegativeBinomial: dispersion is 0 at row 1, want numbers > 0"},
		{func(b *bench) []loss.Option { return []loss.Option{loss.WithDispersion(b.float("a", three, 1, 1, -2))} }, loss.ErrValue,
			"loss.NegativeBinomial: dispersion is -2 at row 2, want numbers > 0"},
		{func(b *bench) []loss.Option {
			return []loss.Option{loss.WithDispersion(b.float("a", three, 1, 1, 1)), loss.WithAlpha(2)}
		}, loss.ErrOption, "loss.NegativeBinomial: WithAlpha and WithDispersion exclude each other"},
		{func(b *bench) []loss.Option { return []loss.Option{loss.WithDispersion(nil)} }, loss.ErrOption,
			"loss.NegativeBinomial: WithDispersion is nil"},
	} {
		_, err := compute(tensor.Float64, func(b *bench) (*G.Node, error) {
			return loss.NegativeBinomial(b.float("x", three, 0, 0, 0), b.float("t", three, 1, 1, 1), c.with(b)...)
		})
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("error is %v, want %q of kind %v", err, c.text, c.kind)
		}
	}
	ones := eager.Slice([]float64{1, 1, 1})
	fixed, err := eager.NegativeBinomial(loss.WithAlpha(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fixed.Value(eager.Data{Dispersion: ones}, ones, ones); !errors.Is(err, loss.ErrOption) {
		t.Errorf("WithAlpha and Data.Dispersion: %v", err)
	}
	// NaN makes its element NaN, +Inf is the limit: 0 for a count of 0, else +Inf.
	got, grad, _ := dispersedNodes(t, tensor.Float64, [3][]float64{{1, 1, 1, 1}, {2, 2, 0, 2}, {math.NaN(), math.Inf(1), math.Inf(1), 1}})
	if !(got[0] != got[0] && grad[2][0] != grad[2][0]) || got[1] != math.Inf(1) || !(math.Abs(got[2]) < 1e-300) || got[3] != got[3] {
		t.Errorf("values at α of NaN, +Inf, +Inf and 1: %v, derivatives %v", got, grad[2])
	}
}
