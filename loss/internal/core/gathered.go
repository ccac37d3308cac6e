package core

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// Where each value of a loss reads the whole batch and rows are spread over ranks, the rows of all
// ranks are gathered. Every rank computes the values of its own rows, the anchors, against all; the
// derivatives by the rows of all ranks are added up and each rank gets those by its own.

// gathers reports whether the rows of all ranks are gathered.
func (b *Bound) gathers() bool {
	return b.spread() && b.grouped != nil && b.grouped.Gathered
}

// hasRows reports whether the operand in a place has a row for each value.
func (g *grouped) hasRows(place int) bool {
	p := g.pattern(place)
	return strings.HasPrefix(p, "N") || strings.HasPrefix(p, "M")
}

// checkGathered refuses what cannot be gathered.
func (b *Bound) checkGathered() error {
	for k, g := range b.given {
		o := b.Def.Operands[b.places[k]]
		switch {
		case o.Option == OptPositives || o.Option == OptReference || o.Option == OptReferenceLabels:
			return Faultf(ErrOption, b.Def.Name, "WithComm and %s exclude each other", o.Option.Name())
		case b.grouped.hasRows(b.places[k]) && g.Shape[0] != b.given[0].Shape[0]:
			return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want %d rows as %s has: WithComm takes as many",
				o.Name, hasVerb(o.Name), g.Shape, b.given[0].Shape[0], b.Def.Operands[0].Name)
		}
	}
	return nil
}

// withRows returns the loss bound to n rows, without ranks.
func (b *Bound) withRows(n int) (*Bound, error) {
	if all := b.whole.Load(); all != nil && all.given[0].Shape[0] == n {
		return all, nil
	}
	of := func(s Shape) Shape {
		s = slices.Clone(s)
		s[0] = n
		return s
	}
	set := b.Set
	set.Comm, set.Given = nil, set.Given.Without(OptComm)
	given := slices.Clone(b.given)
	for k := range given {
		if b.grouped.hasRows(b.places[k]) {
			given[k].Shape = of(given[k].Shape)
		}
	}
	all, err := Bind(b.Def, set, given)
	if err == nil && b.Weighted {
		err = all.BindWeights(Given{of(b.WeightShape), b.DType})
	}
	if err == nil && b.MaskType != "" {
		err = all.BindMask(Given{of(b.MaskShape), b.DType})
	}
	if err == nil && b.Normalized {
		err = all.BindNormalizer(Given{DType: b.DType})
	}
	if err != nil {
		return nil, err
	}
	all.Numerator = b.Numerator
	b.whole.Store(all.Seal())
	return all, nil
}

// gatherRows returns the rows of all ranks of data with so many entries for each row.
func gatherRows[T comm.Number](c comm.Comm, x []T, rows []int, width int) ([]T, error) {
	counts, n := make([]int, len(rows)), 0
	for r, k := range rows {
		counts[r] = k * width
		n += counts[r]
	}
	dst := make([]T, n)
	return dst, comm.Allgather(c, dst, x, counts)
}

// gatherFloats is gatherRows for floating data.
func gatherFloats[F Float](c comm.Comm, x []F, rows []int) (dst []F, err error) {
	width := len(x) / rows[c.Rank()]
	if x, ok := any(x).([]float32); ok {
		d, err := gatherRows(c, x, rows, width)
		return any(d).([]F), err
	}
	d, err := gatherRows(c, any(x).([]float64), rows, width)
	return any(d).([]F), err
}

// gatherInputs returns the operands of all ranks.
func (e *evaluation[F]) gatherInputs(rows []int) (*Inputs[F], error) {
	c, own := e.Set.Comm, e.in
	in := &Inputs[F]{Normalizer: own.Normalizer, Upstream: own.Upstream, X: own.X, Dir: own.Dir}
	var err error
	gather := func(x []F) []F {
		if err != nil {
			return nil
		}
		var all []F
		all, err = gatherFloats(c, x, rows)
		return all
	}
	for k := range e.Floats {
		if e.grouped.hasRows(e.operand[k]) {
			in.X[k] = gather(own.X[k])
		}
	}
	if own.Dir != nil && e.grouped.hasRows(e.operand[e.Wrt]) {
		in.Dir = gather(own.Dir)
	}
	if e.Weighted {
		in.Weights = gather(own.Weights)
	}
	switch {
	case own.MaskF != nil:
		in.MaskF = gather(own.MaskF)
	case e.MaskType != "":
		m := make([]F, len(own.Mask))
		for i, v := range own.Mask {
			m[i] = F(v)
		}
		in.MaskF = gather(m)
	}
	for k := range e.Integers {
		if err != nil {
			break
		}
		x := make([]int64, e.Integers[k].Shape.Size())
		for i := range x {
			x[i] = int64(own.Ints[k].at(i))
		}
		in.Ints[k].Int64, err = gatherRows(c, x, rows, len(x)/rows[c.Rank()])
	}
	return in, err
}

// gathered computes what is requested of the rows of all ranks.
func (e *evaluation[F]) gathered(fault error) (Result, error) {
	c := e.Set.Comm
	met := e.meet(c, totals{err: fault}, false)
	if met.err != nil {
		return Result{}, met.err
	}
	rows, first, n := e.rows, 0, 0
	for r, k := range rows {
		if r < c.Rank() {
			first += k
		}
		n += k
	}
	all, err := e.withRows(n)
	if err != nil {
		return Result{}, err
	}
	in, err := e.gatherInputs(rows)
	if err != nil {
		return Result{}, fmt.Errorf("loss.%s: %w", e.Def.Name, err)
	}
	in.anchors = [2]int{first, first + rows[c.Rank()]}
	request := Request[F]{Order: e.Order, Wrt: e.Wrt, Then: e.Then, Each: new([MaxOperands][]F)}
	own := e.derivatives()
	for k, d := range own {
		if d != nil {
			request.Each[k] = make([]F, all.ShapeOf(k).Size())
		}
	}
	if e.Order == OrderHessian {
		request.Dst = request.Each[e.Then]
	}
	part, err := Evaluate(all, in, &request)
	sum := totals{err: err}
	sum.n.add(part.Numerator)
	if sum = e.meet(c, sum, false); sum.err != nil {
		return Result{}, sum.err
	}
	for k, d := range own {
		if d == nil {
			continue
		}
		if err := e.scatter(d, request.Each[k], rows, k); err != nil {
			return Result{}, fmt.Errorf("loss.%s: %w", e.Def.Name, err)
		}
	}
	part.Numerator = sum.n.value()
	if e.Order != OrderDenominator && part.Denominator != 0 {
		part.Value = part.Numerator / part.Denominator
	}
	return part, nil
}

// scatter adds up the derivative by operand k, and writes this rank's rows to d. An operand without
// rows has this rank's part.
func (e *evaluation[F]) scatter(d, all []F, rows []int, k int) error {
	if !e.grouped.hasRows(e.operand[k]) {
		copy(d, all)
		return nil
	}
	counts := make([]int, len(rows))
	for r, n := range rows {
		counts[r] = n * len(d) / rows[e.Set.Comm.Rank()]
	}
	if d, ok := any(d).([]float32); ok {
		return comm.ReduceScatter(e.Set.Comm, d, any(all).([]float32), counts, comm.Sum)
	}
	return comm.ReduceScatter(e.Set.Comm, any(d).([]float64), any(all).([]float64), counts, comm.Sum)
}

// Anchors returns the entries of the group whose values are to be computed: all of them but where
// other ranks compute the others.
func (g *Group) Anchors() (lo, hi int) {
	if !g.Part() {
		return 0, g.N
	}
	lo, hi = g.anchors[0], g.anchors[1]
	if g.At != nil {
		lo, _ = slices.BinarySearch(g.At, lo)
		hi, _ = slices.BinarySearch(g.At, hi)
	}
	return lo, hi
}

// Part reports whether other ranks compute some of the values.
func (g *Group) Part() bool { return g.anchors != [2]int{} }
