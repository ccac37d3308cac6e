package tensorops

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// What losses of rows are made of that compare entries or have a quadratic form. Rows lie one after
// another, as many as the results have elements; sums are taken in float64, in an order that depends
// on the number of columns alone. A NaN or an infinite entry makes a sum NaN or infinite; the
// largest of a row with a NaN is unspecified.

// fewColumns is the number of columns up to which rows have no kernel.
const fewColumns = 3

// columnsOf returns the number of columns of rows rows with so many elements.
func columnsOf(elements, rows int) int {
	if rows == 0 {
		return 0
	}
	return elements / rows
}

// rowKernel reports whether kernels compute rows of so many columns.
func rowKernel(cols int) bool { return cols > fewColumns && vec.Active() != vec.Generic }

// RowSums is Σ x, Σ x² and the largest x of a row, -Inf where there is none.
type RowSums struct{ Sum, Squares, Most float64 }

// SumOthers sets sums to what the rows of x come to without the elements of their labels; nil:
// with all elements.
func SumOthers[F Float](sums []RowSums, x []F, labels []int) {
	cols := columnsOf(len(x), len(sums))
	if rowKernel(cols) {
		var label *int
		if labels != nil {
			label = &labels[:len(sums)][0]
		}
		othersOf(&sums[0].Sum, &x[0], label, cols, len(sums))
		return
	}
	for i := range sums {
		s := RowSums{Most: math.Inf(-1)}
		for j, v := range x[i*cols:][:cols] {
			if labels == nil || j != labels[i] {
				s.Sum += float64(v)
				s.Squares += float64(v) * float64(v)
				s.Most = max(s.Most, float64(v))
			}
		}
		sums[i] = s
	}
}

// A Violation is the loss Σ d·e of a row, and Σ d.
type Violation struct{ Loss, Slope float64 }

// Violations sums what the elements of rows come to that are above own less a margin: with e =
// margin + (x - own) and d = a + b·e where e > 0, and 0 elsewhere and for the label, it sets sums
// and writes factor·d to dst, which must not be x. own and factor have one number for each row.
func Violations[F Float](sums []Violation, dst, x []F, labels []int, own, factor []float64, margin, a, b float64) {
	rows := len(sums)
	cols := columnsOf(len(x), rows)
	dst, labels, own, factor = dst[:len(x)], labels[:rows], own[:rows], factor[:rows]
	if rowKernel(cols) {
		violations(&sums[0].Loss, &dst[0], &x[0], &labels[0], &own[0], &factor[0], cols, rows, margin, a, b)
		return
	}
	for i := range sums {
		var s Violation
		for j, v := range x[i*cols:][:cols] {
			d, e := 0.0, margin+(float64(v)-own[i])
			if j != labels[i] && !(e <= 0) {
				d = a + b*e
				s.Loss += d * e
				s.Slope += d
			}
			dst[i*cols+j] = F(factor[i] * d)
		}
		sums[i] = s
	}
}

// KeptSums is Σ t·x of a row and its largest (1 - t)·x.
type KeptSums struct{ Hit, Most float64 }

// SumKept sets sums to what the rows of x and t come to.
func SumKept(sums []KeptSums, x, t []float64) {
	cols := columnsOf(len(x), len(sums))
	t = t[:len(x)]
	if rowKernel(cols) {
		keptLargest(&sums[0].Hit, &x[0], &t[0], cols, len(sums))
		return
	}
	for i := range sums {
		s := KeptSums{Most: math.Inf(-1)}
		for j, v := range x[i*cols:][:cols] {
			w := t[i*cols+j]
			s.Hit += w * v
			s.Most = max(s.Most, (1-w)*v)
		}
		sums[i] = s
	}
}

// GapSums is Σ g², Σ e·d and the largest t of a row.
type GapSums struct{ Squares, Product, Most float64 }

// RowGaps writes d = g - from for g = scale·e - t and sets sums to what the rows come to. scale and
// from have one number for each row; d must not be e or t.
func RowGaps(sums []GapSums, d, e, t, scale, from []float64) {
	rows := len(sums)
	cols := columnsOf(len(e), rows)
	d, t, scale, from = d[:len(e)], t[:len(e)], scale[:rows], from[:rows]
	if rowKernel(cols) {
		gapsOf(&sums[0].Squares, &d[0], &e[0], &t[0], &scale[0], &from[0], cols, rows)
		return
	}
	for i := range sums {
		s := GapSums{Most: math.Inf(-1)}
		for j, v := range e[i*cols:][:cols] {
			at := i*cols + j
			g := math.FMA(scale[i], v, -t[at])
			d[at] = g - from[i]
			s.Squares += g * g
			s.Product += v * d[at]
			s.Most = max(s.Most, t[at])
		}
		sums[i] = s
	}
}

// RowProducts writes c·e·(a·d + b) to dst, which must not be e or d, for the three numbers a, b and
// c of each row.
func RowProducts[F Float](dst []F, e, d []float64, numbers [][3]float64) {
	cols := columnsOf(len(e), len(numbers))
	dst, d = dst[:len(e)], d[:len(e)]
	if rowKernel(cols) {
		productsOf(&dst[0], &e[0], &d[0], &numbers[0][0], cols, len(numbers))
		return
	}
	for i, n := range numbers {
		for at := i * cols; at < (i+1)*cols; at++ {
			dst[at] = F(math.FMA(n[0], d[at], n[1]) * e[at] * n[2])
		}
	}
}

// IndexOf returns the first i with x[i] == v, or -1.
func IndexOf[F Float](x []F, v F) int { return active[F]().index(x, v) }
