package mat

import "unsafe"

// The generic kernels: plain Go. They run wherever no assembly does, and they are what the assembly
// is tested against.
var (
	generic32 = genericKernels[float32]()
	generic64 = genericKernels[float64]()
)

func genericKernels[F Float]() kernels[F] {
	k := kernels[F]{
		rows: 4, cols: 2,
		dots:      []dots[F]{{1, dotsGeneric[F]}},
		single:    []dots[F]{{1, dotsGeneric[F]}},
		addRows:   [2]func(n int, y, x *F, xs int, a *F, lda int){addRowGeneric[F], addRowsGeneric[F]},
		packA:     packGeneric[F](4),
		packB:     packGeneric[F](2),
		block:     1,
		transpose: transposeGeneric[F],
	}
	for rows := 1; rows <= k.rows; rows++ {
		for cols := 1; cols <= 2; cols++ {
			k.tile[cols-1][rows] = sideBySide(cols, tileGeneric[F](rows, cols))
		}
	}
	k.tile[1][4] = sideBySide(2, tile4x2Generic[F])
	return k
}

// rowsOf is the slice of n numbers at each of so many places that are stride bytes apart, and the
// stride in numbers.
func rowsOf[F Float](p *F, count, stride, n int) (s []F, step int) {
	step = stride / size[F]()
	if count == 0 {
		return nil, step
	}
	return unsafe.Slice(p, (count-1)*step+n), step
}

// oneTile computes a tile.
type oneTile[F Float] func(k int, a *F, rs, cs int, b *F, bs int, c *F, ldc int, d *F, ldd int, alpha F)

// sideBySide returns the kernel that computes one tile of cols columns after another.
func sideBySide[F Float](cols int, tile oneTile[F]) tileFunc[F] {
	return func(
		panels, k int, a *F, rs, cs int, b *F, bs, next int, c *F, ldc int, d *F, ldd int, alpha F,
	) {
		for q := range panels {
			if q > 0 {
				b, c = at(b, k*bs+next), at(c, cols*size[F]())
				if d != nil {
					d = at(d, cols*size[F]())
				}
			}
			tile(k, a, rs, cs, b, bs, c, ldc, d, ldd, alpha)
		}
	}
}

// tileGeneric returns what computes a tile of rows × cols numbers.
func tileGeneric[F Float](rows, cols int) oneTile[F] {
	return func(k int, a *F, rs, cs int, b *F, bs int, c *F, ldc int, d *F, ldd int, alpha F) {
		for i := range rows {
			x, across := rowsOf(at(a, i*rs), k, cs, 1)
			for j := range cols {
				y, down := rowsOf(at(b, j*size[F]()), k, bs, 1)
				var sum F
				for p := range k {
					sum += x[p*across] * y[p*down]
				}
				store(at(c, i*ldc), d, i*ldd, j, alpha*sum)
			}
		}
	}
}

// store writes v, plus number j of the row that lies so many bytes after d, to number j of row c.
func store[F Float](c, d *F, row, j int, v F) {
	j *= size[F]()
	if d != nil {
		v += *at(d, row+j)
	}
	*at(c, j) = v
}

// tile4x2Generic keeps its eight sums in registers.
func tile4x2Generic[F Float](k int, a *F, rs, cs int, b *F, bs int, c *F, ldc int, d *F, ldd int, alpha F) {
	a0, across := rowsOf(a, k, cs, 1)
	a1, _ := rowsOf(at(a, rs), k, cs, 1)
	a2, _ := rowsOf(at(a, 2*rs), k, cs, 1)
	a3, _ := rowsOf(at(a, 3*rs), k, cs, 1)
	y, down := rowsOf(b, k, bs, 2)
	var s00, s01, s10, s11, s20, s21, s30, s31 F
	for p := range k {
		b0, b1 := y[p*down], y[p*down+1]
		x := a0[p*across]
		s00 += x * b0
		s01 += x * b1
		x = a1[p*across]
		s10 += x * b0
		s11 += x * b1
		x = a2[p*across]
		s20 += x * b0
		s21 += x * b1
		x = a3[p*across]
		s30 += x * b0
		s31 += x * b1
	}
	for i, s := range [4][2]F{{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}} {
		for j, v := range s {
			store(at(c, i*ldc), d, i*ldd, j, alpha*v)
		}
	}
}

func dotsGeneric[F Float](tiles, k int, a *F, lda int, b *F, _ int, c *F, ldc int, d *F, ldd int, alpha F) {
	y := unsafe.Slice(b, k)
	for i := range tiles {
		x := unsafe.Slice(at(a, i*lda), k)
		var s0, s1, s2, s3 F
		p := 0
		for ; p+4 <= k; p += 4 {
			s0 += x[p] * y[p]
			s1 += x[p+1] * y[p+1]
			s2 += x[p+2] * y[p+2]
			s3 += x[p+3] * y[p+3]
		}
		for ; p < k; p++ {
			s0 += x[p] * y[p]
		}
		store(at(c, i*ldc), d, i*ldd, 0, alpha*((s0+s1)+(s2+s3)))
	}
}

func addRowGeneric[F Float](n int, y, x *F, _ int, a *F, _ int) {
	sum, row, f := unsafe.Slice(y, n), unsafe.Slice(a, n), *x
	for j, v := range row {
		sum[j] += f * v
	}
}

func addRowsGeneric[F Float](n int, y, x *F, xs int, a *F, lda int) {
	for i := range 8 {
		addRowGeneric(n, y, at(x, i*xs), xs, at(a, i*lda), lda)
	}
}

func packGeneric[F Float](width int) func(n, panels int, dst *F, ds int, src *F, ld int) {
	return func(n, panels int, dst *F, ds int, src *F, ld int) {
		to, apart := rowsOf(dst, panels, ds, n*width)
		for i := range n {
			for q, from := 0, unsafe.Slice(at(src, i*ld), panels*width); q < panels; q++ {
				copy(to[q*apart+i*width:][:width], from[q*width:])
			}
		}
	}
}

func transposeGeneric[F Float](dst *F, ds int, src *F, _, blocks int) {
	to, step := rowsOf(dst, blocks, ds, 1)
	for i, v := range unsafe.Slice(src, blocks) {
		to[i*step] = v
	}
}
