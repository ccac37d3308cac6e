package loss_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// bernoulliNumbers are B_2k for k = 1 to 15, as fractions.
var bernoulliNumbers = [][2]float64{{1, 6}, {-1, 30}, {1, 42}, {-1, 30}, {5, 66}, {-691, 2730}, {7, 6}, {-3617, 510}, {43867, 798}, {-174611, 330},
	{854513, 138}, {-236364091, 2730}, {8553103, 6}, {-23749461029, 870}, {8615841276005, 14322}}

// logGamma returns log Γ(x) for x > 0 to an absolute 1e-60, by Stirling's series beyond 100.
func logGamma(x real) real {
	product := exact(1)
	for x.Cmp(exact(100)) < 0 {
		product = product2(product, x)
		x = plus(x, exact(1))
	}
	power, series := quotient(exact(1), x), exact(0)
	square := product2(power, power)
	for i, b := range bernoulliNumbers {
		k := float64(i + 1)
		series = plus(series, product2(quotient(exact(b[0]), exact(b[1]*2*k*(2*k-1))), power))
		power = product2(power, square)
	}
	pi, _ := newReal().SetString("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798")
	l := minus(product2(minus(x, exact(0.5)), logOf(x)), x)
	return minus(plus(plus(l, multiple(0.5, logOf(multiple(2, pi)))), series), logOf(product))
}

// TestNegativeBinomialOfLargeCounts holds the whole likelihood to big floats from α near 0, where
// it is Poisson's, to large α, at counts up to 1e15 and means near them and far away: to 1e-12 and
// what the rounding of exp(f), a unit of the mean, makes of it.
func TestNegativeBinomialOfLargeCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 1))
	for range *extremeRows {
		alpha := math.Pow(10, -20+23*rng.Float64())
		if rng.IntN(8) == 0 {
			alpha = math.Pow(10, -300*rng.Float64())
		}
		count := math.Pow(10, 15*rng.Float64())
		switch rng.IntN(8) {
		case 0:
			count = float64(rng.IntN(4))
		case 1, 2, 3, 4:
			count = math.Round(count)
		}
		f := math.Log(max(count, 1)) + math.Pow(10, -12*rng.Float64())*rng.NormFloat64()
		if rng.IntN(8) == 0 {
			f = 10 * rng.NormFloat64()
		}
		l, err := eager.NegativeBinomial(loss.WithFull(), loss.WithAlpha(alpha), loss.WithReduction(loss.Sum))
		if err != nil {
			t.Fatal(err)
		}
		grad := make([]float64, 1)
		got, err := l.ValueGradient(eager.Slice(grad, 1), eager.Data{}, eager.Slice([]float64{f}, 1), eager.Slice([]float64{count}, 1))
		if err != nil {
			t.Fatal(err)
		}
		a, y, mu := exact(alpha), exact(count), vectest.BigExp(exact(f))
		shape, spread := quotient(exact(1), a), plus(exact(1), product2(a, mu))
		want := minus(product2(plus(y, shape), logOf(spread)), product2(y, exact(f)))
		want = plus(want, minus(plus(logGamma(plus(y, exact(1))), logGamma(shape)), logGamma(plus(y, shape))))
		want = minus(want, product2(y, logOf(a)))
		slope := quotient(minus(mu, y), spread)
		rounded := multiple(4*0x1p-52, plus(sizeOf(slope), exact(1)))
		if off := sizeOf(minus(exact(got), want)); off.Cmp(plus(multiple(1e-12, sizeOf(want)), rounded)) > 0 {
			t.Errorf("α = %v, f = %v, count %v: %v, want %s", alpha, f, count, got, show(want))
		}
		rounded = multiple(4*0x1p-52, quotient(mu, spread))
		if off := sizeOf(minus(exact(grad[0]), slope)); off.Cmp(plus(multiple(1e-12, sizeOf(slope)), rounded)) > 0 {
			t.Errorf("α = %v, f = %v, count %v: slope %v, want %s", alpha, f, count, grad[0], show(slope))
		}
	}
}
