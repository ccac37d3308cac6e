//go:build amd64 && !purego

package optim

import "github.com/surprisal-go/surprisal/tensorops/vec"

// updaters are the kernels by level and formula.
type updaters[F float32 | float64] [formulas]func(p, g, a, b *F, n int, c *F)

var (
	updaters32 = [vec.Levels]*updaters[float32]{
		vec.AVX2:   {sgd32AVX2, momentum32AVX2, nesterov32AVX2, adam32AVX2, rmsprop32AVX2, adagrad32AVX2, lion32AVX2},
		vec.AVX512: {sgd32AVX512, momentum32AVX512, nesterov32AVX512, adam32AVX512, rmsprop32AVX512, adagrad32AVX512, lion32AVX512},
	}
	updaters64 = [vec.Levels]*updaters[float64]{
		vec.AVX2:   {sgd64AVX2, momentum64AVX2, nesterov64AVX2, adam64AVX2, rmsprop64AVX2, adagrad64AVX2, lion64AVX2},
		vec.AVX512: {sgd64AVX512, momentum64AVX512, nesterov64AVX512, adam64AVX512, rmsprop64AVX512, adagrad64AVX512, lion64AVX512},
	}
)

// The functions below take slices that are not empty and whose lengths are multiples of lanes. The slots may be nil where
// the formula has none.

func updateVector[F float32 | float64](f formula, c *[constants]F, p, g, a, b []F) {
	switch p := any(p).(type) {
	case []float32:
		updaters32[vec.Active()][f](&p[0], first[float32](g), first[float32](a), first[float32](b), len(p), &any(c).(*[constants]float32)[0])
	case []float64:
		updaters64[vec.Active()][f](&p[0], first[float64](g), first[float64](a), first[float64](b), len(p), &any(c).(*[constants]float64)[0])
	}
}

// first returns the address of the first element of a slice of E, nil of an empty one.
func first[E any](s any) *E {
	if e := s.([]E); len(e) > 0 {
		return &e[0]
	}
	return nil
}

func squaresVector[F float32 | float64](sums *[lanes]float64, x []F) {
	switch x := any(x).(type) {
	case []float32:
		if vec.Active() == vec.AVX512 {
			squares32AVX512(&sums[0], &x[0], len(x))
		} else {
			squares32AVX2(&sums[0], &x[0], len(x))
		}
	case []float64:
		if vec.Active() == vec.AVX512 {
			squares64AVX512(&sums[0], &x[0], len(x))
		} else {
			squares64AVX2(&sums[0], &x[0], len(x))
		}
	}
}

func scaleVector[F float32 | float64](x []F, f F) {
	switch x := any(x).(type) {
	case []float32:
		if vec.Active() == vec.AVX512 {
			scale32AVX512(&x[0], float32(f), len(x))
		} else {
			scale32AVX2(&x[0], float32(f), len(x))
		}
	case []float64:
		if vec.Active() == vec.AVX512 {
			scale64AVX512(&x[0], float64(f), len(x))
		} else {
			scale64AVX2(&x[0], float64(f), len(x))
		}
	}
}

func clampVector[F float32 | float64](x []F, f F) {
	switch x := any(x).(type) {
	case []float32:
		if vec.Active() == vec.AVX512 {
			clamp32AVX512(&x[0], float32(f), len(x))
		} else {
			clamp32AVX2(&x[0], float32(f), len(x))
		}
	case []float64:
		if vec.Active() == vec.AVX512 {
			clamp64AVX512(&x[0], float64(f), len(x))
		} else {
			clamp64AVX2(&x[0], float64(f), len(x))
		}
	}
}

func accumulateVector[F float32 | float64](dst, src []F) {
	switch dst := any(dst).(type) {
	case []float32:
		if vec.Active() == vec.AVX512 {
			accumulate32AVX512(&dst[0], first[float32](src), len(dst))
		} else {
			accumulate32AVX2(&dst[0], first[float32](src), len(dst))
		}
	case []float64:
		if vec.Active() == vec.AVX512 {
			accumulate64AVX512(&dst[0], first[float64](src), len(dst))
		} else {
			accumulate64AVX2(&dst[0], first[float64](src), len(dst))
		}
	}
}
