package decode

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops"
)

// A Labelling is a sequence of labels with its log-probability.
type Labelling struct {
	Labels  []int
	LogProb float64
}

// CTCGreedy returns the labelling of the most likely path of each row: of the largest logit of each
// frame, without repetitions and blanks.
//
//	LogProb = Σ_t max_c log softmax(logits[t])[c]
//
// is the path's log-probability, at most that of the labelling, which other paths have too. The
// most likely labelling may be another one: see [CTCBeam].
//
// logits have the shape (T, N, C), lengths has N elements or is nil. Log-probabilities may be given
// in their place. Among equal logits the lowest class counts as the largest. A row of length 0 has
// the empty labelling of probability 1. A frame of nothing but -Inf is an error.
//
// Options: [WithBlank] (default 0).
//
// Errors: [ErrShape], [ErrOption], [ErrValue].
//
// Reference: A. Graves et al., Connectionist Temporal Classification: Labelling Unsegmented
// Sequence Data with Recurrent Neural Networks, 2006, section 3.2.
func CTCGreedy[F tensorops.Float](logits []F, shape [3]int, lengths []int, opts ...Option) ([]Labelling, error) {
	in, err := newFrames("CTCGreedy", logits, shape, lengths, opts)
	if err != nil {
		return nil, err
	}
	out := make([]Labelling, in.rows)
	err = eachRow(in.rows, func(i int) error {
		logProb, before := make([]float64, in.classes), in.blank
		for t := range in.lengths[i] {
			if err := in.read(logProb, i, t); err != nil {
				return err
			}
			best := 0
			for c, v := range logProb {
				if v > logProb[best] {
					best = c
				}
			}
			out[i].LogProb += logProb[best]
			if best != before && best != in.blank {
				out[i].Labels = append(out[i].Labels, best)
			}
			before = best
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// frames are the log-probabilities of the classes in each frame of each row.
type frames[F tensorops.Float] struct {
	name          string
	logits        []F // (T, N, C)
	rows, classes int
	lengths       []int
	blank         int
}

// newFrames checks what the functions of CTC have in common.
func newFrames[F tensorops.Float](name string, logits []F, shape [3]int, lengths []int, opts []Option) (*frames[F], error) {
	set, err := configure(name, opts, "WithBlank")
	if err != nil {
		return nil, err
	}
	if err := checkShape(name, "logits", len(logits), shape[:]...); err != nil {
		return nil, err
	}
	in := &frames[F]{name: name, logits: logits, rows: shape[1], classes: shape[2], blank: set.blank}
	if in.blank < 0 {
		in.blank += in.classes
	}
	if in.blank < 0 || in.blank >= in.classes {
		return nil, fail(ErrOption, name, "the blank is %d, want a class in [0, %d), or one in [-%d, -1] from the end", set.blank, in.classes, in.classes)
	}
	if in.lengths, err = checkLengths(name, "input length", lengths, in.rows, shape[0]); err != nil {
		return nil, err
	}
	return in, nil
}

// read writes the log-probabilities of frame t of a row to dst.
func (in *frames[F]) read(dst []float64, row, t int) error {
	x := in.logits[(t*in.rows+row)*in.classes:][:in.classes]
	possible := false
	for c, v := range x {
		dst[c] = float64(v)
		if !belowInf(dst[c]) {
			return fail(ErrValue, in.name, "logit of row %d, frame %d, class %d is %v, want a number or -Inf", row, t, c, v)
		}
		possible = possible || !math.IsInf(dst[c], -1)
	}
	if !possible {
		return fail(ErrValue, in.name, "all logits of row %d, frame %d are -Inf, want at least one that is larger", row, t)
	}
	tensorops.LogSoftmaxRows(dst, dst, in.classes)
	return nil
}
