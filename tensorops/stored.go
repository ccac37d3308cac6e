package tensorops

import (
	"math"
	"sync"
)

// storedRow is a row of exponentials on its way to shares: the terms of the sum, kept so that they
// need not be computed again, each block with its own anchor. buf is nil where they were not kept.
type storedRow[F Float] struct {
	buf     []F
	anchors []float64        // nil for a row of one block
	own     *storedMemory[F] // to give back
}

// storedMemory is recycled memory for one row.
type storedMemory[F Float] struct {
	buf     []F
	anchors []float64
}

var (
	stored32 = sync.Pool{New: func() any { return new(storedMemory[float32]) }}
	stored64 = sync.Pool{New: func() any { return new(storedMemory[float64]) }}
)

// storedLen is the number of elements up to which a row's terms are kept: they stay in the second
// cache then. The terms of longer rows are computed twice. So are all of float32, where sums are
// made of terms that are good for nothing else.
const storedLen = 32 << 10

// startShares sets t to the total of x, for shares, and keeps the terms of the sum where that saves
// time: in dst, or in memory of its own where dst is to be written past the caches. finishShares
// must follow, before x or dst change, or release.
func (k *kernels[F]) startShares(t *rowTotal, dst, x []F, stream bool) (s storedRow[F]) {
	if k.expSumStore == nil || len(x) > storedLen || len(x) <= float64Len || &dst[0] == &x[0] {
		k.rowTotal(t, x, forShares)
		return s
	}
	if len(x) <= blockLen && !stream {
		t.next()
		max, anchor, sum := k.expSumStore(dst, x)
		if t.set(float64(max), anchor, sum) {
			s.buf = dst
			return s
		}
		k.rowTotal(t, x, forShares)
		return s
	}
	s = k.storeBlocks(t, dst, x, stream)
	if s.buf == nil {
		k.rowTotal(t, x, forShares)
	}
	return s
}

// storeBlocks is startShares for rows of several blocks. It returns no buf for rows that are not
// ordinary.
func (k *kernels[F]) storeBlocks(t *rowTotal, dst, x []F, stream bool) (s storedRow[F]) {
	s.own = poolOf[F](&stored32, &stored64).Get().(*storedMemory[F])
	blocks := (len(x) + blockLen - 1) / blockLen
	if cap(s.own.anchors) < blocks {
		s.own.anchors = make([]float64, blocks)
	}
	s.anchors, s.buf = s.own.anchors[:blocks], dst
	if stream {
		if cap(s.own.buf) < len(x) {
			s.own.buf = make([]F, len(x))
		}
		s.buf = s.own.buf[:len(x)]
	}
	total := newExpSum()
	for b, lo := 0, 0; lo < len(x); b, lo = b+1, lo+blockLen {
		block := x[lo:min(lo+blockLen, len(x))]
		m, anchor, sum := k.expSumStore(s.buf[lo:], block)
		max := float64(m)
		if !withinBlocks(max) {
			max, anchor, sum = outside(block, max)
		}
		s.anchors[b] = anchor
		total.addBlock(max, anchor, sum, lo)
	}
	if !ordinary(total.max) || total.beyondAnchors() {
		s.release()
		return storedRow[F]{}
	}
	*t = rowTotal{max: total.max, known: true}
	t.anchor, t.sum = total.total()
	return s
}

// release gives the row's memory back.
func (s *storedRow[F]) release() {
	if s.own != nil {
		poolOf[F](&stored32, &stored64).Put(s.own)
		s.own, s.buf = nil, nil
	}
}

// finishShares writes factor·exp(x)/Σ exp to dst: NaN for a row that is not ordinary.
func (k *kernels[F]) finishShares(s *storedRow[F], t *rowTotal, dst, x []F, factor float64, stream bool) {
	f := factor / t.sum
	switch {
	case !ordinary(t.max):
		fill(dst, math.NaN())
	case s.buf == nil || !(math.Abs(f) >= 0x1p-100 && math.Abs(f) < 2):
		// Terms below 2^minExponent were not kept; a factor of 2 would make them count.
		k.writeShares(dst, x, t, factor, stream)
	case s.anchors == nil:
		k.scaleTerms(dst, s.buf, f, stream)
	default:
		for b, lo := 0, 0; lo < len(x); b, lo = b+1, lo+blockLen {
			hi := min(lo+blockLen, len(x))
			k.scaleTerms(dst[lo:hi], s.buf[lo:hi], f*exp2(s.anchors[b]-t.anchor), stream)
		}
	}
	s.release()
}

// scaleTerms writes src·f; what writeShares would write as 0, below 2^minExponent times the
// mantissa of f, is 0.
func (k *kernels[F]) scaleTerms(dst, src []F, f float64, stream bool) {
	minExponent, _ := exponents[F]()
	low := exp2(minExponent - float64(int(math.Float64bits(f)>>52&0x7ff)-1023))
	if f == 0 || low > 2 {
		clear(dst) // no term is above √2, and those of a block of only -Inf are NaN
		return
	}
	k.scale(dst, src, F(f), F(low), stream)
}
