package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sums accumulates groups in float64, one lane for each of the layout's. float32 terms are added in
// float32 within a group and then converted. Compensated sums are Kahan's; all of their terms are
// float64.
type sums struct {
	g         *gen
	acc, lost []Op // as place has them
}

func (g *gen) newSums(compensated bool) *sums {
	s := &sums{g: g}
	n := g.sumRegisters()
	var kept []Op // on the stack the registers of a half lie side by side
	for range n {
		kept = append(kept, g.place(g.zero()))
		if compensated {
			kept = append(kept, g.place(g.zero()))
		}
	}
	for i := range n {
		if compensated {
			s.acc, s.lost = append(s.acc, kept[2*i]), append(s.lost, kept[2*i+1])
		} else {
			s.acc = append(s.acc, kept[i])
		}
	}
	return s
}

// place returns where v is kept as long as the kernel lives: on the stack for AVX2, which has few
// registers.
func (g *gen) place(v reg.VecVirtual) Op {
	if g.is512() {
		return v
	}
	m := AllocLocal(g.vecBytes())
	VMOVUPS(v, m)
	return m
}

// inRegister returns a register with what is kept, which keep takes back.
func (g *gen) inRegister(kept Op) reg.VecVirtual {
	if v, ok := kept.(reg.VecVirtual); ok {
		return v
	}
	v := g.vec()
	VMOVUPS(kept, v)
	return v
}

func (g *gen) keep(v reg.VecVirtual, kept Op) {
	if m, ok := kept.(Mem); ok {
		VMOVUPS(v, m)
	}
}

// sumRegisters is the number of float64 registers for the lanes of the layout.
func (g *gen) sumRegisters() int { return g.halves() * 8 / size(g.comp) }

func (s *sums) addTo(sum Op, v reg.VecVirtual) {
	if r, ok := sum.(reg.VecVirtual); ok {
		VADDPD(v, r, r)
		return
	}
	VADDPD(sum, v, v)
	VMOVUPS(v, sum)
}

// add adds the terms of half h.
func (s *sums) add(v reg.VecVirtual, h int) {
	switch {
	case s.g.comp == "F32":
		s.addTerms(v, s.acc[2*h], s.acc[2*h+1], nil)
	case s.lost == nil:
		s.addTerms(v, s.acc[h], nil, nil)
	default:
		s.addTerms(v, s.acc[h], nil, s.lost[h])
	}
}

// addAt adds the terms of the half whose sums lie at ptr, and returns the distance to those of the
// next half.
func (s *sums) addAt(v reg.VecVirtual, ptr reg.Register) int {
	first, second := Mem{Base: ptr}, Mem{Base: ptr, Disp: s.g.vecBytes()}
	switch {
	case s.g.comp == "F32":
		s.addTerms(v, first, second, nil)
	case s.lost == nil:
		s.addTerms(v, first, nil, nil)
		return s.g.vecBytes()
	default:
		s.addTerms(v, first, nil, second)
	}
	return 2 * s.g.vecBytes()
}

// addTerms adds float64 terms to one sum, which may be compensated, or float32 terms to two.
func (s *sums) addTerms(v reg.VecVirtual, sum, second, compensation Op) {
	g := s.g
	if g.comp == "F32" {
		lo, hi := g.vec(), g.vec()
		upper := g.narrow()
		if g.is512() {
			VEXTRACTF64X4(Imm(1), v, upper)
			VCVTPS2PD(v.AsY(), lo)
		} else {
			g.upperX(v, upper)
			VCVTPS2PD(v.AsX(), lo)
		}
		VCVTPS2PD(upper, hi)
		s.addTo(sum, lo)
		s.addTo(second, hi)
		return
	}
	if compensation == nil {
		s.addTo(sum, v)
		return
	}
	t := g.vec()
	acc, lost := g.inRegister(sum), g.inRegister(compensation)
	VSUBPD(lost, v, v)
	VADDPD(v, acc, t)
	VSUBPD(acc, t, acc)
	VSUBPD(v, acc, lost)
	g.keep(lost, compensation)
	if m, ok := sum.(Mem); ok {
		VMOVUPS(t, m)
		return
	}
	VMOVAPD(t, acc)
}

// total returns the sum of all lanes in lane 0.
func (s *sums) total() reg.VecVirtual {
	add := func(a, dst Op) { VADDPD(a, dst, dst) }
	g := s.g
	var acc []reg.VecVirtual
	for _, a := range s.acc {
		acc = append(acc, g.inRegister(a))
	}
	if g.comp == "F32" {
		half := len(acc) / 2 // lanes 8 to 15 onto 0 to 7
		for i := range half {
			add(acc[half+i], acc[i])
		}
		return g.fold(acc[:half], "F64", add)
	}
	for i, lost := range s.lost {
		VSUBPD(lost, acc[i], acc[i])
	}
	return g.fold(acc, "F64", add)
}
