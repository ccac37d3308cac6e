package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// normEpsilon is added to variances, as in PyTorch.
const normEpsilon = 1e-5

// LayerNorm normalises each row of x along its last axis to mean 0 and variance 1, then multiplies
// by a gain and adds a bias:
//
//	y = g ∘ (x - μ)/√(σ² + 1e-5) + b    μ and σ² over the last axis
//
// x and the result have the shape (rows, ..., features), with at least two axes.
//
// Parameters: name.weight (g) and name.bias (b) of shape (features), initially 1 and 0. There is no
// second derivative.
//
// Reference: J. L. Ba, J. R. Kiros and G. E. Hinton, Layer Normalization, 2016.
func (b *Builder) LayerNorm(name string, x *G.Node) (*G.Node, error) {
	if x == nil || x.Dims() < 2 || x.Dtype() != b.dtype {
		return nil, fmt.Errorf("train.LayerNorm: input of %q %s, want shape (rows, ..., features) of %v", name,
			describe(x), b.dtype)
	}
	return b.norm(name, x, func(flat *G.Node) (*G.Node, error) {
		return norm{dtype: b.dtype, rows: true}.normalise(flat, nil)
	})
}

// BatchNorm normalises each feature, along the last axis of x, to mean 0 and variance 1 over all
// other axes, then multiplies by a gain and adds a bias:
//
//	y = g ∘ (x - μ)/√(σ² + 1e-5) + b
//
// During training μ and σ² are the mean and variance of the batch; rows that pad a short batch are
// left out. Otherwise they are running averages, which each training batch updates with weight 0.1:
// m ← 0.9·m + 0.1·μ. Variances are divided by n, not n-1, so a batch of one row is valid and has
// variance 0.
//
// x has the shape (rows, ..., features), with at least two axes; the features of pictures are their
// channels, as in [Builder.Conv2D].
//
// Parameters: name.weight (g) and name.bias (b) of shape (features), initially 1 and 0. The
// averages name.running_mean and name.running_var, initially 0 and 1, are saved and resumed with
// the parameters. They have no gradients, and freezing them in a group stops their updates. There
// is no second derivative.
//
// Reference: S. Ioffe and C. Szegedy, Batch Normalization: Accelerating Deep Network Training by
// Reducing Internal Covariate Shift, 2015.
func (b *Builder) BatchNorm(name string, x *G.Node) (*G.Node, error) {
	if x == nil || x.Dims() < 2 || x.Dtype() != b.dtype || x.Shape()[0] != b.batch {
		return nil, fmt.Errorf("train.BatchNorm: input of %q %s, want shape (%d, ..., features) of %v", name,
			describe(x), b.batch, b.dtype)
	}
	features := x.Shape()[x.Dims()-1]
	mean, err := b.state(name+".running_mean", Constant(0), features)
	if err != nil {
		return nil, err
	}
	variance, err := b.state(name+".running_var", Constant(1), features)
	if err != nil {
		return nil, err
	}
	n := norm{dtype: b.dtype}
	return b.norm(name, x, func(flat *G.Node) (*G.Node, error) {
		if !b.training {
			return n.fixed(flat, mean, variance)
		}
		present, err := b.presentRows()
		if err != nil {
			return nil, err
		}
		moments, err := n.moments(flat, present)
		if err != nil {
			return nil, err
		}
		b.averages = append(b.averages, &average{mean: b.params.index[mean.Name()], variance: b.params.index[variance.Name()], moments: moments})
		return n.normalise(flat, present)
	})
}

// norm reshapes x to a matrix, normalises it with the given function, multiplies by a gain and adds
// a bias.
func (b *Builder) norm(name string, x *G.Node, normalise func(flat *G.Node) (*G.Node, error)) (*G.Node, error) {
	shape := x.Shape().Clone()
	features := shape[len(shape)-1]
	gain, err := b.Param(name+".weight", Constant(1), features)
	if err != nil {
		return nil, err
	}
	bias, err := b.Param(name+".bias", Constant(0), features)
	if err != nil {
		return nil, err
	}
	flat := x
	if len(shape) > 2 {
		if flat, err = G.Reshape(x, tensor.Shape{shape.TotalSize() / features, features}); err != nil {
			return nil, err
		}
	}
	y, err := normalise(flat)
	if err != nil {
		return nil, err
	}
	rows := y.Shape()[0]
	if gain, err = repeatRow(gain, rows); err != nil {
		return nil, err
	}
	if bias, err = repeatRow(bias, rows); err != nil {
		return nil, err
	}
	if y, err = G.HadamardProd(y, gain); err != nil {
		return nil, err
	}
	if y, err = G.Add(y, bias); err != nil || len(shape) == 2 {
		return y, err
	}
	return G.Reshape(y, shape)
}

// state returns a parameter that no optimizer moves. A training graph does not read it, so its node
// belongs to a separate graph there.
func (b *Builder) state(name string, init Init, shape ...int) (*G.Node, error) {
	if b.params.states == nil {
		b.params.states = make(map[string]bool)
	}
	b.params.states[name] = true
	if !b.training {
		return b.Param(name, init, shape...)
	}
	if _, err := b.parameter(name, init, shape); err != nil {
		return nil, err
	}
	return G.NewTensor(G.NewGraph(), b.dtype, len(shape), G.WithShape(shape...), G.WithName(name)), nil
}

// presentRows returns the leaf that holds 1 for each row of the batch and 0 for each padding row.
func (b *Builder) presentRows() (*G.Node, error) {
	if b.present == nil {
		c, err := leaf(b.graph, "present rows", "present rows", data.Field{Kind: data.Float}, b.dtype, b.batch)
		if err != nil {
			return nil, err
		}
		b.present = c
	}
	return b.present.node, nil
}

// average is a running mean and variance, together with the moments of the last batch.
type average struct {
	mean, variance *weights.Array
	moments        *G.Node
	batch          data.Column // the moments of the last run: means, then variances
}

// follow updates the averages with the moments of the last batch.
func (a *average) follow() {
	const share = 0.1
	n := len(a.mean.F32) + len(a.mean.F64)
	for i := range a.batch.F32 {
		to := a.mean.F32
		if i >= n {
			to = a.variance.F32
		}
		to[i%n] += share * (a.batch.F32[i] - to[i%n])
	}
	for i := range a.batch.F64 {
		to := a.mean.F64
		if i >= n {
			to = a.variance.F64
		}
		to[i%n] += share * (a.batch.F64[i] - to[i%n])
	}
}

// norm normalises a matrix: each row separately, or each column over the rows that are not padding.
type norm struct {
	dtype tensor.Dtype
	rows  bool
}

func (n norm) operands(x *G.Node, more ...*G.Node) (G.Nodes, []hm.Type) {
	in, types := G.Nodes{}, []hm.Type{}
	for _, o := range append([]*G.Node{x}, more...) {
		if o != nil {
			in, types = append(in, o), append(types, tensorType(o.Dims(), n.dtype))
		}
	}
	return in, types
}

func (n norm) text(name string) string { return fmt.Sprintf("train.norm.%s[%+v]", name, n) }

// normalise returns (x - μ)/√(σ² + ε).
func (n norm) normalise(x, present *G.Node) (*G.Node, error) {
	in, types := n.operands(x, present)
	return apply(&op{
		text: n.text("normalise"), types: types, out: types[0], diff: []bool{true, false},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if n.dtype == tensor.Float32 {
				return normValues[float32](r, n, in, nil)
			}
			return normValues[float64](r, n, in, nil)
		},
		sym: func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
			d, err := n.gradient(in, g)
			return append(G.Nodes{d}, make(G.Nodes, len(in)-1)...), err
		},
	}, in...)
}

// gradient returns (g - mean(g) - y·mean(g·y))/√(σ² + ε), with y the normalised numbers.
func (n norm) gradient(in G.Nodes, g *G.Node) (*G.Node, error) {
	var present *G.Node
	if len(in) > 1 {
		present = in[1]
	}
	all, types := n.operands(in[0], present, g)
	diff := make([]bool, len(all))
	diff[0], diff[len(diff)-1] = true, true
	return apply(&op{
		text: n.text("gradient"), types: types, out: types[0], diff: diff,
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			last := len(in) - 1
			if n.dtype == tensor.Float32 {
				return normValues[float32](r, n, in[:last], in[last])
			}
			return normValues[float64](r, n, in[:last], in[last])
		},
		sym: func(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
			return nil, errors.New("train: a normalisation has no second derivative")
		},
	}, all...)
}

// moments returns the means of the columns, followed by their variances, over the rows that are not
// padding.
func (n norm) moments(x, present *G.Node) (*G.Node, error) {
	in, types := n.operands(x, present)
	return apply(&op{
		text: n.text("moments"), types: types, out: tensorType(1, n.dtype),
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{2 * in[0][1]}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if n.dtype == tensor.Float32 {
				return momentValues[float32](r, in)
			}
			return momentValues[float64](r, in)
		},
	}, in...)
}

// fixed returns (x - μ)/√(σ² + ε) for given means and variances of the columns.
func (n norm) fixed(x, mean, variance *G.Node) (*G.Node, error) {
	rows := x.Shape()[0]
	mean, err := repeatRow(mean, rows)
	if err != nil {
		return nil, err
	}
	if variance, err = repeatRow(variance, rows); err != nil {
		return nil, err
	}
	if x, err = G.Sub(x, mean); err != nil {
		return nil, err
	}
	eps := G.NewConstant(normEpsilon)
	if n.dtype == tensor.Float32 {
		eps = G.NewConstant(float32(normEpsilon))
	}
	if variance, err = G.Add(variance, eps); err != nil {
		return nil, err
	}
	if variance, err = G.Sqrt(variance); err != nil {
		return nil, err
	}
	return G.HadamardDiv(x, variance)
}

// presence returns a function that reports whether a row of the matrix counts. Each row of the
// batch contributes the same number of matrix rows.
func presence[F float32 | float64](in []G.Value, rows int) (func(i int) bool, error) {
	if len(in) < 2 {
		return func(int) bool { return true }, nil
	}
	p, err := slice[F](in[1])
	if err != nil {
		return nil, err
	}
	each := rows / len(p)
	return func(i int) bool { return p[i/each] != 0 }, nil
}

// columnMoments returns the means and variances of the columns of x over the n rows that count.
func columnMoments[F float32 | float64](x []F, width int, counts func(i int) bool) (mean, variance []float64, n float64) {
	mean, variance = make([]float64, width), make([]float64, width)
	for i := range len(x) / width {
		if counts(i) {
			n++
			for j, v := range x[i*width : (i+1)*width] {
				mean[j] += float64(v)
			}
		}
	}
	for j := range mean {
		mean[j] /= n
	}
	for i := range len(x) / width {
		if counts(i) {
			for j, v := range x[i*width : (i+1)*width] {
				d := float64(v) - mean[j]
				variance[j] += d * d
			}
		}
	}
	for j := range variance {
		variance[j] /= n
	}
	return mean, variance, n
}

func momentValues[F float32 | float64](r *room, in []G.Value) (G.Value, error) {
	x, err := slice[F](in[0])
	if err != nil {
		return nil, err
	}
	rows, width := in[0].Shape()[0], in[0].Shape()[1]
	counts, err := presence[F](in, rows)
	if err != nil {
		return nil, err
	}
	mean, variance, _ := columnMoments(x, width, counts)
	out := take[F](r, 2*width)
	for j := range width {
		out[j], out[width+j] = F(mean[j]), F(variance[j])
	}
	return dense(out, 2*width), nil
}

// normValues returns the normalised values or, given an upstream gradient, the derivative.
func normValues[F float32 | float64](r *room, n norm, in []G.Value, upstream G.Value) (G.Value, error) {
	x, err := slice[F](in[0])
	if err != nil {
		return nil, err
	}
	var g []F
	if upstream != nil {
		if g, err = slice[F](upstream); err != nil {
			return nil, err
		}
	}
	rows, width := in[0].Shape()[0], in[0].Shape()[1]
	out := take[F](r, rows*width)
	if n.rows {
		for first := 0; first < len(x); first += width {
			upstream := g
			if g != nil {
				upstream = g[first : first+width]
			}
			normRow(out[first:first+width], x[first:first+width], upstream)
		}
		return dense(out, rows, width), nil
	}
	counts, err := presence[F](in, rows)
	if err != nil {
		return nil, err
	}
	normColumns(out, x, g, width, counts)
	return dense(out, rows, width), nil
}

// normRow normalises a row or, given an upstream gradient g, computes the derivative with respect
// to it.
func normRow[F float32 | float64](out, x, g []F) {
	n := float64(len(x))
	var mean, variance, meanG, meanGY float64
	for _, v := range x {
		mean += float64(v)
	}
	mean /= n
	for _, v := range x {
		d := float64(v) - mean
		variance += d * d
	}
	scale := 1 / math.Sqrt(variance/n+normEpsilon)
	if g == nil {
		for k, v := range x {
			out[k] = F((float64(v) - mean) * scale)
		}
		return
	}
	for k, v := range g {
		meanG += float64(v)
		meanGY += float64(v) * (float64(x[k]) - mean) * scale
	}
	meanG, meanGY = meanG/n, meanGY/n
	for k, v := range x {
		out[k] = F(scale * (float64(g[k]) - meanG - (float64(v)-mean)*scale*meanGY))
	}
}

// normColumns normalises the columns by their moments over the rows that count, or differentiates
// by them with an upstream gradient g. It goes through the rows in the order of memory.
func normColumns[F float32 | float64](out, x, g []F, width int, counts func(i int) bool) {
	mean, scale, n := columnMoments(x, width, counts)
	for j, v := range scale {
		scale[j] = 1 / math.Sqrt(v+normEpsilon)
	}
	if g == nil {
		for first := 0; first < len(x); first += width {
			to := out[first : first+width]
			for j, v := range x[first : first+width] {
				to[j] = F((float64(v) - mean[j]) * scale[j])
			}
		}
		return
	}
	meanG, meanGY := make([]float64, width), make([]float64, width)
	for first := 0; first < len(x); first += width {
		if counts(first / width) {
			from := x[first : first+width]
			for j, v := range g[first : first+width] {
				meanG[j] += float64(v)
				meanGY[j] += float64(v) * (float64(from[j]) - mean[j]) * scale[j]
			}
		}
	}
	for j := range meanG {
		meanG[j], meanGY[j] = meanG[j]/n, meanGY[j]/n
	}
	for first := 0; first < len(x); first += width {
		to, from := out[first:first+width], g[first:first+width]
		if !counts(first / width) {
			clear(to) // padding, whose results have the weight 0
			continue
		}
		for j, v := range x[first : first+width] {
			to[j] = F(scale[j] * (float64(from[j]) - meanG[j] - (float64(v)-mean[j])*scale[j]*meanGY[j]))
		}
	}
}
