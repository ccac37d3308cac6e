package core

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// Where the classes of a loss are spread over the ranks of a Comm, every rank has the same rows, and
// of each row the logits of its own classes. What a row needs of the other shards are a few sums:
// each rank computes those of its shard, they are gathered, and each adds up those of the others in
// the order of the ranks. A value is a sum over classes, of which every rank has a part; the parts
// are added as those of rows are.

// A Shard says which classes of a loss a rank has.
type Shard struct {
	Comm  comm.Comm
	First int // class of all
}

// OptShard spreads the classes of a loss over ranks.
var OptShard = declare(option{name: "WithShard"})

// Sharded reports whether the classes of a loss are those of several ranks.
func (s *Settings) Sharded() bool { return s.Shard.Comm != nil }

// A RowPart is what a row of logits z comes to over some of its classes, w being the class weights
// and t the target.
type RowPart struct {
	Max    float64 // near the largest of z
	Rest   float64 // Σ exp(z - Max) - 1
	Along  float64 // the change of log Σ exp z along the direction
	Open   float64 // the number of classes whose logit is not -Inf
	Weight float64 // Σ w of these
	Mass   float64 // Σ w·t
	Lost   float64 // of that by rounding
	Moved  float64 // its change along the direction
}

// rowPartLen is the number of numbers of a RowPart. The first two are all that ranks tell each other
// where labels and the first order need no more.
const (
	rowPartLen      = 8
	shortRowPartLen = 2
)

func (p *RowPart) numbers() [rowPartLen]float64 {
	return [...]float64{p.Max, p.Rest, p.Along, p.Open, p.Weight, p.Mass, p.Lost, p.Moved}
}

// noClasses is the RowPart of no class.
var noClasses = RowPart{Max: math.Inf(-1)}

// join adds the classes of q, which are told in numbers.
func (p *RowPart) join(q []float64) {
	own := p.Rest
	switch a, b := p.Max, q[0]; {
	case math.IsInf(b, -1):
	case b > a:
		p.Max, p.Rest = b, q[1]+(1+p.Rest)*math.Exp(a-b)
		if len(q) > shortRowPartLen {
			p.Along = share(math.Exp(a-b)*(1+own), 1+p.Rest, p.Along) + share(1+q[1], 1+p.Rest, q[2])
		}
	default:
		p.Rest += (1 + q[1]) * math.Exp(b-a)
		if len(q) > shortRowPartLen {
			p.Along = share(1+own, 1+p.Rest, p.Along) + share((1+q[1])*math.Exp(b-a), 1+p.Rest, q[2])
		}
	}
	if len(q) == shortRowPartLen {
		return
	}
	p.Open += q[3]
	p.Weight += q[4]
	s := sum{p.Mass, p.Lost + q[6]}
	s.add(q[5])
	p.Mass, p.Lost = s.s, s.lost
	p.Moved += q[7]
}

// share is a/sum·x, 0 for a = 0.
func share(a, sum, x float64) float64 {
	if a == 0 {
		return 0
	}
	return a / sum * x
}

// shards is what an evaluation knows of the classes of other ranks.
type shards struct {
	classes int // of all ranks
	most    int // of one rank
	data    float64
	own     []RowPart // of each row
	beside  []RowPart // the same of all other ranks
	mine    []bool    // the rank adds to a value what belongs to a row and to no class
	told    []float64
	heard   []float64
}

// short reports whether Max and Rest are all that ranks tell each other of a row.
func (e *evaluation[F]) short() bool {
	return e.Labels != "" && e.Set.Smoothing == 0 && e.Set.LogPrior == nil && e.Order.hasKernel()
}

// exchange gathers what the n rows at (nil: all) come to and sets what they do beside this rank's
// shard; fault is what is wrong on this rank.
func (e *evaluation[F]) exchange(n int, fault error) error {
	s, c := &e.shards, e.Set.Shard.Comm
	width := rowPartLen
	if e.short() {
		width = shortRowPartLen
	}
	each := 1 + n*width
	told := Fit(&s.told, each)
	if told[0] = 0; fault != nil {
		told[0] = 1
	}
	for i := range n {
		of := s.own[i].numbers()
		copy(told[1+i*width:][:width], of[:])
	}
	heard := Fit(&s.heard, each*c.Size())
	if err := comm.Allgather(c, heard, told, nil); err != nil {
		return fmt.Errorf("loss.%s: %w", e.Def.Name, err)
	}
	for r := range c.Size() {
		if heard[r*each] != 0 {
			return e.errorOf(c, r, fault)
		}
	}
	Fit(&s.beside, n)
	for i := range n {
		p := noClasses
		for r := range c.Size() {
			if r != c.Rank() {
				p.join(heard[r*each+1+i*width:][:width])
			}
		}
		s.beside[i] = p
	}
	return nil
}

// inShard returns the class of a label in this rank's shard, the number of its classes for one
// elsewhere, and -1 for none.
func (e *evaluation[F]) inShard(label int) int {
	if c := label - e.Set.Shard.First; label < 0 || c >= 0 && c < e.Dims.Cols {
		return max(c, -1)
	}
	return e.Dims.Cols
}

// weightBeside returns the class weight of a label elsewhere, 0 for others.
func (e *evaluation[F]) weightBeside(label int) float64 {
	switch w := e.Set.ClassWeights; {
	case label < 0 || e.inShard(label) < e.Dims.Cols:
		return 0
	case w == nil:
		return 1
	default:
		return w[label]
	}
}

// owns reports whether this rank adds what belongs to a row with a label, or without one, and to no
// class.
func (e *evaluation[F]) owns(label int) bool {
	if e.Labels == "" {
		return e.Set.Shard.Comm.Rank() == 0
	}
	return e.inShard(label) < e.Dims.Cols
}

// beginShards prepares what the shards need to know of each other.
func (e *evaluation[F]) beginShards(fault error) error {
	if fault = e.startShards(fault); fault != nil {
		return fault
	}
	e.hashRows()
	if e.Linked() {
		return nil
	}
	return e.shardRows(nil)
}

// shardRows finds what all rows come to in every shard.
func (e *evaluation[F]) shardRows(fault error) error {
	n := e.Dims.Rows
	s := &e.shards
	Fit(&s.own, n)
	Fit(&s.mine, n)
	if fault == nil {
		e.ranges(sumParts, &e.all)
		fault = e.all.err
	}
	return e.exchange(n, fault)
}

// partsOf finds what a range of rows comes to in this rank's shard.
func (e *evaluation[F]) partsOf(w *work[F], lo, hi int) error {
	if err := e.factors(w.s, w.labels, lo); err != nil {
		return err
	}
	s := &e.shards
	for i := lo; i < hi; i++ {
		s.own[i], s.mine[i] = noClasses, e.owns(w.labels[i-lo])
	}
	if k := kernelOf[F](&e.kernels); k != nil && e.short() {
		return e.partsByKernel(w, k, lo, hi)
	}
	step := max(1, blockLen/max(1, e.Dims.Cols))
	for a := lo; a < hi; a += step {
		b := min(a+step, hi)
		factor := w.s[a-lo : b-lo]
		e.pack(w, a, b, factor)
		if w.block.Rows == 0 {
			continue
		}
		if err := e.checkBlock(&w.block); err != nil {
			return err
		}
		w.block.parts = Fit(&w.parts, w.block.Rows)
		e.part(&w.block)
		for r, p := range w.block.parts {
			s.own[w.block.Index(r)] = p
		}
	}
	return nil
}

// partsByKernel is partsOf where Max and Rest are enough.
func (e *evaluation[F]) partsByKernel(w *work[F], kernel Kernel[F], lo, hi int) error {
	k := &w.kernel
	*k = Range[F]{Dims: e.Dims, Lo: lo, Hi: hi, X: e.in.X, Values: Fit(&w.values, hi-lo), Rests: Fit(&w.g, hi-lo)}
	kernel(k)
	for i, v := range w.values {
		if w.s[i] != 0 {
			e.shards.own[lo+i].Max, e.shards.own[lo+i].Rest = v, k.Rests[i]
		}
	}
	return nil
}

// besideOf sets what a kernel needs of the rows from lo on, whose labels become those in the shard.
func (e *evaluation[F]) besideOf(w *work[F], k *Range[F], at int) {
	if !e.Set.Sharded() {
		return
	}
	n := len(k.Labels)
	k.BesideMax, k.BesideRest, k.BesideWeight = Fit(&w.besideMax, n), Fit(&w.besideRest, n), Fit(&w.besideWeight, n)
	for i, y := range k.Labels {
		b := &e.shards.beside[at+i]
		k.BesideMax[i], k.BesideRest[i], k.BesideWeight[i] = b.Max, b.Rest, e.weightBeside(y)
		k.Labels[i] = e.inShard(y)
	}
}

// besideBlock sets what a block needs of its rows, whose place among those exchanged is at.
func (e *evaluation[F]) besideBlock(w *work[F], at func(r int) int) {
	b := &w.block
	b.beside, b.mine = Fit(&w.blockBeside, b.Rows), Fit(&w.blockMine, b.Rows)
	for r := range b.Rows {
		i := at(r)
		b.beside[r], b.mine[r] = e.shards.beside[i], e.shards.mine[i]
	}
}

// startShards makes sure that the ranks have all classes, and finds their number.
func (e *evaluation[F]) startShards(fault error) error {
	e.shards.data = 0
	met := e.joinShards(totals{err: fault})
	return met.err
}

// joinShards returns the totals of all shards.
func (e *evaluation[F]) joinShards(own totals) totals {
	partial := e.Labels == "" && e.Set.ClassWeights != nil // the denominator is a sum over classes
	all := e.meet(e.Set.Shard.Comm, own, true)
	if !partial {
		all.d, all.active = own.d, own.active
	}
	return all
}

// hashRows sets what ranks compare of the factors and labels of rows.
func (e *evaluation[F]) hashRows() {
	h := fnv.New64a()
	s, labels := make([]float64, e.Dims.Rows), make([]int, e.Dims.Rows)
	if e.factors(s, labels, 0) != nil {
		return
	}
	var b [16]byte
	for i, v := range s {
		x, y := math.Float64bits(v), 0
		if e.Labels != "" {
			y = labels[i]
		}
		for k := range 8 {
			b[k], b[8+k] = byte(x>>(8*k)), byte(uint64(y)>>(8*k))
		}
		h.Write(b[:])
	}
	e.shards.data = float64(h.Sum64() >> 12)
}

// tile checks that the shards of all ranks, told in records, follow each other, and returns the
// number of classes, and the largest of one rank.
func (b *Bound) tile(records []float64, size int) (classes, most int, err error) {
	ranks := make([]int, size)
	for r := range ranks {
		ranks[r] = r
	}
	of := func(r int) (first, n int) {
		return int(records[r*meeting+firstAt]), int(records[r*meeting+countAt])
	}
	slices.SortStableFunc(ranks, func(p, q int) int {
		a, m := of(p)
		b, n := of(q)
		return cmp.Or(cmp.Compare(a, b), cmp.Compare(m, n))
	})
	before := -1
	for _, r := range ranks {
		first, n := of(r)
		switch {
		case n == 0:
			continue
		case before < 0 && first != 0:
			return 0, 0, Faultf(ErrOption, b.Def.Name, "WithShard of rank %d begins with class %d, and no rank has class 0", r, first)
		case first != classes:
			from, m := of(before)
			return 0, 0, Faultf(ErrOption, b.Def.Name,
				"rank %d has the classes [%d, %d) and rank %d [%d, %d), want shards that follow each other",
				before, from, from+m, r, first, first+n)
		}
		classes += n
		most = max(most, n)
		before = r
	}
	if classes == 0 {
		return 0, 0, Faultf(ErrShape, b.Def.Name, "no rank has a class")
	}
	for _, list := range []struct {
		o OptionSet
		w []float64
	}{{OptClassWeights, b.Set.ClassWeights}, {OptLogPrior, b.Set.LogPrior}} {
		if list.w != nil && len(list.w) != classes {
			return 0, 0, Faultf(ErrOption, b.Def.Name, "%s has %d entries, want %d, one for each class of all ranks",
				list.o.Name(), len(list.w), classes)
		}
	}
	return classes, most, nil
}

// localSettings returns the settings with the part of lists of classes that the shard has.
func (b *Bound) localSettings() *Settings {
	if !b.Set.Sharded() {
		return &b.Set
	}
	s := b.Set
	for _, w := range []*[]float64{&s.ClassWeights, &s.LogPrior} {
		if *w != nil {
			*w = (*w)[s.Shard.First:][:b.Dims.Cols]
		}
	}
	return &s
}

// sumOut adds the values of all shards where they are not reduced.
func (e *evaluation[F]) sumOut(out []F) error {
	c := e.Set.Shard.Comm
	told := Fit(&e.shards.told, len(out))
	for i, v := range out {
		told[i] = float64(v)
	}
	heard := Fit(&e.shards.heard, len(out)*c.Size())
	if err := comm.Allgather(c, heard, told, nil); err != nil {
		return fmt.Errorf("loss.%s: %w", e.Def.Name, err)
	}
	for i := range out {
		v := 0.0
		for r := range c.Size() {
			v += heard[r*len(out)+i]
		}
		out[i] = F(v)
	}
	return nil
}

// mostCols returns the largest number of classes of a shard, so that all ranks have the same ranges
// of rows.
func (e *evaluation[F]) mostCols() int { return max(1, e.Dims.Cols, e.shards.most) }

// shardLabels replaces the labels of a block, which begins with row lo of those at hand, by those in
// the shard.
func (e *evaluation[F]) shardLabels(w *work[F], lo int) {
	b := &w.block
	if b.Label == nil {
		return
	}
	labels := w.labels[:b.Rows]
	for i, y := range b.Label {
		labels[i] = e.inShard(y)
	}
	b.Label = labels
}

// shardLogits finds what the rows at hand, of logits z, come to in every shard; dz is the change of
// the logits along the direction v, or v that of a target.
func (e *evaluation[F]) shardLogits(z, dz, v []F, fault error) error {
	l, s := &e.chunk, &e.shards
	n, cols := l.link.N, e.Dims.Cols
	Fit(&s.own, n)
	Fit(&s.mine, n)
	for i := range n {
		s.own[i], s.mine[i] = noClasses, e.owns(l.label[i])
	}
	if fault != nil {
		return e.exchange(n, fault)
	}
	kernel := kernelOf[F](&e.kernels)
	dims := Dims{Rows: n, Cols: cols, Inner: 1, Classes: cols, Stride: 1}
	tensorops.ParallelFor(n, dims.step(), func(lo, hi int) {
		w := getWork[F](hi - lo)
		defer w.put()
		if kernel != nil && e.short() {
			k := Range[F]{Dims: dims, Lo: lo, Hi: hi, Values: Fit(&w.values, hi-lo), Rests: Fit(&w.g, hi-lo)}
			k.X[0] = z
			kernel(&k)
			for i, x := range w.values {
				s.own[lo+i].Max, s.own[lo+i].Rest = x, k.Rests[i]
			}
			return
		}
		b, from, to := &w.block, lo*cols, hi*cols
		*b = Block{Rows: hi - lo, Cols: cols, scratch: b.scratch.free(), row: b.row, first: lo}
		b.X[0] = Widen(&w.packed[0], z[from:to])
		if l.target != 0 {
			b.X[1] = Widen(&w.packed[1], l.link.X[l.target][from:to])
		}
		if e.Labels != "" {
			b.Label = l.label[lo:hi]
			e.shardLabels(w, lo)
		}
		switch {
		case e.logits() == 1:
		case l.isTarget(e.Wrt):
			b.Dir[1] = Widen(&w.packedDir[1], v[from:to])
		default:
			b.Dir[0] = Widen(&w.packedDir[0], dz[from:to])
		}
		b.parts = s.own[lo:hi]
		e.part(b)
	})
	return e.exchange(n, nil)
}

// sumShards adds up a derivative of which every shard has a part.
func (e *evaluation[F]) sumShards(d []F) error {
	var err error
	switch d := any(d).(type) {
	case []float32:
		err = comm.Allreduce(e.Set.Shard.Comm, d, comm.Sum)
	case []float64:
		err = comm.Allreduce(e.Set.Shard.Comm, d, comm.Sum)
	}
	if err != nil {
		return fmt.Errorf("loss.%s: %w", e.Def.Name, err)
	}
	return nil
}
