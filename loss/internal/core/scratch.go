package core

// A scratch hands out memory that belongs to a function until it returns.
type scratch[T any] struct {
	memory []T
	used   int
}

// take returns n elements with arbitrary content.
func (s *scratch[T]) take(n int) []T {
	if s.used+n > len(s.memory) {
		// Slices handed out earlier stay valid: they keep the old array. The new one has their room
		// too, so that it suffices for all the next time.
		s.memory = make([]T, max(2*len(s.memory), s.used+n))
	}
	t := s.memory[s.used : s.used+n : s.used+n]
	s.used += n
	return t
}

// free is the scratch with all of its memory to hand out again.
func (s scratch[T]) free() scratch[T] { return scratch[T]{memory: s.memory} }
