package train

import (
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestLint plants one fault at a time.
func TestLint(t *testing.T) {
	spec := data.Spec{Input: data.Field{Kind: data.Float, Shape: []int{3}}, Target: data.Field{Kind: data.Int}}
	after := func(f func(b *Builder, h *G.Node) (*G.Node, error)) Model {
		return func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.Dense("out", x, 3)
			if err != nil {
				return nil, err
			}
			return f(b, h)
		}
	}
	leafOf := func(b *Builder, opts ...G.NodeConsOpt) *G.Node {
		return G.NewMatrix(b.Graph(), tensor.Float32, append(opts, G.WithShape(37, 3))...)
	}
	value := func() G.NodeConsOpt { return G.WithValue(dense(make([]float32, 111), 37, 3)) }
	for _, c := range []struct {
		name  string
		model Model
		loss  loss.Func
		want  string // "" for a sound model
	}{
		{"linear", linear3, loss.CrossEntropy, ""},
		{"network with dropout", mlp, loss.CrossEntropy, ""},
		{"no loss", mlp, nil, ""},
		{"softmax", after(func(b *Builder, h *G.Node) (*G.Node, error) { return G.SoftMax(h) }), loss.CrossEntropy,
			"Gorgonia's SoftMax"},
		{"dropout", after(func(b *Builder, h *G.Node) (*G.Node, error) { return G.Dropout(h, 0.5) }),
			loss.CrossEntropy, "use Builder.Dropout"},
		{"log2", after(func(b *Builder, h *G.Node) (*G.Node, error) { return G.Log2(h) }), loss.CrossEntropy,
			"Log2 has a wrong gradient by gorgonia.Grad"},
		{"inverse root", after(func(b *Builder, h *G.Node) (*G.Node, error) { return G.InverseSqrt(h) }),
			loss.CrossEntropy, "InverseSqrt has a wrong gradient"},
		{"pool", after(func(b *Builder, h *G.Node) (*G.Node, error) {
			return G.GlobalAveragePool2D(G.Must(G.Reshape(h, tensor.Shape{37, 3, 1, 1})))
		}), nil, "GlobalAveragePool2D has no gradient"},
		{"element", after(func(b *Builder, h *G.Node) (*G.Node, error) { return G.Add(h, G.Must(G.At(h, 0, 0))) }),
			nil, "Gorgonia's At has no gradient"},
		{"cross-entropy of Gorgonia inside", after(func(b *Builder, h *G.Node) (*G.Node, error) {
			return G.BinaryXent(G.Must(G.Sigmoid(h)), G.Must(G.Sigmoid(G.Must(G.Tanh(h)))))
		}), loss.CrossEntropy, ""},
		{"a parameter behind it", func(b *Builder, x *G.Node) (*G.Node, error) {
			p, err := b.Dense("kept", x, 3)
			if err != nil {
				return nil, err
			}
			idle, err := b.Param("idle", Constant(1), 4)
			if err != nil || idle == nil {
				return nil, err
			}
			return G.BinaryXent(G.Must(G.Sigmoid(p)), x)
		}, loss.CrossEntropy, "idle: the loss does not depend"},
		{"unnamed leaf", after(func(b *Builder, h *G.Node) (*G.Node, error) { return G.Add(h, leafOf(b, value())) }),
			loss.CrossEntropy, "without a name"},
		{"leaf without value", after(func(b *Builder, h *G.Node) (*G.Node, error) {
			return G.Add(h, leafOf(b, G.WithName("extra")))
		}), loss.CrossEntropy, "without a value"},
		{"own leaf", after(func(b *Builder, h *G.Node) (*G.Node, error) {
			return G.Add(h, leafOf(b, G.WithName("extra"), value()))
		}), loss.CrossEntropy, "neither trained nor saved"},
		{"unused parameter", after(func(b *Builder, h *G.Node) (*G.Node, error) {
			_, err := b.Param("idle", Constant(1), 4)
			return h, err
		}), loss.CrossEntropy, "idle: the loss does not depend"},
		{"unused without loss", after(func(b *Builder, h *G.Node) (*G.Node, error) {
			_, err := b.Param("idle", Constant(1), 4)
			return h, err
		}), nil, "idle: the output does not depend"},
		{"behind a step", func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.Dense("cut", x, 3)
			if err != nil {
				return nil, err
			}
			if h, err = G.Gt(h, x, true); err != nil {
				return nil, err
			}
			return b.Dense("out", h, 3)
		}, loss.CrossEntropy, "cut.weight: the loss does not depend"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := Lint(c.model, c.loss, spec)
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			hit := false
			for _, f := range found {
				text = append(text, f.String())
				hit = hit || c.want != "" && strings.Contains(f.String(), c.want)
			}
			if c.want == "" && len(found) > 0 || c.want != "" && !hit {
				t.Errorf("found %q, want %q", text, c.want)
			}
		})
	}
	taken := after(func(b *Builder, h *G.Node) (*G.Node, error) {
		leafOf(b, G.WithName("shift"), value())
		return b.Param("shift", Constant(1), 37, 3)
	})
	if _, err := Lint(taken, nil, spec); err == nil || !strings.Contains(err.Error(), `already has a leaf "shift"`) {
		t.Errorf("a parameter under the name of another leaf: %v", err)
	}
	if _, err := Lint(nil, nil, spec); err == nil {
		t.Error("no error for a nil model")
	}
}
