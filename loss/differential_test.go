package loss_test

import (
	cmdline "flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"gorgonia.org/tensor"
)

var differentialCases = cmdline.Int("differential", 2000, "number of random cases that TestDifferential compares")

// A drawnOption is an option of one number, with its constructor and its default.
type drawnOption struct {
	name   string
	apply  func(float64) loss.Option
	absent map[string]float64 // the documented default by the name of the loss, "" for any other; none: off
	draw   func(name string, r *rand.Rand) float64
}

func between(lo, hi float64) func(string, *rand.Rand) float64 {
	return func(_ string, r *rand.Rand) float64 { return lo + (hi-lo)*r.Float64() }
}

func flagged(apply func() loss.Option) func(float64) loss.Option {
	return func(float64) loss.Option { return apply() }
}

// orOneOf draws one of some numbers at which formulas have another form, or any.
func orOneOf(lo, hi float64, special ...float64) func(r *rand.Rand) float64 {
	return func(r *rand.Rand) float64 {
		if r.IntN(3) == 0 {
			return special[r.IntN(len(special))]
		}
		return lo + (hi-lo)*r.Float64()
	}
}

var drawnOptions = []drawnOption{
	{"WithLabelSmoothing", loss.WithLabelSmoothing, map[string]float64{"": 0}, between(0, 1)},
	{"WithTemperature", loss.WithTemperature, map[string]float64{"": 1}, between(0.5, 1.5)},
	{"WithSoftcap", loss.WithSoftcap, nil, between(2, 7)},
	{"WithZLoss", loss.WithZLoss, map[string]float64{"": 0}, between(0, 1)},
	{"WithDelta", loss.WithDelta, map[string]float64{"": 1}, between(0.1, 1.1)},
	{"WithBeta", loss.WithBeta, map[string]float64{"SmoothL1": 1, "JensenShannon": 0.5, "SimPO": 2, "CPO": 0.1, "ORPO": 0.1}, func(name string, r *rand.Rand) float64 {
		if name == "JensenShannon" {
			return orOneOf(0, 1, 0, 1)(r)
		}
		return 0.1 + r.Float64()
	}},
	{"WithAlpha", loss.WithAlpha, map[string]float64{"Barron": 1, "AlphaDivergence": 0.5, "NegativeBinomial": 1, "Renyi": 2}, func(name string, r *rand.Rand) float64 {
		switch name {
		case "Barron":
			return orOneOf(-3, 3, 0, 1, 2)(r)
		case "AlphaDivergence":
			return orOneOf(-1, 2, 0, 1, 2)(r)
		case "Renyi":
			return orOneOf(0.3, 2.3, 1)(r)
		}
		return 0.05 + 0.9*r.Float64()
	}},
	{"WithEpsilon", loss.WithEpsilon, map[string]float64{"Charbonnier": 1e-3, "MAPE": 1e-7, "CosineDistance": 1e-8, "EpsilonInsensitive": 0.1,
		"PolyCrossEntropy": 2, "Wing": 0.5}, between(0.05, 1.05)},
	{"WithMargin", loss.WithMargin, map[string]float64{"": 1, "ArcFace": 0.5, "CosFace": 0.35}, between(0.1, 1.1)},
	{"WithScale", loss.WithScale, map[string]float64{"": 1, "Tukey": 4.685, "ArcFace": 64, "CosFace": 64}, between(0.5, 8)},
	{"WithTau", loss.WithTau, map[string]float64{"": 0.5}, between(0.05, 0.95)},
	{"WithQuantile", loss.WithQuantile, map[string]float64{"": 0.5}, between(0.05, 0.95)},
	{"WithPower", loss.WithPower, map[string]float64{"Tweedie": 1.5, "MultiMargin": 1}, func(name string, r *rand.Rand) float64 {
		if name == "MultiMargin" {
			return float64(1 + r.IntN(2))
		}
		return orOneOf(1, 2, 1, 2)(r)
	}},
	{"WithGamma", loss.WithGamma, map[string]float64{"": 2, "SimPO": 0.5},
		func(_ string, r *rand.Rand) float64 { return orOneOf(0, 4, 0, 2)(r) }},
	{"WithClip", loss.WithClip, map[string]float64{"": 0.05}, between(0, 0.3)},
	{"WithQ", loss.WithQ, map[string]float64{"": 0.7}, between(0.1, 1)},
	{"WithFull", flagged(loss.WithFull), nil, between(1, 1)},
	{"WithLogTarget", flagged(loss.WithLogTarget), nil, between(1, 1)},
	{"WithTargetLogits", flagged(loss.WithTargetLogits), nil, between(1, 1)},
}

// drawOptions draws each of a loss's options, and gives the others their documented values.
func drawOptions(c *contender, r *rand.Rand) (d *drawn, opts []loss.Option, target loss.Domain) {
	d, target = &drawn{number: map[string]float64{}, gammas: [2]float64{1, 4}}, loss.Real
	if c.has("WithGammas") && r.IntN(2) == 0 {
		d.gammas = [2]float64{3 * r.Float64(), 5 * r.Float64()}
		opts = append(opts, loss.WithGammas(d.gammas[0], d.gammas[1]))
	}
	for _, o := range drawnOptions {
		if !c.has(o.name) {
			continue
		}
		given := r.IntN(2) == 0
		if o.name == "WithTargetLogits" && d.number["WithLogTarget"] != 0 {
			given = false
		}
		v, ok := o.absent[c.name]
		if !ok {
			v, ok = o.absent[""]
		}
		if given {
			v, ok = o.draw(c.name, r), true
			opts = append(opts, o.apply(v))
		}
		if ok {
			d.number[o.name] = v
		}
	}
	switch {
	case d.number["WithLogTarget"] != 0:
		target = loss.LogProbabilities
	case d.number["WithTargetLogits"] != 0:
		target = loss.Logits
	}
	return d, opts, target
}

// TestDifferential draws losses, options, shapes, layouts and reductions, and compares values with
// the documentation's formulas, and some derivatives with their differences. What the formulas lose
// to cancellation bounds the tolerance: 1e-9 of float64, 1e-5 of float32.
func TestDifferential(t *testing.T) {
	var all []contender
	used := make(map[string]bool)
	for _, c := range lossContenders(t) {
		if len(c.operands) != 2 {
			continue
		}
		if documented[c.name] == nil {
			t.Errorf("%s has no formula here", c.name)
			continue
		}
		all, used[c.name] = append(all, c), true
	}
	for name := range documented {
		if !used[name] {
			t.Errorf("%s is no loss of two operands", name)
		}
	}
	r := rand.New(rand.NewPCG(11, 12))
	derivatives := 0
	for n := range *differentialCases {
		c := &all[n%len(all)] // each of them four times, and then any
		if n >= 4*len(all) {
			c = &all[r.IntN(len(all))]
		}
		derivatives += differentialCase(t, n, c, r)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d cases of %d losses, %d derivatives", *differentialCases, len(all), derivatives)
}

// differentialCase compares one case and returns the number of derivatives that it compared.
func differentialCase(t *testing.T, n int, c *contender, r *rand.Rand) (derivatives int) {
	d, opts, target := drawOptions(c, r)
	p := newProblem(c, []int{2 + r.IntN(40), 2 + r.IntN(40)}, 1, target)
	p.r = r
	layouts := []layout{contiguous, transposed, cutOut, fortran}
	way, tol := trial{red: loss.Reduction(r.IntN(3)), lay: layouts[r.IntN(4)], dtype: tensor.Float64, opts: opts}, 1e-9
	if r.IntN(2) == 0 {
		way.dtype, tol = tensor.Float32, 1e-5
		if c.name == "Hellinger" {
			tol = 1e-4 // a root
		}
	} else {
		// The losses drop what the rounding of float32 leaves of a row's mass, the formulas do not.
		for k, x := range p.x {
			if x != nil && (c.operands[k] == loss.Probabilities || c.operands[k] == loss.SoftTargets && target == loss.Real) {
				for i := range p.rows() {
					row := x[i*p.classes() : (i+1)*p.classes()]
					total := sumOver(row, func(j int) float64 { return row[j] })
					for j := range row {
						row[j] /= total
					}
				}
			}
		}
	}
	if c.has("WithClassWeights") && r.IntN(2) == 0 {
		d.classes = p.uniform(p.classes(), 0.5, 1.5)
		way.opts = append(way.opts, loss.WithClassWeights(d.classes))
	}
	if c.has("WithPosWeight") && r.IntN(2) == 0 {
		d.columns = p.uniform([]int{1, p.classes()}[r.IntN(2)], 0.5, 1.5)
		way.opts = append(way.opts, loss.WithPosWeight(d.columns))
	}
	ignored := -100
	if c.has("WithIgnoreIndex") && p.y != nil && r.IntN(2) == 0 {
		ignored = r.IntN(p.classes())
		way.opts = append(way.opts, loss.WithIgnoreIndex(ignored))
	}
	values := product(p.valueShape())
	cols := p.size() / values
	factor := slices.Repeat([]float64{1}, values)
	if r.IntN(2) == 0 {
		way.weights = p.uniform(values, 0.5, 1.5)
		copy(factor, way.weights)
	}
	if r.IntN(2) == 0 {
		way.mask = make([]float64, values)
		for i := range way.mask {
			way.mask[i] = float64(r.IntN(2))
			factor[i] *= way.mask[i]
		}
	}
	if c.has("WithDispersion") && d.number["WithAlpha"] == 1 && r.IntN(2) == 0 { // WithAlpha is not given
		way.dispersion = p.uniform(values, 0.05, 1.5)
	}
	// row returns the operands of a value, a label as a one-hot row.
	row := func(i int) (x, y []float64) {
		x = p.x[0][i*cols : (i+1)*cols]
		d.column = i % p.classes()
		if way.dispersion != nil {
			d.dispersion = way.dispersion[i]
		}
		switch {
		case p.x[1] != nil:
			y = p.x[1][i*cols : (i+1)*cols]
		case c.labelled():
			y = make([]float64, cols)
			y[p.y[i]] = 1
		default:
			d.labels = p.y[i*cols : (i+1)*cols]
		}
		return x, y
	}
	want, sum, share := make([]float64, values), 0.0, 0.0
	for i := range want {
		x, y := row(i)
		part := 1.0
		switch {
		case c.labelled() && p.y[i] == ignored:
			factor[i] = 0
		case c.name == "MultiLabelSoftMargin":
			part = sumOver(x, d.weight) / float64(cols)
		case d.classes != nil:
			part = d.mass(y)
		}
		if factor[i] != 0 {
			want[i] = factor[i] * documented[c.name](x, y, d)
		}
		sum += want[i]
		share += factor[i] * part
	}
	scale := 1.0
	switch way.red {
	case loss.Sum:
		want = []float64{sum}
	case loss.Mean:
		if r.IntN(4) == 0 {
			share = 1 + 9*r.Float64()
			way.opts = append(way.opts, loss.WithNormalizer(share))
		}
		if share == 0 {
			sum, share = 0, 1
		}
		scale = 1 / share
		want = []float64{sum / share}
	}
	size := 1.0
	if way.red == loss.Sum {
		size = float64(values)
	}
	what := fmt.Sprintf("case %d, %s of %v, %v %v, %v, %+v", n, c.title(), p.shape, way.dtype, way.lay, way.red, *d)
	got := p.solve(t, way)
	nearList(t, what, got.value, want, tol*size)
	if way.dtype == tensor.Float32 {
		return 0
	}
	for range 3 {
		at := r.IntN(p.size())
		i, j := at/cols, at%cols
		x, y := row(i)
		x = slices.Clone(x)
		f := func(step float64) float64 {
			moved := slices.Clone(x)
			moved[j] += step
			return documented[c.name](moved, y, d)
		}
		// The error of differences is of the order of h² and of 1e-16/h. Where two steps do not
		// agree there is a kink, or the domain's end, between.
		difference := func(h float64) float64 { return (f(h) - f(-h)) / (2 * h) }
		wide, narrow := difference(2e-5), difference(1e-5)
		if !(math.Abs(wide-narrow) <= 1e-7*(1+math.Abs(narrow))) || math.Abs((f(1e-5)-f(0))/1e-5-narrow) > 1e-3*(1+math.Abs(narrow)) {
			continue
		}
		derivatives++
		slope := 0.0
		if factor[i] != 0 {
			slope = factor[i] * scale * narrow
		}
		if g := got.grads[0][at]; math.Abs(g-slope) > 1e-6*(1+math.Abs(slope)) {
			t.Errorf("%s: derivative %d is %v, want %v", what, at, g, slope)
		}
	}
	return derivatives
}
