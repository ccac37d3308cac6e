package gradcheck

import (
	"fmt"
	"slices"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	// localTime bounds the search for the operation at fault.
	localTime = 2 * time.Second
	// localSample is the number of elements of each operand that the search looks at.
	localSample = 32
)

// localise checks every operation of a function that failed by itself, at the operands that it has
// in the graph, and names those whose own derivative is wrong.
func (k *checker) localise() {
	if k.local || !k.compared {
		return
	}
	for _, j := range k.grads {
		var failed []*Summary
		for n := range k.report.Summaries {
			s := &k.report.Summaries[n]
			if s.Pass == j.pass && s.Order == 1 && disagreements(s) > 0 {
				failed = append(failed, s)
			}
		}
		if len(failed) == 0 {
			continue
		}
		for _, c := range k.blame(j.pass) {
			for _, s := range failed {
				s.Causes = append(s.Causes, c)
			}
		}
	}
}

// disagreements counts the elements in which a pass gave a number, and not the right one.
func disagreements(s *Summary) int { return s.Count[Wrong] + s.Count[Zero] + s.Count[NaN] }

// blame lists the operations whose derivative is wrong by itself.
func (k *checker) blame(p Pass) []string {
	f := k.differ.f
	if err := f.run(); err != nil || len(f.steps) == 0 {
		return nil
	}
	others := f.steps
	if !k.dtype.Eq(f.inst.dtype) {
		inst, err := k.instance(k.dtype)
		if err != nil {
			return nil
		}
		g, err := newFunction(inst, inst.out)
		if err != nil || len(g.steps) != len(f.steps) {
			return nil
		}
		others = g.steps
	}
	deadline := time.Now().Add(localTime)
	var out []string
	sure := true
	for s := range f.steps {
		if time.Now().After(deadline) {
			sure = false
			break
		}
		text, ok := k.tryStep(p, &f.steps[s], &others[s])
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
		sure = sure && ok
	}
	if len(out) == 0 && sure && len(f.steps) > 1 {
		return []string{"each operation's derivative is right by itself: the pass puts them together wrongly"}
	}
	return out
}

// tryStep checks one operation; ok says that the check could be made.
func (k *checker) tryStep(p Pass, own, other *step) (text string, ok bool) {
	op, isSD := own.op.(G.SDOp)
	if !isSD {
		return "", p == Lisp
	}
	differentiable := op.DiffWRT(len(own.in))
	f := k.differ.f
	var inputs []Input
	any := false
	for a, slot := range own.in {
		v, err := G.CloneValue(f.values[slot])
		if err != nil {
			return "", false
		}
		in := Input{Name: fmt.Sprintf("operand %d", a), Value: v, Data: a >= len(differentiable) || !differentiable[a]}
		any = any || isFloat(v.Dtype()) && !in.Data
		inputs = append(inputs, in)
	}
	if own.node.IsScalar() != (len(f.values[own.out].Shape()) == 0) {
		return "", false
	}
	if !any || !isFloat(f.values[own.out].Dtype()) {
		return "", true
	}
	build := func(_ *G.ExprGraph, dt tensor.Dtype, in G.Nodes) (*G.Node, error) {
		if dt.Eq(k.dtype) {
			return applied(other.op, other.node, in), nil
		}
		return applied(own.op, own.node, in), nil
	}
	// some scalar results cannot be multiplied on a LispMachine
	random := p != Lisp || !own.node.IsScalar()
	c := &config{dtype: k.dtype, passes: []Pass{p}, random: random, sample: localSample, seed: k.seed, local: true}
	sub, err := newChecker(c, source{build: build, native: k.native}, inputs)
	if err != nil {
		return "", false
	}
	defer sub.close()
	if err := sub.check(); err != nil {
		return "", false
	}
	for _, s := range sub.report.Summaries {
		if disagreements(&s) == 0 {
			continue
		}
		var worst Element
		for _, e := range sub.report.Worst(len(sub.report.Elements)) {
			if e.Input == s.Input && e.Failed() {
				worst = e
				break
			}
		}
		return fmt.Sprintf("operation %v: its own derivative by %s is wrong: %.6g instead of %.6g at %s", own.op, s.Input, worst.Analytic, worst.Numeric, indexText(worst.Index)), true
	}
	return "", len(sub.grads) == 1
}
