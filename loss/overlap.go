package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// overlapWide are those of other than two operands.
var overlapLosses, overlapWide = []entry(nil), []*core.Definition(nil)
