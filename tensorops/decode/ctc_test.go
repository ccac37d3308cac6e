package decode

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// collapse returns the labelling of a path.
func collapse(path []int, blank int) []int {
	var out []int
	before := blank
	for _, c := range path {
		if c != before && c != blank {
			out = append(out, c)
		}
		before = c
	}
	return out
}

// small is a random problem of CTC whose paths can all be visited.
type small struct {
	logits           []float64
	shape            [3]int
	lengths          []int
	blank            int
	logProb          []float64 // of the logits, by the definition
	forbidden, whole bool
}

// newSmall returns a problem; whole logits make ties, and some are -Inf.
func newSmall(r *rand.Rand) small {
	s := small{shape: [3]int{1 + r.IntN(5), 1 + r.IntN(3), 1 + r.IntN(4)}}
	steps, n, c := s.shape[0], s.shape[1], s.shape[2]
	s.forbidden, s.whole, s.blank = r.IntN(3) == 0, r.IntN(3) == 0, r.IntN(c)
	for range n {
		s.lengths = append(s.lengths, r.IntN(steps+1))
	}
	for range steps * n {
		sum := 0.0
		for k := range c {
			x := 2 * r.NormFloat64()
			if s.whole {
				x = math.Round(x)
			}
			if s.forbidden && k != 0 && r.IntN(3) == 0 {
				x = -inf
			}
			s.logits = append(s.logits, x)
			sum += math.Exp(x)
		}
		for _, x := range s.logits[len(s.logits)-c:] {
			s.logProb = append(s.logProb, x-math.Log(sum))
		}
	}
	return s
}

// paths calls f with every path of a row and its log-probability.
func (s small) paths(row int, f func(path []int, logProb float64)) {
	n, c := s.shape[1], s.shape[2]
	sequences(s.lengths[row], c, func(path []int) {
		sum := 0.0
		for t, k := range path {
			sum += s.logProb[(t*n+row)*c+k]
		}
		f(path, sum)
	})
}

// option returns the blank, counted from either end.
func (s small) option(r *rand.Rand) Option {
	if r.IntN(2) == 0 {
		return WithBlank(s.blank - s.shape[2])
	}
	return WithBlank(s.blank)
}

// Log-probabilities are sums of up to 5 terms of size 10 whose exponentials and logarithms are good
// to a few units: 1e-13 leaves room.
const ctcTol = 1e-13

func TestCTCGreedyEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		s := newSmall(r)
		got, err := CTCGreedy(s.logits, s.shape, s.lengths, s.option(r))
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.lengths {
			best, want := -inf, []int(nil)
			s.paths(i, func(path []int, p float64) {
				if p > best+ctcTol { // in lexical order: the first of equal ones has the lowest classes
					best, want = p, collapse(path, s.blank)
				}
			})
			if !slices.Equal(got[i].Labels, want) || !near([]float64{got[i].LogProb}, []float64{best}, ctcTol) {
				t.Fatalf("%+v row %d: %v, want %v %v", s, i, got[i], want, best)
			}
		}
	}
}

// TestCTCBeamEnumeration: a beam that holds every prefix gives all labellings with the sums over
// their paths.
func TestCTCBeamEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		s := newSmall(r)
		got, err := CTCBeam(s.logits, s.shape, s.lengths, math.MaxInt, s.option(r))
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.lengths {
			sums, labels := map[string]float64{}, map[string][]int{}
			s.paths(i, func(path []int, p float64) {
				if p > -inf {
					y := collapse(path, s.blank)
					sums[fmt.Sprint(y)] += math.Exp(p)
					labels[fmt.Sprint(y)] = y
				}
			})
			if len(got[i]) != len(sums) {
				t.Fatalf("%+v row %d: %d labellings, want %d", s, i, len(got[i]), len(sums))
			}
			for k, l := range got[i] {
				want := math.Log(sums[fmt.Sprint(l.Labels)])
				if !near([]float64{l.LogProb}, []float64{want}, ctcTol) || l.LogProb > 0 {
					t.Errorf("%+v row %d: %v, want %v", s, i, l, want)
				}
				if k > 0 {
					before := got[i][k-1]
					if cmp.Or(cmp.Compare(l.LogProb, before.LogProb), slices.Compare(before.Labels, l.Labels)) >= 0 {
						t.Errorf("%+v row %d: %v after %v", s, i, l, before)
					}
				}
			}
		}
	}
}

// TestCTCBeamNarrow: a narrow beam is sure of no more than there is, has no labelling twice, and is
// the beginning of a search for fewer.
func TestCTCBeamNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	shape := [3]int{30, 2, 6}
	logits := make([]float32, 30*2*6)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	better := 0
	greedy, err := CTCGreedy(logits, shape, nil)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := CTCBeam(logits, shape, nil, 400)
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{1, 2, 7, 40} {
		got, err := CTCBeam(logits, shape, nil, width)
		if err != nil {
			t.Fatal(err)
		}
		again, err := CTCBeam(logits, shape, nil, width)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("width %d: two calls differ, %v", width, err)
		}
		for i, list := range got {
			if len(list) != width {
				t.Errorf("width %d: %d labellings", width, len(list))
			}
			seen := map[string]bool{}
			for _, l := range list {
				if key := fmt.Sprint(l.Labels); seen[key] {
					t.Errorf("width %d: %v twice", width, l.Labels)
				} else {
					seen[key] = true
				}
			}
			if list[0].LogProb > wide[i][0].LogProb+ctcTol && slices.Equal(list[0].Labels, wide[i][0].Labels) {
				t.Errorf("width %d: log-probability %v of %v, and %v of more paths", width, list[0].LogProb,
					list[0].Labels, wide[i][0].LogProb)
			}
			if list[0].LogProb > greedy[i].LogProb {
				better++
			}
		}
	}
	if better != 8 { // the sum over paths of a labelling is more than that of the best path
		t.Errorf("%d of 8 searches better than the best path", better)
	}
}

// TestCTCAlignEnumeration: against the best of the paths of the target, with ties resolved from the
// end by the lowest state.
func TestCTCAlignEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	infeasible, found := 0, 0
	for range 600 {
		s := newSmall(r)
		n, c := s.shape[1], s.shape[2]
		const most = 3
		targets, targetLengths := make([]int, n*most), make([]int, n)
		for i := range targets {
			targets[i] = -7 // not to be looked at
		}
		for i := range n {
			if c > 1 {
				targetLengths[i] = r.IntN(most + 1)
			}
			for k := range targetLengths[i] {
				targets[i*most+k] = (s.blank + 1 + r.IntN(c-1)) % c
			}
		}
		got, err := CTCAlign(s.logits, s.shape, targets, s.lengths, targetLengths, s.option(r))
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range targetLengths {
			target, best := targets[i*most:i*most+l], -inf
			var want []int // the states of the best path
			s.paths(i, func(path []int, p float64) {
				if p == -inf || !slices.Equal(collapse(path, s.blank), target) {
					return
				}
				states := make([]int, len(path))
				for t, c := range path {
					if t > 0 {
						states[t] = states[t-1]
						if c != path[t-1] {
							states[t]++ // from a label to the blank behind it, or from a blank to the next label
							if c != s.blank && path[t-1] != s.blank {
								states[t]++
							}
						}
					} else if c != s.blank {
						states[t] = 1
					}
				}
				lower := func(a, b []int) bool {
					for t := len(a) - 1; t >= 0; t-- {
						if a[t] != b[t] {
							return a[t] < b[t]
						}
					}
					return false
				}
				if p > best+ctcTol || p > best-ctcTol && lower(states, want) {
					best, want = p, states
				}
			})
			a := got[i]
			if best == -inf {
				infeasible++
				if a.Path != nil || a.Spans != nil || a.LogProb != -inf {
					t.Fatalf("%+v row %d: %+v, want no path", s, i, a)
				}
				continue
			}
			found++
			path, spans := make([]int, len(want)), make([]Span, l)
			for t := len(want) - 1; t >= 0; t-- {
				path[t] = s.blank
				if k := want[t]; k%2 == 1 {
					path[t] = target[k/2]
					spans[k/2].To = max(spans[k/2].To, t+1)
					spans[k/2].From = t
				}
			}
			if a.Path == nil || !near([]float64{a.LogProb}, []float64{best}, ctcTol) || !slices.Equal(a.Spans, spans) || !slices.Equal(a.Path, path) {
				// In float64 ties of whole logits may come apart by the order of the sums.
				if !s.whole || !near([]float64{a.LogProb}, []float64{best}, ctcTol) || !slices.Equal(collapse(a.Path, s.blank), target) {
					t.Fatalf("%+v row %d: %+v, want %v %v %v", s, i, a, path, spans, best)
				}
			}
		}
	}
	if infeasible < 100 || found < 100 {
		t.Errorf("%d rows without a path, %d with one", infeasible, found)
	}
}

// TestCTCAlignTies: with all paths equal, labels come as late as they can. The states 0 to 4 are
// blank, label, blank, label, blank: the last is 3, and before it comes 2, where the labels are the
// same, or 1.
func TestCTCAlignTies(t *testing.T) {
	for _, c := range []struct {
		target, path []int
		spans        []Span
	}{
		{[]int{1, 1}, []int{0, 0, 1, 0, 1}, []Span{{2, 3}, {4, 5}}},
		{[]int{1, 2}, []int{0, 0, 0, 1, 2}, []Span{{3, 4}, {4, 5}}},
	} {
		a, err := CTCAlign(make([]float32, 5*3), [3]int{5, 1, 3}, c.target, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a[0].Path, c.path) || !slices.Equal(a[0].Spans, c.spans) {
			t.Errorf("%+v, want the path %v", a, c.path)
		}
	}
}

// TestCTCPadding: frames beyond a length are not looked at, and a row without frames is done.
func TestCTCPadding(t *testing.T) {
	nan := math.NaN()
	logits := []float64{3, 0, nan, nan, inf, -inf, nan, nan} // frames of rows 0 and 1 in turn
	shape, lengths := [3]int{2, 2, 2}, []int{1, 0}
	p := -math.Log1p(math.Exp(-3))
	g, err := CTCGreedy(logits, shape, lengths, WithBlank(-1))
	if err != nil || !slices.Equal(g[0].Labels, []int{0}) || !near([]float64{g[0].LogProb}, []float64{p}, ctcTol) || g[1].Labels != nil || g[1].LogProb != 0 {
		t.Errorf("greedy %v, %v", g, err)
	}
	b, err := CTCBeam(logits, shape, lengths, 3, WithBlank(-1))
	if err != nil || len(b[0]) != 2 || len(b[1]) != 1 || b[1][0].Labels != nil || b[1][0].LogProb != 0 {
		t.Errorf("beam %v, %v", b, err)
	}
	a, err := CTCAlign(logits, shape, nil, lengths, nil, WithBlank(-1))
	if err != nil || !slices.Equal(a[0].Path, []int{1}) || a[1].LogProb != 0 || a[1].Path == nil || len(a[1].Path) != 0 {
		t.Errorf("alignment %+v, %v", a, err)
	}
}

// TestCTCExtremes: logits at the ends of their types, and far apart.
func TestCTCExtremes(t *testing.T) {
	for _, logits := range [][]float64{
		{3e38, -3e38, 0, 3e38, 3e38, 3e38}, {1e308, -1e308, 0, -1e308, -1e308, -1e308}, {-inf, 0, -inf, 5e-324, -inf, -inf},
	} {
		shape := [3]int{2, 1, 3}
		g, err := CTCGreedy(logits, shape, nil)
		if err != nil || !(g[0].LogProb <= 0) || math.IsInf(g[0].LogProb, -1) {
			t.Errorf("%v: %v, %v", logits, g, err)
		}
		b, err := CTCBeam(logits, shape, nil, 2)
		if err != nil || len(b[0]) == 0 {
			t.Errorf("%v: %v, %v", logits, b, err)
		}
		for _, l := range b[0] {
			if !(l.LogProb <= 0) || math.IsInf(l.LogProb, -1) {
				t.Errorf("%v: %v", logits, l)
			}
		}
	}
}

func TestCTCErrors(t *testing.T) {
	nan := math.NaN()
	shape, ok := [3]int{2, 2, 3}, make([]float64, 12)
	with := func(at int, v ...float64) []float64 {
		out := slices.Clone(ok)
		copy(out[at:], v)
		return out
	}
	for _, c := range []struct {
		logits  []float64
		shape   [3]int
		lengths []int
		opts    []Option
		kind    error
		want    string
	}{
		{with(7, nan), shape, nil, nil, ErrValue, "logit of row 0, frame 1, class 1 is NaN, want a number or -Inf"},
		{with(5, inf), shape, nil, nil, ErrValue, "logit of row 1, frame 0, class 2 is +Inf"},
		{with(9, -inf, -inf, -inf), shape, nil, nil, ErrValue, "all logits of row 1, frame 1 are -Inf"},
		{ok, shape, []int{3, 0}, nil, ErrValue, "input length of row 0 is 3, want 0 to 2"},
		{ok, shape, []int{0, -1}, nil, ErrValue, "input length of row 1 is -1, want 0 to 2"},
		{ok, shape, []int{0}, nil, ErrShape, "1 input lengths, want 2"},
		{ok[:11], shape, nil, nil, ErrShape, "11 elements of logits, want those of shape (2, 2, 3)"},
		{nil, [3]int{2, 0, 3}, nil, nil, ErrShape, "shape of logits is (2, 0, 3), want axes of at least 1"},
		{ok, shape, nil, []Option{WithBlank(3)}, ErrOption,
			"the blank is 3, want a class in [0, 3), or one in [-3, -1] from the end"},
		{ok, shape, nil, []Option{WithBlank(-4)}, ErrOption, "the blank is -4"},
		{ok, shape, nil, []Option{WithEpsilon(1)}, ErrOption, `option "WithEpsilon", want WithBlank`},
	} {
		for name, call := range map[string]func() (any, error){
			"CTCGreedy": func() (any, error) { return CTCGreedy(c.logits, c.shape, c.lengths, c.opts...) },
			"CTCBeam":   func() (any, error) { return CTCBeam(c.logits, c.shape, c.lengths, 2, c.opts...) },
			"CTCAlign":  func() (any, error) { return CTCAlign(c.logits, c.shape, nil, c.lengths, nil, c.opts...) },
		} {
			if out, err := call(); !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), "decode."+name+": ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, error %v, want one with %q", name, out, err, c.want)
			}
		}
	}
	if _, err := CTCBeam(ok, shape, nil, 0); !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), "width is 0, want at least 1") {
		t.Errorf("width 0: %v", err)
	}
	for _, c := range []struct {
		targets, lengths []int
		kind             error
		want             string
	}{
		{[]int{1, 2, 1, 3}, nil, ErrValue, "target 1 of row 1 is 3, want a label in [0, 3) other than the blank, 0"},
		{[]int{1, 0, 1, 2}, nil, ErrValue, "target 1 of row 0 is 0"},
		{[]int{1, 2, -1, 2}, nil, ErrValue, "target 0 of row 1 is -1"},
		{[]int{1, 2, 1, 2}, []int{2, 3}, ErrValue, "target length of row 1 is 3, want 0 to 2"},
		{[]int{1, 2, 1, 2}, []int{-2, 2}, ErrValue, "target length of row 0 is -2"},
		{[]int{1, 2, 1, 2}, []int{2}, ErrShape, "1 target lengths, want 2"},
		{[]int{1, 2, 1}, nil, ErrShape, "3 labels of targets, want a multiple of the 2 rows"},
	} {
		if out, err := CTCAlign(ok, shape, c.targets, nil, c.lengths); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || out != nil {
			t.Errorf("%v, error %v, want one with %q", out, err, c.want)
		}
	}
}
