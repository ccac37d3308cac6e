//go:build amd64 && !purego

package tensorops

import "github.com/surprisal-go/surprisal/tensorops/vec"

//go:generate go run -C _asm .

// The kernels by level.
var (
	kernels32 = [vec.Levels]*kernels[float32]{&generic32, &avx2Kernels32, &avx512Kernels32}
	kernels64 = [vec.Levels]*kernels[float64]{&generic64, &avx2Kernels64, &avx512Kernels64}
)

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
		targetSum:   targetSumF32AVX2,
		scaleAdd:    scaleAddF32AVX2,
		gapSum:      gapSumF32AVX2,
		shift:       shiftF32AVX2,
		index:       indexF32AVX2,
		xlogx:       xlogxF32AVX2,
		logGap:      logGapF32AVX2,
		expGap:      expGapF32AVX2,
		expScaleGap: expScaleGapF32AVX2,
		point:       pointsF32AVX2,
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
		targetSum:   targetSumF64AVX2,
		scaleAdd:    scaleAddF64AVX2,
		gapSum:      gapSumF64AVX2,
		shift:       shiftF64AVX2,
		index:       indexF64AVX2,
		xlogx:       xlogxF64AVX2,
		logGap:      logGapF64AVX2,
		expGap:      expGapF64AVX2,
		expScaleGap: expScaleGapF64AVX2,
		point:       pointsF64AVX2,
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
		targetSum:   targetSumF32AVX512,
		scaleAdd:    scaleAddF32AVX512,
		gapSum:      gapSumF32AVX512,
		shift:       shiftF32AVX512,
		index:       indexF32AVX512,
		xlogx:       xlogxF32AVX512,
		logGap:      logGapF32AVX512,
		expGap:      expGapF32AVX512,
		expScaleGap: expScaleGapF32AVX512,
		point:       pointsF32AVX512,
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
		targetSum:   targetSumF64AVX512,
		scaleAdd:    scaleAddF64AVX512,
		gapSum:      gapSumF64AVX512,
		shift:       shiftF64AVX512,
		index:       indexF64AVX512,
		xlogx:       xlogxF64AVX512,
		logGap:      logGapF64AVX512,
		expGap:      expGapF64AVX512,
		expScaleGap: expScaleGapF64AVX512,
		point:       pointsF64AVX512,
	}
)
