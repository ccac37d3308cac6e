package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// rows declares the operands of a loss with one value per row along the class axis.
func rows(first string, holds core.Domain, second string, target core.Domain) []core.Operand {
	shape := "* C"
	if target == core.Labels {
		shape = "*"
	}
	return []core.Operand{{Name: first, Holds: holds, Shape: "* C"}, {Name: second, Holds: target, Shape: shape}}
}

// elements declares the operands of a loss with one value per element.
func elements(first string, holds core.Domain, second string, target core.Domain) []core.Operand {
	return []core.Operand{{Name: first, Holds: holds, Shape: "*"}, {Name: second, Holds: target, Shape: "*"}}
}
