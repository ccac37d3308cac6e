package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// What many rows are computed with at a time, one function after the other over all of them.
// Exponentials are not shifted: a row whose sum of them leaves the range is NaN, and so left to the
// row function.

// Keeps reports whether a value that is the difference of terms of that size has kept its digits.
func Keeps(b *core.Block, value, size float64) bool {
	least := 0x1p-3
	if b.Single {
		least = 0x1p-20
	}
	return value >= least*size && size <= math.MaxFloat64
}

// LeaveNaN makes the values of rows NaN in which x has a NaN.
func LeaveNaN(b *core.Block, value, x []float64) {
	if vec.Within(x, math.Inf(-1), math.Inf(1)) {
		return
	}
	for i := range value {
		if HasNaN(x[i*b.Cols : (i+1)*b.Cols]) {
			value[i] = math.NaN()
		}
	}
}

// Exps are the exponentials of rows that lie one after another.
type Exps struct {
	E        []float64
	Sum, Log []float64 // of each row: the sum and its logarithm; NaN where it leaves the range
	cols     int
}

// ExpsOf returns the exponentials of x divided by a temperature.
func ExpsOf(b *core.Block, x []float64, temperature float64) Exps {
	e := Exps{E: b.Buf(len(x)), Sum: b.Buf(b.Rows), Log: b.Buf(b.Rows), cols: b.Cols}
	if temperature == 1 {
		vec.Exp(e.E, x)
	} else {
		Blend(e.E, x, x, 1/temperature, 0)
		vec.Exp(e.E, e.E)
	}
	for i := range e.Sum {
		sum := Sum(e.Row(i))
		if !(sum >= 0x1p-500 && sum <= 0x1p900) {
			sum = math.NaN()
		}
		e.Sum[i] = sum
	}
	vec.Log(e.Log, e.Sum)
	return e
}

// Row returns the exponentials of row i.
func (e *Exps) Row(i int) []float64 { return e.E[i*e.cols : (i+1)*e.cols] }

// sumPiece is the number of entries that are summed by themselves.
const sumPiece = 4096

// Sum returns Σ x.
func Sum(x []float64) float64 {
	if len(x) >= 64 {
		sum := 0.0
		for len(x) > sumPiece {
			s, _, _ := vec.SumWeights(x[:sumPiece])
			sum, x = sum+s, x[sumPiece:]
		}
		s, _, _ := vec.SumWeights(x)
		return sum + s
	}
	return core.Total(x)
}

// Squares returns Σ x².
func Squares(x []float64) float64 {
	if len(x) >= 64 {
		xx, _, _ := tensorops.DotProducts(x, x)
		return xx
	}
	return core.Dot(x, x)
}

// Blend writes a·x + b·y to dst, and a·x where b is 0.
func Blend(dst, x, y []float64, a, b float64) {
	if b == 0 { // whatever y is
		y, a, b = x, a/2, a/2
	}
	if len(dst) >= 64 {
		tensorops.Combine(dst, x, y, a, b)
		return
	}
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = a*x[i] + b*y[i]
	}
}
