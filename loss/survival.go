package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// survivalWide are those of other than two operands.
var survivalLosses, survivalWide = []entry(nil), []*core.Definition(nil)
