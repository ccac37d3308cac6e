package metric

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// EditDistance returns the smallest number of insertions, deletions and substitutions that turn one
// sequence into the other. It takes O(len(a)·len(b)) steps and memory for one of them.
//
// Reference: V. I. Levenshtein, Binary Codes Capable of Correcting Deletions, Insertions and
// Reversals, 1966.
func EditDistance[E comparable](a, b []E) int {
	if len(a) < len(b) {
		a, b = b, a
	}
	row := make([]int, len(b)+1) // distances of the beginnings of b from one of a
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		corner := row[0] // the distance of both without their last elements
		row[0] = i + 1
		for j, y := range b {
			change := corner
			if x != y {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}

// Runes returns the code points of a text as labels, for error rates of texts.
func Runes(text string) []int {
	var out []int
	for _, r := range text {
		out = append(out, int(r))
	}
	return out
}

// ErrorRate is a character or word error rate: the edit distance of decoded sequences from the true
// ones, by the length of the true ones, over all rows together.
//
//	Σ_i w_i·EditDistance(decoded_i, reference_i) / Σ_i w_i·len(reference_i)
//
// It is above 1 where more is inserted than there is, and NaN while the true sequences are empty.
// The References and the Decoded of a [Batch] are required; weights, mask and index have one entry
// for each. Elements that are [Ignored] are not there.
//
// As in jiwer, without its transformations of texts.
type ErrorRate struct {
	words   bool
	between []int
	ratio
}

// NewCER returns an empty character error rate: each label is a character.
func NewCER() *ErrorRate { return new(ErrorRate) }

// NewWER returns an empty word error rate: words are what is between one or more of the labels
// given, such as ' '.
func NewWER(between ...int) *ErrorRate {
	return &ErrorRate{words: true, between: slices.Clone(between)}
}

// kind returns the end of the constructor's name.
func (e *ErrorRate) kind() string {
	if e.words {
		return "WER"
	}
	return "CER"
}

// Check returns an error when no label is between words.
func (e *ErrorRate) Check() error {
	if e.words && len(e.between) == 0 {
		return fmt.Errorf("metric.WER: no labels between words, want one or more")
	}
	return nil
}

// Name returns "cer" or "wer".
func (e *ErrorRate) Name() string {
	if e.words {
		return "wer"
	}
	return "cer"
}

// Update adds the sequences of b.
func (e *ErrorRate) Update(b Batch) error {
	if err := e.Check(); err != nil {
		return err
	}
	// The rows are the sequences, whatever else there is.
	b = Batch{References: b.References, Decoded: b.Decoded, Weights: b.Weights, Mask: b.Mask, Index: b.Index}
	n := len(b.References)
	if b.References == nil || len(b.Decoded) != n {
		return fmt.Errorf("metric.%s: %d decoded sequences and %d references, want as many of each", e.kind(),
			len(b.Decoded), n)
	}
	if err := b.checkRows(e.kind(), n); err != nil {
		return err
	}
	for i, reference := range b.References {
		w := b.Weight(i)
		if w == 0 {
			continue
		}
		reference, decoded := counted(reference), counted(b.Decoded[i])
		errors, length := 0, len(reference)
		if e.words {
			words := e.split(reference)
			errors, length = EditDistance(e.split(decoded), words), len(words)
		} else {
			errors = EditDistance(decoded, reference)
		}
		e.sum += w * float64(errors)
		e.weight += w * float64(length)
	}
	return nil
}

// counted returns the elements that are not ignored.
func counted(labels []int) []int {
	return slices.DeleteFunc(slices.Clone(labels), func(l int) bool { return l == Ignored })
}

// split returns the words of a sequence, each as a string of its own.
func (e *ErrorRate) split(labels []int) []string {
	var words []string
	var word []byte
	for _, l := range labels {
		if !slices.Contains(e.between, l) {
			word = binary.AppendVarint(word, int64(l))
			continue
		}
		if word != nil {
			words, word = append(words, string(word)), nil
		}
	}
	if word != nil {
		words = append(words, string(word))
	}
	return words
}

// Value returns the rate, at least 0.
func (e *ErrorRate) Value() float64 { return e.value() }

// Merge adds the sequences of another ErrorRate of the same kind.
func (e *ErrorRate) Merge(other Metric) error {
	o, ok := other.(*ErrorRate)
	if !ok || o.words != e.words || !slices.Equal(o.between, e.between) {
		return mismatch(e, other)
	}
	e.sum, e.weight = e.sum+o.sum, e.weight+o.weight
	return nil
}

// New returns an empty ErrorRate of the same kind.
func (e *ErrorRate) New() Metric { return &ErrorRate{words: e.words, between: e.between} }

// State returns the sums.
func (e *ErrorRate) State() []float64 { return []float64{e.sum, e.weight} }

// Restore sets the sums.
func (e *ErrorRate) Restore(s []float64) error { return restore(e.kind(), s, &e.sum, &e.weight) }
