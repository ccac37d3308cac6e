package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// sequenceWide are those of other than two operands.
var sequenceLosses, sequenceWide = []entry(nil), []*core.Definition(nil)
