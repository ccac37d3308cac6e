package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// The recursions on probabilities instead of their logarithms take a third of the time, having no
// exponentials and logarithms but those of the softmax. [CTC.Linear] refuses the sequences for which
// float64's range or its resolution at 1 is not enough.

const (
	// smallest is where a state counts as lost.
	smallest = 1e-290
	// farthest is how far, as a logarithm, the probability of the labels may be below the largest
	// state of a column with a lost one: what the lost ones add is below e^(600-667) of it.
	farthest = 600
	// kept is the number of exponentials that are kept for the derivative.
	kept = 1 << 14
)

// keptRows returns how many rows of exponentials are kept: all or one.
func keptRows(frames, classes int) int {
	if frames*classes <= kept {
		return max(1, frames)
	}
	return 1
}

// exponentials computes those of the row of frame t, relative to the largest, their sum without it,
// and the class that it has; -1 where the softmax is not defined.
func (c *CTC) exponentials(t int) (x []float64, rest float64, best int) {
	n := len(c.out)
	all := len(c.x) > n
	if all {
		x = c.x[t*n:][:n]
		if c.best[t] >= 0 {
			return x, c.rests[t], c.best[t]
		}
	} else {
		x = c.x
	}
	row, top := c.row(t), math.Inf(-1)
	best = -1
	for i, v := range row {
		if v > top {
			top, best = v, i
		}
	}
	if best < 0 || top > math.MaxFloat64 {
		return x, 0, -1
	}
	for i, v := range row {
		x[i] = v - top
	}
	vec.Exp(x, x)
	x[best] = 0
	rest = core.Total(x)
	x[best] = 1
	if all {
		c.rests[t], c.best[t] = rest, best
	}
	return x, rest, best
}

// Linear computes the forward recursion on probabilities over the rows of operand 0 and returns the
// log-probability of the labels. ok is false where only [CTC.Forward] computes it: where too much
// is lost, where the labels are impossible or the rows undefined, and where the result is above
// -least for each frame, whose digits sums near 1 do not have.
func (c *CTC) Linear(least float64) (logProb float64, ok bool) {
	n := len(c.Labels)
	for t := range c.best {
		c.best[t] = -1
	}
	for k := range n {
		c.skip[k] = float64(Indicator(c.skips(k)))
	}
	prob, scale, scales, lost := c.em[n+1:], 1.0, 0.0, math.Inf(-1)
	for t := range c.Frames {
		x, rest, best := c.exponentials(t)
		if best < 0 || rest != rest {
			return 0, false
		}
		each := 1 / ((1 + rest) * scale)
		for k, label := range c.Labels {
			prob[k] = x[label] * each
		}
		blank := x[c.Blank] * each
		w, dst := c.band(t), c.column(t)
		blanks, labels := dst[:n+1], dst[n+1:]
		low, high := math.Inf(1), 0.0
		if t == 0 {
			for k := w.b0; k < w.b1; k++ {
				blanks[k] = blank
				low, high = min(low, blank), max(high, blank)
			}
			for k := w.l0; k < w.l1; k++ {
				labels[k] = prob[k]
				low, high = min(low, prob[k]), max(high, prob[k])
			}
		} else {
			before := c.column(t - 1)
			low, high = c.advance(blanks, labels, before[:n+1], before[n+1:], prob, blank, w)
		}
		if w.b1 <= n {
			blanks[w.b1] = 0
		}
		if w.l1 < n {
			labels[w.l1] = 0
		}
		if low < smallest {
			lost = max(lost, scales)
		}
		if high < smallest {
			return 0, false
		}
		scale = high
		if t < c.Frames-1 {
			scales += math.Log(high)
		}
	}
	last := c.column(c.Frames - 1)
	sum := last[n]
	if n > 0 {
		sum += last[2*n]
	}
	logProb = scales + math.Log(sum)
	return logProb, sum >= smallest && logProb >= lost-farthest && -logProb >= least*float64(c.Frames)
}

// advance computes a column from the one before, and returns the least and the largest state.
func (c *CTC) advance(blanks, labels, fromBlanks, fromLabels, prob []float64, blank float64, w band) (low, high float64) {
	low = math.Inf(1)
	for k := w.b0; k < w.b1; k++ {
		v := fromBlanks[k]
		if k > 0 {
			v += fromLabels[k-1]
		}
		v *= blank
		blanks[k] = v
		if v > high {
			high = v
		}
		if v < low {
			low = v
		}
	}
	for k := w.l0; k < w.l1; k++ {
		v := fromLabels[k] + fromBlanks[k]
		if k > 0 {
			v += c.skip[k] * fromLabels[k-1]
		}
		v *= prob[k]
		labels[k] = v
		if v > high {
			high = v
		}
		if v < low {
			low = v
		}
	}
	return low, high
}

// LinearGradient writes the derivative of the negative log-probability, times factor, after
// [CTC.Linear]. The posteriors of a frame are passed on to the frame before in the shares of the
// sums that made its states.
func (c *CTC) LinearGradient(factor float64) {
	n := len(c.Labels)
	p, next := c.cols[0], c.cols[1]
	clear(p)
	last := c.column(c.Frames - 1)
	sum := last[n]
	if n > 0 {
		sum += last[2*n]
		p[2*n] = last[2*n] / sum
	}
	p[n] = last[n] / sum
	for t := c.Frames - 1; t >= 0; t-- {
		w := c.band(t)
		c.linearDeriv(t, p, factor)
		if t == 0 {
			return
		}
		clear(next)
		from := c.column(t - 1)
		blanks, labels := from[:n+1], from[n+1:]
		toBlanks, toLabels := next[:n+1], next[n+1:]
		for k := w.b0; k < w.b1; k++ {
			x, y := blanks[k], 0.0
			if k > 0 {
				y = labels[k-1]
			}
			if x+y >= smallest {
				share := p[k] / (x + y)
				toBlanks[k] += x * share
				if k > 0 {
					toLabels[k-1] += y * share
				}
			}
		}
		for k := w.l0; k < w.l1; k++ {
			x, y, z := labels[k], blanks[k], 0.0
			if k > 0 {
				z = c.skip[k] * labels[k-1]
			}
			if sum := x + y + z; sum >= smallest {
				share := p[n+1+k] / sum
				toLabels[k] += x * share
				toBlanks[k] += y * share
				if k > 0 {
					toLabels[k-1] += z * share
				}
			}
		}
		p, next = next, p
	}
}

// linearDeriv writes the row of frame t, as deriv does.
func (c *CTC) linearDeriv(t int, p []float64, factor float64) {
	x, rest, best := c.exponentials(t)
	n, w, dst := len(c.Labels), c.band(t), c.out
	scale := factor / (1 + rest)
	for i, e := range x {
		dst[i] = e * scale
	}
	blank, others := core.Total(p[w.b0:w.b1]), 0.0
	dst[c.Blank] -= factor * blank
	if c.Blank != best {
		others = blank
	}
	for k := w.l0; k < w.l1; k++ {
		label, v := c.Labels[k], p[n+1+k]
		dst[label] -= factor * v
		if label != best {
			others += v
		}
	}
	dst[best] = factor * (others - rest/(1+rest))
	c.put(t, dst)
}
