package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// This file measures the rounding error of gradients. It is needed only where a gradient and the
// differences disagree.

// conditionMost bounds the rounding error that is believed, in units in the last place of the
// largest element: operations that compare for equality, such as the mask of a maximum, jump when
// their operands are jittered.
const conditionMost = 1e6

// gradientNoise returns the rounding error of element e of the gradient of input i, as a standard
// deviation.
func (k *checker) gradientNoise(j *judge, i, e int) float64 {
	if j.noise[i] == nil {
		k.measureGradientNoise(j)
	}
	if e < len(j.noise[i]) && finite(j.noise[i][e]) {
		return j.noise[i][e]
	}
	return 0
}

func (k *checker) measureGradientNoise(j *judge) {
	for i, p := range j.parts {
		j.noise[i] = make([]float64, len(p.values))
	}
	eval := func(g *gradient) ([]float64, error) {
		parts, _, err := g.run()
		var all []float64
		for i := range j.parts {
			if err == nil && len(parts[i].values) != len(j.parts[i].values) {
				err = fmt.Errorf("the gradient changed its shape")
			}
			if err != nil {
				return nil, err
			}
			all = append(all, parts[i].values...)
		}
		return all, err
	}
	var all []float64
	for _, p := range j.parts {
		all = append(all, p.values...)
	}
	var sigma []float64
	if k.dtype.Eq(k.ref.dtype) {
		sigma = noiseOf(j.inst, k.rng, func() ([]float64, error) { return eval(j.gradient) }, all)
	} else {
		sigma = k.spread(j, eval, len(all))
	}
	spread := k.roundingOf()
	for i := range j.noise {
		n := len(j.noise[i])
		if len(sigma) >= n {
			copy(j.noise[i], sigma[:n])
			sigma = sigma[n:]
		}
		most := conditionMost * epsOf(k.dtype) * j.most[i]
		for e := range min(n, len(spread[i])) {
			j.noise[i][e] = math.Max(j.noise[i][e], math.Min(spread[i][e], most))
		}
	}
}

// spread is the rounding error of a float32 gradient: how the difference to the same gradient in
// float64 scatters over nearby points. A fault moves all the differences alike and adds nothing to
// it.
func (k *checker) spread(j *judge, eval func(*gradient) ([]float64, error), n int) []float64 {
	if j.twin == nil {
		twin, err := k.newGradient(j.pass, tensor.Float64, nil)
		if err != nil {
			return nil
		}
		j.twin = twin
	}
	defer j.inst.restore()
	defer j.twin.inst.restore()
	sum, sq := make([]float64, n), make([]float64, n)
	count := 0.0
	for range noisePoints {
		for i, o := range j.inst.operands {
			if o.fixed {
				continue
			}
			for e, x := range o.pristine {
				// far enough for rounding errors to be independent, towards 0, the same point in
				// both dtypes
				moved := o.set(e, x*(1-k.rng.Float64()/64))
				j.twin.inst.operands[i].set(e, moved)
			}
		}
		a, err := eval(j.gradient)
		if err != nil {
			return nil
		}
		b, err := eval(j.twin)
		if err != nil || len(a) != n || len(b) != n {
			return nil
		}
		for e := range a {
			d := a[e] - b[e]
			sum[e] += d
			sq[e] += d * d
		}
		count++
	}
	for e := range sq {
		mean := sum[e] / count
		// twice, because few points stand for all: where a function oscillates its rounding error
		// varies from point to point
		sq[e] = 2 * math.Sqrt(math.Max(0, sq[e]/count-mean*mean)*count/(count-1))
	}
	return sq
}

// roundingOf estimates the rounding error of the gradient of each input by Monte Carlo arithmetic:
// the gradient graph is evaluated several times, with the operands and the result of every
// operation moved by a random part of a unit in the last place of the check's dtype. What scatters
// is what rounding can do. It sees what nearby points cannot: an operation that is saturated, whose
// result is the same for all of them.
//
// Reference: D. S. Parker, Monte Carlo Arithmetic, 1997.
func (k *checker) roundingOf() [][]float64 {
	if k.scatter != nil {
		return k.scatter
	}
	k.scatter = make([][]float64, len(k.names))
	inst, err := k.instance(k.ref.dtype)
	if err != nil {
		return k.scatter
	}
	wrt, at, _ := inst.wanted()
	grads, err := inst.gradients(k.upstream, wrt)
	if err != nil {
		return k.scatter
	}
	f, err := newFunction(inst, grads...)
	if err != nil {
		return k.scatter
	}
	f.jitter = func(v G.Value) (G.Value, error) { return jittered(v, epsOf(k.dtype), k.rng) }
	var runs [][]float64
	for range noisePoints {
		if err := f.run(); err != nil {
			return k.scatter
		}
		inst.restore()
		all, err := f.all()
		if err != nil {
			return k.scatter
		}
		runs = append(runs, all)
	}
	offset := 0
	for _, i := range at {
		n := len(inst.operands[i].pristine)
		for e := range n {
			k.scatter[i] = append(k.scatter[i], deviation(runs, offset+e))
		}
		offset += n
	}
	return k.scatter
}

// deviation is the standard deviation of entry e over runs.
func deviation(runs [][]float64, e int) float64 {
	var mean, sq float64
	for _, r := range runs {
		if e >= len(r) {
			return 0
		}
		mean += r[e] / float64(len(runs))
	}
	for _, r := range runs {
		sq += (r[e] - mean) * (r[e] - mean)
	}
	return math.Sqrt(sq / float64(len(runs)-1))
}

// jittered is a copy of a value, each number multiplied by 1 + eps·ξ with ξ uniform in [-1, 1].
// Whole numbers stay: they are exact more often than not, and sizes and masks must.
func jittered(v G.Value, eps float64, rng *rand.Rand) (G.Value, error) {
	if !isFloat(v.Dtype()) {
		return v, nil
	}
	move := func(x float64) float64 {
		if x == math.Trunc(x) {
			return x
		}
		return x * (1 + eps*(2*rng.Float64()-1))
	}
	switch s := v.(type) {
	case *G.F64:
		return G.NewF64(move(float64(*s))), nil
	case *G.F32:
		return G.NewF32(float32(move(float64(*s)))), nil
	}
	flat, err := flatten(v, nil)
	if err != nil {
		return nil, err
	}
	if v.Dtype() == tensor.Float32 {
		narrow := make([]float32, len(flat))
		for i, x := range flat {
			narrow[i] = float32(move(x))
		}
		return tensor.New(tensor.WithShape(v.Shape()...), tensor.WithBacking(narrow)), nil
	}
	for i, x := range flat {
		flat[i] = move(x)
	}
	return tensor.New(tensor.WithShape(v.Shape()...), tensor.WithBacking(flat)), nil
}
