package formula

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
)

// Nodes are the logits of a lattice's nodes, a row for frame t after u labels.
type Nodes interface {
	Row(t, u int) []float64
	Along(t, u int) []float64      // the direction
	Put(t, u int, deriv []float64) // the requested derivative
}

// JointNodes are the rows of operand 0, which is read by ranges, so many for each frame.
type JointNodes struct {
	*core.Group
	width    int
	row, dir []float64
}

// JointNodesOf returns the nodes of a group.
func JointNodesOf(g *core.Group, width, classes int) JointNodes {
	return JointNodes{g, width, g.Buf(classes), g.Buf(classes)}
}

func (n *JointNodes) Row(t, u int) []float64 {
	at := t*n.width + u
	n.Read(n.row, 0, at, at+1)
	return n.row
}

func (n *JointNodes) Along(t, u int) []float64 {
	at := t*n.width + u
	n.ReadDir(n.dir, 0, at, at+1)
	return n.dir
}

func (n *JointNodes) Put(t, u int, deriv []float64) {
	at := t*n.width + u
	n.Write(deriv, 0, at, at+1)
}

// SumNodes are sums of the rows of operands 0 and 1, of frames and of labels.
type SumNodes struct {
	*core.Group
	Classes  int
	row, dir []float64
}

// Start takes working memory.
func (n *SumNodes) Start() { n.row, n.dir = n.Buf(n.Classes), n.Buf(n.Classes) }

// sumOf writes row t of x plus row u of y to dst; nil is 0.
func sumOf(dst, x, y []float64, t, u int) []float64 {
	n := len(dst)
	clear(dst)
	if x != nil {
		AddTo(dst, x[t*n:][:n])
	}
	if y != nil {
		AddTo(dst, y[u*n:][:n])
	}
	return dst
}

func (n *SumNodes) Row(t, u int) []float64   { return sumOf(n.row, n.X[0], n.X[1], t, u) }
func (n *SumNodes) Along(t, u int) []float64 { return sumOf(n.dir, n.Dir[0], n.Dir[1], t, u) }

func (n *SumNodes) Put(t, u int, deriv []float64) {
	for k, at := range [2]int{t, u} {
		for _, dst := range [2][]float64{n.Grad[k], n.Hess[k]} {
			if dst != nil {
				AddTo(dst[at*n.Classes:][:n.Classes], deriv)
			}
		}
	}
}

// A Lattice is the sum over all monotone paths through the nodes (t, u): a blank leads to the next
// frame, label u to the next label, and the last step is the blank of the last node.
type Lattice struct {
	Nodes  Nodes
	Labels []int
	Frames int
	Blank  int
	Emit   float64 // multiplies the posteriors of labels in the gradient

	x []float64 // the exponentials of a row
	// The log-probabilities of each node's arcs, and after the backward recursion their probabilities
	// given the labels to come: they sum to 1.
	blank, label []float64
	now, next    []float64 // columns
}

// arcs returns the log-probabilities of a node's arcs; -Inf for a label beyond the last.
func (l *Lattice) arcs(t, u int) (blank, label float64) {
	row := l.Nodes.Row(t, u)
	top, rest := tensorops.ExpRow(l.x, row)
	log := math.Log1p(rest)
	blank, label = row[l.Blank]-top-log, math.Inf(-1)
	if u < len(l.Labels) {
		label = row[l.Labels[u]] - top - log
	}
	return blank, label
}

// Backward computes the backward recursion and returns the log-probability of the labels.
func (l *Lattice) Backward(g *core.Group, classes int) float64 {
	w := len(l.Labels) + 1
	n := l.Frames * w
	buf := g.Buf(2*n + 2*(w+1) + classes)
	cut := func(n int) (s []float64) {
		s, buf = buf[:n:n], buf[n:]
		return s
	}
	l.blank, l.label, l.now, l.next, l.x = cut(n), cut(n), cut(w+1), cut(w+1), cut(classes)
	Fill(l.next, math.Inf(-1))
	l.next[w-1] = 0
	for t := l.Frames - 1; t >= 0; t-- {
		l.now[w] = math.Inf(-1)
		for u := w - 1; u >= 0; u-- {
			at := t*w + u
			blank, label := l.arcs(t, u)
			blank += l.next[u]
			label += l.now[u+1]
			l.now[u], l.blank[at], l.label[at] = share(blank, label)
		}
		l.now, l.next = l.next, l.now
	}
	return l.next[0]
}

// share returns log(e^x + e^y) and the shares of the two terms.
func share(x, y float64) (log, p, q float64) {
	if x < y {
		log, q, p = share(y, x)
		return log, p, q
	}
	if math.IsInf(x, -1) && y == x {
		return x, 0, 0
	}
	e := math.Exp(below(y, x))
	return x + math.Log1p(e), 1 / (1 + e), e / (1 + e)
}

// Gradient writes the derivative of the negative log-probability, times factor, after
// [Lattice.Backward] has returned a finite number. A node's posterior is the sum of what its
// predecessors pass on.
func (l *Lattice) Gradient(deriv []float64, factor float64) {
	w := len(l.Labels) + 1
	p := l.now
	clear(p)
	p[0] = 1
	for t := range l.Frames {
		for u := range w {
			at := t*w + u
			blank, label := p[u]*l.blank[at], p[u]*l.label[at]
			l.put(deriv, t, u, blank, l.Emit*label, factor)
			p[u] = blank
			p[u+1] += label
		}
		p[w] = 0
	}
}

// put writes the derivative of a node whose arcs have the posteriors blank and label. The class with
// the largest probability has what makes the sum 0, which keeps the digits of sure nodes.
func (l *Lattice) put(deriv []float64, t, u int, blank, label, factor float64) {
	row := l.Nodes.Row(t, u)
	top, rest := tensorops.ExpRow(l.x, row)
	best, own := slices.Index(row, top), 0.0
	scale := factor * (blank + label) / (1 + rest)
	for i, e := range l.x {
		deriv[i] = scale * e
	}
	arc := func(class int, p float64) {
		deriv[class] -= factor * p
		if class == best {
			own += p
		}
	}
	arc(l.Blank, blank)
	if u < len(l.Labels) {
		arc(l.Labels[u], label)
	}
	deriv[best] = factor * ((blank + label - own) - own*rest) / (1 + rest)
	l.Nodes.Put(t, u, deriv)
}

// Second writes the Hessian of the negative log-probability times the direction, times factor, after
// [Lattice.Backward] has returned a finite number.
func (l *Lattice) Second(g *core.Group, deriv []float64, factor float64) {
	w := len(l.Labels) + 1
	n := l.Frames * w
	blanks, labels := g.Buf(n), g.Buf(n) // the derivatives of blank and label along the direction
	dots, next := g.Zeros(w+1), g.Zeros(w+1)
	for t := l.Frames - 1; t >= 0; t-- {
		dots[w] = 0
		for u := w - 1; u >= 0; u-- {
			at := t*w + u
			v := l.Nodes.Along(t, u)
			mean := l.mean(t, u, v)
			blank, label := v[l.Blank]-mean+next[u], 0.0
			if u < len(l.Labels) {
				label = v[l.Labels[u]] - mean + dots[u+1]
			}
			p, q := l.blank[at], l.label[at]
			dots[u] = Times(p, blank) + Times(q, label)
			blanks[at], labels[at] = Times(p*q, blank-label), Times(p*q, label-blank)
		}
		dots, next = next, dots
	}
	p, turn := l.now, dots
	clear(p)
	clear(turn)
	p[0] = 1
	for t := range l.Frames {
		for u := range w {
			at := t*w + u
			blank, label := p[u]*l.blank[at], p[u]*l.label[at]
			moved := [2]float64{turn[u]*l.blank[at] + Times(p[u], blanks[at]), turn[u]*l.label[at] + Times(p[u], labels[at])}
			l.turn(deriv, t, u, p[u], moved, factor)
			p[u], turn[u] = blank, moved[0]
			p[u+1] += label
			turn[u+1] += moved[1]
		}
		p[w], turn[w] = 0, 0
	}
}

// mean computes the exponentials of a row and returns the mean of v under its softmax.
func (l *Lattice) mean(t, u int, v []float64) float64 {
	_, rest := tensorops.ExpRow(l.x, l.Nodes.Row(t, u))
	mean := 0.0
	for i, e := range l.x {
		l.x[i] = e / (1 + rest)
		mean += Times(l.x[i], v[i])
	}
	return mean
}

// turn writes the derivative of what put writes, where the node has the posterior p and those of its
// arcs have the derivatives moved.
func (l *Lattice) turn(deriv []float64, t, u int, p float64, moved [2]float64, factor float64) {
	v := l.Nodes.Along(t, u)
	mean := l.mean(t, u, v)
	for i, q := range l.x {
		deriv[i] = factor * (q*(moved[0]+moved[1]) + Times(q*p, v[i]-mean))
	}
	deriv[l.Blank] -= factor * moved[0]
	if u < len(l.Labels) {
		deriv[l.Labels[u]] -= factor * moved[1]
	}
	l.Nodes.Put(t, u, deriv)
}

// Fill writes v to the derivatives of the first so many frames and labels.
func (l *Lattice) Fill(deriv []float64, v float64, frames, labels int) {
	Fill(deriv, v)
	for t := range frames {
		for u := range labels {
			l.Nodes.Put(t, u, deriv)
		}
	}
}
