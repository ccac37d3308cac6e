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

// labelScore is the Brier score of a row against a label, and what the gradients of other forms have in
// common with it.
type labelScore struct {
	label, top          int     // -1: there is no top
	value, scale, miss  float64 // 1/Σe, and 1 - p of the label
	own, topShare, from float64 // p of the label and of the top, and d of the top
	along               float64 // ⟨p, d - from⟩
}

// set computes the score of the row of exponentials e against y, s being the sums of the others.
func (b *labelScore) set(e []float64, y int, s tensorops.RowSums) {
	own := e[y]
	sum := s.Sum + own
	scale := 1 / sum
	b.label, b.top, b.from, b.scale, b.miss, b.own = y, -1, 0, scale, s.Sum*scale, own*scale
	squares := s.Squares * scale * scale
	b.value = squares + b.miss*b.miss
	switch {
	case 2*own > sum:
		b.top, b.topShare, b.from, b.along = y, b.own, -b.miss, b.value
	case 2*s.Most > sum:
		b.top = rival(e, s.Most, y)
		b.topShare = s.Most * scale
		b.from = b.topShare
		rest := sumOthers(e, b.top) // with the label, whose part is small beside what is subtracted
		b.along = ((rest.Squares-own*own)-s.Most*(rest.Sum-own))*scale*scale - b.own*(b.miss+b.from)
	default:
		b.along = squares - b.own*b.miss
	}
}

// finishLabel writes the entries of the label and of the top to a row of the gradient.
func finishLabel[F core.Float](b *labelScore, dst []F, g float64) {
	if b.top >= 0 {
		dst[b.top] = F(-g * b.topShare * b.along)
	}
	if b.label != b.top {
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
			b := &scores[i]
			b.set(e[i*t.cols:][:t.cols], y, sums[i])
			t.values[i] = b.value
			three[i] = [3]float64{b.scale, -(b.from + b.along), 2 * t.factor[i] * b.scale}
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
		var b labelScore
		b.set(row, y, sumOthers(row, y))
		g := 2 * t.factor[i]
		t.values[i] = b.value
		switch {
		case t.dst == nil:
		case t.wrt == 0:
			three := [1][3]float64{{b.scale, -(b.from + b.along), g * b.scale}}
			tensorops.RowProducts(t.row(t.dst, i), row, row, three[:])
			finishLabel(&b, t.row(t.dst, i), g)
		default:
			t.dst[i*t.cols+y] = F(g * b.miss)
		}
	}
	return true
}

// cumulativeTile is quadraticScore for a tile of the form [ahead], of all classes but so many of the
// last.
func cumulativeTile[F core.Float](without int) func(*core.Settings) tileFunc[F] {
	return func(*core.Settings) tileFunc[F] {
		return func(t *tile[F]) bool {
			e, sums := t.exponentials()
			if e == nil {
				return false
			}
			w, cols := &t.numbers, t.cols
			d, scale, from, gaps := core.Fit(&w.d, len(e)), core.Fit(&w.scale, t.rows), core.Fit(&w.from, t.rows), core.Fit(&w.gaps, t.rows)
			target := t.inFloat64(1)
			if t.labels != nil {
				target = core.Fit(&t.wide[1], len(e))
				clear(target)
			}
			for i, s := range sums {
				if t.labels != nil {
					s.Sum += e[i*cols+t.labels[i]]
				}
				scale[i], from[i] = 1/s.Sum, 0
			}
			tensorops.RowGaps(gaps, d, e, target, scale, from)
			for i := range sums {
				lo := i * cols
				e := e[lo:][:cols]
				y := -1
				if t.labels != nil {
					y = t.labels[i]
				} else if gaps[i].Most == 1 {
					if y = onlyOne(target[lo:][:cols]); y < 0 {
						return false
					}
					sums[i] = sumOthers(e, y)
					scale[i] = 1 / (sums[i].Sum + e[y])
					tensorops.Combine(d[lo:][:cols], e, e, scale[i], 0)
				}
				if y >= 0 {
					d[lo+y] = -sums[i].Sum * scale[i]
					sums[i].Most = max(sums[i].Most, e[y])
				}
			}
			aheadRows(t.values, d, cols, without)
			switch {
			case t.dst == nil:
			case t.wrt == 0:
				t.cumulativeGradient(e, d, sums, scale)
			default:
				for i, g := range t.factor {
					narrowTo(t.row(t.dst, i), d[i*cols:][:cols], -g)
				}
			}
			return true
		}
	}
}

// cumulativeGradient writes the gradient by the logits, d being the derivative of the form.
func (t *tile[F]) cumulativeGradient(e, d []float64, sums []tensorops.RowSums, scale []float64) {
	scores, three := core.Fit(&t.numbers.scores, t.rows), core.Fit(&t.numbers.three, t.rows)
	for i, s := range sums {
		e, d := e[i*t.cols:][:t.cols], d[i*t.cols:][:t.cols]
		b := &scores[i]
		b.top, b.from, b.topShare = -1, 0, s.Most*scale[i]
		if b.topShare > 0.5 {
			b.top = tensorops.IndexOf(e, s.Most)
			b.from = d[b.top]
		}
		b.label = b.top
		b.along = shiftedDot(e, d, b.from) * scale[i]
		three[i] = [3]float64{1, -(b.from + b.along), t.factor[i] * scale[i]}
	}
	tensorops.RowProducts(t.dst, e, d, three)
	for i := range scores {
		finishLabel(&scores[i], t.row(t.dst, i), t.factor[i])
	}
}

// shiftedDot returns Σ e·(d - from).
func shiftedDot(e, d []float64, from float64) float64 {
	d = d[:len(e)]
	var p, q, r, s float64
	i := 0
	for ; i+4 <= len(e); i += 4 {
		x, y := e[i:i+4:i+4], d[i:i+4:i+4]
		p += x[0] * (y[0] - from)
		q += x[1] * (y[1] - from)
		r += x[2] * (y[2] - from)
		s += x[3] * (y[3] - from)
	}
	for ; i < len(e); i++ {
		p += e[i] * (d[i] - from)
	}
	return (p + q) + (r + s)
}

// aheadRows is [ahead] for rows of so many columns, in place and without some of the last: two rows at
// a time, whose sums need not wait for each other.
func aheadRows(values, d []float64, cols, without int) {
	i := 0
	for ; i+2 <= len(values); i += 2 {
		a, b := d[i*cols:][:cols], d[(i+1)*cols:][:cols]
		clear(a[cols-without:])
		clear(b[cols-without:])
		values[i], values[i+1] = aheadTwo(a[:cols-without], b[:cols-without])
	}
	if i < len(values) {
		a := d[i*cols:][:cols]
		clear(a[cols-without:])
		values[i] = ahead(a[:cols-without], a[:cols-without])
	}
}

// aheadTwo is [ahead] of two rows of one length, in place.
func aheadTwo(a, b []float64) (valueA, valueB float64) {
	b = b[:len(a)]
	sumA, sumB := 0.0, 0.0
	for k, v := range a {
		sumA += v
		sumB += b[k]
		a[k], b[k] = sumA, sumB
		valueA += sumA * sumA
		valueB += sumB * sumB
	}
	sumA, sumB = 0, 0
	for k := len(a) - 1; k >= 0; k-- {
		sumA += 2 * a[k]
		sumB += 2 * b[k]
		a[k], b[k] = sumA, sumB
	}
	return valueA, valueB
}
