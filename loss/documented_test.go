package loss_test

import (
	"math"
	"slices"
)

// drawn are the options of a case: numbers by the names of their options, and class weights.
type drawn struct {
	number  map[string]float64
	classes []float64
	columns []float64 // WithPosWeight
	column  int       // the class of an element
	gammas  [2]float64
	labels  []int // what integer targets say

	dispersion float64 // WithDispersion of an element; 0: not given
}

func (d *drawn) weight(c int) float64 {
	if d.classes == nil {
		return 1
	}
	return d.classes[c]
}

// mass is m = Σ w·t with class weights, 1 without.
func (d *drawn) mass(t []float64) float64 {
	if d.classes == nil {
		return 1
	}
	return sumOver(t, func(c int) float64 { return d.classes[c] * t[c] })
}

// preferred is -(1-ε)·log σ(x) - ε·log σ(-x).
func preferred(x float64, d *drawn) float64 {
	eps := d.number["WithLabelSmoothing"]
	return (1-eps)*softplusOf(-x) + eps*softplusOf(x)
}

func sumOver(x []float64, term func(c int) float64) float64 {
	sum := 0.0
	for c := range x {
		sum += term(c)
	}
	return sum
}

func (d *drawn) softmax(x []float64) []float64 {
	x = slices.Clone(x)
	for c := range x {
		if cap := d.number["WithSoftcap"]; cap != 0 {
			x[c] = cap * math.Tanh(x[c]/cap)
		}
		if temperature := d.number["WithTemperature"]; temperature != 0 {
			x[c] /= temperature
		}
	}
	total := sumOver(x, func(c int) float64 { return math.Exp(x[c]) })
	for c := range x {
		x[c] = math.Exp(x[c]) / total
	}
	return x
}

// smoothed is (1-ε)t + ε/K.
func (d *drawn) smoothed(t []float64) []float64 {
	t = slices.Clone(t)
	eps := d.number["WithLabelSmoothing"]
	for c := range t {
		t[c] = (1-eps)*t[c] + eps/float64(len(t))
	}
	return t
}

// target is a divergence's target as its option says.
func (d *drawn) target(t []float64) []float64 {
	switch {
	case d.number["WithTargetLogits"] != 0:
		return d.softmax(t)
	case d.number["WithLogTarget"] != 0:
		t = slices.Clone(t)
		for c := range t {
			t[c] = math.Exp(t[c])
		}
	}
	return t
}

func sigma(x float64) float64      { return 1 / (1 + math.Exp(-x)) }
func softplusOf(x float64) float64 { return math.Log(1 + math.Exp(x)) }

func kullback(t, p []float64) float64 {
	return sumOver(t, func(c int) float64 { return t[c] * math.Log(t[c]/p[c]) })
}

// A formula is the value of an element, or of a row with its target t, which is one-hot for a
// label.
type formula func(p, t []float64, d *drawn) float64

// ofError is a formula of e = pred - target.
func ofError(f func(e float64, o map[string]float64) float64) formula {
	return func(p, t []float64, d *drawn) float64 { return f(p[0]-t[0], d.number) }
}

// ofMargin is a formula of y·x.
func ofMargin(f func(m float64) float64) formula {
	return func(p, t []float64, _ *drawn) float64 { return f(p[0] * t[0]) }
}

// documented are the losses of two operands as their documentation writes them, in plain float64.
var documented = map[string]formula{
	"MSE":         ofError(func(e float64, _ map[string]float64) float64 { return e * e }),
	"HalfSquared": ofError(func(e float64, _ map[string]float64) float64 { return e * e / 2 }),
	"MAE":         ofError(func(e float64, _ map[string]float64) float64 { return math.Abs(e) }),
	"LogCosh":     ofError(func(e float64, _ map[string]float64) float64 { return math.Log(math.Cosh(e)) }),
	"Huber": ofError(func(e float64, o map[string]float64) float64 {
		delta := o["WithDelta"]
		if m := math.Abs(e); m > delta {
			return delta * (m - delta/2)
		}
		return e * e / 2
	}),
	"SmoothL1": ofError(func(e float64, o map[string]float64) float64 {
		beta := o["WithBeta"]
		if m := math.Abs(e); m > beta {
			return m - beta/2
		}
		return e * e / (2 * beta)
	}),
	"PseudoHuber": ofError(func(e float64, o map[string]float64) float64 {
		delta := o["WithDelta"]
		return delta * delta * (math.Sqrt(1+e/delta*e/delta) - 1)
	}),
	"Charbonnier": ofError(func(e float64, o map[string]float64) float64 {
		return math.Sqrt(e*e + o["WithEpsilon"]*o["WithEpsilon"])
	}),
	"Cauchy": ofError(func(e float64, o map[string]float64) float64 {
		z := e / o["WithScale"]
		return math.Log(1 + z*z/2)
	}),
	"GemanMcClure": ofError(func(e float64, o map[string]float64) float64 {
		z := e / o["WithScale"]
		return 2 * z * z / (z*z + 4)
	}),
	"Welsch": ofError(func(e float64, o map[string]float64) float64 {
		z := e / o["WithScale"]
		return 1 - math.Exp(-z*z/2)
	}),
	"Tukey": ofError(func(e float64, o map[string]float64) float64 {
		c := o["WithScale"]
		if z := e / c; math.Abs(z) <= 1 {
			return c * c / 6 * (1 - math.Pow(1-z*z, 3))
		}
		return c * c / 6
	}),
	"Barron": ofError(func(e float64, o map[string]float64) float64 {
		z, alpha := e/o["WithScale"], o["WithAlpha"]
		b := math.Abs(alpha - 2)
		switch alpha {
		case 2:
			return z * z / 2
		case 0:
			return math.Log(1 + z*z/2)
		}
		return b / alpha * (math.Pow(z*z/b+1, alpha/2) - 1)
	}),
	"Wing": ofError(func(e float64, o map[string]float64) float64 {
		w, eps := o["WithMargin"], o["WithEpsilon"]
		if m := math.Abs(e); m >= w {
			return m - (w - w*math.Log(1+w/eps))
		}
		return w * math.Log(1+math.Abs(e)/eps)
	}),
	"Quantile": ofError(func(e float64, o map[string]float64) float64 {
		return max((1-o["WithQuantile"])*e, -o["WithQuantile"]*e)
	}),
	"Expectile": ofError(func(e float64, o map[string]float64) float64 {
		if e > 0 {
			return (1 - o["WithTau"]) * e * e
		}
		return o["WithTau"] * e * e
	}),
	"EpsilonInsensitive": ofError(func(e float64, o map[string]float64) float64 { return max(0, math.Abs(e)-o["WithEpsilon"]) }),
	"MAPE": func(p, t []float64, d *drawn) float64 {
		return math.Abs(p[0]-t[0]) / max(math.Abs(t[0]), d.number["WithEpsilon"])
	},
	"SMAPE": func(p, t []float64, _ *drawn) float64 {
		return 2 * math.Abs(p[0]-t[0]) / (math.Abs(p[0]) + math.Abs(t[0]))
	},
	"MSLE": func(p, t []float64, _ *drawn) float64 {
		gap := math.Log(1+max(p[0], 1e-7)) - math.Log(1+max(t[0], 1e-7))
		return gap * gap
	},
	"PoissonNLL": func(p, t []float64, d *drawn) float64 {
		l := math.Exp(p[0]) - t[0]*p[0]
		if d.number["WithFull"] != 0 && t[0] > 1 {
			l += t[0]*math.Log(t[0]) - t[0] + math.Log(2*math.Pi*t[0])/2
		}
		return l
	},
	"Gamma": func(p, t []float64, _ *drawn) float64 { return t[0]*math.Exp(-p[0]) + p[0] },
	"Tweedie": func(p, t []float64, d *drawn) float64 {
		switch power := d.number["WithPower"]; power {
		case 1:
			return math.Exp(p[0]) - t[0]*p[0]
		case 2:
			return t[0]*math.Exp(-p[0]) + p[0]
		default:
			return -t[0]*math.Exp((1-power)*p[0])/(1-power) + math.Exp((2-power)*p[0])/(2-power)
		}
	},
	"NegativeBinomial": func(p, t []float64, d *drawn) float64 {
		alpha, full := d.number["WithAlpha"], d.number["WithFull"] != 0
		if d.dispersion != 0 {
			alpha = d.dispersion
		}
		r, gamma := 1/alpha, func(x float64) float64 { l, _ := math.Lgamma(x); return l }
		l := (t[0]+r)*math.Log(1+alpha*math.Exp(p[0])) - t[0]*p[0]
		if full {
			l += gamma(t[0] + 1)
		}
		if full || d.dispersion != 0 {
			l += gamma(r) - gamma(t[0]+r) - t[0]*math.Log(alpha)
		}
		return l
	},
	"BinaryCrossEntropy": func(p, t []float64, d *drawn) float64 {
		eps := d.number["WithLabelSmoothing"]
		y, w := t[0]*(1-eps)+eps/2, 1.0
		switch len(d.columns) {
		case 0:
		case 1:
			w = d.columns[0]
		default:
			w = d.columns[d.column]
		}
		return w*y*softplusOf(-p[0]) + (1-y)*softplusOf(p[0])
	},
	"BinaryCrossEntropyFromProb": func(p, t []float64, _ *drawn) float64 { return -(t[0]*math.Log(p[0]) + (1-t[0])*math.Log(1-p[0])) },
	"SigmoidFocal": func(x, t []float64, d *drawn) float64 {
		p, y, a := sigma(x[0]), t[0], 1.0
		if alpha, ok := d.number["WithAlpha"]; ok {
			a = alpha*y + (1-alpha)*(1-y)
		}
		return a * math.Pow(p*(1-y)+(1-p)*y, d.number["WithGamma"]) * (y*softplusOf(-x[0]) + (1-y)*softplusOf(x[0]))
	},
	"AsymmetricLoss": func(x, t []float64, d *drawn) float64 {
		p, y := sigma(x[0]), t[0]
		m := max(p-d.number["WithClip"], 0)
		return -y*math.Pow(1-p, d.gammas[0])*math.Log(p) - (1-y)*math.Pow(m, d.gammas[1])*math.Log(1-m)
	},
	"CPO": func(c, r []float64, d *drawn) float64 { return preferred(d.number["WithBeta"]*(c[0]-r[0]), d) },
	"SimPO": func(c, r []float64, d *drawn) float64 {
		return preferred(d.number["WithBeta"]*(c[0]-r[0])-d.number["WithGamma"], d)
	},
	"ORPO": func(c, r []float64, d *drawn) float64 {
		p, q := math.Exp(c[0]), math.Exp(r[0])
		return d.number["WithBeta"] * math.Log1p(q*(1-p)/(p*(1-q)))
	},
	"BernoulliKL": func(a, b []float64, _ *drawn) float64 {
		return sigma(a[0])*(a[0]-b[0]) + softplusOf(b[0]) - softplusOf(a[0])
	},
	"Hinge":        ofMargin(func(m float64) float64 { return max(0, 1-m) }),
	"SquaredHinge": ofMargin(func(m float64) float64 { return max(0, 1-m) * max(0, 1-m) }),
	"Perceptron":   ofMargin(func(m float64) float64 { return max(0, -m) }),
	"SoftMargin":   ofMargin(func(m float64) float64 { return softplusOf(-m) }),
	"ModifiedHuber": ofMargin(func(m float64) float64 {
		if m < -1 {
			return -4 * m
		}
		return max(0, 1-m) * max(0, 1-m)
	}),
	"HingeEmbedding": func(p, t []float64, d *drawn) float64 {
		if t[0] > 0 {
			return p[0]
		}
		return max(0, d.number["WithMargin"]-p[0])
	},
	"MultiLabelSoftMargin": func(x, t []float64, d *drawn) float64 {
		return sumOver(x, func(c int) float64 { return d.weight(c) * (t[c]*softplusOf(-x[c]) + (1-t[c])*softplusOf(x[c])) }) / float64(len(x))
	},
	"MultiLabelMargin": func(x, _ []float64, d *drawn) float64 {
		end := slices.Index(d.labels, -1)
		if end < 0 {
			end = len(d.labels)
		}
		list, l := d.labels[:end], 0.0
		for _, y := range list {
			for j := range x {
				if !slices.Contains(list, j) {
					l += max(0, 1-(x[y]-x[j]))
				}
			}
		}
		return l / float64(len(x))
	},
	"CrossEntropy": func(x, t []float64, d *drawn) float64 {
		p, target := d.softmax(x), d.smoothed(t)
		l := sumOver(p, func(c int) float64 { return -d.weight(c) * target[c] * math.Log(p[c]) })
		if s := d.number["WithZLoss"]; s != 0 {
			z := math.Log(math.Exp(d.logit(x[0])) / p[0])
			l += s * z * z
		}
		return l
	},
	"CrossEntropyFromProb": func(p, t []float64, d *drawn) float64 {
		target := d.smoothed(t)
		return sumOver(p, func(c int) float64 { return -d.weight(c) * target[c] * math.Log(p[c]) })
	},
	"NLL": func(q, t []float64, d *drawn) float64 {
		return sumOver(q, func(c int) float64 { return -d.weight(c) * t[c] * q[c] })
	},
	"SoftmaxFocal": func(x, t []float64, d *drawn) float64 {
		p := d.softmax(x)
		return sumOver(p, func(c int) float64 {
			return -d.weight(c) * t[c] * math.Pow(1-p[c], d.number["WithGamma"]) * math.Log(p[c])
		})
	},
	"PolyCrossEntropy": func(x, t []float64, d *drawn) float64 {
		p := d.softmax(x)
		return sumOver(p, func(c int) float64 {
			return d.weight(c) * t[c] * (-math.Log(p[c]) + d.number["WithEpsilon"]*(1-p[c]))
		})
	},
	"GeneralizedCrossEntropy": func(x, t []float64, d *drawn) float64 {
		p, q := d.softmax(x), d.number["WithQ"]
		return sumOver(p, func(c int) float64 { return d.weight(c) * t[c] * (1 - math.Pow(p[c], q)) / q })
	},
	"EMD": func(x, t []float64, d *drawn) float64 {
		p, ahead := d.softmax(x), 0.0
		return d.mass(t) * sumOver(p, func(c int) float64 {
			ahead += p[c] - t[c]
			return ahead * ahead
		})
	},
	"Brier": func(x, t []float64, d *drawn) float64 {
		p := d.softmax(x)
		return d.mass(t) * sumOver(p, func(c int) float64 { return (p[c] - t[c]) * (p[c] - t[c]) })
	},
	"RankedProbability": func(x, t []float64, d *drawn) float64 {
		p, ahead := d.softmax(x), 0.0
		return d.mass(t) * sumOver(p[:len(p)-1], func(c int) float64 {
			ahead += p[c] - t[c]
			return ahead * ahead
		})
	},
	"SphericalScore": func(x, t []float64, d *drawn) float64 {
		p := d.softmax(x)
		norm := math.Sqrt(sumOver(p, func(c int) float64 { return p[c] * p[c] }))
		return d.mass(t) * sumOver(p, func(c int) float64 { return t[c] * (1 - p[c]/norm) })
	},
	"EvidentialMSE": func(e, t []float64, d *drawn) float64 {
		s := sumOver(e, func(c int) float64 { return e[c] + 1 })
		return d.mass(t) * sumOver(e, func(c int) float64 {
			p := (e[c] + 1) / s
			return (t[c]-p)*(t[c]-p) + p*(1-p)/(s+1)
		})
	},
	"Sparsemax": func(x, t []float64, d *drawn) float64 {
		p := bisected(x, func(x, tau float64) float64 { return max(0, x-tau) }, 1)
		return d.mass(t) * sumOver(x, func(c int) float64 { return (t[c]*t[c]-p[c]*p[c])/2 + (p[c]-t[c])*x[c] })
	},
	"Entmax15": func(x, t []float64, d *drawn) float64 {
		p := bisected(x, func(x, tau float64) float64 { return max(0, x/2-tau) * max(0, x/2-tau) }, 0.5)
		return d.mass(t) * sumOver(x, func(c int) float64 {
			return 4./3*(math.Pow(t[c], 1.5)-math.Pow(p[c], 1.5)) + (p[c]-t[c])*x[c]
		})
	},
	"CategoricalHinge": func(x, t []float64, d *drawn) float64 {
		best := math.Inf(-1)
		for c := range x {
			best = max(best, (1-t[c])*x[c])
		}
		return d.mass(t) * max(0, 1+best-sumOver(x, func(c int) float64 { return t[c] * x[c] }))
	},
	"MultiMargin": func(x, t []float64, d *drawn) float64 {
		y := slices.Index(t, 1)
		return d.weight(y) / float64(len(x)) * sumOver(x, func(j int) float64 {
			if j == y {
				return 0
			}
			return math.Pow(max(0, d.number["WithMargin"]-x[y]+x[j]), d.number["WithPower"])
		})
	},
	"MulticlassHinge": func(x, t []float64, d *drawn) float64 {
		y, best := slices.Index(t, 1), math.Inf(-1)
		for j := range x {
			if j != y {
				best = max(best, x[j])
			}
		}
		return d.weight(y) * max(0, 1+best-x[y])
	},
	"MulticlassPerceptron": func(x, t []float64, d *drawn) float64 {
		y := slices.Index(t, 1)
		return d.weight(y) * (slices.Max(x) - x[y])
	},
	"ArcFace": func(c, t []float64, d *drawn) float64 {
		return d.scaledCosines(c, t, func(c float64) float64 { return math.Cos(math.Acos(c) + d.number["WithMargin"]) })
	},
	"CosFace": func(c, t []float64, d *drawn) float64 {
		return d.scaledCosines(c, t, func(c float64) float64 { return c - d.number["WithMargin"] })
	},
	"CosineDistance": func(x, y []float64, d *drawn) float64 {
		norm := func(x []float64) float64 {
			return max(math.Sqrt(sumOver(x, func(c int) float64 { return x[c] * x[c] })), d.number["WithEpsilon"])
		}
		return 1 - sumOver(x, func(c int) float64 { return x[c] * y[c] })/norm(x)/norm(y)
	},
	"KL": func(x, t []float64, d *drawn) float64 { return kullback(d.target(t), d.softmax(x)) },
	"KLFromLogProb": func(q, t []float64, d *drawn) float64 {
		t = d.target(t)
		return sumOver(q, func(c int) float64 { return t[c] * (math.Log(t[c]) - q[c]) })
	},
	"ReverseKL": func(x, t []float64, d *drawn) float64 { return kullback(d.softmax(x), d.target(t)) },
	"JensenShannon": func(p, t []float64, d *drawn) float64 {
		beta := d.number["WithBeta"]
		switch beta {
		case 0:
			return kullback(t, p)
		case 1:
			return kullback(p, t)
		}
		m := make([]float64, len(p))
		for c := range m {
			m[c] = beta*t[c] + (1-beta)*p[c]
		}
		return beta*kullback(t, m) + (1-beta)*kullback(p, m)
	},
	"TotalVariation": func(p, t []float64, _ *drawn) float64 {
		return sumOver(p, func(c int) float64 { return math.Abs(p[c]-t[c]) / 2 })
	},
	"GeneralizedKL": func(p, t []float64, _ *drawn) float64 {
		return kullback(t, p) + sumOver(p, func(c int) float64 { return p[c] - t[c] })
	},
	"Hellinger":     func(p, t []float64, _ *drawn) float64 { return math.Sqrt(1 - powers(p, t, 0.5)) },
	"Bhattacharyya": func(p, t []float64, _ *drawn) float64 { return -math.Log(powers(p, t, 0.5)) },
	"AlphaDivergence": func(p, t []float64, d *drawn) float64 {
		switch alpha := d.number["WithAlpha"]; alpha {
		case 0:
			return kullback(p, t)
		case 1:
			return kullback(t, p)
		default:
			return (powers(p, t, alpha) - 1) / (alpha * (alpha - 1))
		}
	},
	"Renyi": func(p, t []float64, d *drawn) float64 {
		if alpha := d.number["WithAlpha"]; alpha != 1 {
			return math.Log(powers(p, t, alpha)) / (alpha - 1)
		}
		return kullback(t, p)
	},
	"StandardGaussianKL": func(m, v []float64, _ *drawn) float64 {
		return sumOver(m, func(c int) float64 { return m[c]*m[c] + math.Exp(v[c]) - 1 - v[c] }) / 2
	},
}

// powers is Σ t^α·p^(1-α).
func powers(p, t []float64, alpha float64) float64 {
	return sumOver(p, func(c int) float64 { return math.Pow(t[c], alpha) * math.Pow(p[c], 1-alpha) })
}

// logit is a logit after softcap and temperature.
func (d *drawn) logit(x float64) float64 {
	if cap := d.number["WithSoftcap"]; cap != 0 {
		x = cap * math.Tanh(x/cap)
	}
	return x / d.number["WithTemperature"]
}

// scaledCosines is the cross-entropy of s·c with the margin at the label.
func (d *drawn) scaledCosines(c, t []float64, margin func(float64) float64) float64 {
	y, z := slices.Index(t, 1), slices.Clone(c)
	z[y] = margin(c[y])
	for j := range z {
		z[j] *= d.number["WithScale"]
	}
	return d.weight(y) * (math.Log(sumOver(z, func(j int) float64 { return math.Exp(z[j] - z[y]) })))
}

// bisected finds τ such that Σ p = 1, between the largest number (times unit), where the sum is 0,
// and 1 below.
func bisected(x []float64, p func(x, tau float64) float64, unit float64) []float64 {
	hi := unit * slices.Max(x)
	lo := hi - 1
	sum := func(tau float64) float64 { return sumOver(x, func(c int) float64 { return p(x[c], tau) }) }
	for range 60 {
		if mid := (lo + hi) / 2; sum(mid) > 1 {
			lo = mid
		} else {
			hi = mid
		}
	}
	out := make([]float64, len(x))
	for c := range x {
		out[c] = p(x[c], lo)
	}
	return out
}
