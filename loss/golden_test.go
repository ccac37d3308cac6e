package loss_test

import (
	"encoding/gob"
	"errors"
	stdflag "flag"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The golden dump holds a rewrite of this package to what it computed before: every loss and node
// with its options one by one and in pairs, under all reductions, in both dtypes and all layouts,
// with first and second derivatives, on ordinary and hostile rows, and the errors of wrong calls.
// Only the public interface is used, so the files golden*_test.go compile against any commit. To
// compare two of them:
//
//	git worktree add /tmp/old OLD
//	cp loss/golden*_test.go /tmp/old/loss/
//	(cd /tmp/old && go test ./loss -run TestGolden -golden.write /tmp/old.golden)
//	go test ./loss -run TestGolden -golden.compare /tmp/old.golden
//
// Both on one machine: kernels may differ from processor to processor. The comparison fails where
// results differ by more than the bounds, where an error says less than before, and where a case is
// gone. A test without these flags runs a part of the cases twice.
var (
	goldenWrite   = stdflag.String("golden.write", "", "write the results of all golden cases to this file")
	goldenCompare = stdflag.String("golden.compare", "", "compare the results of all golden cases with this file")
	goldenUlp64   = stdflag.Float64("golden.ulp64", 0,
		"largest difference of float64 results, in ulp of the array's largest entry")
	goldenUlp32  = stdflag.Float64("golden.ulp32", 8, "the same of float32 results")
	goldenExcept = stdflag.String("golden.except", "^$",
		"cases whose names match may differ; they are listed all the same")
	goldenOnly = stdflag.String("golden.only", "", "compare only the cases whose names match")
)

// goldenCases lists all cases, none twice.
func goldenCases(tb testing.TB) (out []*goldenCase) {
	dtypes := []tensor.Dtype{tensor.Float32, tensor.Float64}
	all := append(lossContenders(tb), nodeContenders()...)
	seen := make(map[string]bool)
	add := func(c goldenCase) {
		if c.labels == (tensor.Dtype{}) {
			c.labels = tensor.Int
		}
		if c.lay == "" {
			c.lay = contiguous
		}
		if c.of.node && c.red != loss.None {
			return
		}
		name := c.name()
		if seen[name] { // two lists of settings may be the same for a loss that takes few
			return
		}
		seen[name] = true
		out = append(out, &c)
	}
	for i := range all {
		c := &all[i]
		for _, dt := range dtypes {
			for _, set := range settingsOf(c) {
				for _, red := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
					add(goldenCase{of: c, shape: []int{6, 5}, axis: 1, dtype: dt, red: red, set: set, second: 9})
				}
				for _, red := range []loss.Reduction{loss.Mean, loss.None} {
					add(goldenCase{of: c, shape: []int{9, 130}, axis: 1, dtype: dt, red: red, set: set, second: 1})
				}
				add(goldenCase{of: c, shape: []int{9, 130}, axis: 1, dtype: dt, red: loss.Mean, set: set, reuse: true})
			}
			unchecked := func(b *construction) { b.opts = append(b.opts, loss.WithUncheckedValues()) }
			for _, shape := range [][]int{{6, 5}, {9, 130}} {
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, wrongly: "unchecked", change: unchecked})
				// an upstream that is not 1, beside kept memory
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.Sum, reuse: true})
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.None, reuse: true})
			}
			addLayouts(c, dt, add)
			addSizes(c, dt, add)
			addHostile(c, dt, add)
		}
		for _, m := range mistakesOf(c) {
			add(goldenCase{of: c, shape: []int{6, 5}, axis: 1, dtype: tensor.Float64, red: loss.None, wrongly: m.name, change: m.change})
		}
	}
	return out
}

// named returns the settings of those names that the contender takes.
func named(c *contender, names ...string) (out []setting) {
	for _, name := range names {
		if s := settingNamed(name); c.has(s.option) && (s.option != "WithIgnoreIndex" || c.labelled()) {
			out = append(out, s)
		}
	}
	return out
}

// addLayouts adds every axis of every rank in every layout.
func addLayouts(c *contender, dt tensor.Dtype, add func(goldenCase)) {
	for _, shape := range [][]int{{7}, {4, 6}, {3, 4, 5}} {
		for axis := range shape {
			if !c.has("WithAxis") && axis != len(shape)-1 {
				continue
			}
			for _, lay := range []layout{contiguous, transposed, cutOut, fortran} {
				for _, set := range [][]setting{nil, named(c, "weights", "mask-uint8", "posweight", "smoothing0.17", "classweights")} {
					add(goldenCase{of: c, shape: shape, axis: axis, dtype: dt, red: loss.Mean, set: set, lay: lay})
					add(goldenCase{of: c, shape: shape, axis: axis, dtype: dt, red: loss.None, set: set, lay: lay, second: 1})
				}
			}
		}
	}
	if c.has("WithAxis") {
		// classes enough for kernels, beside rows that are not
		for _, lay := range []layout{contiguous, transposed, cutOut} {
			for axis, shape := range [][]int{{140, 6}, {3, 140, 5}, {2, 3, 140}} {
				add(goldenCase{of: c, shape: shape, axis: axis, dtype: dt, red: loss.Mean, lay: lay})
				add(goldenCase{of: c, shape: shape, axis: axis, dtype: dt, red: loss.None, lay: lay, set: named(c, "weights")})
			}
		}
	}
}

// addSizes adds numbers of classes and elements around the borders of blocks.
func addSizes(c *contender, dt tensor.Dtype, add func(goldenCase)) {
	shapes := [][]int{{1, 1}, {1, 2}, {1, 3}, {1, 21}, {1, 130}, {7, 1}, {7, 2}, {7, 3}, {7, 21},
		{1025, 3}, {2500, 2}, {300, 21}, {40, 130}, {3, 1025}}
	if c.elementwise {
		shapes = [][]int{{1}, {5}, {1000}, {1025}, {5000}, {1, 130}, {1025, 3}}
		add(goldenCase{of: c, axis: -1, dtype: dt, red: loss.Mean, second: 9})
	}
	for _, shape := range shapes {
		for _, set := range [][]setting{nil, named(c, "weights", "smoothing0.17")} {
			small := product(shape) <= 210
			for _, red := range []loss.Reduction{loss.Mean, loss.None} {
				k := goldenCase{of: c, shape: shape, axis: len(shape) - 1, dtype: dt, red: red, set: set}
				if small {
					k.second = 1
				}
				add(k)
				if red == loss.Mean && !small {
					k.reuse = true
					add(k)
				}
			}
		}
	}
	for _, integer := range []tensor.Dtype{tensor.Int64, tensor.Int32, tensor.Uint8} {
		for k := range c.operands {
			if !c.integer(k) || c.operands[k] == loss.ClassLists && integer == tensor.Uint8 { // a list ends with -1
				continue
			}
			for _, shape := range [][]int{{6, 5}, {9, 130}} {
				for _, set := range [][]setting{nil, named(c, "ignore", "weights")} {
					add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.Mean, set: set, labels: integer})
				}
			}
		}
	}
}

// addHostile adds rows that are infinite, NaN or huge, and labels to be ignored or refused.
func addHostile(c *contender, dt tensor.Dtype, add func(goldenCase)) {
	inf, nan := math.Inf(1), math.NaN()
	alternate := func(a, b float64) func(j int) float64 {
		return func(j int) float64 {
			if j%2 == 0 {
				return a
			}
			return b
		}
	}
	first := func(a float64) func(j int) float64 {
		return func(j int) float64 { return map[bool]float64{true: a, false: 0.25}[j == 0] }
	}
	rows := []hostility{
		{"-Inf", 0, false, first(-inf)}, {"all-Inf", 0, false, alternate(-inf, -inf)},
		{"half-Inf", 0, false, alternate(1, -inf)},
		{"+Inf", 0, false, first(inf)}, {"NaN", 0, false, first(nan)}, {"allNaN", 0, false, alternate(nan, nan)},
		{"-3", 0, false, first(-3)}, {"3e38", 0, true, alternate(3e38, -3e38)}, {"1e4", 0, true, alternate(1e4, -1e4)},
		{"1e-40", 0, true, alternate(1e-40, 0)}, {"equal", 0, true, alternate(2, 2)},
		{"targetNaN", 1, false, first(nan)}, {"target0", 1, true, alternate(0, 1)},
		{"target3e38", 1, true, alternate(3e38, 0)},
	}
	for _, shape := range [][]int{{7, 5}, {7, 130}} {
		for k := range rows {
			h := &rows[k]
			if h.operand >= len(c.operands) || c.integer(h.operand) {
				continue
			}
			for _, red := range []loss.Reduction{loss.Mean, loss.None} {
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: red, rows: h, second: 1})
			}
			for _, name := range []string{"zeroweights", "mask-bool", "mask-uint8", "mask-float64"} {
				if set := named(c, name); set != nil && !h.all {
					add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.Mean, rows: h, set: set})
					add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.None, rows: h, set: set, second: 1})
				}
			}
			if set := named(c, "smoothing0.17"); set != nil {
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.Mean, rows: h, set: set})
			}
			if c.labelled() && !h.all {
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.Mean, rows: h, spoil: "ignored"})
			}
		}
		if !c.labelled() {
			continue
		}
		for _, spoil := range []string{"ignored", "above", "below"} {
			for _, set := range [][]setting{nil, named(c, "zeroweights"), named(c, "ignore"), named(c, "classweights", "smoothing0.17")} {
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.Mean, spoil: spoil, set: set})
				add(goldenCase{of: c, shape: shape, axis: 1, dtype: dt, red: loss.None, spoil: spoil, set: set})
			}
		}
	}
}

// A goldenResult is what a case gives: arrays with labels, or an error.
type goldenResult struct {
	Name   string
	Err    string
	Labels []string
	F32    [][]float32
	F64    [][]float64
}

// run computes the case on a TapeMachine, twice where memory is kept.
func (c *goldenCase) run() (r *goldenResult) {
	r = &goldenResult{Name: c.name()}
	defer func() {
		if p := recover(); p != nil {
			*r = goldenResult{Name: r.Name, Err: fmt.Sprint("panic: ", p)}
		}
	}()
	if err := c.compute(r); err != nil {
		*r = goldenResult{Name: r.Name, Err: errorText(err)}
	}
	return r
}

// errorText is the kind of an error and its message.
func errorText(err error) string {
	err = loss.Cause(err)
	for _, kind := range []error{loss.ErrShape, loss.ErrDType, loss.ErrOption, loss.ErrValue} {
		if errors.Is(err, kind) {
			return fmt.Sprintf("[%v] %v", kind, err)
		}
	}
	return err.Error()
}

func (c *goldenCase) compute(r *goldenResult) error {
	b, out, err := c.build()
	if err != nil {
		return err
	}
	wrt := b.wrt()
	nodes := G.Nodes{out}
	r.Labels = []string{"value"}
	add := func(prefix string, list G.Nodes) {
		for k, n := range list {
			r.Labels, nodes = append(r.Labels, fmt.Sprint(prefix, k)), append(nodes, n)
		}
	}
	var grads G.Nodes
	seconds := wrt
	if out.IsScalar() && c.red == loss.Mean {
		grads, err = loss.Gradients(out, wrt...)
	} else {
		up := leafOf(b.g, c.dtype, "upstream", contiguous, out.Shape(), b.uniform(out.Shape().TotalSize(), -1, 1.5))
		seconds = append(slices.Clone(wrt), up)
		grads, err = loss.VJP(out, up, wrt...)
	}
	if err != nil {
		return err
	}
	add("grad", grads)
	for k, g := range grads {
		if k >= c.second {
			break
		}
		v := leafOf(b.g, c.dtype, fmt.Sprint("v", k), contiguous, g.Shape(), b.uniform(g.Shape().TotalSize(), -1, 1))
		h, err := loss.VJP(g, v, seconds...)
		if err != nil {
			return err
		}
		add(fmt.Sprintf("second%d,", k), h)
	}
	values := make([]G.Value, len(nodes))
	for i, n := range nodes {
		G.Read(n, &values[i])
	}
	m := G.NewTapeMachine(b.g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return err
	}
	if c.reuse {
		m.Reset()
		if err := m.RunAll(); err != nil {
			return err
		}
	}
	for i, v := range values {
		switch d := v.Data().(type) {
		case float32:
			r.F32 = append(r.F32, []float32{d})
		case float64:
			r.F64 = append(r.F64, []float64{d})
		case []float32:
			r.F32 = append(r.F32, d)
		case []float64:
			r.F64 = append(r.F64, d)
		default:
			return fmt.Errorf("%s is a %T", r.Labels[i], d)
		}
	}
	return nil
}

// writeGolden encodes the results of cases.
func writeGolden(w io.Writer, cases []*goldenCase) error {
	e := gob.NewEncoder(w)
	for _, c := range cases {
		if err := e.Encode(c.run()); err != nil {
			return err
		}
	}
	return nil
}

// readGolden decodes results by name.
func readGolden(r io.Reader) (map[string]*goldenResult, error) {
	out := make(map[string]*goldenResult)
	for d := gob.NewDecoder(r); ; {
		var one goldenResult
		if err := d.Decode(&one); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out[one.Name] = &one
	}
}
