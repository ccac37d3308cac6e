package info

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The distributions of the walk in examples/information.
var (
	truth = []float64{.10, .40, .50}
	model = []float64{.80, .15, .05}
)

func must(t *testing.T) func(v float64, err error) float64 {
	return func(v float64, err error) float64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestCheckValues holds the measures against figures worked out by hand with a table of logarithms,
// to the five places they are usually printed with.
func TestCheckValues(t *testing.T) {
	ok := must(t)
	die := []float64{1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"H(P)", ok(Entropy(truth, Bits)), 1.36096},
		{"H(Q)", ok(Entropy(model, Bits)), 0.88418},
		{"H(P,Q)", ok(CrossEntropy(truth, model, Bits)), 3.28794},
		{"H(Q,P)", ok(CrossEntropy(model, truth, Bits)), 2.90583},
		{"KL(P‖Q)", ok(KL(truth, model, Bits)), 1.92698},
		{"KL(Q‖P)", ok(KL(model, truth, Bits)), 2.02165},
		{"JS", ok(JensenShannon(truth, model, Bits)), 0.42020},
		{"coin", ok(Entropy([]float64{.5, .5}, Bits)), 1},
		{"die", ok(Entropy(die, Bits)), 2.58496},
		{"p = 0.1", ok(SelfInformation(.1, Bits)), 3.32193},
		{"perplexity of a die", ok(Perplexity(die, die)), 6},
		{"perplexity", ok(Perplexity(truth, model)), math.Exp2(3.28794)},
	} {
		if math.Abs(c.got-c.want) > 5.1e-6*max(1, c.want) { // half a unit of the fifth place
			t.Errorf("%s = %.7f, want %.5f", c.name, c.got, c.want)
		}
	}
}

// TestExact checks results that no rounding touches, to the bit.
func TestExact(t *testing.T) {
	ok := must(t)
	inf := math.Inf(1)
	independent := []float64{.125, .375, .125, .375}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"self-information of 1", ok(SelfInformation(1, Nats)), 0},
		{"self-information of 1 in bits", ok(SelfInformation(1, Bits)), 0},
		{"self-information of 1 in hartleys", ok(SelfInformation(1, Hartleys)), 0},
		{"self-information of 0", ok(SelfInformation(0, Nats)), inf},
		{"self-information of -0", ok(SelfInformation(math.Copysign(0, -1), Bits)), inf},
		{"self-information of 0 in hartleys", ok(SelfInformation(0, Hartleys)), inf},
		{"self-information of 2⁻¹⁰", ok(SelfInformation(0x1p-10, Bits)), 10},
		{"self-information of 2⁻¹⁰⁷⁴", ok(SelfInformation(0x1p-1074, Bits)), 1074},
		{"self-information of 0.1", ok(SelfInformation(.1, Hartleys)), 1},
		{"certain", ok(Entropy([]float64{0, 1, 0}, Bits)), 0},
		{"one outcome", ok(Entropy([]float64{1}, Nats)), 0},
		{"coin", ok(Entropy([]float32{.5, .5}, Bits)), 1},
		{"eight sides", ok(EntropyWeights([]int{7, 7, 7, 7, 7, 7, 7, 7}, Bits)), 3},
		{"dyadic", ok(Entropy([]float64{.5, .25, .125, .125}, Bits)), 1.75},
		{"off support", ok(CrossEntropy([]float64{.5, .5}, []float64{1, 0}, Bits)), inf},
		{"KL off support", ok(KL([]float64{.5, .5}, []float64{1, 0}, Bits)), inf},
		{"KL off support, weights", ok(KLWeights([]int{1, 1}, []int{1, 0}, Bits)), inf},
		{"perplexity off support", ok(Perplexity([]float64{.5, .5}, []float64{1, 0})), inf},
		{"cross-entropy, both 0", ok(CrossEntropy([]float64{1, 0}, []float64{1, 0}, Bits)), 0},
		{"cross-entropy, p = 0", ok(CrossEntropy([]float64{1, 0}, []float64{.5, .5}, Bits)), 1},
		{"KL, p = 0", ok(KL([]float64{1, 0}, []float64{.5, .5}, Bits)), 1},
		{"KL, both 0", ok(KL([]float64{1, 0}, []float64{1, 0}, Bits)), 0},
		{"JS disjoint", ok(JensenShannon([]float64{1, 0}, []float64{0, 1}, Bits)), 1},
		{"JS disjoint in nats", ok(JensenShannon([]float64{1, 0}, []float64{0, 1}, Nats)), math.Ln2},
		{"MI of a copied coin", ok(MutualInformation([]float64{.5, 0, 0, .5}, 2, Bits)), 1},
		{"MI of independent coins", ok(MutualInformation(independent, 2, Bits)), 0},
		{"MI of one row", ok(MutualInformation(independent, 4, Bits)), 0},
		{"MI of one column", ok(MutualInformation(independent, 1, Bits)), 0},
		{"perplexity of a certainty", ok(Perplexity([]float64{1, 0}, []float64{1, 0})), 1},
		{"weights against their double", ok(KLWeights([]int{3, 5, 11}, []int{6, 10, 22}, Nats)), 0},
	} {
		if c.got != c.want || math.Signbit(c.got) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
}

// TestNearOne: -log p of p = 1-2⁻ᵏ is near 2⁻ᵏ, and keeps its digits.
func TestNearOne(t *testing.T) {
	ok := must(t)
	for k := 1; k <= 53; k++ {
		rest := math.Ldexp(1, -k)
		p := 1 - rest
		for u := Nats; u <= Hartleys; u++ {
			want := bigTerm(bigOf(1), bigOf(1), bigOf(p), u)
			scale, _ := want.Float64()
			if off, good := closeTo(ok(SelfInformation(p, u)), want, positiveError*scale); !good {
				t.Errorf("SelfInformation(1-2^-%d, %v) is off by %.2g of %.3g", k, u, off, scale)
			}
			// The same as a share of weights, where no float64 is the probability itself.
			share := bigAll([]float64{3 / rest, 3}, true)
			w := ok(CrossEntropyWeights([]float64{1, 0}, []float64{3 / rest, 3}, u))
			want = bigTerm(bigOf(1), bigOf(1), share[0], u)
			scale, _ = want.Float64()
			if off, good := closeTo(w, want, positiveError*scale); !good {
				t.Errorf("CrossEntropyWeights with rest 2^-%d in %v is off by %.2g of %.3g", k, u, off, scale)
			}
		}
	}
}

// TestSubnormal covers probabilities below 2⁻¹⁰²², where math.Log on amd64 is wrong by a lot.
func TestSubnormal(t *testing.T) {
	ok := must(t)
	for _, p := range []float64{5e-324, 1e-320, 1e-310, 0x1p-1022, 0x1p-1021} {
		for u := Nats; u <= Hartleys; u++ {
			want := bigTerm(bigOf(1), bigOf(1), bigOf(p), u)
			scale, _ := want.Float64()
			if off, good := closeTo(ok(SelfInformation(p, u)), want, positiveError*scale); !good {
				t.Errorf("SelfInformation(%v, %v) is off by %.2g of %.3g", p, u, off, scale)
			}
			a, b := []float64{1, p}, []float64{p, 1}
			for name, f := range map[string]func(p, q []float64, u Unit) (float64, error){
				"KL": KL[float64], "CrossEntropy": CrossEntropy[float64]} {
				if off, good := closeTo(ok(f(a, b, u)), want, positiveError*scale); !good {
					t.Errorf("%s(%v, %v, %v) is off by %.2g of %.3g", name, a, b, u, off, scale)
				}
			}
			if got := ok(KL(a, a, u)); got != 0 {
				t.Errorf("KL(p, p, %v) = %v for p = %v, want 0", u, got, a)
			}
			// The marginals of the second outcome multiply to less than any float64. Its term is
			// p·log(1/p), and the first outcome's share is 1-p, which gives p nats.
			want = bigTerm(bigOf(p), bigOf(1), bigOf(p), u)
			want.Add(want, bigOf(u.fromNats(p)))
			scale, _ = want.Float64()
			if off, good := closeTo(ok(MutualInformation([]float64{1, 0, 0, p}, 2, u)), want, positiveError*scale+0x1p-1073); !good {
				t.Errorf("MutualInformation with %v in %v is off by %.2g", p, u, off)
			}
		}
	}
}

// TestAlike: distributions that differ by δ have a divergence near δ², which the plain sum of terms
// near δ drowns in rounding. The error here is that of the divergence itself and of rounding the
// shares, 1.1e-16·δ.
func TestAlike(t *testing.T) {
	const seed = 30
	r := rand.New(rand.NewPCG(seed, 1))
	for _, delta := range []float64{1e-1, 1e-3, 1e-5, 1e-8, 1e-12, 1e-15} {
		for range trials() / 8 {
			n, u := 6, Unit(r.IntN(3))
			w := fullFrom(r, n)
			v := make([]float64, n)
			for i := range v {
				v[i] = w[i] * (1 + delta*r.NormFloat64()/4)
			}
			p, q := normalised[float64](w), normalised[float64](v)
			bp, bq := bigAll(p, false), bigAll(q, false)
			residue, _ := bigOf(0).Sub(bigSum(bp), bigSum(bq)).Float64()
			wp, wq := bigAll(w, true), bigAll(v, true)
			for _, c := range []struct {
				name string
				f    func(p, q []float64, u Unit) (float64, error)
				x, y []float64
				want *big.Float
				add  float64
			}{
				{"KL", KL[float64], p, q, oracleKL(bp, bq, u), 3e-16 * math.Abs(residue)},
				{"JensenShannon", JensenShannon[float64], p, q, oracleJS(bp, bq, u), 0},
				{"KLWeights", KLWeights[float64], w, v, oracleKL(wp, wq, u), 4e-16 * delta},
				{"JensenShannonWeights", JensenShannonWeights[float64], w, v, oracleJS(wp, wq, u), 4e-16 * delta},
			} {
				got, err := c.f(c.x, c.y, u)
				scale, _ := c.want.Float64()
				// two shares that differ by 1e-15 are rounded by a tenth of that
				off, good := closeTo(got, c.want, divergenceError*math.Abs(scale)+c.add+0x1p-104)
				if err != nil || !good {
					t.Errorf("seed %d, δ %v: %s(%v, %v, %v) = %v, %v, want %.6g: off by %.2g", seed, delta, c.name, c.x, c.y, u,
						got, err, c.want, off)
				}
			}
		}
	}
}

// TestNeverNegative: the formulas at sums that are off 1 by a rounding are below 0 here, the
// results are not.
func TestNeverNegative(t *testing.T) {
	ok := must(t)
	above, below := []float32{1 + 0x1p-23}, []float32{1 - 0x1p-24}
	for name, got := range map[string]float64{
		"Entropy":      ok(Entropy(above, Bits)),
		"CrossEntropy": ok(CrossEntropy(below, above, Bits)),
		"KL":           ok(KL(below, above, Bits)),
		"Perplexity":   ok(Perplexity(below, above)) - 1,
		"MI":           ok(MutualInformation(below, 1, Bits)),
	} {
		if got != 0 || math.Signbit(got) {
			t.Errorf("%s of a certainty that was rounded = %v, want 0", name, got)
		}
	}
}

func TestLaws(t *testing.T) {
	t.Run("float64", testLaws[float64])
	t.Run("float32", testLaws[float32])
}

// testLaws checks what holds between the measures, at the tolerance of a sum of a few of them.
func testLaws[T Float](t *testing.T) {
	const seed, tolerance = 40, 4e-15
	r := rand.New(rand.NewPCG(seed, 1))
	ok := must(t)
	for trial := range 500 {
		rows, cols, u := 1+r.IntN(5), 1+r.IntN(5), Unit(r.IntN(3))
		n := rows * cols
		p, q := normalised[T](weightsFrom(r, n)), normalised[T](fullFrom(r, n))
		for i := range q {
			q[i] = max(q[i], 1e-38)
		}
		one := u.log(2) // a bit in the unit
		alike := func(law string, got, want float64) {
			t.Helper()
			if !(math.Abs(got-want) <= tolerance*max(one, math.Abs(want))) {
				t.Errorf("seed %d, trial %d: %s: got %v, want %v %v; p = %v, q = %v", seed, trial, law, got, want, u, p, q)
			}
		}
		least := func(law string, got, want float64) {
			t.Helper()
			if !(got >= want) {
				t.Errorf("seed %d, trial %d: %s: got %v, want at least %v %v; p = %v, q = %v", seed, trial, law, got,
					want, u, p, q)
			}
		}
		hp, kl := ok(Entropy(p, u)), ok(KL(p, q, u))
		alike("H(p, q) = H(p) + KL(p‖q)", ok(CrossEntropy(p, q, u)), hp+kl)
		alike("H(p, p) = H(p)", ok(CrossEntropy(p, p, u)), hp)
		alike("units", kl/one, ok(KL(p, q, Bits)))
		alike("perplexity", math.Log2(ok(Perplexity(p, q))), ok(CrossEntropy(p, q, Bits)))
		if got := ok(KL(p, p, u)); got != 0 {
			t.Errorf("seed %d, trial %d: KL(p‖p) = %v, want 0 exactly", seed, trial, got)
		}
		if got := ok(JensenShannon(p, p, u)); got != 0 {
			t.Errorf("seed %d, trial %d: JS(p, p) = %v, want 0 exactly", seed, trial, got)
		}
		least("KL >= 0", kl, 0)
		least("H <= log n", u.log(float64(n))*(1+1e-6), hp) // a float32 p may sum to a little over 1
		js := ok(JensenShannon(p, q, u))
		if other := ok(JensenShannon(q, p, u)); js != other {
			t.Errorf("seed %d, trial %d: JS(p, q) = %v, JS(q, p) = %v, want the same", seed, trial, js, other)
		}
		least("JS >= 0", js, 0)
		least("JS <= log 2", one, js)

		mi := ok(MutualInformation(p, cols, u))
		product, hr, hc := marginals(t, p, cols, u)
		joint := widen(p)
		alike("MI = KL(joint‖product)", mi, ok(KLWeights(joint, product, u)))
		alike("MI = H(r) + H(c) - H(joint)", mi, hr+hc-ok(EntropyWeights(joint, u)))
		alike("MI is symmetric", ok(MutualInformation(transposed(p, cols), rows, u)), mi)
		least("MI >= 0", mi, 0)
		least("MI <= H(r)", hr+tolerance*one, mi)
		least("MI <= H(c)", hc+tolerance*one, mi)
		if got := ok(MutualInformationWeights(product, cols, u)); got > 1e-30 {
			t.Errorf("seed %d, trial %d: MI of independent variables = %v, want the square of a rounding error", seed,
				trial, got)
		}
	}
}

func widen[T Float](x []T) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func transposed[T Float](x []T, cols int) []T {
	var y []T
	for j := range cols {
		for i := j; i < len(x); i += cols {
			y = append(y, x[i])
		}
	}
	return y
}

// marginals returns the product of a table's marginals, and their entropies.
func marginals[T Float](t *testing.T, joint []T, cols int, u Unit) (product []float64, hr, hc float64) {
	t.Helper()
	r, c := make([]float64, len(joint)/cols), make([]float64, cols)
	for i, v := range joint {
		r[i/cols] += float64(v)
		c[i%cols] += float64(v)
	}
	for _, x := range r {
		for _, y := range c {
			product = append(product, x*y)
		}
	}
	ok := must(t)
	return product, ok(EntropyWeights(r, u)), ok(EntropyWeights(c, u))
}
