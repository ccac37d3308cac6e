package train

import (
	"fmt"
	"math/rand/v2"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A Window is the shape of a convolution or of a pooling over pictures of shape (rows, height,
// width, channels).
type Window struct {
	Height, Width int
	Stride        int // between neighbouring windows in both directions; 0 means 1, for pooling too
	Pad           int // zeros around a picture on every side, for convolutions
}

// fit returns the window with its defaults and the height and width of the result.
func (w Window) fit(fn, name string, x *G.Node, dtype tensor.Dtype) (Window, int, int, error) {
	if w.Stride == 0 {
		w.Stride = 1
	}
	fail := func(format string, args ...any) (Window, int, int, error) {
		return w, 0, 0, fmt.Errorf("train.%s: %q: %s", fn, name, fmt.Sprintf(format, args...))
	}
	switch {
	case x == nil || x.Dims() != 4:
		return fail("input %s, want shape (rows, height, width, channels)", describe(x))
	case x.Dtype() != dtype:
		return fail("input is %v, want %v", x.Dtype(), dtype)
	case w.Height < 1 || w.Width < 1 || w.Stride < 1 || w.Pad < 0:
		return fail("window is %+v, want a height, a width and a stride of at least 1 and no negative padding", w)
	}
	s := x.Shape()
	h, wd := s[1]+2*w.Pad-w.Height, s[2]+2*w.Pad-w.Width
	if h < 0 || wd < 0 {
		return fail("a window of %d by %d is larger than the picture %v with %d zeros around", w.Height, w.Width, s, w.Pad)
	}
	return w, h/w.Stride + 1, wd/w.Stride + 1, nil
}

// Conv2D returns the convolution of pictures x of shape (rows, height, width, channels) with units
// kernels of the size of a window:
//
//	y_nijk = b_k + Σ_abc x_n(s·i+a-p)(s·j+b-p)c · w_abck
//
// with the window's stride s and padding p; x is 0 outside of a picture. The result has the shape
// (rows, (height+2p-Height)/s + 1, (width+2p-Width)/s + 1, units), with the channels last, as they
// are in x.
//
// Parameters: name.weight of shape (Height, Width, channels, units) and name.bias of shape (units),
// both drawn from [-a, a) with a = 1/√(Height·Width·channels), as in PyTorch.
func (b *Builder) Conv2D(name string, x *G.Node, units int, window Window) (*G.Node, error) {
	w, height, width, err := window.fit("Conv2D", name, x, b.dtype)
	if err != nil {
		return nil, err
	}
	if units < 1 {
		return nil, fmt.Errorf("train.Conv2D: %q has %d units, want at least 1", name, units)
	}
	rows, channels := x.Shape()[0], x.Shape()[3]
	inputs := w.Height * w.Width * channels
	kernel, err := b.Param(name+".weight", Fans{In: 2, Out: 3}.FanIn(), w.Height, w.Width, channels, units)
	if err != nil {
		return nil, err
	}
	bias, err := b.Param(name+".bias", func(rng *rand.Rand, _ []int, dst []float64) { fanIn(rng, float64(inputs), 0, dst) }, units)
	if err != nil {
		return nil, err
	}
	cut, err := patches(x, w)
	if err != nil {
		return nil, err
	}
	if kernel, err = G.Reshape(kernel, tensor.Shape{inputs, units}); err != nil {
		return nil, err
	}
	y, err := affine(cut, kernel, bias)
	if err != nil {
		return nil, err
	}
	return G.Reshape(y, tensor.Shape{rows, height, width, units})
}

// patches lays the windows of pictures in the rows of a matrix: shape (rows·height·width of the
// result, Height·Width·channels).
func patches(x *G.Node, w Window) (*G.Node, error) {
	dt, shape := x.Dtype(), x.Shape().Clone()
	h, wd := (shape[1]+2*w.Pad-w.Height)/w.Stride+1, (shape[2]+2*w.Pad-w.Width)/w.Stride+1
	return apply(&op{
		text: fmt.Sprintf("train.patches[%+v,%v,%v]", w, shape, dt), types: []hm.Type{tensorType(4, dt)},
		out: tensorType(2, dt), diff: []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) {
			return tensor.Shape{in[0][0] * h * wd, w.Height * w.Width * in[0][3]}, nil
		},
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return cutPatches[float32](r, in[0], shape, w)
			}
			return cutPatches[float64](r, in[0], shape, w)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := unpatch(g, shape, w)
			return G.Nodes{n}, err
		},
	}, x)
}

// unpatch adds the rows of a matrix of patches to pictures of zeros.
func unpatch(g *G.Node, shape tensor.Shape, w Window) (*G.Node, error) {
	dt := g.Dtype()
	return apply(&op{
		text: fmt.Sprintf("train.unpatch[%+v,%v,%v]", w, shape, dt), types: []hm.Type{tensorType(2, dt)},
		out: tensorType(4, dt), diff: []bool{true},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return shape.Clone(), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return addPatches[float32](r, in[0], shape, w)
			}
			return addPatches[float64](r, in[0], shape, w)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := patches(g, w)
			return G.Nodes{n}, err
		},
	}, g)
}

// runs calls f for every run of numbers that a window has in common with its picture: n numbers at
// x of the pictures and at p of the patches. Between the calls the patches are 0.
func (w Window) runs(shape tensor.Shape, f func(x, p, n int)) {
	rows, height, width, c := shape[0], shape[1], shape[2], shape[3]
	h, wd := (height+2*w.Pad-w.Height)/w.Stride+1, (width+2*w.Pad-w.Width)/w.Stride+1
	p := 0
	for n := range rows {
		for i := range h {
			for j := range wd {
				from := j*w.Stride - w.Pad
				left, right := max(from, 0), min(from+w.Width, width)
				for a := range w.Height {
					if y := i*w.Stride + a - w.Pad; y >= 0 && y < height && left < right {
						f(((n*height+y)*width+left)*c, p+(left-from)*c, (right-left)*c)
					}
					p += w.Width * c
				}
			}
		}
	}
}

func cutPatches[F float32 | float64](r *room, v G.Value, shape tensor.Shape, w Window) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	h, wd, k := (shape[1]+2*w.Pad-w.Height)/w.Stride+1, (shape[2]+2*w.Pad-w.Width)/w.Stride+1, w.Height*w.Width*shape[3]
	out := take[F](r, shape[0]*h*wd*k)
	if w.Pad > 0 {
		clear(out)
	}
	w.runs(shape, func(at, p, n int) { copy(out[p:p+n], x[at:at+n]) })
	return dense(out, shape[0]*h*wd, k), nil
}

func addPatches[F float32 | float64](r *room, v G.Value, shape tensor.Shape, w Window) (G.Value, error) {
	g, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	out := take[F](r, shape.TotalSize())
	clear(out)
	w.runs(shape, func(at, p, n int) {
		to := out[at : at+n]
		for i, d := range g[p : p+n] {
			to[i] += d
		}
	})
	return dense(out, shape...), nil
}

// MaxPool2D returns the maximum of each window of pictures x of shape (rows, height, width,
// channels), for each channel separately: shape (rows, (height-Height)/s + 1, (width-Width)/s + 1,
// channels) with the window's stride s. The derivative goes to the first of equal maxima. A NaN in
// a window makes its result NaN.
func (b *Builder) MaxPool2D(x *G.Node, window Window) (*G.Node, error) {
	return b.pool("MaxPool2D", x, window, true)
}

// MeanPool2D returns the mean of each window, with the shapes of [Builder.MaxPool2D]. A window of
// the size of the picture reduces each channel to one number.
func (b *Builder) MeanPool2D(x *G.Node, window Window) (*G.Node, error) {
	return b.pool("MeanPool2D", x, window, false)
}

func (b *Builder) pool(fn string, x *G.Node, window Window, largest bool) (*G.Node, error) {
	w, _, _, err := window.fit(fn, "pooling", x, b.dtype)
	if err != nil {
		return nil, err
	}
	if w.Pad != 0 {
		return nil, fmt.Errorf("train.%s: %d zeros around a picture, want none", fn, w.Pad)
	}
	return pooling{w, x.Shape().Clone(), x.Dtype(), largest}.pool(x, x)
}

// pooling is a maximum or a mean of windows. Both are a choice of numbers with factors; that of the
// maximum depends on the pictures.
type pooling struct {
	Window
	in      tensor.Shape
	dtype   tensor.Dtype
	largest bool
}

func (p pooling) out() tensor.Shape {
	return tensor.Shape{p.in[0], (p.in[1]-p.Height)/p.Stride + 1, (p.in[2]-p.Width)/p.Stride + 1, p.in[3]}
}

func (p pooling) text(name string) string {
	return fmt.Sprintf("train.%s[%+v,%v,%v,%v]", name, p.Window, p.in, p.dtype, p.largest)
}

// pool takes from y what the pooling of x chooses.
func (p pooling) pool(x, y *G.Node) (*G.Node, error) {
	four := tensorType(4, p.dtype)
	return apply(&op{
		text: p.text("pool"), types: []hm.Type{four, four}, out: four, diff: []bool{false, true},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return p.out(), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if p.dtype == tensor.Float32 {
				return poolValues[float32](r, p, in[0], in[1], true)
			}
			return poolValues[float64](r, p, in[0], in[1], true)
		},
		sym: func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := p.spread(in[0], g)
			return G.Nodes{nil, n}, err
		},
	}, x, y)
}

// spread adds g to what the pooling of x chooses.
func (p pooling) spread(x, g *G.Node) (*G.Node, error) {
	four := tensorType(4, p.dtype)
	return apply(&op{
		text: p.text("unpool"), types: []hm.Type{four, four}, out: four, diff: []bool{false, true},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return p.in.Clone(), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if p.dtype == tensor.Float32 {
				return poolValues[float32](r, p, in[0], in[1], false)
			}
			return poolValues[float64](r, p, in[0], in[1], false)
		},
		sym: func(in G.Nodes, _, up *G.Node) (G.Nodes, error) {
			n, err := p.pool(in[0], up)
			return G.Nodes{nil, n}, err
		},
	}, x, g)
}

// poolValues pools y as x says, or with down false spreads it.
func poolValues[F float32 | float64](r *room, p pooling, xv, yv G.Value, down bool) (G.Value, error) {
	x, err := slice[F](xv)
	if err != nil {
		return nil, err
	}
	y, err := slice[F](yv)
	if err != nil {
		return nil, err
	}
	shape := p.in
	if down {
		shape = p.out()
	}
	out := take[F](r, shape.TotalSize())
	clear(out)
	rows, height, width, c := p.in[0], p.in[1], p.in[2], p.in[3]
	h, w := p.out()[1], p.out()[2]
	share := 1 / F(p.Height*p.Width)
	o := 0
	for n := range rows {
		for i := range h {
			for j := range w {
				corner := ((n*height+i*p.Stride)*width + j*p.Stride) * c
				for k := range c {
					best := corner + k
					for a := range p.Height {
						at := corner + k + a*width*c
						for range p.Width {
							switch v := x[at]; {
							case !p.largest && down:
								out[o] += share * y[at]
							case !p.largest:
								out[at] += share * y[o]
							case v > x[best] || v != v && x[best] == x[best]:
								best = at
							}
							at += c
						}
					}
					if p.largest && down {
						out[o] = y[best]
					} else if p.largest {
						out[best] += y[o]
					}
					o++
				}
			}
		}
	}
	return dense(out, shape...), nil
}
