package mat

// packB copies a block of op(B) to panels as wide as a tile, each with its rows one after another.
// The columns of the last panel beyond those of the block are 0.
func (p *product[F]) packB(dst []F, b block) {
	es, cols := size[F](), p.k.cols
	panel := cols * b.rows
	whole, rest := b.cols/cols, b.cols%cols
	last := dst[whole*panel:]
	if rest > 0 {
		for i := range b.rows {
			clear(last[i*cols+rest : (i+1)*cols])
		}
	}
	if p.tb {
		for q := 0; q*cols < b.cols; q++ {
			from := p.b[(b.col+q*cols)*p.ldb+b.row:]
			p.k.transposed(dst[q*panel:], cols, from, p.ldb, min(cols, b.cols-q*cols), b.rows)
		}
		return
	}
	if b.cols == 0 {
		return
	}
	from := p.b[b.row*p.ldb+b.col:]
	if whole > 0 {
		p.k.packB(b.rows, whole, &dst[0], panel*es, &from[0], p.ldb*es)
	}
	if rest > 0 {
		for i := range b.rows {
			copy(last[i*cols:][:rest], from[i*p.ldb+whole*cols:])
		}
	}
}

// packA copies rows i to next-1 of a transposed A, with the terms of the block, to panels as high
// as a tile.
func (p *product[F]) packA(dst []F, i, next int, b block) {
	es, rows := size[F](), p.k.rows
	panel := rows * b.rows
	from := p.a[b.row*p.lda+i:]
	whole, rest := (next-i)/rows, (next-i)%rows
	inside := 0 // terms that the kernel copies: it reads beyond the end of a row, which the last one of A does not allow
	if whole > 0 && b.rows > 1 {
		inside = b.rows - 1
		p.k.packA(inside, whole, &dst[0], panel*es, &from[0], p.lda*es)
	}
	for t := inside; t < b.rows; t++ {
		for q := range whole {
			copy(dst[q*panel+t*rows:][:rows], from[t*p.lda+q*rows:])
		}
	}
	for t := 0; t < b.rows && rest > 0; t++ {
		copy(dst[whole*panel+t*rows:][:rest], from[t*p.lda+whole*rows:])
	}
}

// transposed writes a matrix of rows × cols numbers, lda apart, as one whose rows are ldd apart.
func (k *kernels[F]) transposed(dst []F, ldd int, a []F, lda, rows, cols int) {
	es, i := size[F](), 0
	whole := cols / k.block
	for ; whole > 0 && i+k.block <= rows; i += k.block {
		k.transpose(&dst[i], ldd*es, &a[i*lda], lda*es, whole)
		for j := whole * k.block; j < cols; j++ {
			for r := i; r < i+k.block; r++ {
				dst[j*ldd+r] = a[r*lda+j]
			}
		}
	}
	for ; i < rows; i++ {
		for j, v := range a[i*lda:][:cols] {
			dst[j*ldd+i] = v
		}
	}
}
