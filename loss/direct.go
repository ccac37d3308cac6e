package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A direct is a loss in kernels that work on the operands' own memory, for rows that lie in one piece. It says the
// same as the loss's row function, which remains for every other layout, option and derivative.
type direct[F float] struct {
	// values writes the values of the rows, and grad g[i]·∂l/∂x_k of row i to dst, with the values unless those are nil; see
	// batch. Both report whether every target that they read lies in its domain.
	values func(values []float64, b *batch[F]) (valid bool)
	grad   [2]func(values []float64, dst []F, b *batch[F]) (valid bool)
	// careful is the value below which the row function must compute it, where kernels lose digits; 0 for none.
	careful float64
	// For elementwise losses: the sum of the values, and g·∂l/∂pred of every element. The derivative by the target is
	// that by the prediction with the other sign, where mirrored says so.
	sum      func(x, t []F) float64
	each     func(dst, x, t []F, g float64)
	mirrored bool
}

// A fast makes the kernels of a loss for both dtypes, or none where they do not know a setting; few is for at most directLen
// classes.
type fast struct {
	f32 func(s *spec) *direct[float32]
	f64 func(s *spec) *direct[float64]
	few func(s *spec) fewFunc
}

const (
	// directLen is the number of classes up to which rows go through float64: they are rounded once then.
	directLen = 128
	// directSize is the same for the elements of an elementwise loss.
	directSize = 4096
	// directChunk is the number of elements whose target is checked and summed in one go, while it is in the cache.
	directChunk = 1 << 14
)

// directOf returns the kernels that an operation may use, or nil.
func directOf[F float](o *op) *direct[F] {
	if o.mode != modeValue && o.mode != modeGrad || o.coupled() {
		return nil
	}
	if o.def.elementwise {
		if o.bare || o.set.reduction == None || o.weighted || o.hasMask() || o.shape.TotalSize() <= directSize {
			return nil
		}
	} else if o.inner != 1 {
		return nil
	}
	d, _ := o.kernels.(*direct[F])
	return d
}

// kernelsOf makes the kernels of a spec for its dtype, or none.
func kernelsOf[F float](s *spec, make func(s *spec) *direct[F]) *direct[F] {
	var d *direct[F]
	switch few := s.def.fast.few; {
	case s.def.elementwise || s.classes > directLen:
		if make != nil {
			d = make(s)
		}
	case few != nil:
		if f := few(s); f != nil {
			d = fewDirect[F](f)
		}
	}
	if d != nil {
		d.careful = s.def.careful
	}
	return d
}

// directGradients writes the derivative by operand k with the kernels, and reports whether they know it. Soft targets have
// been checked with the value.
func (j *job[F]) directGradients(out []F, d float64) (done bool, err error) {
	if j.def.elementwise {
		sign := 1.0
		if j.k == 1 {
			if sign = -1; !j.direct.mirrored {
				return false, nil
			}
		}
		j.direct.each(out, j.x[0], j.x[1], sign*j.upstreamOf(0)/d)
		return true, nil
	}
	return j.rowGradients(out, d)
}

// directSum is the sum of an elementwise loss by the kernels. ok is false where the row functions must have a closer look: a
// target outside its domain, or a sum that is not finite, because single terms may overflow float32 where the mean does not.
func (j *job[F]) directSum() (total float64, ok bool) {
	x, t := j.x[0], j.x[1]
	parts := make([]float64, (len(x)+directChunk-1)/directChunk)
	tensorops.ParallelFor(len(x), directChunk, func(lo, hi int) {
		if j.domain[1] == UnitInterval && !vec.Within(t[lo:hi], 0, 1) {
			parts[lo/directChunk] = math.NaN()
			return
		}
		parts[lo/directChunk] = j.direct.sum(x[lo:hi], t[lo:hi])
	})
	total = sum(parts)
	return total, finite(total)
}

// binaryDirect is the binary cross-entropy without positive weights and smoothing.
func binaryDirect[F float](s *spec) *direct[F] {
	if s.set.posWeight != nil || s.set.smoothing != 0 {
		return nil
	}
	return &direct[F]{sum: tensorops.BinaryCrossEntropySum[F], each: tensorops.BinaryCrossEntropyGrad[F]}
}

func mseDirect[F float](*spec) *direct[F] {
	return &direct[F]{sum: tensorops.SquaredErrorSum[F], each: tensorops.SquaredErrorGrad[F], mirrored: true}
}

func maeDirect[F float](*spec) *direct[F] {
	return &direct[F]{sum: tensorops.AbsoluteErrorSum[F], each: tensorops.AbsoluteErrorGrad[F], mirrored: true}
}

func huberDirect[F float](s *spec) *direct[F] {
	delta := s.set.delta
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.HuberSum(x, t, delta) },
		each:     func(dst, x, t []F, g float64) { tensorops.HuberGrad(dst, x, t, delta, g) },
		mirrored: true,
	}
}

func halfSquaredDirect[F float](*spec) *direct[F] {
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.SquaredErrorSum(x, t) / 2 },
		each:     func(dst, x, t []F, g float64) { tensorops.SquaredErrorGrad(dst, x, t, g/2) },
		mirrored: true,
	}
}

// smoothL1Direct is Huber's loss divided by β. Extreme β, which would leave float32, are left to the row function.
func smoothL1Direct[F float](s *spec) *direct[F] {
	beta := s.set.beta
	switch {
	case beta == 0:
		return maeDirect[F](s)
	case beta < 0x1p-20 || beta > 0x1p20:
		return nil
	}
	return &direct[F]{
		sum:      func(x, t []F) float64 { return tensorops.HuberSum(x, t, beta) / beta },
		each:     func(dst, x, t []F, g float64) { tensorops.HuberGrad(dst, x, t, beta, g/beta) },
		mirrored: true,
	}
}
