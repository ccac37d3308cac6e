package metric

import (
	"fmt"
	"math"
)

// area is what a [OneVsRest] takes of each class.
type area uint8

const (
	auroc area = iota
	averagePrecisionArea
)

// OneVsRest is the [AUROC] or the [AveragePrecision] of each of several classes against all others,
// averaged over the classes in which it is defined, or over the rows of all classes together.
//
// With labels the scores are logits, one for each class, and the rows are ordered by the log-odds
// of a class,
//
//	x_c - log Σ_{k≠c} exp(x_k) = log p_c/(1 - p_c),  p = softmax(x)
//
// which is the order of p_c, also where p_c rounds to 1. With targets, each 0 or 1, any number of
// classes applies to a row, and rows are ordered by the score of the class. Infinite logits count
// as the limit; a NaN, and a row of labels with nothing but -Inf, is an error. It keeps all scores.
//
// As in scikit-learn: roc_auc_score with multi_class="ovr" of the softmax, and of several labels.
type OneVsRest struct {
	what    area
	average Average
	classes []scored
	n       int
}

// NewOneVsRestAUROC returns an empty AUROC of 2 to 2^16 classes, with the average Macro or Micro.
func NewOneVsRestAUROC(classes int, a Average) *OneVsRest {
	return newOneVsRest(auroc, classes, a)
}

// NewOneVsRestAveragePrecision returns an empty AveragePrecision of 2 to 2^16 classes, with the
// average Macro or Micro.
func NewOneVsRestAveragePrecision(classes int, a Average) *OneVsRest {
	return newOneVsRest(averagePrecisionArea, classes, a)
}

func newOneVsRest(what area, classes int, a Average) *OneVsRest {
	o := &OneVsRest{what: what, average: a, n: classes}
	if o.Check() == nil {
		o.classes = make([]scored, classes)
	}
	return o
}

// kind returns the end of the constructor's name.
func (o *OneVsRest) kind() string {
	return [...]string{"OneVsRestAUROC", "OneVsRestAveragePrecision"}[o.what]
}

// Check returns an error when the number of classes is out of its range or the average is another.
func (o *OneVsRest) Check() error {
	if o.average > Micro {
		return fmt.Errorf("metric.%s: average %v, want Macro or Micro", o.kind(), o.average)
	}
	return between(o.kind(), "number of classes", o.n, 2, 1<<16)
}

// Name returns for instance "auroc_macro".
func (o *OneVsRest) Name() string {
	return [...]string{"auroc_", "average_precision_"}[o.what] + o.average.String()
}

// Update adds the rows of b.
func (o *OneVsRest) Update(b Batch) error {
	if err := o.Check(); err != nil {
		return err
	}
	if b.Width != o.n {
		return fmt.Errorf("metric.%s: %d scores per row, want %d", o.kind(), b.Width, o.n)
	}
	several := b.Labels == nil && b.Targets != nil
	var err error
	target := func(i int) float64 {
		if b.Labels[i/b.Width] == i%b.Width {
			return 1
		}
		return 0
	}
	if several {
		target, err = b.binary(o.kind())
	} else {
		err = b.check(o.kind(), "labels")
	}
	if err != nil {
		return err
	}
	if err := b.noNaN(o.kind()); err != nil {
		return err
	}
	scores := b.Scores
	if !several {
		scores = make([]float64, len(b.Scores))
		for i := range b.Rows() {
			row := b.Scores[i*b.Width : (i+1)*b.Width]
			if b.Weight(i) != 0 && math.IsInf(row[argmax(row)], -1) {
				return fmt.Errorf("metric.%s: all scores of %s are -Inf, want at least one that is larger", o.kind(),
					b.row(i))
			}
			logOdds(scores[i*b.Width:(i+1)*b.Width], row)
		}
	}
	for i, x := range scores {
		if w := b.ScoreWeight(i); w != 0 {
			c := &o.classes[i%b.Width]
			c.rows = append(c.rows, scoredRow{x, target(i), w})
		}
	}
	return nil
}

// logOdds sets dst to the log-odds of each class of a row of logits.
func logOdds(dst, row []float64) {
	top := argmax(row)
	if top < 0 {
		return // a NaN, in a row that does not count
	}
	var infinite, sum float64 // how many are +Inf; Σ exp(x - second) of all but the top
	second := math.Inf(-1)
	for c, v := range row {
		if math.IsInf(v, 1) {
			infinite++
		}
		if c != top {
			second = max(second, v)
		}
	}
	for c, v := range row {
		if c != top && v > math.Inf(-1) {
			sum += math.Exp(v - second)
		}
	}
	others := second - row[top] + math.Log(sum) // logarithm of the odds against the top
	for c, v := range row {
		switch {
		case infinite > 0 && math.IsInf(v, 1): // p = 1/infinite
			dst[c] = -math.Log(infinite - 1)
		case infinite > 0:
			dst[c] = math.Inf(-1)
		case c == top:
			dst[c] = -others
		default:
			e := math.Exp(v - row[top])
			dst[c] = v - row[top] - math.Log1p(math.Exp(others)-e)
		}
	}
}

// area returns that of one class.
func (o *OneVsRest) area(s scored) float64 {
	if o.what == auroc {
		return (&AUROC{s}).Value()
	}
	return (&AveragePrecision{s}).Value()
}

// PerClass returns the area of each class, NaN where it is undefined.
func (o *OneVsRest) PerClass() []float64 {
	out := make([]float64, len(o.classes))
	for c, s := range o.classes {
		out[c] = o.area(s)
	}
	return out
}

// Value returns the average, in [0, 1].
func (o *OneVsRest) Value() float64 {
	if o.average == Micro {
		var all scored
		for i := range o.classes {
			all.merge(&o.classes[i])
		}
		return o.area(all)
	}
	var r ratio
	for _, v := range o.PerClass() {
		if !math.IsNaN(v) {
			r.sum += v
			r.weight++
		}
	}
	return r.value()
}

// Merge adds the rows of another OneVsRest of the same kind, average and number of classes.
func (o *OneVsRest) Merge(other Metric) error {
	p, ok := other.(*OneVsRest)
	if !ok || p.what != o.what || p.average != o.average || p.n != o.n {
		return mismatch(o, other)
	}
	for c := range o.classes {
		o.classes[c].merge(&p.classes[c])
	}
	return nil
}

// New returns an empty OneVsRest of the same kind, average and number of classes.
func (o *OneVsRest) New() Metric { return newOneVsRest(o.what, o.n, o.average) }

// State returns for each class the number of its rows and three numbers a row.
func (o *OneVsRest) State() []float64 {
	var out []float64
	for i := range o.classes {
		out = append(append(out, float64(len(o.classes[i].rows))), o.classes[i].State()...)
	}
	return out
}

// Restore sets the rows.
func (o *OneVsRest) Restore(state []float64) error {
	rest, classes := state, make([]scored, len(o.classes))
	for c := range classes {
		if len(rest) == 0 || !(rest[0] >= 0 && rest[0] <= float64(len(rest)-1)/3) {
			return o.foreign(state)
		}
		n := 1 + 3*int(rest[0])
		if err := classes[c].Restore(rest[1:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return o.foreign(state)
	}
	o.classes = classes
	return nil
}

func (o *OneVsRest) foreign(state []float64) error {
	return fmt.Errorf("metric.%s: state of %d numbers is not one of %d classes", o.kind(), len(state), o.n)
}
