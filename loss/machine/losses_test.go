package machine_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// operand returns a value that lies in a domain.
func operand(r *rand.Rand, d loss.Domain, dt tensor.Dtype, rows, classes int) *tensor.Dense {
	switch d {
	case loss.Labels, loss.LabelsOrSoft:
		labels := make([]int, rows)
		for i := range labels {
			labels[i] = r.IntN(classes)
		}
		return tensor.New(tensor.WithShape(rows), tensor.WithBacking(labels))
	case loss.ClassLists:
		var lists []int
		for range rows {
			lists = append(lists, r.Perm(classes)...)
		}
		return tensor.New(tensor.WithShape(rows, classes), tensor.WithBacking(lists))
	}
	// Rows that are distributions suit all other domains but two.
	x := make([]float64, rows*classes)
	for row := range slices.Chunk(x, classes) {
		sum := 0.0
		for i := range row {
			row[i] = 0.1 + r.Float64()
			sum += row[i]
		}
		for i := range row {
			row[i] /= sum
			switch d {
			case loss.LogProbabilities, loss.NonPositive:
				row[i] = math.Log(row[i])
			case loss.Signs, loss.SignFlags:
				row[i] = math.Copysign(1, r.Float64()-0.5)
			}
		}
	}
	if dt == tensor.Float64 {
		return tensor.New(tensor.WithShape(rows, classes), tensor.WithBacking(x))
	}
	narrow := make([]float32, len(x))
	for i, v := range x {
		narrow[i] = float32(v)
	}
	return tensor.New(tensor.WithShape(rows, classes), tensor.WithBacking(narrow))
}

// TestEveryLossEqualsTheTapeMachine runs every registered loss of two operands three times, with
// its gradient by the prediction and with the memory of results kept.
func TestEveryLossEqualsTheTapeMachine(t *testing.T) {
	const rows, classes = 4, 6
	tested := 0
	for name, fn := range loss.All() {
		info, _ := loss.Describe(name)
		if info.Grouped || info.Requires != nil {
			continue // TestGroupBits of package loss
		}
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			var want []string
			for _, on := range []string{"tape", "machine"} {
				r := rand.New(rand.NewPCG(1, 2)) // the same numbers on both
				g := G.NewGraph()
				leaf := func(name string, d loss.Domain) *G.Node {
					v := operand(r, d, dt, rows, classes)
					return G.NewTensor(g, v.Dtype(), v.Dims(), G.WithName(name), G.WithShape(v.Shape()...), G.WithValue(v))
				}
				pred := leaf("pred", info.Pred)
				cost, err := fn(pred, leaf("target", info.Target), loss.WithBufferReuse())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				grads, err := loss.Gradients(cost, pred)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				results := make([]G.Value, 2)
				G.Read(cost, &results[0])
				G.Read(grads[0], &results[1])
				var vm G.VM
				if on == "tape" {
					vm = G.NewTapeMachine(g)
				} else {
					vm = newMachine(t, g, machine.WithOutputs(), machine.WithBufferReuse())
				}
				var got []string
				for range 3 {
					if err := G.Let(pred, operand(r, info.Pred, dt, rows, classes)); err != nil {
						t.Fatal(err)
					}
					if err := vm.RunAll(); err != nil {
						t.Fatalf("%s of %v: %v", name, dt, err)
					}
					vm.Reset()
					got = append(got, bits(results[0]), bits(results[1]))
				}
				vm.Close()
				if on == "tape" {
					want = got
				} else if !slices.Equal(got, want) {
					t.Errorf("%s of %v gives %.200q, on the TapeMachine %.200q", name, dt, got, want)
				}
				tested++
			}
		}
	}
	if tested == 0 {
		t.Error("no losses")
	}
}

// The machine itself allocates nothing: a run costs what its operations cost.
func TestRunsDoNotAllocate(t *testing.T) {
	g, x := vector()
	constant := tensor.New(tensor.WithShape(2), tensor.Of(tensor.Float64))
	G.Must(G.ApplyOp(&function{"constant", func(G.Value) (G.Value, error) { return constant, nil }}, x))
	for name, m := range map[string]*machine.Machine{"empty": newMachine(t, G.NewGraph()), "one operation": newMachine(t, g)} {
		if n := testing.AllocsPerRun(100, func() { run(t, m) }); n != 0 {
			t.Errorf("%s: %v allocations a run", name, n)
		}
	}
}
