package gradcheck

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// second is a build of the gradient and its products with directions.
type second struct {
	inst  *instance
	dirs  []*operand
	nodes G.Nodes // the products: for each gradient that was differentiated, one per wrt
	wrt   []int   // the inputs that the products are for
	n     int     // gradients that were differentiated
}

// newSecond builds g = VJP(out, u) and, for each of its parts, VJP(g, v).
func (k *checker) newSecond(dt tensor.Dtype) (*second, error) {
	inst, err := k.instance(dt)
	if err != nil {
		return nil, err
	}
	wrt, at, _ := inst.wanted()
	grads, err := inst.gradients(k.upstream, wrt)
	if err != nil {
		return nil, err
	}
	s := &second{inst: inst, wrt: at, n: len(grads)}
	for i, g := range grads {
		v := upstreamValue(make([]float64, len(inst.operands[at[i]].pristine)), g.Shape(), g.Dtype())
		v.name = fmt.Sprintf("gradcheck.direction %d", i)
		node := v.node(inst.g)
		inst.operands = append(inst.operands, v)
		inst.in = append(inst.in, node)
		s.dirs = append(s.dirs, v)
		p, err := loss.VJP(g, node, wrt...)
		if err != nil {
			return nil, err
		}
		s.nodes = append(s.nodes, p...)
	}
	return s, nil
}

// gradients builds the gradient nodes with the toolkit's pass.
func (inst *instance) gradients(upstream []float64, wrt G.Nodes) (G.Nodes, error) {
	if plain(inst.out, upstream) {
		return symbolic(Reverse, inst.out, nil, wrt)
	}
	return symbolic(Reverse, inst.out, inst.addUpstream(upstream), wrt)
}

// aim sets the direction.
func (s *second) aim(dir [][]float64) {
	for i, o := range s.dirs {
		copy(o.pristine, dir[s.wrt[i]])
		o.restore()
	}
}

// product returns H·v for each wrt from the nodes' values.
func (s *second) product(parts []part) ([][]float64, error) {
	out := make([][]float64, len(s.wrt))
	for i := range s.wrt {
		o := s.inst.operands[s.wrt[i]]
		n := len(o.pristine)
		out[i] = make([]float64, n)
		for g := range s.n {
			p := parts[g*len(s.wrt)+i]
			if len(p.values) != n {
				return nil, fmt.Errorf("the second derivative by input %q has shape %s, want %s", o.name, shapeText(p.shape), shapeText(o.shape))
			}
			for e, v := range p.values {
				out[i][e] += v
			}
		}
	}
	return out, nil
}

// productRounding estimates the rounding error of a product in the check's dtype as roundingOf does
// for gradients, per wrt.
func (k *checker) productRounding(dir [][]float64) [][]float64 {
	s, err := k.newSecond(k.ref.dtype)
	if err != nil {
		return nil
	}
	f, err := newFunction(s.inst, s.nodes...)
	if err != nil {
		return nil
	}
	f.jitter = func(v G.Value) (G.Value, error) { return jittered(v, epsOf(k.dtype), k.rng) }
	s.aim(dir)
	runs := make([][][]float64, len(s.wrt))
	for range noisePoints {
		if err := f.run(); err != nil {
			return nil
		}
		parts := make([]part, len(s.nodes))
		for i := range parts {
			if parts[i].values, err = f.result(i, nil); err != nil {
				return nil
			}
		}
		hv, err := s.product(parts)
		if err != nil {
			return nil
		}
		for i := range hv {
			runs[i] = append(runs[i], hv[i])
		}
	}
	sigma := make([][]float64, len(s.wrt))
	for i := range sigma {
		for e := range runs[i][0] {
			sigma[i] = append(sigma[i], deviation(runs[i], e))
		}
	}
	return sigma
}

// checkSecond compares Hessian-vector products with differences of the gradient, and the Hessian
// with its transpose.
func (k *checker) checkSecond() error {
	s, err := k.newSecond(k.dtype)
	if err != nil {
		k.report.find(Missing, "Reverse", "there is no second derivative: %v", err)
		return nil
	}
	tape, err := newGraphRun(Reverse, s.inst, s.nodes)
	if err != nil {
		k.report.find(Missing, "Reverse", "there is no second derivative: %v", err)
		return nil
	}
	defer tape.close()
	product := func(dir [][]float64) ([][]float64, error) {
		s.aim(dir)
		parts, err := tape.run()
		if err != nil {
			return nil, err
		}
		return s.product(parts)
	}
	ref, err := k.instance(k.ref.dtype)
	if err != nil {
		return err
	}
	wrt, _, _ := ref.wanted()
	if len(wrt) == 0 {
		return nil
	}
	grads, err := ref.gradients(k.upstream, wrt)
	if err != nil {
		return err
	}
	f, err := newFunction(ref, grads...)
	if err != nil {
		return err
	}
	var dirs, products [][][]float64
	for n := range k.second {
		dir := k.randomDirection(nil)
		hv, err := product(dir)
		if err != nil {
			k.report.find(Missing, "Reverse", "there is no second derivative: %v", err)
			return nil
		}
		dirs, products = append(dirs, dir), append(products, hv)
		if err := k.compareProduct(f, s, n, dir, hv); err != nil {
			return err
		}
	}
	if k.second == 1 {
		dirs = append(dirs, k.randomDirection(nil))
		hv, err := product(dirs[1])
		if err != nil {
			return err
		}
		products = append(products, hv)
	}
	k.symmetry(s, dirs, products)
	return nil
}

// compareProduct judges each element of one product.
func (k *checker) compareProduct(f *function, s *second, n int, dir, hv [][]float64) error {
	if err := f.run(); err != nil {
		return err
	}
	base, err := f.all()
	if err != nil {
		return err
	}
	sigma := noiseOf(f.inst, k.rng, func() ([]float64, error) {
		if err := f.run(); err != nil {
			return nil, err
		}
		return f.all()
	}, base)
	// all elements share the steps, so each point is evaluated once
	memo := make(map[float64][]float64)
	at := func(t float64) ([]float64, error) {
		if v, ok := memo[t]; ok {
			return v, nil
		}
		padded := append(append([][]float64{}, dir...), make([][]float64, len(f.inst.operands)-len(dir))...)
		if err := f.moveTo(padded, t); err != nil {
			memo[t] = nil
			return nil, err
		}
		v, err := f.all()
		memo[t] = v
		return v, err
	}
	offset := 0
	var rounding [][]float64
	for i, w := range s.wrt {
		o := k.ref.operands[w]
		most := largest(hv[i])
		for e, a := range hv[i] {
			c := offset + e
			sl := differentiate(func(t float64) (float64, float64, error) {
				v, err := at(t)
				if err != nil || v == nil {
					return math.NaN(), 0, err
				}
				return v[c] - base[c], sigma[c] + epsOf(f.inst.dtype)/4*math.Abs(v[c]), nil
			}, 1)
			el := Element{Pass: Reverse, Order: 2, Direction: n, Input: o.name, Index: indexOf(e, o.shape), Analytic: a, Numeric: sl.value, Lo: sl.lo, Hi: sl.hi}
			el.Tol = sl.tol + epsOf(k.dtype)*(16*math.Abs(sl.value)+4*most)
			if decide(&el, sl); el.Failed() && (el.Verdict == Wrong || el.Verdict == Zero) {
				if rounding == nil {
					rounding = k.productRounding(dir)
				}
				if i < len(rounding) {
					el.Tol += noiseSafety * math.Min(rounding[i][e], conditionMost*epsOf(k.dtype)*most)
				}
				decide(&el, sl)
			}
			k.report.Elements = append(k.report.Elements, el)
		}
		offset += len(hv[i])
	}
	f.inst.restore()
	return nil
}

// all returns the outputs of the last run, one after the other.
func (f *function) all() ([]float64, error) {
	var all []float64
	for i := range f.outs {
		v, err := f.result(i, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, v...)
	}
	return all, nil
}

// symmetry compares u·Hv with v·Hu.
func (k *checker) symmetry(s *second, dirs, products [][][]float64) {
	for a := range dirs {
		for b := range a {
			var left, right, size float64
			for i, w := range s.wrt {
				for e := range products[a][i] {
					l, r := dirs[b][w][e]*products[a][i][e], dirs[a][w][e]*products[b][i][e]
					left += l
					right += r
					size += math.Abs(l) + math.Abs(r)
				}
			}
			if !(math.Abs(left-right) <= 64*epsOf(k.dtype)*size) {
				k.report.find(Wrong, "Reverse",
					"the Hessian is not symmetric: u·Hv is %v and v·Hu is %v for two random directions", left, right)
				return
			}
		}
	}
}
