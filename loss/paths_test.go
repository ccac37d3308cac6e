package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// withoutKernel lists the losses that have no kernel, and why.
var withoutKernel = map[string]string{
	"MultiLabelMargin": "compares lists",
	"GaussianNLL":      "three operands", "LaplaceNLL": "three operands", "StudentTNLL": "three operands", "MarginRanking": "three operands", "GaussianKL": "four operands",
	"GaussianCRPS": "three operands",
	"DPO":          "four operands", "DPOHinge": "four operands", "IPO": "four operands", "APOZero": "four operands", "APODown": "four operands",
	"NCA": "four operands", "SimPO": "a few numbers a sequence", "CPO": "a few numbers a sequence", "ORPO": "a few numbers a sequence",
}

// float32Only lists the losses whose kernels have the digits of float32, or are too long to have
// twice.
var float32Only = map[string]bool{"BernoulliKL": true, "Barron": true, "BinaryCrossEntropyFromProb": true, "NegativeBinomial": true, "Tweedie": true,
	"AsymmetricLoss": true}

// refusals lists the options under which a loss with kernels has none.
var refusals = map[string]bool{
	"PoissonNLL WithFull": true, "NegativeBinomial WithFull": true,
	"SphericalScore soft": true,
}

// pureGoRefusals lists the losses whose kernels for soft targets exist in assembly alone.
var pureGoRefusals = map[string]bool{"SoftmaxFocal": true, "PolyCrossEntropy": true, "GeneralizedCrossEntropy": true}

// withoutPureGo lists the losses and options whose kernels exist in assembly alone.
var withoutPureGo = map[string]bool{"Distillation": true, "ReverseKL": true, "KL WithLogTarget": true, "KL WithTargetLogits": true}

// float64Refusals lists the options under which a loss has a kernel for float32 alone.
var float64Refusals = map[string]bool{"SigmoidFocal WithGamma": true}

// optionWeights are numbers of the classes.
func optionWeights(classes int) []float64 {
	w := make([]float64, classes)
	for i := range w {
		w[i] = 0.5 + float64(i%3)
	}
	return w
}

// optionValues are options with values other than their defaults, for classes classes.
func optionValues(classes int) map[string]Option {
	w := optionWeights(classes)
	return map[string]Option{
		"": nil, "WithIgnoreIndex": WithIgnoreIndex(0), "WithClassWeights": WithClassWeights(w), "WithPosWeight": WithPosWeight(w),
		"WithNormalizer": WithNormalizer(3), "WithLabelSmoothing": WithLabelSmoothing(0.1), "WithTemperature": WithTemperature(2),
		"WithSoftcap": WithSoftcap(30), "WithZLoss": WithZLoss(1e-4), "WithDelta": WithDelta(0.5), "WithBeta": WithBeta(0.5),
		"WithGamma": WithGamma(1.5), "WithAlpha": WithAlpha(0.25), "WithEpsilon": WithEpsilon(0.3), "WithQ": WithQ(0.5),
		"WithMargin": WithMargin(0.2), "WithScale": WithScale(3), "WithPower": WithPower(1.3), "WithQuantile": WithQuantile(0.9),
		"WithTau": WithTau(0.9), "WithLogPrior": WithLogPrior(w), "WithFull": WithFull(), "WithLogTarget": WithLogTarget(), "WithTargetLogits": WithTargetLogits(),
	}
}

// Value and gradient of every loss with kernels come from kernels alone: under every option,
// weight, mask, reduction, axis, number of classes and dtype. No clock is needed to see that
// nothing falls off.
func TestPaths(t *testing.T) {
	shapes := [][]int{{40, 21}, {6, 5, 7}, {300, 2}, {3, 700}}
	if testing.Short() {
		shapes = shapes[:2]
	}
	for info := range Losses() {
		if info.Node || info.Product || info.Grouped {
			continue // in TestLinearPaths; groups have no kernels
		}
		if _, ok := withoutKernel[info.Name]; ok {
			if info.def.Kernel != nil {
				t.Errorf("%s has a kernel and is listed as without", info.Name)
			}
			continue
		}
		if info.def.Kernel == nil {
			t.Errorf("%s has no kernel", info.Name)
			continue
		}
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			if dt == tensor.Float64 && float32Only[info.Name] {
				continue
			}
			for _, shape := range shapes {
				for axis := range shape {
					if info.Elementwise && axis > 0 && !info.def.Takes.Has(core.OptAxis) {
						continue
					}
					testPaths(t, info, dt, shape, axis)
				}
			}
		}
	}
}

func testPaths(t *testing.T, info Info, dt tensor.Dtype, shape []int, axis int) {
	t.Helper()
	for name, opt := range optionValues(shape[axis]) {
		if name != "" && !slices.Contains(info.Options, name) {
			continue
		}
		for _, soft := range []bool{false, true} {
			if soft && (info.Target != LabelsOrSoft || name == "WithIgnoreIndex") || refusals[info.Name+" "+name] || dt == tensor.Float64 && float64Refusals[info.Name+" "+name] || soft && refusals[info.Name+" soft"] {
				continue
			}
			if vec.Active() == vec.Generic && (soft && pureGoRefusals[info.Name] || withoutPureGo[info.Name] || withoutPureGo[info.Name+" "+name]) {
				continue
			}
			for _, data := range []string{"", "weights", "mask", "both"} {
				for _, reduction := range []Reduction{Mean, Sum, None} {
					if name == "WithNormalizer" && reduction != Mean {
						continue
					}
					opts := []Option{WithReduction(reduction)}
					if slices.Contains(info.Requires, "WithCounts") {
						opts = append(opts, WithCounts(optionWeights(shape[axis])))
					}
					if info.Name == "MultiMargin" && name == "WithPower" {
						opt = WithPower(2)
					}
					if opt != nil {
						opts = append(opts, opt)
					}
					if info.def.Takes.Has(core.OptAxis) {
						opts = append(opts, WithAxis(axis))
					}
					g := G.NewGraph()
					run, err := pathGraph(g, info, dt, shape, axis, soft, data, opts)
					if err != nil {
						t.Fatalf("%s %s: %v", info.Name, name, err)
					}
					paths := core.CountPaths(func() { err = run() })
					if err != nil || paths.Kernel == 0 || paths.Block != 0 || paths.Refused != 0 || paths.Mended != 0 {
						t.Errorf("%s %s, %v, shape %v, axis %d, soft %t, %s, %v: %+v, error %v", info.Name, name, dt, shape, axis, soft, data,
							reduction, paths, err)
					}
				}
			}
		}
	}
}

// pathGraph builds a loss and its gradient on data of its domains and returns a function that runs
// them.
func pathGraph(g *G.ExprGraph, info Info, dt tensor.Dtype, shape []int, axis int, soft bool, data string, opts []Option) (func() error, error) {
	r := rand.New(rand.NewPCG(1, 2))
	near, inner := 0, 1 // the parity of the classes with large probabilities, and how far classes lie apart
	for _, n := range shape[axis+1:] {
		inner *= n
	}
	float := func(name string, shape []int, d Domain) *G.Node {
		n := tensor.Shape(shape).TotalSize()
		x := make([]float64, n)
		for i := range x {
			switch d {
			case Probabilities: // far from the targets: nearly equal rows are for the block function
				x[i] = 2e-4 + 2e-4*r.Float64() + 0.8*float64((i/inner%shape[axis]+near)%2)
			case SoftTargets, LabelsOrSoft, Counts, Positive, UnitInterval, Cosines:
				x[i] = 0.1 + 0.8*r.Float64()
			case LogProbabilities:
				x[i] = -3 - math.Abs(r.NormFloat64())
			case Signs:
				x[i] = math.Copysign(1, r.NormFloat64())
			default:
				x[i] = r.NormFloat64()
			}
		}
		return node(g, name, dt, shape, x)
	}
	rows := append(append([]int(nil), shape[:axis]...), shape[axis+1:]...)
	x := float("x", shape, info.Pred)
	labels := func() *G.Node {
		labels := make([]int, tensor.Shape(rows).TotalSize())
		for i := range labels {
			labels[i] = i % shape[axis]
		}
		return G.NewTensor(g, tensor.Int, len(rows), G.WithName("labels"), G.WithShape(rows...),
			G.WithValue(tensor.New(tensor.WithShape(rows...), tensor.WithBacking(labels))))
	}
	var y *G.Node
	if info.Target == Labels || info.Target == LabelsOrSoft && !soft {
		y = labels()
	} else {
		holds := info.Target
		if near = 1; info.Pred == Probabilities {
			holds = Probabilities
		}
		y = float("y", shape, holds)
	}
	values := rows
	if info.Elementwise {
		values = shape
	}
	if data == "weights" || data == "both" {
		opts = append(opts, WithWeights(float("w", values, Positive)))
	}
	if data == "mask" || data == "both" {
		m := make([]bool, tensor.Shape(values).TotalSize())
		for i := range m {
			m[i] = i%3 != 2
		}
		opts = append(opts, WithMask(G.NewTensor(g, tensor.Bool, len(values), G.WithName("m"), G.WithShape(values...),
			G.WithValue(tensor.New(tensor.WithShape(values...), tensor.WithBacking(m))))))
	}
	operands := []*G.Node{x, y}
	if len(info.def.Required()) > 2 { // beside the logits of two models
		operands = append(operands, labels())
	}
	cost, err := info.Call(operands, opts...)
	if err != nil {
		return nil, err
	}
	if cost.IsScalar() {
		_, err = Gradients(cost, x)
	} else {
		_, err = VJP(cost, float("up", values, Real), x)
	}
	if err != nil {
		return nil, fmt.Errorf("gradient: %w", err)
	}
	return func() error {
		m := G.NewTapeMachine(g)
		defer m.Close()
		return m.RunAll()
	}, nil
}

// node is an input of the dtype with a value.
func node(g *G.ExprGraph, name string, dt tensor.Dtype, shape []int, x []float64) *G.Node {
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
