package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// layered is a layer behind a shift that is a parameter, so that the derivative by its input is one
// by a parameter.
func layered(shape []int, layer func(b *Builder, x, lengths *G.Node) (*G.Node, error)) Network {
	return func(b *Builder, in Nodes) (Nodes, error) {
		x := in["x"]
		flat := 1
		for _, d := range shape {
			flat *= d
		}
		shift, err := b.Param("shift", Normal(0.3), flat)
		if err != nil {
			return nil, err
		}
		if shift, err = repeatRow(shift, b.Batch()); err != nil {
			return nil, err
		}
		x = G.Must(G.Reshape(G.Must(G.Add(G.Must(G.Reshape(x, tensor.Shape{b.Batch(), flat})), shift)), append(tensor.Shape{b.Batch()}, shape...)))
		y, err := layer(b, x, in["length"])
		if err != nil {
			return nil, err
		}
		y = G.Must(G.Reshape(y, tensor.Shape{b.Batch(), y.Shape().TotalSize() / b.Batch()}))
		// A factor for each number, so that no sum of derivatives is 0 by chance.
		w, err := b.Param("factor", Normal(1), y.Shape()[1])
		if err != nil {
			return nil, err
		}
		if w, err = repeatRow(w, b.Batch()); err != nil {
			return nil, err
		}
		return Nodes{"y": G.Must(G.HadamardProd(y, w))}, nil
	}
}

// checkLayer compares the gradients of a layer with differences, on a batch that is padded.
func checkLayer(t *testing.T, shape []int, lengths bool, layer func(b *Builder, x, lengths *G.Node) (*G.Node, error)) {
	t.Helper()
	fields := data.Fields{Inputs: map[string]data.Field{"x": {Kind: data.Float, Shape: shape}}}
	if lengths {
		fields.Inputs["length"] = data.Field{Kind: data.Int}
	}
	tr, err := NewTrainer(TrainerConfig{Seed: 4, DType: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	s, err := tr.NewStep("s", StepConfig{Model: layered(shape, layer), Fields: fields, BatchSize: 4, Optimizer: optim.SGD(1),
		Objective: Objective{{Name: "y", Build: func(out, _ Nodes, opts ...loss.Option) (*G.Node, error) {
			return loss.Reduce(G.Must(G.Square(out["y"])), opts...)
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.SetLen(3)
	rng := rand.New(rand.NewPCG(1, 9))
	for i := range b.In["x"].F64 {
		b.In["x"].F64[i] = rng.NormFloat64()
	}
	if lengths {
		copy(b.In["length"].Int, []int{shape[0], 0, 1})
	}
	value := func() float64 {
		v, err := s.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		return v["loss"]
	}
	value()
	var analytic [][]float64
	for _, g := range s.graph.grads {
		analytic = append(analytic, slices.Clone(g.F64))
	}
	for i, m := range s.moved {
		for k := range m.param.F64 {
			const h = 1e-5
			old := m.param.F64[k]
			m.param.F64[k] = old + h
			up := value()
			m.param.F64[k] = old - h
			down := value()
			m.param.F64[k] = old
			// Central differences are right to about h² and ε/h, both near 1e-10 of losses near 1.
			if want := (up - down) / (2 * h); !(math.Abs(analytic[i][k]-want) <= 1e-8*(1+math.Abs(want))) {
				t.Errorf("gradient of %s at %d is %v, want %v", m.param.Name, k, analytic[i][k], want)
			}
		}
	}
}

func TestLayerGradients(t *testing.T) {
	for _, c := range []struct {
		name    string
		shape   []int
		lengths bool
		layer   func(b *Builder, x, lengths *G.Node) (*G.Node, error)
	}{
		{"convolution", []int{4, 5, 2}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) {
			return b.Conv2D("c", x, 3, Window{Height: 2, Width: 3})
		}},
		{"convolution with stride and padding", []int{5, 4, 2}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) {
			return b.Conv2D("c", x, 2, Window{Height: 3, Width: 3, Stride: 2, Pad: 1})
		}},
		{"largest", []int{4, 5, 2}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) { return b.MaxPool2D(x, Window{Height: 2, Width: 3}) }},
		{"mean", []int{4, 6, 2}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) {
			return b.MeanPool2D(x, Window{Height: 2, Width: 2, Stride: 2})
		}},
		{"states", []int{3, 2}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) { s, _, err := b.GRU("g", x, nil, 3); return s, err }},
		{"states with lengths", []int{3, 2}, true, func(b *Builder, x, l *G.Node) (*G.Node, error) { s, _, err := b.GRU("g", x, l, 3); return s, err }},
		{"last state with lengths", []int{3, 2}, true, func(b *Builder, x, l *G.Node) (*G.Node, error) { _, s, err := b.GRU("g", x, l, 3); return s, err }},
		{"columns", []int{3}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) {
			h, err := b.Dense("d", x, 2)
			if err != nil {
				return nil, err
			}
			return b.Concat(x, h, x)
		}},
		{"inner products", []int{3, 5}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) {
			h, err := b.Dense("d", G.Must(G.Reshape(x, tensor.Shape{b.Batch(), 15})), 5)
			if err != nil {
				return nil, err
			}
			return b.Dot(x, h)
		}},
		{"layer norm", []int{2, 4}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) { return b.LayerNorm("n", x) }},
		{"batch norm", []int{4}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) { return b.BatchNorm("n", x) }},
		{"batch norm of pictures", []int{2, 2, 3}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) { return b.BatchNorm("n", x) }},
	} {
		t.Run(c.name, func(t *testing.T) { checkLayer(t, c.shape, c.lengths, c.layer) })
	}
}

// forwardOf predicts with a layer of float64 parameters for one input of the given shape, and
// returns the parameters by name.
func forwardOf(t *testing.T, fields map[string]data.Field, layer func(b *Builder, in Nodes) (*G.Node, error), row Row) ([]float64, map[string][]float64) {
	t.Helper()
	params := newParamSet(tensor.Float64, 3)
	model := func(b *Builder, in Nodes) (Nodes, error) {
		y, err := layer(b, in)
		return Nodes{"y": y}, err
	}
	if _, err := build(model, fields, params, 1, false); err != nil {
		t.Fatal(err)
	}
	net := &Net{model: model, about: description{fields: data.Fields{Inputs: fields}}, params: params}
	out, err := net.PredictRow(background, row)
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string][]float64)
	for _, a := range params.list {
		byName[a.Name] = a.F64
	}
	return out["y"].F64, byName
}

// TestConvolutionByHand compares with the sum of the formula.
func TestConvolutionByHand(t *testing.T) {
	const height, width, channels, units = 5, 4, 2, 3
	x := make([]float64, height*width*channels)
	rng := rand.New(rand.NewPCG(2, 3))
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	at := func(i, j, c int) float64 {
		if i < 0 || i >= height || j < 0 || j >= width {
			return 0
		}
		return x[(i*width+j)*channels+c]
	}
	fields := map[string]data.Field{"x": {Kind: data.Float, Shape: []int{height, width, channels}}}
	for _, w := range []Window{{Height: 1, Width: 1}, {Height: 2, Width: 3}, {Height: 3, Width: 2, Stride: 2, Pad: 1}, {Height: 5, Width: 4}, {Height: 4, Width: 4, Pad: 3, Stride: 3}} {
		got, params := forwardOf(t, fields, func(b *Builder, in Nodes) (*G.Node, error) { return b.Conv2D("c", in["x"], units, w) }, Row{"x": {F64: x}})
		weight, bias, s := params["c.weight"], params["c.bias"], max(w.Stride, 1)
		h, wd := (height+2*w.Pad-w.Height)/s+1, (width+2*w.Pad-w.Width)/s+1
		if len(got) != h*wd*units {
			t.Fatalf("%+v: %d numbers, want %d", w, len(got), h*wd*units)
		}
		for i := range h {
			for j := range wd {
				for k := range units {
					want := bias[k]
					for a := range w.Height {
						for c := range w.Width {
							for d := range channels {
								want += at(s*i+a-w.Pad, s*j+c-w.Pad, d) * weight[((a*w.Width+c)*channels+d)*units+k]
							}
						}
					}
					// Sums of at most 40 products in another order.
					if v := got[(i*wd+j)*units+k]; math.Abs(v-want) > 1e-13 {
						t.Errorf("%+v: %v at %d %d %d, want %v", w, v, i, j, k, want)
					}
				}
			}
		}
	}
}

func TestPoolingByHand(t *testing.T) {
	fields := map[string]data.Field{"x": {Kind: data.Float, Shape: []int{2, 3, 1}}}
	x := []float64{1, 5, 2, 4, 3, 6}
	largest, _ := forwardOf(t, fields, func(b *Builder, in Nodes) (*G.Node, error) { return b.MaxPool2D(in["x"], Window{Height: 2, Width: 2}) }, Row{"x": {F64: x}})
	if !slices.Equal(largest, []float64{5, 6}) {
		t.Errorf("largest numbers %v, want 5 and 6", largest)
	}
	mean, _ := forwardOf(t, fields, func(b *Builder, in Nodes) (*G.Node, error) { return b.MeanPool2D(in["x"], Window{Height: 2, Width: 3}) }, Row{"x": {F64: x}})
	if len(mean) != 1 || math.Abs(mean[0]-3.5) > 1e-15 { // six products with 1/6
		t.Errorf("mean %v, want 21/6", mean)
	}
	p := pooling{Window{Height: 1, Width: 3, Stride: 1}, tensor.Shape{1, 1, 3, 1}, tensor.Float64, true}
	for _, c := range []struct {
		x    []float64
		want float64
		at   int
	}{{[]float64{2, 2, 1}, 2, 0}, {[]float64{1, math.NaN(), 3}, math.NaN(), 1}, {[]float64{math.Inf(-1), math.Inf(-1), math.Inf(-1)}, math.Inf(-1), 0}} {
		v := dense(c.x, 1, 1, 3, 1)
		y, err := poolValues[float64](&room{}, p, v, v, true)
		if err != nil {
			t.Fatal(err)
		}
		g, err := poolValues[float64](&room{}, p, v, dense([]float64{1}, 1, 1, 1, 1), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := y.Data().([]float64)[0]; !same(got, c.want) || g.Data().([]float64)[c.at] != 1 {
			t.Errorf("%v pools to %v with the derivative %v, want %v at %d", c.x, got, g.Data(), c.want, c.at)
		}
	}
}

// TestGRUByHand compares with the formulas, and padding with a shorter sequence.
func TestGRUByHand(t *testing.T) {
	const steps, inputs, units = 4, 2, 3
	fields := map[string]data.Field{"x": {Kind: data.Float, Shape: []int{steps, inputs}}, "length": {Kind: data.Int}}
	x := []float64{0.5, -1, 2, 0.1, -0.7, 0.3, 1, 1}
	for _, length := range []int{0, 1, 3, 4} {
		row := Row{"x": {F64: x}, "length": {Int: []int{length}}}
		var last bool
		layer := func(b *Builder, in Nodes) (*G.Node, error) {
			states, end, err := b.GRU("g", in["x"], in["length"], units)
			if last {
				return end, err
			}
			return states, err
		}
		states, p := forwardOf(t, fields, layer, row)
		last = true
		end, _ := forwardOf(t, fields, layer, row)
		h := make([]float64, units)
		for s := range steps {
			if s < length {
				next := make([]float64, units)
				gate := func(block, j int) (in, state float64) {
					in, state = p["g.bias_input"][block*units+j], p["g.bias_state"][block*units+j]
					for i := range inputs {
						in += x[s*inputs+i] * p["g.weight_input"][i*3*units+block*units+j]
					}
					for i := range units {
						state += h[i] * p["g.weight_state"][i*3*units+block*units+j]
					}
					return in, state
				}
				for j := range units {
					a, b := gate(0, j)
					r := 1 / (1 + math.Exp(-a-b))
					a, b = gate(1, j)
					z := 1 / (1 + math.Exp(-a-b))
					a, b = gate(2, j)
					next[j] = (1-z)*math.Tanh(a+r*b) + z*h[j]
				}
				h = next
			}
			for j, want := range h {
				if got := states[s*units+j]; math.Abs(got-want) > 1e-14 { // a few roundings of numbers below 1
					t.Errorf("length %d: state %d after step %d is %v, want %v", length, j, s, got, want)
				}
			}
		}
		if !slices.Equal(end, states[(steps-1)*units:]) {
			t.Errorf("length %d: last state %v, want %v", length, end, states[(steps-1)*units:])
		}
	}
}

// TestGatesAtTheirEnds: gates of numbers of any size, of which one is NaN.
func TestGatesAtTheirEnds(t *testing.T) {
	x := []float64{math.Inf(-1), -1e300, -800, -20, -1e-300, 0, 1e-300, 1e-9, 0.5, 20, 800, 1e300, math.Inf(1), math.NaN()}
	c := gru{rows: 1, steps: 1, units: len(x), dtype: tensor.Float64}
	k := c.units
	g := newGates[float64](c)
	g.step(c, 0, slices.Concat(x, x, x), make([]float64, 3*k*k), make([]float64, 3*k), make([]float64, k))
	for i, a := range x {
		gate, n := 1/(1+math.Exp(-a)), math.Tanh(a)
		for _, v := range []struct{ got, want float64 }{{g.r[i], gate}, {g.z[i], gate}, {g.n[i], n}} {
			if !same(v.got, v.want) && !(math.Abs(v.got-v.want) <= 1e-15*math.Abs(v.want)) { // 4 units in the last place
				t.Errorf("a gate of %v is %v, want %v", a, v.got, v.want)
			}
		}
	}
}

// normed is a model with a batch norm and noise, whose running averages are state of a run.
func normed(b *Builder, x *G.Node) (*G.Node, error) {
	noise, err := b.Noise("noise", 3)
	if err != nil {
		return nil, err
	}
	small := G.NewConstant(float32(0.1))
	if b.DType() == tensor.Float64 {
		small = G.NewConstant(0.1)
	}
	if x, err = G.Add(x, G.Must(G.HadamardProd(noise, small))); err != nil {
		return nil, err
	}
	if x, err = b.BatchNorm("norm", x); err != nil {
		return nil, err
	}
	return b.Dense("out", x, 3)
}

// TestBatchNormByHand: a padded batch has the moments of its rows, the averages follow each batch,
// and prediction uses them.
func TestBatchNormByHand(t *testing.T) {
	f, err := data.NewFrame(map[string]data.Series{"x": data.Numbers([][]float64{{1}, {3}, {8}})}, map[string]data.Series{"y": data.Numbers([][]float64{{0}, {0}, {0}})})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, in Nodes) (Nodes, error) {
		y, err := b.BatchNorm("norm", in["x"])
		return Nodes{"y": y}, err
	}
	res, err := FitNamed(background, model, Objective{{Output: "y", Target: "y", Loss: loss.MSE}}, f,
		Config{Epochs: 1, BatchSize: 2, KeepOrder: true, DType: tensor.Float64, Optimizer: optim.SGD(1e-12)})
	if err != nil {
		t.Fatal(err)
	}
	averages := make(map[string]float64)
	for _, p := range res.Params() {
		averages[p.Name] = p.F64[0]
	}
	// The batches are (1, 3), with mean 2 and variance 1, and (8), padded, with mean 8 and
	// variance 0.
	mean, variance := 0.9*(0.1*2)+0.1*8, 0.9*(0.9+0.1*1)+0
	if math.Abs(averages["norm.running_mean"]-mean) > 1e-15 || math.Abs(averages["norm.running_var"]-variance) > 1e-15 {
		t.Errorf("averages %v, want %v and %v", averages, mean, variance)
	}
	out, err := res.PredictRow(background, Row{"x": {F64: []float64{5}}})
	if want := (5 - mean) / math.Sqrt(variance+1e-5); err != nil || math.Abs(out["y"].F64[0]-want) > 1e-9 { // the gain has moved by 1e-12
		t.Errorf("5 becomes %v (%v), want %v", out["y"], err, want)
	}
	frozen, err := FitNamed(background, model, Objective{{Output: "y", Target: "y", Loss: loss.MSE}}, f,
		Config{Epochs: 1, Optimizer: optim.SGD(1), Groups: []optim.Group{{Match: "norm.*", Frozen: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range frozen.Params() {
		if want := map[string]float32{"norm.weight": 1, "norm.bias": 0, "norm.running_mean": 0, "norm.running_var": 1}[p.Name]; p.F32[0] != want {
			t.Errorf("%s is %v after a run with all of it frozen, want %v", p.Name, p.F32[0], want)
		}
	}
}

// normConfig is a run whose checkpoints hold running averages, the best among them.
func normConfig(t testing.TB, dir string) Config {
	c := Config{Epochs: 3, BatchSize: 8, Optimizer: optim.Adam(0.05), Seed: 3, Validation: blobs(t, 12, 9), EarlyStop: &EarlyStop{Patience: 5}}
	if dir != "" {
		c.Checkpoint = &Checkpoint{Dir: dir, Resume: true, EverySteps: 1}
	}
	return c
}

// TestBatchNormResumes: running averages and noise go on to the same bits, and a model that was
// loaded predicts the same.
func TestBatchNormResumes(t *testing.T) {
	ds := blobs(t, 30, 8)
	cfg := func(dir string) Config { return normConfig(t, dir) }
	want := mustFit(t, normed, ds, cfg(""))
	for step := 1; step <= want.Steps; step += 2 {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(background)
		c := cfg(dir)
		c.Callbacks = []Callback{stopAt(step, cancel)}
		Fit(ctx, normed, loss.CrossEntropy, ds, c) // its error is that of the context
		cancel()
		sameRun(t, fmt.Sprintf("after step %d", step), mustFit(t, normed, ds, cfg(dir)), want)
		loaded, err := loadNewest(dir, normed)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(loaded.Params()); n != 6 {
			t.Errorf("%d arrays were loaded, want 6 with the averages", n)
		}
	}
	found, err := Lint(normed, loss.CrossEntropy, ds.Spec())
	if err != nil || len(found) > 0 {
		t.Errorf("lint found %v (%v)", found, err)
	}
}

// TestLengthMask: the positions before an end count.
func TestLengthMask(t *testing.T) {
	fields := map[string]data.Field{"length": {Kind: data.Int}}
	for length, want := range [][]float64{{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {1, 1, 1}} {
		got, _ := forwardOf(t, fields, func(b *Builder, in Nodes) (*G.Node, error) { return b.LengthMask(in["length"], 3) }, Row{"length": {Int: []int{length}}})
		if !slices.Equal(got, want) {
			t.Errorf("length %d: %v, want %v", length, got, want)
		}
	}
}

// TestNoise: the numbers are standard normal, differ from batch to batch and are the same for the
// same batch.
func TestNoise(t *testing.T) {
	n := &noise{name: "n", normal: true, buf: data.Column{F64: make([]float64, 10000)}}
	n.draw(1, 1)
	first := slices.Clone(n.buf.F64)
	var mean, square float64
	for _, v := range first {
		mean += v / 10000
		square += v * v / 10000
	}
	// Within five standard errors: 5/√10000 and 5·√(2/10000).
	if math.Abs(mean) > 0.05 || math.Abs(square-1) > 0.0708 {
		t.Errorf("mean %v and mean square %v, want 0 and 1", mean, square)
	}
	n.draw(1, 2)
	if slices.Equal(n.buf.F64, first) {
		t.Error("two batches have the same noise")
	}
	n.draw(1, 1)
	if !slices.Equal(n.buf.F64, first) {
		t.Error("a batch has other noise when it is drawn again")
	}
}

// TestLayerFaults: what a layer does not take is an error with its name.
func TestLayerFaults(t *testing.T) {
	picture := map[string]data.Field{"x": {Kind: data.Float, Shape: []int{4, 4, 1}}, "length": {Kind: data.Int}, "row": {Kind: data.Float, Shape: []int{3}}, "seq": {Kind: data.Float, Shape: []int{3, 2}}}
	for want, layer := range map[string]func(b *Builder, in Nodes) error{
		`train.Conv2D: "c": input has shape (2, 3), want`: func(b *Builder, in Nodes) error {
			_, err := b.Conv2D("c", in["row"], 1, Window{Height: 1, Width: 1})
			return err
		},
		`train.Conv2D: "c": input is nil`: func(b *Builder, in Nodes) error {
			_, err := b.Conv2D("c", nil, 1, Window{Height: 1, Width: 1})
			return err
		},
		`want a height, a width and a stride of at least 1`: func(b *Builder, in Nodes) error { _, err := b.Conv2D("c", in["x"], 1, Window{Height: 1}); return err },
		`a window of 5 by 1 is larger than the picture`: func(b *Builder, in Nodes) error {
			_, err := b.Conv2D("c", in["x"], 1, Window{Height: 5, Width: 1})
			return err
		},
		`"c" has 0 units, want at least 1`: func(b *Builder, in Nodes) error {
			_, err := b.Conv2D("c", in["x"], 0, Window{Height: 1, Width: 1})
			return err
		},
		`train.MaxPool2D: 1 zeros around a picture`: func(b *Builder, in Nodes) error {
			_, err := b.MaxPool2D(in["x"], Window{Height: 1, Width: 1, Pad: 1})
			return err
		},
		`train.GRU: input of "g" has shape (2, 3), want`:     func(b *Builder, in Nodes) error { _, _, err := b.GRU("g", in["row"], nil, 1); return err },
		`train.GRU: lengths of "g" are float64 of shape (2,`: func(b *Builder, in Nodes) error { _, _, err := b.GRU("g", in["seq"], in["row"], 1); return err },
		`train.GRU: "g" has 0 units`:                         func(b *Builder, in Nodes) error { _, _, err := b.GRU("g", in["seq"], nil, 0); return err },
		`train.LayerNorm: input of "n" has shape (2), want`:  func(b *Builder, in Nodes) error { _, err := b.LayerNorm("n", in["length"]); return err },
		`train.BatchNorm: input of "n" is nil`:               func(b *Builder, in Nodes) error { _, err := b.BatchNorm("n", nil); return err },
		`train.Noise: "n" has shape [0], want positive`:      func(b *Builder, in Nodes) error { _, err := b.Noise("n", 0); return err },
		`train.Noise: name "a" is used twice`:                func(b *Builder, in Nodes) error { b.Noise("a", 1); _, err := b.Noise("a", 1); return err },
		`train.Concat: nothing to put together`:              func(b *Builder, in Nodes) error { _, err := b.Concat(); return err },
		`train.Concat: part 1 has shape (2), want shape (ro`: func(b *Builder, in Nodes) error { _, err := b.Concat(in["row"], in["length"]); return err },
		`train.LengthMask: lengths has shape (2, 3), want`:   func(b *Builder, in Nodes) error { _, err := b.LengthMask(in["row"], 3); return err },
		`train.LengthMask: width is 0`:                       func(b *Builder, in Nodes) error { _, err := b.LengthMask(in["length"], 0); return err },
	} {
		_, err := build(func(b *Builder, in Nodes) (Nodes, error) { return nil, layer(b, in) }, picture, newParamSet(tensor.Float64, 0), 2, true)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for name, layer := range map[string]func(b *Builder, in Nodes) (*G.Node, error){
		"train: length 0 is 4, want 0 to 3": func(b *Builder, in Nodes) (*G.Node, error) { return b.LengthMask(in["length"], 3) },
		"length 0 is 4, want 0 to 3": func(b *Builder, in Nodes) (*G.Node, error) {
			_, last, err := b.GRU("g", in["seq"], in["length"], 2)
			return last, err
		},
	} {
		params := newParamSet(tensor.Float64, 0)
		fields := map[string]data.Field{"length": picture["length"], "seq": picture["seq"]}
		model := func(b *Builder, in Nodes) (Nodes, error) { y, err := layer(b, in); return Nodes{"y": y}, err }
		if _, err := build(model, fields, params, 1, false); err != nil {
			t.Fatal(err)
		}
		net := &Net{model: model, about: description{fields: data.Fields{Inputs: fields}}, params: params}
		if _, err := net.PredictRow(background, Row{"length": {Int: []int{4}}, "seq": {F64: make([]float64, 6)}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}
