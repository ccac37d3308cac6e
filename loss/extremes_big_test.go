package loss_test

import (
	cmdline "flag"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

var extremeRows = cmdline.Int("extremes", 60, "real of rows of each loss that TestEndsOfFloat64 compares")

// real is a big float; its exponent never runs out.
type real = *big.Float

// bigPrec is the number of bits that hold the smallest number of float64 beside the largest.
const bigPrec = 2300

func newReal() real                   { return new(big.Float).SetPrec(bigPrec) }
func exact(x float64) real            { return newReal().SetFloat64(x) }
func plus(a, b real) real             { return newReal().Add(a, b) }
func minus(a, b real) real            { return newReal().Sub(a, b) }
func product2(a, b real) real         { return newReal().Mul(a, b) }
func quotient(a, b real) real         { return newReal().Quo(a, b) }
func root(a real) real                { return newReal().Sqrt(a) }
func logOf(a real) real               { return vectest.BigLog(a) }
func sizeOf(a real) real              { return newReal().Abs(a) }
func greater(a, b real) real          { return map[bool]real{true: a, false: b}[a.Cmp(b) > 0] }
func multiple(c float64, a real) real { return product2(exact(c), a) }

// xlog returns a·log b with 0·log 0 = 0, nil for an infinite result.
func xlog(a, b real) real {
	switch {
	case a.Sign() == 0:
		return exact(0)
	case b.Sign() == 0:
		return nil
	}
	return product2(a, logOf(b))
}

// expOf returns exp(a) for a <= 0.
func expOf(a real) real {
	if a.Cmp(exact(-1e6)) < 0 {
		return exact(0) // far below every float64, also times the largest
	}
	return vectest.BigExp(a)
}

// An exactResult is a value with its derivatives by the first operand, and the sizes of the largest
// terms that they are sums of. An entry of nil is infinite.
type exactResult struct {
	value, size       real
	slopes, slopeSize []real
	none              bool // the formula has no value
}

// sum adds terms, which make the value infinite where one is nil.
func (r *exactResult) sum(terms ...real) {
	r.value, r.size = exact(0), exact(0)
	for _, v := range terms {
		if v == nil {
			r.value = nil
			return
		}
		r.value, r.size = plus(r.value, v), greater(r.size, sizeOf(v))
	}
}

// slope appends a derivative, the sum of terms.
func (r *exactResult) slope(terms ...real) {
	sum := exactResult{}
	sum.sum(terms...)
	r.slopes, r.slopeSize = append(r.slopes, sum.value), append(r.slopeSize, sum.size)
}

func total(x []real) real {
	sum := exact(0)
	for _, v := range x {
		sum = plus(sum, v)
	}
	return sum
}

// affinity returns Σ √(p·t) and √(t_j/p_j), nil where that is no number of float64.
func affinity(p, t []real) (sum real, ratios []real) {
	sum = exact(0)
	for j := range p {
		sum = plus(sum, root(product2(p[j], t[j])))
		ratios = append(ratios, nil)
		if p[j].Sign() > 0 {
			ratios[j] = root(quotient(t[j], p[j]))
			if ratios[j].Cmp(exact(math.MaxFloat64)) > 0 {
				ratios[j] = nil // p is a subnormal number
			}
		}
	}
	return sum, ratios
}

// crossTerms returns t·log t and -t·log p for each class.
func crossTerms(p, t []real) (terms []real) {
	for j := range p {
		own, other := xlog(t[j], t[j]), xlog(t[j], p[j])
		if other != nil {
			other = multiple(-1, other)
		}
		terms = append(terms, own, other)
	}
	return terms
}

// projected is the row that sparsemax (root false) or entmax (root true) makes of logits.
func projected(x []real, root15 bool) []real {
	z := slices.Clone(x)
	if root15 {
		for j := range z {
			z[j] = multiple(0.5, z[j])
		}
	}
	sorted := slices.SortedFunc(slices.Values(z), func(a, b real) int { return b.Cmp(a) })
	var tau real
	for k := 1; k <= len(sorted); k++ {
		mean := quotient(total(sorted[:k]), exact(float64(k)))
		next := minus(mean, quotient(exact(1), exact(float64(k))))
		if root15 {
			squares := exact(0)
			for _, v := range sorted[:k] {
				squares = plus(squares, product2(minus(v, mean), minus(v, mean)))
			}
			under := quotient(minus(exact(1), squares), exact(float64(k)))
			if under.Sign() < 0 {
				break
			}
			next = minus(mean, root(under))
		}
		if sorted[k-1].Cmp(next) <= 0 {
			break
		}
		tau = next
	}
	p := make([]real, len(x))
	for j, v := range z {
		p[j] = greater(minus(v, tau), exact(0))
		if root15 {
			p[j] = product2(p[j], p[j])
		}
	}
	return p
}

// fenchelYoung is Σ c·(t^e - p^e) + (p-t)·x with c = ½ and e = 2, or c = 4/3 and e = 3/2.
func fenchelYoung(root15 bool) func(x, t []real, y int) exactResult {
	power := func(v real) real {
		if root15 {
			return quotient(multiple(4, product2(v, root(v))), exact(3))
		}
		return multiple(0.5, product2(v, v))
	}
	return func(x, t []real, _ int) (r exactResult) {
		var terms []real
		p := projected(x, root15)
		for j := range x {
			terms = append(terms, power(t[j]), multiple(-1, power(p[j])), product2(p[j], x[j]),
				multiple(-1, product2(t[j], x[j])))
			r.slope(p[j], multiple(-1, t[j]))
			r.slopeSize[j] = greater(r.slopeSize[j], exact(1)) // p is what is left of a threshold
		}
		r.sum(terms...)
		return r
	}
}

// exactLosses are the documentation's formulas. y is 0.
var exactLosses = []struct {
	name    string
	domains [2]loss.Domain
	of      func(p, t []real, y int) exactResult
}{
	{"SMAPE", [2]loss.Domain{loss.Real, loss.Real}, func(p, t []real, _ int) (r exactResult) {
		x, y := p[0], t[0]
		size, gap := plus(sizeOf(x), sizeOf(y)), minus(x, y)
		switch {
		case size.Sign() == 0:
			r.sum(exact(0))
			r.slope(exact(0))
			return r
		case x.Sign()*y.Sign() > 0 && gap.Sign() != 0:
			r.slope(quotient(multiple(4*float64(gap.Sign()), sizeOf(y)), product2(size, size)))
		case x.Sign()*y.Sign() > 0, x.Sign()*y.Sign() < 0:
			r.slope(exact(0))
		case x.Sign() == 0: // the mean of 0 and 4·t·sign(-t)/t²
			r.slope(quotient(exact(-2), y))
		default: // t = 0: the value is 2 on either side
			r.slope(exact(0))
		}
		r.sum(quotient(multiple(2, sizeOf(gap)), size))
		return r
	}},
	{"EvidentialMSE", [2]loss.Domain{loss.Probabilities, loss.Labels}, func(e, _ []real, y int) (r exactResult) {
		one, s := exact(1), exact(0)
		for _, v := range e {
			s = plus(s, plus(v, one))
		}
		var terms, a, p []real
		along, spread := exact(0), exact(0)
		for j, v := range e {
			p = append(p, quotient(plus(v, one), s))
			miss := p[j]
			if j == y {
				miss = minus(p[j], one)
			}
			terms = append(terms, product2(miss, miss), quotient(product2(p[j], minus(one, p[j])), plus(s, one)))
			a = append(a, plus(multiple(2, miss), quotient(minus(one, multiple(2, p[j])), plus(s, one))))
			along, spread = plus(along, product2(a[j], p[j])), plus(spread, product2(p[j], minus(one, p[j])))
		}
		for j := range e {
			r.slope(quotient(a[j], s), multiple(-1, quotient(along, s)),
				multiple(-1, quotient(quotient(spread, plus(s, one)), plus(s, one))))
			for _, v := range a { // along is a sum, too
				r.slopeSize[j] = greater(r.slopeSize[j], quotient(sizeOf(v), s))
			}
		}
		r.sum(terms...)
		return r
	}},
	{"Hellinger", [2]loss.Domain{loss.Probabilities, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		b, ratios := affinity(p, t)
		gap := minus(exact(1), b)
		if gap.Sign() <= 0 {
			r.sum(exact(0))
			for range p {
				r.slope(exact(0))
			}
			return r
		}
		l := root(gap)
		for _, q := range ratios {
			if q == nil {
				r.slope(nil)
				continue
			}
			r.slope(quotient(multiple(-0.25, q), l))
		}
		r.sum(l)
		// what the rounding of 1 - B is to its root
		r.size = greater(r.size, quotient(greater(b, exact(1)), l))
		for j, q := range r.slopeSize {
			if q != nil {
				r.slopeSize[j] = quotient(q, gap)
			}
		}
		return r
	}},
	{"Bhattacharyya", [2]loss.Domain{loss.Probabilities, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		b, ratios := affinity(p, t)
		if b.Sign() == 0 {
			return r
		}
		for _, q := range ratios {
			if q == nil {
				r.slope(nil)
				continue
			}
			r.slope(quotient(multiple(-0.5, q), b))
		}
		r.sum(multiple(-1, logOf(b)))
		r.size = greater(r.size, exact(1))
		return r
	}},
	{"ReverseKL", [2]loss.Domain{loss.Logits, loss.SoftTargets}, func(x, t []real, _ int) (r exactResult) {
		top := slices.MaxFunc(x, func(a, b real) int { return a.Cmp(b) })
		sum := exact(0)
		for _, v := range x {
			sum = plus(sum, expOf(minus(v, top)))
		}
		var terms, p, gaps []real
		for j, v := range x {
			p = append(p, quotient(expOf(minus(v, top)), sum))
			log := minus(minus(v, top), logOf(sum))
			gaps = append(gaps, nil)
			if p[j].Sign() == 0 {
				gaps[j] = exact(0)
				continue
			}
			if t[j].Sign() == 0 {
				return exactResult{}
			}
			gaps[j] = minus(log, logOf(t[j]))
			terms = append(terms, product2(p[j], log), multiple(-1, product2(p[j], logOf(t[j]))))
		}
		r.sum(terms...)
		for j := range x {
			r.slope(product2(p[j], gaps[j]), multiple(-1, product2(p[j], r.value)))
			r.slopeSize[j] = greater(r.slopeSize[j], product2(p[j], r.size))
		}
		return r
	}},
	{"Sparsemax", [2]loss.Domain{loss.Logits, loss.SoftTargets}, fenchelYoung(false)},
	{"Entmax15", [2]loss.Domain{loss.Logits, loss.SoftTargets}, fenchelYoung(true)},
	{"CrossEntropyFromProb", [2]loss.Domain{loss.UnitInterval, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		terms := crossTerms(p, t)
		for j := range p {
			terms[2*j] = exact(0)
			switch {
			case p[j].Sign() > 0:
				r.slope(multiple(-1, quotient(t[j], p[j])))
			case t[j].Sign() == 0:
				r.slope(exact(0))
			default:
				r.slope(nil)
			}
		}
		r.sum(terms...)
		return r
	}},
	{"BinaryCrossEntropyFromProb", [2]loss.Domain{loss.UnitInterval, loss.UnitInterval}, func(p, t []real, _ int) (r exactResult) {
		no := []real{minus(exact(1), p[0]), minus(exact(1), t[0])}
		r.sum(crossTerms([]real{p[0], no[0]}, []real{t[0], no[1]})[1],
			crossTerms([]real{p[0], no[0]}, []real{t[0], no[1]})[3])
		if p[0].Sign() > 0 && no[0].Sign() > 0 {
			r.slope(quotient(no[1], no[0]), multiple(-1, quotient(t[0], p[0])))
		}
		return r
	}},
	{"GeneralizedKL", [2]loss.Domain{loss.Probabilities, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		r.sum(append(append(crossTerms(p, t), p...), multiple(-1, total(t)))...)
		for j := range p {
			switch {
			case p[j].Sign() > 0:
				r.slope(exact(1), multiple(-1, quotient(t[j], p[j])))
			case t[j].Sign() == 0:
				r.slope(exact(1))
			default:
				r.slope(nil)
			}
		}
		return r
	}},
	{"TotalVariation", [2]loss.Domain{loss.Probabilities, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		var terms []real
		for j := range p {
			d := minus(p[j], t[j])
			terms = append(terms, multiple(0.5, sizeOf(d)))
			r.slope(exact(0.5 * float64(d.Sign())))
		}
		r.sum(terms...)
		return r
	}},
	{"JensenShannon", [2]loss.Domain{loss.Probabilities, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		var terms []real
		for j := range p {
			m := multiple(0.5, plus(p[j], t[j]))
			slope := []real{exact(0)}
			for _, q := range []real{p[j], t[j]} {
				if q.Sign() > 0 {
					terms = append(terms, multiple(0.5, product2(q, logOf(quotient(q, m)))))
				}
			}
			if p[j].Sign() > 0 {
				slope[0] = multiple(0.5, logOf(quotient(p[j], m)))
			}
			r.slope(slope...)
		}
		r.sum(terms...)
		return r
	}},
	{"AlphaDivergence", [2]loss.Domain{loss.Probabilities, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		b, ratios := affinity(p, t)
		r.sum(exact(4), multiple(-4, b))
		for _, q := range ratios {
			if q == nil {
				r.slope(nil)
				continue
			}
			r.slope(multiple(-2, q))
		}
		return r
	}},
	{"Renyi", [2]loss.Domain{loss.Probabilities, loss.SoftTargets}, func(p, t []real, _ int) (r exactResult) {
		if total(t).Sign() == 0 || total(p).Sign() == 0 {
			return exactResult{none: true}
		}
		sum := exact(0)
		var shares []real
		for j := range p {
			shares = append(shares, exact(0))
			if t[j].Sign() > 0 {
				if p[j].Sign() == 0 {
					return r
				}
				shares[j] = quotient(product2(t[j], t[j]), p[j])
			}
			sum = plus(sum, shares[j])
		}
		if sum.Sign() == 0 {
			return r
		}
		for j := range p {
			if p[j].Sign() == 0 {
				r.slope(exact(0))
				continue
			}
			r.slope(multiple(-1, quotient(quotient(shares[j], sum), p[j])))
		}
		r.sum(logOf(sum))
		r.size = greater(r.size, exact(1))
		return r
	}},
	{"KLFromLogProb", [2]loss.Domain{loss.LogProbabilities, loss.SoftTargets}, func(q, t []real, _ int) (r exactResult) {
		var terms []real
		for j := range q {
			terms = append(terms, xlog(t[j], t[j]), multiple(-1, product2(t[j], q[j])))
			r.slope(multiple(-1, t[j]))
		}
		r.sum(terms...)
		return r
	}},
	{"NLL", [2]loss.Domain{loss.LogProbabilities, loss.Labels}, func(q, _ []real, y int) (r exactResult) {
		r.sum(multiple(-1, q[y]))
		for j := range q {
			r.slope(exact(map[bool]float64{true: -1}[j == y]))
		}
		return r
	}},
}

// extremeNumbers are the sizes of operands.
var extremeNumbers = []float64{0, 0x1p-1074, 1e-310, 0x1p-1022, 1e-200, 1e-20, 0.25, 0.5, 1, 3, 1e20, 1e154, 1e200, 1e300, half, huge, math.MaxFloat64}

func extremeOf(r *rand.Rand, d loss.Domain, last float64) float64 {
	v := extremeNumbers[r.IntN(len(extremeNumbers))]
	switch r.IntN(4) {
	case 0:
		v = math.Abs(last) // like its neighbour
	case 1:
		v = math.Nextafter(math.Abs(last), 0)
	case 2:
		v *= 0.5 + r.Float64()/2
	}
	switch d {
	case loss.Real, loss.Logits:
		if r.IntN(2) == 0 {
			v = -v
		}
	case loss.LogProbabilities:
		v = -v
	case loss.UnitInterval:
		if v > 1 {
			v = 1 - 1/v
		}
		if r.IntN(2) == 0 {
			v = 1 - v
		}
	}
	return v
}

// TestEndsOfFloat64 holds the losses whose formulas leave float64 on the way to the values that
// big floats give them, where those are numbers of float64: to 1e-12 of the largest term, which is
// what is promised for ordinary operands, or a few of the smallest numbers.
func TestEndsOfFloat64(t *testing.T) {
	constructors := eager.Constructors()
	for at, c := range exactLosses {
		rng := rand.New(rand.NewPCG(14, uint64(at)))
		l, err := constructors[c.name](loss.WithReduction(loss.Sum))
		if err != nil {
			t.Fatal(err)
		}
		info, _ := loss.Describe(c.name)
		for range *extremeRows {
			n := 1 + rng.IntN(3)
			if info.Elementwise {
				n = 1
			}
			x, y, last := make([]float64, n), make([]float64, n), 1.0
			p, q := make([]real, n), make([]real, n)
			for i := range x {
				x[i] = extremeOf(rng, c.domains[0], last)
				y[i] = extremeOf(rng, c.domains[1], x[i])
				last = y[i]
				p[i], q[i] = exact(x[i]), exact(y[i])
			}
			target := eager.Slice(y, 1, n)
			if c.domains[1] == loss.Labels {
				target = eager.Slice([]int{0}, 1)
			}
			grad := make([]float64, n)
			got, err := l.ValueGradient(eager.Slice(grad, 1, n), eager.Data{}, eager.Slice(x, 1, n), target)
			if err != nil {
				t.Fatalf("%s of %v and %v: %v", c.name, x, y, err)
			}
			if d := c.domains; d[1] == loss.SoftTargets && (d[0] == loss.Probabilities && nearlyOne(p) || nearlyOne(q)) {
				continue // distributions, up to rounding
			}
			want := c.of(p, q, 0)
			if want.none {
				continue
			}
			if !holds(got, want.value, want.size) {
				t.Errorf("%s of %v and %v is %v, want %v of terms up to %v", c.name, x, y, got, show(want.value),
					show(want.size))
			}
			for j, w := range want.slopes {
				if w != nil && !holds(grad[j], w, want.slopeSize[j]) {
					t.Errorf("%s of %v and %v: gradient[%d] is %v, want %v of terms up to %v", c.name, x, y, j,
						grad[j], show(w), show(want.slopeSize[j]))
				}
			}
		}
	}
}

func show(v real) string {
	if v == nil {
		return "+Inf"
	}
	return v.Text('g', 18)
}

// holds reports whether got is want, or any real where want is none of float64.
func holds(got float64, want, size real) bool {
	if want == nil {
		return math.IsInf(got, 1)
	}
	if got-got != 0 {
		return math.Abs(got) > 0 && sizeOf(want).Cmp(exact(math.MaxFloat64*(1-1e-12))) > 0
	}
	off := sizeOf(minus(exact(got), want))
	return off.Cmp(multiple(1e-12, size)) <= 0 || off.Cmp(exact(0x1p-1020)) <= 0
}

// nearlyOne reports whether the sum of x is 1 to the digits of float32.
func nearlyOne(x []real) bool { return sizeOf(minus(total(x), exact(1))).Cmp(exact(1e-6)) < 0 }
