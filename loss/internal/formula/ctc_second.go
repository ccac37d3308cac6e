package formula

import (
	"math"
	"slices"
)

// blend returns the mean of the derivatives d of up to three terms, weighted by the exponentials of
// the terms x: the derivative of the logarithm of their sum. Terms of -Inf have no part.
func blend(x, d [3]float64) float64 {
	top := max(x[0], x[1], x[2])
	if math.IsInf(top, -1) {
		return 0
	}
	sum, mean := 0.0, 0.0
	for i, v := range x {
		if e := math.Exp(below(v, top)); e != 0 {
			sum += e
			mean += e * d[i]
		}
	}
	return mean / sum
}

// addDir adds the direction of each state's class to the states' derivatives.
func (c *CTC) addDir(dst, v []float64, w band) {
	n := len(c.Labels)
	for k := w.b0; k < w.b1; k++ {
		dst[k] += v[c.Blank]
	}
	for k := w.l0; k < w.l1; k++ {
		dst[n+1+k] += v[c.Labels[k]]
	}
}

// forwardDots computes the derivatives of the forward recursion's columns along the direction in
// operand 0.
func (c *CTC) forwardDots() {
	n, s, none := len(c.Labels), c.states(), math.Inf(-1)
	for t := range c.Frames {
		w, dst := c.band(t), c.dots[t*s:][:s]
		if t == 0 {
			clear(dst)
		} else {
			x, d := c.column(t-1), c.dots[(t-1)*s:]
			for k := w.b0; k < w.b1; k++ {
				if k == 0 {
					dst[k] = blend([3]float64{x[k], none, none}, [3]float64{d[k]})
				} else {
					dst[k] = blend([3]float64{x[k], x[n+k], none}, [3]float64{d[k], d[n+k]})
				}
			}
			for k := w.l0; k < w.l1; k++ {
				at := n + 1 + k
				if c.skips(k) {
					dst[at] = blend([3]float64{x[at], x[k], x[at-1]}, [3]float64{d[at], d[k], d[at-1]})
				} else {
					dst[at] = blend([3]float64{x[at], x[k], none}, [3]float64{d[at], d[k]})
				}
			}
		}
		c.addDir(dst, c.along(t), w)
	}
}

// backwardDots is forwardDots of one column of the backward recursion, from that of the frame after.
func (c *CTC) backwardDots(dst, x, d []float64, w band) {
	n, none := len(c.Labels), math.Inf(-1)
	for k := w.b0; k < w.b1; k++ {
		if k == n {
			dst[k] = blend([3]float64{x[k], none, none}, [3]float64{d[k]})
		} else {
			dst[k] = blend([3]float64{x[k], x[n+1+k], none}, [3]float64{d[k], d[n+1+k]})
		}
	}
	for k := w.l0; k < w.l1; k++ {
		at := n + 1 + k
		if c.skips(k + 1) {
			dst[at] = blend([3]float64{x[at], x[k+1], x[at+1]}, [3]float64{d[at], d[k+1], d[at+1]})
		} else {
			dst[at] = blend([3]float64{x[at], x[k+1], none}, [3]float64{d[at], d[k+1]})
		}
	}
}

// Second writes the Hessian of the negative log-probability times the direction in operand 0, times
// factor, after [CTC.Forward] has returned a finite number.
func (c *CTC) Second(factor float64) {
	n, s := len(c.Labels), c.states()
	if c.Nodes.Dir[0] == nil {
		c.Fill(0, 0, c.Frames)
		return
	}
	c.forwardDots()
	cur, next := c.cols[0], c.cols[1]
	dots, nextDots := c.dotCols[0], c.dotCols[1]
	c.top = 0
	for t := c.Frames - 1; t >= 0; t-- {
		w := c.band(t)
		if t == c.Frames-1 {
			clear(cur[w.b0:w.b1])
			clear(cur[n+1+w.l0 : n+1+w.l1])
			clear(dots)
		} else {
			c.backward(cur, next, w)
			c.sum(cur, w)
			c.backwardDots(dots, next, nextDots, w)
		}
		row, v := c.row(t), c.along(t)
		c.emit(row, c.top)
		c.posterior(c.column(t), cur, w)
		c.put(t, c.turn(c.dots[t*s:], dots, v, row, w, factor))
		c.addEmissions(cur, w)
		c.close(cur, w)
		c.addDir(dots, v, w)
		cur, next, dots, nextDots = next, cur, nextDots, dots
	}
}

// turn writes the derivative of a row of deriv along v, from the derivatives of the two columns.
func (c *CTC) turn(alpha, beta, v, row []float64, w band, factor float64) []float64 {
	dst := c.out
	clear(dst)
	if c.Softmax { // p∘(v - ⟨p, v⟩)
		sum, mean, top := 1+c.rest, 0.0, v[slices.Index(row, c.max)]
		for i, e := range c.x {
			mean += Times(e/sum, v[i]-top)
		}
		for i, e := range c.x {
			dst[i] = factor * Times(e/sum, v[i]-top-mean)
		}
	}
	n, nb, mean := len(c.Labels), w.b1-w.b0, 0.0
	posterior := c.exps[:nb+w.l1-w.l0]
	of := func(k int) (at, class int) {
		if k < nb {
			return w.b0 + k, c.Blank
		}
		k += w.l0 - nb
		return n + 1 + k, c.Labels[k]
	}
	for k, p := range posterior {
		at, _ := of(k)
		mean += Times(p, alpha[at]+beta[at])
	}
	for k, p := range posterior {
		at, class := of(k)
		dst[class] -= factor * Times(p, alpha[at]+beta[at]-mean)
	}
	return dst
}

// Fill writes v to the rows of the requested derivative from frame lo to frame hi.
func (c *CTC) Fill(v float64, lo, hi int) {
	if g := &c.Nodes; g.Grad[0] == nil && g.Hess[0] == nil {
		return
	}
	Fill(c.Nodes.row, v)
	for t := lo; t < hi; t++ {
		c.put(t, c.Nodes.row)
	}
}
