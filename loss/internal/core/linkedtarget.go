package core

// Under class weights Mean divides by Σ s·Σ_c w_c·t_c, which depends on the soft target t of a loss
// with a link. That sum and its change along a direction in the target are known before any logits
// are; the numerator is known after the last of them, when what it has to do with is added to the
// derivatives by the target. evaluation.stages holds these numbers; addVariation says how they
// enter.

// sumTarget adds up what the denominator changes by along a direction in the target.
func (e *evaluation[F]) sumTarget(t *totals, s []float64) {
	if e.logits() != 2 || !e.chunk.isTarget(e.Wrt) {
		return
	}
	for i, v := range s {
		if v == 0 {
			continue
		}
		moved := 0.0
		for c, w := range e.local.ClassWeights {
			moved += w * float64(e.in.Dir[i*e.Dims.Cols+c])
		}
		t.dd.add(v * moved)
	}
}

// addMovedTarget adds to h, the derivative of second order of a row, what it has for the change of
// the denominator; g is the derivative of first order.
func (e *evaluation[F]) addMovedTarget(h, g []float64) {
	dd := e.stages.dd.value()
	if !e.chunk.varies || dd == 0 {
		return
	}
	for c, v := range g {
		h[c] -= dd / e.scale * v
	}
}

// addTargetVariation adds to d, the derivatives by the target of the rows at, what they have for
// that of the denominator.
func (e *evaluation[F]) addTargetVariation(d []F, at []int) {
	t := &e.stages
	rate := t.n.value() / e.scale
	if e.Order == OrderHessian {
		rate = t.dn.value()/e.scale - 2*rate*t.dd.value()/e.scale
	}
	for _, i := range at {
		row := d[i*e.Dims.Cols : (i+1)*e.Dims.Cols]
		for c, w := range e.local.ClassWeights {
			row[c] -= F(e.chunk.g[i] * rate * w)
		}
	}
}
