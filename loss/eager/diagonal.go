package eager

import (
	"sync"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// buffers are what Derivatives needs beside the memory of its calls.
type buffers[F core.Float] struct {
	direction, product []F
	operands           [2]any // the same slices, as operands hold them
}

var (
	buffers32 = sync.Pool{New: func() any { return new(buffers[float32]) }}
	buffers64 = sync.Pool{New: func() any { return new(buffers[float64]) }}
)

// diagonal writes the diagonal of the Hessian by the first operand.
func (l *Loss) diagonal(dst *Operand, d *Data, operands []Operand) error {
	b, err := l.bind(true, d, operands)
	if err != nil {
		return err
	}
	if b.DType == core.Float32 {
		return diagonalOf[float32](l, b, dst, d, operands)
	}
	return diagonalOf[float64](l, b, dst, d, operands)
}

// diagonalOf takes the products of the Hessian with directions that are 1 in one class and 0 in the
// others: as rows do not meet in a value, entry c of every row is that row's diagonal element. Where
// they do, every entry takes a product of its own.
func diagonalOf[F core.Float](l *Loss, b *core.Bound, dst *Operand, d *Data, operands []Operand) error {
	out, err := output[F](b, dst, "second", b.Shape, operands, d)
	if err != nil {
		return err
	}
	pool := core.PoolOf[F](&buffers32, &buffers64)
	s := pool.Get().(*buffers[F])
	defer pool.Put(s)
	if len(s.direction) != len(out) {
		s.direction, s.product = make([]F, len(out)), make([]F, len(out))
		s.operands = [2]any{s.direction, s.product}
	}
	given := core.Given{Shape: b.Shape, DType: b.DType}
	direction, product := Operand{data: s.operands[0], given: given}, Operand{data: s.operands[1], given: given}
	n, inner := b.Dims.Cols, b.Dims.Inner
	switch {
	case b.Linked():
		n = b.Shape[1]
	case b.Separate(): // entries of a group meet in its values
		n = len(out)
	}
	for c := range n {
		for i := range s.direction {
			s.direction[i] = 0
			if i/inner%n == c {
				s.direction[i] = 1
			}
		}
		if _, err := l.evaluate(call{order: core.OrderHessian, dst: &product, direction: &direction, none: true}, d, operands); err != nil {
			return err
		}
		for i := range out {
			if i/inner%n == c {
				out[i] = s.product[i]
			}
		}
	}
	return nil
}
