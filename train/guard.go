package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
)

// A NonFiniteError reports a loss or a gradient that is NaN or infinite. The parameters are as they
// were before the step.
type NonFiniteError struct {
	Step  int     // the update that was not made, from 1
	Epoch int     // from 1
	Rows  []int   // the rows of the batch, by their index in the dataset
	What  string  // "loss", `term "NAME" of the loss` or "gradient of NAME"
	Value float64 // NaN or an infinity
	Node  string  // the first node of the graph with such a value, operands before results; "" where it was not found
}

// Error names what is not finite, where and since which node.
func (e *NonFiniteError) Error() string {
	text := fmt.Sprintf("%s is %v at step %d (epoch %d, rows %s)", e.What, e.Value, e.Step, e.Epoch, someRows(e.Rows))
	if e.Node != "" {
		text += "; the first node that is not finite is " + e.Node
	}
	return text
}

// someRows prints the first rows of a list and how many there are.
func someRows(rows []int) string {
	const shown = 8
	if len(rows) <= shown {
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(rows), "[]"), " ", ", ")
	}
	return fmt.Sprintf("%s, ... (%d rows)", strings.ReplaceAll(strings.Trim(fmt.Sprint(rows[:shown]), "[]"), " ", ", "), len(rows))
}

// nonFinite describes a loss that is not finite, after a look for where it began.
func (r *run) nonFinite(b *data.Batch, factor []float64) error {
	e := &NonFiniteError{Step: r.at.Step + 1, Epoch: r.at.Epoch, Rows: append([]int(nil), b.Rows...), What: "loss", Value: r.graph.loss()}
	for i, name := range r.graph.names {
		if v := first(r.graph.terms[i].cost); v-v != 0 {
			e.What, e.Value = fmt.Sprintf("term %q of the loss", name), v
			break
		}
	}
	node, err := r.firstBad(b, factor)
	if err == nil {
		e.Node = node
	}
	return e
}

// firstBad runs the forward graph again with a tap on every node and names the first, operands
// before results, whose value is not finite.
func (r *run) firstBad(b *data.Batch, factor []float64) (string, error) {
	fields := r.ds.Fields()
	f, err := build(r.net.model, fields.Inputs, r.net.params, r.net.dtype, r.graph.batch, true, r.cfg.Seed)
	if err != nil {
		return "", err
	}
	pr := &program{forward: f, summing: r.graph.summing}
	cost, err := pr.addLoss(purpose{objective: r.objective, fields: fields, sum: r.graph.summing})
	if err != nil {
		return "", err
	}
	var (
		nodes  G.Nodes // that can be looked at, operands before results
		values []data.Column
		roots  G.Nodes
	)
	for n := range loss.Walk(cost) {
		if n.Dtype() != f.dtype {
			continue
		}
		size := 1
		if n.Dims() > 0 {
			size = n.Shape().TotalSize()
		}
		v := f.buffer(size)
		t, err := tap(fmt.Sprintf("node %d", len(nodes)), n, v)
		if err != nil {
			return "", err
		}
		nodes, values, roots = append(nodes, n), append(values, v), append(roots, t)
	}
	if err := pr.start(roots); err != nil {
		return "", err
	}
	defer pr.close()
	if err := pr.load(b, factor); err != nil {
		return "", err
	}
	for _, n := range pr.noises {
		n.draw(r.cfg.Seed, r.at.Batches)
	}
	if err := pr.run(); err != nil {
		return "", err
	}
	for i, v := range values {
		if at := v.NonFinite(); at >= 0 {
			return describeValue(nodes[i], at, v), nil
		}
	}
	return "", nil
}

// describeValue is the text for a number of a node's value.
func describeValue(n *G.Node, at int, v data.Column) string {
	x := math.NaN()
	if v.F32 != nil {
		x = float64(v.F32[at])
	} else if v.F64 != nil {
		x = v.F64[at]
	}
	name := n.Name()
	if op := n.Op(); op != nil {
		name = fmt.Sprint(op)
	}
	return fmt.Sprintf("%q of shape %v (%v at element %d)", name, n.Shape(), x, at)
}
