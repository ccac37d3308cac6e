package core

import (
	"sync"
	"sync/atomic"

	"github.com/surprisal-go/surprisal/tensorops"
)

// An Order says what an evaluation computes.
type Order uint8

const (
	OrderValue       Order = iota // the loss
	OrderGradient                 // upstream·∂l/∂x_wrt
	OrderBoth                     // both
	OrderHessian                  // upstream·∂²l/∂x_then∂x_wrt·v, for a direction v in operand wrt
	OrderTangent                  // ⟨∂l/∂x_wrt, v⟩
	OrderDenominator              // what Mean divides by
)

// String names the order in the names of operations.
func (o Order) String() string {
	return [...]string{"value", "grad", "both", "hess", "jvp", "denominator"}[o]
}

func (o Order) hasValue() bool  { return o == OrderValue || o == OrderBoth || o == OrderTangent }
func (o Order) hasKernel() bool { return o <= OrderBoth }
func (o Order) hasResult() bool { return o == OrderGradient || o == OrderBoth || o == OrderHessian }

// A Request says what an evaluation computes and where it goes.
type Request[F Float] struct {
	Order     Order
	Wrt, Then int
	Out       []F  // the values under None
	Dst       []F  // the derivative, in the shape of its operand
	Zeroed    bool // Dst holds zeros
	// Each is where the gradients by several operands go, of a loss with a link; nil: not
	// requested, or Dst.
	Each *[MaxOperands][]F
}

// evaluation is one evaluation of a bound loss.
type evaluation[F Float] struct {
	*Bound
	Request[F]
	in     *Inputs[F]
	kernel Kernel[F]
	scale  float64 // what divides: the divisor
	before totals  // of the pass for the denominator
	all    totals  // of the request
	stages totals  // of the pass before, where the denominator varies

	counted bool // every label is valid and counts, as the denominator has shown

	task   task
	parts  []totals
	share  func(lo, hi int) // computes a range; made once
	chunk  linked[F]        // of a loss with a link
	group  groups[F]        // of a loss whose values read groups
	rows   []int            // of all ranks, where they are gathered
	shards shards           // of a loss whose classes are spread over ranks
}

// A task is what an evaluation does with each range.
type task uint8

const (
	sumShares  task = iota // the denominator
	sumParts               // what rows come to in a shard of their classes
	sumVarying             // all totals, where the denominator depends on an operand
	compute                // the request
)

// pools of evaluations and working memory, one for each element type
var (
	evaluations32 = sync.Pool{New: func() any { return newEvaluation[float32]() }}
	evaluations64 = sync.Pool{New: func() any { return newEvaluation[float64]() }}
	linked32      = sync.Pool{New: func() any { return newEvaluation[float32]() }} // with the memory of logits
	linked64      = sync.Pool{New: func() any { return newEvaluation[float64]() }}
	works32       = sync.Pool{New: func() any { return new(work[float32]) }}
	works64       = sync.Pool{New: func() any { return new(work[float64]) }}
)

// PoolOf returns the one of two pools that is for F.
func PoolOf[F Float](of32, of64 *sync.Pool) *sync.Pool {
	if DTypeOf[F]() == Float32 {
		return of32
	}
	return of64
}

func newEvaluation[F Float]() *evaluation[F] {
	e := new(evaluation[F])
	e.share = func(lo, hi int) {
		w := getWork[F](hi - lo)
		defer w.put()
		e.do(w, lo, hi)
		e.parts[lo/e.Dims.step()] = w.total
	}
	return e
}

// ranges performs a task on all ranges of values, in parallel, and adds their totals in order.
func (e *evaluation[F]) ranges(t task, all *totals) {
	e.task = t
	step := e.Dims.step()
	if e.Dims.Rows <= step {
		*all = totals{}
		e.only(all)
		return
	}
	e.inParallel(step, all)
}

// only performs the task on the one range there is. An evaluation on a new goroutine pays for each
// doubling of its stack, so that the way to a kernel is short where there is little to do.
func (e *evaluation[F]) only(all *totals) {
	w := getWork[F](e.Dims.Rows)
	defer w.put()
	e.do(w, 0, e.Dims.Rows)
	all.add(&w.total)
}

func (e *evaluation[F]) inParallel(step int, all *totals) {
	n := (e.Dims.Rows + step - 1) / step
	if cap(e.parts) < n {
		e.parts = make([]totals, n)
	}
	e.parts = e.parts[:n]
	tensorops.ParallelFor(e.Dims.Rows, step, e.share)
	*all = totals{}
	for i := range e.parts {
		all.add(&e.parts[i])
	}
}

// pathCounts counts ranges by what has computed them.
type pathCounts struct{ kernel, block, refused, mended atomic.Int64 }

var paths atomic.Pointer[pathCounts]

// Paths says how ranges were computed: given to a kernel, or to the block function at once; of the
// first, those that the kernel refused, and those with elements that it left to the block function.
type Paths struct{ Kernel, Block, Refused, Mended int64 }

// CountPaths counts the ranges computed while f runs, by all goroutines. It is for tests.
func CountPaths(f func()) Paths {
	p := new(pathCounts)
	paths.Store(p)
	defer paths.Store(nil)
	f()
	return Paths{p.kernel.Load(), p.block.Load(), p.refused.Load(), p.mended.Load()}
}

// do performs the task on one range.
func (e *evaluation[F]) do(w *work[F], lo, hi int) {
	if p := paths.Load(); p != nil && e.task == compute {
		if e.kernel == nil {
			p.block.Add(1)
		} else {
			p.kernel.Add(1)
		}
	}
	switch {
	case e.task == sumShares && e.Def.Elementwise() && e.elementShares(w, lo, hi):
	case e.task == sumShares:
		w.total = totals{}
		if w.total.err = e.factors(w.s, w.labels, lo); w.total.err == nil {
			e.sharesOf(&w.total, w.s, w.labels, lo)
		}
	case e.task == sumParts:
		w.total.err = e.partsOf(w, lo, hi)
	case e.task == sumVarying:
		w.total.err = e.byBlocks(w, lo, hi)
	case e.kernel == nil:
		w.total.err = e.byBlocks(w, lo, hi)
	case e.Def.Elementwise() && e.elementsPerFactor() == 0:
		w.total.err = e.elements(w, lo, hi, 1)
	case e.Def.Elementwise():
		w.total.err = e.elementsByKernel(w, lo, hi)
	default:
		w.total.err = e.rowsByKernel(w, lo, hi)
	}
}

// Evaluate computes what is requested of a bound loss on inputs whose lengths fit.
func Evaluate[F Float](b *Bound, in *Inputs[F], r *Request[F]) (Result, error) {
	fault := b.checkNormalizer(in.Normalizer)
	if fault != nil && !b.spread() && !b.Set.Sharded() {
		return Result{}, fault
	}
	pool := PoolOf[F](&evaluations32, &evaluations64)
	if b.Linked() {
		pool = PoolOf[F](&linked32, &linked64)
	}
	e := pool.Get().(*evaluation[F])
	e.Bound, e.in, e.kernel = b, in, nil
	e.Request = *r
	result, err := e.run(fault)
	e.Bound, e.in, e.kernel = nil, nil, nil
	e.Request = Request[F]{}
	if b.Linked() {
		e.chunk.link = LinkRows[F]{}
	}
	if b.grouped != nil {
		e.group.dst = [MaxOperands][]F{}
	}
	pool.Put(e)
	return result, err
}

// roundedOnce is the number of elements up to which float32 elementwise losses are computed in
// float64 and rounded once: kernels would not be faster on so few.
const roundedOnce = 128

// run computes the denominator where it is needed first, and then what is requested.
// It begins with what is wrong already.
func (e *evaluation[F]) run(fault error) (Result, error) {
	if e.grouped != nil {
		return e.byGroups(fault)
	}
	result, done, err := e.begin(fault)
	if done || err != nil {
		return result, err
	}
	switch {
	case e.before.err != nil:
		e.all = totals{}
	case e.Linked():
		e.chunks(&e.all)
	default:
		e.ranges(compute, &e.all)
	}
	return e.result()
}

// result returns the result of all totals.
func (e *evaluation[F]) result() (Result, error) {
	result, err := e.reduced(&e.before, &e.all)
	if t := &e.stages; err == nil && e.Order == OrderTangent && e.denominatorVaries() {
		d, n := result.Denominator, result.Numerator
		result.Value = (n - t.n.value()/d*t.dd.value()) / d
	}
	return result, err
}

// begin computes the denominator and chooses the kernel. It reports whether there is nothing else to
// do.
func (e *evaluation[F]) begin(fault error) (result Result, done bool, err error) {
	varies := e.denominatorVaries() && !e.Linked() && (e.Order == OrderHessian || e.Order == OrderTangent || e.Order.hasResult() && e.Wrt == 1)
	e.shards.classes, e.shards.most = e.Dims.Classes, 0
	if e.Set.Sharded() {
		fault = e.beginShards(fault)
	}
	before := &e.before
	*before, e.counted = totals{err: fault}, false
	switch {
	case fault != nil:
	case varies:
		e.ranges(sumVarying, before)
	default:
		e.denominator(before)
	}
	if e.Linked() && before.err == nil {
		before.err = e.startLinked(before)
	}
	d, none, err := e.divisor(before)
	if err != nil {
		return Result{}, false, err
	}
	if none {
		e.clearResults()
		return Result{}, true, nil
	}
	if e.Order == OrderDenominator {
		return Result{Value: d, Denominator: d}, true, nil
	}
	e.scale, e.stages = d, *before
	if before.err == nil {
		e.chooseKernel(varies)
	}
	return Result{}, false, nil
}

// chooseKernel sets the kernel where there is one for the request.
func (e *evaluation[F]) chooseKernel(varies bool) {
	switch {
	case !e.Order.hasKernel() || varies:
	case e.Normalized && e.in.Normalizer == 0: // the block function words the error
	case e.Def.Elementwise() && e.Dims.Rows <= roundedOnce:
	default:
		e.kernel = kernelOf[F](&e.kernels)
	}
}

// upstream returns the upstream of value i.
func (e *evaluation[F]) upstream(i int) float64 {
	switch {
	case e.IsMap || e.in.Upstream == nil:
		return 1
	case e.Set.Reduction == None:
		return float64(e.in.Upstream[i])
	}
	return float64(e.in.Upstream[0])
}

// work is the working memory of one range.
type work[F Float] struct {
	total                               totals
	s, g, values                        []float64
	labels, at, left                    []int
	list                                [][]int
	listed                              []int
	block                               Block
	packed, packedDir                   [MaxOperands][]float64
	out, value, resultOf                []float64
	grad                                [2][]float64 // of the logits of a link and of the target
	weights, elements                   []F
	mended                              []F // weights of elements that the kernel does beside the block function
	kernel                              Range[F]
	groups                              groupWork[F]
	parts, blockBeside                  []RowPart
	blockMine                           []bool
	besideMax, besideRest, besideWeight []float64
	keep                                bool // derivatives of rows that are not in the block stay as they are
}

// getWork returns working memory for a range of n values.
func getWork[F Float](n int) *work[F] {
	w := PoolOf[F](&works32, &works64).Get().(*work[F])
	w.s, w.labels = Fit(&w.s, n), Fit(&w.labels, n)
	w.total = totals{}
	return w
}

// put returns the memory, without what it points to. What is large is cleared in place: an
// evaluation on a new goroutine pays for each doubling of its stack.
func (w *work[F]) put() {
	w.block.reset()
	w.kernel = Range[F]{}
	PoolOf[F](&works32, &works64).Put(w)
}

// Fit returns n elements of *buf, with arbitrary content.
func Fit[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, max(n, 1024))
	}
	*buf = (*buf)[:n]
	return *buf
}
