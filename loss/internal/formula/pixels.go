package formula

import (
	"math"
	"slices"
	"sync"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// An Activation turns the first operand of a loss of pixels into probabilities.
type Activation uint8

// The activations.
const (
	NoActivation Activation = iota // the operand holds probabilities
	SigmoidEach                    // of each class by itself
	SoftmaxOverClasses
)

// Pixels are the pixels of a group, read block by block: the prediction, the first operand, and the
// target, the second one, which holds labels or a number for each class.
type Pixels struct {
	g       *core.Group
	act     Activation
	classes int
}

// PixelsOf returns the pixels of a group. A softmax over one class is a sigmoid.
func PixelsOf(g *core.Group, act Activation, classes int) *Pixels {
	if act == SoftmaxOverClasses && classes == 1 {
		act = SigmoidEach
	}
	return &Pixels{g, act, classes}
}

// pixelBlock is a range of pixels: planes of n numbers, one for each class.
type pixelBlock struct {
	lo, n     int
	p, q, t   []float64 // probability, 1 - p and target
	dp        []float64 // p along the direction; nil: not requested
	u, du     []float64 // the derivative by p, and this along the direction
	x, dx     []float64 // of the memory of dp, and of the direction
	top       []int     // under a softmax, the class of the largest probability
	most, sum []float64
}

// plane returns the numbers of a class.
func (b *pixelBlock) plane(x []float64, c int) []float64 { return x[c*b.n : (c+1)*b.n : (c+1)*b.n] }

// leave makes the derivative by a class 0: it has no part.
func (b *pixelBlock) leave(c int) {
	clear(b.plane(b.u, c))
	if b.dp != nil {
		clear(b.plane(b.du, c))
	}
}

// blockNumbers is about how many numbers of an operand a block has: some arrays of them stay in the
// nearest cache.
const blockNumbers = 2048

// blockPixels is the number of pixels of a block.
func blockPixels(classes int) int { return max(16, blockNumbers/classes) }

func (x *Pixels) size() int   { return blockPixels(x.classes) }
func (x *Pixels) blocks() int { return (x.g.N + x.size() - 1) / x.size() }

var pixelBlocks = sync.Pool{New: func() any { return new(pixelBlock) }}

// each calls f for all blocks, in parallel; along is whether there is a direction.
func (x *Pixels) each(along bool, f func(b *pixelBlock, at int)) {
	size := x.size()
	tensorops.ParallelFor(x.g.N, size, func(lo, hi int) {
		b := pixelBlocks.Get().(*pixelBlock)
		defer pixelBlocks.Put(b)
		x.load(b, lo, hi, along)
		f(b, lo/size)
	})
}

// room returns n numbers of *buf.
func room[T any](buf *[]T, n int) []T {
	*buf = slices.Grow((*buf)[:0], n)[:n]
	return *buf
}

// load reads pixels and computes their probabilities.
func (x *Pixels) load(b *pixelBlock, lo, hi int, along bool) {
	b.lo, b.n = lo, hi-lo
	n := b.n * x.classes
	room(&b.p, n)
	room(&b.q, n)
	room(&b.u, n)
	x.g.Read(b.p, 0, lo, hi)
	x.target(b, hi)
	b.dp = nil
	if along {
		b.dp = room(&b.x, n)
		room(&b.du, n)
		clear(b.dp)
		if x.g.Dir[0] != nil {
			x.g.ReadDir(b.dp, 0, lo, hi)
		}
	}
	switch x.act {
	case NoActivation:
		for i, p := range b.p {
			b.q[i] = 1 - p
		}
	case SigmoidEach:
		b.sigmoid()
	case SoftmaxOverClasses:
		b.softmax(x.classes)
	}
}

// target reads the targets, or makes them of labels.
func (x *Pixels) target(b *pixelBlock, hi int) {
	t := room(&b.t, b.n*x.classes)
	y := x.g.Int[1]
	switch {
	case y == nil:
		x.g.Read(t, 1, b.lo, hi)
	case x.classes == 1:
		for i, v := range y[b.lo:hi] {
			t[i] = float64(v)
		}
	default:
		clear(t)
		for i, v := range y[b.lo:hi] {
			t[v*b.n+i] = 1
		}
	}
}

// sigmoid replaces logits by their sigmoids.
func (b *pixelBlock) sigmoid() {
	for i, z := range b.p {
		b.q[i] = -math.Abs(z)
	}
	vec.Exp(b.q, b.q)
	for i, e := range b.q {
		small, large := e/(1+e), 1/(1+e)
		if b.p[i] >= 0 {
			small, large = large, small
		}
		b.p[i], b.q[i] = small, large
	}
	for i := range b.dp {
		b.dp[i] *= b.p[i] * b.q[i]
	}
}

// softmax replaces logits by their softmax over the classes.
func (b *pixelBlock) softmax(classes int) {
	most, rest, top := room(&b.most, b.n), room(&b.sum, b.n), room(&b.top, b.n)[:b.n]
	copy(most, b.p)
	clear(top)
	for c := 1; c < classes; c++ {
		for i, z := range b.plane(b.p, c)[:len(most)] { // without branches, which would be random
			t, m := top[i], most[i]
			if z > m {
				t = c
			}
			top[i], most[i] = t, max(m, z)
		}
	}
	for c := range classes {
		p := b.plane(b.p, c)
		for i, m := range most {
			p[i] -= m
		}
	}
	vec.Exp(b.p, b.p)
	for i, c := range top { // e is 1 there, or NaN
		rest[i] = b.p[c*b.n+i] - 1
		b.p[c*b.n+i] = 0
	}
	for c := range classes {
		for i, e := range b.plane(b.p, c) {
			rest[i] += e
		}
	}
	for i, c := range top {
		b.p[c*b.n+i] = 1
		most[i] = 1 / (1 + rest[i])
	}
	for c := range classes {
		p, q := b.plane(b.p, c), b.plane(b.q, c)
		for i, v := range most {
			p[i] *= v
			q[i] = 1 - p[i]
		}
	}
	for i, c := range top {
		b.q[c*b.n+i] = rest[i] * most[i]
	}
	if b.dp != nil {
		b.jacobian(b.dp, b.dp, nil, nil, classes)
	}
}

// jacobian writes dst = p·(v - ⟨p, v⟩), the product of v with the softmax's Jacobian, and with dp
// adds the derivative of that Jacobian: dst = p·(v - ⟨p, v⟩ - ⟨dp, w⟩) + dp·(w - ⟨p, w⟩). Taken
// from the entries at the largest p, the differences are exact where that p is near 1.
func (b *pixelBlock) jacobian(dst, v, dp, w []float64, classes int) {
	mean, at := b.sum, b.most
	b.centre(mean, at, b.p, v, classes)
	var pull, from []float64
	if dp != nil {
		scratch := room(&b.dx, 2*b.n)
		pull, from = scratch[:b.n], scratch[b.n:]
		b.centre(pull, from, dp, w, classes)
		for i, m := range pull {
			mean[i] += m
		}
		b.centre(pull, from, b.p, w, classes)
	}
	for c := range classes {
		d, p, v := b.plane(dst, c), b.plane(b.p, c), b.plane(v, c)
		for i, m := range mean {
			d[i] = p[i] * (v[i] - at[i] - m)
		}
		if dp == nil {
			continue
		}
		e, w := b.plane(dp, c), b.plane(w, c)
		for i, m := range pull {
			d[i] += e[i] * (w[i] - from[i] - m)
		}
	}
}

// centre writes the entries of v at the largest p, and Σ_c p·(v - these).
func (b *pixelBlock) centre(mean, at, p, v []float64, classes int) {
	for i, c := range b.top {
		at[i], mean[i] = v[c*b.n+i], 0
	}
	for c := range classes {
		p, v := b.plane(p, c), b.plane(v, c)
		for i, a := range at {
			mean[i] += p[i] * (v[i] - a)
		}
	}
}

// write writes the derivative by the prediction that u and du make.
func (x *Pixels) write(b *pixelBlock) {
	out, second := b.u, b.dp != nil
	switch {
	case x.act == NoActivation && second:
		out = b.du
	case x.act == NoActivation:
	case x.act == SigmoidEach && second:
		out = b.du
		for i, u := range b.u {
			out[i] = Times(out[i], b.p[i]*b.q[i]) + Times(u, (b.q[i]-b.p[i])*b.dp[i])
		}
	case x.act == SigmoidEach:
		for i, u := range b.u {
			out[i] = Times(u, b.p[i]*b.q[i])
		}
	case second:
		out = b.du
		b.jacobian(out, b.du, b.dp, b.u, x.classes)
	default:
		b.jacobian(out, b.u, nil, nil, x.classes)
	}
	x.g.Write(out, 0, b.lo, b.lo+b.n)
}
