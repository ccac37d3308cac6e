package tensorops

import "math"

// curveLen is the number of entries that a curve of targets is computed for at once.
const curveLen = exactClasses * groupRows

// exactClasses is the number of classes up to which gradients are differences of float64 numbers.
const exactClasses = 128

// curveWork is memory for a curve: a number of each entry, and those of rows.
type curveWork struct {
	nll, u, value, slope [curveLen]float64
	logSum, inverse, top [groupRows]float64 // top: what entries are taken from
	sum, pull            [groupRows]float64
	ones                 []float64
}

// curved does a group of targets whose terms are a function of -log p. It sets value, factor and add
// of the n rows, and leaves in the place of the targets what the gradient takes for them: with a_j =
// w_j·t_j,
//
//	l = Σ_j a_j·φ(-log p_j)        dl/dz_j = p_j·Σ_c a_c·φ'_c - a_j·φ'_j
//
// Rows whose exponentials leave the range are not valid, as are targets that are no numbers >= 0.
func (c *softmaxCall[F]) curved(st *softmaxRows, i int) {
	w, n := &c.w.curve, c.count(i)
	for j := range groupRows {
		total := st.others[j]
		w.logSum[j], w.inverse[j], w.sum[j], w.pull[j], w.top[j] = 0, 0, 0, 0, 0
		if j >= n || st.up[j] == 0 {
			st.up[j] = 0
			continue
		}
		if !(total >= 0x1p-990 && total <= 0x1p990) {
			c.valid, st.up[j] = false, 0
			continue
		}
		w.logSum[j], w.inverse[j] = shortLog(total), 1/total
		if math.Abs(w.logSum[j]) > farSum {
			c.takeTop(j, i, total)
		}
	}
	if c.lanes {
		c.bentTargets, c.bentAt = c.mem.t, 0
		for from := 0; from < c.classes; from += curveLen / groupRows {
			c.curveLanes(st, from, min(curveLen/groupRows, c.classes-from))
		}
	} else {
		c.bentTargets, c.bentAt = sized(&c.mem.bent, n*c.classes+groupRows), i*c.classes
		for j := range n {
			for from := 0; from < c.classes; from += curveLen {
				c.curveRow(st, i, j, from, min(curveLen, c.classes-from))
			}
		}
	}
	for j := range groupRows {
		g := st.up[j] * c.scale
		if st.value[j], st.factor[j], st.add[j] = w.sum[j], g*w.pull[j]*w.inverse[j], -g; g == 0 {
			st.value[j], st.factor[j], st.add[j] = 0, 0, 0
		}
	}
}

// farSum bounds the logarithm of a sum from which entries are taken. Where it is more, both are taken
// from the row's largest entry, next to which -log p keeps its digits.
const farSum = 12

// takeTop sets the largest entry of row j of the group that begins with row i, and the logarithm of
// the sum beside it.
func (c *softmaxCall[F]) takeTop(j, i int, total float64) {
	w, at, step := &c.w.curve, j*c.classes, 1
	if c.lanes {
		at, step = j, groupRows
	}
	m := largest(c.w.e, at, step, c.classes)
	x := c.x[i*c.classes:]
	if c.lanes {
		x = c.mem.x
	}
	w.top[j], w.logSum[j] = float64(x[m])*c.scale, math.Log(total/c.w.e[m])
}

// sharp is the probability from which 1 - p is taken from the other classes.
const sharp = 1 - 0x1p-4

// curveRow adds n classes of row j of the group that begins with row i.
func (c *softmaxCall[F]) curveRow(st *softmaxRows, i, j, from, n int) {
	w := &c.w.curve
	at := (i+j)*c.classes + from
	x, t, e := c.x[at:][:n], c.t[at:][:n], c.w.e[j*c.classes+from:][:n]
	bent, k := c.bentTargets[j*c.classes+from:][:n], c.w.k[from:][:n]
	if st.up[j] == 0 {
		clear(bent)
		return
	}
	nll, u := w.nll[:n], w.u[:n]
	inverse, logSum, top, scale := w.inverse[j], w.logSum[j], w.top[j], c.scale
	for y, v := range e {
		q := v * inverse
		u[y], nll[y] = 1-q, logSum-(float64(x[y])*scale-top)
		if q > sharp {
			row := c.w.e[j*c.classes:][:c.classes]
			u[y], nll[y] = sharpened(row, from+y, 1)
		}
	}
	value, slope := w.value[:n], w.slope[:n]
	c.target.Curve(value, slope, nll, u)
	sum, pull := w.sum[j], w.pull[j]
	for y, q := range t {
		a := float64(q) * k[y]
		if a == 0 {
			slope[y], bent[y] = 0, 0
			continue
		}
		if !(q >= 0 && float64(q) <= math.MaxFloat64) {
			c.valid = false
		}
		f := a * slope[y]
		sum += a * value[y]
		pull += f
		slope[y], bent[y] = f, F(f)
	}
	w.sum[j], w.pull[j] = sum, pull
	if c.classes > exactClasses {
		return
	}
	w.pull[j] = 0
	for y, v := range e {
		bent[y] = F(slope[y] - pull*(v*inverse))
	}
}

// sharpened returns 1 - p and -log p of class y of a row of exponentials, step apart, from the sum of
// the others.
func sharpened(e []float64, y, step int) (u, nll float64) {
	own, rest := e[y*step], 0.0
	for c := 0; c < len(e); c += step {
		if c != y*step {
			rest += e[c]
		}
	}
	return rest / (own + rest), math.Log1p(rest / own)
}

// curveLanes adds n classes of every row of a group of lanes.
func (c *softmaxCall[F]) curveLanes(st *softmaxRows, from, n int) {
	w := &c.w.curve
	lo, m := from*groupRows, n*groupRows
	x, t, e := c.mem.x[lo:][:m], c.mem.t[lo:][:m], c.w.e[lo:][:m]
	nll, u := w.nll[:m], w.u[:m]
	scale, logSum, inverse, top := c.scale, w.logSum, w.inverse, w.top
	for at := 0; at < m; at += groupRows {
		x, e := (*[groupRows]F)(x[at:]), (*[groupRows]float64)(e[at:])
		nll, u := (*[groupRows]float64)(nll[at:]), (*[groupRows]float64)(u[at:])
		for j, v := range e {
			q := v * inverse[j]
			u[j], nll[j] = 1-q, logSum[j]-(float64(x[j])*scale-top[j])
			if q > sharp {
				u[j], nll[j] = sharpened(c.w.e[j:][:(c.classes-1)*groupRows+1], from+at/groupRows, groupRows)
			}
		}
	}
	value, slope := w.value[:m], w.slope[:m]
	c.target.Curve(value, slope, nll, u)
	sum, pull, up := w.sum, w.pull, st.up
	for at := 0; at < m; at += groupRows {
		k, t := c.w.k[from+at/groupRows], (*[groupRows]F)(t[at:])
		value, slope := (*[groupRows]float64)(value[at:]), (*[groupRows]float64)(slope[at:])
		for j, q := range t {
			a := float64(q) * k
			if a == 0 || up[j] == 0 {
				slope[j], t[j] = 0, 0
				continue
			}
			if !(q >= 0 && float64(q) <= math.MaxFloat64) {
				c.valid = false
			}
			f := a * slope[j]
			sum[j] += a * value[j]
			pull[j] += f
			slope[j], t[j] = f, F(f)
		}
	}
	if w.sum, w.pull = sum, pull; c.classes > exactClasses {
		return
	}
	for j := range pull {
		pull[j] *= inverse[j]
	}
	w.pull = [groupRows]float64{}
	for at := 0; at < m; at += groupRows {
		t, e := (*[groupRows]F)(t[at:]), (*[groupRows]float64)(e[at:])
		slope := (*[groupRows]float64)(slope[at:])
		for j, v := range e {
			if up[j] != 0 {
				t[j] = F(slope[j] - pull[j]*v)
			}
		}
	}
}
