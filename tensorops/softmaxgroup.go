package tensorops

// laneClasses is the number of classes up to which rows that lie one after another are turned into
// a group, those against targets: in longer ones registers are full along the row. Against labels
// they need be no longer than a register.
const (
	laneClasses      = 32
	laneLabelClasses = 3
)

// softmaxCall is a call of LabelSoftmaxRows or TargetSoftmaxRows that kernels work on.
type softmaxCall[F Float] struct {
	k   *softmaxKernels[F]
	w   *softmaxWork
	mem *softmaxMemory[F]

	values, g       []float64
	dst, x, t       []F
	labels          []int
	lo, hi          int
	classes, inner  int
	scale, softcap  float64
	smoothing       float64
	o               *LabelSoftmax
	target          *TargetSoftmax // nil against labels
	divergence      *SoftmaxDivergence
	left            []int // rows that are left to the caller
	lanes, valid    bool
	bentTargets     []F  // of a curve: what the gradient takes for the targets
	bentAt          int  // the element of t that they begin with
	loaded          bool // the group is in memory, and may no longer be in x
	block           int  // groups that are computed together
	per             int  // rows of a group
	kind            int  // of gradients
	room, roomWidth int
}

// softmaxMemory is memory for elements of one type.
type softmaxMemory[F Float] struct {
	x, t, out        []F // groups
	rows             []F // rows one after another that are not whole groups
	bent             []F // targets of rows one after another, bent by a curve
	tile, targetTile []F

	// of the rows in a tile of those that count
	labels     []int
	up, values []float64
}

func memoryOf[F Float](w *softmaxWork) *softmaxMemory[F] {
	if isFloat32[F]() {
		return any(&w.mem32).(*softmaxMemory[F])
	}
	return any(&w.mem64).(*softmaxMemory[F])
}

// groups sets how rows are put together, and sets aside memory for them.
func (c *softmaxCall[F]) groups() {
	w := c.w
	c.lanes = c.inner > 1 || c.classes <= laneLabelClasses || c.target != nil && c.classes <= laneClasses
	c.per, c.block = groupRows, 1
	if !c.lanes {
		c.per = max(1, min(groupRows, 2048/c.classes))
	}
	if c.o != nil && c.o.Curve != nil {
		c.block = max(1, min(maxGroups, 8192/(c.per*c.classes)))
	}
	c.roomWidth = c.per * c.classes
	// Kernels write whole multiples of 16, and packing takes 4 classes where there are fewer.
	c.room = max((c.roomWidth+15)&^15, 4*groupRows) + 16
	c.mem = memoryOf[F](w)
	sized(&w.e, c.block*c.room)
	if c.lanes {
		sized(&c.mem.x, c.block*c.room)
		sized(&c.mem.t, c.block*c.room)
		sized(&c.mem.out, c.room+64)
	}
}

// prepare sets what the whole call has in common.
func (c *softmaxCall[F]) prepare(weights []float64, zloss float64) {
	w := c.w
	c.groups()
	if c.softcap != 0 {
		sized(&w.slope, c.block*c.room)
		if c.keepsZ() {
			sized(&w.z, c.block*c.room)
		}
	}
	n := &w.numbers
	*n = softmaxNumbers{keep: 1 - c.smoothing, each: c.smoothing / float64(c.classes), zloss: zloss, scale: c.scale, gapScale: c.scale}
	if c.softcap != 0 {
		n.gapScale = 1
	}
	if isFloat32[F]() {
		n.floor = 0x1p-850 // exponentials below the range are not quite 0
	}
	if c.smoothing != 0 || zloss != 0 {
		n.more = 1
	}
	// w.k is w or 1 for each class against labels, and what t is multiplied by against targets; w.b
	// is added to that. Labels without smoothing need neither.
	padded := (c.classes + 15) &^ 15
	k, b := sized(&w.k, padded), sized(&w.b, padded)
	clear(k[c.classes:])
	clear(b[c.classes:])
	if c.target != nil || c.smoothing != 0 {
		n.whole = c.classWeights(k[:c.classes], weights)
	}
	if c.target != nil {
		keep, each := n.keep, n.each
		for i, v := range k[:c.classes] {
			k[i], b[i] = v*keep, v*each
		}
	}
	if c.target != nil && c.target.Curve != nil {
		one := sized(&w.curve.ones, padded)
		for i := range one {
			one[i] = 1
		}
	}
	c.kind = gradPlain
	if c.target != nil {
		c.kind = gradSoft
	} else if c.smoothing != 0 {
		c.kind = gradClasses
	}
	if c.softcap != 0 {
		c.kind += gradCapped
	}
}

// classWeights writes the weights, nil standing for all 1, to k and returns their sum.
func (c *softmaxCall[F]) classWeights(k, weights []float64) (whole float64) {
	if weights == nil {
		for i := range k {
			k[i] = 1
		}
		return float64(c.classes)
	}
	for i, v := range weights {
		whole += v
		k[i] = v
	}
	return whole
}

// labelGroups does all rows against labels.
func (c *softmaxCall[F]) labelGroups() {
	if c.long() {
		c.longRows()
		return
	}
	if n := c.tile(); n != 0 {
		c.tiles(n)
		return
	}
	c.prepare(c.o.Weights, c.o.ZLoss)
	c.labelBlocks()
}

// labelBlocks does all rows against labels after prepare.
func (c *softmaxCall[F]) labelBlocks() {
	for i := c.lo; i < c.hi; i += c.block * c.per {
		groups := 0
		for at := i; at < c.hi && groups < c.block; at += c.per {
			st := &c.w.stats[groups]
			c.takeLabels(st, at)
			if c.w.hard[groups] = 0; st.label == noLabels && c.o.BesideMax == nil {
				st.value = [groupRows]float64{}
				groups++
				continue
			}
			if !c.straight(at) {
				c.load(c.mem.x, c.x, at, groups)
			}
			c.exps(st, at, groups, false)
			c.w.hard[groups] = c.finishLabels(st, at, groups)
			groups++
		}
		if c.o.Curve != nil {
			c.bend(groups)
		}
		for b := range groups {
			c.finishGroup(&c.w.stats[b], i+b*c.per, b)
		}
	}
}

// count returns the number of rows of the group that begins with row i.
func (c *softmaxCall[F]) count(i int) int { return min(c.per, c.hi-i) }

// takeLabels sets label, weight and up of a group.
func (c *softmaxCall[F]) takeLabels(st *softmaxRows, i int) {
	n := c.count(i)
	labels, up := &c.labels[i-c.lo], &c.g[i-c.lo]
	if n < groupRows || c.o.BesideMax != nil {
		few := &c.w.few
		copy(few.labels[:], c.labels[i-c.lo:][:n])
		c.hideBeside(few.labels[:n])
		clear(few.up[copy(few.up[:], c.g[i-c.lo:][:n]):]) // an up of 0 leaves a row out
		labels, up = &few.labels[0], &few.up[0]
	}
	var weights *float64
	if c.o.Weights != nil && c.o.Curve == nil {
		weights = &c.o.Weights[0]
	}
	c.k.takeLabels(&st.others[0], labels, up, weights)
	c.showBeside(st, i)
}

// chunkClasses is the number of classes of a group that go through loading, exponentials and sums
// together: what one step writes, the next one reads from the nearest cache.
const chunkClasses = 64

// exps computes a group's exponentials and the sums over them.
func (c *softmaxCall[F]) exps(st *softmaxRows, i, b int, full bool) {
	w, k := c.w, c.k
	if !c.lanes {
		c.exp(b, 0, &c.x[i*c.classes], c.count(i)*c.classes, full)
		if c.classes > pieceClasses {
			c.sumPieces(st, w.e[b*c.room:][:c.classes])
		} else {
			k.rowSum(&st.others[0], &w.e[b*c.room], c.classes, c.count(i))
		}
		return
	}
	st.others, st.own = [groupRows]float64{}, [groupRows]float64{}
	straight := c.straight(i) && !c.loaded
	x := c.group(i, b)
	compensated := c.classes > 2*chunkClasses && !isFloat32[F]()
	if compensated {
		w.sum, w.lost = [groupRows]float64{}, [groupRows]float64{}
	}
	for from := 0; from < c.classes; from += chunkClasses {
		n, at := min(chunkClasses, c.classes-from), b*c.room+from*groupRows
		if straight && (c.inner != groupRows || c.t != nil) {
			k.classes(&x[from*groupRows], &c.x[place(i, c.classes, c.inner)+from*c.inner], c.inner, n)
		}
		c.exp(b, from*groupRows, &x[from*groupRows], n*groupRows, full)
		first := from
		if c.target != nil {
			first = -1
		}
		k.laneSum(&st.others[0], &w.e[at], first, n)
		if compensated {
			for j, v := range st.others {
				w.sum[j], w.lost[j] = addLost(w.sum[j], w.lost[j], v)
			}
			st.others = [groupRows]float64{}
		}
	}
	if compensated {
		for j, v := range w.sum {
			st.others[j] = v + w.lost[j]
		}
	}
}

// keepsZ reports whether the logits after a softcap are summed, with weights.
func (c *softmaxCall[F]) keepsZ() bool { return c.target != nil || c.smoothing != 0 }

// shortCapClasses is the number of classes up to which float32 rows under a softcap have more digits
// than float32: in longer ones they would cost more than twice what the rows cost without.
const shortCapClasses = 512

// shortCap is the largest logit whose exponential expCappedShort takes.
const shortCap = 690

// exp computes the exponentials of n logits, the first of which is number at of group b.
func (c *softmaxCall[F]) exp(b, at int, x *F, n int, full bool) {
	w, k := c.w, c.k
	at += b * c.room
	switch {
	case c.softcap != 0:
		var z *float64
		if c.keepsZ() {
			z = &w.z[at]
		}
		capped := k.expCapped
		if c.classes > shortCapClasses && c.target == nil && c.softcap*c.scale <= shortCap {
			capped = k.expCappedShort
		}
		capped(&w.e[at], z, &w.slope[at], x, n, 1/c.softcap, c.softcap*c.scale)
	case full:
		k.expFull(&w.e[at], x, n, c.scale)
	default:
		k.exp(&w.e[at], x, n, c.scale)
	}
}

// finishLabels finishes a group against labels. It returns a bit for each row that needs the row
// function.
func (c *softmaxCall[F]) finishLabels(st *softmaxRows, i, b int) (hard int) {
	if c.w.numbers.more != 0 {
		c.gaps(st, i, b)
	}
	if c.o.BesideMax != nil {
		return c.finishBeside(st, i)
	}
	return c.k.finish(&st.others[0], &c.w.numbers.keep)
}

// gaps sets Σ w·z where there is smoothing.
func (c *softmaxCall[F]) gaps(st *softmaxRows, i, b int) {
	v, w := &c.w.k[0], c.w
	switch {
	case c.smoothing == 0:
		st.gap = [groupRows]float64{}
	case c.lanes && c.softcap != 0:
		c.k.laneDotWide(&st.gap[0], &w.z[b*c.room], v, c.classes)
	case c.lanes:
		c.k.laneDot(&st.gap[0], &c.group(i, b)[0], v, c.classes)
	case c.softcap != 0:
		c.k.rowDotWide(&st.gap[0], &w.z[b*c.room], v, c.classes, c.count(i))
	default:
		c.k.rowDot(&st.gap[0], &c.x[i*c.classes], v, c.classes, c.count(i))
	}
}

// readRow reads row j of group b, which begins with row i, to be computed by itself.
func (c *softmaxCall[F]) readRow(i, b, j int) *softmaxRow {
	src, at, step := c.x, (i+j)*c.classes, 1
	if c.lanes {
		src, at, step = c.group(i, b), j, groupRows
	}
	readRow(&c.w.row, src, at, c.classes, step, c.scale, c.softcap)
	return &c.w.row
}

// finishGroup writes values and gradients of group b, which begins with row i.
func (c *softmaxCall[F]) finishGroup(st *softmaxRows, i, b int) {
	w, n := c.w, c.count(i)
	hard := w.hard[b]
	late := w.late[:0]
	for j := 0; hard != 0 && j < n; j++ {
		if hard>>j&1 == 0 {
			continue
		}
		r, g := c.readRow(i, b, j), st.up[j]
		if c.o.BesideMax != nil {
			r.beside(c.o.BesideMax[i-c.lo+j], c.o.BesideRest[i-c.lo+j])
		}
		if c.isBeside(i, j) {
			st.value[j] = r.labelBeside(st.weight[j])
		} else {
			st.value[j] = r.label(st.label[j], &g, c.o)
		}
		if c.dst != nil {
			late = append(late, r.gradient(g, c.o.ZLoss)...)
		}
		st.up[j], st.label[j] = 0, -1
	}
	w.late = late
	if c.values != nil {
		copy(c.values[i-c.lo:][:n], st.value[:])
	}
	if c.dst == nil {
		return
	}
	c.write(st, i, b)
	c.storeLabels(st, i, b)
	for j := 0; hard != 0; j++ {
		if hard>>j&1 != 0 {
			hard &^= 1 << j
			writeRow(c.dst, place(i+j, c.classes, c.inner), c.inner, late[:c.classes])
			late = late[c.classes:]
		}
	}
}

// storeLabels writes the gradients at the labels of group b, which begins with row i.
func (c *softmaxCall[F]) storeLabels(st *softmaxRows, i, b int) {
	if c.softcap != 0 {
		for j, y := range st.label {
			if y >= 0 {
				st.atLabel[j] *= c.w.slope[b*c.room+c.index(j, y)]
			}
		}
	}
	at := place(i, c.classes, c.inner)
	switch {
	case c.inner == 1:
		c.k.storeLabels(&c.dst[at], &st.others[0], c.classes, 1)
	case c.together(i, c.count(i)):
		c.k.storeLabels(&c.dst[at], &st.others[0], 1, c.inner)
	default:
		for j, y := range st.label {
			if y >= 0 {
				c.dst[place(i+j, c.classes, c.inner)+y*c.inner] = F(st.atLabel[j])
			}
		}
	}
}

// index returns where class y of row j lies in a group.
func (c *softmaxCall[F]) index(j, y int) int {
	if c.lanes {
		return groupRows*y + j
	}
	return j*c.classes + y
}

// write writes the gradients of group b, but for what belongs to labels.
func (c *softmaxCall[F]) write(st *softmaxRows, i, b int) {
	w := c.w
	e, k, bs := &w.e[b*c.room], &w.k[0], &w.b[0]
	slope := e
	if c.softcap != 0 {
		slope = &w.slope[b*c.room]
	}
	var t *F
	if c.bentTargets != nil {
		k = &w.curve.ones[0]
	}
	switch {
	case c.t != nil && c.lanes:
		t = &c.mem.t[b*c.room]
	case c.bentTargets != nil:
		t = &c.bentTargets[i*c.classes-c.bentAt]
	case c.t != nil:
		t = &c.t[i*c.classes]
	}
	c.store(st, i, e, slope, t, k, bs)
}

// store writes gradients of the group that begins with row i, made of those numbers.
func (c *softmaxCall[F]) store(st *softmaxRows, i int, e, slope *float64, t *F, k, bs *float64) {
	n, at := c.count(i), place(i, c.classes, c.inner)
	if !c.lanes {
		c.k.rowGrad[c.kind](&c.dst[at], e, slope, t, k, bs, &st.others[0], c.classes, n)
		return
	}
	if c.straight(i) {
		c.k.laneGrad[c.kind](&c.dst[at], e, slope, t, k, bs, &st.others[0], c.inner, c.classes)
		return
	}
	out := c.mem.out
	c.k.laneGrad[c.kind](&out[0], e, slope, t, k, bs, &st.others[0], groupRows, c.classes)
	switch {
	case c.inner > 1:
		for j := range n {
			at := place(i+j, c.classes, c.inner)
			for y := range c.classes {
				c.dst[at+y*c.inner] = out[groupRows*y+j]
			}
		}
	case c.classes == 1:
		copy(c.dst[at:at+n], out)
	case n == groupRows && c.classes >= 4:
		c.k.unpack(&c.dst[at], &out[0], c.classes, c.classes)
	default:
		rows := sized(&c.mem.rows, groupRows*c.classes+4)
		c.k.unpack(&rows[0], &out[0], c.classes, c.classes)
		copy(c.dst[at:at+n*c.classes], rows)
	}
}
