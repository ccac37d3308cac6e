package machine_test

import (
	"math/rand/v2"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// scene is a graph in the making: a builder of the sweep asks it for inputs.
type scene struct {
	g      *G.ExprGraph
	dt     tensor.Dtype
	inputs G.Nodes // those that are differentiated and changed
	bent   bool    // the operation is given x + x²/4 for an input x
}

// in adds an input with random values in [0.2, 1.2), which every operation takes.
func (s *scene) in(name string, shape ...int) *G.Node {
	n := newInput(s.g, s.dt, name, shape...)
	s.inputs = append(s.inputs, n)
	if s.bent {
		half := G.Must(G.Mul(n, constantOf(s.dt, 0.5)))
		return G.Must(G.Add(n, G.Must(G.Square(half))))
	}
	return n
}

func constantOf(dt tensor.Dtype, v float64) *G.Node {
	if dt == tensor.Float32 {
		return G.NewConstant(float32(v))
	}
	return G.NewConstant(v)
}

// ints adds an integer input, which is data.
func (s *scene) ints(name string, values []int, shape ...int) *G.Node {
	return G.NewTensor(s.g, tensor.Int, len(shape), G.WithName(name), G.WithShape(shape...),
		G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
}

// newInput is an input with values that depend on its name.
func newInput(g *G.ExprGraph, dt tensor.Dtype, name string, shape ...int) *G.Node {
	r := rand.New(rand.NewPCG(uint64(len(name)), uint64(name[0])))
	x := make([]float64, tensor.Shape(shape).TotalSize())
	for i := range x {
		x[i] = 0.2 + r.Float64()
	}
	if len(shape) == 0 {
		if dt == tensor.Float32 {
			return G.NewScalar(g, dt, G.WithName(name), G.WithValue(float32(x[0])))
		}
		return G.NewScalar(g, dt, G.WithName(name), G.WithValue(x[0]))
	}
	var backing any = x
	if dt == tensor.Float32 {
		narrow := make([]float32, len(x))
		for i, v := range x {
			narrow[i] = float32(v)
		}
		backing = narrow
	}
	return G.NewTensor(g, dt, len(shape), G.WithName(name), G.WithShape(shape...),
		G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))))
}

// A builder makes one node.
type builder func(s *scene) (*G.Node, error)

// The forms in which operations are given their operands.

func of(f func(*G.Node) (*G.Node, error), shape ...int) builder {
	return func(s *scene) (*G.Node, error) { return f(s.in("x", shape...)) }
}

func of2(f func(a, b *G.Node) (*G.Node, error), a, b []int) builder {
	return func(s *scene) (*G.Node, error) { return f(s.in("a", a...), s.in("b", b...)) }
}

type unary = func(*G.Node) (*G.Node, error)
type binary = func(a, b *G.Node) (*G.Node, error)
type compare = func(a, b *G.Node, same bool) (*G.Node, error)
type broadcast = func(a, b *G.Node, left, right []byte) (*G.Node, error)
type compareBroadcast = func(a, b *G.Node, same bool, left, right []byte) (*G.Node, error)

// operations are the graphs of the sweep: the exported function of Gorgonia, a slash, the case.
func operations() map[string]builder {
	all := make(map[string]builder)
	elementwise(all)
	for _, part := range []map[string]builder{linear(), shapes(), networks(), gradientsByHand()} {
		for name, b := range part {
			all[name] = b
		}
	}
	return all
}

func elementwise(all map[string]builder) {
	matrix, vector, scalar := []int{4, 6}, []int{5}, []int(nil)
	for name, f := range map[string]unary{"Abs": G.Abs, "Sign": G.Sign, "Ceil": G.Ceil, "Floor": G.Floor, "Sin": G.Sin, "Cos": G.Cos,
		"Exp": G.Exp, "Log": G.Log, "Log2": G.Log2, "Neg": G.Neg, "Square": G.Square, "Sqrt": G.Sqrt, "Inverse": G.Inverse,
		"InverseSqrt": G.InverseSqrt, "Cube": G.Cube, "Tanh": G.Tanh, "Sigmoid": G.Sigmoid, "Log1p": G.Log1p,
		"Expm1":    G.Expm1,
		"Softplus": G.Softplus, "Rectify": G.Rectify, "Mish": G.Mish} {
		all[name+"/matrix"], all[name+"/vector"], all[name+"/scalar"] = of(f, matrix...), of(f, vector...), of(f)
	}
	for name, f := range map[string]binary{"Add": G.Add, "Sub": G.Sub, "HadamardProd": G.HadamardProd, "HadamardDiv": G.HadamardDiv,
		"Div": G.Div, "Pow": G.Pow, "MinBetween": G.MinBetween, "MaxBetween": G.MaxBetween} {
		all[name+"/matrices"], all[name+"/vectors"] = of2(f, matrix, matrix), of2(f, vector, vector)
		all[name+"/scalars"] = of2(f, scalar, scalar)
		if !strings.HasSuffix(name, "Between") { // they do not mix
			all[name+"/scalar and matrix"], all[name+"/matrix and scalar"] = of2(f, scalar, matrix), of2(f, matrix, scalar)
		}
		all[name+"/with itself"] = of(func(x *G.Node) (*G.Node, error) { return f(x, x) }, matrix...)
	}
	for name, f := range map[string]compare{"Lt": G.Lt, "Gt": G.Gt, "Lte": G.Lte, "Gte": G.Gte, "Eq": G.Eq, "Ne": G.Ne} {
		for kind, same := range map[string]bool{"numbers": true, "booleans": false} {
			f := func(a, b *G.Node) (*G.Node, error) { return f(a, b, same) }
			all[name+"/matrices as "+kind], all[name+"/scalars as "+kind] = of2(f, matrix, matrix), of2(f, scalar, scalar)
			all[name+"/matrix and scalar as "+kind] = of2(f, matrix, scalar)
		}
	}
	for name, f := range map[string]broadcast{"BroadcastAdd": G.BroadcastAdd, "BroadcastSub": G.BroadcastSub,
		"BroadcastHadamardProd": G.BroadcastHadamardProd, "BroadcastHadamardDiv": G.BroadcastHadamardDiv, "BroadcastPow": G.BroadcastPow} {
		all[name+"/rows"] = of2(func(a, b *G.Node) (*G.Node, error) { return f(a, b, nil, []byte{0}) }, matrix, []int{1, 6})
		all[name+"/columns"] = of2(func(a, b *G.Node) (*G.Node, error) { return f(a, b, []byte{1}, nil) },
			[]int{4, 1}, matrix)
	}
	for name, f := range map[string]compareBroadcast{"BroadcastLt": G.BroadcastLt, "BroadcastGt": G.BroadcastGt, "BroadcastLte": G.BroadcastLte,
		"BroadcastGte": G.BroadcastGte, "BroadcastEq": G.BroadcastEq, "BroadcastNe": G.BroadcastNe} {
		all[name+"/rows"] = of2(func(a, b *G.Node) (*G.Node, error) { return f(a, b, true, nil, []byte{0}) }, matrix,
			[]int{1, 6})
	}
	all["ConvType/to the other"] = of(func(x *G.Node) (*G.Node, error) {
		if x.Dtype() == tensor.Float32 {
			return G.ConvType(x, tensor.Float32, tensor.Float64)
		}
		return G.ConvType(x, tensor.Float64, tensor.Float32)
	}, matrix...)
}

func linear() map[string]builder {
	return map[string]builder{
		"Mul/matrices":          of2(G.Mul, []int{4, 8}, []int{8, 4}),
		"Mul/matrix and vector": of2(G.Mul, []int{4, 8}, []int{8}),
		"Mul/vectors":           of2(G.Mul, []int{8}, []int{8}),
		"Mul/scalars":           of2(G.Mul, nil, nil),
		"OuterProd/vectors":     of2(G.OuterProd, []int{4}, []int{6}),
		"BatchedMatMul/plain": of2(func(a, b *G.Node) (*G.Node, error) { return G.BatchedMatMul(a, b) },
			[]int{2, 4, 8}, []int{2, 8, 4}),
		"BatchedMatMul/transposed": of2(func(a, b *G.Node) (*G.Node, error) { return G.BatchedMatMul(a, b, false, true) }, []int{2, 4, 8}, []int{2, 4, 8}),
		"Tensordot/matrices":       of2(func(a, b *G.Node) (*G.Node, error) { return G.Tensordot([]int{1}, []int{0}, a, b) }, []int{4, 8}, []int{8, 4}),
		"Sum/all":                  of(func(x *G.Node) (*G.Node, error) { return G.Sum(x) }, 4, 6),
		"Sum/rows":                 of(func(x *G.Node) (*G.Node, error) { return G.Sum(x, 0) }, 4, 6),
		"Sum/columns":              of(func(x *G.Node) (*G.Node, error) { return G.Sum(x, 1) }, 4, 6),
		"Sum/inner":                of(func(x *G.Node) (*G.Node, error) { return G.Sum(x, 1) }, 2, 3, 4),
		"Mean/all":                 of(func(x *G.Node) (*G.Node, error) { return G.Mean(x) }, 4, 6),
		"Mean/columns":             of(func(x *G.Node) (*G.Node, error) { return G.Mean(x, 1) }, 4, 6),
		"Max/columns":              of(func(x *G.Node) (*G.Node, error) { return G.Max(x, 1) }, 4, 6),
		"Max/all":                  of(func(x *G.Node) (*G.Node, error) { return G.Max(x) }, 4, 6),
		"Norm/2":                   of(func(x *G.Node) (*G.Node, error) { return G.Norm(x, 0, 2) }, 4, 6),
		"LogSumExp/vector":         of(func(x *G.Node) (*G.Node, error) { return G.LogSumExp(x, 0) }, 6),
		"ReduceAdd/three": func(s *scene) (*G.Node, error) {
			return G.ReduceAdd(G.Nodes{s.in("x", 4, 6), s.in("y", 4, 6), s.in("z", 4, 6)})
		},
		"ReduceMul/three": func(s *scene) (*G.Node, error) {
			return G.ReduceMul(G.Nodes{s.in("x", 4, 4), s.in("y", 4, 4), s.in("z", 4, 4)})
		},
		"Auto/rows": of2(func(a, b *G.Node) (*G.Node, error) { return G.Auto(G.BroadcastAdd, a, b) }, []int{4, 6},
			[]int{1, 6}),
		"KeepDims/sum": of(func(x *G.Node) (*G.Node, error) {
			return G.KeepDims(x, false, func(x *G.Node) (*G.Node, error) { return G.Sum(x, 1) })
		}, 4, 6),
	}
}

func shapes() map[string]builder {
	return map[string]builder{
		"Transpose/matrix": of(func(x *G.Node) (*G.Node, error) { return G.Transpose(x) }, 4, 6),
		"Transpose/axes":   of(func(x *G.Node) (*G.Node, error) { return G.Transpose(x, 2, 0, 1) }, 2, 3, 4),
		"Transpose/used": of(func(x *G.Node) (*G.Node, error) {
			return G.HadamardProd(G.Must(G.Transpose(x)), G.Must(G.Transpose(G.Must(G.Exp(x)))))
		}, 4, 6),
		"Reshape/matrix": of(func(x *G.Node) (*G.Node, error) { return G.Reshape(x, tensor.Shape{6, 4}) }, 4, 6),
		"Reshape/used":   of(func(x *G.Node) (*G.Node, error) { return G.Tanh(G.Must(G.Reshape(G.Must(G.Exp(x)), tensor.Shape{24}))) }, 4, 6),
		"Ravel/matrix":   of(G.Ravel, 4, 6),
		"Slice/rows":     of(func(x *G.Node) (*G.Node, error) { return G.Slice(x, G.S(1, 3)) }, 4, 6),
		"Slice/column":   of(func(x *G.Node) (*G.Node, error) { return G.Slice(x, nil, G.S(2)) }, 4, 6),
		"Slice/used":     of(func(x *G.Node) (*G.Node, error) { return G.Exp(G.Must(G.Slice(x, nil, G.S(1, 4)))) }, 4, 6),
		"Concat/rows":    of2(func(a, b *G.Node) (*G.Node, error) { return G.Concat(0, a, b) }, []int{4, 6}, []int{2, 6}),
		"Concat/columns": of2(func(a, b *G.Node) (*G.Node, error) { return G.Concat(1, a, b) }, []int{4, 6}, []int{4, 2}),
		"Unconcat/columns": of(func(x *G.Node) (*G.Node, error) {
			n, err := G.Unconcat(x, 1, 2)
			if err != nil {
				return nil, err
			}
			return G.HadamardProd(n[0], n[1])
		}, 4, 6),
		"At/matrix":       of(func(x *G.Node) (*G.Node, error) { return G.At(x, 1, 2) }, 4, 6),
		"SizeOf/matrix":   of(func(x *G.Node) (*G.Node, error) { return G.SizeOf(0, x) }, 4, 6),
		"DiagFlat/vector": of(G.DiagFlat, 5),
		"ByIndices/rows": func(s *scene) (*G.Node, error) {
			return G.ByIndices(s.in("x", 4, 6), s.ints("rows", []int{2, 0, 2}, 3), 0)
		},
		"Broadcast/rows": of2(func(a, b *G.Node) (*G.Node, error) {
			x, y, err := G.Broadcast(a, b, G.NewBroadcastPattern(nil, []byte{0}))
			if err != nil {
				return nil, err
			}
			return G.HadamardProd(x, y)
		}, []int{4, 6}, []int{1, 6}),
		"ApplyOp/again": of(func(x *G.Node) (*G.Node, error) { return G.ApplyOp(G.Must(G.Exp(x)).Op(), x) }, 4, 6),
		"ApplyOpWithName/again": of(func(x *G.Node) (*G.Node, error) {
			return G.ApplyOpWithName(G.Must(G.Exp(x)).Op(), "named", x)
		}, 4, 6),
		"OneHotVector/product": func(s *scene) (*G.Node, error) {
			return G.HadamardProd(s.in("x", 3), G.OneHotVector(1, 3, s.dt))
		},
		"NewConstant/scalar": func(s *scene) (*G.Node, error) {
			if s.dt == tensor.Float32 {
				return G.Log(G.Must(G.Sub(G.NewConstant(float32(3)), s.in("x", 4, 6))))
			}
			return G.Log(G.Must(G.Sub(G.NewConstant(3.0), s.in("x", 4, 6))))
		},
	}
}

func networks() map[string]builder {
	image := []int{2, 3, 8, 8}
	pair := tensor.Shape{2, 2}
	return map[string]builder{
		"SoftMax/matrix":     of(func(x *G.Node) (*G.Node, error) { return G.SoftMax(x) }, 4, 6),
		"LogSoftMax/matrix":  of(func(x *G.Node) (*G.Node, error) { return G.LogSoftMax(x) }, 4, 6),
		"Sparsemax/matrix":   of(func(x *G.Node) (*G.Node, error) { return G.Sparsemax(x) }, 4, 6),
		"LeakyRelu/matrix":   of(func(x *G.Node) (*G.Node, error) { return G.LeakyRelu(x, 0.1) }, 4, 6),
		"BinaryXent/vectors": of2(G.BinaryXent, []int{5}, []int{5}),
		"BinaryXent/sigmoid": of2(func(a, b *G.Node) (*G.Node, error) { return G.BinaryXent(G.Must(G.Sigmoid(a)), b) }, []int{5}, []int{5}),
		"Dropout/nothing":    of(func(x *G.Node) (*G.Node, error) { return G.Dropout(x, 0) }, 4, 6),
		"Im2Col/3x3": of(func(x *G.Node) (*G.Node, error) {
			return G.Im2Col(x, tensor.Shape{3, 3}, tensor.Shape{1, 1}, tensor.Shape{1, 1}, tensor.Shape{1, 1})
		}, image...),
		"Conv2d/3x3": of2(func(a, b *G.Node) (*G.Node, error) {
			return G.Conv2d(a, b, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
		}, image, []int{4, 3, 3, 3}),
		"Conv1d/3": of2(func(a, b *G.Node) (*G.Node, error) { return G.Conv1d(a, b, 3, 1, 1, 1) },
			[]int{2, 3, 1, 8}, []int{4, 3, 1, 3}),
		"MaxPool2D/2x2":        of(func(x *G.Node) (*G.Node, error) { return G.MaxPool2D(x, pair, []int{0, 0}, []int{2, 2}) }, image...),
		"MaxPool1D/2":          of(func(x *G.Node) (*G.Node, error) { return G.MaxPool1D(x, 2, 0, 2) }, 2, 3, 1, 8),
		"AveragePool2D/2x2":    of(func(x *G.Node) (*G.Node, error) { return G.AveragePool2D(x, pair, []int{0, 0}, []int{2, 2}) }, image...),
		"AveragePool1D/2":      of(func(x *G.Node) (*G.Node, error) { return G.AveragePool1D(x, 2, 0, 2) }, 2, 3, 1, 8),
		"GlobalAveragePool2D/": of(G.GlobalAveragePool2D, image...),
		"Upsample2D/twice":     of(func(x *G.Node) (*G.Node, error) { return G.Upsample2D(x, 1) }, 2, 3, 4, 4),
		"BatchNorm/image": func(s *scene) (*G.Node, error) {
			y, _, _, _, err := G.BatchNorm(s.in("x", 2, 3, 4, 4), s.in("scale", 2, 3, 4, 4), s.in("bias", 2, 3, 4, 4), 0.9, 1e-5)
			return y, err
		},
		"GroupNorm/image": func(s *scene) (*G.Node, error) {
			return G.GroupNorm(s.in("x", 2, 4, 4, 4), s.in("scale", 2, 4, 1, 1), s.in("bias", 2, 4, 1, 1), 2, 4, 1e-5)
		},
		"CTCLoss/mean": func(s *scene) (*G.Node, error) {
			logits := G.Must(G.LogSoftMax(s.in("x", 6, 5), 1))
			return G.CTCLoss(G.Must(G.Reshape(logits, tensor.Shape{6, 1, 5})), s.ints("targets", []int{1, 2, 3}, 1, 3),
				s.ints("steps", []int{6}, 1), s.ints("lengths", []int{3}, 1), G.ReductionMean)
		},
		"YOLOv3/evaluation": func(s *scene) (*G.Node, error) {
			return G.YOLOv3(s.in("x", 1, 21, 4, 4), []float32{10, 13, 16, 30, 33, 23}, []int{0, 1, 2}, 32, 2, 0.5)
		},
	}
}

// gradientsByHand are graphs with a reverse pass inside.
func gradientsByHand() map[string]builder {
	return map[string]builder{
		"Backpropagate/upstream": func(s *scene) (*G.Node, error) {
			x, up := newInput(s.g, s.dt, "differentiated", 4, 6), s.in("upstream", 4, 6)
			d, err := G.Backpropagate(G.Nodes{G.Must(G.Tanh(x))}, G.Nodes{up}, G.Nodes{x})
			if err != nil {
				return nil, err
			}
			s.inputs = nil // differentiated already
			return d[0], nil
		},
	}
}
