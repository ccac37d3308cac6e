package core

// A Block is a number of rows as the mathematics of a loss reads them: the operands' entries in
// float64, whatever their dtype, so that a float32 result is rounded once. Row i has the entries
// [i·Cols, (i+1)·Cols) of each slice. Rows that do not count are not in a block.
//
// A derivative that is nil is not requested; a direction that is nil is zero.
type Block struct {
	Rows, Cols int
	Single     bool                   // the results are rounded to float32
	X          [MaxOperands][]float64 // the operands; never written to
	Label      []int                  // the label of each row, -1 for a soft target; nil for losses without labels
	List       [][]int                // the listed classes of each row, where the target is a list of them

	Out  []float64              // the values, one per row
	Grad [MaxOperands][]float64 // ∂l/∂x_k
	Dir  [MaxOperands][]float64 // a direction v
	Hess [MaxOperands][]float64 // Σ_j ∂²l/∂x_k∂x_j·v_j

	parts, beside []RowPart // of each row, of a shard and of all others
	mine          []bool

	first   int   // position of the first row among the values
	at      []int // position of every row, where rows are left out between them
	scratch scratch[float64]
	row     *Block // of EachRow
}

// Index returns the position of row i among the values of the loss.
func (b *Block) Index(i int) int {
	if b.at != nil {
		return b.at[i]
	}
	return b.first + i
}

// Class returns the label of row 0, or -1 for a soft target.
func (b *Block) Class() int {
	if b.Label == nil {
		return -1
	}
	return b.Label[0]
}

// Beside returns what row 0 comes to in other shards, nil where there is none.
func (b *Block) Beside() *RowPart {
	if b.beside == nil {
		return nil
	}
	return &b.beside[0]
}

// Owned reports whether what belongs to row 0 and to no class is to be added here.
func (b *Block) Owned() bool { return b.mine == nil || b.mine[0] }

// PartOf returns where the part of row 0 is to be written.
func (b *Block) PartOf() *RowPart { return &b.parts[0] }

// reset makes a block without content of b, in place.
func (b *Block) reset() {
	memory, row := b.scratch.memory, b.row
	*b = Block{}
	b.scratch.memory, b.row = memory, row
}

// Buf returns a slice of n elements with arbitrary content that belongs to the block function until
// it returns.
func (b *Block) Buf(n int) []float64 {
	return b.scratch.take(n)
}

// EachRow lifts the mathematics of one row, which returns the value, to a block function. The block
// that f gets is a single row without Out.
func EachRow(f RowFunc) BlockFunc {
	return func(b *Block) {
		for i := range b.Rows {
			l := b.oneRow(i, f)
			if b.Out != nil {
				b.Out[i] = l
			}
		}
	}
}

// FastRows is EachRow with a function for what is needed most.
func FastRows(f RowFunc, fast FastFunc) BlockFunc {
	each := EachRow(f)
	return func(b *Block) {
		wrt, others := -1, b.beside != nil || b.parts != nil
		for k := range b.Grad {
			if b.Grad[k] != nil {
				others = others || wrt >= 0
				wrt = k
			}
			others = others || b.Hess[k] != nil
		}
		if others || b.List != nil {
			each(b)
			return
		}
		value, grad := b.Out, []float64(nil)
		if value == nil {
			value = b.Buf(b.Rows)
		}
		if wrt >= 0 {
			grad = b.Grad[wrt]
		}
		fast(b, max(wrt, 0), value, grad)
		for i, l := range value {
			if l != l {
				value[i] = b.oneRow(i, f)
			}
		}
	}
}

// oneRow returns f of row i.
func (b *Block) oneRow(i int, f RowFunc) float64 {
	if b.row == nil {
		b.row = new(Block)
	}
	r := b.row
	*r = Block{Rows: 1, Cols: b.Cols, scratch: b.scratch, row: r.row}
	used := b.scratch.used
	lo, hi := i*b.Cols, (i+1)*b.Cols
	for k := range b.X {
		r.X[k] = cut(b.X[k], lo, hi)
		r.Grad[k] = cut(b.Grad[k], lo, hi)
		r.Dir[k] = cut(b.Dir[k], lo, hi)
		r.Hess[k] = cut(b.Hess[k], lo, hi)
	}
	if b.Label != nil {
		r.Label = b.Label[i : i+1]
	}
	if b.List != nil {
		r.List = b.List[i : i+1]
	}
	if b.parts != nil {
		r.parts = b.parts[i : i+1]
	}
	if b.beside != nil {
		r.beside, r.mine = b.beside[i:i+1], b.mine[i:i+1]
	}
	r.first = b.Index(i)
	l := f(r)
	if len(r.scratch.memory) > len(b.scratch.memory) {
		b.scratch, used = r.scratch, 0
	}
	b.scratch.used = used
	*r = Block{row: r.row}
	return l
}

func cut(x []float64, lo, hi int) []float64 {
	if x == nil {
		return nil
	}
	return x[lo:hi:hi]
}
