package comm

import "fmt"

// Local returns the Comm of a run of one rank.
func Local() Comm { return &local{} }

type local struct{ closed bool }

func (*local) Rank() int { return 0 }
func (*local) Size() int { return 1 }

func (l *local) Do(c Call) error {
	if l.closed {
		return fmt.Errorf("comm.%v: this rank has %w its Comm", c.Collective, ErrClosed)
	}
	counts, err := c.Check(0, 1)
	if err == nil {
		each(c, counts, []any{c.X}, []any{c.Dst})
	}
	return err
}

func (l *local) Close() error {
	if l.closed {
		return fmt.Errorf("comm.Close: this rank has %w its Comm", ErrClosed)
	}
	l.closed = true
	return nil
}
