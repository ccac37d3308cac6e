package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// preferenceWide are those of other than two operands.
var preferenceLosses, preferenceWide = []entry(nil), []*core.Definition(nil)
