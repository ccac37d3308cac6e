package info

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"
)

// layouts returns tensors that all hold the elements f(i, j, k) in shape (2, 3, 4), each in another
// layout.
func layouts[T Float](t *testing.T, f func(i, j, k int) T) map[string]*tensor.Dense {
	t.Helper()
	const a, b, c = 2, 3, 4
	fill := func(shape tensor.Shape, at func(x []int) T) *tensor.Dense {
		data := make([]T, 0, shape.TotalSize())
		for i := range shape[0] {
			for j := range shape[1] {
				for k := range shape[2] {
					data = append(data, at([]int{i, j, k}))
				}
			}
		}
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	}
	// Elements outside a slice are NaN: reading one would show.
	inside := func(x []int) T {
		if x[0] < 1 || x[0] > a || x[1]%2 != 0 || x[2] < 2 || x[2] >= 2+c {
			return T(math.NaN())
		}
		return f(x[0]-1, x[1]/2, x[2]-2)
	}
	all := map[string]*tensor.Dense{
		"plain": fill(tensor.Shape{a, b, c}, func(x []int) T { return f(x[0], x[1], x[2]) }),
	}
	turned := fill(tensor.Shape{c, a, b}, func(x []int) T { return f(x[1], x[2], x[0]) })
	moved := turned.Clone().(*tensor.Dense)
	for _, x := range []*tensor.Dense{turned, moved} {
		if err := x.T(1, 2, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := moved.Transpose(); err != nil {
		t.Fatal(err)
	}
	all["transposed view"], all["transposed in memory"] = turned, moved
	sliced, err := fill(tensor.Shape{a + 2, 2 * b, c + 3}, inside).Slice(tensor.S(1, 1+a), tensor.S(0, 2*b, 2), tensor.S(2, 2+c))
	if err != nil {
		t.Fatal(err)
	}
	all["slice with steps"] = sliced.(*tensor.Dense)
	// AsFortran takes its backing in row-major order and lays it out anew, in place.
	columnMajor := func(x *tensor.Dense) *tensor.Dense {
		return tensor.New(tensor.WithShape(x.Shape()...), tensor.AsFortran(x.Clone().(*tensor.Dense).Data()))
	}
	all["column-major"] = columnMajor(all["plain"])
	wide := fill(tensor.Shape{a + 1, b, c}, func(x []int) T {
		if x[0] == 0 {
			return T(math.NaN())
		}
		return f(x[0]-1, x[1], x[2])
	})
	view, err := columnMajor(wide).Slice(tensor.S(1, a+1), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	all["slice of column-major"] = view.(*tensor.Dense)
	for name, x := range all {
		if !slices.Equal(x.Shape(), tensor.Shape{a, b, c}) {
			t.Fatalf("%s: the test's tensor has shape %v", name, x.Shape())
		}
	}
	return all
}

func TestLayouts(t *testing.T) {
	t.Run("float64", testLayouts[float64])
	t.Run("float32", testLayouts[float32])
}

func testLayouts[T Float](t *testing.T) {
	const seed = 50
	r := rand.New(rand.NewPCG(seed, 1))
	shape := []int{2, 3, 4}
	for axis := range 3 {
		n := shape[axis]
		// one distribution along the axis for every position on the other two
		p, q := make(map[[3]int][]T), make(map[[3]int][]T)
		line := func(m map[[3]int][]T, at [3]int) []T {
			at[axis] = 0
			if m[at] == nil {
				m[at] = normalised[T](fullFrom(r, n))
				for i := range m[at] {
					m[at][i] = max(m[at][i], 1e-38)
				}
			}
			return m[at]
		}
		element := func(m map[[3]int][]T) func(i, j, k int) T {
			return func(i, j, k int) T {
				at := [3]int{i, j, k}
				return line(m, at)[at[axis]]
			}
		}
		for name, x := range layouts(t, element(p)) {
			for other, y := range layouts(t, element(q)) {
				for measure, c := range map[string]struct {
					lines  func() (*tensor.Dense, error)
					single func(p, q []T) (float64, error)
				}{
					"Entropy": {func() (*tensor.Dense, error) { return EntropyAxis(x, axis, Bits) },
						func(p, _ []T) (float64, error) { return Entropy(p, Bits) }},
					"CrossEntropy": {func() (*tensor.Dense, error) { return CrossEntropyAxis(x, y, axis-3, Nats) },
						func(p, q []T) (float64, error) { return CrossEntropy(p, q, Nats) }},
					"KL": {func() (*tensor.Dense, error) { return KLAxis(x, y, axis, Hartleys) },
						func(p, q []T) (float64, error) { return KL(p, q, Hartleys) }},
					"JensenShannon": {func() (*tensor.Dense, error) { return JensenShannonAxis(x, y, axis-3, Bits) },
						func(p, q []T) (float64, error) { return JensenShannon(p, q, Bits) }},
					"Perplexity": {func() (*tensor.Dense, error) { return PerplexityAxis(x, y, axis) }, Perplexity[T]},
					"EntropyWeights": {func() (*tensor.Dense, error) { return EntropyWeightsAxis(x, axis, Bits) },
						func(p, _ []T) (float64, error) { return EntropyWeights(p, Bits) }},
					"CrossEntropyWeights": {func() (*tensor.Dense, error) { return CrossEntropyWeightsAxis(x, y, axis, Bits) },
						func(p, q []T) (float64, error) { return CrossEntropyWeights(p, q, Bits) }},
					"KLWeights": {func() (*tensor.Dense, error) { return KLWeightsAxis(x, y, axis, Bits) },
						func(p, q []T) (float64, error) { return KLWeights(p, q, Bits) }},
					"JensenShannonWeights": {func() (*tensor.Dense, error) { return JensenShannonWeightsAxis(x, y, axis, Bits) },
						func(p, q []T) (float64, error) { return JensenShannonWeights(p, q, Bits) }},
					"PerplexityWeights": {func() (*tensor.Dense, error) { return PerplexityWeightsAxis(x, y, axis) },
						PerplexityWeights[T]},
				} {
					got, err := c.lines()
					if err != nil {
						t.Errorf("%s along axis %d of %s and %s: %v", measure, axis, name, other, err)
						continue
					}
					wantShape := slices.Delete(slices.Clone(shape), axis, axis+1)
					if !slices.Equal(got.Shape(), tensor.Shape(wantShape)) || got.Dtype() != tensor.Float64 {
						t.Errorf("%s along axis %d: shape %v of %v, want %v of float64", measure, axis, got.Shape(),
							got.Dtype(), wantShape)
						continue
					}
					values := got.Data().([]float64)
					for k := range values {
						var at [3]int
						for d, rest := 2, k; d >= 0; d-- {
							if d != axis {
								at[d] = rest % shape[d]
								rest /= shape[d]
							}
						}
						if want, err := c.single(line(p, at), line(q, at)); err != nil || values[k] != want {
							t.Errorf("seed %d: %s along axis %d of %s and %s at %v = %v, want %v (%v)", seed, measure, axis, name, other,
								at, values[k], want, err)
						}
					}
				}
			}
		}
	}
}

func TestMutualInformationAxes(t *testing.T) {
	ok := must(t)
	weight := func(i, j, k int) float64 { return float64(1 + (7*i+5*j*j+3*k*i+j*k)%11) }
	shape := []int{2, 3, 4}
	for name, x := range layouts(t, weight) {
		for rows := range 3 {
			for cols := range 3 {
				if rows == cols {
					continue
				}
				got, err := MutualInformationWeightsAxes(x, rows, cols-3, Bits)
				if err != nil {
					t.Fatal(err)
				}
				outer := 3 - rows - cols
				if !slices.Equal(got.Shape(), tensor.Shape{shape[outer]}) {
					t.Fatalf("shape %v, want (%d)", got.Shape(), shape[outer])
				}
				for k, v := range got.Data().([]float64) {
					var flat []float64
					for r := range shape[rows] {
						for c := range shape[cols] {
							var at [3]int
							at[rows], at[cols], at[outer] = r, c, k
							flat = append(flat, weight(at[0], at[1], at[2]))
						}
					}
					if want := ok(MutualInformationWeights(flat, shape[cols], Bits)); v != want {
						t.Errorf("%s, axes %d and %d, table %d: got %v, want %v", name, rows, cols, k, v, want)
					}
				}
			}
		}
	}
	coin := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float32{.5, 0, 0, .5}))
	got, err := MutualInformationAxes(coin, 0, 1, Bits)
	if err != nil || got.Dims() != 0 || got.Data() != 1. {
		t.Errorf("MutualInformationAxes of a copied coin = %v, %v, want the scalar 1", got, err)
	}
}

// TestCounts: the forms for weights take tensors of whole numbers.
func TestCounts(t *testing.T) {
	for _, backing := range []any{[]int{1, 1, 2, 0, 3, 3}, []int64{1, 1, 2, 0, 3, 3}, []int32{1, 1, 2, 0, 3, 3},
		[]uint8{1, 1, 2, 0, 3, 3}, []float32{1, 1, 2, 0, 3, 3}} {
		x := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(backing))
		got, err := EntropyWeightsAxis(x, 1, Bits)
		if err != nil || !slices.Equal(got.Data().([]float64), []float64{1.5, 1}) {
			t.Errorf("EntropyWeightsAxis of %T = %v, %v, want [1.5 1]", backing, got, err)
		}
	}
}

func TestVector(t *testing.T) {
	x := tensor.New(tensor.WithShape(4), tensor.WithBacking([]float64{.5, .25, .125, .125}))
	got, err := EntropyAxis(x, 0, Bits)
	if err != nil || got.Dims() != 0 || got.Data() != 1.75 {
		t.Errorf("EntropyAxis of a vector = %v, %v, want the scalar 1.75", got, err)
	}
}

// TestCores: the result has the same bits on one core and on many.
func TestCores(t *testing.T) {
	const seed, rows, cols = 60, 5000, 7
	r := rand.New(rand.NewPCG(seed, 1))
	data := make([]float64, rows*cols)
	for i := range data {
		data[i] = r.ExpFloat64()
	}
	x := tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(data))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, err := EntropyWeightsAxis(x, 1, Nats)
	if err != nil {
		t.Fatal(err)
	}
	for _, cores := range []int{2, 3, 8} {
		runtime.GOMAXPROCS(cores)
		many, err := EntropyWeightsAxis(x, 1, Nats)
		if err != nil || !slices.Equal(many.Data().([]float64), one.Data().([]float64)) {
			t.Errorf("seed %d: results on %d cores differ from those on one (%v)", seed, cores, err)
		}
		// of several bad lines the first is named
		data[4000*cols+2], data[123*cols+5] = math.NaN(), -1
		_, err = EntropyWeightsAxis(x, 1, Nats)
		if err == nil || !strings.Contains(err.Error(), "p[123, 5] is -1,") {
			t.Errorf("on %d cores: error is %v, want it to name p[123, 5]", cores, err)
		}
		data[4000*cols+2], data[123*cols+5] = 1, 1
		if one, err = EntropyWeightsAxis(x, 1, Nats); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAxisRefusals(t *testing.T) {
	of := func(backing any, shape ...int) *tensor.Dense {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))
	}
	good := of([]float64{.5, .5, .25, .75}, 2, 2)
	single := of([]float32{.5, .5, .25, .75}, 2, 2)
	scalar := tensor.New(tensor.FromScalar(1.))
	ints := of([]int{1, 2, 3, 4}, 2, 2)
	half := of([]float64{.5, .5, .25, .25}, 2, 2)
	negative := of([]float64{.5, .5, 1.5, -.5}, 2, 2)
	masked := tensor.New(tensor.WithShape(2, 2),
		tensor.WithBacking([]float64{.5, .5, .25, .75}, []bool{true, false, false, false}))
	for _, c := range []struct {
		f    func() (*tensor.Dense, error)
		want error
		text string
	}{
		{func() (*tensor.Dense, error) { return EntropyAxis(nil, 0, Bits) }, ErrShape, "info.EntropyAxis: p is nil"},
		{func() (*tensor.Dense, error) { return EntropyAxis(new(tensor.Dense), 0, Bits) }, ErrShape,
			"info.EntropyAxis: p is nil"},
		{func() (*tensor.Dense, error) { return KLAxis(good, nil, 0, Bits) }, ErrShape, "info.KLAxis: q is nil"},
		{func() (*tensor.Dense, error) { return EntropyAxis(good, 2, Bits) }, ErrAxis,
			"info.EntropyAxis: axis is 2, want one of the 2 axes of p with shape (2, 2)"},
		{func() (*tensor.Dense, error) { return EntropyAxis(good, -3, Bits) }, ErrAxis, "info.EntropyAxis: axis is -3,"},
		{func() (*tensor.Dense, error) { return EntropyAxis(scalar, 0, Bits) }, ErrAxis,
			"info.EntropyAxis: axis is 0, want one of the 0 axes"},
		{func() (*tensor.Dense, error) { return EntropyAxis(good, 0, 9) }, ErrUnit, "info.EntropyAxis: unit is Unit(9),"},
		{func() (*tensor.Dense, error) { return EntropyAxis(ints, 0, Bits) }, ErrDType,
			"info.EntropyAxis: p has dtype int, want float32 or float64 (the Weights form takes counts)"},
		{func() (*tensor.Dense, error) { return EntropyWeightsAxis(of([]bool{true}, 1), 0, Bits) }, ErrDType,
			"info.EntropyWeightsAxis: p has dtype bool, want float32 or float64"},
		{func() (*tensor.Dense, error) { return KLAxis(good, single, 0, Bits) }, ErrDType,
			"info.KLAxis: q has dtype float32, want float64 to match p"},
		{func() (*tensor.Dense, error) { return KLAxis(good, of([]float64{.5, .5}, 2, 1), 0, Bits) }, ErrShape,
			"info.KLAxis: q has shape (2, 1), want (2, 2) to match p"},
		{func() (*tensor.Dense, error) { return KLAxis(good, half, 1, Bits) }, ErrSum,
			"info.KLAxis: q[1, :] sums to 0.5, want 1: it is off by -0.5,"},
		{func() (*tensor.Dense, error) { return KLAxis(good, negative, -1, Bits) }, ErrProbability,
			"info.KLAxis: q[1, 1] is -0.5, want a finite number of at least 0"},
		{func() (*tensor.Dense, error) { return EntropyAxis(good, 0, Bits) }, ErrSum,
			"info.EntropyAxis: p[:, 0] sums to 0.75,"},
		{func() (*tensor.Dense, error) { return EntropyAxis(masked, 1, Bits) }, ErrShape,
			"info.EntropyAxis: p is a masked tensor,"},
		{func() (*tensor.Dense, error) { return MutualInformationAxes(good, 0, -2, Bits) }, ErrAxis,
			"info.MutualInformationAxes: rows and cols are both axis 0, want two axes"},
		{func() (*tensor.Dense, error) { return MutualInformationAxes(good, 0, 2, Bits) }, ErrAxis,
			"info.MutualInformationAxes: cols is 2,"},
		{func() (*tensor.Dense, error) { return MutualInformationAxes(good, 2, 0, Bits) }, ErrAxis,
			"info.MutualInformationAxes: rows is 2,"},
		{func() (*tensor.Dense, error) { return MutualInformationAxes(good, 0, 1, Bits) }, ErrSum,
			"info.MutualInformationAxes: joint sums to 2,"},
		{func() (*tensor.Dense, error) { return MutualInformationWeightsAxes(negative, 1, 0, Bits) }, ErrProbability,
			"info.MutualInformationWeightsAxes: joint[1, 1] is -0.5,"},
	} {
		got, err := c.f()
		if got != nil || !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("got %v and the error %v, want %q", got, err, c.text)
		}
	}
}
