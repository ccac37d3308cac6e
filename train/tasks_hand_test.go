package train_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// machine is a graph with the machine and the solver that people write around it with Gorgonia.
type machine struct {
	tb     testing.TB
	g      *G.ExprGraph
	values map[string]G.Value // of the parameters, by name
	rng    *rand.Rand
	learn  G.Nodes
	vm     G.VM
	solver G.Solver
}

func newMachine(tb testing.TB, values map[string]G.Value, seed uint64) *machine {
	return &machine{tb: tb, g: G.NewGraph(), values: values, rng: rand.New(rand.NewPCG(7, seed))}
}

func filled(shape []int, f func(i int) float32) *tensor.Dense {
	x := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range x {
		x[i] = f(i)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}

func (p *machine) input(name string, shape ...int) *G.Node {
	return G.NewTensor(p.g, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name))
}

// param is a leaf of numbers in [-1/√inputs, 1/√inputs) at first.
func (p *machine) param(name string, inputs int, shape ...int) *G.Node {
	if p.values[name] == nil {
		bound := 1 / math.Sqrt(float64(inputs))
		p.values[name] = filled(shape, func(int) float32 { return float32(bound * (2*p.rng.Float64() - 1)) })
	}
	n := G.NewTensor(p.g, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(p.values[name]))
	p.learn = append(p.learn, n)
	return n
}

func (p *machine) dense(name string, x *G.Node, units int) *G.Node {
	inputs := x.Shape()[1]
	y := G.Must(G.Mul(x, p.param(name+".weight", inputs, inputs, units)))
	return G.Must(G.BroadcastAdd(y, p.param(name+".bias", inputs, 1, units), nil, []byte{0}))
}

// crossEntropy of logits and one-hot rows.
func crossEntropy(logits, target *G.Node) *G.Node {
	log := G.Must(G.Log(G.Must(G.SoftMax(logits))))
	return G.Must(G.Neg(G.Must(G.Mean(G.Must(G.Sum(G.Must(G.HadamardProd(target, log)), 1))))))
}

func adam(rate float64) G.Solver { return G.NewAdamSolver(G.WithLearnRate(rate)) }

// minimise compiles the program with the derivatives of a cost.
func (p *machine) minimise(cost *G.Node, solver G.Solver) {
	if _, err := G.Grad(cost, p.learn...); err != nil {
		p.tb.Fatal(err)
	}
	p.vm = G.NewTapeMachine(p.g, G.BindDualValues(p.learn...))
	p.solver = solver
}

func (p *machine) let(n *G.Node, v *tensor.Dense) {
	if err := G.Let(n, v); err != nil {
		p.tb.Fatal(err)
	}
}

// step runs the program and moves its parameters.
func (p *machine) step() {
	if err := p.vm.RunAll(); err != nil {
		p.tb.Fatal(err)
	}
	if err := p.solver.Step(G.NodesToValueGrads(p.learn)); err != nil {
		p.tb.Fatal(err)
	}
	p.vm.Reset()
}

// value runs a program without derivatives.
func (p *machine) value(n *G.Node) any {
	var v G.Value
	G.Read(n, &v)
	vm := G.NewTapeMachine(p.g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		p.tb.Fatal(err)
	}
	return v.Data()
}

// batch fills rows of examples and their one-hot classes in.
func (t table) batch(rows []int, shape []int, classes int) (x, y *tensor.Dense) {
	width := len(t.x[0])
	x = filled(shape, func(i int) float32 { return float32(t.x[rows[i/width]][i%width]) })
	y = filled([]int{len(rows), classes}, func(i int) float32 {
		if t.y[rows[i/classes]] == i%classes {
			return 1
		}
		return 0
	})
	return x, y
}

// classifyByHand trains a network of rows of numbers and returns its accuracy.
func classifyByHand(tb testing.TB, t table, shape []int, classes, batch, epochs int, seed uint64, rate float64, network func(p *machine, x *G.Node) *G.Node) float64 {
	known, held := t.split(seed)
	values := make(map[string]G.Value)
	p := newMachine(tb, values, seed)
	x, y := p.input("x", append([]int{batch}, shape...)...), p.input("y", batch, classes)
	p.minimise(crossEntropy(network(p, x), y), adam(rate))
	defer p.vm.Close()
	for range epochs {
		order := p.rng.Perm(len(known.x))
		for i := 0; i+batch <= len(order); i += batch { // what is left waits for another order
			xs, ys := known.batch(order[i:i+batch], x.Shape(), classes)
			p.let(x, xs)
			p.let(y, ys)
			p.step()
		}
	}
	rows := upTo(len(held.x))
	q := newMachine(tb, values, seed)
	x = q.input("x", append([]int{len(rows)}, shape...)...)
	logits := network(q, x)
	xs, _ := held.batch(rows, x.Shape(), classes)
	q.let(x, xs)
	z, right := q.value(logits).([]float32), 0
	for i, class := range held.y {
		best := 0
		for c, v := range z[i*classes : (i+1)*classes] {
			if v > z[i*classes+best] {
				best = c
			}
		}
		if best == class {
			right++
		}
	}
	return float64(right) / float64(len(rows))
}

func irisesByHand(tb testing.TB, epochs int, seed uint64) float64 {
	return classifyByHand(tb, iris(tb), []int{4}, 3, irisBatch, epochs, seed, 0.01, func(p *machine, x *G.Node) *G.Node {
		return p.dense("species", G.Must(G.Tanh(p.dense("hidden", x, irisHidden))), 3)
	})
}

func convolutionByHand(tb testing.TB, epochs int, seed uint64) float64 {
	return classifyByHand(tb, enlarged(tb), []int{1, 28, 28}, 10, convBatch, epochs, seed, 1e-3, func(p *machine, x *G.Node) *G.Node {
		kernel := p.param("conv", 25, convUnits, 1, 5, 5)
		h := G.Must(G.Rectify(G.Must(G.Conv2d(x, kernel, tensor.Shape{5, 5}, []int{0, 0}, []int{1, 1}, []int{1, 1}))))
		h = G.Must(G.MaxPool2D(h, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
		return p.dense("digit", G.Must(G.Reshape(h, tensor.Shape{x.Shape()[0], 12 * 12 * convUnits})), 10)
	})
}

// logisticByGonum descends along the gradient of all examples with gonum.
func logisticByGonum(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := digits(tb).split(seed)
	design := func(t table) *mat.Dense {
		x := mat.NewDense(len(t.x), 65, nil)
		for i, row := range t.x {
			x.SetRow(i, append([]float64{1}, row...))
		}
		return x
	}
	x, n := design(known), len(known.x)
	w, p, g := mat.NewVecDense(65, nil), mat.NewVecDense(n, nil), mat.NewVecDense(65, nil)
	for range epochs {
		p.MulVec(x, w)
		for i, y := range known.y {
			p.SetVec(i, 1/(1+math.Exp(-p.AtVec(i)))-float64(y%2))
		}
		g.MulVec(x.T(), p)
		w.AddScaledVec(w, -2/float64(n), g)
	}
	z, right := mat.NewVecDense(len(held.x), nil), 0
	z.MulVec(design(held), w)
	for i, y := range held.y {
		if (z.AtVec(i) > 0) == (y%2 == 1) {
			right++
		}
	}
	return float64(right) / float64(len(held.x))
}

// logisticByHand descends along the gradient of all examples with Gorgonia.
func logisticByHand(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := digits(tb).split(seed)
	values := make(map[string]G.Value)
	n := len(known.x)
	p := newMachine(tb, values, seed)
	x, y := p.input("x", n, 64), p.input("y", n, 1)
	z := p.dense("odd", x, 1)
	p.minimise(G.Must(G.Mean(G.Must(G.Sub(G.Must(G.Softplus(z)), G.Must(G.HadamardProd(z, y)))))), G.NewVanillaSolver(G.WithLearnRate(2)))
	defer p.vm.Close()
	xs, _ := known.batch(upTo(n), x.Shape(), 10)
	p.let(x, xs)
	p.let(y, filled(y.Shape(), func(i int) float32 { return float32(known.y[i] % 2) }))
	for range epochs {
		p.step()
	}
	q := newMachine(tb, values, seed)
	x = q.input("x", len(held.x), 64)
	z = q.dense("odd", x, 1)
	xs, _ = held.batch(upTo(len(held.x)), x.Shape(), 10)
	q.let(x, xs)
	right := 0
	for i, v := range q.value(z).([]float32) {
		if (v > 0) == (held.y[i]%2 == 1) {
			right++
		}
	}
	return float64(right) / float64(len(held.x))
}

// upTo is the rows 0 to n-1.
func upTo(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// autoencoderByHand has the stable form of the cross-entropy, log(1+exp(x)) - x·y.
func autoencoderByHand(tb testing.TB, epochs int, seed uint64) float64 {
	known, held := digits(tb).split(seed)
	values := make(map[string]G.Value)
	build := func(batch int) (p *machine, x, noise, cost *G.Node) {
		p = newMachine(tb, values, seed)
		x, noise = p.input("x", batch, 64), p.input("noise", batch, codeWidth)
		h := G.Must(G.Rectify(p.dense("encoder", x, codeHidden)))
		mean, logvar := p.dense("mean", h, codeWidth), p.dense("logvar", h, codeWidth)
		deviation := G.Must(G.Exp(G.Must(G.HadamardProd(logvar, G.NewConstant(float32(0.5))))))
		code := G.Must(G.Add(mean, G.Must(G.HadamardProd(deviation, noise))))
		z := p.dense("image", G.Must(G.Rectify(p.dense("decoder", code, codeHidden))), 64)
		image := G.Must(G.Sum(G.Must(G.Sub(G.Must(G.Softplus(z)), G.Must(G.HadamardProd(z, x))))))
		// ½·Σ(mean² + exp(logvar) - logvar - 1), without the constant, which has no derivative.
		square := G.Must(G.Sum(G.Must(G.Sub(G.Must(G.Add(G.Must(G.Square(mean)), G.Must(G.Exp(logvar)))), logvar))))
		cost = G.Must(G.Add(image, G.Must(G.HadamardProd(square, G.NewConstant(float32(0.5))))))
		return p, x, noise, G.Must(G.HadamardDiv(cost, G.NewConstant(float32(batch))))
	}
	p, x, noise, cost := build(codeBatch)
	p.minimise(cost, adam(2e-3))
	defer p.vm.Close()
	for range epochs {
		order := p.rng.Perm(len(known.x))
		for i := 0; i+codeBatch <= len(order); i += codeBatch {
			xs, _ := known.batch(order[i:i+codeBatch], x.Shape(), 10)
			p.let(x, xs)
			p.let(noise, filled(noise.Shape(), func(int) float32 { return float32(p.rng.NormFloat64()) }))
			p.step()
		}
	}
	rows := upTo(len(held.x))
	q, x, noise, cost := build(len(rows))
	xs, _ := held.batch(rows, x.Shape(), 10)
	q.let(x, xs)
	q.let(noise, filled(noise.Shape(), func(int) float32 { return 0 }))
	return float64(q.value(cost).(float32)) - codeWidth/2
}

// charactersByHand unrolls a gated recurrent unit over one-hot characters.
func charactersByHand(tb testing.TB, epochs int, seed uint64) float64 {
	known, next, heldKnown, heldNext, count := sequences(tb)
	values := make(map[string]G.Value)
	build := func(batch int) (p *machine, x, y G.Nodes, cost *G.Node) {
		p = newMachine(tb, values, seed)
		weight := func(name string, inputs int) *G.Node { return p.param(name, textUnits, inputs, textUnits) }
		gate := func(name string) func(x, h *G.Node) *G.Node {
			w, u, b := weight(name+".w", count), weight(name+".u", textUnits), p.param(name+".b", textUnits, 1, textUnits)
			return func(x, h *G.Node) *G.Node {
				return G.Must(G.BroadcastAdd(G.Must(G.Add(G.Must(G.Mul(x, w)), G.Must(G.Mul(h, u)))), b, nil, []byte{0}))
			}
		}
		reset, update, fresh := gate("r"), gate("z"), gate("n")
		out, bias := p.param("out.weight", textUnits, textUnits, count), p.param("out.bias", textUnits, 1, count)
		h := p.input("start", batch, textUnits)
		p.let(h, filled(h.Shape(), func(int) float32 { return 0 }))
		var costs G.Nodes
		for t := range textSteps {
			x = append(x, p.input("x"+string(rune('A'+t)), batch, count))
			y = append(y, p.input("y"+string(rune('A'+t)), batch, count))
			r, z := G.Must(G.Sigmoid(reset(x[t], h))), G.Must(G.Sigmoid(update(x[t], h)))
			n := G.Must(G.Tanh(fresh(x[t], G.Must(G.HadamardProd(r, h)))))
			h = G.Must(G.Add(n, G.Must(G.HadamardProd(z, G.Must(G.Sub(h, n)))))) // (1-z)∘n + z∘h
			costs = append(costs, crossEntropy(G.Must(G.BroadcastAdd(G.Must(G.Mul(h, out)), bias, nil, []byte{0})), y[t]))
		}
		return p, x, y, G.Must(G.HadamardDiv(G.Must(G.ReduceAdd(costs)), G.NewConstant(float32(textSteps))))
	}
	fill := func(p *machine, nodes G.Nodes, from [][]int, rows []int) {
		for t, n := range nodes {
			p.let(n, filled(n.Shape(), func(i int) float32 {
				if from[rows[i/count]][t] == i%count {
					return 1
				}
				return 0
			}))
		}
	}
	p, x, y, cost := build(textBatch)
	p.minimise(cost, adam(5e-3))
	defer p.vm.Close()
	for range epochs {
		order := p.rng.Perm(len(known))
		for i := 0; i+textBatch <= len(order); i += textBatch {
			fill(p, x, known, order[i:i+textBatch])
			fill(p, y, next, order[i:i+textBatch])
			p.step()
		}
	}
	rows := upTo(len(heldKnown))
	q, x, y, cost := build(len(rows))
	fill(q, x, heldKnown, rows)
	fill(q, y, heldNext, rows)
	return float64(q.value(cost).(float32)) / math.Ln2
}
