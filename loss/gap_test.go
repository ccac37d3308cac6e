package loss_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func bigAdd(x ...*big.Float) *big.Float {
	sum := bigZero()
	for _, v := range x {
		sum.Add(sum, v)
	}
	return sum
}

func bigMul(x, y *big.Float) *big.Float { return bigZero().Mul(x, y) }
func bigDiv(x, y *big.Float) *big.Float { return bigZero().Quo(x, y) }
func bigNeg(x *big.Float) *big.Float    { return bigZero().Neg(x) }
func bigLog(x *big.Float) *big.Float    { return vectest.BigLog(x) }
func bigExp(x *big.Float) *big.Float    { return vectest.BigExp(x) }

// dyadicRows returns two rows of multiples of 2^-50 that sum to exactly 1 and differ by about the
// gap relative to their entries.
func dyadicRows(rng *rand.Rand, gap float64) (p, t []float64) {
	const unit = 0x1p-50
	for {
		t = []float64{0.1 + rng.Float64(), 0.1 + rng.Float64(), 0.1 + rng.Float64(), 0}
		p = make([]float64, 4)
		rest, moved := 1.0, 0.0
		for i := range 3 {
			t[i] = math.Round(t[i]/3/unit) * unit
			d := math.Round(gap*t[i]*(rng.Float64()-0.5)/unit) * unit
			p[i] = t[i] + d
			rest -= t[i]
			moved += d
		}
		t[3], p[3] = rest, rest-moved
		if t[3] > 0.05 && p[3] > 0.05 {
			return p, t
		}
	}
}

// The divergence of nearly equal distributions is of second order in their distance; every digit of
// it is there.
func TestDivergencesKeepTheirDigits(t *testing.T) {
	const seed = 47
	rng := rand.New(rand.NewPCG(seed, 3))
	kl := func(p, q *big.Float) *big.Float { return bigMul(p, bigAdd(bigLog(p), bigNeg(bigLog(q)))) }
	sum := func(p, t []float64, f func(p, t *big.Float) *big.Float) *big.Float {
		s := bigZero()
		for i := range p {
			s.Add(s, f(bigOf(p[i]), bigOf(t[i])))
		}
		return s
	}
	power := func(a float64) func(p, t *big.Float) *big.Float {
		return func(p, t *big.Float) *big.Float { // t^a·p^(1-a)
			return bigExp(bigAdd(bigMul(bigOf(a), bigLog(t)), bigMul(bigAdd(bigOf(1), bigOf(-a)), bigLog(p))))
		}
	}
	type rule struct {
		divergence
		want func(p, t []float64) *big.Float
	}
	rules := []rule{
		{divergence{"JensenShannon", loss.JensenShannon, beta(0.25)}, func(p, t []float64) *big.Float {
			return sum(p, t, func(p, t *big.Float) *big.Float {
				m := bigAdd(bigMul(bigOf(0.25), t), bigMul(bigOf(0.75), p))
				return bigAdd(bigMul(bigOf(0.25), kl(t, m)), bigMul(bigOf(0.75), kl(p, m)))
			})
		}},
		{divergence{"JensenShannon β=0", loss.JensenShannon, beta(0)}, func(p, t []float64) *big.Float {
			return sum(p, t, func(p, t *big.Float) *big.Float { return kl(t, p) })
		}},
		{divergence{"JensenShannon β=1", loss.JensenShannon, beta(1)},
			func(p, t []float64) *big.Float { return sum(p, t, kl) }},
		{divergence{"GeneralizedKL", loss.GeneralizedKL, nil}, func(p, t []float64) *big.Float {
			return sum(p, t, func(p, t *big.Float) *big.Float { return bigAdd(kl(t, p), p, bigNeg(t)) })
		}},
		{divergence{"Bhattacharyya", loss.Bhattacharyya, nil},
			func(p, t []float64) *big.Float { return bigNeg(bigLog(sum(p, t, power(0.5)))) }},
		{divergence{"Hellinger", loss.Hellinger, nil}, func(p, t []float64) *big.Float {
			return bigZero().Sqrt(bigAdd(bigOf(1), bigNeg(sum(p, t, power(0.5)))))
		}},
	}
	for _, a := range []float64{-3, -0x1p-30, 0x1p-30, 0.25, 0.5, 1 - 0x1p-30, 1 + 0x1p-30, 2, 6} {
		alphaOf := func(p, t []float64) *big.Float {
			return bigDiv(bigAdd(sum(p, t, power(a)), bigOf(-1)), bigOf(a*(a-1)))
		}
		rules = append(rules, rule{divergence{fmt.Sprintf("AlphaDivergence(%v)", a), loss.AlphaDivergence, alpha(a)}, alphaOf})
		if a > 0 {
			rules = append(rules, rule{divergence{fmt.Sprintf("Renyi(%v)", a), loss.Renyi, alpha(a)}, func(p, t []float64) *big.Float {
				return bigDiv(bigLog(sum(p, t, power(a))), bigOf(a-1))
			}})
		}
	}
	for _, gap := range []float64{0.9, 1e-1, 1e-3, 1e-6, 1e-10} {
		p, target := dyadicRows(rng, gap)
		for _, r := range rules {
			got := r.of(t, tensor.Float64, 4, p, target).value[0]
			// a dozen roundings of the terms, all of one sign
			if want := float64Of(r.want(p, target)); !near64(got, want, 12*0x1p-52, 0) {
				t.Errorf("seed %d, gap %v: %s of %v and %v = %v, want %v (relative %.2g)", seed, gap, r.name, p,
					target, got, want, math.Abs(got/want-1))
			}
		}
	}
}

// The closed forms keep their digits where their distributions are nearly equal, and where they are
// far apart.
func TestClosedFormsKeepTheirDigits(t *testing.T) {
	const seed = 53
	rng := rand.New(rand.NewPCG(seed, 4))
	one, half := bigOf(1), bigOf(0.5)
	check := func(what string, got float64, want *big.Float, in ...float64) {
		t.Helper()
		if w := float64Of(want); !near64(got, w, 12*0x1p-52, 0) {
			t.Errorf("seed %d: %s%v = %v, want %v (relative %.2g)", seed, what, in, got, w, math.Abs(got/w-1))
		}
	}
	for _, gap := range []float64{1e-12, 1e-8, 1e-4, 1e-2, 0.3, 3, 30} {
		for range 5 {
			a := 4 * rng.NormFloat64()
			b := a + gap*rng.NormFloat64()
			_, p := bigSoftplus(a)
			_, q := bigSoftplus(b)
			np, nq := bigAdd(one, bigNeg(p)), bigAdd(one, bigNeg(q))
			got := divergence{fn: loss.BernoulliKL}.of(t, tensor.Float64, 1, []float64{a}, []float64{b})
			check("BernoulliKL", got.value[0],
				bigAdd(bigMul(p, bigLog(bigDiv(p, q))), bigMul(np, bigLog(bigDiv(np, nq)))), a, b)
			check("∂BernoulliKL/∂a", got.grads["p"][0], bigMul(bigMul(p, np), bigAdd(bigOf(a), bigOf(-b))), a, b)
			check("∂BernoulliKL/∂b", got.grads["t"][0], bigAdd(q, bigNeg(p)), a, b)

			m, v := gap*rng.NormFloat64(), gap*rng.NormFloat64()
			got = divergence{fn: loss.StandardGaussianKL}.of(t, tensor.Float64, 1, []float64{m}, []float64{v})
			check("StandardGaussianKL", got.value[0],
				bigMul(half, bigAdd(bigMul(bigOf(m), bigOf(m)), bigExp(bigOf(v)), bigOf(-1), bigOf(-v))), m, v)
			check("∂StandardGaussianKL/∂v", got.grads["t"][0], bigMul(half, bigAdd(bigExp(bigOf(v)), bigOf(-1))), m, v)

			s1 := math.Exp(rng.NormFloat64())
			s2 := s1 * math.Exp(v)
			g := gaussian(t, m, s1, 2*m, s2)
			rho, e := bigDiv(bigOf(s1), bigOf(s2)), bigDiv(bigOf(-m), bigOf(s2))
			spread := bigAdd(bigMul(rho, rho), bigOf(-1))
			check("GaussianKL", g.value[0], bigAdd(bigMul(half, bigAdd(spread, bigMul(e, e))), bigNeg(bigLog(rho))),
				m, s1, 2*m, s2)
			check("∂GaussianKL/∂s1", g.grads["s1"][0], bigDiv(spread, bigOf(s1)), m, s1, 2*m, s2)
		}
	}
}

// gaussian runs GaussianKL on one element.
func gaussian(t *testing.T, m1, s1, m2, s2 float64) *computed {
	t.Helper()
	return mustCompute(t, tensor.Float64, func(b *bench) (*G.Node, error) {
		return loss.GaussianKL(b.float("m1", []int{1}, m1), b.float("s1", []int{1}, s1), b.float("m2", []int{1}, m2),
			b.float("s2", []int{1}, s2))
	}, "m1", "s1", "m2", "s2")
}

// The divergences of logits from probabilities that were rounded are never below 0, and right to
// second order: ½·Σ p·δ² for targets of p·(1+δ) up to the third.
func TestKLNextToItsMinimum(t *testing.T) {
	const seed, n, rows = 59, 5, 50
	rng := rand.New(rand.NewPCG(seed, 5))
	for _, gap := range []float64{0, 1e-7, 1e-5, 1e-3} {
		x, target, want := make([]float64, n*rows), make([]float64, n*rows), make([]float64, rows)
		for r := range rows {
			p, d, mean := target[r*n:(r+1)*n], make([]float64, n), 0.0
			for i := range p {
				x[r*n+i] = float64(float32(2 * rng.NormFloat64()))
				d[i] = gap * (rng.Float64() - 0.5)
			}
			soft, _, _ := bigSoftmax(x[r*n : (r+1)*n])
			for i := range p {
				p[i] = float64Of(soft[i])
				mean += p[i] * d[i]
			}
			for i := range p {
				want[r] += p[i] * (d[i] - mean) * (d[i] - mean) / 2
				p[i] *= 1 + (d[i] - mean)
			}
		}
		for _, d := range []divergence{{"KL", loss.KL, nil}, {"ReverseKL", loss.ReverseKL, nil}} {
			for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
				got := d.of(t, dt, n, x, target).value
				for i, v := range got {
					// float32 targets are off by a rounding each, which the divergence sees squared
					// and times the gap
					tolerance := gap*want[i] + 1e-16*gap + 1e-30
					if dt == tensor.Float32 {
						tolerance = gap*want[i] + 0x1p-24*gap + 0x1p-48
					}
					if !(v >= 0 && math.Abs(v-want[i]) <= tolerance) {
						t.Errorf("seed %d, gap %v: %s in %v = %v, want %v ± %v", seed, gap, d.name, dt, v, want[i],
							tolerance)
					}
				}
			}
		}
	}
}
