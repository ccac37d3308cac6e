package loss_test

import (
	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// uniform returns n random numbers of [lo, hi).
func (d *graphData) uniform(n int, lo, hi float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = lo + (hi-lo)*d.r.Float64()
	}
	return x
}

func always(opts ...loss.Option) func(*graphData) []loss.Option {
	return func(*graphData) []loss.Option { return opts }
}

func classWeightsOf(d *graphData) []loss.Option {
	return []loss.Option{loss.WithClassWeights(d.uniform(d.classes, 0.5, 1.5))}
}

func posWeightsOf(d *graphData) []loss.Option {
	return []loss.Option{loss.WithPosWeight(d.uniform(d.classes, 0.5, 1.5))}
}

func rowWeightsOf(d *graphData) []loss.Option {
	return []loss.Option{loss.WithWeights(benchInput(d.g, d.dt, "weights", d.uniform(d.rows, 0.5, 1.5), d.rows))}
}

func entryWeightsOf(d *graphData) []loss.Option {
	w := benchInput(d.g, d.dt, "weights", d.uniform(d.rows*d.classes, 0.5, 1.5), d.rows, d.classes)
	return []loss.Option{loss.WithWeights(w)}
}

// entryMaskOf is a mask of which half is 0, in no order.
func entryMaskOf(d *graphData) []loss.Option {
	m := make([]bool, d.rows*d.classes)
	for i := range m {
		m[i] = d.r.IntN(2) == 1
	}
	return []loss.Option{loss.WithMask(G.NewMatrix(d.g, tensor.Bool, G.WithName("mask"), G.WithShape(d.rows, d.classes),
		G.WithValue(tensor.New(tensor.WithShape(d.rows, d.classes), tensor.WithBacking(m)))))}
}

// optionGraphs are the losses with one option each.
var optionGraphs = []graphBenchmark{
	{loss: "CrossEntropy", option: "smoothing", fn: loss.CrossEntropy, opts: always(loss.WithLabelSmoothing(0.1))},
	{loss: "CrossEntropy", option: "classweights", fn: loss.CrossEntropy, opts: classWeightsOf},
	{loss: "CrossEntropy", option: "ignored", fn: loss.CrossEntropy, ignored: true},
	{loss: "CrossEntropy", option: "temperature", fn: loss.CrossEntropy, opts: always(loss.WithTemperature(2))},
	{loss: "CrossEntropy", option: "zloss", fn: loss.CrossEntropy, opts: always(loss.WithZLoss(1e-4))},
	{loss: "CrossEntropy", option: "softcap", fn: loss.CrossEntropy, opts: always(loss.WithSoftcap(30))},
	{loss: "CrossEntropy", option: "none", fn: loss.CrossEntropy, none: true},
	{loss: "CrossEntropy", option: "weights", fn: loss.CrossEntropy, opts: rowWeightsOf},
	{loss: "CrossEntropy", option: "nchw", fn: loss.CrossEntropy, nchw: true},
	{loss: "BinaryCrossEntropy", option: "weights", fn: loss.BinaryCrossEntropy, target: reversedSigmoid,
		opts: entryWeightsOf},
	{loss: "BinaryCrossEntropy", option: "mask", fn: loss.BinaryCrossEntropy, target: reversedSigmoid, opts: entryMaskOf},
	{loss: "BinaryCrossEntropy", option: "posweight", fn: loss.BinaryCrossEntropy, target: reversedSigmoid,
		opts: posWeightsOf},
	{loss: "MSE", option: "weights", fn: loss.MSE, target: reversedSigmoid, opts: entryWeightsOf},
	{loss: "MSE", option: "mask", fn: loss.MSE, target: reversedSigmoid, opts: entryMaskOf},
	{loss: "Huber", option: "weights", fn: loss.Huber, target: reversedSigmoid, opts: entryWeightsOf},
	{loss: "Huber", option: "mask", fn: loss.Huber, target: reversedSigmoid, opts: entryMaskOf},
}

// rowGraphs are losses of rows that are sums over their classes, and of every class alone.
var rowGraphs = []graphBenchmark{
	{loss: "SoftmaxFocalSoft", fn: loss.SoftmaxFocal, target: reversedSoftmax},
	{loss: "PolyCrossEntropySoft", fn: loss.PolyCrossEntropy, target: reversedSoftmax},
	{loss: "GeneralizedCrossEntropySoft", fn: loss.GeneralizedCrossEntropy, target: reversedSoftmax},
	{loss: "EMDSoft", fn: loss.EMD, target: reversedSoftmax},
	{loss: "KLFromLogProb", fn: loss.KLFromLogProb, target: reversedSoftmax},
	{loss: "MultiLabelSoftMargin", fn: loss.MultiLabelSoftMargin, target: reversedSigmoid},
	{loss: "StandardGaussianKL", fn: loss.StandardGaussianKL, target: func(x []float64, _ int) []float64 { return reversed(x) }},
	{loss: "AsymmetricLoss", fn: loss.AsymmetricLoss, target: reversedSigmoid},
}
