package tensorops

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pool is a set of goroutines that help with one task at a time.
//
// A task is offered in the slot. A helper announces itself in the task's count of helpers and then
// looks whether the task is still in the slot: only if so may it read the task. The caller takes
// the task out of the slot when no range is left and waits until the count is 0, after which nobody
// reads the task and it can be used again.
type pool struct {
	slot    atomic.Pointer[task]
	started atomic.Int32 // helpers that exist
	asleep  atomic.Int32 // helpers that wait for a token, or are about to
	tokens  chan struct{}
	tasks   sync.Pool
}

// maxHelpers bounds the helpers whatever GOMAXPROCS says.
const maxHelpers = 1024

var helpers = pool{
	tokens: make(chan struct{}, maxHelpers),
	tasks:  sync.Pool{New: func() any { return new(task) }},
}

// task is work on [0, n) in ranges of grain.
type task struct {
	work             ranger
	n, grain, chunks int
	limit            int32        // helpers that may join
	offer            atomic.Int64 // number of this use of the task
	next             atomic.Int64 // ranges handed out
	helping          atomic.Int32 // helpers that announced themselves
	failed           atomic.Pointer[string]
}

// share runs the work on the caller's goroutine and workers - 1 helpers. It returns false, and does
// nothing, while the helpers serve another call.
func (p *pool) share(work ranger, n, grain, chunks, workers int) bool {
	t := p.tasks.Get().(*task)
	t.work, t.n, t.grain, t.chunks, t.limit = work, n, grain, chunks, int32(min(workers-1, maxHelpers))
	t.next.Store(0)
	t.failed.Store(nil)
	t.offer.Add(1)
	if !p.slot.CompareAndSwap(nil, t) {
		t.work = nil
		p.tasks.Put(t)
		return false
	}
	p.wake(t.limit)
	t.run()
	p.slot.Store(nil)
	for i := 0; t.helping.Load() > 0; i++ {
		if i > 100 {
			runtime.Gosched()
		}
	}
	failed := t.failed.Load()
	t.work = nil
	p.tasks.Put(t)
	if failed != nil {
		panic(*failed)
	}
	return true
}

// wake sees to it that n helpers are awake or being woken.
func (p *pool) wake(n int32) {
	for have := p.started.Load(); have < n; have = p.started.Load() {
		if p.started.CompareAndSwap(have, have+1) {
			go p.help()
		}
	}
	for range min(n, p.asleep.Load()) {
		select {
		case p.tokens <- struct{}{}:
		default: // as many tokens as helpers are under way
		}
	}
}

// spinTime is how long a helper looks for new work before it sleeps. To wake it costs several
// microseconds.
const spinTime = 20 * time.Microsecond

// help is a helper's life. It remembers the offer that had nothing left for it, so as not to ask
// again.
func (p *pool) help() {
	var seen *task
	var seenOffer int64
	isNew := func(t *task) bool { return t != nil && (t != seen || t.offer.Load() != seenOffer) }
	for {
		for idle := time.Now(); time.Since(idle) < spinTime; {
			for range 64 {
				t := p.slot.Load()
				if !isNew(t) {
					continue
				}
				offer := t.offer.Load()
				if p.join(t) {
					idle = time.Now()
				}
				seen, seenOffer = t, offer
			}
		}
		p.asleep.Add(1)
		if !isNew(p.slot.Load()) {
			<-p.tokens
		}
		p.asleep.Add(-1)
	}
}

// join works on t while it is offered and has ranges left, and reports whether it computed one.
func (p *pool) join(t *task) bool {
	worked := false
	if t.helping.Add(1) <= t.limitIfOffered(p) && t.next.Load() < int64(t.chunks) {
		t.run()
		worked = true
	}
	t.helping.Add(-1)
	return worked
}

// limitIfOffered returns the number of helpers that may work on t: 0 when it is in the slot no
// more, in which case none of its fields but the atomic ones may be read.
func (t *task) limitIfOffered(p *pool) int32 {
	if p.slot.Load() != t {
		return 0
	}
	return t.limit
}

// run takes ranges until none is left.
func (t *task) run() {
	defer func() {
		if r := recover(); r != nil {
			s := fmt.Sprint(r)
			t.failed.CompareAndSwap(nil, &s)
		}
	}()
	for {
		i := int(t.next.Add(1)) - 1
		if i >= t.chunks {
			return
		}
		t.work.run(i*t.grain, min((i+1)*t.grain, t.n))
	}
}
