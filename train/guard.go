package train

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
)

// A NonFiniteError reports a loss or a gradient that is NaN or infinite. The step did not change
// the parameters.
type NonFiniteError struct {
	Step  int     // the update that was not made, from 1
	Epoch int     // from 1; 0 in a custom loop
	Rows  []int   // the rows of the batch, by their index in the dataset
	What  string  // "loss", `term "NAME" of the loss` or "gradient of NAME"
	Value float64 // NaN or an infinity
	Node  string  // the first node of the graph with such a value, operands before results; "" where it was not found
}

// Error names the quantity, the step and the first node that is not finite.
func (e *NonFiniteError) Error() string {
	epoch := ""
	if e.Epoch > 0 {
		epoch = fmt.Sprintf("epoch %d, ", e.Epoch)
	}
	text := fmt.Sprintf("%s is %v at step %d (%srows %s)", e.What, e.Value, e.Step, epoch, someRows(e.Rows))
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
func (s *Step) nonFinite(b *data.Batch, factor []float64, index int) error {
	e := &NonFiniteError{Rows: append([]int(nil), b.Rows...), What: "loss", Value: s.graph.loss()}
	for i, name := range s.graph.names {
		if v := first(s.graph.terms[i].cost); v-v != 0 {
			e.What, e.Value = fmt.Sprintf("term %q of the loss", name), v
			break
		}
	}
	node, err := s.firstBad(b, factor, index)
	if err == nil {
		e.Node = node
	}
	return e
}

// firstBad runs the forward graph again and names the first node, operands before results, whose
// value is not finite.
func (s *Step) firstBad(b *data.Batch, factor []float64, index int) (node string, err error) {
	err = s.inspect(b, factor, index, func(n *G.Node, _ G.Nodes, v data.Column) {
		if at := v.NonFinite(); at >= 0 && node == "" {
			node = describeValue(n, at, v)
		}
	})
	return node, err
}

// inspect runs the forward graph on a batch with a tap on every node and shows their values,
// operands before results.
func (s *Step) inspect(b *data.Batch, factor []float64, index int, see func(n *G.Node, operands G.Nodes, v data.Column)) error {
	f, err := build(s.cfg.Model, s.cfg.Fields.Inputs, s.params, s.graph.batch, true)
	if err != nil {
		return err
	}
	pr := &program{forward: f, summing: s.graph.summing}
	cost, err := pr.addLoss(purpose{objective: s.cfg.Objective, fields: s.cfg.Fields, sum: s.graph.summing})
	if err != nil {
		return err
	}
	type tapped struct {
		node     *G.Node
		operands G.Nodes
		value    data.Column
	}
	var all []tapped
	var roots G.Nodes
	for n, operands := range loss.Walk(cost) {
		if _, length := n.Op().(G.DimSizer); length || n.Dtype() != f.dtype { // of an axis, for a broadcast
			continue
		}
		size := 1
		if n.Dims() > 0 {
			size = n.Shape().TotalSize()
		}
		v := f.buffer(size)
		t, err := tap(fmt.Sprintf("node %d", len(all)), n, v)
		if err != nil {
			return err
		}
		all, roots = append(all, tapped{n, operands, v}), append(roots, t)
	}
	if err := pr.start(roots); err != nil {
		return err
	}
	defer pr.close()
	if err := pr.load(b, factor); err != nil {
		return err
	}
	for _, n := range pr.noises {
		n.skip = s.skip * (n.buf.Len() / s.graph.batch)
		n.draw(s.params.seed, index)
	}
	if err := pr.run(context.Background()); err != nil {
		return err
	}
	for _, t := range all {
		see(t.node, t.operands, t.value)
	}
	return nil
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
