package train

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// An Init fills a new parameter of the given shape with values drawn from its own generator. For a
// shape that it does not fit it panics with an error, which [Builder.Param] returns.
type Init func(rng *rand.Rand, shape []int, dst []float64)

// Constant returns the initialiser that sets every number to v.
func Constant(v float64) Init {
	return func(_ *rand.Rand, _ []int, dst []float64) {
		for i := range dst {
			dst[i] = v
		}
	}
}

// Uniform returns the initialiser that draws from [-bound, bound).
func Uniform(bound float64) Init {
	return func(rng *rand.Rand, _ []int, dst []float64) {
		for i := range dst {
			dst[i] = bound * (2*rng.Float64() - 1)
		}
	}
}

// Normal returns the initialiser that draws from a normal distribution with mean 0 and the given
// standard deviation.
func Normal(std float64) Init {
	return func(rng *rand.Rand, _ []int, dst []float64) {
		for i := range dst {
			dst[i] = std * rng.NormFloat64()
		}
	}
}

// Fans names the axes of a parameter's shape that count the inputs and the outputs of a layer. A
// negative axis counts from the end. The remaining axes are the window of a convolution: with w the
// product of their lengths, a unit has length(In)·w inputs, and an input feeds length(Out)·w units.
// A kernel of shape (out, in, height, width), as gorgonia.Conv2d takes it, has Fans{In: 1, Out: 0};
// the weight of [Builder.Dense], of shape (inputs, units), has Fans{In: 0, Out: 1}.
//
//	w, err := b.Param("conv1", train.Fans{In: 1, Out: 0}.He(), 32, 1, 5, 5)
type Fans struct{ In, Out int }

// matrix is the fans of a weight of shape (inputs, outputs).
var matrix = Fans{In: 0, Out: 1}

// of returns the numbers of inputs and outputs. An Init has no error to return, so a shape without
// the axes is a panic, which [Builder.Param] returns as an error.
func (f Fans) of(shape []int) (in, out float64) {
	n := len(shape)
	axis := func(a int) int {
		if a < 0 {
			return a + n
		}
		return a
	}
	i, o := axis(f.In), axis(f.Out)
	if i < 0 || i >= n || o < 0 || o >= n || i == o {
		panic(fmt.Errorf("shape %v has no axes %d for inputs and %d for outputs, "+
			"want two different ones in [-%d, %d)", shape, f.In, f.Out, n, n))
	}
	in, out = float64(shape[i]), float64(shape[o])
	for k, d := range shape {
		if k != i && k != o {
			in, out = in*float64(d), out*float64(d)
		}
	}
	return in, out
}

// usual returns the fans of a vector, which has one input, or a matrix of shape (inputs, outputs).
// Of more axes none is the usual one for inputs: a convolution's kernel has them first, second or
// last, and a wrong guess makes weights several times too small.
func usual(name string) func(shape []int) (in, out float64) {
	return func(shape []int) (in, out float64) {
		switch len(shape) {
		case 1:
			return 1, float64(shape[0])
		case 2:
			return matrix.of(shape)
		}
		panic(fmt.Errorf("train.%s takes shapes of 1 or 2 axes, not %v; "+
			"train.Fans{In: 1, Out: 0}.%s() is for kernels of shape (out, in, ...)", name, shape, name))
	}
}

// byFans returns the initialiser that fills a parameter by the fans of its shape.
func byFans(fans func(shape []int) (in, out float64), fill func(rng *rand.Rand, in, out float64, dst []float64)) Init {
	return func(rng *rand.Rand, shape []int, dst []float64) {
		in, out := fans(shape)
		fill(rng, in, out, dst)
	}
}

// glorot, he and fanIn fill dst for the given numbers of inputs and outputs.
func glorot(rng *rand.Rand, in, out float64, dst []float64) {
	Uniform(math.Sqrt(6/(in+out)))(rng, nil, dst)
}

func he(rng *rand.Rand, in, _ float64, dst []float64) { Normal(math.Sqrt(2/in))(rng, nil, dst) }

func fanIn(rng *rand.Rand, in, _ float64, dst []float64) { Uniform(1/math.Sqrt(in))(rng, nil, dst) }

// Glorot returns the initialiser that draws from [-a, a) with a = √(6/(inputs+outputs)), for a
// weight of shape (inputs, outputs). [Fans.Glorot] is for other shapes; one of more than 2 axes is
// an error here.
//
// Reference: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward
// neural networks, 2010.
func Glorot() Init { return byFans(usual("Glorot"), glorot) }

// Glorot is [Glorot] with the inputs and outputs of f.
func (f Fans) Glorot() Init { return byFans(f.of, glorot) }

// He returns the initialiser that draws from a normal distribution with standard deviation
// √(2/inputs), for a weight of shape (inputs, outputs). [Fans.He] is for other shapes; one of more
// than 2 axes is an error here.
//
// Reference: K. He et al., Delving Deep into Rectifiers, 2015.
func He() Init { return byFans(usual("He"), he) }

// He is [He] with the inputs of f.
func (f Fans) He() Init { return byFans(f.of, he) }

// FanIn returns the initialiser that draws from [-a, a) with a = 1/√inputs, the default of
// PyTorch's linear and convolutional layers, for a weight of shape (inputs, outputs). [Fans.FanIn]
// is for other shapes; one of more than 2 axes is an error here.
func FanIn() Init { return byFans(usual("FanIn"), fanIn) }

// FanIn is [FanIn] with the inputs of f.
func (f Fans) FanIn() Init { return byFans(f.of, fanIn) }
