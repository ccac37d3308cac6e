package tensorops

// softmaxKernels are the inner loops of softmax losses. A group is groupRows rows side by side:
// element c of its row i is number groupRows·c + i. Pointers are to the first of as many elements
// as the comment implies; st is a softmaxRows, numbers a softmaxNumbers.
type softmaxKernels[F Float] struct {
	// exp writes e[i] = exp(scale·x[i]) for n elements, and what it likes up to the next multiple
	// of 16. An exponent is taken for the nearest number within ±1000·ln 2. expFull is good to
	// float64's last digits, exp to a relative 2^-42 for float32.
	exp, expFull func(e *float64, x *F, n int, scale float64)

	// expCapped writes z = out·tanh(in·x) unless it is nil, e = exp(z) and the slope 1 - tanh².
	// -Inf stays, with a slope of 0. expCappedShort has a bit more than the digits of float32: tanh to
	// a relative 2^-32, exp to 2^-28. Its out is at most shortCap.
	expCapped, expCappedShort func(e, z, slope *float64, x *F, n int, in, out float64)

	// pack makes a group of rows of elements that lie one after another, stride apart, classes of
	// rows that lie side by side, their classes stride apart. unpack is pack turned round. Of fewer
	// than 4 classes both take 4.
	pack, unpack, classes func(dst, x *F, stride, classes int)

	// copyTile copies groups of 16 elements, toStep and fromStep apart, of each class, whose first ones
	// lie to and from apart.
	copyTile func(dst, x *F, to, from, toStep, fromStep, groups, classes int)

	// laneDot writes Σ v[c]·x for each row of a group, rowDot for rows one after another.
	laneDot     func(sum *float64, x *F, v *float64, classes int)
	laneDotWide func(sum, x, v *float64, classes int)
	rowDot      func(sum *float64, x *F, v *float64, classes, rows int)
	rowDotWide  func(sum, x, v *float64, classes, rows int)

	// laneTarget sets mass = Σ a, gap = Σ a·z and signs for a = k·t + b, where a = 0 adds nothing.
	// rowTarget returns them.
	laneTarget       func(st *float64, t, z *F, k, b *float64, classes int)
	laneTargetCapped func(st *float64, t *F, z, k, b *float64, classes int)
	rowTarget        func(t, z *F, k, b *float64, n int) (mass, gap, signs float64)
	rowTargetCapped  func(t *F, z, k, b *float64, n int) (mass, gap, signs float64)

	// laneEntropy writes Σ t·log t of each row of a group.
	laneEntropy func(sum *float64, t *F, classes int)

	// gaps writes e·(a·x - b·y) for n elements, and what it likes up to the next multiple of 16.
	gaps func(dst, e *float64, x, y *F, n int, a, b float64)

	// laneSum sets own to the exponential of each row's label, which becomes 0 in e, and adds the
	// others to others: for as many classes from one on, with which e begins. rowSum does for rows
	// that lie one after another, from 0 on.
	laneSum func(st, e *float64, from, classes int)
	rowSum  func(st, e *float64, classes, rows int)

	// takeLabels sets label, weight and up of a group. A row with a negative label or an up of 0 is
	// left out; its label becomes -1, its up 0. weights may be nil.
	takeLabels func(st *float64, labels *int, up, weights *float64)

	// finish sets values and factors from others, own, gap, label, weight and up. It returns a bit
	// for each row that it cannot do.
	finish func(st, numbers *float64) (hard int)

	// bend takes values and slopes of a curve into values and factors that finish has set.
	bend func(st, value, slope *float64)

	// finishTargets sets values and factors from others, mass, gap, signs, up and the entropies, which
	// may be nil. It returns a bit for each row that it cannot do, or whose loss is less than limit times
	// its terms.
	finishTargets func(st, numbers, entropy *float64, limit float64) (hard int)

	// storeLabels writes atLabel to dst[i·step + label·stride].
	storeLabels func(dst *F, st *float64, step, stride int)

	// gatherRows copies rows that have a label, with labels and up, one after another, until they are
	// most or no rows are left, and returns how many they are and how many rows are left. spreadRows
	// copies what came of them to their places, and 0 to those of the other rows.
	gatherRows func(tile, x *F, toLabels, labels *int, toUp, up *float64, classes, rows, most int) (n, left int)
	spreadRows func(dst, tile *F, values, of *float64, labels *int, classes, rows int)

	// laneGrad writes the gradients of a group to classes that lie stride apart, rowGrad those of
	// rows one after another.
	laneGrad [gradKinds]func(dst *F, e, slope *float64, t *F, k, b, st *float64, stride, classes int)
	rowGrad  [gradKinds]func(dst *F, e, slope *float64, t *F, k, b, st *float64, classes, rows int)
}

// The kinds of gradients: factor·e, and + add·k or + add·(k·t + b); times the slopes of a softcap
// with gradCapped added.
const (
	gradPlain = iota
	gradClasses
	gradSoft
	gradCapped
	gradTwo   = 2 * gradCapped // factor·e + add·slope
	gradKinds = gradTwo + 1
)

// groupRows is the number of rows that are computed together.
const groupRows = 16

// softmaxRows is what is known of the rows of a group. The order of its fields is known to the
// kernels.
type softmaxRows struct {
	others, own      [groupRows]float64 // Σ exp z over the classes but the label, and exp z of the label
	gap, mass, signs [groupRows]float64
	factor, add      [groupRows]float64 // of the gradient; see gradKinds
	atLabel          [groupRows]float64 // the gradient at the label, but for the slope of a softcap
	weight, up       [groupRows]float64 // the class weight of the label, and g; 0 for rows that are left out
	value            [groupRows]float64
	label            [groupRows]int // -1 for none
}

// softmaxNumbers is what the rows of a call have in common. The order of its fields is known to the
// kernels.
type softmaxNumbers struct {
	keep, each, whole float64 // 1 - ε, ε/K, Σ w
	zloss, scale      float64
	gapScale          float64 // what gap is multiplied by
	floor             float64 // share of the others, beside the label's, below which they are 0
	more              int     // 1 where ε or ζ is not 0
}
