package loss

// A direct is a loss in kernels that work on the operands' own memory, for rows that lie in one piece. It says the
// same as the loss's row function, which remains for every other layout, option and derivative.
type direct[F float] struct {
	// values writes the values of the rows, and grad g[i]·∂l/∂x_k of row i to dst, with the values unless those are nil; see
	// batch. Both report whether every target that they read lies in its domain.
	values func(values []float64, b *batch[F]) (valid bool)
	grad   [2]func(values []float64, dst []F, b *batch[F]) (valid bool)
	// careful is the value below which the row function must compute it, where kernels lose digits; 0 for none.
	careful float64
	// For elementwise losses: the sum of the values, and the same with g·∂l/∂pred of every element. The sum is NaN where a target
	// lies outside its domain. The derivative by the target is that by the prediction with the other sign, where
	// mirrored says so.
	sum      func(x, t []F) float64
	each     func(dst, x, t []F, g float64) float64
	mirrored bool
}

// A fast makes the kernels of a loss for both dtypes, or none where they do not know a setting; few is for at most directLen
// classes.
type fast struct {
	f32 func(s *spec) *direct[float32]
	f64 func(s *spec) *direct[float64]
	few func(s *spec) fewFunc
}

// directLen is the number of classes, or of elements, up to which losses go through float64: they are rounded once then, and
// kernels would not be much faster on so few.
const directLen = 128

// directOf returns the kernels that an operation may use, or nil.
func directOf[F float](o *op) *direct[F] {
	if o.mode != modeValue && o.mode != modeGrad || o.coupled() {
		return nil
	}
	if o.def.elementwise {
		if o.bare || o.set.reduction == None || o.weighted || o.hasMask() || o.shape.TotalSize() <= directLen {
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
