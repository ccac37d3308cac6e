package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Dense returns x·W + b for x of shape (rows, inputs): shape (rows, units).
//
// Parameters: name.weight of shape (inputs, units) and name.bias of shape (units), both drawn by
// [FanIn] of the inputs. DenseWith takes other initialisers.
func (b *Builder) Dense(name string, x *G.Node, units int) (*G.Node, error) {
	if x == nil || x.Dims() != 2 {
		return nil, fmt.Errorf("train.Dense: input of %q %s, want shape (rows, inputs)", name, describe(x))
	}
	bound := 1 / math.Sqrt(float64(x.Shape()[1]))
	return b.DenseWith(name, x, units, Uniform(bound), Uniform(bound))
}

// DenseWith is [Builder.Dense] with initialisers for the weight and the bias. A nil bias means no
// bias.
func (b *Builder) DenseWith(name string, x *G.Node, units int, weight, bias Init) (*G.Node, error) {
	switch {
	case name == "":
		return nil, errors.New("train.Dense: name is empty")
	case x == nil || x.Dims() != 2:
		return nil, fmt.Errorf("train.Dense: input of %q %s, want shape (rows, inputs)", name, describe(x))
	case x.Dtype() != b.dtype:
		return nil, fmt.Errorf("train.Dense: input of %q is %v, want %v", name, x.Dtype(), b.dtype)
	case units <= 0:
		return nil, fmt.Errorf("train.Dense: %q has %d units, want at least 1", name, units)
	}
	w, err := b.Param(name+".weight", weight, x.Shape()[1], units)
	if err != nil {
		return nil, err
	}
	if bias == nil {
		return product(x, w, false, false)
	}
	c, err := b.Param(name+".bias", bias, units)
	if err != nil {
		return nil, err
	}
	return affine(x, w, c)
}

func describe(n *G.Node) string {
	if n == nil {
		return "is nil"
	}
	return fmt.Sprintf("has shape %v", n.Shape())
}

// Embedding returns the rows of a table selected by ids: shape (ids..., width). ids is a node of
// Int with entries in [0, vocabulary); an entry outside is an error when the graph runs.
//
// Parameter: name.weight of shape (vocabulary, width), drawn from a normal distribution with
// standard deviation 1, as in PyTorch. EmbeddingWith takes another initialiser.
func (b *Builder) Embedding(name string, ids *G.Node, vocabulary, width int) (*G.Node, error) {
	return b.EmbeddingWith(name, ids, vocabulary, width, Normal(1))
}

// EmbeddingWith is [Builder.Embedding] with an initialiser. Rows that training never reaches keep
// their initial values, so small initial values limit the effect of rare tokens.
func (b *Builder) EmbeddingWith(name string, ids *G.Node, vocabulary, width int, table Init) (*G.Node, error) {
	switch {
	case name == "":
		return nil, errors.New("train.Embedding: name is empty")
	case ids != nil && ids.Dtype() != tensor.Int:
		return nil, fmt.Errorf("train.Embedding: indices of %q have dtype %v, want int", name, ids.Dtype())
	case ids == nil || ids.Dims() == 0:
		return nil, fmt.Errorf("train.Embedding: input of %q %s, want a node with at least one dimension", name, describe(ids))
	case vocabulary <= 0 || width <= 0:
		return nil, fmt.Errorf("train.Embedding: %q has vocabulary %d and width %d, want at least 1", name, vocabulary, width)
	}
	w, err := b.Param(name+".weight", table, vocabulary, width)
	if err != nil {
		return nil, err
	}
	return gather(w, ids)
}

// Dropout sets each element of x to 0 with probability p in [0, 1) and divides the others by 1-p
// during training; otherwise it returns x itself. The pattern of a step depends only on the run's
// seed, the name and the step. (Gorgonia's own Dropout scales gradients incorrectly.)
//
// Reference: N. Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from
// Overfitting, 2014.
func (b *Builder) Dropout(name string, x *G.Node, p float64) (*G.Node, error) {
	switch {
	case x == nil || x.Dims() == 0 || x.Dtype() != b.dtype:
		return nil, fmt.Errorf("train.Dropout: input of %q %s, want a tensor of %v", name, describe(x), b.dtype)
	case !(p >= 0 && p < 1):
		return nil, fmt.Errorf("train.Dropout: p of %q is %v, want a number in [0, 1)", name, p)
	}
	name, err := b.reserveUse("Dropout", name)
	if err != nil {
		return nil, err
	}
	if !b.training || p == 0 {
		return x, nil
	}
	shape := x.Shape()
	mask := name + ".mask"
	c, err := leaf(b.graph, mask, mask, data.Field{Kind: data.Float, Shape: shape[1:]}, b.dtype, shape[0])
	if err != nil {
		return nil, fmt.Errorf("train.Dropout: %w", err)
	}
	b.noises = append(b.noises, &noise{name: name, p: p, node: c.node, buf: c.Column})
	return G.HadamardProd(x, c.node)
}
