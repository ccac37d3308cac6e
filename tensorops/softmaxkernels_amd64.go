//go:build amd64 && !purego

package tensorops

// The exponentials are the work; what is before and after them waits for memory, and is the same for both instruction sets.
var (
	avx2Softmax32   = withExponentials(softmax32, expF32AVX2, expFullF32AVX2, expCappedF32AVX2, expCappedShortF32AVX2)
	avx512Softmax32 = withExponentials(softmax32, expF32AVX512, expFullF32AVX512, expCappedF32AVX512, expCappedShortF32AVX512)
	avx2Softmax64   = withExponentials(softmax64, expF64AVX2, expF64AVX2, expCappedF64AVX2, expCappedF64AVX2)
	avx512Softmax64 = withExponentials(softmax64, expF64AVX512, expF64AVX512, expCappedF64AVX512, expCappedF64AVX512)

	softmax32 = softmaxKernels[float32]{
		pack:             packF32AVX2,
		unpack:           unpackF32AVX2,
		classes:          classesF32AVX2,
		copyTile:         copyTileF32AVX2,
		laneDot:          laneDotF32AVX2,
		laneDotWide:      laneDotF64AVX2,
		rowDot:           rowDotF32AVX2,
		rowDotWide:       rowDotF64AVX2,
		laneTarget:       laneTargetF32AVX2,
		laneTargetCapped: laneTargetCappedF32AVX2,
		rowTarget:        rowTargetF32AVX2,
		rowTargetCapped:  rowTargetCappedF32AVX2,
		laneEntropy:      laneEntropyF32AVX2,
		gaps:             gapsF32AVX2,
		takeLabels:       takeLabelsAVX2,
		storeLabels:      storeLabelsF32AVX2,
		gatherRows:       gatherRowsF32AVX2,
		spreadRows:       spreadRowsF32AVX2,
		laneSum:          laneSumAVX2,
		rowSum:           rowSumAVX2,
		finish:           finishLabelsAVX2,
		finishTargets:    finishTargetsAVX2,
		bend:             bendAVX2,
		laneGrad: [gradKinds]func(dst *float32, e, slope *float64, t *float32, k, b, st *float64, stride, classes int){
			laneGradPlainF32AVX2, laneGradClassesF32AVX2, laneGradSoftF32AVX2,
			laneGradCappedPlainF32AVX2, laneGradCappedClassesF32AVX2, laneGradCappedSoftF32AVX2, laneGradTwoF32AVX2,
		},
		rowGrad: [gradKinds]func(dst *float32, e, slope *float64, t *float32, k, b, st *float64, classes, rows int){
			rowGradPlainF32AVX2, rowGradClassesF32AVX2, rowGradSoftF32AVX2,
			rowGradCappedPlainF32AVX2, rowGradCappedClassesF32AVX2, rowGradCappedSoftF32AVX2, rowGradTwoF32AVX2,
		},
	}

	softmax64 = softmaxKernels[float64]{
		pack:             packF64AVX2,
		unpack:           unpackF64AVX2,
		classes:          classesF64AVX2,
		copyTile:         copyTileF64AVX2,
		laneDot:          laneDotF64AVX2,
		laneDotWide:      laneDotF64AVX2,
		rowDot:           rowDotF64AVX2,
		rowDotWide:       rowDotF64AVX2,
		laneTarget:       laneTargetF64AVX2,
		laneTargetCapped: laneTargetF64AVX2,
		rowTarget:        rowTargetF64AVX2,
		rowTargetCapped:  rowTargetF64AVX2,
		laneEntropy:      laneEntropyF64AVX2,
		gaps:             gapsF64AVX2,
		takeLabels:       takeLabelsAVX2,
		storeLabels:      storeLabelsF64AVX2,
		gatherRows:       gatherRowsF64AVX2,
		spreadRows:       spreadRowsF64AVX2,
		laneSum:          laneSumAVX2,
		rowSum:           rowSumAVX2,
		finish:           finishLabelsAVX2,
		finishTargets:    finishTargetsAVX2,
		bend:             bendAVX2,
		laneGrad: [gradKinds]func(dst *float64, e, slope *float64, t *float64, k, b, st *float64, stride, classes int){
			laneGradPlainF64AVX2, laneGradClassesF64AVX2, laneGradSoftF64AVX2,
			laneGradCappedPlainF64AVX2, laneGradCappedClassesF64AVX2, laneGradCappedSoftF64AVX2, laneGradTwoF64AVX2,
		},
		rowGrad: [gradKinds]func(dst *float64, e, slope *float64, t *float64, k, b, st *float64, classes, rows int){
			rowGradPlainF64AVX2, rowGradClassesF64AVX2, rowGradSoftF64AVX2,
			rowGradCappedPlainF64AVX2, rowGradCappedClassesF64AVX2, rowGradCappedSoftF64AVX2, rowGradTwoF64AVX2,
		},
	}
)

// withExponentials returns k with the exponentials of an instruction set.
func withExponentials[F Float](k softmaxKernels[F], exp, full func(e *float64, x *F, n int, scale float64),
	capped, short func(e, z, slope *float64, x *F, n int, in, out float64)) softmaxKernels[F] {
	k.exp, k.expFull, k.expCapped, k.expCappedShort = exp, full, capped, short
	return k
}
