package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A kind of metrics with random batches for them, whose rows can be taken apart.
type lawful struct {
	metrics []Metric
	rows    Batch
	n       int
	// a row given twice is not a row of weight 2: it is found by itself, or its weight is that of a
	// query
	counted bool
}

func lawfuls() []lawful {
	r := rand.New(rand.NewPCG(61, 62))
	const n, width = 23, 4
	numbers := func(n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = math.Round(4*r.NormFloat64()) / 4 // sums of which are exact, with ties
		}
		return out
	}
	labels := func(n, classes int) []int {
		out := make([]int, n)
		for i := range out {
			out[i] = r.IntN(classes)
		}
		return out
	}
	zeroOne := make([]float64, n*width)
	for i := range zeroOne {
		zeroOne[i] = float64(r.IntN(2))
	}
	times := numbers(n)
	searched := NewRetrieval(NewMAP(0), Cosine)
	if err := searched.Update(Batch{Width: width, Scores: numbers(7 * width), Labels: []int{0, 1, 2, 3, 4, 0, 1}}); err != nil {
		panic(err)
	}
	var sequences Batch
	for range n {
		sequences.References = append(sequences.References, labels(1+r.IntN(5), 3))
		sequences.Decoded = append(sequences.Decoded, labels(r.IntN(6), 3))
	}
	lists := func() []Metric {
		return []Metric{NewNDCG(3, ExponentialGain), NewNDCG(0, LinearGain), NewMRR(2), NewMAP(0), NewRecallAt(2), NewHitRate(1)}
	}
	byClass := []Metric{NewIoU(width, Macro), NewDice(width, Micro), NewOneVsRestAUROC(width, Macro), NewOneVsRestAveragePrecision(width, Micro)}
	return []lawful{
		{metrics: append(lists(), byClass...), n: n,
			rows: Batch{Width: width, Scores: numbers(n * width), Targets: zeroOne}},
		{metrics: append(append(lists(), byClass...), NewAccuracy(), NewTopK(2), NewConfusion(width), NewF1(width, Macro), NewPerplexity(), NewBits(), NewCalibrationError(5)),
			n: n, rows: Batch{Width: width, Scores: numbers(n * width), Labels: labels(n, width)}},
		{metrics: []Metric{NewRetrieval(NewMAP(0), Cosine), NewRetrieval(NewHitRate(2), Euclidean),
			searched.Queries()}, n: n, counted: true,
			rows: Batch{Width: width, Scores: numbers(n * width), Labels: labels(n, 5)}},
		{metrics: []Metric{NewAUROC(), NewAveragePrecision(), NewBestF1(), Threshold(NewF1(2, Positive), .5), Threshold(NewBinaryAccuracy(), -.25)},
			n: n, rows: Batch{Width: 1, Scores: numbers(n), Labels: labels(n, 2)}},
		{metrics: []Metric{NewConcordance()}, n: n,
			rows: Batch{Width: 1, Scores: numbers(n), Targets: times, Labels: labels(n, 2)}},
		{metrics: []Metric{NewCER(), NewWER(0)}, n: n, rows: sequences},
	}
}

// take returns the rows of the list, with weights and masks where b has them.
func take(b Batch, rows []int) Batch {
	out := Batch{Width: b.Width}
	for _, i := range rows {
		if b.Scores != nil {
			out.Scores = append(out.Scores, b.Scores[i*b.Width:(i+1)*b.Width]...)
		}
		if b.Targets != nil {
			out.Targets = append(out.Targets, b.Targets[i*b.Width:(i+1)*b.Width]...)
		}
		if b.Labels != nil {
			out.Labels = append(out.Labels, b.Labels[i])
		}
		if b.References != nil {
			out.References, out.Decoded = append(out.References, b.References[i]), append(out.Decoded, b.Decoded[i])
		}
	}
	return out
}

func sequence(from, to int) []int {
	var out []int
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

// TestLaws: what holds for all metrics of a kind. Sums in another order round differently.
func TestLaws(t *testing.T) {
	for k, l := range lawfuls() {
		for _, m := range l.metrics {
			measure := func(batches ...Batch) Metric {
				t.Helper()
				out := m.New()
				for _, b := range batches {
					if err := out.Update(b); err != nil {
						t.Fatalf("%s, batches %d: %v", m.Name(), k, err)
					}
				}
				return out
			}
			want := measure(l.rows).Value()
			near := func(what string, got float64, want float64) {
				t.Helper()
				if !(math.Abs(got-want) <= 1e-13*max(1, want)) {
					t.Errorf("%s, batches %d, %s: %v, want %v", m.Name(), k, what, got, want)
				}
			}
			if math.IsNaN(want) || want == 0 {
				t.Errorf("%s, batches %d: %v tells nothing", m.Name(), k, want)
			}
			if v := m.New().Value(); !math.IsNaN(v) {
				t.Errorf("%s of no rows is %v, want NaN", m.Name(), v)
			}
			first, rest := take(l.rows, sequence(0, 9)), take(l.rows, sequence(9, l.n))
			near("in parts", measure(first, rest).Value(), want)
			merged := measure(first)
			if err := merged.Merge(measure(rest)); err != nil {
				t.Error(err)
			}
			near("merged", merged.Value(), want)
			late := m.New()
			if err := late.Merge(measure(first)); err != nil {
				t.Error(err)
			}
			again := m.New()
			if err := again.Restore(late.State()); err != nil {
				t.Error(err)
			}
			if err := again.Update(rest); err != nil {
				t.Error(err)
			}
			near("restored", again.Value(), want)

			// Rows that do not count, by a weight, a mask or a label, whatever is in them.
			keep, padded := sequence(0, l.n), sequence(0, l.n)
			padded = slices.Insert(padded, 5, 0, 1)
			b := take(l.rows, padded)
			for i := range b.Width * 2 {
				b.Scores[5*b.Width+i] = math.NaN()
				if b.Targets != nil {
					b.Targets[5*b.Width+i] = math.NaN()
				}
			}
			kept := measure(take(l.rows, keep)).Value()
			weights := slices.Repeat([]float64{2}, len(padded))
			weights[5], weights[6] = 0, 0
			weighted := b
			weighted.Weights = weights
			near("weights of 2 and 0", measure(weighted).Value(), kept)
			masked := b
			per := 1
			if b.Targets != nil {
				per = b.Width
			}
			masked.Mask = slices.Repeat([]bool{true}, per*len(padded))
			for i := range 2 * per {
				masked.Mask[5*per+i] = false
			}
			near("a mask", measure(masked).Value(), kept)
			if b.Labels != nil {
				ignored := b
				ignored.Labels = slices.Clone(b.Labels)
				ignored.Labels[5], ignored.Labels[6] = Ignored, Ignored
				near("labels", measure(ignored).Value(), kept)
				ignored.Labels[5], ignored.Labels[6] = 77, 77
				other := Ignore(m.New(), 77)
				if err := other.Update(ignored); err != nil {
					t.Error(err)
				}
				near("other labels", other.Value(), kept)
				ignored.Mask = []bool{true}
				if err := m.New().Update(ignored); err == nil {
					t.Errorf("%s took a mask of another length", m.Name())
				}
			}
			if !l.counted {
				twice := take(l.rows, append(sequence(0, l.n), sequence(0, 7)...))
				b := take(l.rows, sequence(0, l.n))
				b.Weights = slices.Repeat([]float64{1}, l.n)
				for i := range 7 {
					b.Weights[i] = 2
				}
				near("rows given twice", measure(b).Value(), measure(twice).Value())
			}
		}
	}
}
