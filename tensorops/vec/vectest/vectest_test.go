package vectest

import (
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

func TestEach(t *testing.T) {
	before := vec.Active()
	var seen []vec.Level
	Each(t, func(*testing.T) { seen = append(seen, vec.Active()) })
	if !slices.Equal(seen, vec.Available()) {
		t.Errorf("ran at %v, want %v", seen, vec.Available())
	}
	if vec.Active() != before {
		t.Errorf("level is %v afterwards, want %v", vec.Active(), before)
	}
}

func TestAt(t *testing.T) {
	before := vec.Active()
	func() {
		defer func() { _ = recover() }()
		At(vec.Generic, func() {
			if vec.Active() != vec.Generic {
				t.Errorf("level is %v, want generic", vec.Active())
			}
			panic("as a test that fails may")
		})
	}()
	if vec.Active() != before {
		t.Errorf("level is %v after a panic, want %v", vec.Active(), before)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a level that does not exist")
		}
	}()
	At(vec.Levels, func() {})
}

func TestMissing(t *testing.T) {
	for required, want := range map[string][]string{
		"": nil, "generic": nil, "avx2,generic": {"avx2"}, "avx2,avx9,": {"avx2", "avx9"},
	} {
		if got := missing(required, []vec.Level{vec.Generic}); !slices.Equal(got, want) {
			t.Errorf("missing(%q) = %v, want %v", required, got, want)
		}
	}
}
