package loss

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
)

// overlapLosses lists the losses that compare overlapping sets of pixels.
var overlapLosses = []entry{{&dice, Dice}, {&diceFromProb, DiceFromProb}, {&generalizedDice, GeneralizedDice},
	{&generalizedDiceFromProb, GeneralizedDiceFromProb}, {&jaccard, Jaccard}, {&jaccardFromProb, JaccardFromProb},
	{&tversky, Tversky}, {&tverskyFromProb, TverskyFromProb}, {&focalTversky, FocalTversky}, {&focalTverskyFromProb, FocalTverskyFromProb},
	{&lovaszSoftmax, LovaszSoftmax}, {&lovaszSoftmaxFromProb, LovaszSoftmaxFromProb}, {&lovaszHinge, LovaszHinge}}

// overlapWide are those of other than two operands.
var overlapWide []*core.Definition

// WithSmooth adds s >= 0 to the overlap and to the denominator of a loss of overlapping sets. The
// documentation of the loss gives the default.
func WithSmooth(s float64) Option { return number(core.OptSmooth, s) }

// WithSemimetric compares soft targets by minima and differences instead of products, so that a
// loss of overlapping sets is 0 where the prediction equals the target. Off by default.
func WithSemimetric() Option { return core.OptSemimetric.Flag }

// WithMultiLabel applies a sigmoid to each class separately instead of the softmax over the
// classes. Off by default.
func WithMultiLabel() Option { return core.OptMultiLabel.Flag }

// WithBackground sets whether class 0, the background, is one of the classes that the loss averages.
// Default true. The softmax is over all classes in either case.
func WithBackground(counts bool) Option {
	return func(s *core.Settings) error {
		s.Overlap.NoBackground = !counts
		return s.Give(core.OptBackground)
	}
}

// WithPresentOnly leaves out the classes that the target of an image does not have. Off by default.
func WithPresentOnly() Option { return core.OptPresentOnly.Flag }

// WithPooled treats the pixels of all images as one set: under [None] the result has no image axis.
// It cannot be combined with [WithWeights]. Off by default.
func WithPooled() Option { return core.OptPooled.Flag }

// The options of losses of overlapping sets: of all, of those that are ratios, and of those among
// them with a value for each class.
var (
	pixelOptions = core.Options(core.RowOptions, core.OptIgnoreIndex, core.OptClassWeights, core.OptBackground, core.OptPooled)
	ratioOptions = core.Options(pixelOptions, core.OptSmooth, core.OptEpsilon, core.OptSquared, core.OptSemimetric)
	classOptions = core.Options(ratioOptions, core.OptPresentOnly)
)

// A pixelScore writes the values of a group, and the slopes of its classes, for their sums.
type pixelScore func(g *core.Group, sums []formula.OverlapSums, slopes []formula.OverlapSlope)

// A ratioLoss is a loss of overlapping sets: errors gives the weights of false positives and
// negatives, and score its values.
type ratioLoss struct {
	errors func(s *core.Settings) (falsePositive, falseNegative float64)
	score  func(s *core.Settings) pixelScore
	parts  func(s *core.Settings, d *core.GroupDims) core.PartsFunc
	values [2]string // the axes of values, and those of a pooled batch
}

// of completes the definition of a loss on logits or on probabilities.
func (r ratioLoss) of(d core.Definition) core.Definition {
	act := formula.NoActivation
	d.Operands = []core.Operand{{Name: "prob", Holds: core.Probabilities, Shape: "N C *"}}
	if d.Takes.Has(core.OptMultiLabel) {
		act = formula.SoftmaxOverClasses
		d.Operands = []core.Operand{{Name: "logits", Holds: core.Logits, Shape: "N C *"}}
	}
	d.Operands = append(d.Operands, core.Operand{Name: "target", Holds: core.LabelsOrSoft, Shape: "N C *", Data: true})
	d.Defaults.Axis, d.Defaults.Ignore = 1, []int{-100}
	d.Grouped, d.Check, d.Parts, d.Laws = ofPixels(r.values), checkOverlap, r.parts, core.NonNegative
	d.Group = func(s *core.Settings, dims *core.GroupDims) core.GroupFunc {
		o := &formula.Overlap{Squared: s.Squared, Semimetric: s.Overlap.Semimetric, Sizes: d.Takes.Has(core.OptPower)}
		o.Alpha, o.Beta = r.errors(s)
		score, act := r.score(s), act
		if s.Overlap.MultiLabel {
			act = formula.SigmoidEach
		}
		return func(g *core.Group) error {
			o.Group(formula.PixelsOf(g, act, dims.Len('C')), func(sums []formula.OverlapSums, slopes []formula.OverlapSlope) { score(g, sums, slopes) })
			return nil
		}
	}
	return d
}

// ofPixels is the grouping of losses of pixels, with the axes of values as in [ratioLoss].
func ofPixels(values [2]string) func(s *core.Settings) core.Grouping {
	return func(s *core.Settings) core.Grouping {
		if s.Overlap.Pooled {
			return core.Grouping{Entries: "N *", Values: values[1], Unweighted: true, Binary: true, Streamed: "N *"}
		}
		return core.Grouping{Over: "N", Entries: "*", Values: values[0], Weights: "N", Binary: true, Streamed: "*"}
	}
}

// checkOverlap refuses settings of losses of overlapping sets.
func checkOverlap(s *core.Settings) error {
	switch {
	case s.Squared && s.Overlap.Semimetric:
		return fmt.Errorf("WithSquared and WithSemimetric exclude each other")
	case s.Epsilon < 0:
		return fmt.Errorf("WithEpsilon is %v, want a number >= 0", s.Epsilon)
	case s.Alpha < 0:
		return fmt.Errorf("WithAlpha is %v, want a number >= 0", s.Alpha)
	}
	return nil
}

// classParts are the parts of values of classes: the mean of an image is Σ_c w_c·l_c / Σ_c w_c over
// the classes that count.
func classParts(s *core.Settings, d *core.GroupDims) core.PartsFunc {
	if s.ClassWeights == nil && !s.Overlap.NoBackground && !s.Overlap.PresentOnly {
		return nil
	}
	return func(g *core.Group) error {
		copy(g.Parts, s.ClassWeights)
		if s.Overlap.NoBackground {
			g.Parts[0] = 0
		}
		if s.Overlap.PresentOnly {
			mass := g.Buf(len(g.Parts))
			formula.TargetMass(g, mass)
			for c, t := range mass {
				if t == 0 {
					g.Parts[c] = 0
				}
			}
		}
		total := 0.0
		for _, w := range g.Parts {
			total += w
		}
		clear(g.Den)
		if total != 0 {
			formula.Fill(g.Num, 1/total)
			g.Den[0] = 1
		}
		return nil
	}
}

// eachRatio scores each class by (W+e)/(m·I+W+s+e) to the power γ.
func eachRatio(m float64) func(s *core.Settings) pixelScore {
	return func(s *core.Settings) pixelScore {
		return func(g *core.Group, sums []formula.OverlapSums, slopes []formula.OverlapSlope) {
			for c, f := range g.Factor {
				l, dl, by := formula.RatioSlope(sums[c], m, s.Overlap.Smooth, s.Epsilon)
				l, by = formula.PowerSlope(l, dl, by, s.Gamma)
				if g.Value != nil {
					g.Value[c] = l
				}
				if f != 0 {
					slopes[c] = by.Times(f)
				}
			}
		}
	}
}

// ofClasses are the axes of a value for each class.
var ofClasses = [2]string{"N C", "C"}

// allErrors weighs false positives and negatives alike, with 1.
func allErrors(*core.Settings) (float64, float64) { return 1, 1 }
