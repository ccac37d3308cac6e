package decode

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops"
)

// An Alignment is the most likely path of a labelling.
type Alignment struct {
	Path    []int  // the class of each frame, blanks included; nil when there is no path
	Spans   []Span // of each label of the target
	LogProb float64
}

// A Span is the frames [From, To) of a label.
type Span struct{ From, To int }

// CTCAlign returns the most likely path of each row whose labelling is the target: the forced
// alignment.
//
//	LogProb = max_path Σ_t log softmax(logits[t])[path_t]
//
// over the paths that become the target without repetitions and blanks.
//
// logits have the shape (T, N, C), targets (N, S); lengths and targetLengths have N elements or are
// nil. Log-probabilities may be given in their place. A label within its length is a class other
// than the blank.
//
// A row has no path where its length is below the number of labels and of repetitions among them,
// or where the logits forbid all of its paths: then LogProb is -Inf, and Path and Spans are nil. A
// row of length 0 and the empty target have the probability 1. A frame of nothing but -Inf is an
// error.
//
// A path goes through the states blank, label 0, blank, label 1, ..., blank. Of several best paths
// the alignment has the one with the lowest last state, and from there backwards the lowest
// predecessor each time: labels come late.
//
// It takes 2·T·S steps and as many bytes of memory a row.
//
// Options: [WithBlank] (default 0).
//
// Errors: [ErrShape], [ErrOption], [ErrValue].
//
// Reference: L. Kürzinger et al., CTC-Segmentation of Large Corpora for German End-to-End Speech
// Recognition, 2020.
func CTCAlign[F tensorops.Float](logits []F, shape [3]int, targets, lengths, targetLengths []int, opts ...Option) ([]Alignment, error) {
	const name = "CTCAlign"
	in, err := newFrames(name, logits, shape, lengths, opts)
	if err != nil {
		return nil, err
	}
	if len(targets)%in.rows != 0 {
		return nil, fail(ErrShape, name, "%d labels of targets, want a multiple of the %d rows", len(targets), in.rows)
	}
	s := len(targets) / in.rows
	if targetLengths, err = checkLengths(name, "target length", targetLengths, in.rows, s); err != nil {
		return nil, err
	}
	for i, l := range targetLengths {
		for k, c := range targets[i*s:][:l] {
			if c < 0 || c >= in.classes || c == in.blank {
				return nil, fail(ErrValue, name, "target %d of row %d is %d, want a label in [0, %d) other than the blank, %d", k, i, c, in.classes, in.blank)
			}
		}
	}
	out := make([]Alignment, in.rows)
	err = eachRow(in.rows, func(i int) (err error) {
		out[i], err = in.align(i, targets[i*s:][:targetLengths[i]])
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// align is CTCAlign of one row.
func (in *frames[F]) align(row int, target []int) (Alignment, error) {
	none := Alignment{LogProb: math.Inf(-1)}
	length, states := in.lengths[row], 2*len(target)+1
	class := func(s int) int {
		if s%2 == 0 {
			return in.blank
		}
		return target[s/2]
	}
	needed := len(target)
	for k := 1; k < len(target); k++ {
		if target[k] == target[k-1] {
			needed++
		}
	}
	if length < needed {
		return none, nil
	}
	// best[s] is the log-probability of the best path that ends in state s; its predecessor is
	// back[t,s] states before. Before the first frame only the empty target is done: best[0] is 0.
	best, next := make([]float64, states), make([]float64, states)
	back := make([]uint8, length*states)
	logProb := make([]float64, in.classes)
	for t := range length {
		if err := in.read(logProb, row, t); err != nil {
			return none, err
		}
		for s := range next {
			top, from := math.Inf(-1), uint8(0)
			switch {
			case t == 0 && s < 2:
				top = 0
			case t > 0:
				top = best[s]
				if s > 0 && best[s-1] >= top {
					top, from = best[s-1], 1
				}
				if s > 1 && s%2 == 1 && class(s) != class(s-2) && best[s-2] >= top {
					top, from = best[s-2], 2
				}
			}
			back[t*states+s], next[s] = from, top+logProb[class(s)]
		}
		best, next = next, best
	}
	s := states - 1
	if s > 0 && best[s-1] >= best[s] {
		s--
	}
	if math.IsInf(best[s], -1) {
		return none, nil
	}
	a := Alignment{Path: make([]int, length), Spans: make([]Span, len(target)), LogProb: best[s]}
	for t := length - 1; t >= 0; t-- {
		a.Path[t] = class(s)
		if s%2 == 1 {
			if a.Spans[s/2].To == 0 {
				a.Spans[s/2].To = t + 1
			}
			a.Spans[s/2].From = t
		}
		s -= int(back[t*states+s])
	}
	return a, nil
}
