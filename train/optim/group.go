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
	// L2 replaces the λ of the optimizer's [WithL2], >= 0; 0 means none. Any optimizer follows it.
	L2 float64
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
		for _, v := range []float64{g.Scale, g.Decay, g.L2} {
			if !(v >= 0) || math.IsInf(v, 1) {
				return fmt.Errorf("optim: group %d (%q) has scale %v, decay %v and L2 %v, want finite numbers >= 0",
					i, g.Match, g.Scale, g.Decay, g.L2)
			}
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
			return fmt.Errorf("optim: group %d (%q) is the first match of no parameter; the parameters are %q", i,
				groups[i].Match, names)
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

// GroupOf returns the settings of a parameter: those of the first group that matches its name, with
// a Scale that is never 0, or the optimizer's.
func GroupOf(groups []Group, name string, o Optimizer) Group {
	i := find(groups, name)
	if i < 0 {
		return Group{Scale: 1, Decay: o.Decay(), L2: o.L2()}
	}
	g := groups[i]
	if g.Scale == 0 {
		g.Scale = 1
	}
	return g
}
