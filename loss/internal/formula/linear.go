package formula

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops/mat"
)

// Linear is the link z = x·Wᵀ + b of the rows x of operand 0, a matrix W, operand 1, and a bias b,
// operand bias, which 0 stands for the absence of:
//
//	dx = dz·W        dW = dzᵀ·x        db_j = Σ_i dz_ij        z' = x'·Wᵀ + x·W'ᵀ + b'
//
// Beside the second derivatives of the loss, dx changes by dz·W' and dW by dzᵀ·x'.
func Linear(d core.Dims, width, bias int) core.Links {
	return core.Links{F32: linear[float32]{width, d.Cols, bias}, F64: linear[float64]{width, d.Cols, bias}}
}

type linear[F core.Float] struct{ width, cols, bias int }

func (l linear[F]) Apply(z []F, r *core.LinkRows[F]) {
	if l.bias != 0 {
		mat.GemmBias(false, true, r.N, l.cols, l.width, 1, r.X[0], l.width, r.X[1], l.width, r.X[l.bias], z, l.cols)
		return
	}
	mat.Gemm(false, true, r.N, l.cols, l.width, 1, r.X[0], l.width, r.X[1], l.width, 0, z, l.cols)
}

func (l linear[F]) Pull(k int, dst, dz []F, r *core.LinkRows[F]) {
	beta := F(1)
	if r.First {
		beta = 0
	}
	switch k {
	case 0:
		mat.Gemm(false, false, r.N, l.width, l.cols, 1, dz, l.cols, r.X[1], l.width, 0, dst, l.width)
	case 1:
		mat.Gemm(true, false, l.cols, l.width, r.N, 1, dz, l.cols, r.X[0], l.width, beta, dst, l.width)
	default:
		if r.First {
			clear(dst)
		}
		for i := range r.N {
			for j, v := range dz[i*l.cols : (i+1)*l.cols] {
				dst[j] += v
			}
		}
	}
}

func (l linear[F]) Push(k int, dz, v []F, r *core.LinkRows[F]) {
	switch k {
	case 0:
		mat.Gemm(false, true, r.N, l.cols, l.width, 1, v, l.width, r.X[1], l.width, 0, dz, l.cols)
	case 1:
		mat.Gemm(false, true, r.N, l.cols, l.width, 1, r.X[0], l.width, v, l.width, 0, dz, l.cols)
	default:
		for i := range r.N {
			copy(dz[i*l.cols:(i+1)*l.cols], v)
		}
	}
}

func (l linear[F]) Second(then, k int, dst, dz, v []F, r *core.LinkRows[F]) {
	switch {
	case then == 0 && k == 1:
		mat.Gemm(false, false, r.N, l.width, l.cols, 1, dz, l.cols, v, l.width, 1, dst, l.width)
	case then == 1 && k == 0:
		mat.Gemm(true, false, l.cols, l.width, r.N, 1, dz, l.cols, v, l.width, 1, dst, l.width)
	}
}
