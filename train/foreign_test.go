package train

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// published is a model as Gorgonia's examples write them: its first layer is a leaf with an
// initialiser.
func published(init G.InitWFn) Model {
	return func(b *Builder, x *G.Node) (*G.Node, error) {
		w := G.NewMatrix(b.Graph(), tensor.Float32, G.WithShape(3, 3), G.WithName("w0"), G.WithInit(init))
		h, err := G.Mul(x, w)
		if err != nil {
			return nil, err
		}
		return b.Dense("out", h, 3)
	}
}

// TestForeignLeaves: a leaf that is drawn anew for each graph makes training, evaluation and a
// loaded model different ones; all refuse it and name it.
func TestForeignLeaves(t *testing.T) {
	ds := blobs(t, 12, 1)
	cfg := Config{Epochs: 1, Optimizer: optim.SGD(0.1)}
	const want = `the model has a leaf "w0" of shape (3, 3) that is no parameter and is not the same each time the model is built`
	refusal := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", what, err, want)
		}
	}
	_, err := Fit(background, published(G.GlorotU(1)), loss.CrossEntropy, ds, cfg)
	refusal("Fit", err)

	// One that changes only later: the model is sound until then.
	random := false
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		if random {
			return published(G.Gaussian(0, 1))(b, x)
		}
		return published(G.Ones())(b, x)
	}
	res, err := Fit(background, model, loss.CrossEntropy, ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.safetensors")
	if err := res.Save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, model); err != nil {
		t.Errorf("Load: %v", err)
	}
	random = true
	_, err = res.Evaluate(background, loss.CrossEntropy, ds)
	refusal("Evaluate", err)
	_, err = res.Predict(background, ds)
	refusal("Predict", err)
	_, err = Load(path, model)
	refusal("Load", err)
}

// TestForeignLeavesThatAreTheSame: constants, masks with infinities and NaN, and whole numbers are
// as good as any.
func TestForeignLeavesThatAreTheSame(t *testing.T) {
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("out", x, 3)
		if err != nil {
			return nil, err
		}
		bias := make([]float32, 3*b.Batch())
		bias[0] = float32(math.Inf(-1))
		m := G.NewMatrix(b.Graph(), tensor.Float32, G.WithShape(b.Batch(), 3), G.WithName("mask"),
			G.WithValue(dense(bias, b.Batch(), 3)))
		if h, err = G.Add(h, m); err != nil {
			return nil, err
		}
		return G.Mul(h, G.NewConstant(float32(2)))
	}
	ds := blobs(t, 12, 1)
	if _, err := Fit(background, model, loss.CrossEntropy, ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1), Validation: ds}); err == nil ||
		!strings.Contains(err.Error(), "not finite") && !strings.Contains(err.Error(), "loss is") {
		// Row 0 has the label 0, whose logit is -Inf: what is wrong is the loss, not the leaf.
		t.Errorf("error %v, want one about the infinite loss", err)
	}
	nan := G.NewVector(G.NewGraph(), tensor.Float64, G.WithShape(2), G.WithName("a"),
		G.WithValue(dense([]float64{math.NaN(), 1}, 2)))
	other := G.NewVector(G.NewGraph(), tensor.Float64, G.WithShape(2), G.WithName("a"),
		G.WithValue(dense([]float64{math.NaN(), 1}, 2)))
	third := G.NewVector(G.NewGraph(), tensor.Float64, G.WithShape(2), G.WithName("a"),
		G.WithValue(dense([]float64{math.NaN(), 2}, 2)))
	if !sameLeaf(nan, other) || sameLeaf(nan, third) {
		t.Error("NaN is the same as NaN, 1 not as 2")
	}
}

// TestLeafWithoutValue is refused before a machine runs into it.
func TestLeafWithoutValue(t *testing.T) {
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("out", x, 3)
		if err != nil {
			return nil, err
		}
		return G.Add(h, G.NewMatrix(b.Graph(), tensor.Float32, G.WithShape(b.Batch(), 3), G.WithName("extra")))
	}
	_, err := Fit(background, model, loss.CrossEntropy, blobs(t, 12, 1), Config{Epochs: 1, Optimizer: optim.SGD(0.1)})
	if err == nil || !strings.Contains(err.Error(), `the model has a leaf "extra" of shape (12, 3) without a value`) {
		t.Errorf("error %v, want one that names the leaf", err)
	}
}

// TestWrongOperations: what Lint knows to be wrong is refused with the reason, unless the model
// allows it.
func TestWrongOperations(t *testing.T) {
	with := func(allow []string, f func(h *G.Node) (*G.Node, error)) Model {
		return func(b *Builder, x *G.Node) (*G.Node, error) {
			if err := b.Allow(allow...); err != nil {
				return nil, err
			}
			h, err := b.Dense("out", x, 3)
			if err != nil {
				return nil, err
			}
			return f(h)
		}
	}
	softmax := func(h *G.Node) (*G.Node, error) { return G.SoftMax(h) }
	dropout := func(h *G.Node) (*G.Node, error) { return G.Dropout(h, 0.5) }
	between := func(h *G.Node) (*G.Node, error) { return G.MaxBetween(h, G.Must(G.Neg(h))) }
	ds := blobs(t, 12, 1)
	for _, c := range []struct {
		name  string
		model Model
		want  string
	}{
		{"softmax", with(nil, softmax), `Gorgonia's SoftMax takes the row maximum from the whole tensor`},
		{"the option's name", with(nil, softmax), `Builder.Allow("SoftMax") takes it as it is`},
		{"another allowed", with([]string{"Dropout"}, softmax), "Gorgonia's SoftMax"},
		{"dropout", with(nil, dropout), "use Builder.Dropout"},
		{"unknown", with([]string{"Softmax"}, softmax), `train.Allow: "Softmax" is not refused; refused are ["At" "AveragePool2D" "BatchNorm" "ByIndices" "CTCLoss" "Dropout" "GlobalAveragePool2D" "Random" "SoftMax" "Sparsemax"]`},
		{"allowed", with([]string{"SoftMax"}, softmax), ""},
		{"allowed, and without a right gradient", with([]string{"Dropout"}, dropout),
			"gorgonia.Dropout has a wrong derivative"},
		{"wrong on another machine only", with(nil, between), ""},
	} {
		_, err := Fit(background, c.model, loss.CrossEntropy, ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
