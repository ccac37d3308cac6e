package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
)

// Ranks stay together by meetings: gathers of a few numbers of one form, so that a rank whose run
// ends for a reason of its own tells the others at whatever meeting they come to next. Between two
// meetings each rank does the same to parameters, position and history; after one that ends the run
// all ranks take the same way out.

// ranks is a run's part in a run on several ranks.
type ranks struct {
	comm  comm.Comm
	sums  comm.Comm     // of gradients
	joint bool          // losses are those of all ranks, and not to be added up
	told  bool          // the others know why the run ends
	f32   []float32     // the gradients of all parameters, one behind the other
	f64   []float64     // the same
	none  *data.Batch   // a row of weight 0, for a rank that has no rows of a batch
	spent time.Duration // in collectives

	merged bool // this rank's metrics have seen the rows of all ranks
}

// newRanks returns nil for a run on one rank.
func newRanks(cfg *Config) *ranks {
	if cfg.Comm == nil || cfg.Comm.Size() == 1 {
		return nil
	}
	k := &ranks{comm: cfg.Comm, sums: comm.Deterministic(cfg.Comm)}
	if cfg.AnyOrder {
		k.sums = cfg.Comm
	}
	return k
}

// checked returns the Comm for losses, of which a rank whose graph fails before one meets ranks that
// are in one.
func (k *ranks) checked() comm.Comm {
	if k == nil {
		return nil
	}
	return comm.Checked(k.comm)
}

// first reports whether this rank is the one that writes.
func (k *ranks) first() bool { return k == nil || k.comm.Rank() == 0 }

// share returns where this rank's part of n rows begins and how long it is.
func (k *ranks) share(n int) (from, length int) {
	if k == nil {
		return 0, n
	}
	counts := comm.Split(n, k.comm.Size())
	for _, c := range counts[:k.comm.Rank()] {
		from += c
	}
	return from, counts[k.comm.Rank()]
}

// largest returns the largest of the ranks' parts of n rows, which is never 0.
func (k *ranks) largest(n int) int {
	if k == nil {
		return n
	}
	return (n + k.comm.Size() - 1) / k.comm.Size()
}

// cancellation is the end of a run by its context.
type cancellation struct{ cause error }

func (c cancellation) Error() string { return c.cause.Error() }
func (c cancellation) Unwrap() error { return c.cause }

// What a rank brings to a meeting: it goes on, or why it does not. The largest one counts.
const (
	goesOn = iota
	stops
	cancels
	fails
)

// meet tells the other ranks that this one goes on, with two numbers for them, or why it does not.
// It returns the numbers in the order of the ranks, or the error with which all ranks end.
func (k *ranks) meet(err error, a, b float64) ([][3]float64, error) {
	mine := [3]float64{goesOn, a, b}
	switch {
	case err == nil:
	case errors.As(err, new(cancellation)):
		mine[0] = cancels
	case errors.Is(err, ErrStop):
		mine[0] = stops
	default:
		mine[0] = fails
	}
	start := time.Now()
	defer func() { k.spent += time.Since(start) }()
	flat := make([]float64, 3*k.comm.Size())
	if lost := comm.Allgather(k.comm, flat, mine[:], nil); lost != nil {
		k.told = true
		return nil, errors.Join(err, lost)
	}
	all, worst := make([][3]float64, k.comm.Size()), 0
	for r := range all {
		copy(all[r][:], flat[3*r:])
		if all[r][0] > all[worst][0] {
			worst = r
		}
	}
	if all[worst][0] == goesOn {
		return all, nil
	}
	k.told = true
	text := ""
	if err != nil {
		text = err.Error()
	}
	texts, lost := k.texts(text)
	switch why := all[worst][0]; {
	case lost != nil:
		return nil, errors.Join(err, lost)
	case mine[0] == why:
		return nil, err
	case why == stops:
		return nil, fmt.Errorf("rank %d: %w", worst, ErrStop)
	case why == cancels:
		return nil, cancellation{fmt.Errorf("rank %d: %w", worst, context.Canceled)}
	}
	return nil, fmt.Errorf("rank %d: %s", worst, texts[worst])
}

// agree is meet without numbers. An error that the ranks know already stays as it is.
func (k *ranks) agree(err error) error {
	if k == nil || k.told {
		return err
	}
	_, err = k.meet(err, 0, 0)
	return err
}

// tell is agree for an error, and nothing without one.
func (k *ranks) tell(err error) error {
	if err == nil {
		return nil
	}
	return k.agree(err)
}

// gatherFrom returns the numbers of all ranks, which may be of any number each.
func gatherFrom[T comm.Number](k *ranks, x []T) ([][]T, error) {
	start := time.Now()
	defer func() { k.spent += time.Since(start) }()
	lengths := make([]int64, k.comm.Size())
	if err := comm.Allgather(k.comm, lengths, []int64{int64(len(x))}, nil); err != nil {
		return nil, err
	}
	counts, total := make([]int, len(lengths)), 0
	for r, n := range lengths {
		counts[r] = int(n)
		total += int(n)
	}
	flat := make([]T, total)
	if err := comm.Allgather(k.comm, flat, x, counts); err != nil {
		return nil, err
	}
	all := make([][]T, len(counts))
	for r, n := range counts {
		all[r], flat = flat[:n:n], flat[n:]
	}
	return all, nil
}

// texts returns the texts of all ranks.
func (k *ranks) texts(text string) ([]string, error) {
	bytes := make([]int64, len(text))
	for i := range text {
		bytes[i] = int64(text[i])
	}
	all, err := gatherFrom(k, bytes)
	texts := make([]string, len(all))
	for r, bytes := range all {
		t := make([]byte, len(bytes))
		for i, b := range bytes {
			t[i] = byte(b)
		}
		texts[r] = string(t)
	}
	return texts, err
}

// sameWords returns an error that names two ranks unless all have the same words.
func (k *ranks) sameWords(words map[string]string) error {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(words)) {
		list = append(list, name, words[name])
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	texts, err := k.texts(string(text))
	if err != nil {
		return err
	}
	for r, t := range texts {
		if t != texts[0] {
			var a, b []string
			if err := errors.Join(json.Unmarshal([]byte(texts[0]), &a), json.Unmarshal([]byte(t), &b)); err != nil {
				return err
			}
			for i := 0; i+1 < min(len(a), len(b)); i += 2 {
				switch {
				case a[i] != b[i]:
					return fmt.Errorf("rank 0 and rank %d differ: one has the setting %q, the other %q", r, a[i], b[i])
				case a[i+1] != b[i+1]:
					return fmt.Errorf("rank 0 and rank %d differ: %s is %q on rank 0 and %q on rank %d", r, a[i],
						a[i+1], b[i+1], r)
				}
			}
			return fmt.Errorf("rank 0 and rank %d differ: one has %d settings, the other %d", r, len(a)/2, len(b)/2)
		}
	}
	return nil
}

// sumGradients adds the gradients of all ranks.
func (k *ranks) sumGradients(grads []*gradient) error {
	start := time.Now()
	defer func() { k.spent += time.Since(start) }()
	k.f32, k.f64 = k.f32[:0], k.f64[:0]
	for _, g := range grads {
		k.f32, k.f64 = append(k.f32, g.F32...), append(k.f64, g.F64...)
	}
	var err error
	if len(k.f32) > 0 {
		err = comm.Allreduce(k.sums, k.f32, comm.Sum)
	} else if len(k.f64) > 0 {
		err = comm.Allreduce(k.sums, k.f64, comm.Sum)
	}
	if err != nil {
		return err
	}
	f32, f64 := k.f32, k.f64
	for _, g := range grads {
		if g.Single() {
			g.squares = optim.Collect(g.F32, f32[:len(g.F32)], false)
			f32 = f32[len(g.F32):]
		} else {
			g.squares = optim.Collect(g.F64, f64[:len(g.F64)], false)
			f64 = f64[len(g.F64):]
		}
	}
	return nil
}

// sameParameters returns an error that names two ranks unless all have the same bits. It is a
// meeting.
func (k *ranks) sameParameters(params []*weights.Array) error {
	h := bitsOf(params)
	all, err := k.meet(nil, float64(uint32(h>>32)), float64(uint32(h)))
	if err != nil {
		return err
	}
	for r, v := range all {
		if v != all[0] {
			k.told = true // every rank has seen it
			return fmt.Errorf("rank 0 and rank %d have other parameters", r)
		}
	}
	return nil
}

// bitsOf is a digest of the numbers of parameters: FNV-1a over whole numbers in the place of bytes.
func bitsOf(params []*weights.Array) uint64 {
	h := uint64(14695981039346656037)
	for _, a := range params {
		for _, v := range a.F32 {
			h = (h ^ uint64(math.Float32bits(v))) * 1099511628211
			h ^= h >> 32
		}
		for _, v := range a.F64 {
			h = (h ^ math.Float64bits(v)) * 1099511628211
			h ^= h >> 32
		}
	}
	return h
}

// mergeMetrics returns metrics that have seen what those of all ranks have.
func (k *ranks) mergeMetrics(metrics []metric.Metric) ([]metric.Metric, error) {
	merged := fresh(metrics)
	for i, m := range metrics {
		states, err := gatherFrom(k, m.State())
		if err != nil {
			return nil, err
		}
		for _, s := range states {
			part := m.New()
			if err := part.Restore(s); err != nil {
				return nil, err
			}
			if err := merged[i].Merge(part); err != nil {
				return nil, err
			}
		}
	}
	return merged, nil
}

// mergeMeans adds up the means of all ranks.
func (k *ranks) mergeMeans(part means, terms int) (means, error) {
	flat := make([]float64, 2*terms)
	for i, m := range part {
		flat[2*i], flat[2*i+1] = m.Sum, m.Weight
	}
	all, err := gatherFrom(k, flat)
	if err != nil {
		return nil, err
	}
	var total means
	for _, x := range all {
		part = make(means, terms)
		for i := range part {
			part[i] = mean{x[2*i], x[2*i+1]}
		}
		total.add(part)
	}
	return total, nil
}

// broadcast copies the arrays of rank 0 to those of all.
func (k *ranks) broadcast(list []*weights.Array) error {
	for _, a := range list {
		var err error
		if a.Single() {
			err = comm.Broadcast(k.comm, a.F32, 0)
		} else {
			err = comm.Broadcast(k.comm, a.F64, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
