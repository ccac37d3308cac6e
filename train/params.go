package train

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/weights"
	"gorgonia.org/tensor"
)

// paramSet is the parameters of a model by name, in the order of their making.
type paramSet struct {
	mu      *sync.RWMutex // held to write by what changes the numbers
	list    []*weights.Array
	index   map[string]*weights.Array
	dtype   tensor.Dtype
	seed    uint64                    // of new ones
	initial map[string]*weights.Array // the numbers of parameters to be made, in the place of their initialisers
	states  map[string]bool           // parameters that no optimizer moves
	sealed  bool                      // complete: asking for a new one is an error
	shared  bool                      // models need not use all of them
}

// newParamSet returns an empty set, to which models add what they ask for.
func newParamSet(dtype tensor.Dtype, seed uint64) *paramSet {
	return &paramSet{mu: new(sync.RWMutex), index: make(map[string]*weights.Array), dtype: dtype, seed: seed}
}

// with returns a complete set of some parameters under the same lock.
func (s *paramSet) with(list []*weights.Array) *paramSet {
	t := &paramSet{mu: s.mu, list: list, index: make(map[string]*weights.Array), dtype: s.dtype, seed: s.seed,
		sealed: true, shared: s.shared, states: s.states}
	for _, a := range list {
		t.index[a.Name] = a
	}
	return t
}

func (s *paramSet) get(name string, init Init, shape []int) (*weights.Array, error) {
	single := s.dtype == tensor.Float32
	if a := s.index[name]; a != nil {
		if !slices.Equal(a.Shape, shape) {
			return nil, fmt.Errorf("train.Param: %q has shape %v, want %v as it is stored", name, shape, a.Shape)
		}
		if a.Single() != single {
			return nil, fmt.Errorf("train.Param: %q is stored in another dtype than the graph's", name)
		}
		return a, nil
	}
	if s.sealed {
		return nil, fmt.Errorf("train.Param: %q is not among the stored parameters %q", name, s.names())
	}
	if from := s.initial[name]; from != nil {
		a := weights.New(name, single, shape...)
		if err := a.CopyFrom(from); err != nil {
			return nil, fmt.Errorf("train.Param: Initial does not fit: %w", err)
		}
		s.list, s.index[name] = append(s.list, a), a
		return a, nil
	}
	if init == nil {
		return nil, fmt.Errorf("train.Param: %q has no initialiser", name)
	}
	a := weights.New(name, single, shape...)
	values := make([]float64, a.Size())
	if err := initialise(init, data.Rand(s.seed, "init "+name, 0), slices.Clone(shape), values); err != nil {
		return nil, fmt.Errorf("train.Param: the initialiser of %q: %w", name, err)
	}
	for i, v := range values {
		if single {
			a.F32[i] = float32(v)
		} else {
			a.F64[i] = v
		}
	}
	if i := a.NonFinite(); i >= 0 {
		return nil, fmt.Errorf("train.Param: the initialiser of %q made %v at element %d", name, values[i], i)
	}
	s.list = append(s.list, a)
	s.index[name] = a
	return a, nil
}

// initialise calls an initialiser, which panics where it does not fit a shape.
func initialise(init Init, rng *rand.Rand, shape []int, dst []float64) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); ok {
				err = e
			} else {
				err = fmt.Errorf("it panicked: %v", r)
			}
		}
	}()
	init(rng, shape, dst)
	return nil
}

func (s *paramSet) names() []string {
	var out []string
	for _, a := range s.list {
		out = append(out, a.Name)
	}
	return out
}
