package loss

import (
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// sparseReach is how far below the largest logit an entry lies at most that has a part in a
// projection: 1 for Sparsemax, 2 for Entmax15.
const sparseReach = 2

// A sparseRow is what a projection and its loss read and write of a row.
type sparseRow struct{ x, z, t, p, slopes, sorted []float64 }

// sparseRowOf returns a row of n entries in the memory of buf.
func sparseRowOf(buf *[]float64, n int) sparseRow {
	b := core.Fit(buf, 6*n)
	return sparseRow{b[:n:n], b[n : 2*n : 2*n], b[2*n : 3*n : 3*n], b[3*n : 4*n : 4*n], b[4*n : 5*n : 5*n], b[5*n:]}
}

// cut returns the first n entries of a row.
func (r *sparseRow) cut(n int) sparseRow {
	return sparseRow{r.x[:n], r.z[:n], r.t[:n], r.p[:n], r.slopes[:n], r.sorted[:n]}
}

// sparseTile is fenchel for a tile. The row of a label is that of the entries near the largest and of
// the label alone: the others have a p of 0, and add nothing.
func sparseTile[F core.Float](project projection, omega regulariser, integral float64) func(*core.Settings) tileFunc[F] {
	return func(*core.Settings) tileFunc[F] {
		return func(t *tile[F]) bool {
			if t.labels == nil {
				return softSparse(t, project, omega, integral)
			}
			sums, ordinary := t.others()
			if !ordinary {
				return false
			}
			clear(t.dst)
			row, near := sparseRowOf(&t.numbers.d, t.cols), core.Fit(&t.numbers.near, t.cols)
			for i, y := range t.labels {
				x := t.row(t.x[0], i)
				top := max(sums[i].Most, float64(x[y]))
				n, least := 0, top-sparseReach
				for j, v := range x {
					if v := float64(v); v >= least || j == y {
						near[n], row.x[n], row.z[n], row.t[n] = j, v, v-top, 0
						if j == y {
							row.t[n] = 1
						}
						n++
					}
				}
				r := row.cut(n)
				tau := project(r.p, r.slopes, r.z, r.sorted)
				t.values[i] = fenchelValue(&r, tau, top, omega, integral)
				if t.dst == nil {
					continue
				}
				dst, g := t.row(t.dst, i), t.factor[i]
				for k, j := range near[:n] {
					dst[j] = F(g * (r.p[k] - r.t[k]))
				}
			}
			return true
		}
	}
}

// softSparse is sparseTile for soft targets.
func softSparse[F core.Float](t *tile[F], project projection, omega regulariser, integral float64) bool {
	x, target := t.inFloat64(0), t.inFloat64(1)
	row := sparseRowOf(&t.numbers.d, t.cols)
	for i := range t.rows {
		lo := i * t.cols
		row.x, row.t = x[lo:][:t.cols], target[lo:][:t.cols]
		top := slices.Max(row.x)
		if !core.Finite(top) {
			return false
		}
		for j, v := range row.x {
			row.z[j] = v - top
		}
		tau := project(row.p, row.slopes, row.z, row.sorted)
		t.values[i] = fenchelValue(&row, tau, top, omega, integral)
		if t.dst == nil {
			continue
		}
		dst, g := t.row(t.dst, i), t.factor[i]
		for j, p := range row.p {
			if t.wrt == 0 {
				dst[j] = F(g * (p - row.t[j]))
				continue
			}
			_, slope, _ := omega(row.t[j], p)
			dst[j] = F(g * (slope - row.x[j]))
		}
	}
	return true
}
