package decode

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops"
)

// Viterbi returns the best score of each row of emissions, and the tags that have it.
//
//	score(y) = Σ_t emissions[t,y_t] + Σ_t transitions[y_(t-1),y_t] + start[y_0] + end[y_last]
//
// emissions have the shape (N, T, C), transitions (C, C), row from and column to; lengths has N
// elements or is nil. scores has N elements, tags N·T, row after row, with -1 beyond a row's
// length.
//
// Of several best sequences tags has the one with the lowest last tag, and from there backwards the
// lowest predecessor each time. Where every sequence is forbidden the score is -Inf and the tags
// are -1. The score of a row of length 0 is 0.
//
// It takes T·C² steps and T·C integers of memory a row.
//
// Options: [WithStart], [WithEnd] (C scores each, default 0).
//
// Errors: [ErrShape], [ErrOption], [ErrValue].
//
// Reference: A. J. Viterbi, Error Bounds for Convolutional Codes and an Asymptotically Optimum
// Decoding Algorithm, 1967.
func Viterbi[F tensorops.Float](emissions []F, shape [3]int, transitions []F, lengths []int, opts ...Option) (scores []float64, tags []int, err error) {
	const name = "Viterbi"
	set, err := configure(name, opts, "WithStart", "WithEnd")
	if err != nil {
		return nil, nil, err
	}
	n, steps, c := shape[0], shape[1], shape[2]
	if err := checkShape(name, "emissions", len(emissions), n, steps, c); err != nil {
		return nil, nil, err
	}
	if err := checkShape(name, "transitions", len(transitions), c, c); err != nil {
		return nil, nil, err
	}
	if lengths, err = checkLengths(name, "length", lengths, n, steps); err != nil {
		return nil, nil, err
	}
	into := make([]float64, c*c) // by the tag that a transition leads to
	for i, x := range transitions {
		if !belowInf(float64(x)) {
			return nil, nil, fail(ErrValue, name, "transition from %d to %d is %v, want a number or -Inf", i/c, i%c, x)
		}
		into[i%c*c+i/c] = float64(x)
	}
	for _, edge := range []struct {
		operand string
		scores  *[]float64
	}{{"start", &set.start}, {"end", &set.end}} {
		if *edge.scores == nil {
			*edge.scores = make([]float64, c)
		}
		if err := checkShape(name, edge.operand, len(*edge.scores), c); err != nil {
			return nil, nil, err
		}
		for k, x := range *edge.scores {
			if !belowInf(x) {
				return nil, nil, fail(ErrValue, name, "%s of tag %d is %v, want a number or -Inf", edge.operand, k, x)
			}
		}
	}
	scores, tags = make([]float64, n), make([]int, n*steps)
	err = eachRow(n, func(i int) (err error) {
		row := tags[i*steps : (i+1)*steps]
		for t := range row {
			row[t] = -1
		}
		scores[i], err = viterbi(i, emissions[i*steps*c:][:lengths[i]*c], into, set, row[:lengths[i]])
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return scores, tags, nil
}

// viterbi is Viterbi of one row. into has the transitions by the tag that they lead to.
func viterbi[F tensorops.Float](row int, emissions []F, into []float64, set settings, tags []int) (float64, error) {
	if len(tags) == 0 {
		return 0, nil
	}
	c := len(set.start)
	best, next := make([]float64, c), make([]float64, c) // of the sequences that end in each tag
	from := make([]int32, len(emissions))                // the predecessor of each step's tag in them
	for t := range tags {
		for k := range next {
			e := float64(emissions[t*c+k])
			if !belowInf(e) {
				return 0, fail(ErrValue, "Viterbi", "emission of row %d, step %d, tag %d is %v, want a number or -Inf", row, t, k, e)
			}
			if t == 0 {
				next[k] = set.start[k] + e
				continue
			}
			p, top := firstMax(best, into[k*c:(k+1)*c])
			from[t*c+k], next[k] = int32(p), top+e
		}
		best, next = next, best
	}
	tag, score := firstMax(best, set.end)
	if math.IsInf(score, -1) {
		return score, nil
	}
	for t := len(tags) - 1; t >= 0; t-- {
		tags[t] = tag
		tag = int(from[t*c+tag])
	}
	return score, nil
}

// firstMax returns the lowest index with the largest x[i] + y[i], and that sum.
func firstMax(x, y []float64) (at int, top float64) {
	top = math.Inf(-1)
	for i, v := range x {
		if v += y[i]; v > top {
			at, top = i, v
		}
	}
	return at, top
}
