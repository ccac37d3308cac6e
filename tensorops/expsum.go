package tensorops

import "math"

// expSum is Σ exp(x) over some elements of a row. Blocks are added one after another. The block
// that holds the largest element so far is kept apart from the others, so that it alone need be
// read again when the largest element must be taken out of the sum.
type expSum struct {
	max            float64 // largest element; NaN once a NaN was seen
	anchor, others float64 // Σ over all blocks but the top one, as others·2^anchor
	lost           float64 // what the additions of blocks have rounded off, as lost·2^anchor
	topAnchor, top float64 // the same for the top block
	topAt          int     // index of the top block's first element
	othersMax      float64 // largest element outside the top block
}

func newExpSum() expSum {
	return expSum{max: math.Inf(-1), anchor: math.Inf(-1), topAnchor: math.Inf(-1), othersMax: math.Inf(-1)}
}

// addBlock adds the block x, which begins at index at of its row.
func (s *expSum) addBlock(max, anchor, sum float64, at int) {
	switch {
	case s.max != s.max:
		return
	case sum != sum || max != max:
		s.max = math.NaN()
		return
	case max > s.max:
		s.fold(s.topAnchor, s.top)
		s.othersMax = s.max
		s.max, s.topAnchor, s.top, s.topAt = max, anchor, sum, at
	default:
		s.fold(anchor, sum)
		s.othersMax = math.Max(s.othersMax, max)
	}
}

// guess returns an anchor for the block to come, or NaN.
func (s *expSum) guess() float64 {
	if math.IsInf(s.topAnchor, -1) {
		return math.NaN()
	}
	return s.topAnchor - guessBelow
}

// guessBelow is how far below the anchor of one row that of the next is guessed: kernels take rows
// whose largest element lies far above their anchor sooner than rows where it lies below.
const guessBelow = 30

// fold adds sum·2^anchor to the others.
func (s *expSum) fold(anchor, sum float64) {
	if sum == 0 {
		s.anchor = math.Max(s.anchor, anchor)
		return
	}
	a, b := s.others, sum
	switch {
	case s.others == 0:
		s.anchor = anchor
	case anchor > s.anchor:
		down := exp2(s.anchor - anchor)
		a *= down
		s.lost *= down
		s.anchor = anchor
	default:
		b *= exp2(anchor - s.anchor)
	}
	s.others, s.lost = addLost(a, s.lost, b)
}

// total returns the whole sum as sum·2^anchor.
func (s *expSum) total() (anchor, sum float64) {
	all := *s
	all.fold(s.topAnchor, s.top)
	return all.anchor, all.others + all.lost
}

// block runs the kernel on a block of a long row and sorts out what the kernel leaves unspecified.
func (k *kernels[F]) block(x []F, inFloat64 bool, guess float64) (max, anchor, sum float64) {
	var m F
	if inFloat64 {
		m, anchor, sum = k.expSumWide(x, guess)
	} else {
		m, anchor, sum = k.expSumLong(x, guess)
	}
	max = float64(m)
	if !withinBlocks(max) {
		return outside(x, max)
	}
	anchor, sum = ownAnchor(max, anchor, sum)
	return max, anchor, sum
}

// ownAnchor returns sum·2^anchor with the anchor of max.
func ownAnchor(max, anchor, sum float64) (float64, float64) {
	if math.Abs(max*math.Log2E-anchor) < 0.5 {
		return anchor, sum
	}
	own := anchorOf(max)
	return own, sum * exp2(anchor-own)
}

// outside returns the sum of a block whose largest element max has no anchor.
func outside[F Float](x []F, max float64) (float64, float64, float64) {
	for _, v := range x {
		if v != v {
			return math.NaN(), 0, 0
		}
	}
	// Nothing but -Inf, or elements too large for anchors: those below -anchorLimit vanish beside
	// any ordinary element, the others are left to sumBeyondAnchors.
	return max, math.Inf(-1), 0
}

// sumRow returns Σ exp over x.
func (k *kernels[F]) sumRow(x []F, inFloat64 bool) expSum {
	s := newExpSum()
	for lo := 0; lo < len(x); lo += blockLen {
		max, anchor, sum := k.block(x[lo:min(lo+blockLen, len(x))], inFloat64, s.guess())
		s.addBlock(max, anchor, sum, lo)
	}
	return s
}

// sumOthers returns Σ exp over every element of x but x[skip], in float64.
func (k *kernels[F]) sumOthers(x []F, skip int) expSum {
	s := newExpSum()
	for lo := 0; lo < len(x); lo += blockLen {
		hi := min(lo+blockLen, len(x))
		if skip < lo || skip >= hi {
			max, anchor, sum := k.block(x[lo:hi], true, s.guess())
			s.addBlock(max, anchor, sum, lo)
			continue
		}
		k.addAround(&s, x, lo, skip, hi, true)
	}
	return s
}

// addAround adds x[lo:hi] without x[skip].
func (k *kernels[F]) addAround(s *expSum, x []F, lo, skip, hi int, inFloat64 bool) {
	if skip > lo {
		max, anchor, sum := k.block(x[lo:skip], inFloat64, s.guess())
		s.addBlock(max, anchor, sum, lo)
	}
	if skip+1 < hi {
		max, anchor, sum := k.block(x[skip+1:hi], inFloat64, s.guess())
		s.addBlock(max, anchor, sum, skip+1)
	}
}

// beyondAnchors reports whether the row must be summed by sumBeyondAnchors.
func (s *expSum) beyondAnchors() bool {
	return math.Abs(s.max) > anchorLimit && !math.IsInf(s.max, 0)
}

// sumBeyondAnchors returns Σ exp(x[i] - max) over every i but skip. For elements beyond anchorLimit
// x - max is either exact or so far below 0 that the term is 0, so nothing is lost here.
func sumBeyondAnchors[F Float](x []F, max float64, skip int) float64 {
	sum, lost := 0.0, 0.0
	for i, v := range x {
		if i != skip {
			sum, lost = addLost(sum, lost, math.Exp(float64(v)-max))
		}
	}
	return sum + lost
}
