package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// differ takes differences of the cost L = Σ u·out, where u is the upstream.
type differ struct {
	f    *function
	out  tensor.Shape
	u    []float64
	base []float64 // out at the point
	// touched is the magnitude of the terms of L that changed along the last line, of all where
	// none did, as the root of the sum of their squares
	touched float64
	sigma   []float64 // rounding error of each entry of out, as a standard deviation
	buf     []float64
}

const eps64 = 0x1p-52
const eps32 = 0x1p-23

func epsOf(dt tensor.Dtype) float64 {
	if dt == tensor.Float32 {
		return eps32
	}
	return eps64
}

// newDiffer evaluates the function at the point, and estimates its rounding error there.
func newDiffer(inst *instance, upstream []float64) (*differ, error) {
	f, err := newFunction(inst, inst.out)
	if err != nil {
		return nil, err
	}
	d := &differ{f: f, out: inst.out.Shape(), u: upstream}
	if err := f.run(); err != nil {
		return nil, err
	}
	if d.base, err = f.result(0, nil); err != nil {
		return nil, fmt.Errorf("the cost %w", err)
	}
	if len(d.base) != len(upstream) {
		return nil, fmt.Errorf("the cost has %d values at run time, want %d as its shape %s says", len(d.base), len(upstream), shapeText(d.out))
	}
	return d, nil
}

// floorNoise fills sigma with the rounding of the result itself and of a few operations before it.
func (d *differ) floorNoise() {
	d.sigma = make([]float64, len(d.base))
	for i, v := range d.base {
		d.sigma[i] = 2 * epsOf(d.f.inst.dtype) * math.Abs(v)
	}
}

// measureNoise fills sigma by measurement, and evaluates at the point again.
func (d *differ) measureNoise(rng *rand.Rand) error {
	d.sigma = noiseOf(d.f.inst, rng, func() ([]float64, error) {
		if err := d.f.run(); err != nil {
			return nil, err
		}
		return d.f.result(0, nil)
	}, d.base)
	if err := d.f.run(); err != nil {
		return err
	}
	d.addScatter(rng)
	return d.f.run()
}

// addScatter raises sigma to what Monte Carlo arithmetic says (see roundingOf): the terms of a sum
// that cancel, or an operation that is saturated, round without showing it at nearby points. What
// scatters by more than rounding can, because an operation compares its operands, is not believed.
func (d *differ) addScatter(rng *rand.Rand) {
	eps, most := epsOf(d.f.inst.dtype), 0.0
	for _, s := range d.f.steps {
		if x, err := flatten(d.f.values[s.out], nil); err == nil {
			most = math.Max(most, largest(x))
		}
	}
	var runs [][]float64
	d.f.jitter = func(v G.Value) (G.Value, error) { return jittered(v, eps, rng) }
	defer func() { d.f.jitter = nil }()
	for range noisePoints {
		if d.f.mutates {
			d.f.inst.restore()
		}
		if err := d.f.run(); err != nil {
			return
		}
		y, err := d.f.result(0, nil)
		if err != nil {
			return
		}
		runs = append(runs, y)
	}
	for i := range d.sigma {
		if s := deviation(runs, i); s <= noisyAtMost*eps*most {
			d.sigma[i] = math.Max(d.sigma[i], s)
		}
	}
}

// noisePoints is the number of evaluations behind an estimate of rounding error: enough for
// differences of order 6.
const noisePoints = 9

// noiseSteps are the distances of these points, relative to the operands. Over the larger ones
// rounding errors are independent even of an operation that is nearly flat; where the function is
// not smooth over them the smaller ones serve.
func noiseSteps(eps float64) []float64 { return []float64{0x1p-10, 0x1p-20, 1024 * eps} }

// noisyAtMost is what rounding error over the larger distances may be of a value, in units in the
// last place: a function with a part that oscillates between the points looks like noise too.
const noisyAtMost = 4096

// noiseOf estimates the rounding error of each entry of a result near the point, as a standard
// deviation. It evaluates the result at points in a row. The higher differences of a smooth
// function vanish and those of rounding errors do not, and all their orders speak for the same size
// of error: where they do, that is the estimate.
//
// Reference: J. J. Moré, S. M. Wild, Estimating Computational Noise, 2011.
func noiseOf(inst *instance, rng *rand.Rand, eval func() ([]float64, error), base []float64) []float64 {
	defer inst.restore()
	eps := epsOf(inst.dtype)
	sigma, open := make([]float64, len(base)), make([]bool, len(base))
	for i, v := range base {
		sigma[i], open[i] = eps/2*math.Abs(v), true
	}
	left := len(base)
	col := make([]float64, noisePoints)
	steps := noiseSteps(eps)
	for n, delta := range steps {
		table := towardsZero(inst, rng, delta, eval, len(base))
		if table == nil {
			continue // outside the domain
		}
		for i := range sigma {
			if !open[i] {
				continue
			}
			for k := range table {
				col[k] = table[k][i]
			}
			if s, ok := differenceNoise(col); ok && (n == len(steps)-1 || s <= noisyAtMost*eps*largest(col)) {
				sigma[i] = math.Max(sigma[i], s)
				open[i] = false
				left--
			}
		}
		if left == 0 {
			break
		}
	}
	return sigma
}

// towardsZero evaluates at points from the point towards 0, which does not leave the domains [0,1]
// and x >= 0.
func towardsZero(inst *instance, rng *rand.Rand, delta float64, eval func() ([]float64, error), n int) [][]float64 {
	directions := make([][]float64, len(inst.operands))
	for i, o := range inst.operands {
		if o.fixed {
			continue
		}
		for _, x := range o.pristine {
			if math.IsInf(x, 0) {
				x = 0
			}
			directions[i] = append(directions[i], -x*(0.5+0.5*rng.Float64()))
		}
	}
	var table [][]float64
	for k := 1; k <= noisePoints; k++ {
		for i, o := range inst.operands {
			for j, v := range directions[i] {
				o.set(j, o.pristine[j]+float64(k)*delta*v)
			}
		}
		y, err := eval()
		if err != nil || len(y) != n {
			return nil
		}
		table = append(table, append([]float64(nil), y...))
	}
	return table
}

// differenceNoise returns the standard deviation that the differences of order 4 to 6 of y speak
// for, and whether they agree on it, as they do when it is rounding and not curvature.
func differenceNoise(y []float64) (float64, bool) {
	d := append([]float64(nil), y...)
	factor, least, most := 1.0, math.Inf(1), 0.0 // factor is (j!)²/(2j)!, one over the variance of the j-th difference
	for j := 1; j <= 6; j++ {
		for k := 0; k < len(d)-1; k++ {
			d[k] = d[k+1] - d[k]
		}
		d = d[:len(d)-1]
		factor *= float64(j*j) / float64(2*j*(2*j-1))
		if j < 4 {
			continue
		}
		sum := 0.0
		for _, v := range d {
			sum += v * v
		}
		s := math.Sqrt(factor * sum / float64(len(d)))
		least, most = math.Min(least, s), math.Max(most, s)
	}
	return most, finite(most) && least > 0 && most <= 4*least
}

// change returns Σ u·(out - base) of the values of the last run and the rounding error in it.
func (d *differ) change() (sum, noise float64, err error) {
	if d.buf, err = d.f.result(0, d.buf); err != nil {
		return 0, 0, err
	}
	var variance, touched, still, c float64
	eps := epsOf(d.f.inst.dtype)
	for k, v := range d.buf {
		u := d.u[k]
		if u == 0 {
			continue
		}
		if v == d.base[k] {
			// independent of what moved, or saturated: a change below the last place does not show
			s := u * eps / 4 * v
			variance += s * s
			still += u * u * v * v
			continue
		}
		// Kahan's sum: the noise of a vector result is that of its entries alone
		term := u*(v-d.base[k]) - c
		next := sum + term
		c = (next - sum) - term
		sum = next
		s := u * (d.sigma[k] + eps/4*math.Abs(v))
		variance += s * s
		touched += u * u * d.base[k] * d.base[k]
	}
	if touched == 0 {
		touched = still // all of it may be saturated
	}
	d.touched = math.Max(d.touched, math.Sqrt(touched))
	return sum, math.Sqrt(variance), nil
}

// coordinate is the line along element i of operand k. The operand is put back after each
// evaluation.
func (d *differ) coordinate(k, i int) line {
	o := d.f.inst.operands[k]
	x := o.pristine[i]
	d.touched = 0
	return func(t float64) (float64, float64, error) {
		if d.f.mutates {
			d.f.inst.restore()
		}
		moved := o.set(i, x+t) - x
		defer o.set(i, x)
		if moved == 0 {
			return math.NaN(), 0, nil
		}
		if err := d.f.rerun(k); err != nil {
			return 0, 0, err
		}
		sum, noise, err := d.change()
		// x + t is rounded: to first order the change for t itself is this one
		return sum * (t / moved), noise, err
	}
}

// settleBack puts the values that depend on operand k back to the point.
func (d *differ) settleBack(k int) error { return d.f.rerun(k) }

// along is the line in a direction over all operands.
func (d *differ) along(dir [][]float64) line {
	return func(t float64) (float64, float64, error) {
		if err := d.f.moveTo(dir, t); err != nil {
			return 0, 0, err
		}
		return d.change()
	}
}

// moveTo evaluates at the point plus t·dir.
func (f *function) moveTo(dir [][]float64, t float64) error {
	if f.mutates {
		f.inst.restore()
	}
	for k, o := range f.inst.operands {
		if dir[k] == nil {
			continue
		}
		d := dir[k]
		if o.f64 != nil { // what matters for millions of elements
			tensorops.ParallelFor(len(d), chunk, func(lo, hi int) {
				to, from := o.f64[lo:hi], o.pristine[lo:hi]
				for i, v := range d[lo:hi] {
					to[i] = from[i] + t*v
				}
			})
			continue
		}
		for i, x := range o.pristine {
			o.set(i, x+t*d[i])
		}
	}
	return f.run()
}
