package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// contrastiveWide are those of other than two operands.
var contrastiveLosses, contrastiveWide = []entry(nil), []*core.Definition(nil)
