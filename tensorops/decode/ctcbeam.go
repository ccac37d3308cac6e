package decode

import (
	"cmp"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops"
)

// CTCBeam returns the most likely labellings of each row, the best first, by prefix beam search:
// after each frame the width most likely beginnings of a labelling are kept.
//
//	LogProb = log Σ_paths Π_t softmax(logits[t])[path_t]
//
// over the paths of the labelling that the search kept: all of them where width is at least the
// number of beginnings, so that the result is exact, and some of them otherwise. A row has up to
// width labellings, with those of probability 0 left out. Labellings of the same probability are in
// lexical order.
//
// logits have the shape (T, N, C), lengths has N elements or is nil; width is at least 1.
// Log-probabilities may be given in their place. A row of length 0 has the empty labelling of
// probability 1. A frame of nothing but -Inf is an error.
//
// It takes at most T·C·width steps and T·width prefixes of memory a row.
//
// Options: [WithBlank] (default 0).
//
// Errors: [ErrShape], [ErrOption], [ErrValue].
//
// Reference: A. Y. Hannun, A. L. Maas, D. Jurafsky and A. Y. Ng, First-Pass Large Vocabulary
// Continuous Speech Recognition using Bi-Directional Recurrent DNNs, 2014.
func CTCBeam[F tensorops.Float](logits []F, shape [3]int, lengths []int, width int, opts ...Option) ([][]Labelling, error) {
	const name = "CTCBeam"
	in, err := newFrames(name, logits, shape, lengths, opts)
	if err != nil {
		return nil, err
	}
	if width < 1 {
		return nil, fail(ErrOption, name, "width is %d, want at least 1", width)
	}
	out := make([][]Labelling, in.rows)
	err = eachRow(in.rows, func(i int) error {
		s := newSearch(in.classes, in.blank, width)
		logProb := make([]float64, in.classes)
		for t := range in.lengths[i] {
			if err := in.read(logProb, i, t); err != nil {
				return err
			}
			s.step(logProb)
		}
		out[i] = s.labellings()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// search is the beam search of one row.
type search struct {
	blank, width int
	prefixes     []prefix       // 0 is the empty one
	child        map[prefix]int // the number of a prefix
	place        []int          // of a prefix in beam, or -1
	beam         []hypothesis   // the most likely first
	next         []hypothesis
	candidates   []candidate
	floor        float64 // a later candidate has to be above it
	taken        []int   // by class: the last prefix whose extension by the class is in the beam
}

// prefix is a labelling: another, by its number, and a label.
type prefix struct{ parent, label int }

// hypothesis is a prefix in the beam with the log-probabilities of its paths, apart by how they
// end.
type hypothesis struct {
	prefix          int
	inBlank, inLast float64
}

func (h hypothesis) total() float64 { return logAdd(h.inBlank, h.inLast) }

// candidate is a prefix for the next beam: the one at place of, or its extension by a label.
type candidate struct {
	total float64
	of    int
	label int // -1 for no extension
}

func newSearch(classes, blank, width int) *search {
	s := &search{blank: blank, width: width, prefixes: []prefix{{-1, -1}}, child: map[prefix]int{}, place: []int{0}, taken: make([]int, classes)}
	s.beam = []hypothesis{{0, 0, math.Inf(-1)}}
	for c := range s.taken {
		s.taken[c] = -1
	}
	return s
}

// step advances the beam by a frame.
func (s *search) step(logProb []float64) {
	// Prefixes stay by a blank or by their last label again, or come out of their parent.
	s.next, s.candidates, s.floor = s.next[:0], s.candidates[:0], math.Inf(-1)
	children := make([][]int, len(s.beam)) // the labels by which prefixes extend others of the beam
	for _, h := range s.beam {
		stay := hypothesis{h.prefix, h.total() + logProb[s.blank], math.Inf(-1)}
		if p := s.prefixes[h.prefix]; p.parent >= 0 {
			stay.inLast = h.inLast + logProb[p.label]
			if at := s.place[p.parent]; at >= 0 {
				stay.inLast = logAdd(stay.inLast, s.extended(s.beam[at], p.label, logProb))
				children[at] = append(children[at], p.label)
			}
		}
		s.next = append(s.next, stay)
	}
	for i, h := range s.next {
		s.offer(candidate{h.total(), i, -1})
	}
	for i, h := range s.beam {
		for _, c := range children[i] {
			s.taken[c] = h.prefix
		}
		for c := range logProb {
			if c != s.blank && s.taken[c] != h.prefix {
				s.offer(candidate{s.extended(h, c, logProb), i, c})
			}
		}
	}
	s.cut()
	old := s.beam
	for _, h := range old {
		s.place[h.prefix] = -1
	}
	chosen := make([]hypothesis, len(s.candidates))
	for i, c := range s.candidates {
		chosen[i] = s.next[c.of]
		if c.label >= 0 {
			chosen[i] = hypothesis{s.number(prefix{old[c.of].prefix, c.label}), math.Inf(-1), c.total}
		}
		s.place[chosen[i].prefix] = i
	}
	s.beam = chosen
	for c := range s.taken {
		s.taken[c] = -1
	}
}

// extended returns the log-probability of the paths of h that go on with a new label.
func (s *search) extended(h hypothesis, label int, logProb []float64) float64 {
	if label == s.prefixes[h.prefix].label { // without a blank between them the two would be one
		return h.inBlank + logProb[label]
	}
	return h.total() + logProb[label]
}

// offer adds a candidate. What can no longer be among the best is dropped now and then, so that the
// list stays short.
func (s *search) offer(c candidate) {
	if c.total <= s.floor {
		return
	}
	s.candidates = append(s.candidates, c)
	if len(s.candidates)/2 > s.width {
		s.cut()
		s.floor = s.candidates[s.width-1].total
	}
}

// cut keeps the width most likely candidates, in order; those offered first come first among equal
// ones.
func (s *search) cut() {
	slices.SortStableFunc(s.candidates, func(a, b candidate) int { return cmp.Compare(b.total, a.total) })
	s.candidates = s.candidates[:min(len(s.candidates), s.width)]
}

// number returns the number of a prefix. Each has one, so that what is reached by several ways is
// the same.
func (s *search) number(p prefix) int {
	n, ok := s.child[p]
	if !ok {
		n = len(s.prefixes)
		s.child[p] = n
		s.prefixes, s.place = append(s.prefixes, p), append(s.place, -1)
	}
	return n
}

// labellings returns those of the beam, the most likely first.
func (s *search) labellings() []Labelling {
	out := make([]Labelling, len(s.beam))
	for i, h := range s.beam {
		out[i].LogProb = min(0, h.total()) // a sum over all paths is rounded
		for p := h.prefix; p > 0; p = s.prefixes[p].parent {
			out[i].Labels = append(out[i].Labels, s.prefixes[p].label)
		}
		slices.Reverse(out[i].Labels)
	}
	slices.SortStableFunc(out, func(a, b Labelling) int {
		return cmp.Or(cmp.Compare(b.LogProb, a.LogProb), slices.Compare(a.Labels, b.Labels))
	})
	return out
}

// logAdd returns log(e^x + e^y).
func logAdd(x, y float64) float64 {
	if x < y {
		x, y = y, x
	}
	if math.IsInf(y, -1) {
		return x
	}
	return x + math.Log1p(math.Exp(y-x))
}
