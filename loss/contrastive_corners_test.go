package loss_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// points are n rows of d numbers.
type points struct {
	n, d int
	x    []float64
}

func pointsOf(d int, x ...float64) points { return points{len(x) / d, d, x} }

func randomPoints(n, d int, seed uint64) points {
	r := rand.New(rand.NewPCG(7, seed))
	p := points{n, d, make([]float64, n*d)}
	for i := range p.x {
		p.x[i] = float64(float32(r.NormFloat64())) // the same in both dtypes
	}
	return p
}

func (p points) operand() eager.Operand { return eager.Slice(p.x, p.n, p.d) }

func (p points) single() eager.Operand { return eager.Slice(narrowed(p.x), p.n, p.d) }

func narrowed(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// both returns the value of a loss and its gradient by the first operand, a.
func both(t *testing.T, name string, opts []loss.Option, data eager.Data, a points, others ...eager.Operand) (value float64, gradient []float64) {
	t.Helper()
	gradient = make([]float64, len(a.x))
	l, err := eager.Constructors()[name](opts...)
	if err == nil {
		value, err = l.ValueGradient(eager.Slice(gradient, a.n, a.d), data, append([]eager.Operand{a.operand()}, others...)...)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value, gradient
}

func wantZero(t *testing.T, what string, value float64, gradient []float64) {
	t.Helper()
	if value != 0 || slices.ContainsFunc(gradient, func(g float64) bool { return g != 0 }) {
		t.Errorf("%s: value %v, gradient %v, want 0", what, value, gradient)
	}
}

func wantFinite(t *testing.T, what string, value float64, gradient []float64) {
	t.Helper()
	for _, v := range append([]float64{value}, gradient...) {
		if v-v != 0 {
			t.Errorf("%s: value %v, gradient %v, want finite numbers", what, value, gradient)
			return
		}
	}
}

// Batches that leave nothing to compare have the value 0 and the gradient 0 (SupContrast #50, #141;
// optax #946).
func TestBatchesWithoutPairs(t *testing.T) {
	x := randomPoints(3, 2, 1)
	zeros := pointsOf(2, 0, 0, 0, 0, 0, 0)
	for _, name := range []string{"NTXent", "SupCon", "Circle", "MultiSimilarity", "BatchTriplet"} {
		v, g := both(t, name, nil, eager.Data{}, x, eager.Slice([]int{0, 1, 2}))
		wantZero(t, name+" without positives", v, g)
		v, g = both(t, name, nil, eager.Data{Mask: eager.Slice([]bool{false, false, false})}, x, eager.Slice([]int{0, 0, 1}))
		wantZero(t, name+" all masked", v, g)
		v, g = both(t, name, nil, eager.Data{Mask: eager.Slice([]bool{true, false, false})}, x, eager.Slice([]int{0, 0, 1}))
		wantZero(t, name+" of one row", v, g)
		v, g = both(t, name, nil, eager.Data{}, zeros, eager.Slice([]int{0, 0, 1}))
		wantFinite(t, name+" of zeros", v, g)
		if name != "SupCon" && name != "MultiSimilarity" {
			v, g = both(t, name, nil, eager.Data{}, x, eager.Slice([]int{4, 4, 4}))
			wantZero(t, name+" of one class", v, g)
		}
	}
	for _, name := range []string{"Uniformity", "VICReg", "BarlowTwins", "DCL"} {
		others := []eager.Operand{randomPoints(3, 2, 2).operand()}
		if name == "Uniformity" {
			others = nil
		}
		v, g := both(t, name, nil, eager.Data{Mask: eager.Slice([]bool{false, true, false})}, x, others...)
		wantZero(t, name+" of one row", v, g)
	}
}

// Identical pairs have finite gradients (PML #107, tensorflow #30199, pytorch #2421, #37154).
func TestIdenticalPairs(t *testing.T) {
	x := pointsOf(2, 1, 2, 0, 0)
	same := pointsOf(2, 1, 2, 0, 0)
	v, g := both(t, "Contrastive", nil, eager.Data{}, x, same.operand(), eager.Slice([]int{1, 0}))
	if wantFinite(t, "Contrastive", v, g); v != 0.5 {
		t.Errorf("Contrastive of equal rows is %v, want (0 + 1)/2", v)
	}
	v, g = both(t, "TripletMargin", nil, eager.Data{}, x, same.operand(), pointsOf(2, 1, 2, 0, 0).operand())
	if v != 1 {
		t.Errorf("TripletMargin of equal rows is %v, want the margin 1", v)
	}
	wantZero(t, "TripletMargin: gradient", 0, g)
	l, err := eager.PairwiseDistance(loss.WithEpsilon(0))
	if err != nil {
		t.Fatal(err)
	}
	distances, up := make([]float64, 2), eager.Data{Upstream: eager.Slice([]float64{1, 1})}
	if err := l.Values(eager.Slice(distances), eager.Data{}, x.operand(), same.operand()); err != nil || distances[0] != 0 || distances[1] != 0 {
		t.Errorf("distances %v of equal rows, error %v", distances, err)
	}
	if err := l.Gradient(0, eager.Slice(g, 2, 2), up, x.operand(), same.operand()); err != nil {
		t.Error(err)
	}
	wantZero(t, "PairwiseDistance: gradient", 0, g)
}

// Distances and directions of large and small numbers neither overflow nor underflow.
func TestExtremeLengths(t *testing.T) {
	for _, size := range []float64{1e200, 3e38, 1e-200, 1e-310} {
		x, y := pointsOf(2, 3*size, 0), pointsOf(2, 0, 4*size)
		v, g := both(t, "TripletMargin", []loss.Option{loss.WithMargin(0), loss.WithEpsilon(0)}, eager.Data{}, x, y.operand(), x.operand())
		if math.Abs(v-5*size) > 1e-15*size && v != 5*size || math.Abs(g[0]-0.6) > 1e-12 && size > 1e-300 {
			t.Errorf("the distance of legs %v and %v is %v with gradient %v, want %v and 0.6", 3*size, 4*size, v,
				g[0], 5*size)
		}
	}
	for _, size := range []float64{1e200, 3e38, 1e-5} { // above 1e-8, below which the cosine fades
		v, g := both(t, "CosineEmbedding", nil, eager.Data{}, pointsOf(2, size, 0), pointsOf(2, 3*size, 4*size).operand(), eager.Slice([]int{1}))
		if math.Abs(v-0.4) > 1e-15 || math.Abs(g[1]*size+0.8) > 1e-14 {
			t.Errorf("CosineEmbedding at length %v is %v with gradient %v, want 0.4 and -0.8/%v", size, v, g[1], size)
		}
	}
}

// What a mask takes out is in no pair, whatever it is, and a weight of 0 keeps an anchor's own rows
// out of the gradients of others.
func TestHostileRows(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(-1), 3e300} {
		x, y := randomPoints(4, 2, 3), randomPoints(4, 2, 4)
		x.x[2], x.x[3] = bad, bad
		data := eager.Data{Weights: eager.Slice([]float64{1, 0, 1, 1})}
		_, g := both(t, "InfoNCE", []loss.Option{loss.WithOneWay()}, data, x, y.operand())
		wantFinite(t, "InfoNCE", 0, g)
		keys := make([]float64, 8)
		l, err := eager.NTXent()
		if err != nil {
			t.Fatal(err)
		}
		data.Reference, data.ReferenceLabels = y.operand(), eager.Slice([]int{0, 1, 0, 1})
		if err := l.Gradient(2, eager.Slice(keys, 4, 2), data, x.operand(), eager.Slice([]int{0, 0, 1, 1})); err != nil {
			t.Fatal(err)
		}
		wantFinite(t, "NTXent: gradient by the reference", 0, keys)
	}
}

// A key that is a duplicate of another query's is no negative of it where the positives say so
// (sentence-transformers #3189).
func TestDuplicatesArePositives(t *testing.T) {
	x, y := pointsOf(2, 1, 0, 1, 0, 0, 1), pointsOf(2, 1, 0, 1, 0, 0, 1)
	positives := eager.Data{Positives: eager.Slice([]bool{true, true, false, true, true, false, false, false, true}, 3, 3)}
	opts := []loss.Option{loss.WithScale(2), loss.WithReduction(loss.Sum), loss.WithOneWay()}
	v, _ := both(t, "InfoNCE", opts, positives, x, y.operand())
	// two queries share two keys of cosine 1 beside one of 0, the third has two of 0
	if want := 2*math.Log(2+math.Exp(-2)) + math.Log1p(2*math.Exp(-2)); math.Abs(v-want) > 1e-15*4 {
		t.Errorf("InfoNCE with duplicates is %v, want %v", v, want)
	}
}

// The mean of SigLIP divides by rows (big_vision #115), and a learned scale and bias are those of
// options.
func TestSigLIPMean(t *testing.T) {
	x, y := randomPoints(5, 3, 5), randomPoints(5, 3, 6)
	mean, _ := both(t, "SigLIP", nil, eager.Data{}, x, y.operand())
	sum, _ := both(t, "SigLIP", []loss.Option{loss.WithReduction(loss.Sum)}, eager.Data{}, x, y.operand())
	if math.Abs(mean-sum/5) > 1e-14*sum {
		t.Errorf("the mean is %v, the sum %v", mean, sum)
	}
	nodes, _ := both(t, "SigLIP", nil, eager.Data{Scale: eager.Scalar(10.0), Bias: eager.Scalar(-10.0)}, x, y.operand())
	if math.Abs(mean-nodes) > 1e-14*mean {
		t.Errorf("with nodes %v, with the defaults %v", nodes, mean)
	}
}

// Both ways to compute InfoNCE agree: one exponential for both directions, and one for each.
func TestInfoNCEForms(t *testing.T) {
	x, y := randomPoints(9, 3, 8), randomPoints(9, 3, 9)
	identity := make([]bool, 81)
	for i := range 9 {
		identity[10*i] = true
	}
	for _, scale := range []float64{0.5, 14, 300} {
		for _, r := range []loss.Reduction{loss.Mean, loss.Sum} {
			opts := []loss.Option{loss.WithScale(scale), loss.WithReduction(r)}
			v, g := both(t, "InfoNCE", opts, eager.Data{}, x, y.operand())
			w, h := both(t, "InfoNCE", opts, eager.Data{Positives: eager.Slice(identity, 9, 9)}, x, y.operand())
			tol := 1e-15 * scale * 10 // a few roundings of logits
			nearList(t, "value", []float64{v}, []float64{w}, tol)
			nearList(t, "gradient", g, h, tol*scale)
		}
	}
	// in one direction a mask takes out keys as well
	mask := []bool{true, true, false, true, true, true, false, true, true}
	var kept [2]points
	for k, p := range []points{x, y} {
		kept[k].d = 3
		for i, m := range mask {
			if m {
				kept[k].x = append(kept[k].x, p.x[3*i:3*i+3]...)
				kept[k].n++
			}
		}
	}
	opts := []loss.Option{loss.WithOneWay()}
	v, _ := both(t, "InfoNCE", opts, eager.Data{Mask: eager.Slice(mask)}, x, y.operand())
	w, _ := both(t, "InfoNCE", opts, eager.Data{}, kept[0], kept[1].operand())
	nearList(t, "masked", []float64{v}, []float64{w}, 1e-15)
}

// The batch's order does not matter, and results do not depend on the number of cores, for batches
// of many tiles too.
func TestLargeBatches(t *testing.T) {
	const n, d = 600, 24
	labels, order := make([]int, n), rand.New(rand.NewPCG(1, 2)).Perm(n)
	x, y := randomPoints(n, d, 10), randomPoints(n, d, 11)
	px, py, plabels := points{n, d, nil}, points{n, d, nil}, []int(nil)
	for i := range labels {
		labels[i] = i % 40
	}
	for _, i := range order {
		px.x, py.x, plabels = append(px.x, x.x[i*d:(i+1)*d]...), append(py.x, y.x[i*d:(i+1)*d]...), append(plabels, labels[i])
	}
	for _, name := range []string{"NTXent", "SupCon", "Circle", "MultiSimilarity", "BatchTriplet", "InfoNCE", "SigLIP", "DCL", "Uniformity", "BarlowTwins"} {
		other, permuted := []eager.Operand{eager.Slice(labels)}, []eager.Operand{eager.Slice(plabels)}
		switch info, _ := loss.Describe(name); {
		case len(info.Operands) == 1:
			other, permuted = nil, nil
		case info.Target == loss.Real:
			other, permuted = []eager.Operand{y.operand()}, []eager.Operand{py.operand()}
		}
		before := runtime.GOMAXPROCS(3)
		v, g := both(t, name, nil, eager.Data{}, x, other...)
		runtime.GOMAXPROCS(1)
		w, h := both(t, name, nil, eager.Data{}, x, other...)
		runtime.GOMAXPROCS(before)
		if v != w || !slices.Equal(g, h) {
			t.Errorf("%s depends on the cores", name)
		}
		w, h = both(t, name, nil, eager.Data{}, px, permuted...)
		nearList(t, name+": value", []float64{w}, []float64{v}, sumTolerance)
		want := make([]float64, 0, n*d)
		for _, i := range order {
			want = append(want, g[i*d:(i+1)*d]...)
		}
		nearList(t, name+": gradient", h, want, sumTolerance)
	}
}

// Similarities of many float32 embeddings are computed in float32: they are within 2^-21, twice
// what the products of unit vectors of 128 entries were seen off by, and so is an entry of a
// gradient beside the scale times the largest.
func TestFloat32Batches(t *testing.T) {
	const n, d = 128, 96 // above 2^20 products
	x, y := randomPoints(n, d, 12), randomPoints(n, d, 13)
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i % 16
	}
	for name, scale := range map[string]float64{"NTXent": 1 / 0.07, "SupCon": 10, "Circle": 160, "MultiSimilarity": 50, "InfoNCE": 1 / 0.07, "SigLIP": 10, "DCL": 10} {
		other := []eager.Operand{eager.Slice(labels), eager.Slice(labels)}
		if info, _ := loss.Describe(name); info.Target == loss.Real {
			other = []eager.Operand{y.operand(), y.single()}
		}
		v, g := both(t, name, nil, eager.Data{}, x, other[0])
		l, err := eager.Constructors()[name]()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, n*d)
		w, err := l.ValueGradient(eager.Slice(got, n, d), eager.Data{}, x.single(), other[1])
		if err != nil {
			t.Fatal(err)
		}
		if tol := 0x1p-21*scale + 0x1p-23*v; math.Abs(w-v) > tol {
			t.Errorf("%s: float32 %v, float64 %v, more than %v apart", name, w, v, tol)
		}
		largest, worst := 0.0, 0.0
		for i, want := range g {
			largest, worst = max(largest, math.Abs(want)), max(worst, math.Abs(float64(got[i])-want))
		}
		if worst > 0x1p-21*scale*largest {
			t.Errorf("%s: gradients are %v apart, beside a largest of %v", name, worst, largest)
		}
	}
}

// Rows in float32 keep its digits where exponentials are computed in float32 and where they are not,
// for rows of zeros and of extreme lengths, large weights, masks, and anchors without positives or
// without negatives.
func TestFloat32Rows(t *testing.T) {
	const n, d = 136, 96 // without those that the mask removes above 2^20 products
	x, y := randomPoints(n, d, 15), randomPoints(n, d, 16)
	for k, length := range []float64{0, 0x1p-140, 3e37, 1e-9} {
		for j := range d {
			x.x[(20+k)*d+j] = float64(float32(length * x.x[j]))
			y.x[(40+k)*d+j] = float64(float32(length * y.x[j]))
		}
	}
	labels, one, weights, mask, shares := make([]int, n), make([]int, n), make([]float64, n), make([]bool, n), make([]float64, n*n)
	for i := range labels {
		labels[i], weights[i], mask[i] = max(0, i-60), 1e30*float64(i%3), i%5 != 0
		for j := range 3 {
			shares[i*n+(i*7+j*j)%n] = float64(i % 4)
		}
	}
	single := func(o eager.Operand, x []float64, shape ...int) [2]eager.Operand {
		return [2]eager.Operand{o, eager.Slice(narrowed(x), shape...)}
	}
	views, classes, class := single(y.operand(), y.x, n, d), [2]eager.Operand{eager.Slice(labels), eager.Slice(labels)}, [2]eager.Operand{eager.Slice(one), eager.Slice(one)}
	positives := single(eager.Slice(shares, n, n), shares, n, n)
	for _, c := range []struct {
		name  string
		scale float64
		opts  []loss.Option
		other [2]eager.Operand
		data  [2]eager.Data
	}{
		{"InfoNCE", 1, []loss.Option{loss.WithScale(1)}, views, [2]eager.Data{}},
		{"InfoNCE", 43, []loss.Option{loss.WithScale(43)}, views, [2]eager.Data{}},
		{"InfoNCE", 44, []loss.Option{loss.WithScale(44)}, views, [2]eager.Data{}},
		{"InfoNCE", 20, []loss.Option{loss.WithScale(20), loss.WithOneWay()}, views, [2]eager.Data{}},
		{"InfoNCE", 200, []loss.Option{loss.WithScale(200), loss.WithOneWay()}, views, [2]eager.Data{}},
		{"InfoNCE", 10, []loss.Option{loss.WithScale(10)}, views, [2]eager.Data{{Positives: positives[0]}, {Positives: positives[1]}}},
		{"NTXent", 10, []loss.Option{loss.WithTemperature(0.1)}, classes, [2]eager.Data{}},
		{"NTXent", 10, []loss.Option{loss.WithTemperature(0.1)}, class, [2]eager.Data{}},
		{"SupCon", 10, []loss.Option{loss.WithTemperature(0.1)}, classes, [2]eager.Data{}},
		{"SupCon", 10, []loss.Option{loss.WithTemperature(0.1)}, class, [2]eager.Data{}},
		{"DCL", 10, []loss.Option{loss.WithTemperature(0.1)}, views, [2]eager.Data{}},
	} {
		l, err := eager.Constructors()[c.name](c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		for k := range 3 {
			data := c.data
			switch k {
			case 1:
				data[0].Weights, data[1].Weights = eager.Slice(weights), eager.Slice(narrowed(weights))
			case 2:
				data[0].Mask, data[1].Mask = eager.Slice(mask), eager.Slice(mask)
			}
			g, got := make([]float64, n*d), make([]float32, n*d)
			v, err := l.ValueGradient(eager.Slice(g, n, d), data[0], x.operand(), c.other[0])
			if err != nil {
				t.Fatal(err)
			}
			w, err := l.ValueGradient(eager.Slice(got, n, d), data[1], x.single(), c.other[1])
			if err != nil {
				t.Fatal(err)
			}
			if tol := 0x1p-21*c.scale + 0x1p-22*math.Abs(v); !(math.Abs(w-v) <= tol) {
				t.Errorf("%s, scale %v, data %d: float32 %v, float64 %v, more than %v apart", c.name, c.scale, k, w, v, tol)
			}
			for i := range n { // rows have derivatives of very different sizes
				largest, worst := 0.0, 0.0
				for j, want := range g[i*d : (i+1)*d] {
					largest = max(largest, math.Abs(want))
					worst = max(worst, math.Abs(float64(got[i*d+j])-want))
				}
				if !(worst <= 0x1p-20*c.scale*largest+0x1p-149) && largest < math.MaxFloat32 {
					t.Errorf("%s, scale %v, data %d: gradients of row %d are %v apart, beside a largest of %v", c.name, c.scale, k, i, worst, largest)
				}
			}
		}
	}
}

// The memory of a batch grows with its size and not with pairs of positives and negatives (PML
// #203), nor with all pairs.
func TestBatchMemory(t *testing.T) {
	const n = 2048
	x, labels := randomPoints(n, 4, 14), make([]int, n)
	for i := range labels {
		labels[i] = i % 2
	}
	l, err := eager.NTXent()
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := l.Value(eager.Data{}, x.operand(), eager.Slice(labels)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8*n*n/2 {
		t.Errorf("%d bytes for %d embeddings, want less than half of a number for each pair", used, n)
	}
}

// Wrong data and options are errors that say what is wrong.
func TestEmbeddingErrors(t *testing.T) {
	x := pointsOf(2, 1, 2, 3, 4)
	for _, c := range []struct {
		name     string
		opts     []loss.Option
		data     eager.Data
		operands []eager.Operand
		kind     error
		text     string
	}{
		{"CosineEmbedding", nil, eager.Data{}, []eager.Operand{x.operand(), x.operand(), eager.Slice([]int{1, 0})},
			loss.ErrValue, "y is 0 at row 1, want -1 or 1"},
		{"CosineEmbedding", nil, eager.Data{}, []eager.Operand{x.operand(), x.operand(), eager.Slice([]float64{1, 2})}, loss.ErrValue, "y is 2 at row 1, want -1 or 1"},
		{"Contrastive", nil, eager.Data{}, []eager.Operand{x.operand(), x.operand(), eager.Slice([]int{1, 2})},
			loss.ErrValue, "y is 2 at row 1, want numbers in [0, 1]"},
		{"Contrastive", nil, eager.Data{}, []eager.Operand{x.operand(), x.operand(), eager.Slice([]float64{1, math.NaN()})}, loss.ErrValue, "y is NaN at row 1"},
		{"PairwiseDistance", []loss.Option{loss.WithPower(0.5)}, eager.Data{}, nil, loss.ErrOption,
			"WithPower is 0.5, want a number >= 1, or +Inf"},
		{"TripletMargin", []loss.Option{loss.WithDistance(loss.DistanceCosine), loss.WithPower(1)}, eager.Data{}, nil,
			loss.ErrOption, "WithPower needs DistanceL2"},
		{"TripletMargin", []loss.Option{loss.WithDistance(9)}, eager.Data{}, nil, loss.ErrOption,
			"WithDistance is 9, want one of the 3 constants"},
		{"BatchTriplet", []loss.Option{loss.WithMining(3)}, eager.Data{}, nil, loss.ErrOption,
			"WithMining is 3, want one of the 3 constants"},
		{"VICReg", []loss.Option{loss.WithTerms(1, -1, 1)}, eager.Data{}, nil, loss.ErrOption,
			"WithTerms has -1 at index 1, want a finite number >= 0"},
		{"InfoNCE", []loss.Option{loss.WithScale(2), loss.WithTemperature(1)}, eager.Data{}, []eager.Operand{x.operand(), x.operand()}, loss.ErrOption, "WithScale, WithScaleNode and WithTemperature exclude each other"},
		{"InfoNCE", nil, eager.Data{}, []eager.Operand{x.operand(), pointsOf(2, 1, 2).operand()}, loss.ErrShape,
			"keys have shape (1, 2), want (2, 2) to match queries"},
		{"InfoNCE", nil, eager.Data{Positives: eager.Slice([]float64{1, 0, -1, 1}, 2, 2)}, []eager.Operand{x.operand(), x.operand()}, loss.ErrValue, "positives is -1 at row (1, 0), want finite numbers >= 0"},
		{"NTXent", nil, eager.Data{Reference: x.operand()}, []eager.Operand{x.operand(), eager.Slice([]int{0, 0})},
			loss.ErrOption, "WithReference needs embeddings and labels"},
		{"NTXent", nil, eager.Data{}, []eager.Operand{x.operand(), eager.Slice([]float64{0, 0})}, loss.ErrDType,
			"labels have dtype float64"},
		{"ProxyNCA", nil, eager.Data{}, []eager.Operand{x.operand(), x.operand(), eager.Slice([]int{0, 2})},
			loss.ErrValue, "label is 2 at row 1, want one in [0, 2)"},
		{"ProxyAnchor", []loss.Option{loss.WithAlpha(0)}, eager.Data{}, []eager.Operand{x.operand(), x.operand(), eager.Slice([]int{0, 1})}, loss.ErrOption, "WithAlpha is 0, want a number > 0"},
		{"Uniformity", nil, eager.Data{Weights: eager.Slice([]float64{1, 1})}, []eager.Operand{x.operand()},
			loss.ErrOption, "weights are no input of this loss"},
	} {
		l, err := eager.Constructors()[c.name](c.opts...)
		if err == nil {
			if c.operands == nil {
				c.operands = []eager.Operand{x.operand(), x.operand(), x.operand()}
				info, _ := loss.Describe(c.name)
				c.operands = c.operands[:len(info.Operands)]
			}
			dst := eager.Slice(make([]float64, 2))
			if info, _ := loss.Describe(c.name); info.Node {
				err = l.Values(dst, c.data, c.operands...)
			} else {
				_, err = l.Value(c.data, c.operands...)
			}
		}
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: error %v, want %q of kind %v", c.name, err, c.text, c.kind)
		}
	}
}
