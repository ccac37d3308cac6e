package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/tensor"
)

// Check compares the gradients of the function that build makes with differences of it, at the
// values of the inputs.
//
// An error, of one of the kinds [ErrInput], [ErrOption], [ErrBuild] and [ErrRun], means that
// nothing could be compared. What is wrong with a gradient stands in the report: see [Report.OK].
func Check(build Builder, inputs []Input, opts ...Option) (*Report, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, fmt.Errorf("gradcheck.Check: %w", err)
	}
	if build == nil {
		return nil, fmt.Errorf("gradcheck.Check: %w: the builder is nil", ErrBuild)
	}
	report, err := run(c, source{build: build}, inputs)
	if err != nil {
		return nil, fmt.Errorf("gradcheck.Check: %w", err)
	}
	return report, nil
}

// checker is one run of Check.
type checker struct {
	*config
	source
	inputs  []Input
	rng     *rand.Rand
	report  *Report
	ref     *instance // where differences are taken
	differ  *differ
	names   []string
	grads   []*judge
	flaws   flaws // of the function itself
	scatter [][]float64
	narrow  []float64 // the result in the dtype of the check
	// compared is set where differences could be taken
	compared bool
	started  time.Time
}

// flaws are elements whose verdict is settled before any comparison.
type flaws map[flawAt]Verdict

type flawAt struct{ input, element int }

// judge is a pass with what it gave at the point.
type judge struct {
	*gradient
	parts []part
	most  []float64   // per input, the largest magnitude in its gradient
	noise [][]float64 // per input and element, the rounding error of the gradient; measured when first needed
	twin  *gradient   // the same pass in float64, for a float32 check
	flaws flaws
}

func newChecker(c *config, src source, inputs []Input) (*checker, error) {
	if err := checkInputs(inputs); err != nil {
		return nil, err
	}
	k := &checker{config: c, source: src, inputs: inputs, flaws: make(flaws), rng: rand.New(rand.NewPCG(c.seed, 0x6772616463686b)), started: time.Now()}
	for _, in := range inputs {
		k.names = append(k.names, in.Name)
	}
	var err error
	if k.ref, err = k.instance(src.differencesIn()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	if err := k.settleUpstream(); err != nil {
		return nil, err
	}
	if err := k.checkZeros(); err != nil {
		return nil, err
	}
	k.report = &Report{DType: c.dtype.String(), Shape: k.ref.out.Shape().Clone(), Seed: c.seed, Mode: c.mode()}
	return k, nil
}

// instance makes a build in a dtype, at the precision of the check's dtype.
func (k *checker) instance(dt tensor.Dtype) (*instance, error) {
	return instantiate(k.build, k.inputs, dt, k.dtype)
}

// checkZeros holds the elements of WithZero against the inputs.
func (k *checker) checkZeros() error {
	for name, list := range k.zeros {
		i := slices.Index(k.names, name)
		if i < 0 || k.ref.operands[i].fixed {
			return fmt.Errorf("%w: WithZero names %q, which is no input with a gradient", ErrOption, name)
		}
		for _, index := range list {
			if index != nil && flatIndex(index, k.ref.operands[i].shape) < 0 {
				return fmt.Errorf("%w: WithZero names element %s of %q, whose shape is %s", ErrOption,
					indexText(index), name, shapeText(k.ref.operands[i].shape))
			}
		}
	}
	return nil
}

// flatIndex is the row-major place of coordinates, -1 where they do not fit.
func flatIndex(index []int, shape tensor.Shape) int {
	if len(index) != len(shape) {
		return -1
	}
	at := 0
	for a, x := range index {
		if x < 0 || x >= shape[a] {
			return -1
		}
		at = at*shape[a] + x
	}
	return at
}

func (c *config) mode() string {
	switch {
	case c.directions > 0:
		return fmt.Sprintf("%d random directions", c.directions)
	case c.sample > 0:
		return fmt.Sprintf("%d random elements per input", c.sample)
	}
	return "every element"
}

func checkInputs(inputs []Input) error {
	names := make(map[string]bool)
	differentiable := false
	for i, in := range inputs {
		if in.Name == "" {
			return fmt.Errorf("%w: input %d has no name", ErrInput, i)
		}
		if names[in.Name] {
			return fmt.Errorf("%w: two inputs are named %q", ErrInput, in.Name)
		}
		names[in.Name] = true
		floats, _, _, err := parse(in)
		if err != nil {
			return fmt.Errorf("%w: input %q %w", ErrInput, in.Name, err)
		}
		for j, x := range floats {
			if math.IsNaN(x) && !in.Data {
				return fmt.Errorf("%w: input %q is NaN at element %d, want a number", ErrInput, in.Name, j)
			}
		}
		differentiable = differentiable || floats != nil && !in.Data
	}
	if !differentiable {
		return fmt.Errorf("%w: no input is floating and not data, so there is no gradient to check", ErrInput)
	}
	return nil
}

func (k *checker) settleUpstream() error {
	out := k.ref.out
	n := out.Shape().TotalSize()
	if out.IsScalar() {
		n = 1
	}
	switch {
	case k.random:
		k.upstream = make([]float64, n)
		for i := range k.upstream {
			k.upstream[i] = float64(float32((0.5 + k.rng.Float64()) * sign(k.rng)))
		}
	case k.upstream == nil && !out.IsScalar():
		return fmt.Errorf("%w: the result has shape %s, want a scalar, or an upstream", ErrOption, shapeText(out.Shape()))
	case k.upstream == nil:
		k.upstream = []float64{1}
	case len(k.upstream) != n:
		return fmt.Errorf("%w: upstream has %d values, want %d to match the result %s", ErrOption, len(k.upstream), n,
			shapeText(out.Shape()))
	}
	return nil
}

func sign(rng *rand.Rand) float64 {
	if rng.Uint64()&1 == 0 {
		return -1
	}
	return 1
}

func (k *checker) close() {
	for _, j := range k.grads {
		j.done()
		if j.twin != nil {
			j.twin.done()
		}
	}
}

func (k *checker) check() error {
	d, err := newDiffer(k.ref, k.upstream)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRun, err)
	}
	k.differ = d
	if err := k.steady(); err != nil {
		return fmt.Errorf("%w: %w", ErrRun, err)
	}
	for _, p := range k.passes {
		k.prepare(p)
	}
	if err := k.checkReference(); err != nil {
		return fmt.Errorf("%w: %w", ErrRun, err)
	}
	if k.compared = k.usable(); k.compared {
		if err := k.compare(); err != nil {
			return fmt.Errorf("%w: %w", ErrRun, err)
		}
	}
	k.agree()
	k.report.summarize()
	k.explain()
	return nil
}

// compare takes the differences.
func (k *checker) compare() error {
	k.differ.floorNoise()
	if k.small() {
		if err := k.differ.measureNoise(k.rng); err != nil {
			return err
		}
	}
	mode := k.checkElements
	if k.directions > 0 {
		mode = k.checkDirections
	}
	if err := mode(); err != nil || k.second == 0 {
		return err
	}
	return k.checkSecond()
}

// small reports a check to which a dozen more evaluations do not matter: all but the directional
// mode on many elements.
func (k *checker) small() bool {
	n := 0
	for _, o := range k.ref.operands {
		n += len(o.pristine)
	}
	return k.directions == 0 || n <= 1<<16
}

// prepare runs a pass at the point. That it fails is a finding, not an error: the other passes can
// still be checked.
func (k *checker) prepare(p Pass) {
	fail := func(err error) {
		k.report.find(Missing, p.String(), "there is no gradient: %v", err)
	}
	g, err := k.newGradient(p, k.dtype, nil)
	if err != nil {
		fail(err)
		return
	}
	parts, value, err := g.run()
	if err != nil {
		g.done()
		fail(err)
		return
	}
	j := &judge{gradient: g, parts: parts, noise: make([][]float64, len(parts)), flaws: make(flaws)}
	k.grads = append(k.grads, j)
	for _, q := range parts {
		j.most = append(j.most, largest(q.values))
	}
	k.compareValue(j, value)
	k.repeat(j)
	if k.small() {
		k.rebind(j)
	}
}

func largest(x []float64) float64 {
	most := 0.0
	for _, v := range x {
		if a := math.Abs(v); a > most && !math.IsInf(a, 0) {
			most = a
		}
	}
	return most
}

// checkElements is the full and the sampled mode.
func (k *checker) checkElements() error {
	type place struct{ input, element int }
	var places []place
	for i, o := range k.ref.operands {
		if o.fixed {
			continue
		}
		n := len(o.pristine)
		order := make([]int, n)
		for e := range order {
			order[e] = e
		}
		if k.sample > 0 && k.sample < n {
			order = k.rng.Perm(n)[:k.sample]
		}
		for _, e := range order {
			places = append(places, place{i, e})
		}
	}
	if k.budget > 0 {
		k.rng.Shuffle(len(places), func(a, b int) { places[a], places[b] = places[b], places[a] })
	}
	last := -1
	for n, p := range places {
		if k.spent() {
			k.report.Skipped = len(places) - n
			break
		}
		if last >= 0 && last != p.input {
			if err := k.differ.settleBack(last); err != nil {
				return err
			}
		}
		last = p.input
		k.element(p.input, p.element)
	}
	if last >= 0 {
		return k.differ.settleBack(last)
	}
	return nil
}

func (k *checker) spent() bool { return k.budget > 0 && time.Since(k.started) > k.budget }

// element checks one derivative for all passes.
func (k *checker) element(i, e int) {
	o := k.ref.operands[i]
	x := o.pristine[e]
	if math.IsInf(x, 0) {
		for _, j := range k.grads {
			k.add(j, i, e, slope{value: math.NaN(), tol: math.NaN(), why: "the input is infinite there, so there are no differences"}, nil)
		}
		return
	}
	line := k.differ.coordinate(i, e)
	s := differentiate(line, math.Max(math.Abs(x), o.unit))
	for _, j := range k.grads {
		k.add(j, i, e, s, line)
	}
}

// add judges element e of input i.
func (k *checker) add(j *judge, i, e int, s slope, again line) {
	o := k.ref.operands[i]
	el := Element{Pass: j.pass, Order: 1, Direction: -1, Input: o.name, Index: indexOf(e, o.shape), Numeric: s.value, Tol: s.tol, Lo: s.lo, Hi: s.hi}
	p := &j.parts[i]
	at := flawAt{i, e}
	switch {
	case k.flaws[at] != OK || j.flaws[at] != OK:
		el.Verdict, el.Analytic = max(k.flaws[at], j.flaws[at]), math.NaN()
		if e < len(p.values) {
			el.Analytic = p.values[e]
		}
		el.Note = "see the findings"
	case p.values == nil && p.why != "":
		el.Verdict, el.Note, el.Analytic = Missing, p.why, math.NaN()
	case !p.dtype.Eq(k.dtype):
		el.Verdict, el.Analytic = DType, math.NaN()
		el.Note = fmt.Sprintf("the gradient has dtype %v, want %v", p.dtype, k.dtype)
	case !sameShape(p.shape, o.shape):
		el.Verdict, el.Analytic = Shape, math.NaN()
		el.Note = fmt.Sprintf("the gradient has shape %s, want %s", shapeText(p.shape), shapeText(o.shape))
	default:
		el.Analytic = p.values[e]
		k.judge(j, &el, i, e, s, again, math.Max(math.Abs(o.pristine[e]), o.unit))
		if el.Analytic != 0 && k.mustBeZero(o, el.Index) {
			el.Verdict, el.Note = Wrong, "must be exactly 0"
		}
	}
	k.report.Elements = append(k.report.Elements, el)
}

func (k *checker) mustBeZero(o *operand, index []int) bool {
	for _, z := range k.zeros[o.name] {
		if z == nil || slices.Equal(z, index) {
			return true
		}
	}
	return false
}

func sameShape(a, b tensor.Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// judge compares. The tolerance is widened by the measured rounding error of the gradient, and the
// difference is confirmed with other steps, before an element is called wrong.
func (k *checker) judge(j *judge, el *Element, i, e int, s slope, again line, unit float64) {
	el.Tol = s.tol + k.rounding(j, i, s.value) + k.saturation()*k.differ.touched/unit
	if decide(el, s); !el.Failed() || el.Verdict != Wrong && el.Verdict != Zero && el.Verdict != Kink {
		return
	}
	el.Tol += noiseSafety * k.gradientNoise(j, i, e)
	if decide(el, s); !el.Failed() || again == nil || s.kink {
		return
	}
	// 0.7 is no power of 2: none of the steps is used twice
	if t := differentiate(again, 0.7*unit); t.why == "" && t.kink == s.kink {
		if t.tol < s.tol {
			el.Numeric = t.value
		}
		el.Tol += 2*math.Abs(t.value-s.value) + t.tol
		decide(el, s)
	}
}

// rounding is the error that any correctly written gradient may have: a few units in the last place
// of the element and, in float64, of the largest element of the same input, which nothing that uses
// the gradient could tell from 0. (In float32 that would hide faults; there the measured rounding
// error must do.) The caller adds saturation.
func (k *checker) rounding(j *judge, i int, value float64) float64 {
	tol := 16 * epsOf(k.dtype) * math.Abs(value)
	if k.dtype == tensor.Float64 {
		tol += 4 * eps64 * j.most[i]
	}
	return tol
}

// saturation is the error that an operation which saturates may leave in the gradient, relative to
// the part of the cost that the element has a hand in: a few units in the last place, times the
// slope between the element and that operation. Float64 leaves room for large slopes.
func (k *checker) saturation() float64 {
	if k.dtype == tensor.Float32 {
		return 4 * eps32
	}
	return 256 * eps64
}

// decide sets the verdict from the numbers.
func decide(el *Element, s slope) {
	el.Abs = math.Abs(el.Analytic - el.Numeric)
	el.Rel = 0
	if el.Abs != 0 {
		el.Rel = el.Abs / math.Max(math.Abs(el.Analytic), math.Abs(el.Numeric))
	}
	el.Note = s.why
	switch {
	case !finite(el.Analytic):
		el.Verdict = NaN
		if s.why == "" {
			el.Note = "the differences are finite"
		}
	case s.why != "":
		el.Verdict = Unresolved
	case s.kink:
		el.Verdict = Kink
	case el.Abs <= el.Tol:
		el.Verdict = OK
	case el.Analytic == 0:
		el.Verdict = Zero
	default:
		el.Verdict = Wrong
	}
	if s.side != 0 && s.why == "" {
		el.Note = "the function is defined on one side only: one-sided differences"
	}
}
