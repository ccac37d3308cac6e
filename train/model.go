package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A Model builds the forward graph from the input x and returns its output node, usually logits. x
// has the shape (batch, shape of one input) and the dtype of the run, or Int if the dataset's
// inputs are whole numbers.
//
// The function is called several times, for training, evaluation and prediction at different batch
// sizes, and must build the same model each time, with the same parameters by name. Parameters come
// from [Builder.Param] or from a layer; everything else is plain Gorgonia in the graph of x. Give
// each leaf of your own a unique name: Gorgonia merges unnamed leaves of one shape. A leaf whose
// numbers differ from call to call, such as one with a random WithInit, is refused by name. So are
// operations of Gorgonia that are known to be wrong, unless [Builder.Allow] names them.
//
// A panic of the function is an error of the call that builds the model, with the line that
// panicked. So gorgonia.Must may stand around layers and operations:
//
//	h := G.Must(G.Rectify(G.Must(b.Dense("hidden", x, 128))))
type Model func(b *Builder, x *G.Node) (*G.Node, error)

// A Builder provides a [Model] with parameters, layers and the properties of the graph under
// construction. Each parameter and each layer has a name of its own; [Builder.Again] applies them
// once more.
type Builder struct {
	*construction
	again bool // names are those of parameters that exist
}

// construction is a graph that a model fills.
type construction struct {
	graph    *G.ExprGraph
	dtype    tensor.Dtype
	batch    int
	training bool
	params   *paramSet
	used     []*weights.Array
	leaves   G.Nodes
	noises   []*noise
	present  *column    // rows of the batch that are there; nil where no layer asks
	averages []*average // of layers that keep running statistics
	names    map[string]bool
	allowed  []string // operations of Gorgonia that the model wants in spite of what is wrong with them
}

// Graph returns the graph under construction, the graph of x.
func (b *Builder) Graph() *G.ExprGraph { return b.graph }

// DType returns the element type of parameters and features: tensor.Float32 or tensor.Float64.
func (b *Builder) DType() tensor.Dtype { return b.dtype }

// Batch returns the number of rows of the graph.
func (b *Builder) Batch() int { return b.batch }

// Training reports whether the graph is for training, where dropout is active.
func (b *Builder) Training() bool { return b.training }

// Again returns a builder of the same graph for applying layers a second time, and any number of
// times, with the parameters that they have: the two branches of a siamese network, or an embedding
// that is also the output's matrix.
//
//	left, err := encode(b, in["left"])
//	...
//	right, err := encode(b.Again(), in["right"])
//
// A parameter has one gradient, the sum over all of its uses, and one entry in checkpoints and in
// [Summarize]. A name that the model has not used before is an error, and so is another shape;
// initialisers are not called. Dropout and Noise draw other numbers at each use, and the running
// averages of BatchNorm follow the batch of each use in turn.
func (b *Builder) Again() *Builder { return &Builder{b.construction, true} }

// reserve claims a name within the graph.
func (b *Builder) reserve(fn, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("train.%s: name is empty", fn)
	case b.names[name]:
		return fmt.Errorf("train.%s: name %q is used twice; Again applies a layer once more", fn, name)
	}
	b.names[name] = true
	return nil
}

// reserveUse claims the name of a source of random numbers, and where it is used again a name for
// this use.
func (b *Builder) reserveUse(fn, name string) (string, error) {
	if !b.again {
		return name, b.reserve(fn, name)
	}
	if !b.names[name] {
		return "", fmt.Errorf("train.%s: Again: the model has not used the name %q before", fn, name)
	}
	for n := 2; ; n++ {
		if use := fmt.Sprintf("%s use %d", name, n); !b.names[use] {
			return use, b.reserve(fn, use)
		}
	}
}

// Param returns the leaf of a parameter with the given name and shape, which has at least one
// dimension. The first time the model is built, init fills the parameter from random numbers that
// depend only on the run's seed and the parameter's name; after that its current values are used.
func (b *Builder) Param(name string, init Init, shape ...int) (*G.Node, error) {
	a, err := b.parameter(name, init, shape)
	if err != nil {
		return nil, err
	}
	if b.again {
		if i := slices.IndexFunc(b.leaves, func(n *G.Node) bool { return n.Name() == name }); i >= 0 {
			return b.leaves[i], nil
		}
		return nil, fmt.Errorf("train.Param: Again: %q is a running average", name)
	}
	var value *tensor.Dense
	if a.Single() {
		value = dense(a.F32, shape...)
	} else {
		value = dense(a.F64, shape...)
	}
	n, err := place(b.graph, name, b.dtype, value)
	if err != nil {
		return nil, fmt.Errorf("train.Param: %w", err)
	}
	b.leaves = append(b.leaves, n)
	return n, nil
}

// parameter returns the numbers of a parameter that the model uses.
func (b *Builder) parameter(name string, init Init, shape []int) (*weights.Array, error) {
	if b.again {
		for _, a := range b.used {
			switch {
			case a.Name != name:
			case !slices.Equal(a.Shape, shape):
				return nil, fmt.Errorf("train.Param: Again: %q has shape %v, want %v as at its first use", name, shape, a.Shape)
			default:
				return a, nil
			}
		}
		return nil, fmt.Errorf("train.Param: Again: the model has not used the parameter %q before", name)
	}
	if err := b.reserve("Param", name); err != nil {
		return nil, err
	}
	if len(shape) == 0 {
		return nil, fmt.Errorf("train.Param: %q has no dimensions, want at least one", name)
	}
	for _, d := range shape {
		if d <= 0 {
			return nil, fmt.Errorf("train.Param: %q has shape %v, want positive dimensions", name, shape)
		}
	}
	a, err := b.params.get(name, init, shape)
	if err == nil {
		b.used = append(b.used, a)
	}
	return a, err
}

// forward is the part that training and evaluation have in common: a graph with inputs and the
// model's outputs.
type forward struct {
	*Builder
	in      []*column // in the order of their names
	out     Nodes
	outputs []string // the names of out, sorted
	single  bool
}

// column is a leaf of the graph over memory that batches are copied to.
type column struct {
	name  string
	field data.Field
	node  *G.Node
	data.Column
}

// buffer returns room for n numbers of the graph's dtype.
func (f *forward) buffer(n int) data.Column {
	if f.single {
		return data.Column{F32: make([]float32, n)}
	}
	return data.Column{F64: make([]float64, n)}
}

// roots returns the outputs in the order of their names.
func (f *forward) roots() (nodes G.Nodes) {
	for _, name := range f.outputs {
		nodes = append(nodes, f.out[name])
	}
	return nodes
}

// build makes a graph and lets the model fill it.
func build(model Network, inputs map[string]data.Field, params *paramSet, batch int, training bool) (f *forward, err error) {
	dtype := params.dtype
	b := &Builder{construction: &construction{graph: G.NewGraph(), dtype: dtype, batch: batch, training: training, params: params,
		names: map[string]bool{data.InputName: true, data.TargetName: true, weightsName: true}}}
	f = &forward{Builder: b, single: dtype == tensor.Float32}
	in := make(Nodes)
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		c, err := leaf(b.graph, data.InputName, name, inputs[name], dtype, batch)
		if err != nil {
			return nil, err
		}
		b.names[c.node.Name()] = true
		f.in, in[name] = append(f.in, c), c.node
	}
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, panicked("the model", r)
		}
	}()
	out, err := model(b, in)
	if err != nil {
		return nil, explainModel(err, batch)
	}
	if len(out) == 0 {
		return nil, errors.New("the model returned no outputs")
	}
	f.out, f.outputs = maps.Clone(out), slices.Sorted(maps.Keys(out))
	for _, name := range f.outputs {
		label := data.Label(OutputName, name)
		switch n := out[name]; {
		case n == nil:
			return nil, fmt.Errorf("the model returned a nil node as its %s", label)
		case n.Graph() != b.graph:
			return nil, fmt.Errorf("the model returned a node of another graph as its %s", label)
		case n.Dtype() != dtype:
			return nil, fmt.Errorf("the model's %s is %v, want %v", label, n.Dtype(), dtype)
		case n.Dims() == 0 || n.Shape()[0] != batch:
			return nil, fmt.Errorf("the model's %s has shape %v, want %d rows as its inputs have: %s", label,
				n.Shape(), batch, manySizes)
		}
	}
	if len(b.used) != len(params.list) && !params.shared {
		used := make(map[string]bool)
		for _, a := range b.used {
			used[a.Name] = true
		}
		for _, a := range params.list {
			if !used[a.Name] {
				return nil, fmt.Errorf("the model does not use the stored parameter %q", a.Name)
			}
		}
	}
	return f, nil
}

// leafName is the name of the leaf of a field: its role alone in the graph of a [Model].
func leafName(role, name string) string {
	if name == role {
		return role
	}
	return role + " " + name
}

// leaf makes a leaf of the graph over a buffer that the trainer fills.
func leaf(g *G.ExprGraph, role, name string, f data.Field, dtype tensor.Dtype, batch int) (*column, error) {
	shape := append([]int{batch}, f.Shape...)
	n := batch * f.Size()
	c := &column{name: name, field: f}
	var v *tensor.Dense
	switch {
	case f.Kind == data.Int:
		c.Int = make([]int, n)
		v, dtype = dense(c.Int, shape...), tensor.Int
	case dtype == tensor.Float32:
		c.F32 = make([]float32, n)
		v = dense(c.F32, shape...)
	default:
		c.F64 = make([]float64, n)
		v = dense(c.F64, shape...)
	}
	var err error
	c.node, err = place(g, leafName(role, name), dtype, v)
	return c, err
}

// place puts a leaf with a value into a graph. Gorgonia returns a leaf that is already there when
// name, type and shape are the same, with its own value: then this one would never be used.
func place(g *G.ExprGraph, name string, dtype tensor.Dtype, v *tensor.Dense) (*G.Node, error) {
	shape := v.Shape()
	n := G.NewTensor(g, dtype, len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(v))
	if n.Value() != G.Value(v) {
		return nil, fmt.Errorf("the graph already has a leaf %q of shape %v", name, shape)
	}
	return n, nil
}
