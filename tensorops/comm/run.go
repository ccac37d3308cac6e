package comm

import (
	"errors"
	"fmt"
	"sync"
)

// Run calls f once for each of size ranks, each in a goroutine of its own, and returns the errors
// of all, joined in the order of the ranks.
//
// Each rank's Comm is closed when its f returns or panics, so that no other rank waits for it. Sums
// are added in the order of the ranks.
func Run(size int, f func(Comm) error) error {
	if size < 1 {
		return fmt.Errorf("comm.Run: size is %d, want at least 1: %w", size, ErrArgument)
	}
	g := &group{calls: make([]Call, size), headers: make([]header, size),
		faults: make([]error, size), closed: make([]bool, size), first: -1}
	g.met.L = &g.mu
	errs := make([]error, size)
	var wg sync.WaitGroup
	for r := range size {
		wg.Go(func() {
			m := &member{group: g, rank: r}
			defer m.leave()
			errs[r] = f(m)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// group is where the goroutines of a run meet: the last one to arrive carries out the call for all.
type group struct {
	mu      sync.Mutex
	met     sync.Cond
	calls   []Call
	headers []header
	faults  []error // what each rank's own check says, then what its call returns
	closed  []bool
	first   int // the rank that closed before all others, once one has
	here    int // ranks that wait in this round
	round   int
}

type member struct {
	*group
	rank int
}

func (m *member) Rank() int { return m.rank }
func (m *member) Size() int { return len(m.calls) }

func (m *member) Do(c Call) error {
	g := m.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := m.open(c.Collective.String()); err != nil {
		return err
	}
	g.calls[m.rank] = c
	g.headers[m.rank], g.faults[m.rank] = newHeader(c, m.rank, len(g.calls))
	g.here++
	if g.here == len(g.calls) {
		g.meet()
		return g.faults[m.rank]
	}
	for round := g.round; round == g.round; {
		if err := m.open(c.Collective.String()); err != nil {
			return err
		}
		g.met.Wait()
	}
	return g.faults[m.rank]
}

// open returns an error unless this rank and all others take part in the run.
func (m *member) open(call string) error {
	if m.closed[m.rank] {
		return fmt.Errorf("comm.%s: this rank, %d, has %w its Comm", call, m.rank, ErrClosed)
	}
	if m.first >= 0 {
		return fmt.Errorf("comm.%s: rank %d waits for rank %d, which has %w its Comm", call, m.rank,
			m.first, ErrClosed)
	}
	return nil
}

// meet carries out the calls of all ranks, or gives each its error.
func (g *group) meet() {
	err := compare(g.headers)
	for r, h := range g.headers {
		if h[1] == refused {
			err = fmt.Errorf("comm: rank %d refused its call: %w", r, g.faults[r])
			break
		}
	}
	if err == nil {
		xs, dsts := make([]any, len(g.calls)), make([]any, len(g.calls))
		for r, c := range g.calls {
			xs[r], dsts[r] = c.X, c.Dst
		}
		counts, _ := g.calls[0].Check(0, len(g.calls))
		each(g.calls[0], counts, xs, dsts)
	}
	for r := range g.faults {
		if g.faults[r] == nil {
			g.faults[r] = err
		}
	}
	clear(g.calls)
	g.here = 0
	g.round++
	g.met.Broadcast()
}

func (m *member) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed[m.rank] {
		return fmt.Errorf("comm.Close: this rank, %d, has %w its Comm", m.rank, ErrClosed)
	}
	m.end()
	return nil
}

// leave closes the Comm unless the rank did.
func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
}

func (m *member) end() {
	m.closed[m.rank] = true
	if m.first < 0 {
		m.first = m.rank
	}
	m.met.Broadcast()
}
