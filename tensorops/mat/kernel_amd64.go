//go:build amd64 && !purego

package mat

import "github.com/surprisal-go/surprisal/tensorops/vec"

// The kernels by level.
var (
	kernels32 = [vec.Levels]*kernels[float32]{&generic32, &avx2Kernels32, &avx512Kernels32}
	kernels64 = [vec.Levels]*kernels[float64]{&generic64, &avx2Kernels64, &avx512Kernels64}
)

var (
	avx2Kernels32 = kernels[float32]{
		rows: 6, cols: 16,
		tile: [2][maxRows + 1]tileFunc[float32]{
			{
				nil, tile1x1F32AVX2, tile2x1F32AVX2, tile3x1F32AVX2, tile4x1F32AVX2,
				tile5x1F32AVX2, tile6x1F32AVX2,
			},
			{
				nil, tile1x2F32AVX2, tile2x2F32AVX2, tile3x2F32AVX2, tile4x2F32AVX2,
				tile5x2F32AVX2, tile6x2F32AVX2,
			},
		},
		dots:      []dots[float32]{{4, dot4x1F32AVX2}, {3, dot3x2F32AVX2}, {2, dot2x3F32AVX2}},
		single:    []dots[float32]{{1, dot1x1F32AVX2}, {1, dot1x2F32AVX2}, {1, dot1x3F32AVX2}},
		addRows:   [2]func(n int, y, x *float32, xs int, a *float32, lda int){addRows1F32AVX2, addRows8F32AVX2},
		packA:     packAF32AVX2,
		packB:     packBF32AVX2,
		block:     8,
		transpose: transpose8F32AVX2,
	}
	avx2Kernels64 = kernels[float64]{
		rows: 6, cols: 8,
		tile: [2][maxRows + 1]tileFunc[float64]{
			{
				nil, tile1x1F64AVX2, tile2x1F64AVX2, tile3x1F64AVX2, tile4x1F64AVX2,
				tile5x1F64AVX2, tile6x1F64AVX2,
			},
			{
				nil, tile1x2F64AVX2, tile2x2F64AVX2, tile3x2F64AVX2, tile4x2F64AVX2,
				tile5x2F64AVX2, tile6x2F64AVX2,
			},
		},
		dots:      []dots[float64]{{4, dot4x1F64AVX2}, {3, dot3x2F64AVX2}, {2, dot2x3F64AVX2}},
		single:    []dots[float64]{{1, dot1x1F64AVX2}, {1, dot1x2F64AVX2}, {1, dot1x3F64AVX2}},
		addRows:   [2]func(n int, y, x *float64, xs int, a *float64, lda int){addRows1F64AVX2, addRows8F64AVX2},
		packA:     packAF64AVX2,
		packB:     packBF64AVX2,
		block:     4,
		transpose: transpose4F64AVX2,
	}
	avx512Kernels32 = kernels[float32]{
		rows: 12, cols: 32,
		tile: [2][maxRows + 1]tileFunc[float32]{
			{
				nil, tile1x1F32AVX512, tile2x1F32AVX512, tile3x1F32AVX512, tile4x1F32AVX512,
				tile5x1F32AVX512, tile6x1F32AVX512, tile7x1F32AVX512, tile8x1F32AVX512, tile9x1F32AVX512,
				tile10x1F32AVX512, tile11x1F32AVX512, tile12x1F32AVX512,
			},
			{
				nil, tile1x2F32AVX512, tile2x2F32AVX512, tile3x2F32AVX512, tile4x2F32AVX512,
				tile5x2F32AVX512, tile6x2F32AVX512, tile7x2F32AVX512, tile8x2F32AVX512, tile9x2F32AVX512,
				tile10x2F32AVX512, tile11x2F32AVX512, tile12x2F32AVX512,
			},
		},
		dots:      []dots[float32]{{4, dot4x1F32AVX512}, {4, dot4x2F32AVX512}, {4, dot4x3F32AVX512}, {4, dot4x4F32AVX512}},
		single:    []dots[float32]{{1, dot1x1F32AVX512}, {1, dot1x2F32AVX512}, {1, dot1x3F32AVX512}, {1, dot1x4F32AVX512}},
		addRows:   [2]func(n int, y, x *float32, xs int, a *float32, lda int){addRows1F32AVX512, addRows8F32AVX512},
		packA:     packAF32AVX512,
		packB:     packBF32AVX512,
		block:     8,
		transpose: transpose8F32AVX2,
	}
	avx512Kernels64 = kernels[float64]{
		rows: 12, cols: 16,
		tile: [2][maxRows + 1]tileFunc[float64]{
			{
				nil, tile1x1F64AVX512, tile2x1F64AVX512, tile3x1F64AVX512, tile4x1F64AVX512,
				tile5x1F64AVX512, tile6x1F64AVX512, tile7x1F64AVX512, tile8x1F64AVX512, tile9x1F64AVX512,
				tile10x1F64AVX512, tile11x1F64AVX512, tile12x1F64AVX512,
			},
			{
				nil, tile1x2F64AVX512, tile2x2F64AVX512, tile3x2F64AVX512, tile4x2F64AVX512,
				tile5x2F64AVX512, tile6x2F64AVX512, tile7x2F64AVX512, tile8x2F64AVX512, tile9x2F64AVX512,
				tile10x2F64AVX512, tile11x2F64AVX512, tile12x2F64AVX512,
			},
		},
		dots:      []dots[float64]{{4, dot4x1F64AVX512}, {4, dot4x2F64AVX512}, {4, dot4x3F64AVX512}, {4, dot4x4F64AVX512}},
		single:    []dots[float64]{{1, dot1x1F64AVX512}, {1, dot1x2F64AVX512}, {1, dot1x3F64AVX512}, {1, dot1x4F64AVX512}},
		addRows:   [2]func(n int, y, x *float64, xs int, a *float64, lda int){addRows1F64AVX512, addRows8F64AVX512},
		packA:     packAF64AVX512,
		packB:     packBF64AVX512,
		block:     4,
		transpose: transpose4F64AVX2,
	}
)
