package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// forger makes points of two numbers from noise.
func forger(b *Builder, noise *G.Node) (*G.Node, error) {
	h, err := b.Dense("forger.hidden", noise, 6)
	if err != nil {
		return nil, err
	}
	if h, err = b.Dropout("forger.drop", G.Must(G.Tanh(h)), 0.1); err != nil {
		return nil, err
	}
	return b.Dense("forger.out", h, 2)
}

// critic gives points a score, with weights that several calls share.
type critic struct{ w, c, v *G.Node }

func newCritic(b *Builder) (k critic, err error) {
	if k.w, err = b.Param("critic.w", FanIn(), 2, 6); err != nil {
		return k, err
	}
	if k.c, err = b.Param("critic.c", Constant(0), 6); err != nil {
		return k, err
	}
	k.v, err = b.Param("critic.v", FanIn(), 6, 1)
	return k, err
}

func (k critic) score(x *G.Node) *G.Node {
	return G.Must(G.Mul(G.Must(G.Tanh(G.Must(G.BroadcastAdd(G.Must(G.Mul(x, k.w)), k.c, nil, []byte{0})))), k.v))
}

// judged returns the scores of true points and of forged ones, and the length of the slope of the
// score at the true ones, of which a penalty is made: a derivative within the model.
func judged(b *Builder, in Nodes) (Nodes, error) {
	fake, err := forger(b, in["noise"])
	if err != nil {
		return nil, err
	}
	k, err := newCritic(b)
	if err != nil {
		return nil, err
	}
	score := k.score(in["point"])
	slope, err := loss.Gradients(G.Must(G.Sum(score)), in["point"])
	if err != nil {
		return nil, err
	}
	return Nodes{"true": score, "fake": k.score(fake), "slope": G.Must(G.Sum(G.Must(G.Square(slope[0])), 1))}, nil
}

// fooled returns the scores of forged points alone.
func fooled(b *Builder, in Nodes) (Nodes, error) {
	fake, err := forger(b, in["noise"])
	if err != nil {
		return nil, err
	}
	k, err := newCritic(b)
	return Nodes{"fake": k.score(fake)}, err
}

// mean of an output with a sign, as a term.
func meanOf(name, output string, factor float64) Term {
	return Term{Name: name, Factor: factor, Build: func(out, _ Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.Reduce(out[output], opts...)
	}}
}

// adversaries are a trainer with two steps that share parameters, and the data of a round.
type adversaries struct {
	*Trainer
	critic, forger *Step
	points         data.Records
}

func newAdversaries(t testing.TB, dir string) *adversaries {
	t.Helper()
	cfg := TrainerConfig{Seed: 5}
	if dir != "" {
		cfg.Checkpoint = &Checkpoint{Dir: dir, Resume: true}
	}
	var points, noise [][]float64
	rng := data.Rand(1, "points", 0)
	for range 40 {
		points, noise = append(points, []float64{rng.NormFloat64() + 2, rng.NormFloat64() - 1}), append(noise, []float64{rng.NormFloat64(), rng.NormFloat64()})
	}
	frame, err := data.NewFrame(map[string]data.Series{"point": data.Numbers(points), "noise": data.Numbers(noise)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &adversaries{points: frame}
	if a.Trainer, err = NewTrainer(cfg); err != nil {
		t.Fatal(err)
	}
	a.critic, err = a.NewStep("critic", StepConfig{Model: judged, Objective: Objective{meanOf("fake", "fake", 1), meanOf("true", "true", -1), meanOf("slope", "slope", 0.5)},
		Fields: frame.Fields(), BatchSize: 8, Optimizer: optim.Adam(0.02), Groups: []optim.Group{{Match: "forger.*", Frozen: true}}, ClipNorm: 5})
	if err != nil {
		t.Fatal(err)
	}
	noiseOnly := data.Fields{Inputs: map[string]data.Field{"noise": frame.Fields().Inputs["noise"]}}
	a.forger, err = a.NewStep("forger", StepConfig{Model: fooled, Objective: Objective{meanOf("fake", "fake", -1)},
		Fields: noiseOnly, BatchSize: 8, Optimizer: optim.Momentum(0.01, 0.9),
		Groups: []optim.Group{{Match: "critic.*", Frozen: true}},
		Rate:   func(n int) float64 { return 1 / (1 + float64(n)/100) }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// round is two updates of the critic and one of the forger. What it reads depends on its number.
func (a *adversaries) round(t testing.TB) {
	t.Helper()
	do := func(s *Step) {
		b := s.NewBatch()
		rows := data.Rand(2, s.Name(), uint64(s.Updates())).Perm(40)[:8]
		if s == a.forger {
			b.SetLen(8)
			rng := data.Rand(3, "noise", uint64(s.Updates()))
			for i := range b.In["noise"].F32 {
				b.In["noise"].F32[i] = float32(rng.NormFloat64())
			}
		} else if err := b.Fill(a.points, rows); err != nil {
			t.Fatal(err)
		}
		values, err := s.Run(b)
		if err == nil {
			_, err = s.Apply()
		}
		if err != nil {
			t.Fatal(err, values)
		}
	}
	for a.critic.Updates() < 2*(a.forger.Updates()+1) {
		do(a.critic)
	}
	do(a.forger)
}

// play makes rounds up to a number of them, with a checkpoint after each where there is a place for
// it.
func (a *adversaries) play(t testing.TB, rounds int) *adversaries {
	t.Helper()
	if a.cfg.Checkpoint != nil {
		if _, err := a.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	for a.forger.Updates() < rounds {
		a.round(t)
		if a.cfg.Checkpoint != nil {
			if err := a.Save(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a
}

// state is everything that a trainer holds.
func (a *adversaries) state() []*weights.Array {
	return append(cloneAll(a.params.list), cloneAll(a.memory())...)
}

func sameArrays(a, b []*weights.Array) bool {
	return slices.EqualFunc(a, b, func(x, y *weights.Array) bool {
		return x.Name == y.Name && slices.Equal(x.F32, y.F32) && slices.Equal(x.F64, y.F64)
	})
}

// TestTrainerResumes stops after every round and goes on in a trainer of its own: parameters and
// the memory of both optimizers are the same to the bit.
func TestTrainerResumes(t *testing.T) {
	want := newAdversaries(t, "").play(t, 6)
	dir := t.TempDir()
	for i := 1; i <= 6; i++ {
		a := newAdversaries(t, dir).play(t, i)
		a.Close()
		if i == 6 && !sameArrays(a.state(), want.state()) {
			t.Error("the state differs from that of a trainer that was left alone")
		}
	}
	if paths, err := Checkpoints(dir); err != nil || len(paths) != 2 {
		t.Errorf("%d checkpoints, want the newest 2 (%v)", len(paths), err)
	}
	other := newAdversaries(t, dir)
	other.critic.cfg.ClipNorm = 4
	if _, err := other.Resume(); err == nil || !strings.Contains(err.Error(), `critic: clip norm is "5" there and "4" here`) {
		t.Errorf("error %v of another limit", err)
	}
	cfg := fullConfig(t, dir)
	if _, err := Fit(background, mlp, loss.CrossEntropy, blobs(t, 60, 8), cfg); err == nil || !strings.Contains(err.Error(), "that of a Trainer") {
		t.Errorf("error %v of Fit in the directory of a trainer", err)
	}
}

// TestAdversaries: each step moves its own parameters, and together they do what they are for: the
// forged points come near the true ones.
func TestAdversaries(t *testing.T) {
	a := newAdversaries(t, "")
	defer a.Close()
	before := cloneAll(a.params.list)
	b := a.critic.NewBatch()
	if err := b.Fill(a.points, []int{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	v, err := a.critic.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := v["loss"] - (v["fake"] - v["true"] + 0.5*v["slope"]); len(v) != 4 || math.Abs(d) > 1e-12 {
		t.Errorf("values %v, want the sum of the terms", v)
	}
	if norm, err := a.critic.Apply(); err != nil || norm <= 0 {
		t.Fatal(norm, err)
	}
	for i, p := range a.params.list {
		if moved := !slices.Equal(p.F32, before[i].F32); moved != strings.HasPrefix(p.Name, "critic.") {
			t.Errorf("%s moved: %v", p.Name, moved)
		}
	}
	if len(a.critic.graph.grads) != 3 || len(a.forger.graph.grads) != 4 {
		t.Errorf("%d and %d gradients, want 3 and 4 without those of frozen parameters", len(a.critic.graph.grads),
			len(a.forger.graph.grads))
	}
	a.play(t, 300)
	net, err := a.Net(func(b *Builder, in Nodes) (Nodes, error) {
		out, err := forger(b, in["noise"])
		return Nodes{OutputName: out}, err
	}, a.forger.cfg.Fields)
	if err != nil {
		t.Fatal(err)
	}
	if len(net.Params()) != 4 {
		t.Errorf("the net has %d parameters, want the forger's 4", len(net.Params()))
	}
	out, err := net.PredictNamed(background, a.points)
	if err != nil {
		t.Fatal(err)
	}
	var mean [2]float64
	for i, x := range out[OutputName].Data().([]float32) {
		mean[i%2] += float64(x) / 40
	}
	// The true points have the mean (2, -1).
	if math.Hypot(mean[0]-2, mean[1]+1) > 1 {
		t.Errorf("the forged points have the mean %v, want one near (2, -1)", mean)
	}
}

// TestOneStepIsFit: a step in a loop over batches in order is a run of Fit, to the bit.
func TestOneStepIsFit(t *testing.T) {
	ds := blobs(t, 30, 4)
	cfg := Config{Epochs: 3, BatchSize: 8, Optimizer: optim.Adam(0.1), Seed: 7, KeepOrder: true, ClipNorm: 0.5}
	want := mustFit(t, mlp, ds, cfg)
	tr, err := NewTrainer(TrainerConfig{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	r := data.AsRecords(ds)
	s, err := tr.NewStep("all", StepConfig{Model: Model(mlp).network(), Objective: objectiveOf(loss.CrossEntropy), Fields: r.Fields(),
		BatchSize: 8, Optimizer: optim.Adam(0.1), ClipNorm: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		rows := make([]int, 30)
		for i := range rows {
			rows[i] = i
		}
		for part := range slices.Chunk(rows, 8) {
			b := s.NewBatch()
			if err := b.Fill(r, part); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Run(b); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(); err != nil {
				t.Fatal(err)
			}
		}
	}
	net, err := tr.Net(Model(mlp).network(), r.Fields())
	if err != nil {
		t.Fatal(err)
	}
	if !sameParams(net, want.Net) {
		t.Error("the parameters differ")
	}
}

// TestPolicyGradient: log-probabilities times advantages of both signs, which are a target, make a
// bandit choose its best arm.
func TestPolicyGradient(t *testing.T) {
	tr, err := NewTrainer(TrainerConfig{Seed: 1, DType: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, in Nodes) (Nodes, error) {
		out, err := b.DenseWith("policy", in["state"], 3, Constant(0), nil)
		return Nodes{"arm": out}, err
	}
	fields := data.Fields{Inputs: map[string]data.Field{"state": {Kind: data.Float, Shape: []int{1}}},
		Targets: map[string]data.Field{"arm": {Kind: data.Int}, "advantage": {Kind: data.Float}}}
	s, err := tr.NewStep("policy", StepConfig{Model: model, Fields: fields, BatchSize: 16, Optimizer: optim.SGD(1),
		Objective: Objective{{Name: "regret", Build: func(out, target Nodes, opts ...loss.Option) (*G.Node, error) {
			surprisal, err := loss.CrossEntropy(out["arm"], target["arm"], loss.WithReduction(loss.None))
			if err != nil {
				return nil, err
			}
			return loss.Reduce(G.Must(G.HadamardProd(surprisal, target["advantage"])), opts...)
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	net, err := tr.Net(model, fields)
	if err != nil {
		t.Fatal(err)
	}
	one, err := data.NewFrame(map[string]data.Series{"state": data.Numbers([][]float64{{1}})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	chance := make([]float64, 3)
	for update := range 60 {
		out, err := net.PredictNamed(background, one)
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for i, z := range out["arm"].Data().([]float64) {
			chance[i] = math.Exp(z)
			total += chance[i]
		}
		for i := range chance {
			chance[i] /= total
		}
		rng := data.Rand(1, "play", uint64(update))
		b.SetLen(16)
		mean := 0.0
		for i := range b.Rows {
			arm, u := 0, rng.Float64()
			for arm < 2 && u >= chance[arm] {
				u -= chance[arm]
				arm++
			}
			b.In["state"].F64[i], b.Out["arm"].Int[i] = 1, arm
			b.Out["advantage"].F64[i] = []float64{0.2, 1, 0.5}[arm] + 0.1*rng.NormFloat64()
			mean += b.Out["advantage"].F64[i] / 16
		}
		for i := range b.Rows {
			b.Out["advantage"].F64[i] -= mean
		}
		if _, err := s.Run(b); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(); err != nil {
			t.Fatal(err)
		}
	}
	if chance[1] < 0.8 {
		t.Errorf("the arms have the probabilities %v, want the second above 0.8", chance)
	}
}

// TestTrainerNets: nets predict while steps move their parameters.
func TestTrainerNets(t *testing.T) {
	a := newAdversaries(t, "")
	net, err := a.Net(fooled, a.forger.cfg.Fields)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 20 {
				if _, err := net.PredictNamed(background, a.points); err != nil {
					t.Error(err)
				}
			}
		})
	}
	a.play(t, 10)
	wg.Wait()
}

func TestTrainerFaults(t *testing.T) {
	a := newAdversaries(t, "")
	defer a.Close()
	fields := a.forger.cfg.Fields
	good := StepConfig{Model: fooled, Objective: a.forger.cfg.Objective, Fields: fields, Optimizer: optim.SGD(0.1)}
	b := a.critic.NewBatch()
	nan := a.forger.NewBatch()
	nan.SetLen(1)
	nan.In["noise"].F32[0] = float32(math.NaN())
	step := func(change func(c *StepConfig)) func() error {
		return func() error { c := good; change(&c); _, err := a.NewStep("x", c); return err }
	}
	made := len(a.params.list)
	for want, f := range map[string]func() error{
		"DType is int":            func() error { _, err := NewTrainer(TrainerConfig{DType: tensor.Int}); return err },
		"Checkpoint.Dir is empty": func() error { _, err := NewTrainer(TrainerConfig{Checkpoint: &Checkpoint{}}); return err },
		`train.NewStep: step "critic": want a name of its`: func() error { _, err := a.NewStep("critic", good); return err },
		`train.NewStep: step "": want a name of its`:       func() error { _, err := a.NewStep("", good); return err },
		"model is nil":                 step(func(c *StepConfig) { c.Model = nil }),
		"no Optimizer":                 step(func(c *StepConfig) { c.Optimizer = nil }),
		"BatchSize is -1":              step(func(c *StepConfig) { c.BatchSize = -1 }),
		"the objective has no loss":    step(func(c *StepConfig) { c.Objective = nil }),
		"ClipNorm is NaN":              step(func(c *StepConfig) { c.ClipNorm = math.NaN() }),
		"there are no inputs":          step(func(c *StepConfig) { c.Fields = data.Fields{} }),
		"rate is -1":                   step(func(c *StepConfig) { c.Optimizer = optim.SGD(-1) }),
		"first match of no parameter":  step(func(c *StepConfig) { c.Groups = []optim.Group{{Match: "judge.*"}} }),
		`depends on the input "point"`: step(func(c *StepConfig) { c.Fields = a.critic.cfg.Fields }),
		"no model here": step(func(c *StepConfig) {
			c.Model = func(b *Builder, in Nodes) (Nodes, error) {
				b.Param("new", Constant(0), 1)
				return nil, errors.New("no model here")
			}
		}),
		"batch is nil":                   func() error { _, err := a.critic.Run(nil); return err },
		"a batch of 0 rows, want 1 to 8": func() error { _, err := a.critic.Run(b); return err },
		"Run comes before Apply":         func() error { _, err := a.critic.Apply(); return err },
		"train.Run: step \"forger\": loss is NaN at step 1 (rows 0)": func() error { _, err := a.forger.Run(nan); return err },
		"the trainer has no Checkpoint":                              func() error { return a.Save() },
		"train.Resume: the trainer has no":                           func() error { _, err := a.Resume(); return err },
		"train.Net: model is nil":                                    func() error { _, err := a.Net(nil, fields); return err },
		"train.Net: there are no inputs":                             func() error { _, err := a.Net(fooled, data.Fields{}); return err },
		`"new" is not among the stored`: func() error {
			_, err := a.Net(func(b *Builder, in Nodes) (Nodes, error) { _, err := b.Param("new", Constant(0), 1); return nil, err }, fields)
			return err
		},
		"every row has weight 0": func() error {
			b := a.forger.NewBatch()
			b.SetLen(1)
			b.W[0] = 0
			_, err := a.forger.Run(b)
			return err
		},
		"Rate returned NaN for update 1": func() error {
			b := a.forger.NewBatch()
			b.SetLen(1)
			if _, err := a.forger.Run(b); err != nil {
				return err
			}
			a.forger.cfg.Rate = func(int) float64 { return math.NaN() }
			_, err := a.forger.Apply()
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if len(a.params.list) != made {
		t.Errorf("%d parameters after steps that failed, want %d", len(a.params.list), made)
	}
	defer func() {
		if r := recover(); !strings.Contains(fmt.Sprint(r), "9 rows, and the batch has room for 8") {
			t.Errorf("SetLen panicked with %v", r)
		}
	}()
	b.SetLen(9)
}
