package data

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// words matches words with apostrophes, numbers, and any other sign by itself.
var words = regexp.MustCompile(`[a-z']+|[0-9]+|[^\sa-z0-9]`)

// Words cuts a text, in lower case, into words of the letters a to z and apostrophes, numbers, and
// single other signs. Byte-order marks, which editors put before a text and concatenation leaves
// inside one, are no signs.
func Words(text string) []string {
	text = strings.ReplaceAll(text, byteOrderMark, "")
	return words.FindAllString(strings.ToLower(text), -1)
}

// A Vocabulary numbers distinct tokens.
type Vocabulary struct {
	tokens []string
	index  map[string]int
}

// NewVocabulary numbers the distinct tokens of a text, the most frequent first, and those of one
// frequency in the order of their texts.
func NewVocabulary(tokens []string) *Vocabulary {
	count := make(map[string]int)
	for _, t := range tokens {
		count[t]++
	}
	v := &Vocabulary{index: make(map[string]int, len(count))}
	for t := range count {
		v.tokens = append(v.tokens, t)
	}
	slices.SortFunc(v.tokens, func(a, b string) int {
		if d := count[b] - count[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for i, t := range v.tokens {
		v.index[t] = i
	}
	return v
}

// Len returns the number of tokens.
func (v *Vocabulary) Len() int { return len(v.tokens) }

// Token returns the text of a number in [0, Len()).
func (v *Vocabulary) Token(i int) string { return v.tokens[i] }

// Encode returns the numbers of tokens. A token that is not in the vocabulary is an error.
func (v *Vocabulary) Encode(tokens []string) ([]int, error) {
	out := make([]int, len(tokens))
	for i, t := range tokens {
		n, ok := v.index[t]
		if !ok {
			return nil, fmt.Errorf("data.Encode: token %d is %q, which is not in the vocabulary", i, t)
		}
		out[i] = n
	}
	return out, nil
}

// windows presents a sequence as examples without copying it.
type windows struct {
	tokens  []int
	context int
}

// Windows makes a dataset of a sequence of tokens: example i has the input tokens[i : i+context]
// and the target that follows, tokens[i+context]. The sequence is kept, not copied; it is longer
// than the context.
func Windows(tokens []int, context int) (Dataset, error) {
	if context < 1 || len(tokens) <= context {
		return nil, fmt.Errorf("data.Windows: %d tokens with context %d, want a context >= 1 and more tokens than that", len(tokens), context)
	}
	return &windows{tokens, context}, nil
}

func (w *windows) Len() int { return len(w.tokens) - w.context }

func (w *windows) Spec() Spec {
	return Spec{Field{Int, []int{w.context}}, Field{Kind: Int}}
}

func (w *windows) Read(rows []int, x, y Column) error {
	for i, r := range rows {
		if r < 0 || r >= w.Len() {
			return fmt.Errorf("data: row %d, want a row in [0, %d)", r, w.Len())
		}
		copy(x.Int[i*w.context:(i+1)*w.context], w.tokens[r:])
		y.Int[i] = w.tokens[r+w.context]
	}
	return nil
}
