package core

import (
	"fmt"
	"slices"
)

// Ints are integer data of any of the types that labels may have; all nil is no data.
type Ints struct {
	Int   []int
	Int64 []int64
	Int32 []int32
	Uint8 []uint8
}

// at returns entry i.
func (s *Ints) at(i int) int {
	switch {
	case s.Int != nil:
		return s.Int[i]
	case s.Int64 != nil:
		return int(s.Int64[i])
	case s.Int32 != nil:
		return int(s.Int32[i])
	}
	return int(s.Uint8[i])
}

// copyTo writes the entries from lo on to dst.
func (s *Ints) copyTo(dst []int, lo int) {
	switch {
	case s.Int != nil:
		copy(dst, s.Int[lo:])
	case s.Int64 != nil:
		convert(dst, s.Int64[lo:])
	case s.Int32 != nil:
		convert(dst, s.Int32[lo:])
	default:
		convert(dst, s.Uint8[lo:])
	}
}

// from returns len(buf) entries from lo on, in buf or in the operand's own memory.
func (s *Ints) from(lo int, buf []int) []int {
	if s.Int != nil {
		return s.Int[lo : lo+len(buf) : lo+len(buf)]
	}
	s.copyTo(buf, lo)
	return buf
}

func convert[T int64 | int32 | uint8](dst []int, src []T) {
	for i, v := range src[:len(dst)] {
		dst[i] = int(v)
	}
}

// Inputs is the data of one evaluation, each operand in row-major order.
type Inputs[F Float] struct {
	X          [MaxOperands][]F
	Ints       [MaxOperands]Ints // the integer operands
	Weights    []F
	Mask       []uint8 // of a Bool or Uint8 mask
	MaskF      []F     // of a floating mask
	Normalizer float64

	Upstream []F // of each value under None, else a single one; nil: 1
	Dir      []F // a direction in one operand

	anchors [2]int // the entries whose values are to be computed, of a batch of several ranks
}

// maskAt returns entry k of the mask.
func (in *Inputs[F]) maskAt(k int) float64 {
	if in.Mask != nil {
		return float64(in.Mask[k])
	}
	return float64(in.MaskF[k])
}

// Result is what a reduction gives.
type Result struct {
	// Value is the loss under Mean and Sum.
	Value float64
	// Numerator and Denominator are the two numbers of Mean, whatever the reduction; Value is their
	// quotient under Mean.
	Numerator, Denominator float64
}

// checkNormalizer checks a denominator that is data.
func (b *Bound) checkNormalizer(n float64) error {
	if b.Normalized && !(n >= 0 && Finite(n)) {
		return Faultf(ErrValue, b.Def.Name, "normalizer is %v, want a finite number >= 0", n)
	}
	return nil
}

// checkRow checks the entries of row i of a block whose domain is restricted. k is the row's place
// in the block.
func (b *Bound) checkRow(blk *Block, k int) error {
	if blk.List != nil {
		if err := b.checkList(blk.List[k], blk.Index(k)); err != nil {
			return err
		}
	}
	lo, hi := k*blk.Cols, (k+1)*blk.Cols
	for o := range blk.X {
		d := b.Domain[o]
		if !d.Checked() || blk.X[o] == nil || d.HoldsAll(blk.X[o][lo:hi]) {
			continue
		}
		for c, v := range blk.X[o][lo:hi] {
			if !d.Holds(v) {
				class := ""
				if !b.Def.Elementwise() {
					class = fmt.Sprint(" class ", c)
				}
				return Faultf(ErrValue, b.Def.Name, "%s is %v at %s%s, want %v", b.OperandName(o), v, b.Values.coordinates(blk.Index(k)), class, d)
			}
		}
	}
	return nil
}

// checkBlock checks all rows of a block.
func (b *Bound) checkBlock(blk *Block) error {
	if blk.List == nil {
		fine := true
		for o := range blk.X {
			d := b.Domain[o]
			fine = fine && (!d.Checked() || blk.X[o] == nil || d.HoldsAll(blk.X[o]))
		}
		if fine {
			return nil
		}
	}
	for k := range blk.Rows {
		if err := b.checkRow(blk, k); err != nil {
			return err
		}
	}
	return nil
}

// checkList checks the classes of the list of row i.
func (b *Bound) checkList(list []int, i int) error {
	for k, class := range list {
		if class < 0 || class >= b.Dims.Classes {
			return Faultf(ErrValue, b.Def.Name, "class %d of the list at %s is %d, want one in [0, %d), or -1 after the last",
				k, b.Values.coordinates(i), class, b.Dims.Classes)
		}
		if slices.Contains(list[:k], class) {
			return Faultf(ErrValue, b.Def.Name, "class %d of the list at %s is %d again, want each class once", k, b.Values.coordinates(i), class)
		}
	}
	return nil
}
