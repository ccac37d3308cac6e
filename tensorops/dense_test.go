package tensorops

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"

	"gorgonia.org/tensor"
)

type alongFunc func(dst, x *tensor.Dense, axis int) (*tensor.Dense, error)

var alongFuncs = map[string]alongFunc{"LogSumExp": LogSumExp, "Softmax": Softmax, "LogSoftmax": LogSoftmax}

// at reads the element at coords through shape and strides alone.
func at(t *tensor.Dense, coords ...int) float64 {
	o := 0
	for d, s := range stridesOf(t) {
		o += coords[d] * s
	}
	if t.Dtype() == tensor.Float32 {
		return float64(t.Float32s()[o])
	}
	return t.Float64s()[o]
}

// coords calls f for every coordinate of shape.
func coords(shape []int, f func(c []int)) {
	c := make([]int, len(shape))
	for {
		f(c)
		d := len(c) - 1
		for ; d >= 0; d-- {
			if c[d]++; c[d] < shape[d] {
				break
			}
			c[d] = 0
		}
		if d < 0 {
			return
		}
	}
}

// layouts returns tensors of many memory layouts.
func layouts(t *testing.T, dt tensor.Dtype) map[string]*tensor.Dense {
	rng := newRand(t, 21)
	fresh := func(shape ...int) *tensor.Dense {
		n := tensor.Shape(shape).TotalSize()
		x := distributions[1].row(rng, n)
		if dt == tensor.Float32 {
			return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(convert[float32](x)))
		}
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
	}
	transposed := func(x *tensor.Dense, axes ...int) *tensor.Dense {
		if err := x.T(axes...); err != nil {
			t.Fatal(err)
		}
		return x
	}
	sliced := func(x *tensor.Dense, s ...tensor.Slice) *tensor.Dense {
		v, err := x.Slice(s...)
		if err != nil {
			t.Fatal(err)
		}
		return v.(*tensor.Dense)
	}
	fortran := func(shape ...int) *tensor.Dense {
		x := fresh(shape...)
		return tensor.New(tensor.WithShape(shape...), tensor.AsFortran(x.Data()))
	}
	return map[string]*tensor.Dense{
		"vector":              fresh(7),
		"one element":         fresh(1),
		"row":                 fresh(1, 9),
		"column":              fresh(9, 1),
		"matrix":              fresh(5, 7),
		"transposed":          transposed(fresh(5, 7)),
		"column-major":        fortran(5, 7),
		"column-major rank 3": fortran(3, 4, 5),
		"slice":               sliced(fresh(6, 9), tensor.S(1, 5), tensor.S(2, 8)),
		"one column":          sliced(fresh(6, 9), nil, tensor.S(3)),
		"every second column": sliced(fresh(6, 9), nil, tensor.S(0, 9, 2)),
		"slice of transposed": sliced(transposed(fresh(6, 9)), tensor.S(1, 8), tensor.S(2, 6)),
		"rank 3 permuted":     transposed(fresh(3, 4, 5), 2, 0, 1),
		"rank 3 perm. slice":  sliced(transposed(fresh(3, 4, 5), 2, 0, 1), tensor.S(1, 4), nil, tensor.S(1, 3)),
		"rank 4":              fresh(2, 3, 4, 5),
		"large":               fresh(short(130, 70), 257),
		"large transposed":    transposed(fresh(short(130, 70), 257)),
	}
}

// TestLayoutsAndAxes compares every axis of every layout with the slice forms on lines read one by
// one.
func TestLayoutsAndAxes(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for layout, x := range layouts(t, dt) {
				for name, f := range alongFuncs {
					for axis := -x.Dims(); axis < x.Dims(); axis++ {
						t.Run(fmt.Sprintf("%v/%s/%s/axis=%d", dt, layout, name, axis), func(t *testing.T) {
							checkAxis(t, f, name, nil, x, axis)
						})
					}
				}
			}
		}
	})
}

// checkAxis runs f and compares the result with the rows functions, line by line.
func checkAxis(t *testing.T, f alongFunc, name string, dst, x *tensor.Dense, axis int) {
	t.Helper()
	if axis < 0 {
		axis += x.Dims()
	}
	lineAt := func(c []int) (line int) { // the coordinates without the axis
		for d, n := range x.Shape() {
			if d != axis {
				line = line*n + c[d]
			}
		}
		return line
	}
	lines := make([][]float64, x.Shape().TotalSize()/x.Shape()[axis])
	coords(x.Shape(), func(c []int) {
		l := lineAt(c)
		lines[l] = append(lines[l], at(x, c...))
	})
	for l, line := range lines {
		lines[l] = lineResult(x.Dtype(), name, line)
	}
	out, err := f(dst, x, axis)
	if err != nil {
		t.Fatal(err)
	}
	if dst != nil && out != dst {
		t.Fatal("the result is not dst")
	}
	coords(x.Shape(), func(c []int) {
		want := lines[lineAt(c)]
		if name != "LogSumExp" {
			if got := at(out, c...); got != want[c[axis]] {
				t.Fatalf("at %v: %v, want %v", c, got, want[c[axis]])
			}
			return
		}
		if len(out.Shape()) != x.Dims()-1 {
			t.Fatalf("result has shape %v for x of shape %v", out.Shape(), x.Shape())
		}
		if got := at(out, append(append([]int{}, c[:axis]...), c[axis+1:]...)...); got != want[0] {
			t.Fatalf("at %v: %v, want %v", c, got, want[0])
		}
	})
}

func lineResult(dt tensor.Dtype, name string, line []float64) []float64 {
	if dt == tensor.Float32 {
		return lineResultOf(convert[float32](line), name)
	}
	return lineResultOf(line, name)
}

func lineResultOf[F Float](x []F, name string) []float64 {
	dst := make([]F, len(x))
	switch name {
	case "LogSumExp":
		LogSumExpRows(dst[:1], x, len(x))
	case "Softmax":
		SoftmaxRows(dst, x, len(x))
	case "LogSoftmax":
		LogSoftmaxRows(dst, x, len(x))
	}
	out := make([]float64, len(dst))
	for i, v := range dst {
		out[i] = float64(v)
	}
	return out
}

// TestDst gives results in memory of every layout, in place and in memory that overlaps x.
func TestDst(t *testing.T) {
	clone := func(x *tensor.Dense) *tensor.Dense { return x.Clone().(*tensor.Dense) }
	for layout, x := range layouts(t, tensor.Float64) {
		for name, f := range alongFuncs {
			for axis := range x.Dims() {
				t.Run(fmt.Sprintf("%s/%s/axis=%d", layout, name, axis), func(t *testing.T) {
					if name != "LogSumExp" {
						y := clone(x)
						checkAxis(t, f, name, y, y, axis) // in place
						d := tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(x.Shape()...), tensor.AsFortran(nil))
						checkAxis(t, f, name, d, x, axis)
						return
					}
					d := tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(shapeWithout(x.Shape(), axis)...))
					checkAxis(t, f, name, d, x, axis)
				})
			}
		}
	}
}

func TestDstOverlapsX(t *testing.T) {
	backing := distributions[1].row(newRand(t, 4), 60)
	whole := tensor.New(tensor.WithShape(10, 6), tensor.WithBacking(backing))
	view := func(lo, hi int) *tensor.Dense {
		v, err := whole.Slice(tensor.S(lo, hi), nil)
		if err != nil {
			t.Fatal(err)
		}
		return v.(*tensor.Dense)
	}
	for name, f := range map[string]alongFunc{"Softmax": Softmax, "LogSoftmax": LogSoftmax} {
		for axis := range 2 {
			copy(backing, distributions[1].row(newRand(t, 4), 60))
			checkAxis(t, f, name, view(2, 9), view(0, 7), axis)
		}
	}
	// A transposed view as dst of its own memory.
	square := tensor.New(tensor.WithShape(5, 5), tensor.WithBacking(distributions[1].row(newRand(t, 6), 25)))
	v, err := square.Slice(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dst := v.(*tensor.Dense)
	if err := dst.T(); err != nil {
		t.Fatal(err)
	}
	checkAxis(t, Softmax, "Softmax", dst, square, 1)
	// The sums into the first column's memory.
	col, err := whole.Slice(nil, tensor.S(0))
	if err != nil {
		t.Fatal(err)
	}
	checkAxis(t, LogSumExp, "LogSumExp", col.(*tensor.Dense), whole, 1)
}

func TestVectorGivesScalar(t *testing.T) {
	x := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{0, 0}))
	out, err := LogSumExp(nil, x, 0)
	if err != nil {
		t.Fatal(err)
	}
	if out.Dims() != 0 || out.ScalarValue() != math.Ln2 {
		t.Errorf("shape %v, value %v, want (), log 2", out.Shape(), out.ScalarValue())
	}
}

func TestBadTensors(t *testing.T) {
	f32 := func(shape ...int) *tensor.Dense {
		return tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(shape...))
	}
	masked := tensor.New(tensor.WithShape(3), tensor.WithBacking([]float32{1, 2, 3}, []bool{false, true, false}))
	for _, c := range []struct {
		name   string
		f      alongFunc
		dst, x *tensor.Dense
		axis   int
		want   error
		text   string
	}{
		{"nil", Softmax, nil, nil, 0, ErrShape, "tensorops.Softmax: shape mismatch: x is nil or was never given a shape"},
		{"zero value", Softmax, nil, &tensor.Dense{}, 0, ErrShape,
			"tensorops.Softmax: shape mismatch: x is nil or was never given a shape"},
		{"scalar", LogSumExp, nil, tensor.New(tensor.FromScalar(1.5)), 0, ErrShape,
			"tensorops.LogSumExp: shape mismatch: x is a scalar, want rank 1 or more"},
		{"axis 2", LogSoftmax, nil, f32(3, 4), 2, ErrShape,
			"tensorops.LogSoftmax: shape mismatch: axis 2 is out of range for x of shape (3, 4)"},
		{"axis -3", Softmax, nil, f32(3, 4), -3, ErrShape,
			"tensorops.Softmax: shape mismatch: axis -3 is out of range for x of shape (3, 4)"},
		{"empty", Softmax, nil, f32(0, 4), 1, ErrShape,
			"tensorops.Softmax: shape mismatch: x has no elements, its shape is (0, 4)"},
		{"no classes", LogSumExp, nil, f32(4, 0), 1, ErrShape,
			"tensorops.LogSumExp: shape mismatch: x has no elements, its shape is (4, 0)"},
		{"int", Softmax, nil, tensor.New(tensor.Of(tensor.Int), tensor.WithShape(3)), 0, ErrDType,
			"tensorops.Softmax: unsupported dtype: x is int, want float32 or float64"},
		{"masked", Softmax, nil, masked, 0, ErrShape, "tensorops.Softmax: shape mismatch: x is a masked tensor"},
		{"masked dst", Softmax, masked, f32(3), 0, ErrShape, "tensorops.Softmax: shape mismatch: dst is a masked tensor"},
		{"dst dtype", Softmax, tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(3)), f32(3), 0, ErrDType,
			"tensorops.Softmax: unsupported dtype: dst is float64, want float32 as x is"},
		{"dst shape", Softmax, f32(4, 3), f32(3, 4), 0, ErrShape,
			"tensorops.Softmax: shape mismatch: dst has shape (4, 3), want (3, 4) for x of shape (3, 4)"},
		{"dst keeps axis", LogSumExp, f32(3, 1), f32(3, 4), 1, ErrShape,
			"tensorops.LogSumExp: shape mismatch: dst has shape (3, 1), want (3) for x of shape (3, 4)"},
	} {
		out, err := c.f(c.dst, c.x, c.axis)
		if !errors.Is(err, c.want) || err.Error() != c.text {
			t.Errorf("%s: error %v, want %s", c.name, err, c.text)
		}
		if out != nil {
			t.Errorf("%s: a result beside the error", c.name)
		}
	}
}

// TestCoresDoNotMatter compares the bits of results for several GOMAXPROCS.
func TestCoresDoNotMatter(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	rng := newRand(t, 9)
	for _, shape := range [][2]int{{short(1000, 500), 50}, {17, 3001}, {3, short(40000, 20000)}} {
		x := tensor.New(tensor.WithShape(shape[0], shape[1]),
			tensor.WithBacking(convert[float32](distributions[1].row(rng, shape[0]*shape[1]))))
		for name, f := range alongFuncs {
			for axis := range 2 {
				var first []float32
				for _, cores := range []int{1, 2, 3, 8} {
					runtime.GOMAXPROCS(cores)
					out, err := f(nil, x, axis)
					if err != nil {
						t.Fatal(err)
					}
					got := out.Float32s()
					if first == nil {
						first = got
					}
					for i := range got {
						if math.Float32bits(got[i]) != math.Float32bits(first[i]) {
							t.Fatalf("%s %v axis %d: element %d is %v on %d cores, %v on one", name, shape, axis, i,
								got[i], cores, first[i])
						}
					}
				}
			}
		}
	}
}

// TestAllocations holds the budget: none for the slice forms and for tensor forms with a dst.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool forgets at random")
	}
	for _, shape := range [][2]int{{4, 10}, {short(300, 40), 1000}} {
		n, c := shape[0], shape[1]
		x, g, dst, sums := make([]float32, n*c), make([]float32, n*c), make([]float32, n*c), make([]float32, n)
		tx := tensor.New(tensor.WithShape(n, c), tensor.WithBacking(x))
		td := tensor.New(tensor.WithShape(n, c), tensor.WithBacking(dst))
		ts := tensor.New(tensor.WithShape(n), tensor.WithBacking(sums))
		tt := tensor.New(tensor.WithShape(c), tensor.Of(tensor.Float32))
		values, labels, factors := make([]float64, n), make([]int, n), make([]float64, n)
		for i := range factors {
			factors[i] = 1
		}
		for i := range g {
			g[i] = 1 / float32(c)
		}
		smooth, weighted := &CrossEntropyOptions{Smoothing: 0.1}, &CrossEntropyOptions{Weights: make([]float64, c)}
		warm := &CrossEntropyOptions{Weights: make([]float64, c), Scale: 0.5}
		for name, f := range map[string]func(){
			"LogSumExpRows":        func() { LogSumExpRows(sums, x, c) },
			"SoftmaxRows":          func() { SoftmaxRows(dst, x, c) },
			"LogSoftmaxRows":       func() { LogSoftmaxRows(dst, x, c) },
			"CrossEntropyRows":     func() { CrossEntropyRows(values, x, c, labels, nil) },
			"CrossEntropyGradRows": func() { CrossEntropyGradRows(values, dst, x, c, labels, factors, smooth) },
			"weighted":             func() { CrossEntropyGradRows(values, dst, x, c, labels, factors, weighted) },
			"SoftCrossEntropyRows": func() { SoftCrossEntropyRows(values, x, g, c, nil, nil) },
			"SoftCrossEntropyGrad": func() { SoftCrossEntropyGradRows(nil, dst, x, g, c, factors, smooth) },
			"at a temperature":     func() { CrossEntropyGradRows(values, dst, x, c, labels, factors, warm) },
			"soft, warm, weighted": func() { SoftCrossEntropyGradRows(values, dst, x, g, c, factors, warm) },
			"KLGradRows":           func() { KLGradRows(values, dst, x, g, c, factors) },
			"LogSoftmaxLogitGrad":  func() { LogSoftmaxLogitGradRows(dst, x, g, c) },
			"KLRows":               func() { KLRows(values, x, g, c, nil) },
			"KLTargetGradRows":     func() { KLTargetGradRows(dst, x, g, c, factors) },
			"EntropyRows":          func() { EntropyRows(values, x, c, nil) },
			"EntropyGradRows":      func() { EntropyGradRows(values, dst, x, c, factors) },
			"BinaryCrossEntropy":   func() { BinaryCrossEntropySum(x, g); BinaryCrossEntropyGrad(dst, x, g, 1) },
			"Huber":                func() { HuberSum(x, g, 1); HuberGrad(dst, x, g, 1, 1) },
			"LogCosh":              func() { LogCoshSum(x, g); LogCoshGrad(dst, x, g, 1) },
			"PseudoHuber":          func() { PseudoHuberSum(x, g, 1); PseudoHuberGrad(dst, x, g, 1, 1) },
			"SigmoidFocal":         func() { SigmoidFocalSum(x, g, 1, 1); SigmoidFocalGrad(dst, x, g, 1, 1, 1) },
			"LogSumExpGradRows":    func() { LogSumExpGradRows(dst, x, sums, c) },
			"SoftmaxGradRows":      func() { SoftmaxGradRows(dst, x, g, c) },
			"LogSoftmaxGradRows":   func() { LogSoftmaxGradRows(dst, x, g, c) },
			"LogSumExp":            func() { LogSumExp(ts, tx, 1) },
			"Softmax":              func() { Softmax(td, tx, 1) },
			"LogSoftmax":           func() { LogSoftmax(td, tx, -1) },
			"Softmax by columns":   func() { Softmax(td, tx, 0) },
			"LogSumExp by columns": func() { LogSumExp(tt, tx, 0) },
		} {
			if got := testing.AllocsPerRun(20, f); got > 0 {
				t.Errorf("%s of %v: %v allocations, want 0", name, shape, got)
			}
		}
	}
}

// TestStreamedResults compares results large enough to be written past the caches with the same
// rows one by one.
func TestStreamedResults(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		const rows, cols = 3, streamBytes/3/4 + 1001 // odd: every row begins at another alignment
		if !streams[float32](rows*cols, cols) {
			t.Fatal("the result is too small for what is tested here")
		}
		x := make([]float32, rows*cols)
		for i := range x {
			x[i] = float32(i%8191) * -1e-3
		}
		all, row := make([]float32, rows*cols), make([]float32, cols)
		labels, g := []int{5, cols - 1, cols / 2}, []float64{1, 0.5, -2}
		compare := func(name string, i int) {
			t.Helper()
			for c, v := range row {
				if all[i*cols+c] != v {
					t.Fatalf("%s: row %d element %d is %v, alone %v", name, i, c, all[i*cols+c], v)
				}
			}
		}
		SoftmaxRows(all, x, cols)
		for i := range rows {
			SoftmaxRows(row, x[i*cols:(i+1)*cols], cols)
			compare("Softmax", i)
		}
		LogSoftmaxRows(all, x, cols)
		for i := range rows {
			LogSoftmaxRows(row, x[i*cols:(i+1)*cols], cols)
			compare("LogSoftmax", i)
		}
		CrossEntropyGradRows(nil, all, x, cols, labels, g, nil)
		for i := range rows {
			CrossEntropyGradRow(row, x[i*cols:(i+1)*cols], labels[i], g[i], nil)
			compare("CrossEntropy", i)
		}
	})
}
