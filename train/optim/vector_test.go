package optim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// rulesWithEverything uses every constant of every formula.
var rulesWithEverything = []Optimizer{
	SGD(0.05, WithL2(0.1), WithWeightDecay(0.2)), Momentum(0.02, 0.9, WithL2(0.05), WithWeightDecay(0.2)),
	Nesterov(0.02, 0.9, WithL2(0.05), WithWeightDecay(0.2)), Adam(0.01, WithL2(0.1), WithWeightDecay(0.2)), AdamW(0.01),
	RMSProp(0.01, WithL2(0.1), WithWeightDecay(0.2)), Adagrad(0.1, WithRateDecay(0.01), WithInitial(0.1), WithL2(0.1)),
	Lion(0.01, WithWeightDecay(0.2)),
}

// hostile are gradients that no sound run has; what becomes of them must not depend on the
// processor either.
var hostile = []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 3e38, -3e38, 1e-45, -1e-45, 1e-300, 1e-39, 1e19, 1e200}

const guard = 7 // numbers on either side that a kernel must leave alone; odd, so that slices begin off a vector's boundary

// steps makes three updates of n numbers at one level and returns everything that it may have
// written, guards too.
func steps[F float32 | float64](o Optimizer, l vec.Level, n int, seed uint64, nasty bool) (all [][]F) {
	vectest.At(l, func() { all = stepsNow[F](o, n, seed, nasty) })
	return all
}

func stepsNow[F float32 | float64](o Optimizer, n int, seed uint64, nasty bool) [][]F {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	room := func(fill func() F) []F {
		s := make([]F, n+2*guard)
		for i := range s {
			s[i] = fill()
		}
		return s
	}
	// products and quotients only, which are the same on every processor
	normal := func() F { return F((rng.Float64() - 0.5) / (rng.Float64() + 0.05)) }
	p, g := room(normal), room(normal)
	all := [][]F{p, g}
	var slots [][]F
	for range o.Slots() {
		s := room(func() F { return F(o.Start()) })
		all, slots = append(all, s), append(slots, s[guard:guard+n])
	}
	for step := 1; step <= 3; step++ {
		for i := range g {
			if g[i] = normal() * F(math.Ldexp(1, rng.IntN(20)-10)); nasty && rng.IntN(8) == 0 {
				g[i] = F(hostile[rng.IntN(len(hostile))])
			}
		}
		s := Step{N: step, Rate: o.Rate(), Decay: o.Decay(), L2: o.L2()}
		switch p := any(p[guard : guard+n]).(type) {
		case []float32:
			o.Update32(s, p, any(g[guard:guard+n]).([]float32), any(slots).([][]float32))
		case []float64:
			o.Update64(s, p, any(g[guard:guard+n]).([]float64), any(slots).([][]float64))
		}
	}
	return all
}

// sameBits reports whether two slices agree, NaN with NaN of any payload, and where they first do
// not.
func sameBits[F float32 | float64](a, b []F) (int, bool) {
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		if math.Float64bits(x) != math.Float64bits(y) && !(x != x && y != y) {
			return i, false
		}
	}
	return 0, len(a) == len(b)
}

// TestImplementationsAgree: every rule gives the same bits with all implementations, at every
// length around a vector's and over several pieces, and writes nowhere else.
func TestImplementationsAgree(t *testing.T) {
	var lengths []int
	for n := 1; n <= 3*lanes+1; n++ {
		lengths = append(lengths, n)
	}
	lengths = append(lengths, chunk-1, chunk, chunk+1, 3*chunk+lanes+5)
	for _, o := range rulesWithEverything {
		if err := o.Check(); err != nil {
			t.Fatal(err)
		}
		for _, n := range lengths {
			for _, nasty := range []bool{false, true} {
				agree[float32](t, o, n, nasty)
				agree[float64](t, o, n, nasty)
			}
		}
	}
}

func agree[F float32 | float64](t *testing.T, o Optimizer, n int, nasty bool) {
	t.Helper()
	want := steps[F](o, vec.Generic, n, 5, nasty)
	for _, k := range vec.Available()[1:] {
		got := steps[F](o, k, n, 5, nasty)
		for s := range want {
			if i, ok := sameBits(got[s], want[s]); !ok {
				t.Fatalf("%s, %T, %s, %d numbers, array %d: element %d is %v, want %v (hostile gradients: %v)",
					o.Name(), want[s], k, n, s, i-guard, got[s][i], want[s][i], nasty)
			}
		}
	}
}

// TestSameEverywhere holds the bits of an update against those that were recorded: with AVX-512,
// AVX2 and the Go code on amd64, and with the Go code on arm64, where the compiler fuses products
// with sums unless told not to.
func TestSameEverywhere(t *testing.T) {
	want := map[string]uint64{
		"sgd": 0xc9bef1c7ca1a5137, "momentum": 0x55eb721b384a4f2a, "nesterov": 0x797492940bc37694,
		"adam":  0xd99f13e38fbe9444,
		"adamw": 0xdae51a553519a218, "rmsprop": 0x442c150d1ee82e99, "adagrad": 0x772b72d663dc38cc,
		"lion": 0xbaef01ecbb4175de,
	}
	vectest.Each(t, func(t *testing.T) {
		for _, o := range rulesWithEverything {
			h := fnv.New64a()
			for _, s := range steps[float32](o, vec.Active(), 1000, 4, false) {
				for _, v := range s {
					h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
				}
			}
			for _, s := range steps[float64](o, vec.Active(), 1000, 4, false) {
				for _, v := range s {
					h.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
				}
			}
			if got := h.Sum64(); got != want[o.Name()] {
				t.Errorf("%s has the digest %#x, want %#x", o.Name(), got, want[o.Name()])
			}
		}
	})
}

// TestCores: the number of cores changes no bit of an update, a norm or a clipped gradient.
func TestCores(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		run := func(cores int) (all [][]float32) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			for _, o := range rulesWithEverything {
				all = append(all, steps[float32](o, vec.Active(), 5*chunk+13, 9, false)...)
			}
			g := slices.Clone(all[0])
			norm := Norm(g)
			all = append(all, []float32{float32(norm), float32(norm - float64(float32(norm)))})
			ClipNorm(norm, norm/3, g)
			ClipValue(0.01, g)
			return append(all, g)
		}
		one := run(1)
		for _, cores := range []int{2, 3, 8} {
			for i, got := range run(cores) {
				if at, ok := sameBits(got, one[i]); !ok {
					t.Errorf("%d cores: array %d differs at %d: %v and %v", cores, i, at, got[at], one[i][at])
				}
			}
		}
	})
}

// TestElementwise holds Scale, ClipValue, Collect and the sum of squares against their definitions.
func TestElementwise(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		for n := range 3*lanes + 2 {
			elementwise[float32](t, n)
			elementwise[float64](t, n)
		}
		elementwise[float32](t, 2*chunk+37)
		elementwise[float64](t, 2*chunk+37)
	})
}

func elementwise[F float32 | float64](t *testing.T, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(2, uint64(n)))
	x, y := make([]F, n), make([]F, n)
	for i := range x {
		x[i], y[i] = F(rng.NormFloat64()), F(rng.NormFloat64())
		if rng.IntN(5) == 0 {
			x[i] = F(hostile[rng.IntN(len(hostile))])
		}
	}
	check := func(what string, f func(g []F), want func(v F, i int) F) {
		t.Helper()
		g := slices.Repeat([]F{42}, n+2*guard)
		copy(g[guard:], x)
		f(g[guard : guard+n])
		w := slices.Repeat([]F{42}, n+2*guard)
		for i, v := range x {
			w[guard+i] = want(v, i)
		}
		if i, ok := sameBits(g, w); !ok {
			t.Fatalf("%s of %d %T: element %d is %v, want %v", what, n, x, i-guard, g[i], w[i])
		}
	}
	check("Scale", func(g []F) { Scale(F(0.3), g) }, func(v F, _ int) F { return v * F(0.3) })
	check("ClipValue", func(g []F) { ClipValue(0.5, g) }, func(v F, _ int) F {
		switch {
		case v > 0.5:
			return 0.5
		case v < -0.5:
			return -0.5
		}
		return v
	})
	check("Accumulate", func(g []F) { Accumulate(g, y) }, func(v F, i int) F { return v + y[i] })
	check("Collect", func(g []F) {
		total := Collect(g, y, false)
		if want := Norm(y); math.Sqrt(total) != want {
			t.Fatalf("Collect of %d %T has norm %v, want %v", n, y, math.Sqrt(total), want)
		}
	}, func(_ F, i int) F { return y[i] })
	check("Collect with add", func(g []F) {
		total := Collect(g, y, true)
		if want := Norm(g); math.Sqrt(total) != want && want == want && !math.IsInf(total, 1) {
			t.Fatalf("Collect of %d %T has norm %v, want %v", n, y, math.Sqrt(total), want)
		}
	}, func(v F, i int) F { return v + y[i] })
	var sum float64
	for _, v := range y {
		sum += float64(v) * float64(v)
	}
	// n roundings of positive numbers in either order
	if got, want := Norm(y), math.Sqrt(sum); math.Abs(got-want) > float64(n+4)*2.3e-16*want {
		t.Fatalf("norm of %d %T is %v, want %v", n, y, got, want)
	}
	var bits []string
	for _, l := range vec.Available() {
		vectest.At(l, func() { bits = append(bits, fmt.Sprint(math.Float64bits(Norm(y)))) })
	}
	if len(slices.Compact(bits)) != 1 {
		t.Fatalf("norm of %d %T differs between levels: %v", n, y, bits)
	}
}
