package loss

import G "gorgonia.org/gorgonia"

// gradients computes the derivative by one operand, or the Hessian's block times a direction.
func (j *job[F]) gradients() (G.Value, error) {
	out, fresh := result[F](j.op, j.shape.TotalSize())
	if j.byRowKernels() {
		if done, err := j.rowGradients(out); err != nil {
			return nil, err
		} else if done {
			return wrap(out, j.shape), nil
		}
	}
	d, zero := j.divisor()
	if zero {
		clear(out)
		return wrap(out, j.shape), nil
	}
	if j.direct != nil && j.def.elementwise && j.elementGradients(out, d) {
		return wrap(out, j.shape), nil
	}
	one := j.gradientRow
	if j.def.elementwise {
		one = j.gradientRun
	}
	if err := j.each(func(i int, r *row) totals { return totals{err: one(i, r, d, out, fresh)} }).err; err != nil {
		return nil, err
	}
	return wrap(out, j.shape), nil
}

// want asks the row for the derivative of the plan and returns where it will stand.
func (j *job[F]) want(r *row) []float64 {
	b := r.buf(len(r.x[0]))
	if j.mode == modeHess {
		r.hess[j.j] = b
	} else {
		r.grad[j.k] = b
	}
	return b
}

// upstreamOf returns the upstream of value i.
func (j *job[F]) upstreamOf(i int) float64 {
	switch {
	case j.bare:
		return 1
	case j.set.reduction == None:
		return float64(j.upstream[i])
	}
	return float64(j.upstream[0])
}

// gradientRow writes one row of the result; a row without a factor is 0.
func (j *job[F]) gradientRow(i int, r *row, d float64, out []F, fresh bool) error {
	s, err := j.factor(i)
	if err != nil {
		return err
	}
	at, n, stride := j.span(i)
	if s == 0 {
		for c := 0; c < n && !fresh; c++ {
			out[at+c*stride] = 0
		}
		return nil
	}
	j.load(r, i)
	if err := j.check(r, i, s); err != nil {
		return err
	}
	g := j.want(r)
	coupled := j.coupled()
	var own []float64
	if coupled && j.mode == modeHess {
		own = r.buf(len(g))
		r.grad[j.j] = own
	}
	j.fn(r)
	if coupled {
		j.couple(g, own)
	}
	factor := j.upstreamOf(i) * s / d
	if stride == 1 {
		store(out[at:at+n], g, factor)
		return nil
	}
	for c, v := range g {
		out[at+c*stride] = F(factor * v)
	}
	return nil
}

// couple adds what the derivatives of L = N/D have beside those of N/D with D fixed: with N' and D' the derivatives along
// the direction v in operand k,
//
//	D·∂_j L      = ∂_j N - (N/D)·∂_j D
//	D·∂_j(L')    = H_jk·v - (D'/D)·∂_j N - (N'/D - 2·N·D'/D²)·∂_j D
//
// where ∂_j D is the class weights for the target and 0 for the logits.
func (j *job[F]) couple(g, own []float64) {
	t := &j.total
	if j.mode == modeHess {
		b := 0.0
		if j.j == 1 {
			b = t.dn/t.d - 2*t.n*t.dd/(t.d*t.d)
		}
		for c := range g {
			g[c] -= t.dd/t.d*own[c] + b*j.set.classWeights[c]
		}
		return
	}
	if j.k == 1 {
		for c := range g {
			g[c] -= t.n / t.d * j.set.classWeights[c]
		}
	}
}

// gradientRun is gradientRow for a run of elements.
func (j *job[F]) gradientRun(i int, r *row, d float64, out []F, _ bool) error {
	j.load(r, i)
	g := j.want(r)
	j.fn(r)
	if j.uniform() && j.set.reduction != None {
		store(out[r.at:r.at+len(g)], g, j.upstreamOf(0)/d)
		return j.checkRun(r)
	}
	for e, v := range g {
		s, err := j.factor(r.at + e)
		if err == nil && s != 0 {
			err = j.checkAt(r, e)
		}
		if err != nil {
			return err
		}
		if out[r.at+e] = 0; s != 0 {
			out[r.at+e] = F(j.upstreamOf(r.at+e) * s / d * v)
		}
	}
	return nil
}
