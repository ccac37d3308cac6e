package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/mat"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// GRU returns the states of a gated recurrent unit over sequences x of shape (rows, steps, inputs),
// as shape (rows, steps, units), and the last state of each sequence, as shape (rows, units). With
// σ the sigmoid and h_0 = 0,
//
//	r = σ(x·W_r + b_r + h·U_r + c_r)
//	z = σ(x·W_z + b_z + h·U_z + c_z)
//	n = tanh(x·W_n + b_n + r ∘ (h·U_n + c_n))
//	h ← (1-z) ∘ n + z ∘ h
//
// lengths is a node of Int of shape (rows) with the lengths of the sequences, in [0, steps], or nil
// if no sequence is padded. After its end a sequence keeps its state, so padding affects neither
// states nor gradients.
//
// Parameters, all drawn from [-a, a) with a = 1/√units, with the blocks r, z and n one after the
// other, as in PyTorch: name.weight_input of shape (inputs, 3·units), name.bias_input of shape
// (3·units), name.weight_state of shape (units, 3·units) and name.bias_state of shape (3·units).
//
// There is no second derivative.
//
// Reference: K. Cho et al., Learning Phrase Representations using RNN Encoder-Decoder for
// Statistical Machine Translation, 2014.
func (b *Builder) GRU(name string, x, lengths *G.Node, units int) (states, last *G.Node, err error) {
	switch {
	case x == nil || x.Dims() != 3 || x.Dtype() != b.dtype:
		return nil, nil, fmt.Errorf("train.GRU: input of %q %s, want shape (rows, steps, inputs) of %v", name,
			describe(x), b.dtype)
	case lengths != nil && (lengths.Dtype() != tensor.Int || !lengths.Shape().Eq(tensor.Shape{x.Shape()[0]})):
		return nil, nil, fmt.Errorf("train.GRU: lengths of %q are %v of shape %v, want int of shape (%d)", name,
			lengths.Dtype(), lengths.Shape(), x.Shape()[0])
	case units < 1:
		return nil, nil, fmt.Errorf("train.GRU: %q has %d units, want at least 1", name, units)
	}
	rows, steps, inputs := x.Shape()[0], x.Shape()[1], x.Shape()[2]
	a := Uniform(1 / math.Sqrt(float64(units)))
	var params [4]*G.Node
	for i, p := range []struct {
		name  string
		shape []int
	}{{"weight_input", []int{inputs, 3 * units}}, {"bias_input", []int{3 * units}}, {"weight_state", []int{units, 3 * units}}, {"bias_state", []int{3 * units}}} {
		if params[i], err = b.Param(name+"."+p.name, a, p.shape...); err != nil {
			return nil, nil, err
		}
	}
	flat, err := G.Reshape(x, tensor.Shape{rows * steps, inputs})
	if err != nil {
		return nil, nil, err
	}
	gates, err := affine(flat, params[0], params[1])
	if err != nil {
		return nil, nil, err
	}
	operands := G.Nodes{gates, params[2], params[3]}
	if lengths != nil {
		operands = append(operands, lengths)
	}
	cell := gru{rows, steps, units, b.dtype, lengths != nil}
	if states, err = cell.scan(operands); err != nil {
		return nil, nil, err
	}
	last, err = cell.last(states)
	return states, last, err
}

// gru is the recurrence, applied to the products of inputs and weights.
type gru struct {
	rows, steps, units int
	dtype              tensor.Dtype
	ragged             bool // lengths are given
}

// types returns the types of the operands: the products with the inputs, the state's weights and
// biases, and the lengths.
func (c gru) types() []hm.Type {
	t := []hm.Type{tensorType(2, c.dtype), tensorType(2, c.dtype), tensorType(1, c.dtype)}
	if c.ragged {
		t = append(t, tensorType(1, tensor.Int))
	}
	return t
}

func (c gru) text(name string) string { return fmt.Sprintf("train.gru.%s[%+v]", name, c) }

func (c gru) scan(operands G.Nodes) (*G.Node, error) {
	return apply(&op{
		text: c.text("scan"), types: c.types(), out: tensorType(3, c.dtype), diff: []bool{true, true, true, false},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.Shape{c.rows, c.steps, c.units}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if c.dtype == tensor.Float32 {
				return scanGRU[float32](r, c, in)
			}
			return scanGRU[float64](r, c, in)
		},
		sym: func(in G.Nodes, out, g *G.Node) (G.Nodes, error) { return c.gradients(in, out, g) },
	}, operands...)
}

// gradients returns the derivatives with respect to the operands. One operation computes all of
// them into a single vector, which three others slice.
func (c gru) gradients(in G.Nodes, out, g *G.Node) (G.Nodes, error) {
	sizes := []int{c.rows * c.steps * 3 * c.units, c.units * 3 * c.units, 3 * c.units}
	n := sizes[0] + sizes[1] + sizes[2]
	three := tensorType(3, c.dtype)
	types := append(c.types(), three, three)
	diff := []bool{true, true, true}
	if c.ragged {
		diff = append(diff, false)
	}
	diff = append(diff, true, true)
	all, err := apply(&op{
		text: c.text("gradients"), types: types, out: tensorType(1, c.dtype), diff: diff,
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.Shape{n}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if c.dtype == tensor.Float32 {
				return backGRU[float32](r, c, in, sizes)
			}
			return backGRU[float64](r, c, in, sizes)
		},
		sym: func(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
			return nil, errors.New("train.GRU has no second derivative")
		},
	}, append(append(G.Nodes{}, in...), out, g)...)
	if err != nil {
		return nil, err
	}
	result := make(G.Nodes, len(in))
	from := 0
	for i, size := range sizes {
		if result[i], err = cutVector(all, from, in[i].Shape().Clone()); err != nil {
			return nil, err
		}
		from += size
	}
	return result, nil
}

// cutVector returns a slice of a vector as a tensor. It serves first derivatives only and has no
// derivative.
func cutVector(v *G.Node, from int, shape tensor.Shape) (*G.Node, error) {
	dt := v.Dtype()
	return apply(&op{
		text: fmt.Sprintf("train.cut[%d,%v,%v]", from, shape, dt), types: []hm.Type{tensorType(1, dt)},
		out: tensorType(len(shape), dt), diff: []bool{true},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return shape.Clone(), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return cutOut[float32](r, in[0], from, shape)
			}
			return cutOut[float64](r, in[0], from, shape)
		},
		sym: func(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
			return nil, errors.New("train.GRU has no second derivative")
		},
	}, v)
}

func cutOut[F float32 | float64](r *room, v G.Value, from int, shape tensor.Shape) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	out := take[F](r, shape.TotalSize())
	copy(out, x[from:])
	return dense(out, shape...), nil
}

// last returns the state of each sequence after the last step.
func (c gru) last(states *G.Node) (*G.Node, error) {
	return apply(&op{
		text: c.text("last"), types: []hm.Type{tensorType(3, c.dtype)}, out: tensorType(2, c.dtype), diff: []bool{true},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.Shape{c.rows, c.units}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if c.dtype == tensor.Float32 {
				return lastStates[float32](r, c, in[0], true)
			}
			return lastStates[float64](r, c, in[0], true)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := c.intoLast(g)
			return G.Nodes{n}, err
		},
	}, states)
}

// intoLast is the derivative of last: it places g at the last step and zeros elsewhere.
func (c gru) intoLast(g *G.Node) (*G.Node, error) {
	return apply(&op{
		text: c.text("intoLast"), types: []hm.Type{tensorType(2, c.dtype)}, out: tensorType(3, c.dtype), diff: []bool{true},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.Shape{c.rows, c.steps, c.units}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if c.dtype == tensor.Float32 {
				return lastStates[float32](r, c, in[0], false)
			}
			return lastStates[float64](r, c, in[0], false)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := c.last(g)
			return G.Nodes{n}, err
		},
	}, g)
}

func lastStates[F float32 | float64](r *room, c gru, v G.Value, out bool) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	h, t := c.units, c.steps
	if out {
		y := take[F](r, c.rows*h)
		for i := range c.rows {
			copy(y[i*h:(i+1)*h], x[((i+1)*t-1)*h:])
		}
		return dense(y, c.rows, h), nil
	}
	y := take[F](r, c.rows*t*h)
	clear(y)
	for i := range c.rows {
		copy(y[((i+1)*t-1)*h:], x[i*h:(i+1)*h])
	}
	return dense(y, c.rows, t, h), nil
}

// lengths returns the lengths of the sequences and checks their range.
func (c gru) lengths(in []G.Value) ([]int, error) {
	lengths := make([]int, c.rows)
	for i := range lengths {
		lengths[i] = c.steps
	}
	if !c.ragged {
		return lengths, nil
	}
	t, ok := in[3].(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("train: lengths are a %T, want a dense tensor of int", in[3])
	}
	given, err := tensorops.Elements[int](t)
	if err != nil {
		return nil, fmt.Errorf("train: lengths are %w", err)
	}
	for i, n := range given {
		if n < 0 || n > c.steps {
			return nil, fmt.Errorf("train: length %d is %d, want 0 to %d", i, n, c.steps)
		}
	}
	return given, nil
}

// operandsOf returns the values of the operands with the given indices.
func operandsOf[F float32 | float64](in []G.Value, which ...int) ([][]F, error) {
	out := make([][]F, len(which))
	for i, k := range which {
		var err error
		if out[i], err = slice[F](in[k]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// gates holds the gates of all rows at one step, with scratch memory.
type gates[F float32 | float64] struct {
	r, z, n []F // (rows, units)
	state   []F // h·U + c: (rows, 3·units)
	wide    []float64
}

func newGates[F float32 | float64](c gru) *gates[F] {
	size := c.rows * c.units
	return &gates[F]{make([]F, size), make([]F, size), make([]F, size), make([]F, 3*size), make([]float64, 3*c.units)}
}

// step computes the gates of step t from the previous states h. Each row is computed in float64
// with vector functions and rounded once.
func (g *gates[F]) step(c gru, t int, x, u, bias, h []F) {
	k := c.units
	mat.GemmBias(false, false, c.rows, 3*k, k, 1, h, k, u, 3*k, bias, g.state, 3*k)
	rz, n := g.wide[:2*k], g.wide[2*k:]
	for i := range c.rows {
		xi, si := x[(i*c.steps+t)*3*k:][:3*k], g.state[i*3*k:][:3*k]
		for j := range rz {
			rz[j] = -float64(xi[j] + si[j])
		}
		vec.Exp(rz, rz)
		for j, e := range rz {
			rz[j] = 1 / (1 + e)
		}
		for j := range n {
			n[j] = float64(xi[2*k+j]) + rz[j]*float64(si[2*k+j])
		}
		for j, a := range n {
			n[j] = 2 * min(a, 20) // tanh 20 is 1 to the last place
		}
		vec.Expm1(n, n)
		for j, e := range n {
			n[j] = e / (e + 2) // tanh a with e = exp(2a) - 1
		}
		from := i * k
		for j := range k {
			g.r[from+j], g.z[from+j], g.n[from+j] = F(rz[j]), F(rz[k+j]), F(n[j])
		}
	}
}
func scanGRU[F float32 | float64](r *room, c gru, in []G.Value) (G.Value, error) {
	v, err := operandsOf[F](in, 0, 1, 2)
	if err != nil {
		return nil, err
	}
	lengths, err := c.lengths(in)
	if err != nil {
		return nil, err
	}
	k := c.units
	out := take[F](r, c.rows*c.steps*k)
	h, g := make([]F, c.rows*k), newGates[F](c)
	for t := range c.steps {
		g.step(c, t, v[0], v[1], v[2], h)
		for i := range c.rows {
			for j := i * k; j < (i+1)*k && t < lengths[i]; j++ {
				h[j] = (1-g.z[j])*g.n[j] + g.z[j]*h[j]
			}
			copy(out[(i*c.steps+t)*k:], h[i*k:(i+1)*k])
		}
	}
	return dense(out, c.rows, c.steps, k), nil
}

// backGRU computes the derivatives with respect to the operands, from the last step to the first.
// With dh the derivative with respect to the state after a step,
//
//	dz = dh·(h-n)·z(1-z)   dn = dh·(1-z)(1-n²)   dr = dn·(h·U_n+c_n)·r(1-r)
//
// The derivative with respect to the inputs' products is (dr, dz, dn); with respect to the state's
// products it is s = (dr, dz, dn·r), so that dh ← dh·z + s·Uᵀ.
func backGRU[F float32 | float64](r *room, c gru, in []G.Value, sizes []int) (G.Value, error) {
	n := len(in)
	v, err := operandsOf[F](in, 0, 1, 2, n-2, n-1)
	if err != nil {
		return nil, err
	}
	lengths, err := c.lengths(in[:n-2])
	if err != nil {
		return nil, err
	}
	x, u, bias, out, up, k := v[0], v[1], v[2], v[3], v[4], c.units
	all := take[F](r, sizes[0]+sizes[1]+sizes[2])
	clear(all)
	dx, du, db := all[:sizes[0]], all[sizes[0]:sizes[0]+sizes[1]], all[sizes[0]+sizes[1]:]
	h, dh, ds := make([]F, c.rows*k), make([]F, c.rows*k), make([]F, c.rows*3*k)
	g, back := newGates[F](c), make([]F, c.rows*k)
	for t := c.steps - 1; t >= 0; t-- {
		clear(h)
		for i := range c.rows {
			if t > 0 {
				copy(h[i*k:(i+1)*k], out[(i*c.steps+t-1)*k:])
			}
			for j := range k {
				dh[i*k+j] += up[(i*c.steps+t)*k+j]
			}
		}
		g.step(c, t, x, u, bias, h)
		clear(ds)
		for i := range c.rows {
			if t >= lengths[i] {
				continue
			}
			di, si := dx[(i*c.steps+t)*3*k:], ds[i*3*k:]
			for j := range k {
				a := i*k + j
				rr, z, nn, d := g.r[a], g.z[a], g.n[a], dh[a]
				dn := d * (1 - z) * (1 - nn*nn)
				dz := d * (h[a] - nn) * z * (1 - z)
				dr := dn * g.state[i*3*k+2*k+j] * rr * (1 - rr)
				di[j], di[k+j], di[2*k+j] = dr, dz, dn
				si[j], si[k+j], si[2*k+j] = dr, dz, dn*rr
				dh[a] = d * z
			}
		}
		mat.Gemm(true, false, k, 3*k, c.rows, 1, h, k, ds, 3*k, 1, du, 3*k)
		mat.Gemm(false, true, c.rows, k, 3*k, 1, ds, 3*k, u, 3*k, 0, back, k)
		for i := range c.rows {
			for j, d := range ds[i*3*k : (i+1)*3*k] {
				db[j] += d
			}
			for j := range k {
				dh[i*k+j] += back[i*k+j]
			}
		}
	}
	return dense(all, len(all)), nil
}
