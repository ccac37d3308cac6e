package loss

// maxOperands is the largest number of floating operands that a loss has.
const maxOperands = 4

// A row is one example as a loss sees it: the operands' entries in float64, whatever the dtype of the nodes, so that
// a float32 result is rounded once. For an elementwise loss a row is a run of elements.
//
// A field that is nil is not wanted; a direction that is nil is zero.
type row struct {
	x     [maxOperands][]float64 // the operands; never written to
	label int                    // the integer target, where there is one
	list  []int                  // the listed classes, where the target is a list of them
	at    int                    // index of the first element in the whole operand

	out  []float64              // elementwise: the values
	grad [maxOperands][]float64 // ∂l/∂x_k, to be written whole
	dir  [maxOperands][]float64 // a direction v
	hess [maxOperands][]float64 // Σ_j ∂²l/∂x_k∂x_j·v_j, to be written whole

	scratch []float64
	used    int
}

// A rowFunc is the mathematics of a loss on one example: it returns the value (elementwise losses write it to r.out
// and return 0) and writes the derivatives that r asks for.
type rowFunc func(r *row) float64

// buf returns a slice of n elements with arbitrary content that is the row function's until it returns.
func (r *row) buf(n int) []float64 {
	if r.used+n > len(r.scratch) {
		// Slices handed out earlier stay valid: they keep the old array.
		r.scratch = make([]float64, max(2*len(r.scratch), r.used+n))
		r.used = 0
	}
	b := r.scratch[r.used : r.used+n : r.used+n]
	r.used += n
	return b
}

// plan says what is wanted of a row: the value, the derivative by operand k, the Hessian's block (j, k) times a
// direction in operand k, or that derivative's inner product with the direction.
type plan struct {
	mode  mode
	k, j  int
	after bool // has the value's node as its last child, which it does not read: it runs after that
}

type mode uint8

const (
	modeValue mode = iota
	modeGrad       // upstream·∂l/∂x_k
	modeHess       // upstream·∂²l/∂x_j∂x_k·v
	modeJVP        // ⟨∂l/∂x_k, v⟩
)

func (m mode) String() string { return [...]string{"value", "grad", "hess", "jvp"}[m] }

// approach is how pred - target of element i moves along the directions.
func (r *row) approach(i int) float64 {
	v := 0.0
	if r.dir[0] != nil {
		v += r.dir[0][i]
	}
	if r.dir[1] != nil {
		v -= r.dir[1][i]
	}
	return v
}

// A jet is the value of a function of prediction p and target t with its derivatives up to the second.
type jet struct{ l, p, t, pp, pt, tt float64 }

// surface lifts a function of a prediction and a target to a row function; i is the element's index in the operand.
func surface(f func(p, t float64, i int) jet) rowFunc {
	return func(r *row) float64 {
		p, t := r.x[0], r.x[1]
		for i := range r.out {
			r.out[i] = f(p[i], t[i], r.at+i).l
		}
		for i := range r.grad[0] {
			r.grad[0][i] = f(p[i], t[i], r.at+i).p
		}
		for i := range r.grad[1] {
			r.grad[1][i] = f(p[i], t[i], r.at+i).t
		}
		r.bend(func(i int) jet { return f(p[i], t[i], r.at+i) })
		return 0
	}
}

// bend writes the second derivatives that r asks for, from the jet of each element.
func (r *row) bend(at func(i int) jet) {
	for k := range 2 {
		for i := range r.hess[k] {
			j := at(i)
			h := [2][2]float64{{j.pp, j.pt}, {j.pt, j.tt}}[k]
			r.hess[k][i] = 0
			for m := range h {
				if r.dir[m] != nil {
					r.hess[k][i] += times(r.dir[m][i], h[m])
				}
			}
		}
	}
}

// A front is loops over a run for the value and the derivative by the prediction, all that a training step asks for.
type front struct{ value, slope func(r *row, dst []float64) }

// before completes the front with a row function for the other derivatives.
func (f front) before(others rowFunc) rowFunc {
	return func(r *row) float64 {
		out, g := r.out, r.grad[0]
		if out != nil {
			f.value(r, out)
		}
		if g != nil {
			f.slope(r, g)
		}
		if r.grad[1] != nil || r.hess[0] != nil || r.hess[1] != nil {
			r.out, r.grad[0] = nil, nil
			others(r)
			r.out, r.grad[0] = out, g
		}
		return 0
	}
}

// A multiJet is a jet of up to maxOperands operands: value, gradient and Hessian (symmetric, both halves filled).
type multiJet struct {
	l float64
	d [maxOperands]float64
	h [maxOperands][maxOperands]float64
}

// volume lifts a function of n operands, called with their entries at one place, to a row function.
func volume(n int, f func(x [maxOperands]float64) multiJet) rowFunc {
	return func(r *row) float64 {
		for i := range r.x[0] {
			var x [maxOperands]float64
			for k := range n {
				x[k] = r.x[k][i]
			}
			j := f(x)
			if r.out != nil {
				r.out[i] = j.l
			}
			for k := range n {
				if r.grad[k] != nil {
					r.grad[k][i] = j.d[k]
				}
				if r.hess[k] == nil {
					continue
				}
				sum := 0.0
				for m := range n {
					if r.dir[m] != nil {
						sum += times(r.dir[m][i], j.h[k][m])
					}
				}
				r.hess[k][i] = sum
			}
		}
		return 0
	}
}
