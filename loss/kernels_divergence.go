package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
)

// divergenceKernels are the kernels of a divergence of one operand from another, given by their
// numbers, one of which at least holds logits.
func divergenceKernels(d core.Dims, from, to int, o tensorops.SoftmaxDivergence) core.Kernels {
	o.Classes, o.Inner = d.Cols, d.Inner
	if d.Cols == 1 { // which is 0, whatever rounding leaves of it
		return core.Kernels{}
	}
	return core.Kernels{F32: divergenceKernel[float32](from, to, o), F64: divergenceKernel[float64](from, to, o)}
}

func divergenceKernel[F core.Float](from, to int, o tensorops.SoftmaxDivergence) core.Kernel[F] {
	byFrom, byTo := o, o
	byTo.ByB = true
	return func(r *core.Range[F]) (sum float64, ok bool) {
		by, labels := &byFrom, r.Labels
		if r.Wrt == to {
			by = &byTo
		}
		if o.Share == 0 && o.LabelShare == 0 {
			labels = nil
		}
		r.Left, ok = tensorops.SoftmaxDivergenceRows(r.Values, r.Dst, r.X[from], r.X[to], r.Lo, r.Hi, labels, r.Factor, r.Left, by)
		return 0, ok
	}
}

// targetContent is what the target of a divergence holds.
func targetContent(s *core.Settings) tensorops.RowContent {
	switch {
	case s.LogTarget:
		return tensorops.LogEntries
	case s.TargetLogits:
		return tensorops.LogitEntries
	}
	return tensorops.ProbabilityEntries
}

// klKernels are those of the divergence from the target.
func klKernels(s *core.Settings, d core.Dims) core.Kernels {
	switch {
	case !s.LogTarget && !s.TargetLogits:
		return softmaxRows(nil, func(_ *core.Settings, o *tensorops.TargetSoftmax) { o.KL = true })(s, d)
	case s.Sharded():
		return core.Kernels{}
	}
	return divergenceKernels(d, 1, 0, tensorops.SoftmaxDivergence{Scale: 1 / s.Temperature, A: targetContent(s)})
}

// reverseKLKernels are those of the divergence of the target.
func reverseKLKernels(s *core.Settings, d core.Dims) core.Kernels {
	return divergenceKernels(d, 0, 1, tensorops.SoftmaxDivergence{Scale: 1 / s.Temperature, B: targetContent(s)})
}

// distillationKernels are those of a divergence from the teacher and a surprisal of labels.
func distillationKernels(s *core.Settings, d core.Dims) core.Kernels {
	t := s.Temperature
	return divergenceKernels(d, 1, 0, tensorops.SoftmaxDivergence{Scale: 1 / t, Share: s.Alpha * t * t, LabelShare: 1 - s.Alpha,
		Weights: s.ClassWeights})
}
