package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// sequenceWide are those of other than two operands.
var (
	sequenceLosses []entry
	sequenceWide   = []*core.Definition{&ctc, &ctcFromLogProb, &linearChainCRF, &rnnt, &rnntAdditive}
)

// WithBlank sets the class of the blank: a class, or -1 for the last one. Default 0.
func WithBlank(class int) Option { return integer(core.OptBlank, class) }

// WithZeroInfinity makes the value of a row whose labels are impossible 0 instead of +Inf. The row
// still counts in the denominator of the mean.
func WithZeroInfinity() Option { return core.OptZeroInfinity.Flag }

// WithStrict makes a row whose labels are impossible an error when the graph runs, whatever
// [WithZeroInfinity] says. The error names the row.
func WithStrict() Option { return core.OptStrict.Flag }

// alignmentOptions are the options of losses that sum over alignments.
var alignmentOptions = core.Options(core.ReduceOptions, core.OptBlank, core.OptZeroInfinity, core.OptStrict)

// bindBlank checks that the blank is a class.
func bindBlank(s *core.Settings, d *core.GroupDims) error {
	if s.Sequence.Blank >= d.Len('C') {
		return fmt.Errorf("WithBlank is %d, want a class below %d, or -1 for the last", s.Sequence.Blank, d.Len('C'))
	}
	return nil
}

// blankOf returns the class of the blank.
func blankOf(s *core.Settings, d *core.GroupDims) int {
	if s.Sequence.Blank < 0 {
		return d.Len('C') - 1
	}
	return s.Sequence.Blank
}

// lengthOf returns the length of the row that an operand gives, at most limit.
func lengthOf(g *core.Group, place int, name string, limit int) (int, error) {
	n := g.Int[place][0]
	if n > limit {
		return 0, g.Errorf("%s is %d at row %d, want at most %d", name, n, g.Index, limit)
	}
	return n, nil
}

// labelsOf returns the first n integers of operand 1 or another, which are classes but the blank.
// blank -1: there is none.
func labelsOf(g *core.Group, place int, name string, n, classes, blank int) ([]int, error) {
	labels := g.Int[place][:n]
	for k, label := range labels {
		switch {
		case label < 0 || label >= classes:
			return nil, g.Errorf("%s %d of row %d is %d, want one in [0, %d)", name, k, g.Index, label, classes)
		case label == blank:
			return nil, g.Errorf("%s %d of row %d is %d, which is the blank", name, k, g.Index, label)
		}
	}
	return labels, nil
}

// impossible gives the row the value of impossible labels; its derivatives are the caller's.
func impossible(g *core.Group, s *core.Settings, why string, args ...any) error {
	v := math.Inf(1)
	switch {
	case s.Sequence.Strict:
		return g.Errorf("row %d is impossible: %s", g.Index, fmt.Sprintf(why, args...))
	case s.Sequence.ZeroInfinity:
		v = 0
	}
	if g.Value != nil {
		g.Value[0] = v
	}
	return nil
}
