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

// klDirect is the divergence from a target of probabilities at temperature 1.
func klDirect[F float](s *spec) *direct[F] {
	if s.set.logTarget || s.set.targetLogits || s.set.temperature != 1 {
		return nil
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
