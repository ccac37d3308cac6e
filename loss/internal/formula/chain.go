package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
)

// A Chain is the linear chain of a sequence's tags. Scores are relative to those of the observed
// tags, so that these have 0 and the logarithm of the sum over all sequences is the loss.
type Chain struct {
	Tags        []int
	Emissions   []float64 // of each step, the tags beside each other
	Transitions []float64 // from row to column
	Start, End  []float64 // nil: 0

	tags       int // their number
	alpha      []float64
	beta, next []float64
	pairs      []float64 // a number for each pair of tags
}

// expSum turns x into its exponentials, relative to the largest, and returns that and the sum of the
// others: log Σ e^x = top + log1p(rest). A sum of nothing has -Inf.
func expSum(x []float64) (top, rest float64) {
	top, rest = tensorops.ExpRow(x, x)
	if math.IsInf(top, -1) {
		clear(x)
		rest = 0
	}
	return top, rest
}

// probabilities turns logarithms into probabilities.
func probabilities(x []float64) {
	_, rest := expSum(x)
	for i := range x {
		x[i] /= 1 + rest
	}
}

// entry returns x[i], and 0 where there is no x.
func entry(x []float64, i int) float64 {
	if x == nil {
		return 0
	}
	return x[i]
}

// emission returns the score of tag j at step t, start and end included.
func (c *Chain) emission(t, j int) float64 {
	y := c.Tags[t]
	v := c.Emissions[t*c.tags+j] - c.Emissions[t*c.tags+y]
	if t == 0 {
		v += entry(c.Start, j) - entry(c.Start, y)
	}
	if t == len(c.Tags)-1 {
		v += entry(c.End, j) - entry(c.End, y)
	}
	return v
}

// transition returns the score of the transition from i to j, the tag at step t.
func (c *Chain) transition(t, i, j int) float64 {
	return c.Transitions[i*c.tags+j] - c.Transitions[c.Tags[t-1]*c.tags+c.Tags[t]]
}

// read returns the scores that the sequence reads.
func (c *Chain) read() [4][]float64 {
	all := [4][]float64{c.Emissions, nil, c.Start, c.End}
	if len(c.Tags) > 1 {
		all[1] = c.Transitions
	}
	return all
}

// Undefined reports whether a score that the sequence reads is NaN or +Inf.
func (c *Chain) Undefined() bool {
	for _, x := range c.read() {
		for _, v := range x {
			if !(v <= math.MaxFloat64) {
				return true
			}
		}
	}
	return false
}

// Forbidden reports whether the observed tags have a score of -Inf.
func (c *Chain) Forbidden(tags int) bool {
	score := entry(c.Start, c.Tags[0])
	for t, y := range c.Tags {
		score = min(score, c.Emissions[t*tags+y])
		if t > 0 {
			score = min(score, c.Transitions[c.Tags[t-1]*tags+y])
		}
	}
	return math.IsInf(min(score, entry(c.End, c.Tags[len(c.Tags)-1])), -1)
}

// Forward computes the forward recursion and returns the loss, which is never negative: the
// observed tags are one of the terms.
func (c *Chain) Forward(g *core.Group, tags int) float64 {
	n := tags
	c.tags = n
	c.alpha = g.Buf(len(c.Tags) * n)
	c.beta, c.next, c.pairs = g.Buf(n), g.Buf(n), g.Buf(n*n)
	row := c.next
	for t := range c.Tags {
		at := c.alpha[t*n:][:n]
		for j := range n {
			at[j] = c.emission(t, j)
			if t > 0 {
				before := c.alpha[(t-1)*n:]
				for i := range n {
					row[i] = before[i] + c.transition(t, i, j)
				}
				top, rest := expSum(row)
				at[j] += top + math.Log1p(rest)
			}
		}
	}
	copy(row, c.alpha[len(c.alpha)-n:])
	top, rest := expSum(row)
	return top + math.Log1p(rest)
}

// back computes a column of the backward recursion from that of step t, which is in next.
func (c *Chain) back(t int) {
	for i := range c.beta {
		row := c.pairs[i*c.tags:][:c.tags]
		for j := range row {
			row[j] = c.transition(t, i, j) + c.emission(t, j) + c.next[j]
		}
		top, rest := expSum(row)
		c.beta[i] = top + math.Log1p(rest)
	}
}

// single writes the probabilities of the tags at step t to dst.
func (c *Chain) single(dst []float64, t int) {
	for j := range dst {
		dst[j] = c.alpha[t*c.tags+j] + c.beta[j]
	}
	probabilities(dst)
}

// double writes the probabilities of the pairs of tags at steps t-1 and t to pairs.
func (c *Chain) double(t int) {
	for i := range c.tags {
		for j := range c.tags {
			c.pairs[i*c.tags+j] = c.alpha[(t-1)*c.tags+i] + c.transition(t, i, j) + c.emission(t, j) + c.beta[j]
		}
	}
	probabilities(c.pairs)
}

// less adds factor·(p - 1) to the observed entry of dst and factor·p to the others; 1 - p is the sum
// of the others, which keeps its digits where p is near 1.
func less(dst, p []float64, observed int, factor float64) {
	if dst == nil {
		return
	}
	others := 0.0
	for i, v := range p {
		if i != observed {
			others += v
			dst[i] += factor * v
		}
	}
	dst[observed] -= factor * others
}

// Backward computes the backward recursion after the forward one, and the gradients, times factor.
// Operands 0 and 1 are emissions and transitions, start and end stand in places 4 and 5.
func (c *Chain) Backward(g *core.Group, factor float64) {
	last := len(c.Tags) - 1
	if g.Grad[0] == nil && g.Grad[1] == nil && g.Grad[4] == nil && g.Grad[5] == nil {
		return
	}
	clear(c.beta)
	for t := last; t >= 0; t-- {
		if t < last {
			c.back(t + 1)
		}
		y := c.Tags[t]
		if t > 0 && g.Grad[1] != nil {
			c.double(t)
			less(g.Grad[1], c.pairs, c.Tags[t-1]*c.tags+y, factor)
		}
		p := c.pairs[:c.tags]
		c.single(p, t)
		if g.Grad[0] != nil {
			less(g.Grad[0][t*c.tags:][:c.tags], p, y, factor)
		}
		if t == 0 {
			less(g.Grad[4], p, y, factor)
		}
		if t == last {
			less(g.Grad[5], p, y, factor)
		}
		c.beta, c.next = c.next, c.beta
	}
}

// turn adds the derivatives of probabilities whose logarithms have the derivatives d, up to a
// constant, times factor.
func turn(dst, p, d []float64, factor float64) {
	if dst == nil {
		return
	}
	mean := 0.0
	for i, v := range p {
		mean += Times(v, d[i])
	}
	for i, v := range p {
		dst[i] += factor * Times(v, d[i]-mean)
	}
}

// along returns the derivative of emission(t, j) along the direction.
func (c *Chain) along(g *core.Group, t, j int) float64 {
	v := entry(g.Dir[0], t*c.tags+j)
	if t == 0 {
		v += entry(g.Dir[4], j)
	}
	if t == len(c.Tags)-1 {
		v += entry(g.Dir[5], j)
	}
	return v
}

// Second writes the derivatives of second order along the direction, times factor, after the forward
// recursion.
func (c *Chain) Second(g *core.Group, factor float64) {
	n, last := c.tags, len(c.Tags)-1
	dots := g.Buf(len(c.Tags) * n) // of the columns of the forward recursion
	row, d := g.Buf(n), g.Buf(n*n)
	for t := range c.Tags {
		for j := range n {
			dots[t*n+j] = c.along(g, t, j)
			if t > 0 {
				for i := range n {
					row[i] = c.alpha[(t-1)*n+i] + c.transition(t, i, j)
				}
				probabilities(row)
				for i, p := range row {
					dots[t*n+j] += Times(p, dots[(t-1)*n+i]+entry(g.Dir[1], i*n+j))
				}
			}
		}
	}
	betaDots, nextDots := g.Zeros(n), g.Zeros(n)
	clear(c.beta)
	for t := last; t >= 0; t-- {
		if t < last {
			c.back(t + 1)
			for i := range n {
				p := c.pairs[i*n:][:n]
				sum := 0.0
				for _, v := range p {
					sum += v
				}
				betaDots[i] = 0
				for j, v := range p {
					if v != 0 {
						betaDots[i] += v / sum * (entry(g.Dir[1], i*n+j) + c.along(g, t+1, j) + nextDots[j])
					}
				}
			}
		}
		if t > 0 && g.Hess[1] != nil {
			c.double(t)
			for i := range n {
				for j := range n {
					d[i*n+j] = dots[(t-1)*n+i] + entry(g.Dir[1], i*n+j) + c.along(g, t, j) + betaDots[j]
				}
			}
			turn(g.Hess[1], c.pairs, d, factor)
		}
		p := c.pairs[:n]
		c.single(p, t)
		for j := range n {
			row[j] = dots[t*n+j] + betaDots[j]
		}
		if g.Hess[0] != nil {
			turn(g.Hess[0][t*n:][:n], p, row, factor)
		}
		if t == 0 {
			turn(g.Hess[4], p, row, factor)
		}
		if t == last {
			turn(g.Hess[5], p, row, factor)
		}
		c.beta, c.next = c.next, c.beta
		betaDots, nextDots = nextDots, betaDots
	}
}

// Fill writes v to the requested derivatives by all that the sequence reads.
func (c *Chain) Fill(g *core.Group, v float64) {
	read := c.read()
	for k, place := range [4]int{0, 1, 4, 5} {
		for _, dst := range [2][]float64{g.Grad[place], g.Hess[place]} {
			Fill(dst[:min(len(dst), len(read[k]))], v)
		}
	}
}
