package formula

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A CTC is the sum over all alignments of a sequence's frames with its labels. Before, between and
// after n labels there are n+1 blanks; a column of the recursions has the log-probabilities of
// these states in one frame, first those of the blanks, then those of the labels. Each column is
// relative to the largest state of the column that it comes from.
//
// The columns of the forward recursion are kept, those of the backward recursion are two. Both are
// computed within the band of states that an alignment can be in; beside the band, where the next
// column reads, is -Inf.
type CTC struct {
	Nodes   JointNodes // a row for each frame
	Labels  []int
	Frames  int
	Blank   int
	Softmax bool // the rows are logits, not log-probabilities

	x         []float64 // the exponentials of a row of logits, or of all
	rests     []float64 // their sums without the largest, if all are kept
	best      []int     // the largest; -1: the row is not there yet
	skip      []float64 // of each label, 1 or 0: it may follow the one before without a blank
	em        []float64 // the states' log-probabilities in a frame
	exps      []float64 // of the band: the smaller terms of each state relative to the largest
	logs      []float64 // of the band
	keep      []float64 // the columns of the forward recursion
	cols      [2][]float64
	dots      []float64 // the derivatives of keep along a direction
	dotCols   [2][]float64
	max, rest float64   // of the row's softmax
	top       float64   // the largest state of the last column
	out       []float64 // the derivative by a row
}

// ctcMemory returns how many numbers the recursions of up to so many frames and labels keep, with
// derivatives along a direction or without.
func ctcMemory(frames, labels, classes int, second bool) int {
	columns := frames + 6
	if second {
		columns += frames + 2
	}
	return columns*(2*labels+1) + keptRows(frames, classes)*classes + classes + frames + labels
}

// row returns the row of frame t, along that of the direction.
func (c *CTC) row(t int) []float64   { return c.Nodes.Row(t, 0) }
func (c *CTC) along(t int) []float64 { return c.Nodes.Along(t, 0) }

// put writes the requested derivative by the row of frame t.
func (c *CTC) put(t int, d []float64) { c.Nodes.Put(t, 0, d) }

// Start takes working memory, for up to so many frames and labels.
func (c *CTC) Start(frames, labels int) {
	g := &c.Nodes
	classes, second := len(g.row), g.Second()
	buf := g.Buf(ctcMemory(frames, labels, classes, second))
	cut := func(n int) (s []float64) {
		s, buf = buf[:n:n], buf[n:]
		return s
	}
	n := c.states()
	c.x, c.rests, c.skip = cut(keptRows(frames, classes)*classes), cut(c.Frames), cut(len(c.Labels))
	if c.best = nil; len(c.x) > classes {
		c.best = g.Ints(c.Frames)
	}
	c.out = cut(classes)
	c.em, c.exps, c.logs = cut(n), cut(2*n), cut(n)
	c.cols = [2][]float64{cut(n), cut(n)}
	c.keep = cut(c.Frames * n)
	if second {
		c.dots, c.dotCols = cut(c.Frames*n), [2][]float64{cut(n), cut(n)}
	}
}

func (c *CTC) states() int { return 2*len(c.Labels) + 1 }

func (c *CTC) column(t int) []float64 { return c.keep[t*c.states():][:c.states()] }

// Repeats returns the number of labels that equal the one before: there has to be a blank between
// the two.
func (c *CTC) Repeats() (n int) {
	for k := 1; k < len(c.Labels); k++ {
		if c.Labels[k] == c.Labels[k-1] {
			n++
		}
	}
	return n
}

// skips reports whether label k may follow label k-1 without a blank.
func (c *CTC) skips(k int) bool { return k > 0 && k < len(c.Labels) && c.Labels[k] != c.Labels[k-1] }

// A band is a range of the blanks and one of the labels of a column.
type band struct{ b0, b1, l0, l1 int }

// band returns the states that an alignment can be in at frame t.
func (c *CTC) band(t int) band {
	lo, hi := max(0, c.states()-2*(c.Frames-t)), min(c.states(), 2*t+2)
	return band{(lo + 1) / 2, (hi + 1) / 2, lo / 2, hi / 2}
}

// emit computes the states' log-probabilities from the row of a frame, relative to shift.
func (c *CTC) emit(row []float64, shift float64) {
	c.max = 0
	if c.Softmax {
		c.x = c.x[:len(row)]
		c.max, c.rest = tensorops.ExpRow(c.x, row)
		shift += math.Log1p(c.rest)
	}
	n := len(c.Labels)
	Fill(c.em[:n+1], row[c.Blank]-c.max-shift)
	for k, label := range c.Labels {
		c.em[n+1+k] = row[label] - c.max - shift
	}
}

// below returns y - x, and -Inf for a y of -Inf whatever x is.
func below(y, x float64) float64 {
	if y < -math.MaxFloat64 {
		return y
	}
	return y - x
}

// forward writes the largest term of each state at frame t to dst, and the others to exps.
func (c *CTC) forward(dst, from []float64, w band) {
	n := len(c.Labels)
	blanks, labels := from[:n+1], from[n+1:]
	to, exps := dst[:n+1], c.exps
	for k := w.b0; k < w.b1; k++ {
		x, y := blanks[k], math.Inf(-1)
		if k > 0 {
			y = labels[k-1]
		}
		if x < y {
			x, y = y, x
		}
		to[k], exps[k-w.b0] = x, below(y, x)
	}
	exps = exps[w.b1-w.b0:]
	to = dst[n+1:]
	more := exps[w.l1-w.l0:]
	for k := w.l0; k < w.l1; k++ {
		x, y, z := labels[k], blanks[k], math.Inf(-1)
		if c.skips(k) {
			z = labels[k-1]
		}
		if x < y {
			x, y = y, x
		}
		if x < z {
			x, z = z, x
		}
		to[k], exps[k-w.l0], more[k-w.l0] = x, below(y, x), below(z, x)
	}
}

// backward is forward of the other recursion: from has the states of the frame after, with their
// emissions.
func (c *CTC) backward(dst, from []float64, w band) {
	n := len(c.Labels)
	blanks, labels := from[:n+1], from[n+1:]
	to, exps := dst[:n+1], c.exps
	for k := w.b0; k < w.b1; k++ {
		x, y := blanks[k], math.Inf(-1)
		if k < n {
			y = labels[k]
		}
		if x < y {
			x, y = y, x
		}
		to[k], exps[k-w.b0] = x, below(y, x)
	}
	exps = exps[w.b1-w.b0:]
	to = dst[n+1:]
	more := exps[w.l1-w.l0:]
	for k := w.l0; k < w.l1; k++ {
		x, y, z := labels[k], blanks[k+1], math.Inf(-1)
		if c.skips(k + 1) {
			z = labels[k+1]
		}
		if x < y {
			x, y = y, x
		}
		if x < z {
			x, z = z, x
		}
		to[k], exps[k-w.l0], more[k-w.l0] = x, below(y, x), below(z, x)
	}
}

// sum adds the smaller terms to the largest: the logarithms of the sums of the exponentials.
func (c *CTC) sum(dst []float64, w band) {
	n, nb, nl := len(c.Labels), w.b1-w.b0, w.l1-w.l0
	exps, logs := c.exps[:nb+2*nl], c.logs[:nb+nl]
	vec.Exp(exps, exps)
	copy(logs, exps[:nb+nl])
	for k, e := range exps[nb+nl:] {
		logs[nb+k] += e
	}
	vec.Log1p(logs, logs)
	AddTo(dst[w.b0:w.b1], logs[:nb])
	AddTo(dst[n+1+w.l0:n+1+w.l1], logs[nb:])
}

// addEmissions adds the emissions to the states of a column and finds the largest.
func (c *CTC) addEmissions(dst []float64, w band) {
	n, top := len(c.Labels), math.Inf(-1)
	for _, r := range [2][2]int{{w.b0, w.b1}, {n + 1 + w.l0, n + 1 + w.l1}} {
		em := c.em[r[0]:r[1]]
		for k, v := range dst[r[0]:r[1]] {
			v += em[k]
			dst[r[0]+k] = v
			if v > top {
				top = v
			}
		}
	}
	c.top = top
}

// Forward computes the forward recursion over the rows of operand 0 and returns the log-probability
// of the labels: -Inf where they are impossible, NaN where a row has a NaN or +Inf.
func (c *CTC) Forward() float64 {
	n, total := len(c.Labels), 0.0
	for t := range c.Frames {
		shift := 0.0
		if t > 0 {
			shift = c.top
			total += shift
		}
		c.emit(c.row(t), shift)
		w, dst := c.band(t), c.column(t)
		if t == 0 {
			clear(dst[w.b0:w.b1])
			clear(dst[n+1+w.l0 : n+1+w.l1])
		} else {
			c.forward(dst, c.column(t-1), w)
			c.sum(dst, w)
		}
		c.addEmissions(dst, w)
		if w.b1 <= n {
			dst[w.b1] = math.Inf(-1)
		}
		if w.l1 < n {
			dst[n+1+w.l1] = math.Inf(-1)
		}
		if !core.Finite(c.top) {
			if c.top > 0 || HasNaN(dst[w.b0:w.b1]) || HasNaN(dst[n+1+w.l0:n+1+w.l1]) {
				return math.NaN()
			}
			return c.top
		}
	}
	last := c.column(c.Frames - 1)
	x, y := last[n], math.Inf(-1)
	if n > 0 {
		y = last[2*n]
	}
	if x < y {
		x, y = y, x
	}
	return total + (x + math.Log1p(math.Exp(below(y, x))))
}

// Backward computes the backward recursion after [CTC.Forward] has returned a finite number, and
// writes the derivative of the negative log-probability, times factor.
func (c *CTC) Backward(factor float64) {
	n := len(c.Labels)
	cur, next := c.cols[0], c.cols[1]
	c.top = 0
	for t := c.Frames - 1; t >= 0; t-- {
		w := c.band(t)
		if t == c.Frames-1 {
			clear(cur[w.b0:w.b1])
			clear(cur[n+1+w.l0 : n+1+w.l1])
		} else {
			c.backward(cur, next, w)
			c.sum(cur, w)
		}
		row := c.row(t)
		c.emit(row, c.top)
		c.posterior(c.column(t), cur, w)
		c.put(t, c.deriv(row, w, factor))
		c.addEmissions(cur, w)
		c.close(cur, w)
		cur, next = next, cur
	}
}

// close writes -Inf below the band of a column of the backward recursion.
func (c *CTC) close(dst []float64, w band) {
	if w.b0 > 0 {
		dst[w.b0-1] = math.Inf(-1)
	}
	if w.l0 > 0 {
		dst[len(c.Labels)+w.l0] = math.Inf(-1)
	}
}

// posterior writes the probabilities of the band's states, given the labels, to exps. They sum to 1.
func (c *CTC) posterior(alpha, beta []float64, w band) {
	n, nb := len(c.Labels), w.b1-w.b0
	p := c.exps[:nb+w.l1-w.l0]
	top := math.Inf(-1)
	for _, r := range [2][3]int{{w.b0, w.b1, 0}, {n + 1 + w.l0, n + 1 + w.l1, nb}} {
		dst, b := p[r[2]:], beta[r[0]:r[1]]
		for k, a := range alpha[r[0]:r[1]] {
			dst[k] = a + b[k]
			if dst[k] > top {
				top = dst[k]
			}
		}
	}
	for k := range p {
		p[k] -= top
	}
	vec.Exp(p, p)
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	for k := range p {
		p[k] /= sum
	}
}

// deriv writes factor·(p - posterior), or -factor·posterior without the softmax. The class with the
// largest p has what makes their sum 0, which keeps the digits where both are near 1.
func (c *CTC) deriv(row []float64, w band, factor float64) []float64 {
	dst := c.out
	best, others := -1, 0.0
	if c.Softmax {
		best = slices.Index(row, c.max)
		scale := factor / (1 + c.rest)
		for i, e := range c.x {
			dst[i] = e * scale
		}
	} else {
		clear(dst)
	}
	nb := w.b1 - w.b0
	blank := 0.0
	for _, v := range c.exps[:nb] {
		blank += v
	}
	dst[c.Blank] -= factor * blank
	if c.Blank != best {
		others += blank
	}
	posterior := c.exps[nb:]
	for k, label := range c.Labels[w.l0:w.l1] {
		v := posterior[k]
		dst[label] -= factor * v
		if label != best {
			others += v
		}
	}
	if best >= 0 {
		dst[best] = factor * (others - c.rest/(1+c.rest))
	}
	return dst
}
