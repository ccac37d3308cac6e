package tensorops

// BesideRows is the number of rows that GatherBeside and ScatterBeside copy.
const BesideRows = groupRows

// besideKernels returns the kernels that copy rows of so many columns, or nil.
func besideKernels[F Float](cols int) *softmaxKernels[F] {
	if cols <= fewColumns {
		return nil
	}
	return active[F]().softmax
}

// GatherBeside copies BesideRows rows that lie side by side from the beginning of x on, their columns
// inner apart, to dst, one after another. group has room for as many elements as dst.
func GatherBeside[F Float](dst, group, x []F, inner, cols int) {
	n := BesideRows * cols
	dst, group, x = dst[:n], group[:n], x[:(cols-1)*inner+BesideRows]
	if k := besideKernels[F](cols); k != nil {
		k.classes(&group[0], &x[0], inner, cols)
		k.unpack(&dst[0], &group[0], cols, cols)
		return
	}
	for c := range cols {
		for i, v := range x[c*inner:][:BesideRows] {
			dst[i*cols+c] = v
		}
	}
}

// ScatterBeside is GatherBeside turned round: it copies the rows of src to dst.
func ScatterBeside[F Float](dst, group, src []F, inner, cols int) {
	n := BesideRows * cols
	src, group, dst = src[:n], group[:n], dst[:(cols-1)*inner+BesideRows]
	if k := besideKernels[F](cols); k != nil {
		k.pack(&group[0], &src[0], cols, cols)
		k.copyTile(&dst[0], &group[0], inner, BesideRows, BesideRows, BesideRows, 1, cols)
		return
	}
	for c := range cols {
		to := dst[c*inner:][:BesideRows]
		for i := range to {
			to[i] = src[i*cols+c]
		}
	}
}

// RowDots sets sums to Σ v·x of each row of x.
func RowDots[F Float](sums []float64, x []F, v []float64) {
	cols := columnsOf(len(x), len(sums))
	v = v[:cols]
	if k := besideKernels[F](cols); k != nil {
		k.rowDot(&sums[0], &x[0], &v[0], cols, len(sums))
		return
	}
	for i := range sums {
		sums[i] = 0
		for j, w := range v {
			sums[i] += w * float64(x[i*cols+j])
		}
	}
}
