package info

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// evaluate calls the measure of that name, so that each can be fed the same bad input.
func evaluate[T Float](name string, p, q []T, u Unit) (float64, error) {
	switch name {
	case "Entropy":
		return Entropy(p, u)
	case "CrossEntropy":
		return CrossEntropy(p, q, u)
	case "KL":
		return KL(p, q, u)
	case "JensenShannon":
		return JensenShannon(p, q, u)
	case "Perplexity":
		return Perplexity(p, q)
	case "MutualInformation":
		return MutualInformation(p, 1, u)
	case "EntropyWeights":
		return EntropyWeights(p, u)
	case "CrossEntropyWeights":
		return CrossEntropyWeights(p, q, u)
	case "KLWeights":
		return KLWeights(p, q, u)
	case "JensenShannonWeights":
		return JensenShannonWeights(p, q, u)
	case "PerplexityWeights":
		return PerplexityWeights(p, q)
	case "MutualInformationWeights":
		return MutualInformationWeights(p, 1, u)
	}
	panic("no measure " + name)
}

var (
	singles = []string{"Entropy", "MutualInformation"}
	doubles = []string{"CrossEntropy", "KL", "JensenShannon", "Perplexity"}
)

func refused(t *testing.T, v float64, err, want error, parts ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, %v, want the error %q", v, err, want)
		return
	}
	if !math.IsNaN(v) {
		t.Errorf("got the value %v beside the error %q, want NaN", v, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error is %q, want it to contain %q", err, part)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Run("float64", testRefusals[float64])
	t.Run("float32", testRefusals[float32])
}

func testRefusals[T Float](t *testing.T) {
	nan, inf, huge := T(math.NaN()), T(math.Inf(1)), T(3e38)
	good := []T{.25, .75}
	bad := []struct {
		x       []T
		want    error
		part    string
		weights bool // refused as weights too
	}{
		{nil, ErrEmpty, " has no elements, want at least 1", true},
		{[]T{}, ErrEmpty, " has no elements, want at least 1", true},
		{[]T{1.25, -.25}, ErrProbability, "[1] is -0.25, want a finite number of at least 0", true},
		{[]T{-1e-30, 1}, ErrProbability, "[0] is -1e-30,", true},
		{[]T{nan, 1}, ErrProbability, "[0] is NaN,", true},
		{[]T{0, inf}, ErrProbability, "[1] is +Inf,", true},
		{[]T{-inf, 1}, ErrProbability, "[0] is -Inf,", true},
		{[]T{1, -huge}, ErrProbability, "[1] is -3e+38,", true},
		{[]T{0, 0}, ErrSum, " sums to 0", true},
		{[]T{.25, .25}, ErrSum, " sums to 0.5, want 1: it is off by -0.5,", false},
		{[]T{1, 1}, ErrSum, " sums to 2, want 1: it is off by 1,", false},
		{[]T{huge, huge}, ErrSum, " sums to 6", false},
	}
	for _, b := range bad {
		for _, form := range []string{"", "Weights"} {
			if form != "" && !b.weights {
				continue
			}
			for _, name := range singles {
				v, err := evaluate(name+form, b.x, nil, Bits)
				operand := "p"
				if name == "MutualInformation" {
					operand = "joint"
				}
				refused(t, v, err, b.want, "info."+name+form+": "+operand, b.part)
			}
			for _, name := range doubles {
				v, err := evaluate(name+form, b.x, b.x, Bits)
				refused(t, v, err, b.want, "info."+name+form+": p", b.part)
				v, err = evaluate(name+form, good, b.x, Bits)
				if len(b.x) == 0 {
					refused(t, v, err, ErrShape, "info."+name+form+": q has 0 elements, want 2 to match p")
				} else {
					refused(t, v, err, b.want, "info."+name+form+": q", b.part)
				}
			}
		}
	}
	for _, name := range doubles {
		for _, form := range []string{"", "Weights"} {
			v, err := evaluate(name+form, good, []T{.25, .25, .5}, Nats)
			refused(t, v, err, ErrShape, "info."+name+form+": q has 3 elements, want 2 to match p")
		}
	}
	for _, name := range append(singles, doubles...) {
		for _, form := range []string{"", "Weights"} {
			for _, u := range []Unit{-1, 3, 99} {
				if name != "Perplexity" {
					v, err := evaluate(name+form, good, good, u)
					refused(t, v, err, ErrUnit, "info."+name+form+": unit is "+u.String()+", want Nats, Bits or Hartleys")
				}
			}
		}
	}
	for _, cols := range []int{-1, 0, 3, 5, math.MaxInt, math.MinInt} {
		v, err := MutualInformation([]T{.25, .25, .25, .25}, cols, Bits)
		refused(t, v, err, ErrShape, "info.MutualInformation: cols is ",
			", want a positive divisor of the 4 elements of joint")
	}
}

func TestSelfInformationRefusals(t *testing.T) {
	for _, p := range []float64{-1, math.Nextafter(1, 2), 2, -5e-324, math.NaN(), math.Inf(1), math.Inf(-1), -3e38} {
		v, err := SelfInformation(p, Bits)
		refused(t, v, err, ErrProbability, "info.SelfInformation: p is ", ", want a probability in [0, 1]")
	}
	v, err := SelfInformation(.5, 7)
	refused(t, v, err, ErrUnit, "info.SelfInformation: unit is Unit(7), want Nats, Bits or Hartleys")
}

// TestTolerance: the sum may be off by what rounding does, and by no more.
func TestTolerance(t *testing.T) {
	for _, n := range []int{2, 10, 1000, 100000} {
		limit := (256 + 8*math.Sqrt(float64(n))) * 0x1p-53
		for _, c := range []struct {
			off float64
			ok  bool
		}{{0, true}, {.9 * limit, true}, {-.9 * limit, true}, {1.1 * limit, false}, {-1.1 * limit, false}} {
			p := make([]float64, n)
			p[0], p[n-1] = .5, .5+c.off
			if _, err := Entropy(p, Bits); (err == nil) != c.ok {
				t.Errorf("float64, n = %d: a sum off by %.3g gives the error %v, want accepted = %v", n, c.off, err, c.ok)
			}
			single := make([]float32, n)
			off := c.off * 0x1p29
			single[0], single[n-1] = float32(.5+off/2), float32(.5+off/2)
			if _, err := Entropy(single, Bits); (err == nil) != c.ok {
				t.Errorf("float32, n = %d: a sum off by %.3g gives the error %v, want accepted = %v", n, off, err, c.ok)
			}
		}
	}
	// What a plain softmax makes in float32, normalised by a running float32 sum, is a
	// distribution.
	const n = 50000
	p := make([]float32, n)
	total := float32(0)
	for i := range p {
		p[i] = float32(math.Exp(3 * math.Sin(float64(i))))
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
	if _, err := Entropy(p, Bits); err != nil {
		t.Errorf("a float32 softmax over %d classes: %v", n, err)
	}
}

// TestHugeWeights: sums that overflow float64 are no obstacle, shares that float64 cannot hold are
// an error.
func TestHugeWeights(t *testing.T) {
	ok := must(t)
	top := math.MaxFloat64
	for name, c := range map[string]struct{ got, want float64 }{
		"four of MaxFloat64":   {ok(EntropyWeights([]float64{top, top, top, top}, Bits)), 2},
		"MaxFloat32":           {ok(EntropyWeights([]float32{math.MaxFloat32, math.MaxFloat32}, Bits)), 1},
		"MaxInt64":             {ok(EntropyWeights([]int64{math.MaxInt64, math.MaxInt64}, Bits)), 1},
		"subnormal":            {ok(EntropyWeights([]float64{5e-324, 5e-324}, Bits)), 1},
		"KL of MaxFloat64":     {ok(KLWeights([]float64{top, 0}, []float64{top, top}, Bits)), 1},
		"JS from top to least": {ok(JensenShannonWeights([]float64{top, 0}, []float64{0, 5e-324}, Bits)), 1},
		"uint8":                {ok(KLWeights([]uint8{255, 0}, []uint8{255, 255}, Bits)), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
	v, err := EntropyWeights([]float64{1, 1e-308, 1e300}, Nats)
	refused(t, v, err, ErrProbability, "info.EntropyWeights: p[1] is 1e-308, which vanishes beside the sum")
	v, err = Entropy([]float64{top, top}, Nats)
	refused(t, v, err, ErrSum, "info.Entropy: p sums to +Inf, want 1: it is off by +Inf,")
	v, err = KLWeights([]int{1, 2}, []int{3, -1}, Nats)
	refused(t, v, err, ErrProbability, "info.KLWeights: q[1] is -1, want a finite number of at least 0")
}

// TestMany: a million outcomes. Entropy is log n to the last digits, because the sum's error does
// not grow with n.
func TestMany(t *testing.T) {
	ok := must(t)
	const n = 1 << 20
	p, q := make([]float64, n), make([]float64, n)
	single := make([]float32, n)
	for i := range p {
		p[i], q[i], single[i] = 0x1p-20, float64(i+1), 0x1p-20
	}
	if got := ok(Entropy(p, Bits)); got != 20 {
		t.Errorf("Entropy of 2^20 outcomes = %v, want 20", got)
	}
	if got := ok(Entropy(single, Bits)); got != 20 {
		t.Errorf("Entropy of 2^20 float32 outcomes = %v, want 20", got)
	}
	if got, want := ok(Entropy(p, Nats)), 20*math.Ln2; math.Abs(got-want) > positiveError*want {
		t.Errorf("Entropy of 2^20 outcomes = %v nats, want %v", got, want)
	}
	// With q_i = 2i/(n(n+1)), H(p, q) = log(n(n+1)/2) - log(n!)/n.
	gamma, _ := math.Lgamma(n + 1)
	want := math.Log(n) + math.Log(n+1) - math.Ln2 - gamma/n
	if got := ok(CrossEntropyWeights(p, q, Nats)); math.Abs(got-want) > 1e-14*want { // Lgamma's own error
		t.Errorf("CrossEntropyWeights of 2^20 outcomes = %v, want %v", got, want)
	}
}

func TestUnit(t *testing.T) {
	var zero Unit
	if zero != Nats {
		t.Errorf("the zero Unit is %v, want nats", zero)
	}
	for u, want := range map[Unit]string{Nats: "nats", Bits: "bits", Hartleys: "hartleys", 3: "Unit(3)", -1: "Unit(-1)"} {
		if got := u.String(); got != want {
			t.Errorf("Unit(%d).String() = %q, want %q", int(u), got, want)
		}
	}
	for k := 0; k <= 307; k++ { // below, 1e-k is rounded to a number with another logarithm
		if got, err := SelfInformation(math.Pow10(-k), Hartleys); err != nil || got != float64(k) {
			t.Errorf("SelfInformation(1e-%d, Hartleys) = %v, %v, want %d", k, got, err, k)
		}
	}
	for k := 0; k <= 1074; k++ {
		if got, err := SelfInformation(math.Ldexp(1, -k), Bits); err != nil || got != float64(k) {
			t.Errorf("SelfInformation(2^-%d, Bits) = %v, %v, want %d", k, got, err, k)
		}
	}
}

// TestAllocations: measures on slices allocate nothing, mutual information its row of sums.
func TestAllocations(t *testing.T) {
	p, q := []float32{.5, .25, .25, 0}, []float32{.25, .25, .25, .25}
	counted := []int{3, 0, 5, 9}
	for name, c := range map[string]struct {
		f    func() (float64, error)
		want float64
	}{
		"SelfInformation":   {func() (float64, error) { return SelfInformation(.3, Bits) }, 0},
		"Entropy":           {func() (float64, error) { return Entropy(p, Bits) }, 0},
		"CrossEntropy":      {func() (float64, error) { return CrossEntropy(p, q, Bits) }, 0},
		"KL":                {func() (float64, error) { return KL(p, q, Bits) }, 0},
		"JensenShannon":     {func() (float64, error) { return JensenShannon(p, q, Hartleys) }, 0},
		"Perplexity":        {func() (float64, error) { return Perplexity(p, q) }, 0},
		"MutualInformation": {func() (float64, error) { return MutualInformation(p, 2, Bits) }, 1},
		"EntropyWeights":    {func() (float64, error) { return EntropyWeights(counted, Bits) }, 0},
		"KLWeights":         {func() (float64, error) { return KLWeights(counted, counted, Bits) }, 0},
	} {
		got := testing.AllocsPerRun(100, func() {
			if _, err := c.f(); err != nil {
				t.Fatal(err)
			}
		})
		if got > c.want {
			t.Errorf("%s allocates %v times, want at most %v", name, got, c.want)
		}
	}
}
