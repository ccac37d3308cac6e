package train

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// description is what the file of a model says beside its parameters.
type description struct {
	fields  data.Fields
	classes map[string][]string     // by target
	scaling map[string]data.Scaling // by input
}

// The keys of a description in the metadata of a weights file.
const (
	inputsKey  = "surprisal.inputs"
	targetsKey = "surprisal.targets"
	classesKey = "surprisal.classes"
	scalingKey = "surprisal.scaling"
)

func (d *description) metadata() (map[string]string, error) {
	meta := make(map[string]string)
	for key, v := range map[string]any{inputsKey: d.fields.Inputs, targetsKey: d.fields.Targets, classesKey: d.classes, scalingKey: d.scaling} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		meta[key] = string(text)
	}
	return meta, nil
}

// readDescription returns the description in the metadata of a file.
func readDescription(meta map[string]string) (d description, err error) {
	for _, part := range []struct {
		key  string
		into any
	}{{inputsKey, &d.fields.Inputs}, {targetsKey, &d.fields.Targets}, {classesKey, &d.classes}, {scalingKey, &d.scaling}} {
		if err := json.Unmarshal([]byte(meta[part.key]), part.into); err != nil {
			return d, fmt.Errorf("no model of this package: its metadata has no valid %s", part.key)
		}
	}
	return d, d.check()
}

// check returns an error for a description whose parts do not fit each other.
func (d *description) check() error {
	if err := d.fields.Check(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.scaling)) {
		f, ok := d.fields.Inputs[name]
		if !ok {
			return fmt.Errorf("scaling of an input %q, which is not there; inputs are %q", name,
				slices.Sorted(maps.Keys(d.fields.Inputs)))
		}
		if err := d.scaling[name].Check(f); err != nil {
			return fmt.Errorf("%s: %w", data.Label(data.InputName, name), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.classes)) {
		f, ok := d.fields.Targets[name]
		if !ok || f.Kind != data.Int {
			return fmt.Errorf("names of the classes of %q, which is no target of whole numbers; targets are %q", name,
				slices.Sorted(maps.Keys(d.fields.Targets)))
		}
		if len(d.classes[name]) == 0 {
			return fmt.Errorf("no names of the classes of %s", data.Label(data.TargetName, name))
		}
	}
	return nil
}

// only returns the description of a part of a model with other inputs: what is known of those that
// have kept their names.
func (d *description) only(inputs map[string]data.Field) description {
	part := description{fields: data.Fields{Inputs: inputs, Targets: d.fields.Targets, Masked: d.fields.Masked},
		classes: d.classes, scaling: make(map[string]data.Scaling)}
	for name, s := range d.scaling {
		if f, ok := inputs[name]; ok && f.Equal(d.fields.Inputs[name]) {
			part.scaling[name] = s
		}
	}
	return part
}

// scaled returns a network whose inputs are scaled before it gets them.
func (d *description) scaled(model Network) Network {
	if len(d.scaling) == 0 {
		return model
	}
	return func(b *Builder, in Nodes) (Nodes, error) {
		in = maps.Clone(in)
		for _, name := range slices.Sorted(maps.Keys(d.scaling)) {
			var err error
			if in[name], err = b.Scale(in[name], d.scaling[name]); err != nil {
				return nil, err
			}
		}
		return model(b, in)
	}
}

// Scale returns x with the numbers of each row rescaled by fixed numbers, (x - mean)/std.
// Config.Scaling applies it to an input and saves the numbers with the model.
func (b *Builder) Scale(x *G.Node, s data.Scaling) (*G.Node, error) {
	if x == nil || x.Dims() == 0 || x.Dtype() != b.dtype {
		return nil, fmt.Errorf("train.Scale: input %s, want a tensor of %v", describe(x), b.dtype)
	}
	if err := s.Check(data.Field{Kind: data.Float, Shape: x.Shape()[1:]}); err != nil {
		return nil, fmt.Errorf("train.Scale: %w", err)
	}
	return scale(x, s)
}

func scale(x *G.Node, s data.Scaling) (*G.Node, error) {
	s = data.Scaling{Mean: slices.Clone(s.Mean), Std: slices.Clone(s.Std)}
	h := fnv.New64a()
	for _, v := range []data.Column{{F64: s.Mean}, {F64: s.Std}} {
		writeColumn(h, v)
		writeBits(h, uint64(v.Len()))
	}
	dt := x.Dtype()
	t := tensorType(x.Dims(), dt)
	return apply(&op{
		text: fmt.Sprintf("train.scale[%016x,%d,%v]", h.Sum64(), x.Dims(), dt), types: []hm.Type{t}, out: t, diff: []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return scaleRows[float32](r, in[0], s)
			}
			return scaleRows[float64](r, in[0], s)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := scale(g, data.Scaling{Mean: []float64{0}, Std: s.Std})
			return G.Nodes{n}, err
		},
	}, x)
}

func scaleRows[F float32 | float64](r *room, v G.Value, s data.Scaling) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	out := take[F](r, len(x))
	width := max(len(s.Mean), len(s.Std))
	mean, std := make([]float64, width), make([]float64, width)
	for j := range width {
		mean[j], std[j] = s.Mean[j%len(s.Mean)], s.Std[j%len(s.Std)]
	}
	for i := 0; i < len(x); i += width {
		for j, v := range x[i : i+width] {
			out[i+j] = F((float64(v) - mean[j]) / std[j])
		}
	}
	return dense(out, v.Shape()...), nil
}
