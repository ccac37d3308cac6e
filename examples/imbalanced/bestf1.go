package main

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/train/metric"
)

// bestF1 is the largest F1 over all thresholds: a metric of the program's own, on top of one that
// keeps the scores.
type bestF1 struct{ *metric.AUROC }

func newBestF1() bestF1 { return bestF1{metric.NewAUROC()} }

func (bestF1) Name() string       { return "best_f1" }
func (bestF1) New() metric.Metric { return newBestF1() }

// Value tries each score as the threshold: the rows from the largest score down to it are called
// positive.
func (b bestF1) Value() float64 {
	state := b.State() // score, target and weight of each row
	rows := make([][3]float64, len(state)/3)
	var positives float64
	for i := range rows {
		rows[i] = [3]float64(state[3*i:])
		positives += rows[i][1] * rows[i][2]
	}
	slices.SortFunc(rows, func(a, b [3]float64) int {
		switch {
		case a[0] > b[0]:
			return -1
		case a[0] < b[0]:
			return 1
		}
		return 0
	})
	best := math.NaN()
	var tp, called float64
	for i, r := range rows {
		tp += r[1] * r[2]
		called += r[2]
		if i+1 < len(rows) && rows[i+1][0] == r[0] {
			continue // rows of one score are called positive together
		}
		if f := 2 * tp / (called + positives); !(f <= best) {
			best = f
		}
	}
	return best
}
