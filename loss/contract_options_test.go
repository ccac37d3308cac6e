package loss_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A loss refuses the options that it does not take, names itself and the option, and leaves nothing
// in the graph.
func TestContractForeignOptions(t *testing.T) {
	for _, c := range append(lossContenders(t), nodeContenders()...) {
		p := newProblem(&c, []int{4, 3}, 1, loss.Real)
		for _, s := range settings {
			if c.has(s.option) {
				continue
			}
			b := (&goldenCase{of: &c, dtype: tensor.Float64, labels: tensor.Int, lay: contiguous, shape: p.shape, axis: 1}).operandsOf(p)
			b.opts = append(b.opts, s.make(b))
			before := len(b.g.AllNodes())
			_, err := c.call(b.in, b.opts...)
			name := map[bool]string{true: "CrossEntropy", false: c.name}[c.name == "ZTerm"]
			if !errors.Is(err, loss.ErrOption) || !strings.HasPrefix(err.Error(), "loss."+name+": "+s.option) {
				t.Errorf("%s, %s: error %v, want an ErrOption that names the loss and the option", c.title(), s.name, err)
			}
			if after := len(b.g.AllNodes()); after != before {
				t.Errorf("%s, %s: a refused call left %d nodes in the graph", c.title(), s.name, after-before)
			}
		}
	}
}

// The same call twice is one node, and of the settings of an option at most one is what the loss
// does anyway.
func TestContractNodes(t *testing.T) {
	for _, c := range lossContenders(t) {
		p := newProblem(&c, []int{4, 3}, 1, loss.Real)
		b := (&goldenCase{of: &c, dtype: tensor.Float64, labels: tensor.Int, lay: contiguous, shape: p.shape, axis: 1}).operandsOf(p)
		seen := make(map[*G.Node]string)
		defaults, err := c.call(b.in, b.opts...)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := c.call(b.in, b.opts...); again != defaults {
			t.Errorf("%s: the same loss twice is two nodes", c.title())
		}
		tried, standard := make(map[string]int), make(map[string]int)
		for _, s := range settings {
			if !c.has(s.option) || s.name == "zeroweights" { // the same node as weights, until its values are read
				continue
			}
			opt := s.make(b)
			n, err := c.call(b.in, append(slices.Clone(b.opts), opt)...)
			if err != nil {
				continue // a value that this loss refuses
			}
			if other, dup := seen[n]; dup {
				t.Errorf("%s: %s and %s are one node", c.title(), s.name, other)
			}
			if n == defaults {
				t.Logf("%s: %s is the default", c.title(), s.name)
				standard[s.option]++
			}
			tried[s.option]++
			if again, _ := c.call(b.in, append(slices.Clone(b.opts), opt)...); again != n {
				t.Errorf("%s: %s twice is two nodes", c.title(), s.name)
			}
			seen[n] = s.name
		}
		for option, n := range standard {
			if n > 1 || tried[option] == 1 {
				t.Errorf("%s: %d of %d settings of %s are the node of the defaults", c.title(), n, tried[option], option)
			}
		}
		if len(tried) < 3 {
			t.Errorf("%s: only %v were tried", c.title(), tried)
		}
	}
}

// A loss that is registered is in this contract, whatever the number of its operands.
func TestContractIsComplete(t *testing.T) {
	have := make(map[string]int)
	for _, c := range lossContenders(t) {
		have[c.name]++
	}
	if len(have) < 69 { // as many as there were when this was written
		t.Errorf("only %d losses", len(have))
	}
	for _, f := range loss.Families() {
		for _, name := range f.Losses {
			if info, _ := loss.Describe(name); have[name] == 0 && !info.Node && !info.Product && !info.Grouped && info.Requires == nil {
				t.Errorf("%s is not in the contract", name)
			}
			delete(have, name)
		}
	}
	if len(have) > 0 {
		t.Errorf("not registered: %v", have)
	}
}
