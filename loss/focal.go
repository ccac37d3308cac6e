package loss

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
)

// A curve of the surprisal s = -log p gives its value with the first and second derivative; p = e^-s, u = 1 - p without
// cancellation. s is +Inf at p = 0.
type curve func(s, p, u float64) (l, d, dd float64)

// power is u^γ, without the cost of a general power where γ is the common 0, 1 or 2.
func power(u, gamma float64) float64 {
	switch gamma {
	case 0:
		return 1
	case 1:
		return u
	case 2:
		return u * u
	}
	return math.Pow(u, gamma)
}

// bySurprisal is the loss Σ_c w_c·t_c·φ(-log p_c) with p the softmax of logits. With a_c = w_c·t_c,
//
//	dl/dx_j = p_j·Σ_c a_c·φ'_c - a_j·φ'_j        dl/dt_j = w_j·φ_j
func bySurprisal(set *settings, phi curve) rowFunc {
	return func(r *row) float64 {
		p := r.softmax(0, 1)
		if p.l1 != p.l1 {
			return r.poison()
		}
		n := len(p.p)
		c := r.smooth(set, func(int) bool { return true })
		first, second := r.buf(n), r.buf(n) // a·φ', a·φ''
		at := func(j int) (l, d, dd float64) {
			s := p.nll(j)
			return phi(s, p.p[j], -math.Expm1(-s))
		}
		value, pull := 0.0, 0.0
		for j, a := range c.a {
			first[j], second[j] = 0, 0
			if a != 0 {
				l, d, dd := at(j)
				value += a * l
				first[j], second[j] = a*d, a*dd
				pull += first[j]
			}
		}
		if g := r.grad[0]; g != nil {
			for j, f := range first {
				if g[j] = pull*p.p[j] - f; f == pull {
					g[j] = -f * p.others(j)
				}
			}
		}
		for j := range r.grad[1] {
			l, _, _ := at(j)
			r.grad[1][j] = times(c.rate(j), l)
		}
		h, cross, v, w := r.hess[0], r.hess[1], r.dir[0], r.dir[1]
		fill(h, 0)
		fill(cross, 0)
		if v != nil {
			ds := r.buf(n)
			p.surprise(ds, v)
			moved := 0.0
			for j := range second {
				second[j] = times(ds[j], second[j])
				moved += second[j]
			}
			for j := range h {
				turn := p.p[j]*moved - second[j]
				if second[j] == moved {
					turn = -moved * p.others(j)
				}
				h[j] = turn - p.p[j]*pull*ds[j]
			}
			for j := range cross {
				_, d, _ := at(j)
				cross[j] = c.rate(j) * times(ds[j], d)
			}
		}
		if w != nil && h != nil {
			moved := 0.0
			for j, u := range w {
				_, d, _ := at(j)
				second[j] = times(u*c.rate(j), d)
				moved += second[j]
			}
			for j := range h {
				h[j] += p.p[j]*moved - second[j]
			}
		}
		return value
	}
}

// SoftmaxFocal returns the focal loss of target against the softmax of logits: cross-entropy with less weight on
// examples that are already right.
//
// With p = softmax(x), s = -log p, u = 1 - p, and w the class weights (1 by default),
//
//	l = w_y·u_y^γ·s_y                  φ' = u^γ·(1 + γ·p·s/u)        dl/dx_j = w_y·φ'_y·(p_j - [j = y])
//	l = Σ_c w_c·t_c·u_c^γ·s_c          for a soft target             dl/dt_j = w_j·u_j^γ·s_j
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that shape without the axis, or
// numbers >= 0 in the dtype and shape of logits. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithGamma] (γ >= 0, default 2), [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only,
// default -100), [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Gradient and second derivative are finite at p = 1 for γ < 1 too, where the power's own are not.
//
// γ = 0 is [CrossEntropy]. [SigmoidFocal] is for independent classes.
//
// Reference: T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017.
func SoftmaxFocal(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return softmaxFocal.build(logits, target, opts)
}

var softmaxFocal = definition{
	name: "SoftmaxFocal", takes: classKnobs | knobGamma,
	defaults: settings{axis: -1, ignore: []int{-100}, gamma: 2}, pred: Logits, target: LabelsOrSoft,
	laws:  ShiftInvariant | NonNegative,
	keras: "CategoricalFocalCrossentropy(from_logits=True)",
	rows: func(set *settings, _, _ int) rowFunc {
		gamma := set.gamma
		return bySurprisal(set, func(s, p, u float64) (l, d, dd float64) {
			rho := s / u
			if u == 0 {
				rho = 1
			}
			pr, w := times(p, rho), power(u, gamma)
			// At p = 1 the power grows without bound for γ < 1; what it multiplies there is 0.
			return times(w, s), w * (1 + gamma*pr), times(gamma*p, power(u, gamma-1)*(2+gamma*pr-rho))
		})
	},
}

// PolyCrossEntropy returns cross-entropy with one more term of its expansion in powers of 1 - p set free.
//
// With p = softmax(x), t the target (one-hot for a label y) and w the class weights (1 by default),
//
//	l = Σ_c w_c·t_c·(-log p_c + ε·(1-p_c))        dl/dx_j = Σ_c w_c·t_c·(1+ε·p_c)·(p_j - [j = c])
//	                                              dl/dt_j = w_j·(-log p_j + ε·(1-p_j))
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that shape without the axis, or
// numbers >= 0 in the dtype and shape of logits. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithEpsilon] (ε, any finite number, default 2), [WithAxis] (the class axis, default -1), [WithIgnoreIndex]
// (labels only, default -100), [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// ε = 0 is [CrossEntropy]. Below ε = -1 the loss no longer falls all the way to p = 1.
//
// Reference: Z. Leng et al., PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions, 2022.
func PolyCrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return polyCrossEntropy.build(logits, target, opts)
}

var polyCrossEntropy = definition{
	name: "PolyCrossEntropy", takes: classKnobs | knobEpsilon,
	defaults: settings{axis: -1, ignore: []int{-100}, epsilon: 2}, pred: Logits, target: LabelsOrSoft,
	laws:  ShiftInvariant,
	optax: "poly_loss_cross_entropy",
	rows: func(set *settings, _, _ int) rowFunc {
		epsilon := set.epsilon
		return bySurprisal(set, func(s, p, u float64) (l, d, dd float64) {
			return s + epsilon*u, 1 + epsilon*p, -epsilon * p
		})
	},
}

// GeneralizedCrossEntropy returns a loss between cross-entropy and 1 - p that a share of wrong labels harms less.
//
// With p = softmax(x), t the target (one-hot for a label y) and w the class weights (1 by default),
//
//	l = Σ_c w_c·t_c·(1-p_c^q)/q        dl/dx_j = Σ_c w_c·t_c·p_c^q·(p_j - [j = c])
//	                                   dl/dt_j = w_j·(1-p_j^q)/q
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that shape without the axis, or
// numbers >= 0 in the dtype and shape of logits. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithQ] (q in (0, 1], default 0.7), [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only,
// default -100), [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The loss is at most 1/q: a masked true class (logit -Inf) has loss 1/q and gradient 0. Small q lose no digits.
//
// q → 0 is [CrossEntropy], q = 1 is 1 - p, half the absolute error of p.
//
// Reference: Z. Zhang, M. R. Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels, 2018.
func GeneralizedCrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return generalizedCrossEntropy.build(logits, target, opts)
}

var generalizedCrossEntropy = definition{
	name: "GeneralizedCrossEntropy", takes: classKnobs | knobQ,
	defaults: settings{axis: -1, ignore: []int{-100}, q: 0.7}, pred: Logits, target: LabelsOrSoft,
	laws: ShiftInvariant | NonNegative,
	rows: func(set *settings, _, _ int) rowFunc {
		q := set.q
		return bySurprisal(set, func(s, _, _ float64) (l, d, dd float64) {
			d = math.Exp(-q * s)
			return -math.Expm1(-q*s) / q, d, -q * d
		})
	},
}

// SigmoidFocal returns the focal loss of independent yes/no targets against the sigmoid of logits.
//
// With x a logit, y its target, p = σ(x), u = p(1-y) + (1-p)y the probability of being wrong, b the binary cross-entropy
// and a = α·y + (1-α)·(1-y) (1 without α),
//
//	l = a·u^γ·b        dl/dx = a·u^γ·(p - y + γ·b·p(1-p)(1-2y)/u)
//	                   dl/dy = a·u^γ·(γ·b·(1-2p)/u - x) + (2α-1)·u^γ·b
//
// logits and target have the same shape (any rank); targets lie in [0, 1]. The result is a scalar, or has the shape
// of logits under [None].
//
// Options: [WithGamma] (γ >= 0, default 2), [WithAlpha] (α in [0, 1], default off), [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Gradient and second derivative by logits are finite for γ < 1 too, and logits of ±Inf give the limits 0, 0 and +Inf.
//
// γ = 0 without α is [BinaryCrossEntropy]. [SoftmaxFocal] is for classes of which exactly one is true.
//
// Reference: T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017.
func SigmoidFocal(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return sigmoidFocal.build(logits, target, opts)
}

var sigmoidFocal = definition{
	name: "SigmoidFocal", takes: reduceKnobs | knobGamma | knobAlpha, defaults: settings{axis: -1, gamma: 2},
	pred: Logits, target: UnitInterval, elementwise: true,
	fast:  fast{f32: sigmoidFocalDirect[float32], f64: sigmoidFocalDirect[float64]},
	laws:  NonNegative,
	torch: "torchvision.ops.sigmoid_focal_loss", keras: "BinaryFocalCrossentropy(from_logits=True)", optax: "sigmoid_focal_loss",
	check: func(s *settings, _ Domain, _ int) error {
		if s.alpha < 0 || s.alpha > 1 {
			return fmt.Errorf("WithAlpha is %v, want a number in [0, 1]", s.alpha)
		}
		return nil
	},
	rows: func(s *settings, _, _ int) rowFunc {
		gamma, base, slope := s.gamma, 1.0, 0.0
		if s.given&knobAlpha != 0 {
			base, slope = 1-s.alpha, 2*s.alpha-1
		}
		at := func(o odds, x, y float64, _ int) jet {
			j := focalJet(o, x, y, gamma)
			a := base + slope*y
			return jet{
				l: times(a, j.l), p: a * j.p, t: times(a, j.t) + times(slope, j.l),
				pp: a * j.pp, pt: a*j.pt + slope*j.p, tt: times(a, j.tt) + times(2*slope, j.t),
			}
		}
		return front{
			value: func(r *row, dst []float64) {
				b, t := r.logistic(r.x[0], true), r.x[1][:len(dst)]
				for i, y := range t {
					o := b.odds(i)
					u := o.yes*(1-y) + o.no*y
					dst[i] = (base + slope*y) * power(u, gamma) * (y*o.won + (1-y)*o.lost)
					if !(math.Abs(b.x[i]) < ordinaryLogit) {
						dst[i] = at(o, b.x[i], y, 0).l
					}
				}
			},
			slope: func(r *row, dst []float64) {
				b, t := r.logistic(r.x[0], true), r.x[1][:len(dst)]
				for i, y := range t {
					o := b.odds(i)
					u := o.yes*(1-y) + o.no*y
					ux := o.yes * o.no * (1 - 2*y) / u // ∂u/u
					l := y*o.won + (1-y)*o.lost
					dst[i] = (base + slope*y) * power(u, gamma) * (pick(y == 1, -o.no, o.yes-y) + gamma*ux*l)
					if !(math.Abs(b.x[i]) < ordinaryLogit) {
						dst[i] = at(o, b.x[i], y, 0).p
					}
				}
			},
		}.before(byOdds(nil, at))
	},
}

// ordinaryLogit is the size of a logit below which no probability underflows.
const ordinaryLogit = 700

// focalJet is u^γ·b. It works with the quotients of u's derivatives and u, which stay finite as u falls to 0.
func focalJet(o odds, x, y, gamma float64) jet {
	b := binaryJet(o, x, y, 1)
	p, q := o.yes, o.no
	var u, ux, uxx, bu float64 // u, ∂u/u, ∂²u/u, b/u
	switch y {
	case 0:
		u, ux, uxx = p, q, q*(q-p)
	case 1:
		u, ux, uxx = q, -p, p*(p-q)
	default:
		u = p*(1-y) + q*y
		ux = p * q * (1 - 2*y) / u
		uxx = ux * (q - p)
	}
	if bu = b.l / u; u == 0 {
		bu = 1
	}
	w := power(u, gamma)
	wx, wxx := gamma*ux, gamma*((gamma-1)*ux*ux+uxx) // ∂w/w, ∂²w/w
	uy := q - p                                      // ∂u/∂y
	// ∂b/∂x over u is -1 and 1 at the ends.
	bx := b.p / u
	if y == 0 {
		bx = 1
	} else if y == 1 {
		bx = -1
	}
	return jet{
		l:  times(w, b.l),
		p:  w * (b.p + times(wx, b.l)),
		t:  times(w, b.t) + gamma*w*uy*bu,
		pp: w * (b.pp + 2*wx*b.p + times(wxx, b.l)),
		pt: times(w, b.pt) + times(w*wx, b.t) + gamma*w*(times((gamma-1)*ux*uy-2*p*q, bu)+uy*bx),
		tt: times(gamma, times(power(u, gamma-1), uy*((gamma-1)*uy*bu+2*b.t))),
	}
}
