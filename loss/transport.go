package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// transportWide are those of other than two operands.
var transportLosses, transportWide = []entry(nil), []*core.Definition(nil)
