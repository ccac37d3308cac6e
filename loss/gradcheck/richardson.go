package gradcheck

import "math"

// A line is a function along a line through the point of the check: the change of the cost from t =
// 0 to t, and the rounding error to expect in it. An error means that the function is not defined
// there.
type line func(t float64) (change, noise float64, err error)

// slope is what differences say about a derivative.
type slope struct {
	value float64 // the derivative; at a kink the mean of the one-sided slopes
	tol   float64 // how far from value the true derivative may lie
	kink  bool    // the one-sided slopes lo and hi differ
	lo    float64
	hi    float64
	side  int    // +1 or -1 where the function is defined on one side only
	why   string // not empty where the derivative could not be determined
}

const (
	// Steps of a block halve, so that an extrapolation over a block cancels the terms in h², h⁴,
	// h⁶, ...
	blockSteps = 5
	// The first step as a part of the operand's magnitude: large, because rounding error falls with
	// the step and the extrapolation takes care of curvature.
	firstStep = 0.1
	// From block to block the step shrinks by this factor when the differences do not settle.
	blockShrink = 1.0 / 256
	lastBlock   = 5
	// A derivative is settled when its truncation error is below this part of it: a fiftieth of the
	// faults that must be found.
	settled = 2e-8
	// Where rounding error is above this part of the derivative, larger steps are tried.
	coarse = 1e-7
	// tol = errSafety·(estimated truncation error) + noiseSafety·(estimated rounding error) +
	// leastTol·|derivative|. The first estimate is the error of a lower order, the second a
	// standard deviation. The last term, a fiftieth of the faults that must be found, makes it
	// harmless that one estimate in thousands is small by chance.
	errSafety   = 4
	noiseSafety = 8
	leastTol    = 2e-8
	// Where the differences have not settled, the estimate is the luckiest of many and gets a
	// further factor.
	unsettled = 10
)

// extrapolate runs Neville's scheme on d, the values at steps that halve, whose error terms have
// the powers first, first+step, ... of the step; noise are the errors of d. It returns the entry
// with the least total error.
func extrapolate(d, noise []float64, first, step int) (best, err, rounding float64) {
	var prev, prevNoise []float64
	best, err, rounding = math.NaN(), math.Inf(1), math.Inf(1)
	total := math.Inf(1)
	for k := range d {
		row, rowNoise := []float64{d[k]}, []float64{noise[k]}
		for j := 1; j <= k; j++ {
			w := math.Ldexp(1, first+(j-1)*step)
			row = append(row, (w*row[j-1]-prev[j-1])/(w-1))
			rowNoise = append(rowNoise, (w*rowNoise[j-1]+prevNoise[j-1])/(w-1))
			e := math.Max(math.Abs(row[j]-row[j-1]), math.Abs(row[j]-prev[j-1]))
			if t := errSafety*e + noiseSafety*rowNoise[j]; t < total {
				best, err, rounding, total = row[j], e, rowNoise[j], t
			}
		}
		prev, prevNoise = row, rowNoise
	}
	return best, err, rounding
}

// block is the differences at one set of steps.
type block struct {
	odd, oddNoise   []float64 // (f(h) - f(-h))/2h
	even, evenNoise []float64 // (f(h) + f(-h) - 2f(0))/h: the difference of the one-sided slopes
	failed          [2]bool   // f(h), f(-h) not defined or not finite
	slope           float64
	done            bool // the truncation error is small, or below the rounding error
	tol             float64
	jump, jumpTol   float64
	rough           bool // the odd differences do not settle
}

// A plan says how long a block goes on.
type plan struct {
	first   float64 // the first step, in units of the operand's scale
	least   int     // steps before the derivative can be settled
	settled float64
}

// coordinatePlan is for single elements. Along a direction over millions of elements an evaluation
// is dear and its rounding error small beside the change: two steps, near enough together for the
// fourth power of the step not to matter.
var (
	coordinatePlan = plan{first: firstStep, least: 3, settled: settled}
	directionPlan  = plan{first: 1.0 / 512, least: 2, settled: 4e-7}
)

// measure evaluates a block from the step h down and stops early once the derivative is settled.
func (p plan) measure(f line, h float64) block {
	var b block
	for k := range blockSteps {
		up, upNoise, upErr := f(h)
		down, downNoise, downErr := f(-h)
		b.failed[0] = b.failed[0] || upErr != nil || !finite(up)
		b.failed[1] = b.failed[1] || downErr != nil || !finite(down)
		if b.failed[0] || b.failed[1] {
			return b
		}
		noise := upNoise + downNoise
		b.odd = append(b.odd, (up-down)/(2*h))
		b.oddNoise = append(b.oddNoise, noise/(2*h))
		b.even = append(b.even, (up+down)/h)
		b.evenNoise = append(b.evenNoise, noise/h)
		h /= 2
		if k < p.least-1 {
			continue
		}
		b.settle(p)
		if b.done && math.Abs(b.jump) <= b.jumpTol {
			break
		}
	}
	return b
}

func (b *block) settle(p plan) {
	var err, noise float64
	b.slope, err, noise = extrapolate(b.odd, b.oddNoise, 2, 2)
	b.tol = errSafety*err + noiseSafety*noise + leastTol*math.Abs(b.slope)
	b.done = errSafety*err <= math.Max(p.settled*math.Abs(b.slope), noiseSafety*noise)
	size := math.Abs(b.slope)
	for _, d := range b.odd {
		size = math.Max(size, math.Abs(d))
	}
	b.rough = b.tol > 1e-3*size && errSafety*err > noiseSafety*noise
	b.jump, err, noise = extrapolate(b.even, b.evenNoise, 1, 2)
	b.jumpTol = errSafety*err + noiseSafety*noise + settled*size
}

// differentiate finds the derivative of f at 0. unit is the scale on which the operand varies.
func differentiate(f line, unit float64) slope { return coordinatePlan.differentiate(f, unit) }

func (p plan) differentiate(f line, unit float64) slope {
	var (
		best    *block
		blocks  []block
		oneSide = [2]int{}
	)
	h := p.first * unit
	for n := 0; n <= lastBlock; n++ {
		b := p.measure(f, h)
		h *= blockShrink
		if b.failed[0] || b.failed[1] {
			if b.failed[0] != b.failed[1] {
				oneSide[count(b.failed[0])]++ // index 0: only above, 1: only below
			}
			continue
		}
		blocks = append(blocks, b)
		if best == nil || b.tol < best.tol {
			best = &blocks[len(blocks)-1]
		}
		if math.Abs(b.jump) <= b.jumpTol && b.done {
			return p.smooth(f, unit, n, b)
		}
		if s, ok := kinked(blocks); ok {
			return s
		}
	}
	switch {
	case best == nil && oneSide[0] > 2:
		return oneSided(f, unit, +1)
	case best == nil && oneSide[1] > 2:
		return oneSided(f, unit, -1)
	case best == nil:
		return slope{value: math.NaN(), tol: math.NaN(), why: "the function is not defined around the point"}
	case best.rough:
		return slope{value: best.slope, tol: unsettled * best.tol, why: "differences do not settle: the derivative is infinite, or the function is not smooth at any scale"}
	}
	return best.result()
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// smooth is the end of the usual case. Where rounding error dominates, larger steps may do better;
// what they give must agree with the smaller ones.
func (p plan) smooth(f line, unit float64, n int, b block) slope {
	if n == 0 && b.done && b.tol > math.Max(coarse, p.settled)*math.Abs(b.slope) {
		for _, wider := range []float64{8, 64} {
			w := p.measure(f, p.first*unit*wider)
			if w.failed[0] || w.failed[1] || !w.done || !(w.tol < b.tol) || math.Abs(w.jump) > w.jumpTol || math.Abs(w.slope-b.slope) > b.tol {
				break
			}
			// A derivative that is constant in pieces has another value beyond the next kink, and
			// no error of its own there.
			if math.Abs(w.slope-b.slope) > b.tol+w.tol {
				break
			}
			b = w
		}
	}
	return b.result()
}

func (b *block) result() slope {
	if !b.done {
		return slope{value: b.slope, tol: unsettled * b.tol}
	}
	return slope{value: b.slope, tol: b.tol}
}

// kinked reports a jump of the slope that stays as the step shrinks over three blocks.
func kinked(blocks []block) (slope, bool) {
	if len(blocks) < 3 {
		return slope{}, false
	}
	last := blocks[len(blocks)-3:]
	for _, b := range last {
		if math.Abs(b.jump) <= b.jumpTol || b.rough || math.Abs(b.jump-last[0].jump) > 0.5*math.Abs(last[0].jump) {
			return slope{}, false
		}
	}
	b := last[0]
	half := math.Abs(b.jump) / 2
	return slope{value: b.slope, tol: b.tol + b.jumpTol, kink: true, lo: b.slope - half, hi: b.slope + half}, true
}

// oneSided differentiates where the function is defined on one side of the point only.
func oneSided(f line, unit float64, side int) slope {
	result := slope{value: math.NaN(), tol: math.Inf(1), side: side, why: "the function is defined on one side only and has no finite slope there"}
	h := firstStep * unit * float64(side)
	for range lastBlock {
		var d, noise []float64
		for t := h; len(d) < blockSteps+2; t /= 2 {
			v, n, err := f(t)
			if err != nil || !finite(v) {
				break
			}
			d = append(d, v/t)
			noise = append(noise, n/math.Abs(t))
		}
		h *= blockShrink
		if len(d) < 3 {
			continue
		}
		value, err, rounding := extrapolate(d, noise, 1, 1)
		if tol := errSafety*err + noiseSafety*rounding + leastTol*math.Abs(value); tol < result.tol {
			result.value, result.tol = value, tol
			if err <= 1e-4*math.Abs(value) || errSafety*err <= noiseSafety*rounding {
				result.why = ""
			}
			if tol <= (settled+leastTol)*math.Abs(value) {
				break
			}
		}
	}
	return result
}
