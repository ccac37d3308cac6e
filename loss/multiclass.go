package loss

import (
	"math"

	G "gorgonia.org/gorgonia"
)

var multiclassLosses = []entry{
	{&crossEntropy, CrossEntropy},
	{&nll, NLL},
	{&crossEntropyFromProb, CrossEntropyFromProb},
	{&softmaxFocal, SoftmaxFocal},
	{&polyCrossEntropy, PolyCrossEntropy},
	{&generalizedCrossEntropy, GeneralizedCrossEntropy},
	{&multiMargin, MultiMargin},
	{&multiclassHinge, MulticlassHinge},
	{&multiclassPerceptron, MulticlassPerceptron},
	{&categoricalHinge, CategoricalHinge},
	{&sparsemax, Sparsemax},
	{&entmax15, Entmax15},
	{&emd, EMD},
	{&evidentialMSE, EvidentialMSE},
	{&arcFace, ArcFace},
	{&cosFace, CosFace},
}

// CrossEntropy returns the cross-entropy of target against the softmax of logits: the information, in nats, that it takes to
// code what the target says with the model's distribution.
//
// With x a row of logits divided by the temperature, p = softmax(x), t the target (one-hot for a label y), w
// the class weights (1 by default) and t' = (1-ε)t + ε/K the smoothed target,
//
//	l = Σ_c w_c·t'_c·(-log p_c)         dl/dx_j = (Σ_c w_c·t'_c)·p_j - w_j·t'_j
//	l = log Σ exp(x) - x_y              dl/dx_j = p_j - [j = y]          for a label without options
//	                                    dl/dt_j = -(1-ε)·w_j·log p_j     for a soft target
//
// [WithSoftcap] puts c·tanh(x/c) in the place of x before the temperature divides. [WithZLoss] adds s·z² with
// z = log Σ exp(x) of the logits after both, without class weights and with gradient 2s·z·p_j; [ZTerm] shows that part.
//
// logits have the shape (N, C), or any other with a class axis. target is either integer labels (Int, Int64, Int32 or
// Uint8) in the shape of logits without that axis, or numbers >= 0 in the dtype and shape of logits, which need not sum
// to 1. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100), [WithClassWeights],
// [WithLabelSmoothing] (ε in [0, 1], default 0), [WithTemperature] (T > 0, default 1), [WithSoftcap] (c > 0, default off),
// [WithZLoss] (s >= 0, default 0), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// -log p keeps its relative accuracy near p = 1. A logit of -Inf masks its class, with a softcap too: it gets no smoothing
// mass (K counts the others), and a masked true class has loss +Inf. A soft one-hot target gives the same number as its label.
//
// [NLL] takes log-probabilities, [CrossEntropyFromProb] probabilities; [KL] subtracts the entropy of the target.
//
// Reference: standard; label smoothing from C. Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016.
func CrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return crossEntropy.build(logits, target, opts)
}

var crossEntropy = definition{
	name: "CrossEntropy", takes: classKnobs | knobLabelSmoothing | knobTemperature | knobSoftcap | knobZLoss,
	defaults: settings{axis: -1, ignore: []int{-100}, temperature: 1}, pred: Logits, target: LabelsOrSoft,
	laws:  ShiftInvariant | NonNegative | Convex,
	torch: "cross_entropy", keras: "CategoricalCrossentropy, SparseCategoricalCrossentropy (from_logits=True)",
	optax: "softmax_cross_entropy, softmax_cross_entropy_with_integer_labels",
	rows:  func(s *settings, _, _ int) rowFunc { return softcapped(s, crossEntropyRow(s)) },
	fast:  fast{crossEntropyDirect[float32], crossEntropyDirect[float64], crossEntropyFew},
}

// crossEntropyRow is the cross-entropy with everything but the softcap.
func crossEntropyRow(s *settings) rowFunc {
	return func(r *row) float64 {
		p := r.softmax(0, s.temperature)
		c := r.smooth(s, func(j int) bool { return p.z[j] != math.Inf(-1) })
		value := c.value(p.nll)
		if g := r.grad[0]; g != nil {
			for j, a := range c.a {
				if a == c.mass {
					g[j] = -c.mass * p.others(j) / s.temperature
				} else {
					g[j] = (c.mass*p.p[j] - a) / s.temperature
				}
			}
		}
		c.gradTarget(r, p.nll)
		if h := r.hess[0]; h != nil {
			fill(h, 0)
			if v := r.dir[0]; v != nil {
				p.jacobian(h, v, c.mass/(s.temperature*s.temperature))
			}
			if v := r.dir[1]; v != nil {
				moved := c.dot(v)
				for j, u := range v {
					h[j] += (moved*p.p[j] - c.rate(j)*u) / s.temperature
				}
			}
		}
		if h := r.hess[1]; h != nil {
			fill(h, 0)
			if v := r.dir[0]; v != nil {
				p.along(h, v, -1/s.temperature)
				for j := range h {
					h[j] *= c.rate(j)
				}
			}
		}
		if s.zloss != 0 {
			value += p.drift(r, s)
		}
		if p.l1 != p.l1 {
			return math.NaN()
		}
		return value
	}
}

// drift returns s·z² with z the log-sum-exp and adds its derivatives, 2s·z·p and 2s·(p·⟨p, v⟩ + z·dp), to the row's.
func (p *soft) drift(r *row, s *settings) float64 {
	z := p.max + p.l1
	rate := 2 * s.zloss / s.temperature
	for j := range r.grad[0] {
		r.grad[0][j] += rate * z * p.p[j]
	}
	if h, v := r.hess[0], r.dir[0]; h != nil && v != nil {
		rate /= s.temperature
		mean := dot(p.p, v)
		for j, q := range p.p {
			h[j] += rate * q * (mean + z*(v[j]-mean))
		}
	}
	return s.zloss * z * z
}

// softcapped is a loss of logits after c·tanh(x/c), where the settings have a softcap. A masked class stays masked.
func softcapped(s *settings, f rowFunc) rowFunc {
	c := s.softcap
	if c == 0 {
		return f
	}
	return through(func(r *row, z, d, dd []float64) {
		for j, x := range r.x[0] {
			if math.IsInf(x, -1) {
				z[j], d[j], dd[j] = x, 0, 0
				continue
			}
			tanh, cosh := math.Tanh(x/c), math.Cosh(x/c)
			z[j], d[j] = c*tanh, 1/cosh/cosh
			dd[j] = -2 * tanh * d[j] / c
		}
	}, f)
}

// ZTerm returns the part of a [CrossEntropy] that [WithZLoss] added, for a person or a log to look at.
//
//	s·(log Σ exp(x))²        reduced, weighted and divided as in cost
//
// cost is a node that CrossEntropy returned, with WithZLoss among its options. The result has its shape and dtype, and
// cost minus the result is the cross-entropy alone.
//
// Nothing is differentiated: the node adds nothing to any gradient, on either machine, and is not computed unless asked for.
func ZTerm(cost *G.Node) (*G.Node, error) {
	if cost == nil {
		return nil, faultf(ErrShape, zTerm.name, "cost is nil")
	}
	of, ok := cost.Op().(*op)
	if !ok || of.def != &crossEntropy || of.mode != modeValue {
		return nil, faultf(ErrOption, zTerm.name, "%v is not a node of CrossEntropy", cost)
	}
	if of.set.given&knobZLoss == 0 {
		return nil, faultf(ErrOption, zTerm.name, "the cross-entropy has no WithZLoss")
	}
	s := *of.spec
	s.def = &zTerm
	s.seal()
	return apply(newOp(&s, plan{}), Operands(cost)(cost))
}

var zTerm = definition{
	name: "ZTerm", pred: Logits, observed: true,
	rows: func(s *settings, _, _ int) rowFunc {
		return softcapped(s, func(r *row) float64 {
			p := r.softmax(0, s.temperature)
			return p.drift(r, s)
		})
	},
}

// A coding is what a cross-entropy weighs the surprisals with: a_c = w_c·t'_c with t' the smoothed target.
type coding struct {
	a    []float64
	mass float64   // Σ a
	w    []float64 // class weights, nil for 1
	keep float64   // 1 - ε
}

// smooth builds the coding of a row; open says which classes the model does not mask.
func (r *row) smooth(s *settings, open func(c int) bool) coding {
	c := coding{a: r.buf(len(r.x[0])), w: s.classWeights, keep: 1 - s.smoothing}
	share := 0.0
	if s.smoothing > 0 {
		k := 0
		for j := range c.a {
			k += count(open(j))
		}
		share = s.smoothing / float64(k)
	}
	for j := range c.a {
		t := 0.0
		switch {
		case r.label < 0:
			t = r.x[1][j]
		case r.label == j:
			t = 1
		}
		t *= c.keep
		if share > 0 && open(j) {
			t += share
		}
		if c.w != nil {
			t *= c.w[j]
		}
		c.a[j] = t
		c.mass += t
	}
	return c
}

// rate is da_j/dt_j.
func (c *coding) rate(j int) float64 {
	if c.w == nil {
		return c.keep
	}
	return c.keep * c.w[j]
}

// dot is the change of the mass when the target moves along v.
func (c *coding) dot(v []float64) float64 {
	sum := 0.0
	for j, u := range v {
		sum += c.rate(j) * u
	}
	return sum
}

// value is Σ a·nll with 0·Inf = 0.
func (c *coding) value(nll func(c int) float64) float64 {
	sum := 0.0
	for j, a := range c.a {
		if a != 0 {
			sum += a * nll(j)
		}
	}
	return sum
}

// gradTarget writes the derivative by a soft target where it is wanted.
func (c *coding) gradTarget(r *row, nll func(c int) float64) {
	for j := range r.grad[1] {
		r.grad[1][j] = times(c.rate(j), nll(j))
	}
}

// NLL returns the negative log-likelihood of labels under given log-probabilities.
//
// With q a row of log-probabilities, y its label and w the class weights (1 by default),
//
//	l = -w_y·q_y        dl/dq_j = -w_y·[j = y]
//
// logProb has the shape (N, C), or any other with a class axis, labels (Int, Int64, Int32 or Uint8) that shape without
// the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100), [WithClassWeights],
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A label of weight 0 has loss 0 even where its log-probability is -Inf.
//
// [CrossEntropy] on logits is NLL of [LogSoftmax] in one pass.
//
// Reference: standard.
func NLL(logProb, labels *G.Node, opts ...Option) (*G.Node, error) {
	return nll.build(logProb, labels, opts)
}

var nll = definition{
	name: "NLL", takes: classKnobs, defaults: settings{axis: -1, ignore: []int{-100}}, pred: LogProbabilities, target: Labels,
	laws:  Convex,
	torch: "nll_loss",
	rows: func(s *settings, _, _ int) rowFunc {
		return func(r *row) float64 {
			w := 1.0
			if s.classWeights != nil {
				w = s.classWeights[r.label]
			}
			if g := r.grad[0]; g != nil {
				fill(g, 0)
				g[r.label] = -w
			}
			if h := r.hess[0]; h != nil {
				fill(h, 0)
			}
			return -times(w, r.x[0][r.label])
		}
	},
}

// CrossEntropyFromProb returns the cross-entropy of target against given probabilities, exactly: nothing is clipped.
//
// With p a row of probabilities, t the target (one-hot for a label), w the class weights (1 by default) and
// t' = (1-ε)t + ε/K the smoothed target,
//
//	l = Σ_c w_c·t'_c·(-log p_c)        dl/dp_j = -w_j·t'_j/p_j
//	                                   dl/dt_j = -(1-ε)·w_j·log p_j
//
// prob (numbers >= 0, not normalised here) has the shape (N, C), or any other with a class axis. target is integer
// labels in that shape without the axis, or numbers >= 0 in the dtype and shape of prob. The result is a scalar, or
// has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100), [WithClassWeights],
// [WithLabelSmoothing] (ε in [0, 1], default 0), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A probability of 0 with target 0 contributes nothing; with a positive target the loss is +Inf. It gets no smoothing mass.
//
// [CrossEntropy] takes logits and is the better choice where they are at hand.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func CrossEntropyFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return crossEntropyFromProb.build(prob, target, opts)
}

var crossEntropyFromProb = definition{
	name: "CrossEntropyFromProb", takes: classKnobs | knobLabelSmoothing,
	defaults: settings{axis: -1, ignore: []int{-100}}, pred: Probabilities, target: LabelsOrSoft,
	laws:  Convex,
	keras: "CategoricalCrossentropy, SparseCategoricalCrossentropy",
	rows: func(s *settings, _, _ int) rowFunc {
		return func(r *row) float64 {
			p := r.x[0]
			if hasNaN(p) {
				return r.poison()
			}
			nll := func(j int) float64 { return -ln(p[j]) }
			c := r.smooth(s, func(j int) bool { return p[j] != 0 })
			if g := r.grad[0]; g != nil {
				for j, a := range c.a {
					g[j] = times(-a, 1/p[j])
				}
			}
			c.gradTarget(r, nll)
			if h := r.hess[0]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					for j, a := range c.a {
						h[j] = times(a, v[j]/p[j]/p[j])
					}
				}
				if v := r.dir[1]; v != nil {
					for j := range v {
						h[j] += times(-c.rate(j)*v[j], 1/p[j])
					}
				}
			}
			if h := r.hess[1]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					for j := range v {
						h[j] = times(-c.rate(j)*v[j], 1/p[j])
					}
				}
			}
			return c.value(nll)
		}
	},
}
