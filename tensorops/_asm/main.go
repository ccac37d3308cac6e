// Command _asm writes the assembly kernels of package tensorops:
//
//	go run . -out ../kernel_amd64.s -stubs ../kernel_amd64_stubs.go -pkg tensorops
//
// Every kernel exists for AVX2 with FMA and for AVX-512, from the same description. Elements are taken in groups
// of four AVX-512 registers, or eight AVX2 ones (twice that in sums of float32 exponentials), and element i of a group
// adds to lane i mod 16 (float64: 8) on both, in the same order: that makes the sums of the two equal to the bit.
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	set := flag.String("kernels", "rows", "the kernels to write: rows, points, weights")
	flag.Parse()
	ConstraintExpr("amd64,!purego")
	switch *set {
	case "rows":
		rowKernels()
	case "points":
		pointKernels()
	case "weights":
		weightKernels()
	}
	Generate()
}

// pointKernels emits the elementwise losses.
func pointKernels() {
	for _, isa := range []string{"AVX2", "AVX512"} {
		for _, elem := range []string{"F32", "F64"} {
			for _, l := range pointLosses {
				if elem == "F32" || l.kind != in64Only {
					newGen(isa, elem, elem).point(l)
				}
			}
		}
	}
}

// weightKernels emits what package vec does with weights.
func weightKernels() {
	for _, isa := range []string{"AVX2", "AVX512"} {
		for _, elem := range []string{"F32", "F64"} {
			g := newGen(isa, elem, elem)
			g.maskWeights()
			g.sumWeights()
			g.multiply()
		}
	}
}

func rowKernels() {
	for _, isa := range []string{"AVX2", "AVX512"} {
		for _, elem := range []string{"F32", "F64"} {
			g := newGen(isa, elem, elem)
			g.expSum(sumKind{name: "expSum"})
			if elem == "F32" {
				g.expSum(sumKind{name: "expSumLong", long: true})
			} else {
				g.expSum(sumKind{name: "expSumStore", store: true})
			}
			g.scale()
			g.expScale()
			g.expScaleAdd()
			g.shift()
			g.mulShift()
			g.dot()
			g.targetSum()
			g.scaleAdd()
			g.gapSum()
			g.xlogx()
			g.logGap()
			g.expGap()
			g.expScaleGap()
			g.index()
		}
		newGen(isa, "F32", "F64").expSum(sumKind{name: "expSumWide"})
	}
	fence()
}
