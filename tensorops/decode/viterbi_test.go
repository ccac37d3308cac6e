package decode

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var inf = math.Inf(1)

// sequences calls f with every sequence of n numbers below c, in lexical order.
func sequences(n, c int, f func(s []int)) {
	s := make([]int, n)
	for {
		f(s)
		i := n - 1
		for ; i >= 0 && s[i] == c-1; i-- {
			s[i] = 0
		}
		if i < 0 {
			return
		}
		s[i]++
	}
}

// TestViterbiEnumeration: against the best of all sequences. Whole numbers make ties, and their
// sums are exact; a fifth of the elements is forbidden.
func TestViterbiEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(r.IntN(5) - 2)
			if r.IntN(5) == 0 {
				out[i] = float32(-inf)
			}
		}
		return out
	}
	const n, steps = 3, 4
	impossible, ties := 0, 0
	for range 300 {
		c := 1 + r.IntN(4)
		em, tr, start, end := draw(n*steps*c), draw(c*c), draw(c), draw(c)
		lengths := []int{r.IntN(steps + 1), r.IntN(steps + 1), steps}
		scores, tags, err := Viterbi(em, [3]int{n, steps, c}, tr, lengths, WithStart(start), WithEnd(end))
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range lengths {
			best := -inf
			var all [][]int
			sequences(l, c, func(y []int) {
				s := 0.0
				for t, k := range y {
					s += float64(em[(i*steps+t)*c+k])
					if t > 0 {
						s += float64(tr[y[t-1]*c+k])
					}
				}
				if l > 0 {
					s += float64(start[y[0]] + end[y[l-1]])
				}
				switch {
				case s > best:
					best, all = s, [][]int{slices.Clone(y)}
				case s == best && s > -inf:
					all = append(all, slices.Clone(y))
				}
			})
			want := slices.Repeat([]int{-1}, steps)
			if best > -inf {
				// the lowest of the best ones, read backwards
				copy(want, slices.MinFunc(all, func(a, b []int) int {
					a, b = slices.Clone(a), slices.Clone(b)
					slices.Reverse(a)
					slices.Reverse(b)
					return slices.Compare(a, b)
				}))
			} else {
				impossible++
			}
			if len(all) > 1 {
				ties++
			}
			if got := tags[i*steps : (i+1)*steps]; scores[i] != best || !slices.Equal(got, want) {
				t.Fatalf("row %d of length %d: score %v, tags %v, want %v, %v\nemissions %v transitions %v start %v end %v", i, l, scores[i], got, best, want, em, tr, start, end)
			}
		}
	}
	if impossible < 20 || ties < 20 {
		t.Errorf("%d rows without a sequence and %d with ties, want 20 of each", impossible, ties)
	}
}

// TestViterbiPadding: what is beyond a length is not looked at.
func TestViterbiPadding(t *testing.T) {
	nan := math.NaN()
	em := []float64{1, 2, nan, inf, 0, 5, 3, 3e38}
	scores, tags, err := Viterbi(em, [3]int{2, 2, 2}, make([]float64, 4), []int{1, 2})
	if err != nil || !slices.Equal(scores, []float64{2, 5 + 3e38}) || !slices.Equal(tags, []int{1, -1, 1, 1}) {
		t.Errorf("scores %v, tags %v, %v", scores, tags, err)
	}
}

func TestViterbiErrors(t *testing.T) {
	nan := math.NaN()
	ok, tr := make([]float64, 12), make([]float64, 9)
	bad := slices.Clone(ok)
	bad[10] = nan
	worse := slices.Clone(tr)
	worse[5] = inf
	shape := [3]int{2, 2, 3}
	for _, c := range []struct {
		em, tr  []float64
		shape   [3]int
		lengths []int
		opts    []Option
		kind    error
		want    string
	}{
		{bad, tr, shape, nil, nil, ErrValue,
			"decode.Viterbi: emission of row 1, step 1, tag 1 is NaN, want a number or -Inf"},
		{ok, worse, shape, nil, nil, ErrValue, "transition from 1 to 2 is +Inf"},
		{ok, tr, shape, []int{2, 3}, nil, ErrValue, "length of row 1 is 3, want 0 to 2"},
		{ok, tr, shape, []int{-1, 2}, nil, ErrValue, "length of row 0 is -1, want 0 to 2"},
		{ok, tr, shape, []int{2}, nil, ErrShape, "1 lengths, want 2"},
		{ok, tr[:8], shape, nil, nil, ErrShape, "8 elements of transitions, want those of shape (3, 3)"},
		{ok[:11], tr, shape, nil, nil, ErrShape, "11 elements of emissions, want those of shape (2, 2, 3)"},
		{nil, nil, [3]int{0, 2, 3}, nil, nil, ErrShape, "shape of emissions is (0, 2, 3), want axes of at least 1"},
		{ok, tr, [3]int{math.MaxInt, math.MaxInt, 2}, nil, nil, ErrShape, "12 elements of emissions"},
		{ok, tr, shape, nil, []Option{WithStart(ok[:2])}, ErrShape, "2 elements of start, want those of shape (3)"},
		{ok, tr, shape, nil, []Option{WithEnd([]float32{0, float32(nan), 0})}, ErrValue, "end of tag 1 is NaN"},
		{ok, tr, shape, nil, []Option{WithBlank(1)}, ErrOption, `option "WithBlank", want WithStart or WithEnd`},
		{ok, tr, shape, nil, []Option{{}}, ErrOption, `option ""`},
	} {
		scores, tags, err := Viterbi(c.em, c.shape, c.tr, c.lengths, c.opts...)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || scores != nil || tags != nil {
			t.Errorf("%v, %v, error %v, want one with %q", scores, tags, err, c.want)
		}
	}
}
