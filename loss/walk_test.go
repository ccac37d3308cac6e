package loss_test

import (
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// walk collects what Walk yields.
func walk(roots ...*G.Node) (order G.Nodes, operands map[*G.Node]G.Nodes) {
	operands = make(map[*G.Node]G.Nodes)
	for n, in := range loss.Walk(roots...) {
		order = append(order, n)
		operands[n] = in
	}
	return order, operands
}

func checkOrder(t *testing.T, order G.Nodes, operands map[*G.Node]G.Nodes) {
	t.Helper()
	at := make(map[*G.Node]int)
	for i, n := range order {
		if _, twice := at[n]; twice {
			t.Errorf("%v comes twice", n)
		}
		at[n] = i
	}
	for n, in := range operands {
		for _, k := range in {
			if i, ok := at[k]; !ok || i >= at[n] {
				t.Errorf("%v comes at %d, its operand %v at %d", n, at[n], k, i)
			}
		}
	}
}

func TestWalkListsEachNodeOnceAfterItsOperands(t *testing.T) {
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float64, G.WithName("x"), G.WithShape(2, 2))
	y := G.NewMatrix(g, tensor.Float64, G.WithName("y"), G.WithShape(2, 2))
	square := G.Must(G.HadamardProd(x, x)) // an operand that occurs twice
	sum := G.Must(G.Add(square, y))
	cost := G.Must(G.Sum(sum))
	other := G.Must(G.Exp(square))
	unrelated := G.Must(G.Sqrt(y))

	order, operands := walk(cost, other, cost)
	checkOrder(t, order, operands)
	if want := (G.Nodes{x, square, y, sum, cost, other}); !slices.Equal(order, want) {
		t.Errorf("order is %v, want %v", order, want)
	}
	if want := (G.Nodes{x, x}); !slices.Equal(operands[square], want) {
		t.Errorf("operands of %v are %v, want %v", square, operands[square], want)
	}
	if slices.Contains(order, unrelated) {
		t.Errorf("%v is listed, which no root needs", unrelated)
	}
	if got := loss.Operands(cost)(square); !slices.Equal(got, operands[square]) {
		t.Errorf("Operands gives %v, Walk %v", got, operands[square])
	}
	if got := loss.Operands(cost)(other); got != nil {
		t.Errorf("Operands of a node that the root does not need are %v, want nil", got)
	}
}

func TestWalkStopsWhereTheLoopEnds(t *testing.T) {
	g := G.NewGraph()
	x := G.NewVector(g, tensor.Float64, G.WithName("x"), G.WithShape(2))
	y := G.Must(G.Exp(x))
	for n := range loss.Walk(y) {
		if n != x {
			t.Fatalf("the loop goes on with %v after its end", n)
		}
		break
	}
}

func TestWalkOfLeavesAndNothing(t *testing.T) {
	for _, roots := range []G.Nodes{nil, {nil}, {nil, nil}} {
		if order, _ := walk(roots...); order != nil {
			t.Errorf("Walk(%v) lists %v", roots, order)
		}
	}
	free := G.NewConstant(1.0) // belongs to no graph
	x := G.NewScalar(G.NewGraph(), tensor.Float64, G.WithName("x"))
	order, operands := walk(nil, free, x)
	if !slices.Equal(order, G.Nodes{free, x}) || len(operands[free])+len(operands[x]) != 0 {
		t.Errorf("Walk lists %v with operands %v", order, operands)
	}
}

// Gorgonia rewrites Log(1-x) and removes the nodes it replaces. ExprGraph.From then answers for the
// nodes behind them with the operands of others, and may panic.
func TestWalkAfterGorgoniaRemovedNodes(t *testing.T) {
	g := G.NewGraph()
	x := G.NewVector(g, tensor.Float64, G.WithName("x"), G.WithShape(3))
	y := G.NewVector(g, tensor.Float64, G.WithName("y"), G.WithShape(3))
	cross := G.Must(G.BinaryXent(G.Must(G.Sigmoid(x)), y))
	cost := G.Must(G.Sum(cross))
	order, operands := walk(cost)
	checkOrder(t, order, operands)
	for _, n := range order {
		if op := n.Op(); op != nil && op.Arity() != len(operands[n]) {
			t.Errorf("%v has %d operands, want %d", n, len(operands[n]), op.Arity())
		}
	}
	if !slices.Equal(operands[cost], G.Nodes{cross}) {
		t.Errorf("operands of the cost are %v, want %v", operands[cost], cross)
	}
	if !slices.Contains(order, x) || !slices.Contains(order, y) {
		t.Errorf("the inputs are missing in %v", order)
	}
}

func TestWalkOfADeepGraph(t *testing.T) {
	g := G.NewGraph()
	x := G.NewScalar(g, tensor.Float64, G.WithName("x"))
	n := x
	const depth = 3000
	for range depth {
		n = G.Must(G.Exp(n))
	}
	order, operands := walk(n)
	checkOrder(t, order, operands)
	if len(order) != depth+1 || order[0] != x {
		t.Errorf("%d nodes from %v on, want %d from x on", len(order), order[0], depth+1)
	}
}

// A node can be edited into a cycle: the walk ends all the same.
func TestWalkOfACycle(t *testing.T) {
	g := G.NewGraph()
	x := G.NewScalar(g, tensor.Float64, G.WithName("x"))
	a := G.Must(G.Exp(x))
	b := G.Must(G.Tanh(a))
	G.WithChildren(G.Nodes{b})(a)
	order, _ := walk(b)
	if !slices.Equal(order, G.Nodes{a, b}) {
		t.Errorf("order is %v, want a and b once each", order)
	}
}
