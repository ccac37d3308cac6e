package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/loss/internal/graph"
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

// CrossEntropy returns the cross-entropy of target against the softmax of logits: the information,
// in nats, that it takes to code what the target says with the model's distribution.
//
// With x a row of logits divided by the temperature, p = softmax(x), t the target (one-hot for a
// label y), w the class weights (1 by default) and t' = (1-ε)t + ε/K the smoothed target,
//
//	l = Σ_c w_c·t'_c·(-log p_c)         dl/dx_j = (Σ_c w_c·t'_c)·p_j - w_j·t'_j
//	l = log Σ exp(x) - x_y              dl/dx_j = p_j - [j = y]          for a label without options
//	                                    dl/dt_j = -(1-ε)·w_j·log p_j     for a soft target
//
// [WithSoftcap] puts c·tanh(x/c) in the place of x before the temperature divides, [WithLogPrior]
// adds to x after that. [WithZLoss] adds s·z² with z = log Σ exp(x) of the logits after all three,
// without class weights and with gradient 2s·z·p_j; [ZTerm] shows that part.
//
// logits have the shape (N, C), or any other with a class axis. target is either integer labels
// (Int, Int64, Int32 or Uint8) in the shape of logits without that axis, or numbers >= 0 in the
// dtype and shape of logits, which need not sum to 1. The result is a scalar, or has the labels'
// shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithLabelSmoothing] (ε in [0, 1], default 0), [WithTemperature] (T > 0,
// default 1), [WithSoftcap] (c > 0, default off), [WithLogPrior] (default 0), [WithZLoss] (s >= 0,
// default 0), [WithShard], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// -log p keeps its relative accuracy near p = 1. A logit of -Inf masks its class, with a softcap
// too: it gets no smoothing mass (K counts the others), and a masked true class has loss +Inf. A
// soft one-hot target gives the same number as its label.
//
// [NLL] takes log-probabilities, [CrossEntropyFromProb] probabilities; [KL] subtracts the entropy
// of the target.
//
// Reference: standard; label smoothing from C. Szegedy et al., Rethinking the Inception
// Architecture for Computer Vision, 2016.
func CrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&crossEntropy, opts, logits, target)
}

var crossEntropy = core.Definition{
	Name: "CrossEntropy", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft), Takes: core.Options(core.ClassOptions, core.OptLabelSmoothing, core.OptTemperature, core.OptSoftcap, core.OptZLoss, core.OptLogPrior, core.OptShard),
	Kernel:   softmaxRows(crossEntropyLabels, crossEntropyTargets),
	Fast:     cappedPriorFast,
	Defaults: core.Settings{Ignore: []int{-100}, Temperature: 1},
	Laws:     core.ShiftInvariant | core.NonNegative | core.Convex,
	Torch:    "cross_entropy", Keras: "CategoricalCrossentropy, SparseCategoricalCrossentropy (from_logits=True)",
	Optax: "softmax_cross_entropy, softmax_cross_entropy_with_integer_labels",
	Row:   func(s *core.Settings, _ core.Dims) core.RowFunc { return softcapped(s, crossEntropyRow(s)) },
	Part:  crossEntropyPart,
}

// crossEntropyRow is the cross-entropy with everything but the softcap.
func crossEntropyRow(s *core.Settings) core.RowFunc {
	return func(r *core.Block) float64 {
		p := formula.SoftmaxWithPrior(r, 0, s.Temperature, s.LogPrior)
		c := smoothed(r, s, func(j int) bool { return p.Z[j] != math.Inf(-1) })
		value := c.value(p.NLL)
		if g := r.Grad[0]; g != nil {
			for j, a := range c.a {
				if a == c.mass {
					g[j] = -c.mass * p.OneMinus(j) / s.Temperature
				} else {
					g[j] = (c.mass*p.P[j] - a) / s.Temperature
				}
			}
		}
		c.gradTarget(r, p.NLL)
		if h := r.Hess[0]; h != nil {
			formula.Fill(h, 0)
			if v := r.Dir[0]; v != nil {
				p.Jacobian(h, v, c.mass/(s.Temperature*s.Temperature))
			}
			if v := r.Dir[1]; v != nil {
				moved := c.dot(v)
				if b := r.Beside(); b != nil {
					moved += c.rest * b.Moved
				}
				for j, u := range v {
					h[j] += (moved*p.P[j] - c.rate(j)*u) / s.Temperature
				}
			}
		}
		if h := r.Hess[1]; h != nil {
			formula.Fill(h, 0)
			if v := r.Dir[0]; v != nil {
				p.LogProbDeriv(h, v, -1/s.Temperature)
				for j := range h {
					h[j] *= c.rate(j)
				}
			}
		}
		if s.ZLoss != 0 {
			if z := addZLoss(&p, r, s); r.Owned() {
				value += z
			}
		}
		if p.L1 != p.L1 {
			return math.NaN()
		}
		return value
	}
}

// addZLoss returns s·z² with z the log-sum-exp and adds its derivatives, 2s·z·p and 2s·(p·⟨p, v⟩ +
// z·dp), to the row's.
func addZLoss(p *formula.SoftmaxRow, r *core.Block, s *core.Settings) float64 {
	z := p.Max + p.L1
	rate := 2 * s.ZLoss / s.Temperature
	for j := range r.Grad[0] {
		r.Grad[0][j] += rate * z * p.P[j]
	}
	if h, v := r.Hess[0], r.Dir[0]; h != nil && v != nil {
		rate /= s.Temperature
		mean := p.Mean(v)
		for j, q := range p.P {
			h[j] += rate * q * (mean + z*(v[j]-mean))
		}
	}
	return s.ZLoss * z * z
}

// softcapped is a loss of logits after c·tanh(x/c), where the settings have a softcap. A masked
// class stays masked.
func softcapped(s *core.Settings, f core.RowFunc) core.RowFunc {
	c := s.Softcap
	if c == 0 {
		return f
	}
	return formula.Compose(func(r *core.Block, z, d, dd []float64) {
		for j, x := range r.X[0] {
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

// ZTerm returns the part of a [CrossEntropy] that [WithZLoss] added, for a person or a log to look
// at.
//
//	s·(log Σ exp(x))²        reduced, weighted and divided as in cost
//
// cost is a node that CrossEntropy returned, with WithZLoss among its options. The result has its
// shape and dtype, and cost minus the result is the cross-entropy alone.
//
// Nothing is differentiated: the node adds nothing to any gradient, on either machine, and is not
// computed unless asked for.
func ZTerm(cost *G.Node) (*G.Node, error) {
	if cost == nil {
		return nil, core.Faultf(ErrShape, zTerm.Name, "cost is nil")
	}
	of, ok := graph.Loss(cost)
	if !ok || of.Def != &crossEntropy {
		return nil, core.Faultf(ErrOption, zTerm.Name, "%v is not a node of CrossEntropy", cost)
	}
	if !of.Set.Has(core.OptZLoss) {
		return nil, core.Faultf(ErrOption, zTerm.Name, "the cross-entropy has no WithZLoss")
	}
	return graph.BuildOf(&zTerm, of, Operands(cost)(cost))
}

var zTerm = core.Definition{
	Name: "ZTerm", Operands: crossEntropy.Operands, Observed: true,
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return softcapped(s, func(r *core.Block) float64 {
			p := formula.SoftmaxWithPrior(r, 0, s.Temperature, s.LogPrior)
			if z := addZLoss(&p, r, s); r.Owned() {
				return z
			}
			return 0
		})
	},
	Part: crossEntropyPart,
}

// A smoothedTarget is what a cross-entropy weighs the surprisals with: a_c = w_c·t'_c with t' the
// smoothed target.
type smoothedTarget struct {
	a    []float64
	mass float64   // Σ a
	w    []float64 // class weights, nil for 1
	rest float64   // 1 - ε
}

// smooth builds the smoothedTarget of a row; open says which classes the model does not mask.
func smoothed(r *core.Block, s *core.Settings, open func(c int) bool) smoothedTarget {
	c := smoothedTarget{a: r.Buf(len(r.X[0])), w: s.ClassWeights, rest: 1 - s.Smoothing}
	share := 0.0
	beside := r.Beside()
	if s.Smoothing > 0 {
		k := 0
		for j := range c.a {
			k += formula.Indicator(open(j))
		}
		if beside != nil {
			k += int(beside.Open)
		}
		share = s.Smoothing / float64(k)
	}
	for j := range c.a {
		t := 0.0
		switch {
		case r.Class() < 0:
			t = r.X[1][j]
		case r.Class() == j:
			t = 1
		}
		t *= c.rest
		if share > 0 && open(j) {
			t += share
		}
		if c.w != nil {
			t *= c.w[j]
		}
		c.a[j] = t
		c.mass += t
	}
	if beside != nil {
		c.mass += c.rest * (beside.Mass + beside.Lost)
		if share > 0 {
			c.mass += share * beside.Weight
		}
	}
	return c
}

// crossEntropyPart writes what a row of a shard comes to.
func crossEntropyPart(s *core.Settings, _ core.Dims) core.RowFunc {
	return softcapped(s, func(r *core.Block) float64 {
		p, part := formula.SoftmaxWithPrior(r, 0, s.Temperature, s.LogPrior), r.PartOf()
		*part = p.Part()
		weight := func(j int) float64 {
			if s.ClassWeights == nil {
				return 1
			}
			return s.ClassWeights[j]
		}
		for j, z := range p.Z {
			w, t := weight(j), 0.0
			if !math.IsInf(z, -1) {
				part.Open++
				part.Weight += w
			}
			switch {
			case r.Class() < 0:
				t = r.X[1][j]
			case r.Class() == j:
				t = 1
			}
			part.Mass += w * t
			if r.Dir[1] != nil {
				part.Moved += w * r.Dir[1][j]
			}
		}
		if v := r.Dir[0]; v != nil && !math.IsInf(part.Max, -1) {
			part.Along = p.Mean(v) / s.Temperature
		}
		return 0
	})
}

// rate is da_j/dt_j.
func (c *smoothedTarget) rate(j int) float64 {
	if c.w == nil {
		return c.rest
	}
	return c.rest * c.w[j]
}

// dot is the change of the mass when the target moves along v.
func (c *smoothedTarget) dot(v []float64) float64 {
	sum := 0.0
	for j, u := range v {
		sum += c.rate(j) * u
	}
	return sum
}

// value is Σ a·nll with 0·Inf = 0.
func (c *smoothedTarget) value(nll func(c int) float64) float64 {
	sum := 0.0
	for j, a := range c.a {
		if a != 0 {
			sum += a * nll(j)
		}
	}
	return sum
}

// gradTarget writes the derivative by a soft target where it is wanted.
func (c *smoothedTarget) gradTarget(r *core.Block, nll func(c int) float64) {
	for j := range r.Grad[1] {
		r.Grad[1][j] = formula.Times(c.rate(j), nll(j))
	}
}

// NLL returns the negative log-likelihood of labels under given log-probabilities.
//
// With q a row of log-probabilities, y its label and w the class weights (1 by default),
//
//	l = -w_y·q_y        dl/dq_j = -w_y·[j = y]
//
// logProb has the shape (N, C), or any other with a class axis, labels (Int, Int64, Int32 or Uint8)
// that shape without the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// A label of weight 0 has loss 0 even where its log-probability is -Inf. No other entry of a row
// than the label's is read, so that NaN in another class changes nothing.
//
// [CrossEntropy] on logits is NLL of [LogSoftmax] in one pass.
//
// Reference: standard.
func NLL(logProb, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&nll, opts, logProb, labels)
}

var nll = core.Definition{
	Name: "NLL", Operands: rows("logProb", core.LogProbabilities, "labels", core.Labels), Takes: core.ClassOptions, Defaults: core.Settings{Ignore: []int{-100}},
	Kernel: nllKernels,
	Laws:   core.Convex,
	Torch:  "nll_loss",
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			w := 1.0
			if s.ClassWeights != nil {
				w = s.ClassWeights[r.Class()]
			}
			if g := r.Grad[0]; g != nil {
				formula.Fill(g, 0)
				g[r.Class()] = -w
			}
			if h := r.Hess[0]; h != nil {
				formula.Fill(h, 0)
			}
			return -formula.Times(w, r.X[0][r.Class()])
		}
	},
}

// CrossEntropyFromProb returns the cross-entropy of target against given probabilities, exactly:
// nothing is clipped.
//
// With p a row of probabilities, t the target (one-hot for a label), w the class weights (1 by
// default) and t' = (1-ε)t + ε/K the smoothed target,
//
//	l = Σ_c w_c·t'_c·(-log p_c)        dl/dp_j = -w_j·t'_j/p_j
//	                                   dl/dt_j = -(1-ε)·w_j·log p_j
//
// prob (numbers >= 0, not normalised here) has the shape (N, C), or any other with a class axis.
// target is integer labels in that shape without the axis, or numbers >= 0 in the dtype and shape
// of prob. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithLabelSmoothing] (ε in [0, 1], default 0), [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A probability of 0 with target 0 contributes nothing; with a positive target the loss is +Inf. It
// gets no smoothing mass.
//
// [CrossEntropy] takes logits and is the better choice where they are at hand.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func CrossEntropyFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&crossEntropyFromProb, opts, prob, target)
}

var crossEntropyFromProb = core.Definition{
	Name: "CrossEntropyFromProb", Operands: rows("prob", core.Probabilities, "target", core.LabelsOrSoft), Takes: core.Options(core.ClassOptions, core.OptLabelSmoothing),
	Defaults: core.Settings{Ignore: []int{-100}},
	Laws:     core.Convex,
	Keras:    "CategoricalCrossentropy, SparseCategoricalCrossentropy",
	Kernel:   fromProbRows,
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			p := r.X[0]
			if formula.HasNaN(p) {
				return formula.SetNaN(r)
			}
			nll := func(j int) float64 { return -formula.Log(p[j]) }
			c := smoothed(r, s, func(j int) bool { return p[j] != 0 })
			if g := r.Grad[0]; g != nil {
				for j, a := range c.a {
					g[j] = formula.Quotient(-a, p[j])
				}
			}
			c.gradTarget(r, nll)
			if h := r.Hess[0]; h != nil {
				formula.Fill(h, 0)
				if v := r.Dir[0]; v != nil {
					for j, a := range c.a {
						h[j] = formula.Times(a, v[j]/p[j]/p[j])
					}
				}
				if v := r.Dir[1]; v != nil {
					for j := range v {
						h[j] += formula.Quotient(-c.rate(j)*v[j], p[j])
					}
				}
			}
			if h := r.Hess[1]; h != nil {
				formula.Fill(h, 0)
				if v := r.Dir[0]; v != nil {
					for j := range v {
						h[j] = formula.Quotient(-c.rate(j)*v[j], p[j])
					}
				}
			}
			return c.value(nll)
		}
	},
}
