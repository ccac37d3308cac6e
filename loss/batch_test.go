package loss_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// A batchCase is a loss whose groups are computed on their own memory, on random rows.
type batchCase struct {
	loss      string
	opts      []loss.Option
	operands  int // of rows
	flags     bool
	tolerance float64 // of float32 gradients, relative to the largest entry
}

// once is one rounding to float32, with room for the scale.
const once = 0x1p-24

var batchCases = []batchCase{
	{"ListNet", nil, 2, false, 4 * 0x1p-23},
	{"RankingSoftmax", nil, 2, false, 4 * 0x1p-23},
	{"TripletMargin", nil, 3, false, once},
	{"TripletMargin", []loss.Option{loss.WithSwap(), loss.WithSoft()}, 3, false, once},
	{"TripletMargin", []loss.Option{loss.WithDistance(loss.DistanceSquared)}, 3, false, once},
	{"CosineEmbedding", []loss.Option{loss.WithMargin(-0.5)}, 2, true, once},
	{"Contrastive", []loss.Option{loss.WithMargin(30)}, 2, true, once},
	{"Alignment", []loss.Option{loss.WithPower(1.5)}, 2, false, once},
}

// rows draws n rows of width numbers for each operand, as float64 numbers that float32 holds.
func (c *batchCase) rows(r *rand.Rand, n, width int) (x [][]float64) {
	for k := range c.operands {
		v := make([]float64, n*width)
		for i := range v {
			if v[i] = float64(float32(2 * r.NormFloat64())); k == 1 && (c.loss == "ListNet" || c.loss == "RankingSoftmax") {
				v[i] = float64(r.IntN(4))
			}
		}
		x = append(x, v)
	}
	if c.flags {
		y := make([]float64, n)
		for i := range y {
			if y[i] = float64(i % 2); c.loss == "CosineEmbedding" {
				y[i] = 2*y[i] - 1
			}
		}
		x = append(x, y)
	}
	return x
}

func singles(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// run returns the value and the gradient by the first operand.
func (c *batchCase) run(t *testing.T, single bool, x [][]float64, n, width int, mask []float64) (float64, []float64) {
	t.Helper()
	l, err := eager.Constructors()[c.loss](c.opts...)
	if err != nil {
		t.Fatal(err)
	}
	operand := func(v []float64) eager.Operand {
		shape := []int{n, width}
		if len(v) == n {
			shape = shape[:1]
		}
		if single {
			return eager.Slice(singles(v), shape...)
		}
		return eager.Slice(v, shape...)
	}
	var in []eager.Operand
	for _, v := range x {
		in = append(in, operand(v))
	}
	var d eager.Data
	if mask != nil {
		d.Mask = operand(mask)
	}
	grad, grad32 := make([]float64, n*width), make([]float32, n*width)
	to := eager.Slice(grad, n, width)
	if single {
		to = eager.Slice(grad32, n, width)
	}
	v, err := l.ValueGradient(to, d, in...)
	if err != nil {
		t.Fatal(c.loss, err)
	}
	if single {
		for i, g := range grad32 {
			grad[i] = float64(g)
		}
	}
	return v, grad
}

// Rows of float32 have the numbers of float64, to the rounding that the documentation states, with
// masks and without, and whatever rows stand beside them.
func TestBatches(t *testing.T) {
	const n, width = 50, 100
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range batchCases {
		x := c.rows(r, n, width)
		mask := make([]float64, n)
		if c.loss == "ListNet" || c.loss == "RankingSoftmax" {
			mask = make([]float64, n*width)
		}
		for i := range mask {
			mask[i] = float64(i % 3 % 2)
		}
		for _, m := range [][]float64{nil, mask} {
			want, wants := c.run(t, false, x, n, width, m)
			got, grad := c.run(t, true, x, n, width, m)
			largest := 0.0
			for _, g := range wants {
				largest = max(largest, math.Abs(g))
			}
			if math.Abs(got-want) > 1e-6*math.Abs(want) {
				t.Errorf("%s, masked %v: %v, want %v", c.loss, m != nil, got, want)
			}
			for i, g := range grad {
				if math.Abs(g-wants[i]) > c.tolerance*largest {
					t.Errorf("%s, masked %v: gradient %d is %v, want %v of at most %v", c.loss, m != nil, i, g, wants[i], largest)
					break
				}
			}
		}
		c.neighbours(t, x, n, width)
	}
}

// neighbours sees that rows beside a hostile one keep their bits, and that it is no other than by
// itself.
func (c *batchCase) neighbours(t *testing.T, x [][]float64, n, width int) {
	c.opts = append(slices.Clone(c.opts), loss.WithReduction(loss.Sum))
	_, want := c.run(t, true, x, n, width, nil)
	for _, bad := range []float64{math.NaN(), math.Inf(1), 3e38} {
		hostile := slices.Clone(x[0])
		hostile[7*width] = bad
		_, got := c.run(t, true, append([][]float64{hostile}, x[1:]...), n, width, nil)
		if !slices.Equal(got[:7*width], want[:7*width]) || !slices.Equal(got[8*width:], want[8*width:]) {
			t.Errorf("%s: a row with %v changes others", c.loss, bad)
		}
	}
}

// The logistic losses of pairs of items of a few grades are the sums over their pairs.
func TestGradedPairs(t *testing.T) {
	const n = 61
	r := rand.New(rand.NewPCG(3, 4))
	s, y := make([]float64, n), make([]float64, n)
	for i := range s {
		s[i], y[i] = 3*r.NormFloat64(), float64(r.IntN(4))
	}
	s[5] = s[4]
	for name, lambda := range map[string]func(i, j int) float64{
		"equal": func(i, j int) float64 { return 1 }, "difference": func(i, j int) float64 { return y[i] - y[j] },
	} {
		opts := []loss.Option{loss.WithSigma(0.7)}
		if name == "difference" {
			opts = append(opts, loss.WithPairWeights(loss.PairLabelDiff))
		}
		got, grad := listGradient(t, "RankNet", n, s, y, eager.Data{}, opts...)
		want, wants, pairs := 0.0, make([]float64, n), 0.0
		for i := range s {
			for j := range s {
				if y[i] > y[j] {
					d := 0.7 * (s[i] - s[j])
					want += lambda(i, j) * (max(0, -d) + math.Log1p(math.Exp(-math.Abs(d))))
					g := lambda(i, j) * 0.7 / (1 + math.Exp(d))
					wants[i] -= g
					wants[j] += g
					pairs++
				}
			}
		}
		for i := range wants {
			wants[i] /= pairs
		}
		// exponentials of scores are within their distance times 2^-53
		nearList(t, name, append(grad, got), append(wants, want/pairs), 1e-13)
	}
}
