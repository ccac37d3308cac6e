package vectest

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/ALTree/bigfloat"
)

// Both references agree to the last place with those of another author, which take the
// arithmetic-geometric mean.
func TestBigFloats(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, f := range []struct {
		name    string
		f, want func(*big.Float) *big.Float
		draw    func() float64
	}{
		{"exp", BigExp, bigfloat.Exp, func() float64 { return rng.NormFloat64() * math.Ldexp(1, rng.IntN(80)-70) }},
		{"exp of large", BigExp, bigfloat.Exp, func() float64 { return 20000 * (2*rng.Float64() - 1) }},
		{"log", BigLog, bigfloat.Log, func() float64 { return math.Ldexp(0.5+rng.Float64(), rng.IntN(2000)-1000) }},
		{"log near 1", BigLog, bigfloat.Log,
			func() float64 { return 1 + rng.NormFloat64()*math.Ldexp(1, -1-rng.IntN(52)) }},
	} {
		for _, prec := range []uint{24, 53, 120, 160, 220, 300, 700} {
			for range 30 {
				x := new(big.Float).SetPrec(prec).SetFloat64(math.Abs(f.draw()))
				if f.name[0] == 'e' && rng.IntN(2) == 0 {
					x.Neg(x)
				}
				// the other has its own errors in the last places: ask it for more
				want := f.want(new(big.Float).SetPrec(2*prec + 100).Set(x))
				got := f.f(x)
				if got.Prec() != prec {
					t.Fatalf("%s(%g): precision %d, want that of the argument, %d", f.name, x, got.Prec(), prec)
				}
				off := new(big.Float).Sub(got, want)
				if off.Sign() == 0 {
					continue
				}
				if ulps := math.Ldexp(1, off.MantExp(nil)-got.MantExp(nil)+int(prec)); ulps > 1 {
					t.Errorf("%s(%g) at %d bits: %g, want %g", f.name, x, prec, got, want)
				}
			}
		}
	}
}

func TestBigFloatsAtTheEdges(t *testing.T) {
	at := func(x float64) *big.Float { return new(big.Float).SetPrec(100).SetFloat64(x) }
	for _, c := range []struct {
		name      string
		got, want *big.Float
	}{
		{"exp(0)", BigExp(at(0)), at(1)},
		{"exp(-0)", BigExp(at(math.Copysign(0, -1))), at(1)},
		{"exp(1e-300)", BigExp(at(1e-300)), at(1)},
		{"exp(∞)", BigExp(at(math.Inf(1))), at(math.Inf(1))},
		{"exp(-∞)", BigExp(at(math.Inf(-1))), at(0)},
		{"exp(1e300)", BigExp(at(1e300)), at(math.Inf(1))},
		{"exp(-1e300)", BigExp(at(-1e300)), at(0)},
		{"log(1)", BigLog(at(1)), at(0)},
		{"log(0)", BigLog(at(0)), at(math.Inf(-1))},
		{"log(∞)", BigLog(at(math.Inf(1))), at(math.Inf(1))},
	} {
		if c.got.Cmp(c.want) != 0 {
			t.Errorf("%s = %g, want %g", c.name, c.got, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("log(-1) does not panic")
		}
	}()
	BigLog(at(-1))
}
