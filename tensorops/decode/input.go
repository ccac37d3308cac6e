package decode

import (
	"fmt"
	"math"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops"
)

// checkShape returns an error unless n elements fill the shape and none of its axes is empty.
func checkShape(name, operand string, n int, shape ...int) error {
	rest, fits := n, true // what the axes still have to divide: no product that could overflow
	for _, d := range shape {
		if d < 1 {
			return fail(ErrShape, name, "shape of %s is %s, want axes of at least 1", operand, format(shape))
		}
		fits = fits && rest%d == 0
		rest /= d
	}
	if !fits || rest != 1 {
		return fail(ErrShape, name, "%d elements of %s, want those of shape %s", n, operand, format(shape))
	}
	return nil
}

func format(shape []int) string {
	return "(" + strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", ", "), "[]") + ")"
}

// checkLengths returns the lengths of n rows, each 0 to most; nil stands for most in each row.
func checkLengths(name, operand string, lengths []int, n, most int) ([]int, error) {
	if lengths == nil {
		lengths = make([]int, n)
		for i := range lengths {
			lengths[i] = most
		}
	}
	if len(lengths) != n {
		return nil, fail(ErrShape, name, "%d %ss, want %d, one for each row", len(lengths), operand, n)
	}
	for i, l := range lengths {
		if l < 0 || l > most {
			return nil, fail(ErrValue, name, "%s of row %d is %d, want 0 to %d", operand, i, l, most)
		}
	}
	return lengths, nil
}

// belowInf reports whether v is a number, or the -Inf that rules something out.
func belowInf(v float64) bool { return v < math.Inf(1) }

// eachRow calls f for n rows, on several cores, and returns the error of the first row that has
// one.
func eachRow(n int, f func(row int) error) error {
	errs := make([]error, n)
	tensorops.ParallelFor(n, 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			errs[i] = f(i)
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
