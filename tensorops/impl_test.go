package tensorops

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// forEachImpl runs a test once for every implementation of the kernels.
func forEachImpl(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	vectest.Each(t, test)
}

// atLevels calls f at every level above Generic.
func atLevels(f func(l vec.Level)) {
	for _, l := range vec.Available()[1:] {
		vectest.At(l, func() { f(l) })
	}
}

// newRand returns a generator whose seed is printed when the test fails.
func newRand(t testing.TB, seed uint64) *rand.Rand {
	if t != nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("rand.NewPCG(%d, 1)", seed)
			}
		})
	}
	return rand.New(rand.NewPCG(seed, 1))
}

// short returns small under -short and full otherwise.
func short(full, small int) int {
	if testing.Short() {
		return small
	}
	return full
}

func dtypeName[F Float]() string {
	if isFloat32[F]() {
		return "float32"
	}
	return "float64"
}

// ulps returns |got - want| in units of the last place of want as an F. NaN equals NaN, infinities
// equal themselves, and a 0 for a result below twice the smallest normal number is exact.
func ulps[F Float](got F, want float64) float64 {
	g, is32 := float64(got), isFloat32[F]()
	smallest := 0x1p-1021
	if is32 {
		smallest = 0x1p-125
		if want32 := float64(float32(want)); math.IsInf(want32, 0) {
			want = want32
		}
	}
	switch {
	case g == want || g != g && want != want:
		return 0
	case g != g || want != want || math.IsInf(g, 0) || math.IsInf(want, 0):
		return math.Inf(1)
	case g == 0 && math.Abs(want) < smallest:
		return 0
	}
	return math.Abs(g-want) / ulp[F](want)
}

// bigRow holds the exact values for a row of finite elements and -Inf, to 160 bits.
type bigRow struct {
	max  float64
	exp  []*big.Float // exp(x - max)
	sum  *big.Float
	logs *big.Float // log Σ exp(x - max)
}

const bigPrec = 160

func newBig(v float64) *big.Float { return new(big.Float).SetPrec(bigPrec).SetFloat64(v) }

// bigRows keeps them: the same rows come up once for each implementation, and big floats are slow.
var bigRows = map[string]bigRow{}

func bigOf[F Float](x []F) bigRow {
	var key []byte
	for _, v := range x {
		key = binary.LittleEndian.AppendUint64(key, math.Float64bits(float64(v)))
	}
	r, ok := bigRows[string(key)]
	if !ok {
		r = newBigRow(x)
		bigRows[string(key)] = r
	}
	return r
}

func newBigRow[F Float](x []F) bigRow {
	r := bigRow{max: math.Inf(-1), sum: newBig(0)}
	at := 0
	for i, v := range x {
		if float64(v) > r.max {
			r.max, at = float64(v), i
		}
	}
	rest := newBig(0)
	for i, v := range x {
		e := newBig(0)
		if d := float64(v) - r.max; d > -20000 { // exp(-20000) is far below 2^-1074
			e = vectest.BigExp(new(big.Float).Sub(newBig(float64(v)), newBig(r.max)))
		}
		r.exp = append(r.exp, e)
		r.sum.Add(r.sum, e)
		if i != at {
			rest.Add(rest, e)
		}
	}
	r.logs = bigLog1p(rest)
	return r
}

// bigLog1p returns log(1 + v), by its series where 1 + v would lose v.
func bigLog1p(v *big.Float) *big.Float {
	if v.Sign() == 0 {
		return newBig(0)
	}
	if v.MantExp(nil) > -60 {
		one := new(big.Float).SetPrec(bigPrec + 80).SetInt64(1)
		return vectest.BigLog(one.Add(one, v))
	}
	square := new(big.Float).Mul(v, v)
	return new(big.Float).Sub(v, square.Quo(square, newBig(2)))
}

func toFloat(v *big.Float) float64 { f, _ := v.Float64(); return f }

func (r *bigRow) logSumExp() float64 { return toFloat(new(big.Float).Add(newBig(r.max), r.logs)) }

func (r *bigRow) softmax(i int) float64 { return toFloat(new(big.Float).Quo(r.exp[i], r.sum)) }

func (r *bigRow) logSoftmax(v float64) float64 {
	if math.IsInf(v, -1) {
		return v
	}
	d := new(big.Float).Sub(newBig(v), newBig(r.max))
	return toFloat(d.Sub(d, r.logs))
}

// distribution draws a row's elements.
type distribution struct {
	name string
	draw func(rng *rand.Rand, i int) float64
}

// distributions are those on which PERFORMANCE figures for softmax are usually given, and two that
// strain it.
var distributions = []distribution{
	{"normal", func(rng *rand.Rand, _ int) float64 { return rng.NormFloat64() }},
	{"normal3", func(rng *rand.Rand, _ int) float64 { return 3 * rng.NormFloat64() }},
	{"normal30", func(rng *rand.Rand, _ int) float64 { return 30 * rng.NormFloat64() }},
	{"uniform", func(rng *rand.Rand, _ int) float64 { return -80 * rng.Float64() }},
	{"dominant", func(rng *rand.Rand, i int) float64 {
		if i == 0 {
			return 20
		}
		return rng.NormFloat64()
	}},
	{"logprobs", func(rng *rand.Rand, _ int) float64 { return rng.NormFloat64() - 7 }},
}

func (d distribution) row(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = d.draw(rng, i)
	}
	rng.Shuffle(n, func(i, j int) { x[i], x[j] = x[j], x[i] })
	return x
}

func convert[F Float](x []float64) []F {
	out := make([]F, len(x))
	for i, v := range x {
		out[i] = F(v)
	}
	return out
}

// mustPanic checks that f panics with exactly the given text.
func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}()
	f()
}
