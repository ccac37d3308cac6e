package loss

import (
	"fmt"
	"math"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
)

// A Reduction says how the values of the examples become the result of a loss.
type Reduction uint8

const (
	// Mean divides the weighted sum by the sum of the active weights. It is the default.
	Mean Reduction = iota
	// Sum adds the weighted values.
	Sum
	// None keeps one value per example, or per element for elementwise losses.
	None
)

// String returns "Mean", "Sum" or "None".
func (r Reduction) String() string {
	switch r {
	case Mean:
		return "Mean"
	case Sum:
		return "Sum"
	case None:
		return "None"
	}
	return fmt.Sprintf("Reduction(%d)", uint8(r))
}

// An Option changes how a loss is computed. An option that a loss does not take, and a value outside an
// option's range, are errors of kind [ErrOption] when the loss is built. Given twice, the last one counts.
type Option func(*settings) error

// settings is the whole configuration of a loss. All of it but the nodes is printed into the identity of the
// graph operations, so two losses that differ in any setting are never merged into one node.
type settings struct {
	reduction    Reduction
	axis         int
	ignore       []int
	classWeights []float64
	posWeight    []float64
	normalizer   float64
	smoothing    float64
	temperature  float64
	softcap      float64
	zloss        float64
	delta        float64
	beta         float64
	gamma        float64
	alpha        float64
	epsilon      float64
	q            float64
	margin       float64
	scale        float64
	power        float64
	quantile     float64
	tau          float64
	full         bool
	logTarget    bool
	targetLogits bool
	reuse        bool
	unchecked    bool

	given knob // the options that were given
	nodes struct{ weights, mask, normalizer *G.Node }
}

// text prints every setting that is data; the nodes are children of the operation and hashed as such.
func (s settings) text() string {
	s.nodes = struct{ weights, mask, normalizer *G.Node }{}
	return fmt.Sprintf("%+v", s)
}

// A knob is a set of options.
type knob uint64

const (
	knobReduction knob = 1 << iota
	knobAxis
	knobIgnoreIndex
	knobWeights
	knobMask
	knobClassWeights
	knobPosWeight
	knobNormalizer
	knobNormalizerNode
	knobLabelSmoothing
	knobTemperature
	knobSoftcap
	knobZLoss
	knobDelta
	knobBeta
	knobGamma
	knobAlpha
	knobEpsilon
	knobQ
	knobMargin
	knobScale
	knobPower
	knobQuantile
	knobTau
	knobFull
	knobLogTarget
	knobTargetLogits
	knobBufferReuse
	knobUncheckedValues
)

// The sets that whole families take.
const (
	reduceKnobs = knobReduction | knobWeights | knobMask | knobNormalizer | knobNormalizerNode
	rowKnobs    = reduceKnobs | knobAxis
	commonKnobs = knobBufferReuse | knobUncheckedValues // taken by every loss and node
	classKnobs  = rowKnobs | knobIgnoreIndex | knobClassWeights
)

var knobNames = []string{
	"WithReduction", "WithAxis", "WithIgnoreIndex", "WithWeights", "WithMask", "WithClassWeights", "WithPosWeight",
	"WithNormalizer", "WithNormalizerNode", "WithLabelSmoothing", "WithTemperature", "WithSoftcap", "WithZLoss",
	"WithDelta", "WithBeta", "WithGamma", "WithAlpha", "WithEpsilon", "WithQ", "WithMargin", "WithScale", "WithPower",
	"WithQuantile", "WithTau", "WithFull", "WithLogTarget", "WithTargetLogits", "WithBufferReuse",
	"WithUncheckedValues",
}

// names lists the options of a set in the order of their declaration.
func (k knob) names() []string {
	var out []string
	for i, name := range knobNames {
		if k&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// configure folds opts over the defaults of a loss and refuses what it does not take.
func configure(name string, takes knob, defaults settings, opts []Option) (settings, error) {
	s := defaults
	for i, opt := range opts {
		if opt == nil {
			return s, faultf(ErrOption, name, "option %d is nil", i)
		}
		if err := opt(&s); err != nil {
			return s, faultf(ErrOption, name, "%v", err)
		}
	}
	if foreign := s.given &^ (takes | commonKnobs); foreign != 0 {
		have := "no options"
		if takes != 0 {
			have = strings.Join(takes.names(), ", ")
		}
		return s, faultf(ErrOption, name, "%s is not an option of this loss, which takes %s",
			strings.Join(foreign.names(), ", "), have)
	}
	if s.given&(knobNormalizer|knobNormalizerNode) != 0 && s.reduction != Mean {
		return s, faultf(ErrOption, name, "a normalizer replaces the denominator of Mean, reduction is %v", s.reduction)
	}
	if s.given&knobNormalizer != 0 && s.given&knobNormalizerNode != 0 {
		return s, faultf(ErrOption, name, "WithNormalizer and WithNormalizerNode exclude each other")
	}
	return s, nil
}

// number makes the Option of a float64 setting that must satisfy ok; want states the range in words.
func number(k knob, v float64, field func(*settings) *float64, ok bool, want string) Option {
	return func(s *settings) error {
		if !ok || math.IsNaN(v) {
			return fmt.Errorf("%s is %v, want %s", k.names()[0], v, want)
		}
		s.given |= k
		*field(s) = v
		return nil
	}
}

func finite(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }

// numbers makes the Option of a list of numbers, each finite and not negative; the list is copied.
func numbers(k knob, v []float64, field func(*settings) *[]float64) Option {
	v = slices.Clone(v)
	return func(s *settings) error {
		if len(v) == 0 {
			return fmt.Errorf("%s is empty", k.names()[0])
		}
		for i, w := range v {
			if !finite(w) || w < 0 {
				return fmt.Errorf("%s has %v at index %d, want a finite number >= 0", k.names()[0], w, i)
			}
		}
		s.given |= k
		*field(s) = v
		return nil
	}
}

// WithReduction sets how the values of the examples are combined: [Mean] (default), [Sum] or [None].
func WithReduction(r Reduction) Option {
	return func(s *settings) error {
		if r > None {
			return fmt.Errorf("WithReduction is %v, want Mean, Sum or None", r)
		}
		s.given |= knobReduction
		s.reduction = r
		return nil
	}
}

// WithAxis sets the class axis, counted from 0, or from the end when negative. Default -1, the last axis.
func WithAxis(axis int) Option {
	return func(s *settings) error {
		s.given |= knobAxis
		s.axis = axis
		return nil
	}
}

// WithIgnoreIndex replaces the labels that mark an example as not to be counted. Default -100. An ignored
// example is never read: it has value 0, gradient 0 and no part in the denominator. Without arguments no label is ignored.
func WithIgnoreIndex(labels ...int) Option {
	labels = slices.Clone(labels)
	return func(s *settings) error {
		s.given |= knobIgnoreIndex
		s.ignore = labels
		return nil
	}
}

// WithWeights multiplies each example (each element for elementwise losses) by an entry of w, a node of the
// prediction's dtype in the shape that the loss has under [None]. A weight of 0 means that the example is
// never read; a negative weight is legal; NaN or Inf is an error when the graph runs. There is no gradient for w.
func WithWeights(w *G.Node) Option {
	return func(s *settings) error {
		if w == nil {
			return fmt.Errorf("WithWeights is nil")
		}
		s.given |= knobWeights
		s.nodes.weights = w
		return nil
	}
}

// WithMask keeps the examples (elements) whose entry of m is 1 or true and leaves out those with 0 or false as if
// they were not there. m is Bool, Uint8 or of the prediction's dtype, in the shape that the loss has under [None].
func WithMask(m *G.Node) Option {
	return func(s *settings) error {
		if m == nil {
			return fmt.Errorf("WithMask is nil")
		}
		s.given |= knobMask
		s.nodes.mask = m
		return nil
	}
}

// WithClassWeights gives class c the weight w[c], finite and >= 0; one entry per class. The slice is copied.
// Under [Mean] the weights of the true classes enter the denominator.
func WithClassWeights(w []float64) Option {
	return numbers(knobClassWeights, w, func(s *settings) *[]float64 { return &s.classWeights })
}

// WithPosWeight multiplies the term of the positive class by w[c], finite and >= 0: one entry per class along the
// class axis, or a single one for all. The slice is copied. It has no part in the denominator.
func WithPosWeight(w []float64) Option {
	return numbers(knobPosWeight, w, func(s *settings) *[]float64 { return &s.posWeight })
}

// WithNormalizer replaces the denominator of [Mean] by n > 0, for losses summed over several
// batches whose common number of examples is known.
func WithNormalizer(n float64) Option {
	return number(knobNormalizer, n, func(s *settings) *float64 { return &s.normalizer }, n > 0 && finite(n), "a finite number > 0")
}

// WithNormalizerNode is [WithNormalizer] with the value of a scalar node of the prediction's dtype, which
// may change from run to run. There is no gradient for n. A value of 0 is legal when no example is active.
func WithNormalizerNode(n *G.Node) Option {
	return func(s *settings) error {
		if n == nil {
			return fmt.Errorf("WithNormalizerNode is nil")
		}
		s.given |= knobNormalizerNode
		s.nodes.normalizer = n
		return nil
	}
}

// WithLabelSmoothing moves the share eps, in [0, 1], of the target's mass evenly to all classes that are not
// masked by a logit of -Inf. Default 0.
func WithLabelSmoothing(eps float64) Option {
	return number(knobLabelSmoothing, eps, func(s *settings) *float64 { return &s.smoothing }, eps >= 0 && eps <= 1, "a number in [0, 1]")
}

// WithTemperature divides the logits by t > 0. Default 1.
func WithTemperature(t float64) Option {
	return number(knobTemperature, t, func(s *settings) *float64 { return &s.temperature }, t > 0 && finite(t), "a finite number > 0")
}

// WithDelta sets the residual δ > 0 at which a robust loss turns from quadratic to linear. Default 1.
func WithDelta(delta float64) Option {
	return number(knobDelta, delta, func(s *settings) *float64 { return &s.delta }, delta > 0 && finite(delta), "a finite number > 0")
}

// WithLogTarget says that the target holds log-probabilities.
func WithLogTarget() Option {
	return func(s *settings) error {
		s.given |= knobLogTarget
		s.logTarget = true
		return nil
	}
}

// WithTargetLogits says that the target holds logits, of which the softmax is taken.
func WithTargetLogits() Option {
	return func(s *settings) error {
		s.given |= knobTargetLogits
		s.targetLogits = true
		return nil
	}
}

// WithBufferReuse, which every loss and node takes, lets the derivatives of the loss write into the memory of their last result instead of fresh memory, which for
// a large gradient costs more than computing it.
//
// The Value of such a node is then overwritten by the next run; what gorgonia.Read copied stays. A graph built with
// it serves one machine at a time: a second one that runs at the same moment gets an error. Off by default.
func WithBufferReuse() Option {
	return func(s *settings) error {
		s.given |= knobBufferReuse
		s.reuse = true
		return nil
	}
}

// WithUncheckedValues, which every loss and node takes, leaves out the check that operands lie in their domains: soft targets >= 0,
// probabilities in [0, 1], signs of -1 and +1, positive scales. A value outside gives a meaningless result instead of an error.
// Labels are checked all the same. The check costs up to a fifth of a cheap elementwise loss (BENCHMARKS.md) and little elsewhere.
func WithUncheckedValues() Option {
	return func(s *settings) error {
		s.given |= knobUncheckedValues
		s.unchecked = true
		return nil
	}
}
