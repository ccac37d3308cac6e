package train

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestFans: a unit of a convolution sees the window times the channels that come in (for 32
// channels and 3x3 288 inputs), and a channel goes to the window times those that go out (576
// outputs for 64). These are the fans of torch.nn.init._calculate_fan_in_and_fan_out.
func TestFans(t *testing.T) {
	for _, c := range []struct {
		name    string
		fans    Fans
		shape   []int
		in, out float64
	}{
		{"(out, in, height, width)", Fans{In: 1, Out: 0}, []int{64, 32, 3, 3}, 288, 576},
		{"(height, width, in, out)", Fans{In: -2, Out: -1}, []int{3, 3, 32, 64}, 288, 576},
		{"(out, in, length)", Fans{In: 1, Out: 0}, []int{64, 32, 9}, 288, 576},
		{"(out, in)", Fans{In: 1, Out: 0}, []int{576, 288}, 288, 576},
		{"(in, out)", Fans{In: 0, Out: 1}, []int{288, 576}, 288, 576},
	} {
		n := 1
		for _, d := range c.shape {
			n *= d
		}
		draw := func(init Init) (deviation, largest float64) {
			v := make([]float64, n)
			init(data.Rand(1, c.name, 0), c.shape, v)
			for _, x := range v {
				deviation += x * x / float64(n)
				largest = max(largest, math.Abs(x))
			}
			return math.Sqrt(deviation), largest
		}
		// The deviation of n normal numbers is off by 1/√(2n) of itself, 0.52 % of 18,432: four
		// times that is allowed.
		if got, _ := draw(c.fans.He()); math.Abs(got/math.Sqrt(2/c.in)-1) > 4/math.Sqrt(2*float64(n)) {
			t.Errorf("%s: He has the deviation %v, want %v", c.name, got, math.Sqrt(2/c.in))
		}
		// The largest of n uniform numbers is below its bound by 1/n on average, and by 20/n with
		// probability exp(-20).
		for how, p := range map[string]struct {
			init  Init
			bound float64
		}{"Glorot": {c.fans.Glorot(), math.Sqrt(6 / (c.in + c.out))}, "FanIn": {c.fans.FanIn(), 1 / math.Sqrt(c.in)}} {
			if _, got := draw(p.init); got > p.bound || got < p.bound*(1-20/float64(n)) {
				t.Errorf("%s: %s has %v as its largest number, want just below %v", c.name, how, got, p.bound)
			}
		}
	}
	// For matrices and vectors nothing has to be said.
	for how, p := range map[string][2]Init{"Glorot": {Glorot(), matrix.Glorot()}, "He": {He(), matrix.He()}, "FanIn": {FanIn(), matrix.FanIn()}} {
		a, b := make([]float64, 12), make([]float64, 12)
		p[0](data.Rand(2, how, 0), []int{3, 4}, a)
		p[1](data.Rand(2, how, 0), []int{3, 4}, b)
		for i := range a {
			if a[i] != b[i] {
				t.Errorf("%s of a matrix gives %v, want %v", how, a, b)
				break
			}
		}
		p[0](data.Rand(2, how, 0), []int{12}, a)
	}
}

// TestInitialisersSayWhatTheyNeed: a shape whose fans are not known is an error that names
// parameter and remedy, and so is any panic.
func TestInitialisersSayWhatTheyNeed(t *testing.T) {
	for _, c := range []struct {
		init  Init
		shape []int
		want  string
	}{
		{He(), []int{8, 1, 3, 3}, `train.Param: the initialiser of "w": train.He takes shapes of 1 or 2 axes, not [8 1 3 3]; train.Fans{In: 1, Out: 0}.He() is for kernels`},
		{Glorot(), []int{8, 1, 3}, "train.Fans{In: 1, Out: 0}.Glorot()"},
		{FanIn(), []int{8, 1, 3}, "train.Fans{In: 1, Out: 0}.FanIn()"},
		{Fans{In: 2, Out: 0}.He(), []int{8, 3},
			"shape [8 3] has no axes 2 for inputs and 0 for outputs, want two different ones in [-2, 2)"},
		{Fans{In: 1, Out: -1}.Glorot(), []int{8, 3}, "has no axes 1 for inputs and -1 for outputs"},
		{Fans{In: -3, Out: 0}.FanIn(), []int{8, 3}, "has no axes -3 for inputs"},
		{Fans{}.FanIn(), []int{8, 3}, "has no axes 0 for inputs and 0 for outputs"},
		{Normal(1), []int{2, 2}, ""},
		{func(_ *rand.Rand, _ []int, dst []float64) { dst[99] = 0 }, []int{2, 2},
			`the initialiser of "w": runtime error: index out of range`},
		{func(_ *rand.Rand, shape []int, dst []float64) { shape[0] = 7 }, []int{2, 2}, ""},
	} {
		b := &Builder{construction: &construction{graph: G.NewGraph(), dtype: tensor.Float64, params: new(paramSet), names: make(map[string]bool)}}
		b.params.index = make(map[string]*arrayT)
		n, err := b.Param("w", c.init, c.shape...)
		if c.want == "" {
			if err != nil || !n.Shape().Eq(tensor.Shape{2, 2}) {
				t.Errorf("%v: %v", c.shape, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want one with %q", c.shape, err, c.want)
		}
	}
}
