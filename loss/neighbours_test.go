package loss_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/surprisal-go/surprisal/loss"
)

// hostileNumbers are what a neighbour may hold: none is a reason to compute others differently.
func hostileNumbers(dt tensor.Dtype) map[string]float64 {
	if dt == tensor.Float32 {
		return map[string]float64{"NaN": math.NaN(), "-Inf": math.Inf(-1), "0": 0, "3e38": 3e38}
	}
	return map[string]float64{"NaN": math.NaN(), "Inf": math.Inf(1), "5e-324": 5e-324, "-3e38": -3e38, "1e300": 1e300}
}

// neighbourShapes reach each way to compute: few elements, ranges with whole and cut vectors, rows
// of many classes, and two ranges.
var neighbourShapes = [][2]int{{7, 31}, {3, 400}, {126, 140}}

// sameRows compares the results of some of the rows.
func (p *problem) sameRows(got, want *answer, rows []int) error {
	if got.value != nil {
		if err := identicalRows(got.value, want.value, p.shape[0], rows); err != nil {
			return fmt.Errorf("value: %w", err)
		}
	}
	for k, g := range got.grads {
		if err := identicalRows(g, want.grads[k], p.shape[0], rows); err != nil {
			return fmt.Errorf("gradient by operand %d: %w", k, err)
		}
	}
	return nil
}

// identicalRows compares some rows of n to the bit.
func identicalRows(got, want []float64, n int, rows []int) error {
	each := len(want) / n
	for _, r := range rows {
		for i := r * each; i < (r+1)*each; i++ {
			if g, w := got[i], want[i]; math.Float64bits(g) != math.Float64bits(w) && !(g != g && w != w) {
				return fmt.Errorf("entry %d is %v (%x), want %v (%x)", i, g, g, w, w)
			}
		}
	}
	return nil
}

// The result of a row, or of an element of an elementwise loss, is the same to the bit whatever the
// others are: ordinary, hostile, or masked.
func TestNeighboursChangeNothing(t *testing.T) {
	for at, shape := range neighbourShapes {
		contractOfNodes(t, shape[0], shape[1], func(t *testing.T, p *problem, _ []loss.Reduction) {
			if p.of.elementwise && at == 1 || testing.Short() && at > 0 {
				return
			}
			for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
				p.neighbours(t, dt, at > 1)
			}
		})
	}
}

// neighbours makes every third row hostile; of an elementwise loss, every third element.
func (p *problem) neighbours(t *testing.T, dt tensor.Dtype, few bool) {
	// An element is a row for this test: problems of elementwise losses become a column.
	q := *p
	if q.of.elementwise {
		q.shape = []int{p.size(), 1}
	}
	n := q.shape[0]
	each := product(q.valueShape()) / n
	up := q.uniform(n*each, -1, 2)
	weights, mask := q.uniform(n*each, 0.5, 1.5), slices.Repeat([]float64{1}, n*each)
	var rest []int
	for i := range n {
		if i%3 != 1 {
			rest = append(rest, i)
			continue
		}
		clear(mask[i*each : (i+1)*each])
	}
	ways := map[string]trial{"None": {red: loss.None, up: up}}
	if !q.of.node {
		ways["Mean"] = trial{}
		ways["weighted None"] = trial{red: loss.None, up: up, weights: weights}
		ways["masked and weighted Mean"] = trial{weights: weights, mask: mask}
		if !few {
			ways["unchecked None"] = trial{red: loss.None, up: up, opts: []loss.Option{loss.WithUncheckedValues()}}
			ways["weighted Sum"] = trial{red: loss.Sum, up: []float64{1.7}, weights: weights}
			ways["masked None"] = trial{red: loss.None, up: up, mask: mask}
			ways["masked Sum"] = trial{red: loss.Sum, mask: mask, maskType: tensor.Bool}
			ways["Mean in kept memory"] = trial{opts: []loss.Option{loss.WithBufferReuse()}, runs: 2}
			if q.of.elementwise && p.shape[1] > 1 {
				ways["rows weighted Mean"] = trial{set: []setting{rowWeights(p)}}
			}
		}
	}
	for how, way := range ways {
		way.dtype = dt
		r := q
		if len(way.set) > 0 {
			r.shape = p.shape
		}
		q.hostileRows(t, &r, how, way, few, rest)
	}
}

// hostileRows computes a trial of r, which has the data of p, with each hostile number in every
// third row of each operand: the rest of the rows stays as it was.
func (p *problem) hostileRows(t *testing.T, r *problem, how string, way trial, few bool, rest []int) {
	c, err := r.compile(way)
	if err != nil {
		t.Fatal(err)
	}
	defer c.machine.Close()
	want, err := c.run()
	if err != nil {
		t.Fatal(err)
	}
	var spoilt []int
	for i := 1; i < p.shape[0]; i += 3 {
		spoilt = append(spoilt, i*p.shape[1]+i%p.shape[1])
	}
	for k, x := range p.x {
		if x == nil {
			continue
		}
		for name, v := range hostileNumbers(way.dtype) {
			if few && name != "3e38" && name != "1e300" {
				continue
			}
			c.set(k, spoilt, func(int) float64 { return v })
			got, err := c.run()
			for run := 1; run < way.runs && err == nil; run++ {
				got, err = c.run()
			}
			c.set(k, spoilt, func(i int) float64 { return x[i] })
			what := func() string { return fmt.Sprintf("%v, %s, %s in operand %d", way.dtype, how, name, k) }
			switch {
			case err != nil && way.mask == nil:
				continue // outside the domain
			case err != nil:
				t.Fatalf("%s: %v", what(), err)
			case way.mask != nil:
				err = identicalRows(got.value, want.value, 1, []int{0})
			case way.red != loss.None:
				got.value = nil // all rows are in it
			}
			if err == nil {
				err = p.sameRows(got, want, rest)
			}
			if err != nil {
				t.Errorf("%s: %v", what(), err)
			}
		}
	}
}

// set writes x(i) to the elements i of contiguous operand k.
func (c *compiledTrial) set(k int, elements []int, x func(i int) float64) {
	switch data := c.in[k].Value().Data().(type) {
	case []float64:
		for _, i := range elements {
			data[i] = x(i)
		}
	case []float32:
		for _, i := range elements {
			data[i] = float32(x(i))
		}
	}
}

// rowWeights are weights of one number per row of elements.
func rowWeights(p *problem) setting {
	w := p.uniform(p.shape[0], 0.5, 1.5)
	return setting{option: "WithWeights", make: func(c *construction) loss.Option {
		return loss.WithWeights(c.leaf(c.dtype, "weights", []int{len(w)}, w))
	}}
}

// The result of an element or row does not depend on its place.
func TestPlaceChangesNothing(t *testing.T) {
	for _, shape := range neighbourShapes {
		contractOfNodes(t, shape[0], shape[1], func(t *testing.T, p *problem, _ []loss.Reduction) {
			q := *p
			if q.of.elementwise {
				q.shape = []int{p.size(), 1}
			}
			order := q.r.Perm(q.shape[0])
			for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
				want := q.solve(t, trial{dtype: dt, red: loss.None})
				want.value = keepRows(want.value, q.shape[0], order)
				for k, g := range want.grads {
					if g != nil {
						want.grads[k] = keepRows(g, q.shape[0], order)
					}
				}
				q.keep(order).solve(t, trial{dtype: dt, red: loss.None}).near(t, fmt.Sprint(dt), want, 0)
			}
		})
	}
}
