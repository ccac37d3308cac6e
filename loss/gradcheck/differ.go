package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// differ takes differences of the cost L = Σ u·out, where u is the upstream.
type differ struct {
	f     *function
	out   tensor.Shape
	u     []float64
	base  []float64 // out at the point
	sigma []float64 // rounding error of each entry of out, as a standard deviation
	buf   []float64
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

// measureNoise fills sigma by measurement.
func (d *differ) measureNoise(rng *rand.Rand) error {
	var err error
	d.sigma, err = noiseOf(d.f.inst, rng, func() ([]float64, error) {
		if err := d.f.run(); err != nil {
			return nil, err
		}
		return d.f.result(0, nil)
	}, d.base)
	return err
}

// noisePoints is the number of evaluations behind an estimate of rounding error, beside the one at the point.
const noisePoints = 7

// noiseOf estimates the rounding error of each entry of a result near the point, as a standard deviation. It evaluates at
// points so near that a smooth function is a straight line over them; what the second and higher
// differences then show is rounding error.
//
// Reference: J. J. Moré, S. M. Wild, Estimating Computational Noise, 2011.
func noiseOf(inst *instance, rng *rand.Rand, eval func() ([]float64, error), base []float64) ([]float64, error) {
	defer inst.restore()
	eps := epsOf(inst.dtype)
	sigma := make([]float64, len(base))
	for i, v := range base {
		sigma[i] = eps / 2 * math.Abs(v)
	}
	// 2^10 ulps: rounding errors are independent, and curvature adds (2^10·eps)² = 5e-26 of the value
	delta := 1024 * eps
	var directions [][]float64
	for _, o := range inst.operands {
		v := make([]float64, len(o.pristine))
		for i, x := range o.pristine {
			// towards 0, which does not leave the domains [0,1] and x >= 0
			v[i] = -x * (0.5 + 0.5*rng.Float64())
		}
		directions = append(directions, v)
	}
	var table [][]float64
	for k := 1; k <= noisePoints; k++ {
		for i, o := range inst.operands {
			if o.fixed {
				continue
			}
			for j, x := range o.pristine {
				o.set(j, x+float64(k)*delta*directions[i][j])
			}
		}
		y, err := eval()
		if err != nil || len(y) != len(base) {
			// at the edge of the domain: the rounding error of the result itself must do
			return sigma, nil
		}
		table = append(table, append([]float64(nil), y...))
	}
	col := make([]float64, len(table))
	for i := range sigma {
		for k := range table {
			col[k] = table[k][i]
		}
		if s := differenceNoise(col); finite(s) {
			sigma[i] = math.Max(sigma[i], s)
		}
	}
	return sigma, nil
}

// differenceNoise returns the largest standard deviation that the differences of order 2 to 4 of y speak for.
func differenceNoise(y []float64) float64 {
	d := append([]float64(nil), y...)
	factor, most := 1.0, 0.0 // (j!)²/(2j)!: the variance of the j-th difference of independent errors is its inverse
	for j := 1; j <= 4; j++ {
		for k := 0; k < len(d)-1; k++ {
			d[k] = d[k+1] - d[k]
		}
		d = d[:len(d)-1]
		factor *= float64(j*j) / float64(2*j*(2*j-1))
		if j == 1 {
			continue
		}
		sum := 0.0
		for _, v := range d {
			sum += v * v
		}
		most = math.Max(most, math.Sqrt(factor*sum/float64(len(d))))
	}
	return most
}

// change returns Σ u·(out - base) of the values of the last run and the rounding error in it.
func (d *differ) change() (sum, noise float64, err error) {
	if d.buf, err = d.f.result(0, d.buf); err != nil {
		return 0, 0, err
	}
	var variance, c float64
	eps := epsOf(d.f.inst.dtype)
	for k, v := range d.buf {
		if v == d.base[k] {
			continue
		}
		u := d.u[k]
		if u == 0 {
			continue
		}
		// Kahan's sum: the noise of a vector result is that of its entries alone
		term := u*(v-d.base[k]) - c
		next := sum + term
		c = (next - sum) - term
		sum = next
		s := u * (d.sigma[k] + eps/4*math.Abs(v))
		variance += s * s
	}
	return sum, math.Sqrt(variance), nil
}

// coordinate is the line along element i of operand k. The operand is put back after each evaluation.
func (d *differ) coordinate(k, i int) line {
	o := d.f.inst.operands[k]
	x := o.pristine[i]
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
		for i, x := range o.pristine {
			o.set(i, x+t*dir[k][i])
		}
	}
	return f.run()
}
