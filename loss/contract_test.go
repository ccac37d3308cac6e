package loss_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The contract that losses of any number of operands keep. Problems have rows along axis 0 and
// classes along axis 1, and their numbers depend on nothing but the loss and the shape.

const (
	// sums of a few dozen float64 terms in another order
	sumTolerance = 1e-12
	// float32 results are float64 results rounded once, or those of kernels, which are within 4
	// units in the last place of the larger of two terms; inputs are the same in both dtypes
	float32Tolerance = 8 * 0x1p-24
)

// A trial is one way to compute a problem.
type trial struct {
	dtype         tensor.Dtype // float64 where it is not given
	red           loss.Reduction
	weights, mask []float64
	dispersion    []float64    // nil: none
	maskType      tensor.Dtype // that of the problem where it is not given
	up            []float64    // the upstream of the value; nil for ones
	lay           layout
	set           []setting
	opts          []loss.Option
	lisp          bool
	runs          int // 1 where it is not given
}

// An answer is the value with the gradient by every floating operand; nil for integers.
type answer struct {
	value []float64
	grads [][]float64
}

// prepared is the graph of a trial before anything is differentiated.
func (p *problem) prepared(t *trial) (*construction, *G.Node, error) {
	if t.dtype == (tensor.Dtype{}) {
		t.dtype = tensor.Float64
	}
	if t.maskType == (tensor.Dtype{}) {
		t.maskType = t.dtype
	}
	if t.lay == "" {
		t.lay = contiguous
	}
	c := &goldenCase{of: p.of, dtype: t.dtype, labels: tensor.Int, red: t.red, set: t.set, lay: t.lay, axis: p.axis, shape: p.shape}
	b := c.operandsOf(p)
	if t.weights != nil {
		b.opts = append(b.opts, loss.WithWeights(b.leaf(t.dtype, "w", p.valueShape(), t.weights)))
	}
	if t.mask != nil {
		b.opts = append(b.opts, loss.WithMask(b.leaf(t.maskType, "m", p.valueShape(), t.mask)))
	}
	if t.dispersion != nil {
		b.opts = append(b.opts, loss.WithDispersion(b.leaf(t.dtype, "dispersion", p.valueShape(), t.dispersion)))
	}
	b.opts = append(b.opts, t.opts...)
	out, err := p.of.call(b.in, b.opts...)
	return b, out, err
}

// solve computes the trial.
func (p *problem) solve(tb testing.TB, t trial) *answer {
	tb.Helper()
	a, err := p.attempt(t)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// attempt computes the trial, which may fail.
func (p *problem) attempt(t trial) (*answer, error) {
	if !t.lisp {
		c, err := p.compile(t)
		if err != nil {
			return nil, err
		}
		defer c.machine.Close()
		var a *answer
		for range max(1, t.runs) {
			if a, err = c.run(); err != nil {
				return nil, err
			}
		}
		return a, nil
	}
	b, out, err := p.prepared(&t)
	if err != nil {
		return nil, err
	}
	values, err := onLispMachine(b.g, out, t.upstream(b, out), b.wrt())
	if err != nil {
		return nil, err
	}
	return b.answer(values), nil
}

func (t *trial) upstream(b *construction, out *G.Node) *G.Node {
	up := t.up
	if up == nil {
		up = slices.Repeat([]float64{1}, out.Shape().TotalSize())
	}
	return leafOf(b.g, t.dtype, "up", contiguous, out.Shape(), up)
}

// answer sorts the value and the gradients by the floating operands.
func (b *construction) answer(values []G.Value) *answer {
	a := &answer{value: floats(values[0])}
	next := 1
	for k := range b.in {
		a.grads = append(a.grads, nil)
		if !b.of.integer(k) {
			a.grads[k] = floats(values[next])
			next++
		}
	}
	return a
}

// A compiledTrial is a trial's graph on a machine, for any number of runs.
type compiledTrial struct {
	*construction
	machine G.VM
	values  []G.Value
}

func (p *problem) compile(t trial) (*compiledTrial, error) {
	b, out, err := p.prepared(&t)
	if err != nil {
		return nil, err
	}
	c := &compiledTrial{construction: b}
	c.machine, c.values, err = tapeMachine(b.g, out, t.upstream(b, out), b.wrt())
	return c, err
}

func (c *compiledTrial) run() (*answer, error) {
	defer c.machine.Reset()
	if err := c.machine.RunAll(); err != nil {
		return nil, err
	}
	return c.answer(c.values), nil
}

// tapeMachine returns a machine that writes the value and the gradients to values.
func tapeMachine(g *G.ExprGraph, out, upstream *G.Node, wrt G.Nodes) (m G.VM, values []G.Value, err error) {
	grads, err := loss.VJP(out, upstream, wrt...)
	if err != nil {
		return nil, nil, err
	}
	nodes := append(G.Nodes{out}, grads...)
	values = make([]G.Value, len(nodes))
	for i, n := range nodes {
		G.Read(n, &values[i])
	}
	return G.NewTapeMachine(g), values, nil
}

func onTapeMachine(g *G.ExprGraph, out, upstream *G.Node, wrt G.Nodes) ([]G.Value, error) {
	m, values, err := tapeMachine(g, out, upstream, wrt)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return values, m.RunAll()
}

func onLispMachine(g *G.ExprGraph, out, upstream *G.Node, wrt G.Nodes) ([]G.Value, error) {
	root, err := G.HadamardProd(out, upstream)
	if err != nil {
		return nil, err
	}
	if !root.IsScalar() {
		if _, err = G.Sum(root); err != nil {
			return nil, err
		}
	}
	m := G.NewLispMachine(g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return nil, err
	}
	values := []G.Value{out.Value()}
	for _, n := range wrt {
		v, err := n.Grad()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// keep returns the problem with the rows of the list, in its order.
func (p *problem) keep(rows []int) *problem {
	q := *p
	q.shape, q.x, q.y = []int{len(rows), p.shape[1]}, make([][]float64, len(p.x)), nil
	for k, x := range p.x {
		if x != nil {
			q.x[k] = keepRows(x, p.shape[0], rows)
		}
	}
	if p.y != nil {
		q.y = keepRows(p.y, p.shape[0], rows)
	}
	return &q
}

// keepRows picks rows out of n.
func keepRows[T any](x []T, n int, rows []int) []T {
	out := make([]T, 0, len(rows)*(len(x)/n))
	for _, i := range rows {
		out = append(out, x[i*len(x)/n:(i+1)*len(x)/n]...)
	}
	return out
}

// spread repeats a number for each row once for each of its values.
func (p *problem) spread(perRow ...float64) []float64 {
	if !p.of.elementwise {
		return perRow
	}
	var out []float64
	for _, v := range perRow {
		out = append(out, slices.Repeat([]float64{v}, p.shape[1])...)
	}
	return out
}

// near holds an answer to another, within tol of its numbers or of 1 where they are small; 0 asks
// for the same bits.
func (a *answer) near(t *testing.T, what string, want *answer, tol float64) {
	t.Helper()
	nearList(t, what+": value", a.value, want.value, tol)
	for k := range a.grads {
		nearList(t, fmt.Sprintf("%s: gradient by operand %d", what, k), a.grads[k], want.grads[k], tol)
	}
}

func nearList(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d entries, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g != w && !(g != g && w != w) && !(math.Abs(g-w) <= tol*max(1, math.Abs(w))) {
			t.Errorf("%s: entry %d is %v, want %v within %g", what, i, g, w, tol)
			return
		}
	}
}

// times returns the answer with value and gradients multiplied.
func (a *answer) times(f float64) *answer {
	out := &answer{value: scaled(a.value, f)}
	for _, g := range a.grads {
		out.grads = append(out.grads, scaled(g, f))
	}
	return out
}

// contract runs a subtest for every loss.
func contract(t *testing.T, rows, classes int, f func(t *testing.T, p *problem)) {
	for _, c := range lossContenders(t) {
		t.Run(c.title(), func(t *testing.T) { f(t, newProblem(&c, []int{rows, classes}, 1, loss.Real)) })
	}
}

// contractOfNodes is contract with the nodes that losses stand on; the reduction None is the only
// one that they have.
func contractOfNodes(t *testing.T, rows, classes int, f func(t *testing.T, p *problem, reductions []loss.Reduction)) {
	contract(t, rows, classes, func(t *testing.T, p *problem) { f(t, p, []loss.Reduction{loss.Mean, loss.Sum, loss.None}) })
	for _, c := range nodeContenders() {
		t.Run(c.title(), func(t *testing.T) {
			f(t, newProblem(&c, []int{rows, classes}, 1, loss.Real), []loss.Reduction{loss.None})
		})
	}
}

func TestContractReductions(t *testing.T) {
	contract(t, 7, 5, func(t *testing.T, p *problem) {
		none, sum, mean := p.solve(t, trial{red: loss.None}), p.solve(t, trial{red: loss.Sum}), p.solve(t, trial{red: loss.Mean})
		n := product(p.valueShape())
		if len(none.value) != n {
			t.Fatalf("None has %d values, want %d", len(none.value), n)
		}
		total := 0.0
		for _, v := range none.value {
			total += v
		}
		none.value = []float64{total}
		sum.near(t, "Sum against None", none, sumTolerance)
		mean.near(t, "Mean against Sum", sum.times(1/float64(n)), sumTolerance)
		half := p.solve(t, trial{opts: []loss.Option{loss.WithNormalizer(float64(n) / 2)}})
		half.near(t, "WithNormalizer(n/2) against Mean", mean.times(2), sumTolerance)
	})
}

// What is masked, has weight 0 or an ignored label is never read: NaN, infinities and labels out of
// range in it change nothing.
func TestContractMaskingIsDeleting(t *testing.T) {
	contract(t, 6, 4, func(t *testing.T, p *problem) {
		kept, out := []int{0, 2, 5}, []int{1, 3, 4}
		want := p.keep(kept).solve(t, trial{})
		spoilt := p.keep([]int{0, 1, 2, 3, 4, 5})
		for _, x := range spoilt.x {
			for j := range p.shape[1] {
				if x != nil {
					x[1*p.shape[1]+j], x[3*p.shape[1]+j], x[4*p.shape[1]+j] = math.NaN(), math.Inf(1), -3e38
				}
			}
		}
		factors := p.spread(1, 0, 1, 0, 0, 1)
		ways := map[string]trial{"weights": {weights: factors}, "both": {weights: factors, mask: factors}}
		for _, dt := range []tensor.Dtype{tensor.Bool, tensor.Uint8, tensor.Float64} {
			ways["mask "+dt.Name()] = trial{mask: factors, maskType: dt}
		}
		check := func(how string, q *problem, way trial) {
			got := q.solve(t, way)
			for k, g := range got.grads {
				if g != nil {
					what := fmt.Sprintf("%s: gradient by operand %d of rows left out", how, k)
					nearList(t, what, keepRows(g, 6, out), make([]float64, 3*p.shape[1]), 0)
					got.grads[k] = keepRows(g, 6, kept)
				}
			}
			got.near(t, how, want, sumTolerance)
		}
		for how, way := range ways {
			if spoilt.y != nil {
				for i := range spoilt.y {
					if row := i * 6 / len(spoilt.y); slices.Contains(out, row) {
						spoilt.y[i] = 1 << 30
					}
				}
			}
			check(how, spoilt, way)
		}
		if p.of.labelled() {
			spoilt.y[1], spoilt.y[3], spoilt.y[4] = -100, -100, -100
			check("ignored", spoilt, trial{})
		}
	})
}

func TestContractWeightTwoIsTheRowTwice(t *testing.T) {
	contract(t, 4, 3, func(t *testing.T, p *problem) {
		got := p.solve(t, trial{weights: p.spread(1, 1, 2, 1)})
		want := p.keep([]int{0, 1, 2, 2, 3}).solve(t, trial{})
		for k, g := range want.grads {
			if g != nil {
				want.grads[k] = slices.Concat(g[:6], scaled(g[6:9], 2), g[12:])
			}
		}
		got.near(t, "weight 2", want, sumTolerance)
	})
}

func TestContractPermutation(t *testing.T) {
	contractOfNodes(t, 5, 3, func(t *testing.T, p *problem, _ []loss.Reduction) {
		order := []int{3, 0, 4, 2, 1}
		want := p.solve(t, trial{red: loss.None})
		want.value = keepRows(want.value, 5, order)
		for k, g := range want.grads {
			if g != nil {
				want.grads[k] = keepRows(g, 5, order)
			}
		}
		p.keep(order).solve(t, trial{red: loss.None}).near(t, "permuted", want, 0)
	})
}

// An upstream under None multiplies the gradient of each value, as a weight under Sum does.
func TestContractUpstream(t *testing.T) {
	contract(t, 5, 4, func(t *testing.T, p *problem) {
		up := p.uniform(product(p.valueShape()), -1, 2)
		none := p.solve(t, trial{red: loss.None, up: up})
		weighted := p.solve(t, trial{red: loss.Sum, weights: up})
		total := 0.0
		for i, v := range none.value {
			total += v * up[i]
		}
		none.value = []float64{total}
		weighted.near(t, "weights under Sum", none, sumTolerance)
		twice := p.solve(t, trial{up: []float64{-2.5}})
		mean := p.solve(t, trial{})
		for k := range mean.grads {
			mean.grads[k] = scaled(mean.grads[k], -2.5)
		}
		twice.near(t, "upstream of Mean", mean, sumTolerance)
	})
}

// In both dtypes the numbers of the operands are the same, so the results differ by their rounding.
func TestContractFloat32(t *testing.T) {
	for _, classes := range []int{6, 260} {
		contractOfNodes(t, 5, classes, func(t *testing.T, p *problem, reductions []loss.Reduction) {
			for _, red := range reductions {
				wide, narrow := p.solve(t, trial{red: red}), p.solve(t, trial{red: red, dtype: tensor.Float32})
				narrow.near(t, fmt.Sprint(classes, " classes, ", red), wide, float32Tolerance)
			}
		})
	}
}

func TestContractMachines(t *testing.T) {
	contractOfNodes(t, 4, 3, func(t *testing.T, p *problem, reductions []loss.Reduction) {
		if p.of.name == "ZTerm" {
			return // the graph has the cost too, and a LispMachine takes but one root, which must be a scalar
		}
		up := p.uniform(product(p.valueShape()), -1, 2)
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, red := range reductions {
				way := trial{red: red, dtype: dt}
				if !p.of.node {
					way.weights = p.uniform(product(p.valueShape()), 0.5, 1.5)
				}
				if red == loss.None {
					way.up = up
				}
				tape := p.solve(t, way)
				way.lisp = true
				p.solve(t, way).near(t, fmt.Sprint(dt, red), tape, 0)
			}
		}
	})
}

// Layouts, kept memory and the number of cores change no bit.
func TestContractSameBits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for layouts, shape := range map[int][2]int{1: {120, 130}, 3: {6, 5}} {
		contractOfNodes(t, shape[0], shape[1], func(t *testing.T, p *problem, reductions []loss.Reduction) {
			red := reductions[0]
			for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
				runtime.GOMAXPROCS(1)
				want := p.solve(t, trial{dtype: dt, red: red})
				for _, lay := range []layout{transposed, cutOut, fortran}[:layouts] {
					p.solve(t, trial{dtype: dt, red: red, lay: lay}).near(t, fmt.Sprint(dt, lay), want, 0)
				}
				runtime.GOMAXPROCS(3)
				p.solve(t, trial{dtype: dt, red: red}).near(t, fmt.Sprint(dt, " on three cores"), want, 0)
				reused := trial{dtype: dt, red: red, opts: []loss.Option{loss.WithBufferReuse()}, runs: 2}
				p.solve(t, reused).near(t, fmt.Sprint(dt, " in kept memory"), want, 0)
			}
		})
	}
}

// The classes may lie along any axis: value and gradient are those of the rows with the classes
// last.
func TestContractAxes(t *testing.T) {
	for _, c := range lossContenders(t) {
		if !c.has("WithAxis") || c.elementwise {
			continue
		}
		t.Run(c.title(), func(t *testing.T) {
			for _, shape := range [][]int{{4, 3, 2}, {5, 131, 2}} {
				p := newProblem(&c, shape, 1, loss.Real)
				last := newProblem(&c, []int{p.rows(), p.classes()}, 1, loss.Real)
				for k, x := range p.x {
					for i := range x {
						row, j := i/p.classes(), i%p.classes()
						last.x[k][i] = x[p.at(row, j)]
					}
				}
				copy(last.y, p.y)
				if len(p.y) == p.size() {
					for i := range p.y {
						last.y[i] = p.y[p.at(i/p.classes(), i%p.classes())]
					}
				}
				for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
					want, got := last.solve(t, trial{dtype: dt}), p.solve(t, trial{dtype: dt})
					for k, g := range got.grads {
						moved := slices.Clone(g)
						for i := range g {
							moved[i] = g[p.at(i/p.classes(), i%p.classes())]
						}
						got.grads[k] = moved
					}
					// Kernels of the last axis compute in the operands' own dtype.
					tol := sumTolerance
					if dt == tensor.Float32 {
						tol = float32Tolerance
					}
					got.near(t, fmt.Sprint(dt, shape), want, tol)
				}
			}
		})
	}
}

// The second derivative by operands k and j equals the difference of the gradient by j along a
// direction in k. It is computed as the derivative by j of a product with the gradient by k, so this
// also shows that it is symmetric.
func TestContractSecondOrder(t *testing.T) {
	contractOfNodes(t, 4, 3, func(t *testing.T, p *problem, reductions []loss.Reduction) {
		for _, names := range [][]string{nil, {"classweights"}, {"smoothing0.17", "temperature1.7", "softcap3", "zloss0.17"}, {"full"}} {
			set := named(p.of, names...)
			if len(set) == 0 && names != nil {
				continue
			}
			for _, red := range reductions {
				up := p.uniform(1, 0.5, 2)
				if red == loss.None {
					up = p.uniform(product(p.valueShape()), 0.5, 2)
				}
				for k, x := range p.x {
					// a sign that is moved is none any more
					if x != nil && p.of.operands[k] != loss.Signs && p.of.operands[k] != loss.SignFlags && (red != loss.Sum || set == nil) {
						p.checkSecond(t, trial{red: red, set: set, up: up}, k)
					}
				}
			}
		}
	})
}

func (p *problem) checkSecond(t *testing.T, way trial, k int) {
	t.Helper()
	// Directions are relative, so that no operand leaves its domain.
	v := p.uniform(p.size(), -1, 1)
	for i := range v {
		v[i] *= min(1, math.Abs(p.x[k][i]))
	}
	way.opts = []loss.Option{loss.WithClassWeights([]float64{0.75, 1.25, 2})}
	if !p.of.has("WithClassWeights") || len(way.set) == 0 || way.set[0].name != "classweights" {
		way.opts = nil
	}
	b, out, err := p.prepared(&way)
	if err != nil {
		t.Fatal(err)
	}
	grads, err := loss.VJP(out, leafOf(b.g, way.dtype, "up", contiguous, out.Shape(), way.up), b.wrt()...)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(b.wrt(), b.in[k])
	second, err := loss.VJP(grads[at], leafOf(b.g, way.dtype, "v", contiguous, p.shape, v), b.wrt()...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := runTape(b.g, second...)
	if err != nil {
		t.Fatal(err)
	}
	// With a step of 1e-4 the error of the four-point formula and the rounding of the difference
	// are both near 1e-11.
	const step, tolerance = 1e-4, 1e-8
	moved := func(by float64) [][]float64 {
		q := *p
		q.x = slices.Clone(p.x)
		q.x[k] = slices.Clone(p.x[k])
		for i := range v {
			q.x[k][i] += by * v[i]
		}
		return q.solve(t, way).grads
	}
	a1, b1, a2, b2 := moved(step), moved(-step), moved(2*step), moved(-2*step)
	next := 0
	for j := range p.x {
		if p.x[j] == nil {
			continue
		}
		want := make([]float64, p.size())
		for i := range want {
			want[i] = (8*(a1[j][i]-b1[j][i]) - (a2[j][i] - b2[j][i])) / (12 * step)
		}
		what := fmt.Sprintf("%v%v: second derivative by operands %d and %d", way.red, settingNames(way.set), k, j)
		nearList(t, what, got[next], want, tolerance)
		next++
	}
}

func settingNames(set []setting) (out []string) {
	for _, s := range set {
		out = append(out, s.name)
	}
	return out
}
