package train

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// decoder maps a code of two numbers to three.
func decoder(b *Builder, in Nodes) (Nodes, error) {
	x, err := b.Dense("decoder.out", in["code"], 3)
	return Nodes{"x": x}, err
}

// autoencoder makes a code of three numbers and three numbers of the code.
func autoencoder(b *Builder, in Nodes) (Nodes, error) {
	code, err := b.Dense("encoder.code", in["x"], 2)
	if err != nil {
		return nil, err
	}
	return decoder(b, Nodes{"code": code})
}

var codeField = map[string]data.Field{"code": {Kind: data.Float, Shape: []int{2}}}

func trainAutoencoder(t *testing.T, cfg Config) *Result {
	t.Helper()
	x := data.Numbers([][]float64{{10, 20, 30}, {11, 21, 32}, {9, 22, 33}, {12, 20, 31}})
	f, err := data.NewFrame(map[string]data.Series{"x": x}, map[string]data.Series{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Epochs == 0 {
		cfg.Epochs = 3
	}
	if cfg.Optimizer == nil {
		cfg.Optimizer = optim.SGD(1e-3)
	}
	res, err := FitNamed(background, autoencoder, Objective{{Output: "x", Target: "x", Loss: loss.MSE}}, f, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestPart: the decoder of a model computes what it does within it, from the net, a file and a
// checkpoint.
func TestPart(t *testing.T) {
	dir := t.TempDir()
	res := trainAutoencoder(t, Config{DType: tensor.Float64, Checkpoint: &Checkpoint{Dir: filepath.Join(dir, "c")}})
	path := filepath.Join(dir, "m")
	if err := res.Save(path); err != nil {
		t.Fatal(err)
	}
	checkpoints, err := Checkpoints(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	code, err := data.NewFrame(map[string]data.Series{"code": data.Numbers([][]float64{{1, -2}})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := res.Params()[2].F64 // of shape (2, 3)
	bias := res.Params()[3].F64
	want := []float64{w[0] - 2*w[3] + bias[0], w[1] - 2*w[4] + bias[1], w[2] - 2*w[5] + bias[2]}
	for name, load := range map[string]func() (*Net, error){
		"net":        func() (*Net, error) { return res.Part("decoder.", decoder, codeField) },
		"file":       func() (*Net, error) { return LoadPart(path, "decoder.", decoder, codeField) },
		"checkpoint": func() (*Net, error) { return LoadPart(checkpoints[len(checkpoints)-1], "decoder.", decoder, codeField) },
	} {
		part, err := load()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out, err := part.PredictNamed(background, code)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, v := range out["x"].Data().([]float64) {
			if math.Abs(v-want[i]) > 1e-12 { // two products
				t.Errorf("%s: number %d is %v, want %v", name, i, v, want[i])
			}
		}
		if err := part.Save(path + ".part"); err != nil {
			t.Fatal(err)
		}
		if again, err := LoadNamed(path+".part", decoder); err != nil || again.Size() != 9 {
			t.Errorf("%s: the part saved and loaded: %v, %v", name, again, err)
		}
	}
	for want, f := range map[string]func() error{
		`no parameter has the prefix "dekoder."`:                                                      func() error { _, err := res.Part("dekoder.", decoder, codeField); return err },
		`the part "" does not fit: the model does not use the stored parameter "encoder.code.weight"`: func() error { _, err := res.Part("", decoder, codeField); return err },
		`"decoder.out.weight" has shape [2 3], want [3 3] as`: func() error {
			_, err := res.Part("decoder.", decoder, map[string]data.Field{"code": {Kind: data.Float, Shape: []int{3}}})
			return err
		},
		"train.Part: model is nil":         func() error { _, err := res.Part("decoder.", nil, codeField); return err },
		"train.Part: there are no inputs":  func() error { _, err := res.Part("decoder.", decoder, nil); return err },
		"train.Part: the Net is empty":     func() error { _, err := new(Net).Part("decoder.", decoder, codeField); return err },
		"train.LoadPart: stat ":            func() error { _, err := LoadPart(path+".no", "decoder.", decoder, codeField); return err },
		`train.LoadPart: no parameter has`: func() error { _, err := LoadPart(path, "x", decoder, codeField); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(want, "[2 3], want [3 3]", "[3 3], want [2 3]")) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestPartFollows: a part shares its numbers with the model, and LoadPart reads a trainer's
// checkpoint.
func TestPartFollows(t *testing.T) {
	dir := t.TempDir()
	a := newAdversaries(t, dir).play(t, 2)
	paths, err := Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(b *Builder, in Nodes) (Nodes, error) {
		out, err := forger(b, in["noise"])
		return Nodes{OutputName: out}, err
	}
	loaded, err := LoadPart(paths[1], "forger.", forge, a.forger.cfg.Fields.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := a.Net(fooled, a.forger.cfg.Fields)
	if err != nil {
		t.Fatal(err)
	}
	part, err := whole.Part("forger.", forge, a.forger.cfg.Fields.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	if !sameArrays(loaded.Params(), part.Params()) {
		t.Error("the part that was loaded differs from that in memory")
	}
	a.round(t)
	if sameArrays(loaded.Params(), part.Params()) {
		t.Error("the part did not follow the training")
	}
}

// TestInitial: a run begins with the numbers that it is given, in a file as well, and with its own
// for the others; frozen ones stay, and a second run unfreezes them.
func TestInitial(t *testing.T) {
	first := trainAutoencoder(t, Config{Seed: 1})
	path := filepath.Join(t.TempDir(), "m")
	if err := first.Save(path); err != nil {
		t.Fatal(err)
	}
	arrays, _, err := weights.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	encoder := weights.WithPrefix(arrays, "encoder.")
	if len(encoder) != 2 {
		t.Fatalf("%d arrays of the encoder, want 2", len(encoder))
	}
	frozen := []optim.Group{{Match: "encoder.*", Frozen: true}}
	warm := trainAutoencoder(t, Config{Seed: 2, Initial: encoder, Groups: frozen})
	cold := trainAutoencoder(t, Config{Seed: 2})
	for i, p := range warm.Params() {
		same := slices.Equal(p.F32, first.Params()[i].F32)
		if want := strings.HasPrefix(p.Name, "encoder."); same != want {
			t.Errorf("%s is as in the file: %v, want %v", p.Name, same, want)
		}
		if slices.Equal(p.F32, cold.Params()[i].F32) {
			t.Errorf("%s is as without a warm start", p.Name)
		}
	}
	thawed := trainAutoencoder(t, Config{Seed: 3, Initial: warm.Params()})
	if slices.Equal(thawed.Params()[0].F32, warm.Params()[0].F32) {
		t.Error("the encoder did not move after it was unfrozen")
	}
	if !slices.Equal(encoder[0].F32, first.Params()[0].F32) {
		t.Error("training changed the arrays of Initial")
	}
	dir := t.TempDir()
	trainAutoencoder(t, Config{Initial: encoder, Checkpoint: &Checkpoint{Dir: dir}})
	ds := blobs(t, 6, 1)
	fit := func(initial ...*weights.Array) error {
		_, err := Fit(background, linear3, loss.CrossEntropy, ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1), Initial: initial})
		return err
	}
	bad := weights.New("out.bias", true, 3)
	bad.F32[1] = float32(math.Inf(1))
	for want, err := range map[string]error{
		`the entry "out.wieght" of Initial is no parameter; they are ["out.weight"`: fit(weights.New("out.wieght", true, 3, 3)),
		`"out.weight" is float32 [2 3], want float32 [3 3]`:                         fit(weights.New("out.weight", true, 2, 3)),
		`"out.weight" is float64 [3 3], want float32`:                               fit(weights.New("out.weight", false, 3, 3)),
		"nil in Initial at index 0":                                                 fit(nil),
		`two entries of Initial have the name "out.bias"`:                           fit(weights.New("out.bias", true, 3), weights.New("out.bias", true, 3)),
		`"out.bias" of Initial is not finite at element 1`:                          fit(bad),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	tr, err := NewTrainer(TrainerConfig{Initial: []*weights.Array{weights.New("nobody", true, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := tr.NewStep("s", StepConfig{Model: fooled, Objective: Objective{meanOf("fake", "fake", 1)},
		Fields: data.Fields{Inputs: map[string]data.Field{"noise": {Kind: data.Float, Shape: []int{2}}}}, Optimizer: optim.SGD(1)})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.SetLen(1)
	if _, err := s.Run(b); err == nil || !strings.Contains(err.Error(), `"nobody" of Initial is no parameter`) {
		t.Errorf("error %v of a trainer's Initial", err)
	}
}

// TestDescription: scaling and class names travel with the model, which takes inputs as they are.
func TestDescription(t *testing.T) {
	x := [][]float64{{1000, 1}, {1002, 1}, {1004, 1}, {1010, 1}}
	ds, err := data.Classes(x, []int{0, 0, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := data.Standardize(data.AsRecords(ds), data.InputName)
	if err != nil {
		t.Fatal(err)
	}
	// Deviations from 1004: 4, 2, 0, 6; 16+4+0+36 = 56, /4.
	if s.Mean[0] != 1004 || s.Std[0] != math.Sqrt(14) || s.Mean[1] != 1 || s.Std[1] != 1 {
		t.Errorf("scaling %+v, want means 1004 and 1, deviations √14 and 1", s)
	}
	model := func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("out", x, 2) }
	dir := t.TempDir()
	cfg := Config{Epochs: 20, Optimizer: optim.SGD(0.5), DType: tensor.Float64, Scaling: map[string]data.Scaling{"input": s},
		Classes: map[string][]string{"target": {"low", "high"}}, Checkpoint: &Checkpoint{Dir: dir, Resume: true}}
	res, err := Fit(background, model, loss.CrossEntropy, ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	scaled := make([][]float64, 4)
	for i, row := range x {
		scaled[i] = []float64{(row[0] - s.Mean[0]) / s.Std[0], row[1] - 1}
	}
	byHand, err := data.Classes(scaled, []int{0, 0, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Fit(background, model, loss.CrossEntropy, byHand, Config{Epochs: 20, Optimizer: optim.SGD(0.5), DType: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	if !sameParams(res.Net, want.Net) {
		t.Error("the parameters differ from those of inputs scaled by hand")
	}
	net, err := loadNewest(dir, model)
	if err != nil {
		t.Fatal(err)
	}
	a, err := res.Predict(background, ds)
	if err != nil {
		t.Fatal(err)
	}
	b, err := net.Predict(background, ds)
	if err != nil || !slices.Equal(a.Data().([]float64), b.Data().([]float64)) {
		t.Errorf("the loaded model predicts otherwise (%v)", err)
	}
	if net.ClassName("target", 1) != "high" || net.ClassName("target", 2) != "2" || net.ClassName("other", 0) != "0" ||
		!slices.Equal(net.Classes("target"), []string{"low", "high"}) || net.Classes("other") != nil {
		t.Errorf("class names %v", net.Classes("target"))
	}
	cfg.Scaling["input"] = data.Scaling{Mean: []float64{0}, Std: []float64{100}}
	if _, err := Fit(background, model, loss.CrossEntropy, ds, cfg); err == nil || !strings.Contains(err.Error(), "is of another run: model is") {
		t.Errorf("error %v of another scaling", err)
	}
	cfg.Checkpoint = nil
	for want, change := range map[string]func(c *Config){
		`scaling of an input "x", which is not there`: func(c *Config) { c.Scaling = map[string]data.Scaling{"x": s} },
		"scaling has 3 numbers for the mean, want 1 or 2": func(c *Config) {
			c.Scaling = map[string]data.Scaling{"input": {Mean: make([]float64, 3), Std: []float64{1}}}
		},
		"scaling has the deviation 0 at 0": func(c *Config) { c.Scaling = map[string]data.Scaling{"input": {Mean: []float64{0}, Std: []float64{0}}} },
		"scaling has the mean NaN at 0": func(c *Config) {
			c.Scaling = map[string]data.Scaling{"input": {Mean: []float64{math.NaN()}, Std: []float64{1}}}
		},
		`names of the classes of "input"`:   func(c *Config) { c.Classes = map[string][]string{"input": {"a"}} },
		"no names of the classes of target": func(c *Config) { c.Classes = map[string][]string{"target": nil} },
	} {
		c := cfg
		change(&c)
		if _, err := Fit(background, model, loss.CrossEntropy, ds, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// loadNewest loads the newest checkpoint of a directory.
func loadNewest(dir string, model Model) (*Net, error) {
	paths, err := Checkpoints(dir)
	if err != nil {
		return nil, err
	}
	return Load(paths[len(paths)-1], model)
}

// TestScale: the gradient of a scaled leaf is that of its numbers over the deviations, and Scale
// refuses what does not fit.
func TestScale(t *testing.T) {
	b := &Builder{construction: &construction{dtype: tensor.Float64}}
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float64, G.WithShape(1, 2), G.WithName("x"), G.WithValue(dense([]float64{3, 5}, 1, 2)))
	y := G.Must(b.Scale(x, data.Scaling{Mean: []float64{1, 2}, Std: []float64{2, 4}}))
	cost := G.Must(G.Sum(G.Must(G.Square(y))))
	grads, err := loss.Gradients(cost, x)
	if err != nil {
		t.Fatal(err)
	}
	second, err := loss.Gradients(G.Must(G.Sum(grads[0])), x)
	if err != nil {
		t.Fatal(err)
	}
	var first, curve G.Value
	G.Read(grads[0], &first)
	G.Read(second[0], &curve)
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	// y = (1, 3/4): 2·y/Std = (1, 3/8), and 2/Std² = (1/2, 1/8).
	if v := first.Data().([]float64); v[0] != 1 || v[1] != 0.375 {
		t.Errorf("gradient %v, want 1 and 0.375", v)
	}
	if v := curve.Data().([]float64); v[0] != 0.5 || v[1] != 0.125 {
		t.Errorf("second derivative %v, want 0.5 and 0.125", v)
	}
	if _, err := b.Scale(nil, data.Scaling{}); err == nil {
		t.Error("no error for nil")
	}
	if _, err := b.Scale(x, data.Scaling{Mean: []float64{1, 2, 3}, Std: []float64{1}}); err == nil {
		t.Error("no error for 3 means of 2 numbers")
	}
}
