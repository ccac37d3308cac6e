package optim

import (
	"fmt"
	"math"
	"path"
)

// A Group gives the parameters whose names match a pattern a rate and a decay of their own. The
// first group of a list that matches a name counts; a parameter that none matches has the
// optimizer's own settings.
type Group struct {
	// Match is a pattern in the form of path.Match: "*.bias", "embedding.*".
	Match string
	// Scale multiplies the learning rate, > 0; 0 means 1.
	Scale float64
	// Decay replaces the optimizer's decoupled weight decay, >= 0; 0 means no decay.
	Decay float64
	// Frozen keeps the parameters as they are.
	Frozen bool
}

// CheckGroups returns an error when a group's pattern or numbers are invalid, or when it is the
// first match of none of names.
func CheckGroups(groups []Group, names []string) error {
	for i, g := range groups {
		if _, err := path.Match(g.Match, ""); err != nil {
			return fmt.Errorf("optim: group %d has pattern %q: %w", i, g.Match, err)
		}
		if !(g.Scale >= 0) || math.IsInf(g.Scale, 1) || !(g.Decay >= 0) || math.IsInf(g.Decay, 1) {
			return fmt.Errorf("optim: group %d (%q) has scale %v and decay %v, want finite numbers >= 0", i, g.Match, g.Scale, g.Decay)
		}
	}
	used := make([]bool, len(groups))
	for _, name := range names {
		if i := find(groups, name); i >= 0 {
			used[i] = true
		}
	}
	for i, ok := range used {
		if !ok {
			return fmt.Errorf("optim: group %d (%q) is the first match of no parameter; the parameters are %q", i, groups[i].Match, names)
		}
	}
	return nil
}

func find(groups []Group, name string) int {
	for i, g := range groups {
		if ok, err := path.Match(g.Match, name); err == nil && ok {
			return i
		}
	}
	return -1
}

// GroupOf returns the rate's factor and the decay of a parameter, and whether it is frozen.
func GroupOf(groups []Group, name string, decay float64) (scale, ownDecay float64, frozen bool) {
	i := find(groups, name)
	if i < 0 {
		return 1, decay, false
	}
	g := groups[i]
	if g.Scale == 0 {
		g.Scale = 1
	}
	return g.Scale, g.Decay, g.Frozen
}
