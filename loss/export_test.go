package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

// NewOldLogProb and NewRefLogProb give GRPO its arguments that may be nil, for tests that call it by
// its description.
func NewOldLogProb(n *G.Node) Option { return operand(core.OptOldLogProb, n) }
func NewRefLogProb(n *G.Node) Option { return operand(core.OptRefLogProb, n) }
