package core

// A NativeGroup is a group with one value as its kernel reads it: the entries that are there in the
// dtype of the operands, and in their own memory where they lie one after another.
type NativeGroup[F Float] struct {
	X    [MaxPlaces][]F // the operands; integers as numbers
	Grad [MaxPlaces][]F // requested derivatives, to be written in full

	Factor float64 // of the value, in the derivatives
	Value  float64 // to be written
	// Part is the part of the group in the denominator of Mean, to be written by losses with parts: 0
	// for a group that has none. With PartAlone nothing else is requested.
	Part      float64
	PartAlone bool

	floats  scratch[float64]
	singles scratch[float32]
}

// A GroupKernel is the fast form of the mathematics of a loss whose groups have one value each, for
// values and first derivatives. It reports false where the group function must compute the group,
// which depends on the group alone.
type GroupKernel[F Float] func(g *NativeGroup[F]) bool

// GroupKernels holds the kernel for both element types; nil: none.
type GroupKernels struct {
	F32 GroupKernel[float32]
	F64 GroupKernel[float64]
}

// Buf returns n numbers with arbitrary content, until the kernel returns.
func (g *NativeGroup[F]) Buf(n int) []float64 { return g.floats.take(n) }

// Singles is Buf for float32.
func (g *NativeGroup[F]) Singles(n int) []float32 { return g.singles.take(n) }

// groupKernel returns the kernel, or nil where the task is not for it.
func (e *evaluation[F]) groupKernel() GroupKernel[F] {
	y := e.grouped
	switch {
	case !e.Order.hasKernel() || y.weights || y.whole(e.Bound) || e.task == sumShares && y.parts == nil:
		return nil
	case e.Normalized && e.in.Normalizer == 0: // the group function words the error
		return nil
	}
	return ofType[GroupKernel[F]](y.kernels.F32, y.kernels.F64)
}

// groupByKernel performs the task on group i, whose value has the factor s, and reports whether the
// kernel has computed it.
func (e *evaluation[F]) groupByKernel(w *groupWork[F], t *totals, i int, s float64) bool {
	g := &w.native
	if !e.packNative(w, i) {
		return false
	}
	g.Part, g.PartAlone = 1, e.task == sumShares
	if !g.PartAlone {
		g.Factor = e.groupUpstream(w, i, 0) * s / e.scale
	}
	if g.floats.used, g.singles.used = 0, 0; !e.group.kernel(g) {
		return false
	}
	if g.PartAlone {
		t.share(s * g.Part)
		return true
	}
	if g.Part == 0 || g.Factor == 0 { // what the kernel has written is of no account
		e.clearDerivatives(i)
	} else if w.scattered {
		for k, d := range e.group.dst {
			if y := &e.grouped.layout[e.operand[k]]; d != nil && !w.regionOf(y).dense {
				storeEntries(e, w, y, d, g.Grad[e.operand[k]], i)
			}
		}
	}
	if e.Order.hasValue() && g.Part != 0 {
		e.addValue(w, t, i, 0, g.Value*s)
	}
	return true
}

// checkRange notes the operands whose numbers in the groups from lo up to hi are known to be in
// their domains: those of groups that lie one after another are looked at together.
func (e *evaluation[F]) checkRange(w *groupWork[F], lo, hi int) {
	clear(w.held[:])
	if e.group.kernel == nil || e.Set.Has(OptSegments) {
		return
	}
	for k := range e.Floats {
		y := &e.grouped.layout[e.operand[k]]
		if y.all.dense && len(y.over) == 1 && y.over[0].stride == y.all.size && e.Domain[k].Checked() {
			from := y.base(lo)
			w.held[k] = HoldsAll(e.Domain[k], e.in.X[k][from:from+(hi-lo)*y.all.size])
		}
	}
}

// packNative reads the operands of group i for the kernel. It reports false where a number is
// outside its domain.
func (e *evaluation[F]) packNative(w *groupWork[F], i int) bool {
	g := &w.native
	w.scattered = false
	for k := range e.Integers {
		place := e.integer[k]
		if !e.Def.Operands[place].Holds.numeric() {
			continue // identifiers of segments
		}
		one := [1]int{e.in.Ints[k].at(e.grouped.layout[place].base(i))}
		if e.checkInts(one[:], k, 0, nil) != nil {
			return false
		}
		g.X[place] = Fit(&w.nativeX[place], 1)
		g.X[place][0] = F(one[0])
	}
	for k := range e.Floats {
		place := e.operand[k]
		y := &e.grouped.layout[place]
		r, lo, d := w.regionOf(y), y.base(i), e.group.dst[k]
		if hi := lo + r.size; r.dense {
			g.X[place] = e.in.X[k][lo:hi:hi]
			if d != nil {
				g.Grad[place] = d[lo:hi:hi]
			}
		} else {
			w.scattered = true
			g.X[place] = Fit(&w.nativeX[place], r.size)
			gather(g.X[place], e.in.X[k][lo:], r.loops)
			if d != nil {
				g.Grad[place] = Fit(&w.nativeGrad[place], r.size)
			}
		}
		if h := e.Domain[k]; h.Checked() && !w.held[k] && !HoldsAll(h, g.X[place]) {
			return false
		}
	}
	return true
}
