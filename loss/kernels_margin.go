package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
)

// tileNumbers is what tiles keep of their rows.
type tileNumbers struct {
	mass, weighed, own, scale, from []float64
	sums                            []tensorops.RowSums
	violations                      []tensorops.Violation
	kept                            []tensorops.KeptSums
	gaps                            []tensorops.GapSums
	three                           [][3]float64
	scores                          []labelScore
	e, d                            []float64 // of entries
	near                            []int
}

// others returns the sums of the rows without their labels, and false where a row has a NaN or a
// +Inf, or nothing but -Inf.
func (t *tile[F]) others() (sums []tensorops.RowSums, ordinary bool) {
	sums = core.Fit(&t.numbers.sums, t.rows)
	tensorops.SumOthers(sums, t.x[0], t.labels)
	for i, s := range sums {
		own := float64(t.x[0][i*t.cols+t.labels[i]])
		if !(s.Sum+own < math.Inf(1)) || math.IsInf(max(s.Most, own), 0) {
			return nil, false
		}
	}
	return sums, true
}

// rival returns the first class other than y with the logit v.
func rival[F core.Float](x []F, v float64, y int) int {
	k := tensorops.IndexOf(x, F(v))
	if k == y {
		k += 1 + tensorops.IndexOf(x[y+1:], F(v))
	}
	return k
}

// worstTile is worst for a tile.
func worstTile[F core.Float](margin float64) func(*core.Settings) tileFunc[F] {
	return func(*core.Settings) tileFunc[F] {
		return func(t *tile[F]) bool {
			sums, ordinary := t.others()
			if !ordinary {
				return false
			}
			clear(t.dst)
			for i, y := range t.labels {
				x := t.row(t.x[0], i)
				l := margin + (sums[i].Most - float64(x[y]))
				if t.values[i] = max(0, l); l > 0 && t.dst != nil {
					dst, g := t.row(t.dst, i), F(t.factor[i])
					dst[rival(x, sums[i].Most, y)], dst[y] = g, -g
				}
			}
			return true
		}
	}
}

// multiMarginTile is MultiMargin for a tile.
func multiMarginTile[F core.Float](s *core.Settings) tileFunc[F] {
	a, b := 1.0, 0.0 // d = a + b·e, and Σ d·e is the loss times half
	half := 1.0
	if s.Power == 2 {
		a, b, half = 0, 2, 0.5
	}
	return func(t *tile[F]) bool {
		n := float64(t.cols)
		w := &t.numbers
		own, factor, sums := core.Fit(&w.own, t.rows), core.Fit(&w.scale, t.rows), core.Fit(&w.violations, t.rows)
		for i, y := range t.labels {
			own[i], factor[i] = float64(t.x[0][i*t.cols+y]), t.factor[i]/n
		}
		dst := t.dst
		if dst == nil {
			dst = core.Fit(&t.out, len(t.x[0]))
		}
		tensorops.Violations(sums, dst, t.x[0], t.labels, own, factor, s.Margin, a, b)
		for i, y := range t.labels {
			if t.values[i] = sums[i].Loss * half / n; !core.Finite(sums[i].Loss) {
				return false
			}
			dst[i*t.cols+y] = F(-factor[i] * sums[i].Slope)
		}
		return true
	}
}

// categoricalHingeTile is CategoricalHinge for a tile.
func categoricalHingeTile[F core.Float](*core.Settings) tileFunc[F] {
	return func(t *tile[F]) bool {
		if t.labels == nil {
			return softCategoricalHinge(t)
		}
		sums, ordinary := t.others()
		if !ordinary {
			return false
		}
		clear(t.dst)
		for i, y := range t.labels {
			x := t.row(t.x[0], i)
			best := max(0, sums[i].Most)
			l := 1 + best - float64(x[y])
			if t.values[i] = max(0, l); !(l > 0) || t.dst == nil {
				continue
			}
			dst, g := t.row(t.dst, i), F(t.factor[i])
			dst[y] = -g
			if best == sums[i].Most {
				if k := rival(x, best, y); best > 0 || k < y {
					dst[k] = g
				}
			}
		}
		return true
	}
}

// softCategoricalHinge is categoricalHingeTile for soft targets.
func softCategoricalHinge[F core.Float](t *tile[F]) bool {
	x, target := t.inFloat64(0), t.inFloat64(1)
	sums := core.Fit(&t.numbers.kept, t.rows)
	tensorops.SumKept(sums, x, target)
	for i, s := range sums {
		if !core.Finite(s.Hit) {
			return false
		}
		l := 1 + s.Most - s.Hit
		if t.values[i] = max(0, l); t.dst == nil {
			continue
		}
		dst, g := t.row(t.dst, i), t.factor[i]
		if !(l > 0) {
			clear(dst)
			continue
		}
		tensorops.Combine(dst, t.row(t.x[1-t.wrt], i), t.row(t.x[1-t.wrt], i), -g, 0)
		k := 0
		for lo := i * t.cols; (1-target[lo+k])*x[lo+k] != s.Most; {
			k++
		}
		if at := i*t.cols + k; t.wrt == 0 {
			dst[k] = F(g * ((1 - target[at]) - target[at]))
		} else {
			dst[k] = F(-2 * g * x[at])
		}
	}
	return true
}

// evidentialTile is EvidentialMSE for a tile. Its gradient is linear in the evidence, but for the
// label's.
func evidentialTile[F core.Float](*core.Settings) tileFunc[F] {
	return func(t *tile[F]) bool {
		sums := core.Fit(&t.numbers.sums, t.rows)
		tensorops.SumOthers(sums, t.x[0], t.labels)
		n := float64(t.cols - 1)
		for i, y := range t.labels {
			x, s := t.row(t.x[0], i), sums[i]
			// with α = e + 1: Σ α and Σ α² over the classes but the label's
			rest, squares := s.Sum+n, s.Squares+2*s.Sum+n
			alpha := float64(x[y]) + 1
			total := rest + alpha
			if !(squares+alpha*alpha <= math.MaxFloat64) {
				return false
			}
			miss, own, pp := rest/total, alpha/total, squares/total/total // 1 - p_y, p_y, Σ p² of the others
			u := 1 / (total + 1)
			spread := miss - pp + own*miss
			t.values[i] = pp + miss*miss + u*spread
			if t.dst == nil {
				continue
			}
			a := u*(1-2*own) - 2*miss
			along := 2*(1-u)*pp + u*miss + own*a
			g := t.factor[i]
			slope := 2 * (1 - u) / total / total
			level := slope + (u-along)/total - spread*u*u
			dst := t.row(t.dst, i)
			gs, gl := g*slope, g*level
			for j, v := range x {
				dst[j] = F(gs*float64(v) + gl)
			}
			dst[y] = F(g * ((a-along)/total - spread*u*u))
		}
		return true
	}
}

// cosineTile is CosineDistance for a tile. Of vectors longer than ε it is half the square of the
// distance of the two of length 1, which keeps its digits where they are nearly equal.
func cosineTile[F core.Float](s *core.Settings) tileFunc[F] {
	return func(t *tile[F]) bool {
		for i := range t.rows {
			x, y := t.row(t.x[t.wrt], i), t.row(t.x[1-t.wrt], i)
			xx, xy, yy := tensorops.DotProducts(x, y)
			// in the squares' range, with room for the products of the two
			if !(max(xx, yy) < 0x1p400) || min(xx, yy) < 0x1p-400 && s.Epsilon < 0x1p-200 {
				return false
			}
			length, other := math.Sqrt(xx), math.Sqrt(yy)
			a, c := 1/max(length, s.Epsilon), 1/max(other, s.Epsilon)
			var l float64
			if length > s.Epsilon && other > s.Epsilon {
				l = tensorops.CombinedSquares(x, y, a, -c) / 2
			} else {
				l = 1 - a*c*xy
			}
			if t.values[i] = l; t.dst == nil {
				continue
			}
			g, along := t.factor[i], 1-l
			if !(length > s.Epsilon) {
				along = 0
			}
			tensorops.Combine(t.row(t.dst, i), x, y, g*a*a*along, -g*a*c)
		}
		return true
	}
}

// scaledTile is scaled for a tile, in float64: a scale makes roundings of the logits large.
func scaledTile[F core.Float](curve func(s *core.Settings) func(class int, x float64) (z, d, dd float64)) func(*core.Settings) tileFunc[F] {
	return func(s *core.Settings) tileFunc[F] {
		curve := curve(s)
		return func(t *tile[F]) bool {
			w := &t.numbers
			z, slopes := core.Fit(&w.e, len(t.x[0])), core.Fit(&w.own, t.rows)
			copy(z, t.inFloat64(0))
			for i, y := range t.labels {
				if t.factor[i] == 0 && !core.Finite(core.Total(z[i*t.cols:][:t.cols])) {
					return false // the kernel does not read the row, which may be NaN for all that
				}
				at := i*t.cols + y
				z[at], slopes[i], _ = curve(y, z[at])
			}
			var grad []float64
			if t.dst != nil {
				grad = z
			}
			o := tensorops.LabelSoftmax{Classes: t.cols, Inner: 1, Scale: s.Scale}
			tensorops.LabelSoftmaxRows(t.values, grad, z, 0, t.rows, t.labels, t.factor, &o)
			if t.dst == nil {
				return true
			}
			for i, y := range t.labels {
				grad[i*t.cols+y] *= slopes[i]
			}
			narrowTo(t.dst, grad, 1)
			return true
		}
	}
}
