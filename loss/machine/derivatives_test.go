package machine_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// refusedOperations are the functions of Gorgonia that package loss refuses to differentiate, once
// or twice.
var refusedOperations = map[string]string{
	"At": "first", "AveragePool2D": "first", "CTCLoss": "first", "GlobalAveragePool2D": "first", "Dropout": "first",
	"AveragePool1D": "second", "BatchNorm": "second", "ByIndices": "second", "GroupNorm": "second",
	"LogSoftMax": "second", "MaxPool1D": "second",
	"MaxPool2D": "second", "SoftMax": "second", "Sparsemax": "second", "Upsample2D": "second",
}

// failingOperations are the graphs that Gorgonia itself cannot build, run or differentiate: an
// error or a panic, which Gradients makes an error. BinaryXent is that of a probability above 1.
var failingOperations = []string{"BinaryXent/vectors", "DiagFlat/vector", "LogSumExp/vector", "MaxBetween/scalars", "MinBetween/scalars",
	"Mul/matrix and vector", "OuterProd/vectors", "YOLOv3/evaluation"}

// TestGradientsOfOperations compares first and second derivatives by loss.Gradients through every
// operation of Gorgonia with differences of values.
func TestGradientsOfOperations(t *testing.T) {
	all := operations()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		function, _, _ := strings.Cut(name, "/")
		d, err := derive(all[name])
		refused := ""
		if err != nil && strings.Contains(err.Error(), "gorgonia."+function) {
			refused, _, _ = strings.Cut(err.Error(), ":")
		}
		if function == "LogSoftMax" && err != nil && strings.Contains(err.Error(), "gorgonia.SoftMax") {
			refused = "second" // one operation
		}
		fails := slices.Contains(failingOperations, name)
		switch {
		case d == nil && err == nil: // of no floating result, or without inputs
		case refused != refusedOperations[function]:
			t.Errorf("%s is refused %q, want %q: %v", name, refused, refusedOperations[function], err)
		case refused == "" && (err != nil) != fails:
			t.Errorf("%s: error %v, want one: %v", name, err, fails)
		case d != nil && refused != "first" && !(math.Abs(d.first-d.firstWant) <= 1e-6*(1+math.Abs(d.firstWant))):
			t.Errorf("%s: first derivative %v, want %v", name, d.first, d.firstWant)
		case d != nil && refused == "" && !(math.Abs(d.second-d.secondWant) <= 1e-5*(1+math.Abs(d.secondWant))):
			t.Errorf("%s: second derivative %v, want %v", name, d.second, d.secondWant)
		}
	}
}

// derivatives are those of one number along a direction, and once more along another.
type derivatives struct{ first, firstWant, second, secondWant float64 }

// derive differentiates Σ w·(y + y²/4) for the result y of an operation. Differences are
// extrapolated from steps of 1e-3 and half of that; their error is of the order of 1e-12 in the
// first derivative, and the rounding of values near 1 is 1e-9 of the second.
func derive(build builder) (d *derivatives, err error) {
	at := "build"
	defer func() {
		if r := recover(); r != nil {
			d, err = nil, fmt.Errorf("%s: %v", at, r)
		}
	}()
	fail := func(err error) (*derivatives, error) { return d, fmt.Errorf("%s: %w", at, err) }
	s := &scene{g: G.NewGraph(), dt: tensor.Float64, bent: true}
	out, err := build(s)
	switch {
	case err != nil:
		return fail(err)
	case out.Dtype() != tensor.Float64 || len(s.inputs) == 0:
		return nil, nil
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var given G.Nodes
	like := func(n *G.Node) (*G.Node, []float64) {
		name := fmt.Sprintf("given %d", len(given))
		x := make([]float64, max(1, n.Shape().TotalSize()))
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		leaf := G.NewScalar(s.g, tensor.Float64, G.WithName(name), G.WithValue(x[0]))
		if !n.IsScalar() {
			leaf = G.NewTensor(s.g, tensor.Float64, n.Dims(), G.WithName(name), G.WithShape(n.Shape()...),
				G.WithValue(tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(x))))
		}
		given = append(given, leaf)
		return leaf, x
	}
	along := func(nodes G.Nodes) (sum *G.Node, directions [][]float64) {
		for _, n := range nodes {
			leaf, x := like(n)
			directions = append(directions, x)
			part := G.Must(G.HadamardProd(n, leaf))
			if !n.IsScalar() {
				part = G.Must(G.Sum(part))
			}
			if sum == nil {
				sum = part
				continue
			}
			sum = G.Must(G.Add(sum, part))
		}
		return sum, directions
	}
	cost := out
	if !out.IsScalar() { // whose types Gorgonia confuses
		cost, _ = along(G.Nodes{G.Must(G.Add(out, G.Must(G.Square(G.Must(G.Mul(out, G.NewConstant(0.5)))))))})
	}
	at = "first"
	grads, err := loss.Gradients(cost, s.inputs...)
	if err != nil {
		return fail(err)
	}
	slope, one := along(grads)
	at = "second"
	grads, refusal := loss.Gradients(slope, s.inputs...)
	bend, other := slope, make([][]float64, len(s.inputs))
	if refusal == nil {
		bend, other = along(grads)
	}
	var start [][]float64
	for _, n := range s.inputs {
		switch v := n.Value().Data().(type) {
		case float64:
			start = append(start, []float64{v})
		case []float64:
			start = append(start, slices.Clone(v))
		}
	}
	var values [3]G.Value
	for i, n := range []*G.Node{cost, slope, bend} {
		G.Read(n, &values[i])
	}
	vm := G.NewTapeMachine(s.g)
	defer vm.Close()
	var failed error
	run := func(a, b float64) float64 {
		for i, n := range s.inputs {
			x := slices.Clone(start[i])
			for j := range x {
				x[j] += a * one[i][j]
				if refusal == nil {
					x[j] += b * other[i][j]
				}
			}
			var v any = x[0]
			if !n.IsScalar() {
				v = tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(x))
			}
			if err := G.Let(n, v); err != nil {
				failed = err
			}
		}
		vm.Reset()
		if err := vm.RunAll(); err != nil {
			failed = err
			return math.NaN()
		}
		return number(values[0])
	}
	at = "run"
	d = new(derivatives)
	if run(0, 0); failed != nil {
		return fail(failed)
	}
	d.first, d.second = number(values[1]), number(values[2])
	if math.IsNaN(d.first) {
		return nil, errors.New("the derivative is NaN")
	}
	extrapolated := func(f func(h float64) float64) float64 { return (4*f(5e-4) - f(1e-3)) / 3 }
	d.firstWant = extrapolated(func(h float64) float64 { return (run(h, 0) - run(-h, 0)) / (2 * h) })
	d.secondWant = extrapolated(func(h float64) float64 {
		return (run(h, h) - run(h, -h) - run(-h, h) + run(-h, -h)) / (4 * h * h)
	})
	at = "second"
	if refusal != nil {
		return fail(refusal)
	}
	return d, failed
}

// number is the only number of a value.
func number(v G.Value) float64 {
	switch d := v.Data().(type) {
	case float64:
		return d
	case []float64:
		return d[0]
	}
	return math.NaN()
}
