package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// The gradient of a quadratic form of d = softmax(x) - t with the derivative g is p_j·(g_j - ⟨p, g⟩).
// Here g is taken from that of the class whose probability is above one half, the top, if there is
// one: what is left there would be lost. For the same reason d of a label is that of the others.

// exponentials returns the exponentials of the logits and the sums of the rows without their labels;
// nil where one leaves the range whose squares are numbers.
func (t *tile[F]) exponentials() (e []float64, sums []tensorops.RowSums) {
	e = core.Fit(&t.numbers.e, len(t.x[0]))
	vec.Exp(e, t.inFloat64(0))
	sums = core.Fit(&t.numbers.sums, t.rows)
	tensorops.SumOthers(sums, e, t.labels)
	for i, s := range sums {
		if t.labels != nil {
			s.Sum += e[i*t.cols+t.labels[i]]
		}
		if !(s.Sum >= 0x1p-500 && s.Sum <= 0x1p500) {
			return nil, nil
		}
	}
	return e, sums
}

// onlyOne returns the class whose target is 1, where the others are 0; -1: there is none.
func onlyOne(t []float64) int {
	y := -1
	for j, v := range t {
		switch {
		case v == 0:
		case v == 1 && y < 0:
			y = j
		default:
			return -1
		}
	}
	return y
}

// sumOthers is SumOthers of one row.
func sumOthers(e []float64, y int) tensorops.RowSums {
	var sums [1]tensorops.RowSums
	labels := [1]int{y}
	tensorops.SumOthers(sums[:], e, labels[:])
	return sums[0]
}

// labelScore is the Brier score of a row against a label.
type labelScore struct {
	label, top          int     // -1: there is no top
	value, scale, miss  float64 // 1/Σe, and 1 - p of the label
	own, topShare, from float64 // p of the label and of the top, and d of the top
	along               float64 // ⟨p, d - from⟩
}

// labelScoreOf returns the score of the row of exponentials e against y, s being the sums of the
// others.
func labelScoreOf(e []float64, y int, s tensorops.RowSums) labelScore {
	own := e[y]
	sum := s.Sum + own
	scale := 1 / sum
	b := labelScore{label: y, top: -1, scale: scale, miss: s.Sum * scale, own: own * scale}
	b.value = s.Squares*scale*scale + b.miss*b.miss
	switch {
	case 2*own > sum:
		b.top, b.topShare, b.from, b.along = y, b.own, -b.miss, b.value
	case 2*s.Most > sum:
		b.top = rival(e, s.Most, y)
		e[y] = 0
		rest := sumOthers(e, b.top)
		e[y] = own
		b.topShare = s.Most * scale
		b.from = b.topShare
		b.along = (rest.Squares-s.Most*rest.Sum)*scale*scale - b.own*(b.miss+b.from)
	default:
		b.along = s.Squares*scale*scale - b.own*b.miss
	}
	return b
}

// products returns the three numbers of the gradient g·p_j·(d_j - ⟨p, d⟩), in which e stands for d.
func (b *labelScore) products(g float64) [3]float64 {
	return [3]float64{b.scale, -(b.from + b.along), g * b.scale}
}

// finish writes the entries of the label and of the top to a row of the gradient.
func finishLabel[F core.Float](b *labelScore, dst []F, g float64) {
	if b.top >= 0 {
		dst[b.top] = F(-g * b.topShare * b.along)
	}
	if b.top != b.label {
		dst[b.label] = F(-g * b.own * (b.miss + b.from + b.along))
	}
}

// brierTile is Brier for a tile.
func brierTile[F core.Float](*core.Settings) tileFunc[F] {
	return func(t *tile[F]) bool {
		e, sums := t.exponentials()
		switch {
		case e == nil:
			return false
		case t.labels == nil:
			return softBrier(t, e, sums)
		}
		scores, three := core.Fit(&t.numbers.scores, t.rows), core.Fit(&t.numbers.three, t.rows)
		for i, y := range t.labels {
			scores[i] = labelScoreOf(e[i*t.cols:][:t.cols], y, sums[i])
			t.values[i] = scores[i].value
			three[i] = scores[i].products(2 * t.factor[i])
		}
		if t.dst != nil {
			tensorops.RowProducts(t.dst, e, e, three)
			for i := range scores {
				finishLabel(&scores[i], t.row(t.dst, i), 2*t.factor[i])
			}
		}
		return true
	}
}

// softBrier is brierTile for soft targets.
func softBrier[F core.Float](t *tile[F], e []float64, sums []tensorops.RowSums) bool {
	w, target := &t.numbers, t.inFloat64(1)
	d, scale, from, gaps := core.Fit(&w.d, len(e)), core.Fit(&w.scale, t.rows), core.Fit(&w.from, t.rows), core.Fit(&w.gaps, t.rows)
	for i, s := range sums {
		scale[i], from[i] = 1/s.Sum, 0
		if 2*s.Most > s.Sum && t.dst != nil && t.wrt == 0 {
			at := i*t.cols + tensorops.IndexOf(e[i*t.cols:][:t.cols], s.Most)
			from[i] = scale[i]*e[at] - target[at]
		}
	}
	tensorops.RowGaps(gaps, d, e, target, scale, from)
	three := core.Fit(&w.three, t.rows)
	for i, s := range gaps {
		t.values[i] = s.Squares
		three[i] = [3]float64{1, -s.Product * scale[i], 2 * t.factor[i] * scale[i]}
	}
	switch {
	case t.dst == nil:
	case t.wrt == 0:
		tensorops.RowProducts(t.dst, e, d, three)
	default:
		for i, g := range t.factor {
			narrowTo(t.row(t.dst, i), d[i*t.cols:][:t.cols], -2*g)
		}
	}
	for i, s := range gaps {
		if s.Most != 1 {
			continue
		}
		row := e[i*t.cols:][:t.cols]
		y := onlyOne(target[i*t.cols:][:t.cols])
		if y < 0 {
			return false
		}
		b, g := labelScoreOf(row, y, sumOthers(row, y)), 2*t.factor[i]
		t.values[i] = b.value
		switch {
		case t.dst == nil:
		case t.wrt == 0:
			three := [1][3]float64{b.products(g)}
			tensorops.RowProducts(t.row(t.dst, i), row, row, three[:])
			finishLabel(&b, t.row(t.dst, i), g)
		default:
			t.dst[i*t.cols+y] = F(g * b.miss)
		}
	}
	return true
}

// cumulativeTile is quadraticScore for a tile of a form that is computed along the classes.
func cumulativeTile[F core.Float](form func(dst, e []float64) float64) func(*core.Settings) tileFunc[F] {
	return func(*core.Settings) tileFunc[F] {
		return func(t *tile[F]) bool {
			e, sums := t.exponentials()
			if e == nil {
				return false
			}
			w, cols := &t.numbers, t.cols
			d, scale, from, gaps := core.Fit(&w.d, len(e)), core.Fit(&w.scale, t.rows), core.Fit(&w.from, t.rows), core.Fit(&w.gaps, t.rows)
			for i, s := range sums {
				if t.labels != nil {
					s.Sum += e[i*cols+t.labels[i]]
				}
				scale[i], from[i] = 1/s.Sum, 0
			}
			target := t.inFloat64(1)
			if t.labels != nil {
				target = core.Fit(&t.wide[1], len(e))
				clear(target)
			}
			tensorops.RowGaps(gaps, d, e, target, scale, from)
			three := core.Fit(&w.three, t.rows)
			for i, s := range sums {
				lo := i * cols
				e, d := e[lo:][:cols], d[lo:][:cols]
				y := -1
				if t.labels != nil {
					y = t.labels[i]
				} else if gaps[i].Most == 1 {
					if y = onlyOne(target[lo:][:cols]); y < 0 {
						return false
					}
					s = sumOthers(e, y)
					scale[i] = 1 / (s.Sum + e[y])
					tensorops.Combine(d, e, e, scale[i], 0)
				}
				most, sum := s.Most, s.Sum
				if y >= 0 {
					d[y] = -s.Sum * scale[i]
					most, sum = max(most, e[y]), sum+e[y]
				}
				t.values[i] = form(d, d)
				if t.dst == nil || t.wrt != 0 {
					continue
				}
				if 2*most > sum {
					from := d[tensorops.IndexOf(e, most)]
					for j := range d {
						d[j] -= from
					}
				}
				three[i] = [3]float64{1, -core.Dot(e, d) * scale[i], t.factor[i] * scale[i]}
			}
			switch {
			case t.dst == nil:
			case t.wrt == 0:
				tensorops.RowProducts(t.dst, e, d, three)
			default:
				for i, g := range t.factor {
					narrowTo(t.row(t.dst, i), d[i*cols:][:cols], -g)
				}
			}
			return true
		}
	}
}
