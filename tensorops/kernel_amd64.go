//go:build amd64 && !purego

package tensorops

import "golang.org/x/sys/cpu"

//go:generate go run -C _asm . -out ../kernels_amd64.s -stubs ../stubs_amd64.go -pkg tensorops

func archImplementations() []implementation {
	x := &cpu.X86
	avx2 := x.HasAVX && x.HasAVX2 && x.HasFMA && x.HasBMI2
	avx512 := avx2 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL
	return []implementation{
		{"avx2", avx2, &avx2Kernels32, &avx2Kernels64},
		{"avx512", avx512, &avx512Kernels32, &avx512Kernels64},
	}
}

// termErr32 is what a float32 sum with one large term may be off by, relative: 99 of 100 are below it, the worst of 10^5
// is at 1.6e-7. Half of it is the term itself, the rest its sums with three others.
const termErr32 = 1.1e-7

var (
	avx2Kernels32 = kernels[float32]{
		softmax:    &avx2Softmax32,
		name:       "avx2",
		termErr:    termErr32,
		expSum:     expSumF32AVX2,
		expSumLong: expSumLongF32AVX2,
		expSumWide: expSumWideF32AVX2,

		scale:       scaleF32AVX2,
		fence:       fence,
		expScale:    expScaleF32AVX2,
		expScaleAdd: expScaleAddF32AVX2,
		mulShift:    mulShiftF32AVX2,
		dot:         dotF32AVX2,
		targetSum:   targetSumF32AVX2,
		scaleAdd:    scaleAddF32AVX2,
		gapSum:      gapSumF32AVX2,
		shift:       shiftF32AVX2,
		index:       indexF32AVX2,
		xlogx:       xlogxF32AVX2,
		logGap:      logGapF32AVX2,
		expGap:      expGapF32AVX2,
		expScaleGap: expScaleGapF32AVX2,
		pointSum: [pointLosses]func(x, t []float32, a, b float64) float64{
			squaredSumF32AVX2, absoluteSumF32AVX2, huberSumF32AVX2, logCoshSumF32AVX2,
			binarySumF32AVX2, marginSumF32AVX2, pseudoHuberSumF32AVX2, cauchySumF32AVX2,
			poissonSumF32AVX2, gammaSumF32AVX2, focalSumF32AVX2, bernoulliSumF32AVX2,
		},
		pointBoth: [pointLosses]func(dst, x, t []float32, factor, a, b float64, stream bool) float64{
			squaredBothF32AVX2, absoluteBothF32AVX2, huberBothF32AVX2, logCoshBothF32AVX2,
			binaryBothF32AVX2, marginBothF32AVX2, pseudoHuberBothF32AVX2, cauchyBothF32AVX2,
			poissonBothF32AVX2, gammaBothF32AVX2, focalBothF32AVX2, bernoulliBothF32AVX2,
		},
	}
	avx2Kernels64 = kernels[float64]{
		softmax:     &avx2Softmax64,
		name:        "avx2",
		expSum:      expSumF64AVX2,
		expSumLong:  expSumF64AVX2,
		expSumWide:  expSumF64AVX2,
		expSumStore: expSumStoreF64AVX2,
		scale:       scaleF64AVX2,
		fence:       fence,
		expScale:    expScaleF64AVX2,
		expScaleAdd: expScaleAddF64AVX2,
		mulShift:    mulShiftF64AVX2,
		dot:         dotF64AVX2,
		targetSum:   targetSumF64AVX2,
		scaleAdd:    scaleAddF64AVX2,
		gapSum:      gapSumF64AVX2,
		shift:       shiftF64AVX2,
		index:       indexF64AVX2,
		xlogx:       xlogxF64AVX2,
		logGap:      logGapF64AVX2,
		expGap:      expGapF64AVX2,
		expScaleGap: expScaleGapF64AVX2,
		pointSum: [pointLosses]func(x, t []float64, a, b float64) float64{
			squaredSumF64AVX2, absoluteSumF64AVX2, huberSumF64AVX2, logCoshSumF64AVX2,
			binarySumF64AVX2, marginSumF64AVX2, pseudoHuberSumF64AVX2, cauchySumF64AVX2,
			poissonSumF64AVX2, gammaSumF64AVX2, focalSumF64AVX2, sumOf[float64](bernoulliPoint),
		},
		pointBoth: [pointLosses]func(dst, x, t []float64, factor, a, b float64, stream bool) float64{
			squaredBothF64AVX2, absoluteBothF64AVX2, huberBothF64AVX2, logCoshBothF64AVX2,
			binaryBothF64AVX2, marginBothF64AVX2, pseudoHuberBothF64AVX2, cauchyBothF64AVX2,
			poissonBothF64AVX2, gammaBothF64AVX2, focalBothF64AVX2, bothOf[float64](bernoulliPoint),
		},
	}
	avx512Kernels32 = kernels[float32]{
		softmax:    &avx512Softmax32,
		name:       "avx512",
		termErr:    termErr32,
		expSum:     expSumF32AVX512,
		expSumLong: expSumLongF32AVX512,
		expSumWide: expSumWideF32AVX512,

		scale:       scaleF32AVX512,
		fence:       fence,
		expScale:    expScaleF32AVX512,
		expScaleAdd: expScaleAddF32AVX512,
		mulShift:    mulShiftF32AVX512,
		dot:         dotF32AVX512,
		targetSum:   targetSumF32AVX512,
		scaleAdd:    scaleAddF32AVX512,
		gapSum:      gapSumF32AVX512,
		shift:       shiftF32AVX512,
		index:       indexF32AVX512,
		xlogx:       xlogxF32AVX512,
		logGap:      logGapF32AVX512,
		expGap:      expGapF32AVX512,
		expScaleGap: expScaleGapF32AVX512,
		pointSum: [pointLosses]func(x, t []float32, a, b float64) float64{
			squaredSumF32AVX512, absoluteSumF32AVX512, huberSumF32AVX512, logCoshSumF32AVX512,
			binarySumF32AVX512, marginSumF32AVX512, pseudoHuberSumF32AVX512, cauchySumF32AVX512,
			poissonSumF32AVX512, gammaSumF32AVX512, focalSumF32AVX512, bernoulliSumF32AVX512,
		},
		pointBoth: [pointLosses]func(dst, x, t []float32, factor, a, b float64, stream bool) float64{
			squaredBothF32AVX512, absoluteBothF32AVX512, huberBothF32AVX512, logCoshBothF32AVX512,
			binaryBothF32AVX512, marginBothF32AVX512, pseudoHuberBothF32AVX512, cauchyBothF32AVX512,
			poissonBothF32AVX512, gammaBothF32AVX512, focalBothF32AVX512, bernoulliBothF32AVX512,
		},
	}
	avx512Kernels64 = kernels[float64]{
		softmax:     &avx512Softmax64,
		name:        "avx512",
		expSum:      expSumF64AVX512,
		expSumLong:  expSumF64AVX512,
		expSumWide:  expSumF64AVX512,
		expSumStore: expSumStoreF64AVX512,
		scale:       scaleF64AVX512,
		fence:       fence,
		expScale:    expScaleF64AVX512,
		expScaleAdd: expScaleAddF64AVX512,
		mulShift:    mulShiftF64AVX512,
		dot:         dotF64AVX512,
		targetSum:   targetSumF64AVX512,
		scaleAdd:    scaleAddF64AVX512,
		gapSum:      gapSumF64AVX512,
		shift:       shiftF64AVX512,
		index:       indexF64AVX512,
		xlogx:       xlogxF64AVX512,
		logGap:      logGapF64AVX512,
		expGap:      expGapF64AVX512,
		expScaleGap: expScaleGapF64AVX512,
		pointSum: [pointLosses]func(x, t []float64, a, b float64) float64{
			squaredSumF64AVX512, absoluteSumF64AVX512, huberSumF64AVX512, logCoshSumF64AVX512,
			binarySumF64AVX512, marginSumF64AVX512, pseudoHuberSumF64AVX512, cauchySumF64AVX512,
			poissonSumF64AVX512, gammaSumF64AVX512, focalSumF64AVX512, sumOf[float64](bernoulliPoint),
		},
		pointBoth: [pointLosses]func(dst, x, t []float64, factor, a, b float64, stream bool) float64{
			squaredBothF64AVX512, absoluteBothF64AVX512, huberBothF64AVX512, logCoshBothF64AVX512,
			binaryBothF64AVX512, marginBothF64AVX512, pseudoHuberBothF64AVX512, cauchyBothF64AVX512,
			poissonBothF64AVX512, gammaBothF64AVX512, focalBothF64AVX512, bothOf[float64](bernoulliPoint),
		},
	}
)
