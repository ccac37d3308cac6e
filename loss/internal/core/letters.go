package core

import (
	"slices"
	"strconv"
	"strings"
)

// letters are the lengths of axes by their letters.
type letters struct {
	n    [128]int // 0: not known
	rest Shape    // the axes of "*"
	// starred reports whether rest is known.
	starred bool
	axis    int // of the classes, where an option moves it
	moves   bool
}

// shape is what a pattern stands for that is not an operand's: the class axis has its place in it.
func (l *letters) shape(pattern string) (s Shape) {
	for _, c := range []byte(strings.ReplaceAll(pattern, " ", "")) {
		if c == '*' {
			s = append(s, l.rest...)
		} else {
			s = append(s, l.n[c])
		}
	}
	return s
}

// at is the class axis among rank axes.
func (l *letters) at(rank int) int {
	if l.axis < 0 {
		return l.axis + rank
	}
	return l.axis
}

// order returns the letters of the axes of an operand of a rank, with '*' for each axis of "*"; nil
// for a pattern that does not have the rank.
func (l *letters) order(pattern string, rank int) (out []byte) {
	pattern = strings.ReplaceAll(pattern, " ", "")
	class := l.moves && strings.Contains(pattern, "C")
	if class {
		pattern = strings.Replace(pattern, "C", "", 1)
		if rank--; l.at(rank+1) < 0 || l.at(rank+1) > rank {
			return nil
		}
	}
	stars := rank - len(pattern) + strings.Count(pattern, "*")
	if stars < 0 || stars > 0 && !strings.Contains(pattern, "*") {
		return nil
	}
	out = make([]byte, 0, len(pattern)+stars)
	for _, c := range []byte(pattern) {
		if c == '*' {
			out = append(out, slices.Repeat([]byte{'*'}, stars)...)
		} else {
			out = append(out, c)
		}
	}
	if class {
		out = slices.Insert(out, l.at(rank+1), 'C')
	}
	return out
}

// bindLetters checks operands whose axes are named by letters.
func (b *Bound) bindLetters(operands []Given) error {
	d := b.Def
	l := &letters{axis: b.Set.Axis, moves: d.Takes.Has(OptAxis)}
	if d.Grouped != nil {
		b.grouped = newGrouped(b, operands[0])
	}
	for k, o := range d.Operands {
		if !o.Option.None() && !b.Set.Has(o.Option) {
			continue
		}
		g := operands[0]
		operands = operands[1:]
		b.places = append(b.places, k)
		name, pattern := o.Name, o.Shape
		if b.grouped != nil {
			pattern = b.grouped.choose(k, l, len(g.Shape))
		}
		integer := o.Holds.integer() || o.Holds.takes(g.DType)
		switch {
		case o.Holds.integer() && !g.DType.IsInteger():
			return Faultf(ErrDType, d.Name, "%s %s dtype %v, want Int, Int64, Int32 or Uint8", name, hasVerb(name), g.DType)
		case integer && o.Holds.TakesLabels():
			if o.Holds == LabelsOrSoft {
				name = "labels"
			}
			pattern = strings.Join(strings.Fields(strings.Replace(pattern, "C", "", 1)), " ")
		case integer:
		case k == 0:
			if b.DType = g.DType; !b.DType.IsFloat() {
				return Faultf(ErrDType, d.Name, "%s %s dtype %v, want float32 or float64", name, hasVerb(name), g.DType)
			}
		case g.DType != b.DType:
			or := ""
			switch {
			case o.Holds.TakesLabels():
				or = ", or Int, Int64, Int32 or Uint8 labels"
			case o.Holds == Relations:
				or = ", or Bool, Int, Int64, Int32 or Uint8"
			case o.Holds.maybeInteger():
				or = ", or Int, Int64, Int32 or Uint8"
			}
			return Faultf(ErrDType, d.Name, "%s %s dtype %v, want %v like %s%s", name, hasVerb(name), g.DType, b.DType, d.Operands[0].Name, or)
		}
		if err := b.unify(l, k, name, pattern, g.Shape); err != nil {
			return err
		}
		if integer {
			if len(b.Integers) == 0 {
				b.Labels = g.DType
			}
			b.integer[len(b.Integers)] = k
			b.Integers = append(b.Integers, Given{slices.Clone(g.Shape), g.DType})
			continue
		}
		if o.Holds.TakesLabels() && b.Set.Has(OptIgnoreIndex) {
			return Faultf(ErrOption, d.Name, "WithIgnoreIndex needs integer labels, %s has dtype %v", name, g.DType)
		}
		b.operand[b.Floats], b.shapes[b.Floats] = k, slices.Clone(g.Shape)
		b.Domain[b.Floats] = d.holds(&b.Set, k).soft()
		b.Floats++
	}
	b.Shape = b.shapes[0]
	if b.grouped != nil {
		return b.grouped.bind(b, l)
	}
	b.Values = Shape{l.n['N']}
	b.Dims = Dims{Rows: l.n['N'], Cols: l.n['C'], Inner: 1, Classes: l.n['C'], Stride: 1}
	return b.checkEmpty(l.n['C'])
}

// unify checks the shape of the operand in place k against letters and gives those that are new
// their lengths.
func (b *Bound) unify(l *letters, k int, name, pattern string, s Shape) error {
	order := l.order(pattern, len(s))
	fits := order != nil
	for i, c := range order {
		if n := l.n[c]; c != '*' && n != 0 {
			fits = fits && s[i] == n
		}
	}
	var rest Shape
	for i, c := range order {
		if c == '*' {
			rest = append(rest, s[i])
		}
	}
	if order != nil && l.starred && strings.Contains(pattern, "*") {
		fits = fits && rest.Equal(l.rest)
	}
	want, match := b.wanted(l, pattern)
	switch {
	case !fits && match == nil:
		return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want %s", name, hasVerb(name), s, want)
	case !fits:
		return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want %s to match %s", name, hasVerb(name), s, want, strings.Join(match, " and "))
	case s.Size() == 0 && !b.emptyClasses(order, s):
		return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want no empty axis", name, hasVerb(name), s)
	}
	for i, c := range order {
		if n := l.n[c]; c != '*' && n != 0 && n != s[i] { // a letter twice in one pattern
			return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want %s with equal axes %c", name, hasVerb(name), s, want, c)
		} else if c != '*' {
			l.n[c] = s[i]
		}
	}
	if strings.Contains(pattern, "*") && !l.starred {
		l.rest, l.starred = rest, true
	}
	return nil
}

// emptyClasses reports whether the class axis alone is empty, of a rank that has no class; order are
// the letters of the axes.
func (b *Bound) emptyClasses(order []byte, s Shape) bool {
	if !b.Set.Sharded() {
		return false
	}
	for i, c := range order {
		if (s[i] == 0) != (c == 'C') {
			return false
		}
	}
	return true
}

// checkEmpty makes sure that all operands have no class where one has none.
func (b *Bound) checkEmpty(classes int) error {
	for k := range b.Floats {
		o := b.Def.Operands[b.operand[k]]
		if at := slices.Index(strings.Fields(o.Shape), "C"); at >= 0 && b.shapes[k][at] != classes {
			return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want %d classes as other operands have", o.Name, hasVerb(o.Name), b.shapes[k], classes)
		}
	}
	return nil
}

// wanted words the shape that a pattern stands for, and names the operands that fix its letters.
func (b *Bound) wanted(l *letters, pattern string) (want string, match []string) {
	var parts []string
	class, added := "", strings.ReplaceAll(pattern, " ", "")
	for _, c := range []byte(added) {
		text, known := string(c), l.n[c] != 0
		switch {
		case c == '*' && !l.starred:
			text = "..."
		case c == '*':
			text, known = strings.Trim(l.rest.String(), "()"), true
		case known:
			text = strconv.Itoa(l.n[c])
		}
		if known {
			for k, o := range b.Def.Operands { // the first operand that has the letter
				if b.grouped != nil {
					o.Shape = b.grouped.pattern(k)
				}
				if strings.IndexByte(o.Shape, c) >= 0 {
					if !slices.Contains(match, o.Name) {
						match = append(match, o.Name)
					}
					break
				}
			}
		}
		switch {
		case c == 'C' && l.moves:
			class = text
		case text != "":
			parts = append(parts, text)
		}
	}
	if class != "" {
		parts = slices.Insert(parts, min(max(0, l.at(len(parts)+1)), len(parts)), class)
	}
	return "(" + strings.Join(parts, ", ") + ")", match
}
