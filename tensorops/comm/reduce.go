package comm

// each runs the collective on typed slices of all ranks: xs and dsts are in the order of the ranks
// and have passed their checks.
func each(c Call, counts []int, xs, dsts []any) {
	switch c.X.(type) {
	case []float32:
		exchange[float32](c, counts, xs, dsts)
	case []float64:
		exchange[float64](c, counts, xs, dsts)
	case []int64:
		exchange[int64](c, counts, xs, dsts)
	}
}

func exchange[T Number](c Call, counts []int, xs, dsts []any) {
	switch c.Collective {
	case AllreduceCall:
		first := xs[0].([]T)
		for _, x := range xs[1:] {
			combine(first, x.([]T), c.Op)
		}
		for _, x := range xs[1:] {
			copy(x.([]T), first)
		}
	case BroadcastCall:
		for _, x := range xs {
			copy(x.([]T), xs[c.Root].([]T))
		}
	case AllgatherCall:
		for _, dst := range dsts {
			at := dst.([]T)
			for r, x := range xs {
				copy(at, x.([]T))
				at = at[counts[r]:]
			}
		}
	case ReduceScatterCall:
		at := 0
		for r, dst := range dsts {
			piece := dst.([]T)
			copy(piece, xs[0].([]T)[at:])
			for _, x := range xs[1:] {
				combine(piece, x.([]T)[at:at+counts[r]], c.Op)
			}
			at += counts[r]
		}
	}
}

// combine adds x to dst, or takes the larger of both, where a NaN of either stays.
func combine[T Number](dst, x []T, op Op) {
	x = x[:len(dst)]
	if op == Sum {
		for i := range dst {
			dst[i] += x[i]
		}
		return
	}
	for i := range dst {
		dst[i] = max(dst[i], x[i])
	}
}
