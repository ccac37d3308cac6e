package loss_test

import (
	"maps"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// converged builds cases of a loss at a threshold of rounding: the values of the files are converged
// and the default leaves 1e-9 of the mass.
func converged(s second) adapter {
	return func(b *refGraph) (*G.Node, error) {
		plain := s.build
		c := *b.c
		c.Options = maps.Clone(b.c.Options)
		c.Options["threshold"] = 1e-14
		b.c = &c
		return plain(b)
	}
}

func init() {
	options := map[string]func(any) loss.Option{"epsilon": numberOption(loss.WithEpsilon), "threshold": numberOption(loss.WithThreshold), "transport_cost": flagOption(loss.WithTransportCost), "power": numberOption(loss.WithPower)}
	nodes := map[string]func(*G.Node) loss.Option{
		"a": func(n *G.Node) loss.Option { return loss.WithMarginals(n, nil) }, "b": func(n *G.Node) loss.Option { return loss.WithMarginals(nil, n) }}
	maps.Copy(adapters, map[string]reference{
		"sinkhorn":            {converged(second{loss: "Sinkhorn", operands: []string{"cost"}, options: options, nodes: nodes}), tally{20, 18, 0, 2, 0, 11}},
		"sinkhorn_divergence": {converged(second{loss: "SinkhornDivergence", operands: []string{"x", "y"}, options: options, nodes: nodes}), tally{7, 7, 0, 0, 0, 4}},
	})
	exceptions = append(exceptions, exception{file: "sinkhorn", cases: `^(sums-differ|negative-weight)/`, why: "weights that are no distribution", refused: loss.ErrValue})
}
