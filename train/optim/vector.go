package optim

import (
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// lanes is what the lengths that kernels take are multiples of, and the number of sums of squares
// that are kept apart. The rest of a slice goes through the Go code.
const lanes = 32

// chunk is the piece of a long slice that one core works on at a time: 32 KB of float32, so that a
// parameter, its gradient and two slots fit into the second cache. It is a multiple of lanes.
const chunk = 8192

// inPieces calls f for the pieces [i, j) of n elements, over the cores where there is more than
// one.
func inPieces(n int, f func(i, j int)) {
	if n <= chunk {
		f(0, n)
		return
	}
	tensorops.ParallelFor(n, chunk, f)
}

// whole is the part of n elements that the kernels of the level in use take.
func whole(n int) int {
	if vec.Active() == vec.Generic {
		return 0
	}
	return n &^ (lanes - 1)
}

// apply makes an update of a whole parameter.
func apply[F float32 | float64](f formula, c *[constants]F, p, g []F, slots [][]F) {
	var a, b []F
	if len(slots) > 0 {
		a = slots[0]
	}
	if len(slots) > 1 {
		b = slots[1]
	}
	cut := func(s []F, i, j int) []F {
		if s == nil {
			return nil
		}
		return s[i:j]
	}
	inPieces(len(p), func(i, j int) {
		k := i + whole(j-i)
		if k > i {
			updateVector(f, c, p[i:k], g[i:k], cut(a, i, k), cut(b, i, k))
		}
		if j > k {
			updateGeneric(f, c, p[k:j], g[k:j], cut(a, k, j), cut(b, k, j))
		}
	})
}

// squares returns the sum of the squares of x, in float64 and always in the same order.
func squares[F float32 | float64](x []F) float64 {
	var sums [lanes]float64
	k := whole(len(x))
	if k > 0 {
		squaresVector(&sums, x[:k])
	}
	squaresGeneric(&sums, x[k:])
	for n := lanes / 2; n > 0; n /= 2 {
		for i := range n {
			sums[i] += sums[i+n]
		}
	}
	return sums[0]
}

// Scale multiplies every number of some gradients by f.
func Scale[F float32 | float64](f F, grads ...[]F) {
	for _, g := range grads {
		inPieces(len(g), func(i, j int) {
			k := i + whole(j-i)
			if k > i {
				scaleVector(g[i:k], f)
			}
			scaleGeneric(g[k:j], f)
		})
	}
}

// Collect copies a gradient into a slice of the same length, or adds it where add is set, and
// returns the sum of squares of what the slice then holds, as [Norm] takes it: one pass in place of
// two over memory. Another length panics.
func Collect[F float32 | float64](dst, g []F, add bool) float64 {
	if len(dst) != len(g) {
		panic("optim.Collect: length mismatch")
	}
	return sumPieces(len(g), func(i, j int) float64 {
		if add {
			accumulate(dst[i:j], g[i:j])
		} else {
			copy(dst[i:j], g[i:j])
		}
		return squares(dst[i:j])
	})
}

// Accumulate adds a gradient to a sum of the same length; another length panics.
func Accumulate[F float32 | float64](sum, g []F) {
	if len(sum) != len(g) {
		panic("optim.Accumulate: length mismatch")
	}
	if len(g) <= chunk { // without a function on the heap for each of many short rows
		accumulate(sum, g)
		return
	}
	inPieces(len(g), func(i, j int) { accumulate(sum[i:j], g[i:j]) })
}

func accumulate[F float32 | float64](sum, g []F) {
	k := whole(len(g))
	if k > 0 {
		accumulateVector(sum[:k], g[:k])
	}
	accumulateGeneric(sum[k:], g[k:])
}

// sumPieces adds the values of f over the pieces of n elements, in their order.
func sumPieces(n int, f func(i, j int) float64) (total float64) {
	if n <= chunk {
		return f(0, n)
	}
	sums := make([]float64, (n+chunk-1)/chunk)
	inPieces(n, func(i, j int) { sums[i/chunk] = f(i, j) })
	for _, s := range sums {
		total += s
	}
	return total
}
