package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// scoreWide are those of other than two operands.
var scoreLosses, scoreWide = []entry(nil), []*core.Definition(nil)
