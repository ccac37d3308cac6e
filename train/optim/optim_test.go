package optim

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// recording is testdata/torch.json, which testdata/torch.py made with the PyTorch version that it
// names.
type recording struct {
	Torch string
	Start []float64
	Cases map[string]map[string][]point
	Clip  []struct {
		Limit, Norm float64
		Grads       [][]float64
	}
	Schedules map[string][]float64
}

type point struct {
	step   int
	params []float64
}

func (p *point) UnmarshalJSON(b []byte) error {
	pair := []any{&p.step, &p.params}
	return json.Unmarshal(b, &pair)
}

func load(t *testing.T) recording {
	t.Helper()
	text, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// grad is the gradient of testdata/torch.py.
func grad(n, i int, p float64) float64 {
	return math.Sin(1.7*float64(n)+0.9*float64(i))*math.Pow(10, float64(i%5-2)) + 0.1*p
}

var torchCases = map[string]Optimizer{
	"sgd":           SGD(0.05),
	"sgd_l2":        SGD(0.05, WithL2(0.1)),
	"momentum":      Momentum(0.02, 0.9),
	"momentum_l2":   Momentum(0.02, 0.9, WithL2(0.05)),
	"nesterov":      Nesterov(0.02, 0.9),
	"adam":          Adam(0.01),
	"adam_l2":       Adam(0.01, WithBetas(0.8, 0.95), WithEpsilon(1e-6), WithL2(0.1)),
	"adamw":         AdamW(0.01),
	"adamw_decay":   AdamW(0.01, WithBetas(0.85, 0.99), WithWeightDecay(0.3)),
	"rmsprop":       RMSProp(0.01),
	"rmsprop_alpha": RMSProp(0.01, WithAlpha(0.9), WithEpsilon(1e-5), WithL2(0.1)),
	"adagrad":       Adagrad(0.1),
	"adagrad_decay": Adagrad(0.1, WithRateDecay(0.01), WithInitial(0.1), WithL2(0.1)),
}

func trajectory[F float32 | float64](o Optimizer, start []float64, steps int, grad func(n, i int, p float64) float64, at func(n int, p []F)) {
	p := make([]F, len(start))
	for i, v := range start {
		p[i] = F(v)
	}
	var slots [][]F
	for range o.Slots() {
		slots = append(slots, slices.Repeat([]F{F(o.Start())}, len(p)))
	}
	g := make([]F, len(p))
	for n := 1; n <= steps; n++ {
		for i := range g {
			g[i] = F(grad(n, i, float64(p[i])))
		}
		s := Step{N: n, Rate: o.Rate(), Decay: o.Decay(), L2: o.L2()}
		switch p := any(p).(type) {
		case []float32:
			o.Update32(s, p, any(g).([]float32), any(slots).([][]float32))
		case []float64:
			o.Update64(s, p, any(g).([]float64), any(slots).([][]float64))
		}
		at(n, p)
	}
}

// TestTorch holds 100 steps of every rule against PyTorch's, relative to the largest that a
// parameter has been so far, which is what its roundings were relative to: 1e-12 in float64; 1e-6
// in float32, where 100 roundings of 6e-8 each may add up.
func TestTorch(t *testing.T) {
	rec := load(t)
	if len(rec.Cases) != len(torchCases) {
		t.Errorf("%d cases recorded, %d tested", len(rec.Cases), len(torchCases))
	}
	for name, dtypes := range rec.Cases {
		o := torchCases[name]
		if o == nil {
			t.Errorf("no optimizer for the recorded case %q", name)
			continue
		}
		if err := o.Check(); err != nil {
			t.Fatal(err)
		}
		var top []float64
		compare := func(dtype string, tol float64, n int, p func(i int) float64) {
			if n == 1 {
				top = slices.Clone(rec.Start)
			}
			for i := range top {
				top[i] = math.Max(math.Abs(top[i]), math.Abs(p(i)))
			}
			for _, want := range dtypes[dtype] {
				if want.step != n {
					continue
				}
				for i, w := range want.params {
					if diff := math.Abs(p(i) - w); !(diff <= tol*top[i]) {
						t.Errorf("%s %s: parameter %d after step %d is %v, want %v", name, dtype, i, n, p(i), w)
					}
				}
			}
		}
		trajectory(o, rec.Start, 100, grad, func(n int, p []float32) {
			compare("f32", 1e-6, n, func(i int) float64 { return float64(p[i]) })
		})
		trajectory(o, rec.Start, 100, grad, func(n int, p []float64) {
			compare("f64", 1e-12, n, func(i int) float64 { return p[i] })
		})
	}
}

// TestLion holds the rule against the recurrence as its paper prints it (algorithm 2), in float64.
func TestLion(t *testing.T) {
	o := Lion(0.01, WithBetas(0.95, 0.98), WithWeightDecay(0.2))
	start := []float64{0.5, -1.25, 2}
	theta, m := slices.Clone(start), make([]float64, 3)
	sign := func(v float64) float64 {
		if v == 0 {
			return 0
		}
		return math.Copysign(1, v)
	}
	trajectory(o, start, 100, grad, func(n int, p []float64) {
		for i := range theta {
			g := grad(n, i, theta[i])
			c := 0.95*m[i] + (1-0.95)*g
			m[i] = 0.98*m[i] + (1-0.98)*g
			theta[i] -= 0.01 * (sign(c) + 0.2*theta[i])
			if math.Abs(p[i]-theta[i]) > 1e-12*math.Abs(theta[i]) {
				t.Fatalf("parameter %d after step %d is %v, want %v", i, n, p[i], theta[i])
			}
		}
	})
	still := Lion(0.01)
	trajectory(still, []float64{1}, 5, func(int, int, float64) float64 { return 0 }, func(n int, p []float32) {
		if p[0] != 1 {
			t.Errorf("a zero gradient moved the parameter to %v", p[0])
		}
	})
}

// TestPiecesAndCores: a long parameter is cut over cores, with the same bits as in one piece.
func TestPiecesAndCores(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 5*chunk + 13
	start, g := make([]float32, n), make([]float32, n)
	for i := range start {
		start[i], g[i] = rng.Float32()-0.5, rng.Float32()-0.5
	}
	run := func(cores int) []float32 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		p := slices.Clone(start)
		slots := [][]float32{make([]float32, n), make([]float32, n)}
		o := AdamW(0.01)
		for k := range 3 {
			o.Update32(Step{N: k + 1, Rate: 0.01, Decay: 0.01}, p, g, slots)
		}
		return p
	}
	one := run(1)
	if !slices.Equal(one, run(4)) {
		t.Error("one core and four give different bits")
	}
	trajectory(AdamW(0.01), []float64{float64(start[n-1])}, 3, func(int, int, float64) float64 { return float64(g[n-1]) }, func(k int, p []float32) {
		if k == 3 && p[0] != one[n-1] {
			t.Errorf("the last number is %v, want %v as by itself", one[n-1], p[0])
		}
	})
}

func TestClipNorm(t *testing.T) {
	for _, c := range load(t).Clip {
		g := [][]float64{{1, -2, 3}, {-0.5, 4}}
		norm := Norm(g...)
		if math.Abs(norm-c.Norm) > 1e-15*c.Norm {
			t.Errorf("norm %v, want %v", norm, c.Norm)
		}
		ClipNorm(norm, c.Limit, g...)
		for i := range g {
			for j := range g[i] {
				if math.Abs(g[i][j]-c.Grads[i][j]) > 1e-15*math.Abs(c.Grads[i][j]) {
					t.Errorf("limit %v: gradient (%d, %d) is %v, want %v", c.Limit, i, j, g[i][j], c.Grads[i][j])
				}
			}
		}
	}
	if got := Norm([]float64{3e200, 4e200}); math.Abs(got/5e200-1) > 1e-15 {
		t.Errorf("norm of (3e200, 4e200) is %v, want 5e200", got)
	}
	if got := Norm([]float32{3e38, float32(math.Inf(1))}); !math.IsInf(got, 1) {
		t.Errorf("norm with an infinity is %v, want +Inf", got)
	}
	if got := Norm([]float32{1, float32(math.NaN())}); !math.IsNaN(got) {
		t.Errorf("norm with a NaN is %v, want NaN", got)
	}
	if got := Norm([]float32{}, nil); got != 0 {
		t.Errorf("norm of nothing is %v, want 0", got)
	}
	v := []float32{-3, -1, 0.5, 7, float32(math.NaN())}
	ClipValue(1, v)
	if !slices.Equal(v[:4], []float32{-1, -1, 0.5, 1}) || v[4] == v[4] {
		t.Errorf("clipped to %v", v)
	}
}

func TestSchedules(t *testing.T) {
	rec := load(t).Schedules
	near := func(name string, n int, got, want float64) {
		if math.Abs(got-want) > 1e-14 {
			t.Errorf("%s: factor %d is %v, want %v", name, n, got, want)
		}
	}
	for i, want := range rec["staircase"] {
		near("staircase", i, Staircase(4, 0.3).Factor(Position{Step: 7, Epoch: i + 1}), want)
	}
	for i, want := range rec["cosine"] {
		near("cosine", i, Cosine(0, 0.1).Factor(Position{Step: i, Steps: 29}), want)
	}
	warm := Cosine(10, 0.1)
	for i := range 10 {
		near("warm-up", i+1, warm.Factor(Position{Step: i + 1, Steps: 39}), float64(i+1)/10)
	}
	near("after the warm-up", 11, warm.Factor(Position{Step: 11, Steps: 39}), rec["cosine"][1])
	near("past the end", 50, warm.Factor(Position{Step: 50, Steps: 39}), 0.1)
	p := Plateau(PlateauSettings{Factor: 0.5, Patience: 2, MinDelta: 0.008}).(Adaptive)
	for i, want := range rec["plateau"] {
		near("plateau", i, p.Factor(Position{}), want)
		copied := p.New()
		if err := copied.Restore(p.State()); err != nil {
			t.Fatal(err)
		}
		p = copied // going on from a saved state changes nothing
		p.Observe(rec["plateau_values"][i])
	}
	near("constant", 5, Constant().Factor(Position{Step: 5}), 1)
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		o    Optimizer
		want string
	}{
		{SGD(0), "rate is 0"}, {Adam(math.NaN()), "rate is NaN"}, {Adam(1, WithBetas(1, 0.9)), "beta1 in [0, 1)"},
		{Momentum(1, 1.5), "optim.momentum: momentum is 1.5"}, {SGD(1, WithEpsilon(1)), "WithEpsilon is not an option"},
		{Lion(1, WithL2(1)), "WithL2 is not an option"}, {AdamW(1, WithWeightDecay(-1)), "WithWeightDecay is -1"},
		{RMSProp(1, WithAlpha(math.Inf(1))), "WithAlpha is +Inf"},
	} {
		if err := c.o.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	for _, s := range []Schedule{Staircase(0, 1), Staircase(1, -1), Cosine(-1, 0), Cosine(1, 2), Plateau(PlateauSettings{Factor: 2})} {
		if s.Check() == nil {
			t.Errorf("%s: no error", s.Name())
		}
	}
}

func TestGroups(t *testing.T) {
	groups := []Group{{Match: "*.bias"}, {Match: "head.*", Scale: 0.5, Decay: 0.3, L2: 0.4}, {Match: "old.*", Frozen: true}}
	names := []string{"head.weight", "head.bias", "old.weight", "body.weight"}
	if err := CheckGroups(groups, names); err != nil {
		t.Fatal(err)
	}
	o := SGD(1, WithWeightDecay(0.1), WithL2(0.2))
	for name, want := range map[string]Group{"head.weight": groups[1], "head.bias": {Match: "*.bias", Scale: 1},
		"old.weight": {Match: "old.*", Scale: 1, Frozen: true}, "body.weight": {Scale: 1, Decay: 0.1, L2: 0.2}} {
		if got := GroupOf(groups, name, o); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for _, g := range []Group{{Match: "["}, {Match: "x"}, {Match: "*", Scale: -1}, {Match: "*", Decay: math.NaN()}, {Match: "*", L2: -1}, {Match: "*", L2: math.Inf(1)}} {
		if err := CheckGroups([]Group{g}, names); err == nil {
			t.Errorf("%+v: no error", g)
		}
	}
}

// TestDecayBesideL2: the parameter in the L2 term has decayed. With the rate ½, both factors ½, p =
// 4 and g = 1: p becomes 4·(1-¼) = 3 and 3 - ½·(1 + ½·3) = 1.75.
func TestDecayBesideL2(t *testing.T) {
	o := SGD(0.5, WithWeightDecay(0.5), WithL2(0.5))
	p := []float64{4}
	o.Update64(Step{N: 1, Rate: 0.5, Decay: o.Decay(), L2: o.L2()}, p, []float64{1}, nil)
	if p[0] != 1.75 {
		t.Errorf("4 becomes %v, want 1.75", p[0])
	}
}

func BenchmarkUpdate(b *testing.B) {
	const n = 203530 // parameters of the network 784-256-10
	p, g := make([]float32, n), make([]float32, n)
	for i := range g {
		g[i] = float32(i%7) - 3
	}
	for _, o := range []Optimizer{SGD(0.1), Momentum(0.1, 0.9), Adam(1e-3), Lion(1e-3)} {
		var slots [][]float32
		for range o.Slots() {
			slots = append(slots, make([]float32, n))
		}
		b.Run("rule="+o.Name(), func(b *testing.B) {
			b.SetBytes(4 * n)
			b.ReportAllocs()
			for b.Loop() {
				o.Update32(Step{N: 10, Rate: 1e-3}, p, g, slots)
			}
		})
	}
}
