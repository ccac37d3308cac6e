package loss

import "github.com/surprisal-go/surprisal/tensorops"

// crossEntropyDirect is the cross-entropy without softcap and z-loss.
func crossEntropyDirect[F float](s *spec) *direct[F] {
	if s.set.softcap != 0 || s.set.zloss != 0 {
		return nil
	}
	var o *tensorops.CrossEntropyOptions
	if s.set.smoothing != 0 || s.set.classWeights != nil || s.set.temperature != 1 {
		o = &tensorops.CrossEntropyOptions{Smoothing: s.set.smoothing, Weights: s.set.classWeights, Scale: 1 / s.set.temperature}
	}
	d := new(direct[F])
	if s.hasLabels() {
		d.values = func(values []float64, b *batch[F]) bool {
			tensorops.CrossEntropyRows(values, b.x, b.cols, b.labels, o)
			return true
		}
		d.grad[0] = func(values []float64, dst []F, b *batch[F]) bool {
			tensorops.CrossEntropyGradRows(values, dst, b.x, b.cols, b.labels, b.g, o)
			return true
		}
		return d
	}
	d.values = func(values []float64, b *batch[F]) bool {
		return tensorops.SoftCrossEntropyRows(values, b.x, b.t, b.cols, b.g, o)
	}
	d.grad[0] = func(values []float64, dst []F, b *batch[F]) bool {
		return tensorops.SoftCrossEntropyGradRows(values, dst, b.x, b.t, b.cols, b.g, o)
	}
	return d
}

// klDirect is the divergence from a target of probabilities.
func klDirect[F float](s *spec) *direct[F] {
	if s.set.logTarget || s.set.targetLogits {
		return nil
	}
	if s.set.temperature != 1 {
		return warmKL[F](s.set.temperature)
	}
	d := new(direct[F])
	d.values = func(values []float64, b *batch[F]) bool { return tensorops.KLRows(values, b.x, b.t, b.cols, b.g) }
	d.grad[0] = func(values []float64, dst []F, b *batch[F]) bool {
		return tensorops.KLGradRows(values, dst, b.x, b.t, b.cols, b.g)
	}
	d.grad[1] = func(_ []float64, dst []F, b *batch[F]) bool {
		tensorops.KLTargetGradRows(dst, b.x, b.t, b.cols, b.g)
		return true
	}
	return d
}

// warmKL is klDirect at another temperature than 1, in float64.
func warmKL[F float](temperature float64) *direct[F] {
	d := fewDirect[F](func(w *few, values, dst []float64, b *batch[float64]) bool {
		w.cool(b, temperature)
		if dst == nil {
			return tensorops.KLRows(values, b.x, b.t, b.cols, b.g)
		}
		g := fit(&w.rest, len(b.g))
		for i, v := range b.g {
			g[i] = v / temperature
		}
		return tensorops.KLGradRows(values, dst, b.x, b.t, b.cols, g)
	})
	d.grad[1] = func(_ []float64, dst []F, b *batch[F]) bool {
		return inFloat64(nil, dst, b, func(w *few, _, dst []float64, b *batch[float64]) bool {
			w.cool(b, temperature)
			tensorops.KLTargetGradRows(dst, b.x, b.t, b.cols, b.g)
			return true
		})
	}
	return d
}

func entropyDirect[F float](*spec) *direct[F] {
	d := new(direct[F])
	d.values = func(values []float64, b *batch[F]) bool {
		tensorops.EntropyRows(values, b.x, b.cols, b.g)
		return true
	}
	d.grad[0] = func(values []float64, dst []F, b *batch[F]) bool {
		tensorops.EntropyGradRows(values, dst, b.x, b.cols, b.g)
		return true
	}
	return d
}

// logSumExpDirect has reduction None and one factor for each row, its upstream.
func logSumExpDirect[F float](*spec) *direct[F] {
	return fewDirect[F](func(_ *few, values, dst []float64, b *batch[float64]) bool {
		if dst != nil {
			tensorops.LogSumExpGradRows(dst, b.x, b.g, b.cols)
		} else {
			tensorops.LogSumExpRows(values, b.x, b.cols)
		}
		return true
	})
}

// softmaxDirect: the derivative by operand 1 is the softmax itself, that by operand 0 its product with operand 1 from the left.
func softmaxDirect[F float](*spec) *direct[F] {
	return mapDirect[F](tensorops.SoftmaxRows[float64], func(dst, x, a []float64, cols int) {
		tensorops.SoftmaxRows(dst, x, cols)
		tensorops.SoftmaxGradRows(dst, dst, a, cols)
	})
}

func logSoftmaxDirect[F float](*spec) *direct[F] {
	return mapDirect[F](tensorops.LogSoftmaxRows[float64], tensorops.LogSoftmaxLogitGradRows[float64])
}

// mapDirect makes the kernels of a row-to-row node from its function and the product of a with its derivative.
func mapDirect[F float](f func(dst, x []float64, cols int), pull func(dst, x, a []float64, cols int)) *direct[F] {
	d := new(direct[F])
	d.grad[0] = func(_ []float64, dst []F, b *batch[F]) bool {
		return inFloat64(nil, dst, b, func(_ *few, _, dst []float64, b *batch[float64]) bool {
			pull(dst, b.x, b.t, b.cols)
			return true
		})
	}
	d.grad[1] = func(_ []float64, dst []F, b *batch[F]) bool {
		return inFloat64(nil, dst, b, func(_ *few, _, dst []float64, b *batch[float64]) bool {
			f(dst, b.x, b.cols)
			return true
		})
	}
	return d
}
