// Package mat multiplies matrices of float32 and float64.
//
// [Gemm] is the product C = alpha·op(A)·op(B) + beta·C of matrices or their transposes, [GemmBias]
// adds a row instead of C, and [MatVec] multiplies a matrix and a vector. All work on slices, with
// leading dimensions, so that a part of a matrix is an operand as well as a whole one. They
// allocate nothing once memory for blocks of the operands is there.
//
// [Use] puts these products under Gorgonia and gonum.
//
// # Implementations
//
// On amd64 the inner loops are assembly for AVX2 with FMA or for AVX-512, whichever the processor
// has, with the same bits from both. Everywhere else, and under the build tag purego, they are Go.
// Package vec chooses the level for them, too.
//
// Large products are shared among up to GOMAXPROCS cores by [tensorops.ParallelFor].
//
// # Numbers
//
// Sums are formed in the element type. Each takes its terms in an order that depends on the sizes,
// the transposes and whether alpha is 1: AVX2, AVX-512 and any number of cores give the same bits,
// and so does a product of some of the rows, as long as more than four are left. The pure Go
// kernels round differently.
//
// Of k terms, at most 512 are added one after another; then the sum is multiplied by alpha and
// added to C. The error of an element is at most γ·|alpha|·Σ|a·b| + ε·(|alpha·Σa·b| + |beta·c|)·(2
// + k/512), where γ = kε/(1-kε) and ε is half a unit in the last place of 1, 2^-24 or 2^-53.
package mat
