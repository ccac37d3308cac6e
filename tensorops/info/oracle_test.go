package info

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// The oracle evaluates the formulas of the package documentation literally, with 320 bits:
// cancellation between distributions that differ by 1e-15 leaves 220 of them.
const oracleBits = 320

func bigOf(x float64) *big.Float { return new(big.Float).SetPrec(oracleBits).SetFloat64(x) }

// bigTerm returns p·log_u(a/b), 0 for p = 0.
func bigTerm(p, a, b *big.Float, u Unit) *big.Float {
	if p.Sign() == 0 {
		return bigOf(0)
	}
	l := vectest.BigLog(bigOf(0).Quo(a, b))
	switch u {
	case Bits:
		l.Quo(l, vectest.BigLog(bigOf(2)))
	case Hartleys:
		l.Quo(l, vectest.BigLog(bigOf(10)))
	}
	return l.Mul(l, p)
}

func bigSum(x []*big.Float) *big.Float {
	s := bigOf(0)
	for _, v := range x {
		s.Add(s, v)
	}
	return s
}

// bigAll converts, and divides by the sum if weights is set.
func bigAll[T Weight](x []T, weights bool) []*big.Float {
	y := make([]*big.Float, len(x))
	for i, v := range x {
		y[i] = bigOf(float64(v))
	}
	if weights {
		s := bigSum(y)
		for _, v := range y {
			v.Quo(v, s)
		}
	}
	return y
}

func oracleCross(p, q []*big.Float, u Unit) *big.Float {
	h := bigOf(0)
	for i := range p {
		h.Add(h, bigTerm(p[i], bigOf(1), q[i], u))
	}
	return h
}

func oracleKL(p, q []*big.Float, u Unit) *big.Float {
	d := bigOf(0)
	for i := range p {
		d.Add(d, bigTerm(p[i], p[i], q[i], u))
	}
	return d
}

func oracleJS(p, q []*big.Float, u Unit) *big.Float {
	m := make([]*big.Float, len(p))
	for i := range p {
		m[i] = bigOf(0).Add(p[i], q[i])
		m[i].Quo(m[i], bigOf(2))
	}
	s := bigOf(0).Add(oracleKL(p, m, u), oracleKL(q, m, u))
	return s.Quo(s, bigOf(2))
}

func oracleMI(joint []*big.Float, cols int, u Unit) *big.Float {
	rows := len(joint) / cols
	r, c := make([]*big.Float, rows), make([]*big.Float, cols)
	for i := range r {
		r[i] = bigSum(joint[i*cols : (i+1)*cols])
	}
	for j := range c {
		c[j] = bigOf(0)
		for i := range r {
			c[j].Add(c[j], joint[i*cols+j])
		}
	}
	d := bigOf(0)
	for i := range r {
		for j := range c {
			d.Add(d, bigTerm(joint[i*cols+j], joint[i*cols+j], bigOf(0).Mul(r[i], c[j]), u))
		}
	}
	return d
}

// closeTo reports whether got is within tolerance of the oracle's value, or of 0 where the formula
// at rounded numbers is negative, and by how much it is off.
func closeTo(got float64, want *big.Float, tolerance float64) (float64, bool) {
	if want.Sign() < 0 {
		want = bigOf(0)
	}
	diff, _ := bigOf(0).Sub(bigOf(got), want).Float64()
	return math.Abs(diff), math.Abs(diff) <= tolerance && !math.Signbit(got)
}

// weightsFrom draws n weights that are flat, peaked over many orders of magnitude, or partly 0.
func weightsFrom(r *rand.Rand, n int) []float64 {
	w := make([]float64, n)
	spread := []float64{0.1, 2, 30}[r.IntN(3)]
	for i := range w {
		w[i] = math.Exp(spread * r.NormFloat64())
		if r.IntN(6) == 0 {
			w[i] = 0
		}
	}
	w[r.IntN(n)] = math.Exp(spread * r.NormFloat64())
	return w
}

// fullFrom is weightsFrom without zeros.
func fullFrom(r *rand.Rand, n int) []float64 {
	w := weightsFrom(r, n)
	for i := range w {
		if w[i] == 0 {
			w[i] = r.Float64() + 1e-9
		}
	}
	return w
}

func normalised[T Float](w []float64) []T {
	total := 0.0
	for _, x := range w {
		total += x
	}
	p := make([]T, len(w))
	for i, x := range w {
		p[i] = T(x / total)
	}
	return p
}

// Each term has a logarithm of about 1 unit in the last place, a quotient, a product and a
// conversion, and the sums are compensated, so all-positive sums are right to a few units of
// 1.1e-16. The divergences lose up to a factor of ten at the edge between series and closed form.
const (
	positiveError   = 6e-16
	divergenceError = 2e-15
)

// trials is how many random cases are tried; arithmetic with 320 bits is slow under the race
// detector and emulators.
func trials() int {
	if testing.Short() {
		return 20
	}
	return 150
}

func TestOracle(t *testing.T) {
	t.Run("float64", testOracle[float64])
	t.Run("float32", testOracle[float32])
}

func testOracle[T Float](t *testing.T) {
	const seed = 20
	r := rand.New(rand.NewPCG(seed, 1))
	for trial := range trials() {
		n, u := 2+r.IntN(12), Unit(r.IntN(3))
		p, q := normalised[T](weightsFrom(r, n)), normalised[T](fullFrom(r, n))
		for i := range q {
			q[i] = max(q[i], 1e-38) // float32 may have underflowed; off the support is another test's matter
		}
		bp, bq := bigAll(p, false), bigAll(q, false)
		check := func(measure string, got float64, err error, want *big.Float, relative float64) {
			t.Helper()
			if err != nil {
				t.Fatalf("seed %d, trial %d: %s: %v", seed, trial, measure, err)
			}
			scale, _ := want.Float64()
			if off, ok := closeTo(got, want, relative*math.Abs(scale)); !ok {
				t.Errorf("seed %d, trial %d: %s(%v, %v) = %v %v, want %.20g: off by %.2g", seed, trial, measure, p, q, got, u,
					want, off)
			}
		}
		h, err := Entropy(p, u)
		check("Entropy", h, err, oracleCross(bp, bp, u), positiveError)
		h, err = CrossEntropy(p, q, u)
		check("CrossEntropy", h, err, oracleCross(bp, bq, u), positiveError)
		h, err = KL(p, q, u)
		check("KL", h, err, oracleKL(bp, bq, u), divergenceError)
		h, err = JensenShannon(p, q, u)
		js := oracleJS(bp, bq, u)
		if limit := bigTerm(bigOf(1), bigOf(2), bigOf(1), u); js.Cmp(limit) > 0 { // p and q apart, and sums above 1
			js = limit
		}
		check("JensenShannon", h, err, js, divergenceError)
	}
}

func TestWeightsOracle(t *testing.T) {
	const seed = 21
	r := rand.New(rand.NewPCG(seed, 1))
	for trial := range trials() {
		n, u := 2*(1+r.IntN(6)), Unit(r.IntN(3))
		p, q := weightsFrom(r, n), fullFrom(r, n)
		bp, bq := bigAll(p, true), bigAll(q, true)
		check := func(measure string, got float64, err error, want *big.Float, relative float64) {
			t.Helper()
			if err != nil {
				t.Fatalf("seed %d, trial %d: %s: %v", seed, trial, measure, err)
			}
			scale, _ := want.Float64()
			// A share is rounded to 1.1e-16 of itself, and a divergence moves by that times its
			// square root.
			tolerance := relative * scale
			if relative == divergenceError {
				tolerance += 4e-16*math.Sqrt(math.Abs(scale)) + 0x1p-104
			}
			if off, ok := closeTo(got, want, tolerance); !ok {
				t.Errorf("seed %d, trial %d: %s(%v, %v) = %v %v, want %.20g: off by %.2g", seed, trial, measure, p, q, got, u,
					want, off)
			}
		}
		h, err := EntropyWeights(p, u)
		check("EntropyWeights", h, err, oracleCross(bp, bp, u), positiveError)
		h, err = CrossEntropyWeights(p, q, u)
		check("CrossEntropyWeights", h, err, oracleCross(bp, bq, u), positiveError)
		h, err = KLWeights(p, q, u)
		check("KLWeights", h, err, oracleKL(bp, bq, u), divergenceError)
		h, err = JensenShannonWeights(p, q, u)
		check("JensenShannonWeights", h, err, oracleJS(bp, bq, u), divergenceError)
		h, err = MutualInformationWeights(p, n/2, u)
		check("MutualInformationWeights", h, err, oracleMI(bp, n/2, u), divergenceError)
	}
}
