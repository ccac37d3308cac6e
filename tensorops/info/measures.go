package info

import "math"

// The measures on checked operands. Each is the whole of its formula; what the exported functions
// add is the checking.

func entropy[T Weight](p vec[T], u Unit) float64 {
	var h sum
	for i := range p.data {
		if x := p.at(i); x > 0 {
			h.add(x * p.surprisal(i, u))
		}
	}
	return max(0, h.value())
}

func crossEntropy[T Weight](p, q vec[T], u Unit) float64 {
	var h sum
	for i := range p.data {
		x := p.at(i)
		if x == 0 {
			continue
		}
		if q.data[i] == 0 {
			return math.Inf(1)
		}
		h.add(x * q.surprisal(i, u))
	}
	return max(0, h.value())
}

// perplexity has the form of the others; its unit is fixed.
func perplexity[T Weight](p, q vec[T], _ Unit) float64 { return math.Exp(crossEntropy(p, q, Nats)) }

// near is the largest |p-q|/(p+q) at which a divergence term is summed as a series. At 1/4, where
// the closed form takes over, that form loses one digit in KL and less in JensenShannon; the series
// there has 13 terms.
const near = 0.25

// relative accumulates a relative entropy Σ p log(p/q) in the unit.
//
// Terms of both signs cancel where p and q are alike: elements that differ by δ have terms near δ
// and a sum near δ². p log(p/q) - (p - q) is near δ²/2 and never negative, so for elements that are
// near each other this is summed, and the exact differences p - q apart from it.
type relative struct {
	unit    Unit
	terms   sum // p log(p/q) of far elements, p log(p/q) - (p-q) of near ones, in the unit
	nearBy  sum // p - q of near elements
	farAway sum // p - q of far elements
	offQ    bool
}

// add takes the term of p against q = a·b. The factors are apart because the product of two small
// marginals underflows.
func (r *relative) add(p, a, b float64) {
	q := float64(a * b)
	d, s := p-q, p+q
	switch {
	case p == 0:
		r.farAway.add(-q)
	case a == 0 || b == 0:
		r.offQ = true
	case math.Abs(d) <= near*s && q >= minNormal:
		r.nearBy.add(d)
		r.terms.add(r.unit.fromNats(excess(p, d, d/s)))
	default:
		r.farAway.add(d)
		r.terms.add(p * r.logRatio(p, a, b, q))
	}
}

// logRatio returns log(p/q), q = a·b.
func (r *relative) logRatio(p, a, b, q float64) float64 {
	if ratio := p / q; q >= minNormal && ratio >= minNormal {
		return r.unit.log(ratio)
	}
	return r.unit.log(p) - r.unit.log(a) - r.unit.log(b)
}

// excess returns p ln(p/q) - d for d = p - q and v = d/(p + q), without cancellation for small v.
// From ln(p/q) = 2 artanh v = 2(v + v³/3 + v⁵/5 + ...) and 2pv - d = dv,
//
//	p ln(p/q) - d = dv + 2pv(v²/3 + v⁴/5 + ...)
func excess(p, d, v float64) float64 {
	v2 := v * v
	tail, power := 0.0, v2
	for k := 3.0; ; k += 2 {
		next := tail + power/k
		if next == tail {
			return d*v + 2*p*v*tail
		}
		tail, power = next, power*v2
	}
}

// asGiven returns Σ p log(p/q).
func (r *relative) asGiven() float64 {
	if r.offQ {
		return math.Inf(1)
	}
	r.terms.add(r.unit.fromNats(r.nearBy.value()))
	return max(0, r.terms.value())
}

// normalised returns Σ p log(p/q) - (Σp - Σq), the difference being 0 but for the rounding of p and
// q.
func (r *relative) normalised() float64 {
	if r.offQ {
		return math.Inf(1)
	}
	r.terms.add(-r.unit.fromNats(r.farAway.value()))
	return max(0, r.terms.value())
}

func kl[T Weight](p, q vec[T], u Unit) float64 {
	r := relative{unit: u}
	for i := range p.data {
		r.add(p.at(i), q.at(i), 1)
	}
	if p.weights {
		return r.normalised()
	}
	return r.asGiven()
}

func mutualInformation[T Weight](joint vec[T], cols int, u Unit) float64 {
	if !joint.weights {
		joint.total = joint.sum() // not quite 1: the product of the marginals would sum to its square
	}
	columns := make([]sum, cols)
	for lo := 0; lo < len(joint.data); lo += cols {
		for j := range cols {
			columns[j].add(joint.at(lo + j))
		}
	}
	r := relative{unit: u}
	for lo := 0; lo < len(joint.data); lo += cols {
		var row sum
		for j := range cols {
			row.add(joint.at(lo + j))
		}
		for j := range cols {
			r.add(joint.at(lo+j), row.value(), columns[j].value())
		}
	}
	return r.normalised()
}

func jensenShannon[T Weight](p, q vec[T], u Unit) float64 {
	var js sum
	for i := range p.data {
		js.add(toMiddle(p.at(i), q.at(i), u))
	}
	return min(js.value()/2, u.log(2))
}

// toMiddle returns p log(p/m) + q log(q/m), m = (p + q)/2, which is at least 0. With s = p + q and
// v = (p - q)/s,
//
//	s/2·((1+v) log(1+v) + (1-v) log(1-v)) = s/2·(v² + v⁴/6 + v⁶/15 + ... + v^2k/(k(2k-1)) + ...)
func toMiddle(p, q float64, u Unit) float64 {
	s := p + q
	if s == 0 {
		return 0
	}
	v := (p - q) / s
	if math.Abs(v) > near {
		return s / 2 * (u.xlogx(2*p/s) + u.xlogx(2*q/s))
	}
	v2 := v * v
	series, power := 0.0, v2
	for k := 1.0; ; k++ {
		next := series + power/(k*(2*k-1))
		if next == series {
			return u.fromNats(s / 2 * series)
		}
		series, power = next, power*v2
	}
}

func (u Unit) xlogx(x float64) float64 {
	if x == 0 {
		return 0
	}
	return float64(x * u.log(x)) // rounded, not fused into the caller's sum, which would make it depend on the order
}
