package loss

import "math"

// Losses made of exponentials and logarithms. These take most of the time, so they are computed for a run of elements at
// a time, and only what is asked for.

// A profile is a function of e = pred - target: value and derivatives write to dst what they are at each element of e.
type profile struct{ value, slope, bend func(dst, e []float64) }

// row lifts the profile to a row function.
func (f profile) row(r *row) float64 {
	e := r.residuals()
	if r.out != nil {
		f.value(r.out, e)
	}
	for k, sign := range [2]float64{1, -1} {
		if g := r.grad[k]; g != nil {
			f.slope(g, e)
			scale(g, sign)
		}
		if h := r.hess[k]; h != nil {
			f.bend(h, e)
			for i, dd := range h {
				h[i] = sign * times(r.approach(i), dd)
			}
		}
	}
	return 0
}

// residuals returns pred - target.
func (r *row) residuals() []float64 {
	e := r.buf(len(r.x[0]))
	for i, p := range r.x[0] {
		e[i] = p - r.x[1][i]
	}
	return e
}

// scale multiplies dst by a.
func scale(dst []float64, a float64) {
	for i := range dst {
		dst[i] *= a
	}
}

// each makes the function of a run from that of an element.
func each(f func(e float64) float64) func(dst, e []float64) {
	return func(dst, e []float64) {
		for i, v := range e {
			dst[i] = f(v)
		}
	}
}

// around makes the function of a run that is f of e and y = fn(arg(e)).
func around(arg func(e float64) float64, fn func(dst, x []float64), f func(e, y float64) float64) func(dst, e []float64) {
	return func(dst, e []float64) {
		for i, v := range e {
			dst[i] = arg(v)
		}
		fn(dst, dst)
		for i, y := range dst {
			dst[i] = f(e[i], y)
		}
	}
}

// square and logOfSquare go around log1p to make log(1 + x²) without overflow: beyond 1e16, where the 1 does not count, square
// is |x| and its logarithm is doubled.
func square(x float64) float64 {
	if a := math.Abs(x); a > 1e16 {
		return a
	}
	return x * x
}

func logOfSquare(x, log float64) float64 {
	if math.Abs(x) > 1e16 {
		return 2 * log
	}
	return log
}

// surfaceBy is surface with two numbers y and z for each element, which prelude computes for the whole run.
func surfaceBy(prelude func(r *row) (y, z []float64), f func(p, t, y, z float64) jet) rowFunc {
	return func(r *row) float64 {
		y, z := prelude(r)
		return surface(func(p, t float64, i int) jet {
			i -= r.at
			return f(p, t, y[i], z[i])
		})(r)
	}
}

// mapped returns fn of arg of each element of x.
func (r *row) mapped(x []float64, arg func(float64) float64, fn func(dst, x []float64)) []float64 {
	y := r.buf(len(x))
	for i, v := range x {
		y[i] = arg(v)
	}
	fn(y, y)
	return y
}
