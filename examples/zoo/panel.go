package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	"gonum.org/v1/plot/plotter"
	"gorgonia.org/tensor"
)

// A view is what a panel shows: the loss while a number x moves one operand of an example and the
// others stay.
type view struct {
	label       string // what x is
	lo, hi      float64
	bottom, top float64 // of the panel; curves may leave it
	moves       int     // the operand that moves
	at          func(x float64) (row, slope []float64)
	rest        [][]float64 // the rows of the other operands, in order
}

// first moves the first entry of a row and keeps the others.
func first(others ...float64) func(x float64) (row, slope []float64) {
	return func(x float64) (row, slope []float64) {
		slope = make([]float64, 1+len(others))
		slope[0] = 1
		return append([]float64{x}, others...), slope
	}
}

// odds moves a distribution of two classes, x and 1-x, which f transforms with the derivative df.
func odds(f, df func(p float64) float64) func(x float64) (row, slope []float64) {
	return func(x float64) (row, slope []float64) {
		return []float64{f(x), f(1 - x)}, []float64{df(x), -df(1 - x)}
	}
}

func itself(x float64) float64     { return x }
func one(float64) float64          { return 1 }
func reciprocal(x float64) float64 { return 1 / x }

// residual moves a prediction past the target. All have the same axes, to be compared.
func residual(label string, target float64, rest ...[]float64) view {
	return view{label, -6, 6, -3, 6, 0,
		func(x float64) (row, slope []float64) { return []float64{target + x}, []float64{1} },
		append([][]float64{{target}}, rest...)}
}

// special are the views that do not follow from the domains of the operands.
var special = map[string]view{
	"EvidentialMSE":        {"evidence for the true class (others 1, 0)", 0, 10, -.5, 1.5, 0, first(1, 0), [][]float64{{0}}},
	"Distillation":         {"true class's logit (others 1, −1; teacher 3, 1, 0)", -6, 6, -2, 6, 0, first(1, -1), [][]float64{{3, 1, 0}, {0}}},
	"MultiLabelSoftMargin": {"logit of a class that applies (others 1, −1)", -6, 6, -2, 4, 0, first(1, -1), [][]float64{{1, 0, 0}}},
	"HingeEmbedding":       {"distance of a dissimilar pair", 0, 2, -2, 2, 0, first(), [][]float64{{-1}}},
	"CosineDistance":       turned("angle between pred and target (radians)"),
	"CosineEmbedding":      turned("angle of a dissimilar pair (radians)", []float64{-1}),
	"Alignment":            turned("angle between two views (radians)"),
	"TripletMargin":        {"distance of the negative (positive at 1)", 0, 4, -2, 3, 2, first(), [][]float64{{0}, {1}}},
	"Contrastive":          {"distance of a dissimilar pair", 0, 2, -2, 2, 0, first(), [][]float64{{0}, {0}}},
	"Dice":                 found(), "Jaccard": found(), "Tversky": found(), "LovaszSoftmax": found(),
	"ListNet": best(-2, 4), "RankNet": best(-2, 4), "ApproxNDCG": best(-.2, .4),
	"GaussianNLL":        residual("mean − target (variance 1)", 0, []float64{1}),
	"LaplaceNLL":         residual("mean − target (scale 1)", 0, []float64{1}),
	"StudentTNLL":        residual("mean − target (scale 1)", 0, []float64{1}),
	"MarginRanking":      {"difference of the scores (y = 1, margin 0)", -4, 4, -2, 5, 0, first(), [][]float64{{0}, {1}}},
	"DPO":                policy(),
	"DPOHinge":           policy(),
	"IPO":                {"difference of preferences (β = 0.1)", -5, 15, -4, 60, 0, first(), [][]float64{{0}, {0}, {0}}},
	"APOZero":            policy(),
	"APODown":            policy(),
	"NCA":                policy(),
	"SimPO":              {"chosen log-probability (rejected −1)", -4, 2, -2, 8, 0, first(), [][]float64{{-1}}},
	"CPO":                {"chosen log-probability (rejected −1)", -40, 40, -.2, 4, 0, first(), [][]float64{{-1}}},
	"ORPO":               {"chosen log-probability (rejected −1)", -4, 0, -.4, 1, 0, first(), [][]float64{{-1}}},
	"GaussianCRPS":       residual("mean − target (deviation 1)", 0, []float64{1}),
	"StandardGaussianKL": {"log-variance (mean 0)", -4, 4, -2, 4, 1, first(), [][]float64{{0}}},
	"GaussianKL":         {"first standard deviation (second 1, means equal)", 0, 4, -2, 4, 1, first(), [][]float64{{0}, {0}, {1}}},
	"BernoulliKL": {"probability of the first logit (second 0.3)", 0, 1, -2, 2, 0,
		func(x float64) (row, slope []float64) {
			return []float64{math.Log(x / (1 - x))}, []float64{1 / (x * (1 - x))}
		}, [][]float64{{math.Log(.3 / .7)}}},
}

// found moves the probability of an object's only pixel, with a quarter beside it.
func found() view {
	return view{"share of the object that is found (¼ beside it)", 0, 1, -2, 2, 0, func(x float64) (row, slope []float64) {
		return []float64{math.Log(x / (1 - x)), math.Log(1. / 3)}, []float64{1 / (x * (1 - x)), 0}
	}, [][]float64{{1, 0}}}
}

// best moves the score of the most relevant of three items.
func best(bottom, top float64) view {
	return view{"score of the best of three items (others 1, −1)", -6, 6, bottom, top, 0, first(1, -1), [][]float64{{2, 1, 0}}}
}

// turned moves a vector of length 1 by an angle.
func turned(label string, rest ...[]float64) view {
	return view{label, -math.Pi, math.Pi, -2, 3, 0, func(x float64) (row, slope []float64) {
		return []float64{math.Cos(x), math.Sin(x)}, []float64{-math.Sin(x), math.Cos(x)}
	}, append([][]float64{{1, 0}}, rest...)}
}

// policy is the view of a loss of a policy and a reference.
func policy() view {
	return view{"chosen log-probability over the reference's", -40, 40, -1, 5, 0, first(), [][]float64{{0}, {0}, {0}}}
}

// pictured reports whether the loss has a panel: all of rows do, and of the others those that show
// what is special.
func (s *specimen) pictured() bool {
	_, ok := special[s.Name]
	return ok || s.shapes == nil
}

// view returns what the panel of the loss shows.
func (s *specimen) view() (view, error) {
	if v, ok := special[s.Name]; ok {
		return v, nil
	}
	yes, label, pair := [][]float64{{1}}, [][]float64{{0}}, [][]float64{{.3, .7}}
	share := view{"probability of the first of two (target 0.3)", 0, 1, -2, 2, 0, nil, pair}
	pred, target := s.domains[0], s.domains[1]
	switch {
	case target == loss.SoftTargets && pred == loss.Probabilities:
		share.at = odds(itself, one)
		return share, nil
	case target == loss.SoftTargets:
		share.at = odds(math.Log, reciprocal)
		return share, nil
	case target == loss.ClassLists:
		return view{"logit of the listed class (others 1, −1)", -6, 6, -2, 4, 0, first(1, -1), [][]float64{{0, -1, -1}}}, nil
	case pred == loss.LogProbabilities:
		return view{"true class's log-probability", -5, 0, -2, 4, 0, first(-1, -2), label}, nil
	case pred == loss.Probabilities:
		return view{"true class's probability", 0, 1, -6, 4, 0, first(.3, .2), label}, nil
	case pred == loss.Cosines:
		return view{"true class's cosine (others 0.5, 0)", -1, 1, -100, 100, 0, first(.5, 0), label}, nil
	case pred == loss.UnitInterval:
		return view{"probability of yes (target 1)", 0, 1, -6, 4, 0, first(), yes}, nil
	case target == loss.UnitInterval:
		return view{"logit (target 1)", -6, 6, -2, 4, 0, first(), yes}, nil
	case target == loss.Signs:
		return view{"margin: logit × target", -6, 6, -6, 8, 0, first(), yes}, nil
	case pred == loss.Logits:
		return view{"true class's logit (others 1, −1)", -6, 6, -2, 4, 0, first(1, -1), label}, nil
	case target == loss.Counts || target == loss.Positive:
		return view{"predicted log-mean (target 2)", -2, 3, -4, 10, 0, first(), [][]float64{{2}}}, nil
	case s.Family == "Relative errors":
		return residual("pred − target (target 2)", 2), nil
	case s.Elementwise && pred == loss.Real && target == loss.Real:
		return residual("pred − target", 0), nil
	}
	return view{}, fmt.Errorf("zoo: no view of %s, of %v and %v", s.Name, pred, target)
}

// samples is the number of places at which a panel's curves are computed.
const samples = 240

// A curve is a loss and its derivative by x.
type curve struct{ x, value, slope []float64 }

// curve computes the loss of one example for each x, and its derivative from the gradient: Σ
// ∂l/∂row·drow/dx. The places are the middles of equal parts of the view, where neither its ends
// nor round numbers are, at which losses have kinks.
func (s *specimen) curve(v view) (c curve, err error) {
	var moving, slopes []float64
	for i := range samples {
		x := v.lo + (v.hi-v.lo)*(float64(i)+.5)/samples
		row, slope := v.at(x)
		c.x, moving, slopes = append(c.x, x), append(moving, row...), append(slopes, slope...)
	}
	operands := make([]*tensor.Dense, len(s.domains))
	rest := v.rest
	for k := range operands {
		x := moving
		if k != v.moves {
			x, rest = slices.Repeat(rest[0], samples), rest[1:]
		}
		operands[k] = s.operand(k, samples, x)
	}
	value, gradient, err := s.evaluate(operands, loss.None, loss.Sum, v.moves)
	if err != nil {
		return c, err
	}
	c.value, c.slope = value, make([]float64, samples)
	width := len(gradient) / samples
	for i, d := range gradient {
		c.slope[i/width] += d * slopes[i]
	}
	return c, nil
}

// pieces cuts a curve where it jumps, so that no line is drawn there: where a step is more than a
// thirtieth of the height of the panel and much more than the steps before and after it.
func pieces(x, y []float64, height float64) []plotter.XYs {
	step := func(i int) float64 { // from i-1 to i
		if i < 1 || i >= len(y) {
			return 0
		}
		return math.Abs(y[i] - y[i-1])
	}
	var all []plotter.XYs
	for i := range y {
		if d := step(i); i == 0 || d > height/30 && d > 4*math.Max(step(i-1), step(i+1)) {
			all = append(all, nil)
		}
		last := &all[len(all)-1]
		*last = append(*last, plotter.XY{X: x[i], Y: y[i]})
	}
	return all
}
