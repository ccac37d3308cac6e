package tensorops

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

func TestKLAndEntropyAgainstBigFloats(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testDivergences[float32])
		t.Run("float64", testDivergences[float64])
	})
}

func testDivergences[F Float](t *testing.T) {
	rng := newRand(t, 41)
	for at, n := range lengths() {
		if n > 20 && n%16 > 1 && n%16 < 15 || testing.Short() && n > blockLen+1 {
			continue // the loops' edges are at multiples of 16
		}
		d := distributions[at%len(distributions)]
		x, p := convert[F](d.row(rng, n)), softTarget[F](rng, n)
		r := bigOf(x)
		what := fmt.Sprintf("%s, n=%d", d.name, n)

		kl, wantTarget := newBig(0), make([]float64, n)
		for i, v := range p {
			if v == 0 {
				continue
			}
			logp := new(big.Float).Sub(newBig(float64(x[i])), newBig(r.max))
			logp.Sub(logp, r.logs)
			diff := new(big.Float).Sub(vectest.BigLog(newBig(float64(v))), logp)
			wantTarget[i] = toFloat(new(big.Float).Add(diff, newBig(1)))
			kl.Add(kl, diff.Mul(diff, newBig(float64(v))))
		}
		checkValue[F](t, "KL, "+what, KLRow(x, p), toFloat(kl))
		dst := make([]F, n)
		KLTargetGradRow(dst, x, p, 1)
		for i, v := range dst {
			// Terms of the size of |log t| and |x - max| cancel here.
			limit := gradientUlps * ulp[F](1+math.Abs(math.Log(max(float64(p[i]), 1e-300)))+r.max-float64(x[i])+toFloat(r.logs))
			if math.Abs(float64(v)-wantTarget[i]) > limit {
				t.Fatalf("KL, %s: target gradient[%d] = %v, want %v", what, i, v, wantTarget[i])
			}
		}

		h := newBig(0)
		gaps := make([]*big.Float, n) // -log p
		for i, v := range x {
			gap := new(big.Float).Sub(newBig(r.max), newBig(float64(v)))
			gaps[i] = gap.Add(gap, r.logs)
			term := new(big.Float).Quo(r.exp[i], r.sum)
			h.Add(h, term.Mul(term, gaps[i]))
		}
		checkValue[F](t, "entropy, "+what, EntropyRow(x), toFloat(h))
		value := EntropyGradRow(dst, x, -2)
		if value != EntropyRow(x) {
			t.Errorf("entropy, %s: %v with the gradient, %v alone", what, value, EntropyRow(x))
		}
		for i, v := range dst {
			term := new(big.Float).Quo(r.exp[i], r.sum)
			largest := toFloat(new(big.Float).Mul(term, new(big.Float).Add(gaps[i], h)))
			want := -2 * toFloat(term.Mul(term, new(big.Float).Sub(gaps[i], h)))
			tiny := 0x1p-1021
			if isFloat32[F]() {
				tiny = 0x1p-125
			}
			if diff := math.Abs(float64(v) - want); diff > 2*gradientUlps*ulp[F](largest) && !(math.Abs(float64(v)) < tiny && math.Abs(want) < 64*tiny) {
				t.Fatalf("entropy, %s: gradient[%d] = %v, want %v", what, i, v, want)
			}
		}
	}
}

func checkValue[F Float](t *testing.T, what string, got, want float64) {
	t.Helper()
	if isFloat32[F]() {
		if e := ulps(F(got), want); e > crossEntropyUlps && math.Abs(got-want) > 1e-14 {
			t.Errorf("%s: %v, want %v: %.2f ulp", what, got, want, e)
		}
	} else if !near64(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestKLOfEqualDistributions(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 42)
		for _, n := range []int{1, 2, 10, 1000, 3000} {
			x := distributions[1].row(rng, n)
			p := make([]float64, n)
			SoftmaxRows(p, x, n)
			if kl := KLRow(x, p); math.Abs(kl) > 1e-14 {
				t.Errorf("n=%d: KL of a distribution from itself is %v", n, kl)
			}
		}
	})
}

func TestDivergenceCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	forEachImpl(t, func(t *testing.T) {
		for _, c := range []struct {
			x, t        []float64
			kl, entropy float64
		}{
			{[]float64{0, 0}, []float64{1, 0}, math.Ln2, math.Ln2},
			{[]float64{0, -inf}, []float64{1, 0}, 0, 0},
			{[]float64{0, -inf}, []float64{0.5, 0.5}, inf, 0},
			{[]float64{-inf, -inf}, []float64{0.5, 0.5}, nan, nan},
			{[]float64{inf, 0}, []float64{0.5, 0.5}, nan, nan},
			{[]float64{nan, 0}, []float64{0.5, 0.5}, nan, nan},
			{[]float64{3e38, 3e38}, []float64{0.5, 0.5}, 0, math.Ln2},
			{[]float64{-3e38, -3e38, -3e38}, []float64{1, 0, 0}, math.Log(3), math.Log(3)},
			{[]float64{1e5, -1e5}, []float64{1, 0}, 0, 0},
			{[]float64{7}, []float64{1}, 0, 0},
		} {
			if got := KLRow(c.x, c.t); !near64(got, c.kl) {
				t.Errorf("KL(%v, %v) = %v, want %v", c.x, c.t, got, c.kl)
			}
			dst := make([]float64, len(c.x))
			if got := EntropyGradRow(dst, c.x, 1); !near64(got, c.entropy) {
				t.Errorf("Entropy(%v) = %v, want %v", c.x, got, c.entropy)
			}
			for i, v := range dst {
				want := 0.0
				if c.entropy != c.entropy {
					want = nan
				}
				if !near64(v, want) {
					t.Errorf("Entropy(%v): gradient[%d] = %v, want %v", c.x, i, v, want)
				}
			}
			KLTargetGradRow(dst, c.x, c.t, 1)
			for i, v := range dst {
				if c.kl == c.kl && c.t[i] == 0 && v != 0 {
					t.Errorf("KL(%v, %v): target gradient[%d] = %v, want 0 where t = 0", c.x, c.t, i, v)
				}
			}
		}
	})
}
