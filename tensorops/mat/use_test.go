package mat

import (
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
	gonummat "gonum.org/v1/gonum/mat"
	"gorgonia.org/tensor"
)

// restoreBLAS puts gonum's implementation back when the test ends.
func restoreBLAS(t *testing.T) {
	t.Cleanup(func() {
		tensor.Use(gonum.Implementation{})
		blas32.Use(gonum.Implementation{})
		blas64.Use(gonum.Implementation{})
	})
}

// TestUse: products of Gorgonia's tensors and of gonum's matrices are those of Gemm and MatVec, to
// the bit.
func TestUse(t *testing.T) {
	restoreBLAS(t)
	Use()
	rng := newRand(t, 11)
	const m, n, k = 40, 50, 60
	a, b, x := normal[float64](rng, m*k), normal[float64](rng, k*n), normal[float64](rng, k)
	product, vector := make([]float64, m*n), make([]float64, m)
	Gemm(false, false, m, n, k, 1, a, k, b, n, 0, product, n)
	MatVec(false, m, k, 1, a, k, x, 0, vector)

	ta := tensor.New(tensor.WithShape(m, k), tensor.WithBacking(a))
	tb := tensor.New(tensor.WithShape(k, n), tensor.WithBacking(b))
	got, err := tensor.MatMul(ta, tb)
	if err != nil || !sameBits(got.Data().([]float64), product) {
		t.Errorf("tensor.MatMul does not give Gemm's result (error %v)", err)
	}
	got, err = tensor.MatVecMul(ta, tensor.New(tensor.WithShape(k), tensor.WithBacking(x)))
	if err != nil || !sameBits(got.Data().([]float64), vector) {
		t.Errorf("tensor.MatVecMul does not give MatVec's result (error %v)", err)
	}
	var dense gonummat.Dense
	dense.Mul(gonummat.NewDense(m, k, a), gonummat.NewDense(k, n, b))
	if !sameBits(dense.RawMatrix().Data, product) {
		t.Error("gonum's Mul does not give Gemm's result")
	}
	if _, ok := blas32.Implementation().(Implementation); !ok {
		t.Error("blas32 has another implementation")
	}
}

// TestImplementationRefuses: wrong arguments panic with gonum's own message.
func TestImplementationRefuses(t *testing.T) {
	x, y, z := make([]float32, 12), make([]float32, 12), make([]float32, 12)
	type arguments struct {
		tA, tB        blas.Transpose
		m, n, k       int
		a, b, c       []float32
		lda, ldb, ldc int
	}
	good := arguments{blas.NoTrans, blas.NoTrans, 3, 3, 4, x, y, z, 4, 3, 3}
	for i, change := range []func(a *arguments){
		func(a *arguments) { a.tA = 'x' }, func(a *arguments) { a.tB = 0 },
		func(a *arguments) { a.m = -1 }, func(a *arguments) { a.n = -1 }, func(a *arguments) { a.k = -1 },
		func(a *arguments) { a.lda = 3 }, func(a *arguments) { a.ldb = 2 }, func(a *arguments) { a.ldc = 2 },
		func(a *arguments) { a.a = x[:11] }, func(a *arguments) { a.b = y[:11] }, func(a *arguments) { a.c = z[:8] },
	} {
		a := good
		change(&a)
		call := func(b blas.Float32) any {
			return panicOf(func() { b.Sgemm(a.tA, a.tB, a.m, a.n, a.k, 1, a.a, a.lda, a.b, a.ldb, 0, a.c, a.ldc) })
		}
		if got, want := call(Implementation{}), call(gonum.Implementation{}); got != want || want == nil {
			t.Errorf("change %d: panic %v, want %v", i, got, want)
		}
	}
	for i, call := range []func(b blas.Float32){
		func(b blas.Float32) { b.Sgemv('x', 3, 4, 1, x, 4, y, 1, 0, z, 1) },
		func(b blas.Float32) { b.Sgemv(blas.NoTrans, -3, 4, 1, x, 4, y, 1, 0, z, 1) },
		func(b blas.Float32) { b.Sgemv(blas.NoTrans, 3, 4, 1, x, 3, y, 1, 0, z, 1) },
		func(b blas.Float32) { b.Sgemv(blas.NoTrans, 3, 4, 1, x, 4, y, 0, 0, z, 1) },
		func(b blas.Float32) { b.Sgemv(blas.Trans, 3, 4, 1, x, 4, y[:2], 1, 0, z, 1) },
		func(b blas.Float32) { b.Sgemv(blas.NoTrans, 3, 4, 1, x[:11], 4, y, 1, 0, z, 1) },
	} {
		got, want := panicOf(func() { call(Implementation{}) }), panicOf(func() { call(gonum.Implementation{}) })
		if got != want || want == nil {
			t.Errorf("vector call %d: panic %v, want %v", i, got, want)
		}
	}
}

// TestImplementationPassesOn: what the products of this package do not take is gonum's, to the bit.
func TestImplementationPassesOn(t *testing.T) {
	rng := newRand(t, 12)
	shared := normal[float64](rng, 100)
	run := func(b blas.Float64) []float64 {
		s := append([]float64(nil), shared...)
		b.Dgemm(blas.NoTrans, blas.NoTrans, 5, 5, 5, 1, s, 5, s[25:], 5, 1, s[10:], 5) // overlaps
		b.Dgemv(blas.NoTrans, 4, 5, 1, s, 5, s[50:], 2, 0.5, s[70:], -3)               // strides
		b.Dgemv(blas.Trans, 5, 5, 1, s, 5, s[50:], 1, 1, s[48:], 1)                    // overlaps
		return s
	}
	if !sameBits(run(Implementation{}), run(gonum.Implementation{})) {
		t.Error("overlapping or strided operands give another result than gonum's")
	}
}

// TestImplementation compares contiguous vectors and every flag with gonum.
func TestImplementation(t *testing.T) {
	rng := newRand(t, 13)
	for _, tA := range []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans} {
		for _, tB := range []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans} {
			c := newCase[float32](rng, tA != blas.NoTrans, tB != blas.NoTrans, 30, 20, 40, -0.5, 0.25)
			want, sizes := c.reference()
			Implementation{}.Sgemm(tA, tB, c.m, c.n, c.k, c.alpha, c.a.x, c.a.ld, c.b.x, c.b.ld, c.beta, c.c.x, c.c.ld)
			c.check(t, want, sizes)
		}
		c := newCase[float32](rng, tA != blas.NoTrans, false, 30, 1, 40, -0.5, 0.25)
		c.b, c.c = guardedMatrix[float32](rng, 40, 1, 1, 1), guardedMatrix[float32](rng, 30, 1, 1, 2)
		want, sizes := c.reference()
		Implementation{}.Sgemv(tA, c.a.rows, c.a.cols, c.alpha, c.a.x, c.a.ld, c.b.x, 1, c.beta, c.c.x, 1)
		c.check(t, want, sizes)
	}
}
