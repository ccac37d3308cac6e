package tensorops

import "math"

// The terms of rows in Go, which the kernels are tested against.

// anyFloats is a slice of either type as float64 numbers.
type anyFloats struct {
	single []float32
	double []float64
}

func floatsOf[F Float](s []F) anyFloats {
	switch s := any(s).(type) {
	case []float32:
		return anyFloats{single: s}
	case []float64:
		return anyFloats{double: s}
	}
	return anyFloats{}
}

func (f anyFloats) none() bool { return f.single == nil && f.double == nil }

func (f anyFloats) at(i int) float64 {
	if f.single != nil {
		return float64(f.single[i])
	}
	return f.double[i]
}

func (f anyFloats) set(i int, v float64) {
	if f.single != nil {
		f.single[i] = float32(v)
		return
	}
	f.double[i] = v
}

// generic adds up a row from element at on, cols elements that lie step apart.
func (l *RowTerms) generic(factor float64, at, cols, step int, dst, x, t anyFloats) (sum RowSum) {
	for range cols {
		a, b := x.at(at), t.at(at)
		term, byX, byT := l.Term(a, b)
		sum.Terms, sum.X, sum.T = sum.Terms+term, sum.X+a, sum.T+b
		if l.Loss == RootTerms {
			sum.Products += math.Sqrt(a) * math.Sqrt(b)
		}
		switch {
		case dst.none():
		case l.Wrt == 0:
			dst.set(at, factor*byX)
		default:
			dst.set(at, factor*byT)
		}
		at += step
	}
	return sum
}

// Term returns a term and its derivatives as [TermsOfRows] has them.
func (l *RowTerms) Term(x, t float64) (term, byX, byT float64) {
	p := l.P
	if l.Loss != LogTerms && l.Loss != LogTargetTerms && !(x >= 0 && t >= 0) {
		return math.NaN(), math.NaN(), math.NaN()
	}
	switch l.Loss {
	case AbsoluteTerms:
		return math.Abs(x - t), signOf(x - t), signOf(t - x)
	case RootTerms:
		a, b := math.Sqrt(x), math.Sqrt(t)
		w := (x - t) / max(a+b, math.SmallestNonzeroFloat64)
		if x != 0 && t != 0 {
			byX, byT = b/a, a/b
		}
		return w * w, byX, byT
	case SquareTerms:
		if x == 0 && t == 0 {
			return 0, 0, 0
		}
		q := t / x
		if t == 0 {
			return x, 0, 0
		}
		return orNaN((t-x)*(q-1), x), q * q, q
	case PowerTerms:
		if t == 0 && p[0] < 1 || x == 0 && p[0] > 0 {
			return 0, 0, 0
		}
		term = orNaN(t*math.Exp(-p[0]*quotientLog(t, x)), min(x, t))
		return term, term / x, term / t
	case QuotientTerms:
		num := p[0]*t + p[1]
		log := quotientLog(num, x)
		if t == 0 {
			log = quotientLog(num, max(x, 0x1p-1022))
		}
		byX, byT = (p[2]*x-t)/x, log+p[2]
		if x == 0 && t == 0 {
			byX = p[2]
		}
		if t == 0 {
			if p[3] == 0 {
				byT = 0
			}
			return 0, byX, byT
		}
		return orNaN(t*log, min(num, x)), byX, byT
	case LogTerms:
		if t == 0 {
			return 0, 0, 0
		}
		log := math.Log(t) - x
		return orNaN(t*log, t), t, log + 1
	case LogTargetTerms:
		e := math.Exp(t)
		if e == 0 {
			return 0, 0, 0
		}
		term = e * (t - x)
		return term, e, term + e
	case MixedTerms:
		m := p[0]*t + p[1]*x
		part := func(v, own, toward float64) (slope float64) {
			if v == 0 {
				return 0
			}
			if d := toward / m; math.Abs(d) <= 0.5 {
				return own * math.Log1p(d)
			}
			return own * quotientLog(v, m)
		}
		if min(x, t) > 0 && !(min(x, t) >= 0x1p-1022) || max(x, t) < 0x1p-1022 && max(x, t) > 0 {
			return math.NaN(), math.NaN(), math.NaN()
		}
		byT, byX = part(t, p[0], p[1]*(t-x)), part(x, p[1], p[0]*(x-t))
		return t*byT + x*byX, byX, byT
	}
	return math.NaN(), math.NaN(), math.NaN()
}

// orNaN returns the term, NaN where v is no normal number.
func orNaN(term, v float64) float64 {
	if v >= 0x1p-1022 {
		return term
	}
	return math.NaN()
}

// quotientLog returns log(a/b), with its relative accuracy near 0.
func quotientLog(a, b float64) float64 {
	if d := a - b; math.Abs(d) <= b/2 {
		return math.Log1p(d / b)
	}
	if q := a / b; q >= 0x1p-1022 && q <= math.MaxFloat64 {
		return math.Log(q)
	}
	return math.Log(a) - math.Log(b)
}
