package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// embeddingWide are those of other than two operands.
var embeddingLosses, embeddingWide = []entry(nil), []*core.Definition(nil)
