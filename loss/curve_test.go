package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
)

// A probe is a loss with settings, and the points at which its formula is looked at, away from
// corners.
type probe struct {
	def    *core.Definition
	opts   []Option
	points [][]float64 // one number per operand; for losses of vectors, the operands' entries one after another
	length int         // of the vectors, 0 for elementwise losses
}

// settings are those of the probe.
func (c probe) settings(t *testing.T) core.Settings {
	t.Helper()
	set, err := core.Configure(c.def, c.opts)
	if err != nil {
		t.Fatal(err)
	}
	if c.def.Check != nil {
		if err := c.def.Check(&set); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// text names the loss and its parameters.
func (c probe) text(t *testing.T) string {
	s := c.settings(t)
	return fmt.Sprintf("%s%v of δ=%v β=%v α=%v ε=%v margin=%v scale=%v power=%v quantile=%v τ=%v", c.def.Name, s.Given.Names(),
		s.Delta, s.Beta, s.Alpha, s.Epsilon, s.Margin, s.Scale, s.Power, s.Quantile, s.Tau)
}

// fn makes the formula.
func (c probe) fn(t *testing.T) core.RowFunc {
	t.Helper()
	set := c.settings(t)
	return formulaOf(c.def, &set, max(1, c.length))
}

// operands is the number of operands, those of options that are given included.
func (c probe) operands() (n int) {
	set, _ := core.Configure(c.def, c.opts)
	for _, o := range c.def.Operands {
		if o.Option.None() || set.Has(o.Option) {
			n++
		}
	}
	return n
}

// at returns a row with a point's operands.
func (c probe) at(x []float64) *core.Block {
	n := max(1, c.length)
	r := &core.Block{Rows: 1}
	for k := range c.operands() {
		r.X[k] = x[k*n : (k+1)*n]
	}
	return r
}

// value, grad and hess evaluate the formula; grad and hess are over all operands, hess along v.
func (c probe) value(fn core.RowFunc, x []float64) float64 {
	r := c.at(x)
	if c.length > 0 {
		return fn(r)
	}
	r.Out = []float64{math.NaN()}
	fn(r)
	return r.Out[0]
}

func (c probe) grad(fn core.RowFunc, x []float64) []float64 {
	var out []float64
	for k := range c.operands() {
		r := c.at(x)
		r.Grad[k] = make([]float64, len(r.X[k]))
		formula.Fill(r.Grad[k], math.NaN())
		fn(r)
		out = append(out, r.Grad[k]...)
	}
	return out
}

func (c probe) hess(fn core.RowFunc, x, v []float64) []float64 {
	out := make([]float64, len(x))
	n := max(1, c.length)
	for k := range c.operands() {
		for j := range c.operands() {
			r := c.at(x)
			r.Dir[j] = v[j*n : (j+1)*n]
			r.Hess[k] = make([]float64, n)
			formula.Fill(r.Hess[k], math.NaN())
			fn(r)
			formula.AddTo(out[k*n:(k+1)*n], r.Hess[k])
		}
	}
	return out
}

// slope is the derivative of f at 0 by central differences at three steps, extrapolated to order 6.
func slope(f func(h float64) float64) float64 {
	const h = 0x1p-11
	d := func(h float64) float64 { return (f(h) - f(-h)) / (2 * h) }
	a, b, c := d(4*h), d(2*h), d(h)
	a, b = b+(b-a)/3, c+(c-b)/3
	return b + (b-a)/15
}

// The first derivatives are those of the value, the second those of the first, in every operand;
// and a formula gives the same when it is asked for everything at once.
func TestRegressionDerivatives(t *testing.T) {
	const seed = 5
	for _, c := range regressionProbes() {
		t.Run(c.def.Name, func(t *testing.T) {
			fn := c.fn(t)
			defer func() {
				if t.Failed() {
					t.Log(c.text(t))
				}
			}()
			rng := rand.New(rand.NewPCG(seed, 0))
			for _, x := range c.points {
				v := make([]float64, len(x))
				for i := range v {
					// Steps in proportion to the operand keep a scale away from 0 and a curve away
					// from its corners.
					v[i] = rng.NormFloat64() * min(1, math.Abs(x[i]))
				}
				moved := func(h float64) []float64 {
					y := make([]float64, len(x))
					for i := range y {
						y[i] = x[i] + h*v[i]
					}
					return y
				}
				g, hv := c.grad(fn, x), c.hess(fn, x, v)
				want := slope(func(h float64) float64 { return c.value(fn, moved(h)) })
				// 1e-9 of the size of the terms: what rounding leaves of a difference over a step
				// of 1/2048, and more.
				if got := core.Dot(g, v); !(math.Abs(got-want) <= 1e-9*(1+math.Abs(c.value(fn, x))+norm(g)*norm(v))) {
					t.Errorf("at %v along %v: derivative %v, difference quotient %v (seed %d)", x, v, got, want, seed)
				}
				for i := range x {
					want := slope(func(h float64) float64 { return c.grad(fn, moved(h))[i] })
					if !(math.Abs(hv[i]-want) <= 1e-9*(1+norm(g)+norm(hv))) {
						t.Errorf("at %v along %v: second derivative %d is %v, difference quotient %v (seed %d)", x, v,
							i, hv[i], want, seed)
					}
				}
				c.checkTogether(t, fn, x)
			}
		})
	}
}

func norm(x []float64) float64 { return math.Sqrt(core.Dot(x, x)) }

// checkTogether holds value and first derivative against those of a block that requests both.
func (c probe) checkTogether(t *testing.T, fn core.RowFunc, x []float64) {
	t.Helper()
	r := c.at(x)
	g := c.grad(fn, x)
	if c.length == 0 {
		r.Out = make([]float64, 1)
	}
	n := len(r.X[0])
	for k := range c.operands() {
		r.Grad[k] = make([]float64, n)
	}
	l := fn(r)
	if r.Out != nil {
		l = r.Out[0]
	}
	if want := c.value(fn, x); l != want {
		t.Errorf("at %v: value %v beside derivatives, %v alone", x, l, want)
	}
	for k := range c.operands() {
		for i, v := range r.Grad[k] {
			if v != g[k*n+i] {
				t.Errorf("at %v: derivative %d of operand %d is %v beside the value, %v alone", x, i, k, v, g[k*n+i])
			}
		}
	}
}

// pairs are predictions and targets of both signs whose differences reach from 0.04 to 40, and stay
// away from 1, 0.1 and 4.685.
var pairs = [][]float64{
	{0.3, 0.34}, {1.2, 0.9}, {-0.7, -1.2}, {0.4, -0.25}, {2.5, 0.25}, {-1.5, 1.5}, {-9, -2.5}, {7, 1}, {30, -10}, {-3, 37},
}

// countRows are log-means and counts.
var countRows = [][]float64{{0, 0.5}, {0.3, 1.7}, {-1.2, 3}, {2.4, 25}, {1, 0.02}, {-5, 2}, {5, 130}, {3, 14.5}}

// dispersedRows are log-means, counts and dispersions, below and above each change of formula.
var dispersedRows = [][]float64{{0, 0.5, 1}, {0.3, 1.7, 0.2}, {-1.2, 3, 0.05}, {2.4, 25, 0.07}, {1, 0.02, 3}, {-5, 2, 40}, {5, 130, 1e-3}, {3, 14.5, 0.6}, {2.5, 12, 1e-6}, {4, 3, 2}}

// widths are means, targets and scales.
var widths = [][]float64{{0.3, 0.8, 0.5}, {-1, 1, 2}, {4, 1.5, 0.9}, {-0.2, -0.35, 3}, {2, -3, 0.7}, {10, 9, 40}, {1, 1.4, 0.1}}

func regressionProbes() []probe {
	var out []probe
	add := func(points [][]float64, def *core.Definition, variants ...[]Option) {
		for _, opts := range append(variants, nil) {
			out = append(out, probe{def: def, opts: opts, points: points})
		}
	}
	one := func(f func(float64) Option, values ...float64) (variants [][]Option) {
		for _, v := range values {
			variants = append(variants, []Option{f(v)})
		}
		return variants
	}
	for _, def := range []*core.Definition{&mse, &halfSquared, &mae, &logCosh, &smape, &msle} {
		add(pairs, def)
	}
	add(pairs, &huber, one(WithDelta, 0.2, 5)...)
	add(pairs, &smoothL1, one(WithBeta, 0, 0.2, 5)...)
	add(pairs, &pseudoHuber, one(WithDelta, 0.2, 5)...)
	add(pairs, &charbonnier, one(WithEpsilon, 0.2, 5)...)
	add(pairs, &quantile, one(WithQuantile, 0.1, 0.9)...)
	add(pairs, &expectile, one(WithTau, 0.1, 0.9)...)
	add(pairs, &epsilonInsensitive, one(WithEpsilon, 0, 2)...)
	add(pairs, &mape, one(WithEpsilon, 0.5)...)
	for _, def := range []*core.Definition{&cauchy, &gemanMcClure, &welsch, &tukey} {
		add(pairs, def, one(WithScale, 0.25, 2)...)
	}
	add(pairs, &wing, []Option{WithMargin(5), WithEpsilon(2)}, []Option{WithMargin(0.2)})
	for _, alpha := range []float64{-1e6, -30, -2, -0.5, -1e-9, 0, 1e-9, 0.5, 1.5, 2 - 1e-9, 2, 2 + 1e-9, 2.5} {
		add(pairs, &barron, []Option{WithAlpha(alpha)}, []Option{WithAlpha(alpha), WithScale(2)})
	}
	add(countRows, &poissonNLL, []Option{WithFull()})
	add(countRows, &gamma)
	add(countRows, &tweedie, one(WithPower, 1, 1.001, 1.2, 1.9, 1.999, 2)...)
	for _, alpha := range []float64{1e-6, 0.05, 0.3, 2, 40} {
		add(countRows, &negativeBinomial, []Option{WithAlpha(alpha)}, []Option{WithAlpha(alpha), WithFull()})
	}
	dispersion := func(s *core.Settings) error { return s.Give(core.OptDispersion) }
	for _, opts := range [][]Option{{dispersion}, {dispersion, WithFull()}} {
		out = append(out, probe{def: &negativeBinomial, opts: opts, points: dispersedRows})
	}
	add(widths, &gaussianNLL, []Option{WithFull()})
	add(widths, &laplaceNLL)
	add(widths, &studentTNLL, one(WithAlpha, 0.3, 1, 30, 1e6)...)

	vectors := [][]float64{{1, 2, -0.5, 0.7, 0.3, -0.4, 1.1, 2}, {3, 1, 2, 2, 3.1, 1, 2, 2.1}, {1, 0.5, -3, 2, -1, -0.4, 3, -2.2}}
	return append(out, probe{def: &cosineDistance, points: vectors, length: 4})
}

// extremes are what an operand may hold at worst: zeros of both signs, the smallest and largest
// float32 and near them.
var extremes = []float64{0, math.Copysign(0, -1), 1e-45, -1e-38, 1e-7, 1, -1, 1e4, -1e4, 3e38, -3e38, math.MaxFloat32}

// No operand that is finite makes a value or a derivative NaN, whatever the settings.
func TestRegressionExtremes(t *testing.T) {
	for _, c := range regressionProbes() {
		fn := c.fn(t)
		set := c.settings(t)
		var domains []Domain
		for _, o := range c.def.Operands[:c.operands()] {
			domains = append(domains, o.Holds)
		}
		if c.def.Target != nil {
			domains[1] = c.def.Target(&set)
		}
		n := max(1, c.length)
		var visit func(x []float64)
		visit = func(x []float64) {
			if k := len(x) / n; k < len(domains) {
				for _, v := range extremes {
					if domains[k].Holds(v) {
						y := append(append([]float64(nil), x...), v)
						for i := range n - 1 { // the other entries of a vector
							y = append(y, v*[]float64{0, 1, -0.5}[i%3])
						}
						visit(y)
					}
				}
				return
			}
			if l := c.value(fn, x); l != l {
				t.Errorf("%s at %v is NaN", c.text(t), x)
			}
			for i, g := range c.grad(fn, x) {
				if g != g {
					t.Errorf("%s at %v: derivative %d is NaN", c.text(t), x, i)
				}
			}
			for k := range domains {
				v := make([]float64, len(x))
				v[k*n] = 1
				for i, h := range c.hess(fn, x, v) {
					if h != h {
						t.Errorf("%s at %v: second derivative %d,%d is NaN", c.text(t), x, i, k*n)
					}
				}
			}
		}
		visit(nil)
	}
}

// A NaN in one operand of one row makes that row NaN, value and first derivatives, and no other.
func TestRegressionNaN(t *testing.T) {
	for _, c := range regressionProbes() {
		fn := c.fn(t)
		n := max(1, c.length)
		for k := range c.operands() {
			if d := c.def.Operands[k].Holds; !d.Holds(math.NaN()) {
				continue
			}
			x := append([]float64(nil), c.points[1]...)
			x[k*n] = math.NaN()
			if l := c.value(fn, x); l == l {
				t.Errorf("%s at %v is %v, want NaN", c.text(t), x, l)
			}
			for i, g := range c.grad(fn, x) {
				if g == g {
					t.Errorf("%s at %v: derivative %d is %v, want NaN", c.text(t), x, i, g)
				}
			}
			if c.length > 0 {
				continue
			}
			r := &core.Block{Rows: 2, Out: make([]float64, 2)}
			for m := range c.operands() {
				r.X[m] = []float64{x[m], c.points[1][m]}
			}
			fn(r)
			if want := c.value(fn, c.points[1]); r.Out[1] != want {
				t.Errorf("%s beside a NaN is %v, want %v", c.def.Name, r.Out[1], want)
			}
		}
	}
}
