package gradcheck

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"
)

// A pattern compares the gradient of one input, as far as it was checked, with the differences.
type pattern struct {
	shape  tensor.Shape
	a, d   []float64 // analytic and numeric, NaN where not checked
	tol    []float64
	failed []bool
	n      int // failed
	whole  bool
}

// explain adds likely causes to the summaries of first order.
func (k *checker) explain() {
	for n := range k.report.Summaries {
		s := &k.report.Summaries[n]
		if s.Order != 1 || s.Input == "" || s.Failed == 0 {
			continue
		}
		i := slices.Index(k.names, s.Input)
		p := newPattern(k.ref.operands[i].shape, k.report.Elements, s.Pass, s.Input)
		if p.n == 0 {
			continue
		}
		s.Causes = p.causes()
	}
	k.localise()
}

func newPattern(shape tensor.Shape, elements []Element, pass Pass, input string) *pattern {
	size := 1
	for _, d := range shape {
		size *= d
	}
	p := &pattern{shape: shape, a: make([]float64, size), d: make([]float64, size), tol: make([]float64, size), failed: make([]bool, size)}
	for i := range p.a {
		p.a[i], p.d[i] = math.NaN(), math.NaN()
	}
	seen := 0
	for i := range elements {
		e := &elements[i]
		if e.Pass != pass || e.Order != 1 || e.Input != input {
			continue
		}
		if e.Verdict != OK && e.Verdict != Wrong && e.Verdict != Zero {
			continue
		}
		at := 0
		for a, x := range e.Index {
			at = at*shape[a] + x
		}
		p.a[at], p.d[at], p.tol[at], p.failed[at] = e.Analytic, e.Numeric, e.Tol, e.Failed()
		p.n += count(e.Failed())
		seen++
	}
	p.whole = seen == size
	return p
}

// causes lists what the numbers look like, the most specific first.
func (p *pattern) causes() []string {
	var out []string
	if c, ok := p.factor(); ok {
		out = append(out, c)
	} else if p.whole && p.transposed() {
		out = append(out, "the gradient is transposed")
	} else if p.zeros() {
		out = append(out, "no gradient flows: every failed element is 0")
	} else if c, ok := p.axisTerm(); ok && p.whole {
		out = append(out, c)
	}
	if c, ok := p.located(); ok {
		out = append(out, c)
	}
	return out
}

// close compares two numbers at element i: relative 1e-4 is finer than any cause needs and coarser
// than the rounding of the differences.
func (p *pattern) close(i int, x, y float64) bool {
	return math.Abs(x-y) <= p.tol[i]+1e-4*math.Max(math.Abs(x), math.Abs(y))
}

func (p *pattern) zeros() bool {
	for i, f := range p.failed {
		if f && p.a[i] != 0 {
			return false
		}
	}
	return true
}

// factor recognises failed elements that are one constant times what they should be.
func (p *pattern) factor() (string, bool) {
	var c, weight float64
	for i, f := range p.failed {
		if f && p.d[i] != 0 && math.Abs(p.d[i]) > weight {
			c, weight = p.a[i]/p.d[i], math.Abs(p.d[i])
		}
	}
	if weight == 0 || c == 0 || math.Abs(c-1) < 1e-9 {
		return "", false
	}
	n := 0
	// a factor near 1 must be tested finer than it differs from 1
	fine := math.Min(1e-4, math.Abs(c-1)/100)
	for i, f := range p.failed {
		if !f {
			continue
		}
		n++
		if math.Abs(p.a[i]-c*p.d[i]) > p.tol[i]*(1+math.Abs(c))+fine*math.Max(math.Abs(p.a[i]), math.Abs(p.d[i])) {
			return "", false
		}
	}
	share := "every failed element"
	if n == len(p.a) && n > 1 {
		share = "every element"
	}
	if math.Abs(c+1) < 1e-4 {
		return "the sign: " + share + " is -1 times what it should be", true
	}
	if n < 2 && !(isRound(c)) {
		return "", false
	}
	text := fmt.Sprintf("a constant factor: %s is %.7g times what it should be", share, c)
	if r := 1 / c; isRound(r) && math.Abs(r) > 1.5 {
		text += fmt.Sprintf(" (1/%.0f)", r)
	}
	return text, true
}

// isRound reports a whole number or one over it, which a single element suffices to speak for.
func isRound(c float64) bool {
	near := func(x float64) bool {
		return math.Abs(x-math.Round(x)) < 1e-4*math.Abs(x) && math.Round(x) != 0
	}
	return near(c) || near(1/c)
}

// transposed recognises a matrix whose memory holds the transpose.
func (p *pattern) transposed() bool {
	if len(p.shape) != 2 || p.shape[0] == 1 || p.shape[1] == 1 {
		return false
	}
	rows, cols := p.shape[0], p.shape[1]
	for i := range p.a {
		from := i % rows * cols
		if from += i / rows; !p.close(i, p.a[i], p.d[from]) {
			return false
		}
	}
	return true
}

// axisTerm recognises a residual that does not vary along an axis, and a gradient that should sum
// to 0 along an axis and does not: both are what is left when a sum along the axis is forgotten.
func (p *pattern) axisTerm() (string, bool) {
	for axis := range p.shape {
		if p.shape[axis] < 2 {
			continue
		}
		constant, balanced, off := true, true, false
		p.lines(axis, func(line []int) {
			var sumA, sumD, size float64
			worst := 0.0
			first := p.a[line[0]] - p.d[line[0]]
			for _, i := range line {
				r := p.a[i] - p.d[i]
				worst = math.Max(worst, p.tol[i])
				if math.Abs(r-first) > 2*worst+1e-4*math.Abs(first) {
					constant = false
				}
				sumA += p.a[i]
				sumD += p.d[i]
				size += math.Abs(p.d[i])
			}
			if math.Abs(sumD) > 1e-6*size+worst*float64(len(line)) {
				balanced = false
			}
			if math.Abs(sumA) > 1e-5*size+worst*float64(len(line)) {
				off = true
			}
		})
		switch {
		case constant:
			return fmt.Sprintf("a term along axis %d is missing: the error is the same all along it", axis), true
		case balanced && off:
			return fmt.Sprintf("a term along axis %d is missing: the derivatives should sum to 0 along it and do not", axis), true
		}
	}
	return "", false
}

// lines calls f with the elements of each line along an axis.
func (p *pattern) lines(axis int, f func(line []int)) {
	inner := 1
	for _, d := range p.shape[axis+1:] {
		inner *= d
	}
	n := p.shape[axis]
	line := make([]int, n)
	for start := range p.a {
		if start/inner%n != 0 {
			continue
		}
		for j := range line {
			line[j] = start + j*inner
		}
		f(line)
	}
}

// located says where the failures are when they keep to a part of one axis.
func (p *pattern) located() (string, bool) {
	for axis, n := range p.shape {
		if n < 2 {
			continue
		}
		hit := make(map[int]bool)
		for i, f := range p.failed {
			if f {
				hit[indexOf(i, p.shape)[axis]] = true
			}
		}
		if len(hit) == n || len(hit) == p.n && len(p.shape) == 1 {
			continue
		}
		var at []int
		for j := range n {
			if hit[j] {
				at = append(at, j)
			}
		}
		if len(at) > 1 && at[len(at)-1]-at[0] == len(at)-1 {
			return fmt.Sprintf("only where axis %d is in %d..%d", axis, at[0], at[len(at)-1]), true
		}
		if len(at) <= 4 {
			return fmt.Sprintf("only where axis %d is %v", axis, at), true
		}
	}
	return "", false
}
