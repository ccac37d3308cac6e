package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/weights"
	"gorgonia.org/tensor"
)

// Part returns a part of the model, such as a decoder or a feature extractor, as a separate model
// with its own inputs. It consists of the parameters whose names begin with prefix, and its
// function must use exactly these. The parameters are shared, so a part follows the training of the
// whole model.
//
//	code := map[string]data.Field{"code": {Kind: data.Float, Shape: []int{8}}}
//	decoder, err := net.Part("decoder.", decode, code)
//
// Scaling applies to inputs of the part that have the name and shape of an input of the model.
func (n *Net) Part(prefix string, model Network, inputs map[string]data.Field) (*Net, error) {
	part, err := n.part(prefix, model, inputs)
	if err != nil {
		return nil, fmt.Errorf("train.Part: %w", err)
	}
	return part, nil
}

// LoadPart is [Net.Part] for a model in a file or a checkpoint of [Fit] or of a [Trainer].
func LoadPart(path, prefix string, model Network, inputs map[string]data.Field) (*Net, error) {
	n := new(Net)
	path, arrays, meta, err := readModel(path)
	if err == nil {
		n.params, err = arraySet(path, arrays)
	}
	if err == nil && meta[inputsKey] != "" { // a trainer's checkpoint has none
		n.about, err = readDescription(meta)
	}
	if err == nil {
		n, err = n.part(prefix, model, inputs)
	}
	if err != nil {
		return nil, fmt.Errorf("train.LoadPart: %w", err)
	}
	return n, nil
}

func (n *Net) part(prefix string, model Network, inputs map[string]data.Field) (*Net, error) {
	switch {
	case n.params == nil:
		return nil, errNoModel
	case model == nil:
		return nil, errors.New("model is nil")
	}
	about := n.about.only(inputs)
	if err := about.check(); err != nil {
		return nil, err
	}
	list := weights.WithPrefix(n.params.list, prefix)
	if len(list) == 0 {
		return nil, fmt.Errorf("no parameter has the prefix %q; they are %q", prefix, n.params.names())
	}
	params := n.params.with(list)
	params.shared = false
	part := &Net{model: about.scaled(model), about: about, params: params}
	if _, err := buildSound(part.model, inputs, params, 1, false); err != nil {
		return nil, fmt.Errorf("the part %q does not fit: %w", prefix, err)
	}
	return part, nil
}

// arraySet returns the parameters of a file, which are of one type.
func arraySet(path string, arrays []*weights.Array) (*paramSet, error) {
	dtype := tensor.Float32
	for i, a := range arrays {
		if !a.Single() {
			dtype = tensor.Float64
		}
		if a.Single() != arrays[0].Single() {
			return nil, &weights.FileError{Path: path, Fault: fmt.Sprintf("array %d has another dtype than the first", i)}
		}
	}
	return newParamSet(dtype, 0).with(arrays), nil
}

// setInitial gives parameters that are made from now on the numbers of others, by name.
func (s *paramSet) setInitial(list []*weights.Array) error {
	s.initial = make(map[string]*weights.Array)
	for i, a := range list {
		switch {
		case a == nil:
			return fmt.Errorf("nil in Initial at index %d", i)
		case s.initial[a.Name] != nil:
			return fmt.Errorf("two entries of Initial have the name %q", a.Name)
		case a.NonFinite() >= 0:
			return fmt.Errorf("the entry %q of Initial is not finite at element %d", a.Name, a.NonFinite())
		}
		s.initial[a.Name] = a.Clone()
	}
	return nil
}

// checkInitial returns an error for numbers that no parameter has taken: a name with a slip in it
// would leave a warm start cold.
func (s *paramSet) checkInitial() error {
	for _, name := range slices.Sorted(maps.Keys(s.initial)) {
		if s.index[name] == nil {
			return fmt.Errorf("the entry %q of Initial is no parameter; they are %q", name, s.names())
		}
	}
	return nil
}

// ClassName returns the name that Config.Classes gave to a class of a target ("target" for a
// [Model]), or the number of the class if it has no name.
func (n *Net) ClassName(target string, class int) string {
	if names := n.about.classes[target]; class >= 0 && class < len(names) {
		return names[class]
	}
	return fmt.Sprint(class)
}

// Classes returns the class names of a target, or nil if there are none.
func (n *Net) Classes(target string) []string { return slices.Clone(n.about.classes[target]) }
