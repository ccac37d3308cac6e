package tensorops

import (
	"math"
	"testing"
)

// Divergences of every content, layout and element type are what a sum in float64 says, rows of
// factor 0 are not read, and kernels stay within their memory.
func TestSoftmaxDivergence(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testSoftmaxDivergence[float32](t, 1e-6)
		testSoftmaxDivergence[float64](t, 1e-12)
	})
}

func testSoftmaxDivergence[F Float](t *testing.T, tolerance float64) {
	t.Helper()
	if active[F]().softmax == nil {
		if _, ok := SoftmaxDivergenceRows[F](nil, nil, nil, nil, 0, 0, nil, nil, nil, &SoftmaxDivergence{Classes: 1, Inner: 1, Scale: 1}); ok {
			t.Error("there are no kernels, but it reports some")
		}
		return
	}
	r := newRand(nil, 11)
	for _, shape := range [][2]int{{2, 1}, {5, 1}, {21, 1}, {2, 5}, {21, 40}, {70, 40}} {
		classes, inner := shape[0], shape[1]
		const rows = 40
		for _, o := range []SoftmaxDivergence{
			{}, {Scale: 0.25}, {A: LogEntries}, {B: LogEntries}, {B: ProbabilityEntries}, {Scale: 0.25, Share: 8, LabelShare: 0.5},
		} {
			o.Classes, o.Inner = classes, inner
			if o.Scale == 0 {
				o.Scale = 1
			}
			var labels []int
			if o.Share != 0 {
				labels, o.Weights = make([]int, rows), make([]float64, classes)
				for i := range labels {
					labels[i] = r.IntN(classes)
				}
				for y := range o.Weights {
					o.Weights[y] = 0.5 + r.Float64()
				}
			}
			a, b := make([]F, rows*classes), make([]F, rows*classes)
			g := make([]float64, rows)
			for i := range rows {
				g[i] = 1 + r.Float64()
				at := place(i, classes, inner)
				for y := range classes {
					k := at + y*inner
					a[k], b[k] = F(3*r.NormFloat64()), F(3*r.NormFloat64())
					if o.A == LogEntries {
						a[k] -= F(math.Log(float64(classes)) + 4)
					}
					if o.B == ProbabilityEntries {
						b[k] = F(math.Exp(float64(b[k])) / float64(classes) / 90)
					}
					if i%4 == 1 && o.A == o.B { // nearly equal
						a[k] = b[k] + F(1e-3*r.NormFloat64())
					}
				}
				if i%7 == 3 {
					g[i], a[at], b[at] = 0, F(math.NaN()), F(math.NaN())
				}
			}
			for _, byB := range []bool{false, true} {
				o.ByB = byB
				w := new(softmaxWork)
				w.single = LabelSoftmax{Classes: classes, Inner: inner, Weights: o.Weights}
				values, dst := make([]float64, rows), make([]F, len(a))
				c := softmaxCall[F]{k: active[F]().softmax, w: w, values: values, dst: dst, x: a, t: b, hi: rows, labels: labels, g: g,
					classes: classes, inner: inner, scale: o.Scale, divergence: &o, o: &w.single}
				c.divergences()
				m, p := memoryOf[F](w), &w.pair
				var intact []func() bool
				for _, buf := range []*[]F{&m.x, &m.t, &m.out, &m.rows} {
					intact = append(intact, withGuard(buf, 256, 12345))
				}
				for _, buf := range []*[]float64{&w.e, &p.ea, &p.eb, &p.products, &p.own, &p.logs} {
					intact = append(intact, withGuard(buf, 256, 12345))
				}
				c.left = nil
				c.divergences()
				for i, ok := range intact {
					if !ok() {
						t.Errorf("%s, %d classes, inner %d, %+v: buffer %d is written behind its end", dtypeName[F](), classes, inner, o, i)
					}
				}
				if len(c.left) > 0 {
					t.Errorf("%s, %d classes, inner %d, %+v: rows %v are left", dtypeName[F](), classes, inner, o, c.left)
				}
				for i := range rows {
					label := -1
					if labels != nil {
						label = labels[i]
					}
					checkDivergence(t, &o, i, label, g[i], values[i], dst, a, b, tolerance)
				}
			}
		}
	}
}

// checkDivergence compares a row with what sums in float64 say.
func checkDivergence[F Float](t *testing.T, o *SoftmaxDivergence, i, label int, g, value float64, dst, a, b []F, tolerance float64) {
	t.Helper()
	n := o.Classes
	at := place(i, n, o.Inner)
	logs := func(x []F, content RowContent, scale float64) []float64 {
		out, sum := make([]float64, n), 0.0
		for y := range out {
			out[y] = float64(x[at+y*o.Inner])
			switch content {
			case LogitEntries:
				out[y] *= scale
			case ProbabilityEntries:
				out[y] = math.Log(out[y])
			}
			sum += math.Exp(out[y])
		}
		for y := range out {
			if content == LogitEntries {
				out[y] -= math.Log(sum)
			}
		}
		return out
	}
	la, lb := logs(a, o.A, o.Scale), logs(b, o.B, o.Scale)
	want, mass, grad := 0.0, 0.0, make([]float64, n)
	for y := range la {
		want += math.Exp(la[y]) * (la[y] - lb[y])
		mass += math.Exp(la[y])
	}
	for y := range grad {
		p, q, d := math.Exp(la[y]), math.Exp(lb[y]), la[y]-lb[y]
		switch {
		case !o.ByB && o.A == LogitEntries:
			grad[y] = o.Scale * p * (d - want)
		case !o.ByB:
			grad[y] = p * (d + 1)
		case o.B == LogitEntries:
			grad[y] = o.Scale * (mass*q - p)
		case o.B == LogEntries:
			grad[y] = -p
		default:
			grad[y] = -p / q
		}
	}
	if label >= 0 {
		own := logs(b, LogitEntries, 1)
		weight := o.Weights[label]
		for y := range grad {
			if grad[y] *= o.Share * weight; o.ByB {
				grad[y] += o.LabelShare * weight * math.Exp(own[y])
			}
		}
		if o.ByB {
			grad[label] -= o.LabelShare * weight
		}
		want = weight * (o.Share*want - o.LabelShare*own[label])
	}
	if g == 0 {
		want = 0
		clear(grad)
	}
	size := 0.0
	for _, v := range grad {
		size = max(size, g*math.Abs(v))
	}
	if !(math.Abs(value-want) <= tolerance*math.Abs(want)+1e-13) {
		t.Errorf("%s, %+v, row %d: value %v, want %v", dtypeName[F](), *o, i, value, want)
	}
	for y, v := range grad {
		if got := float64(dst[at+y*o.Inner]); !(math.Abs(got-g*v) <= tolerance*size+1e-13) {
			t.Errorf("%s, %+v, row %d: gradient %d is %v, want %v", dtypeName[F](), *o, i, y, got, g*v)
			return
		}
	}
}
