package loss

import (
	"runtime"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// crossEntropyGraph is a cross-entropy of float32 logits with its gradient, and the leaves' values to change.
func crossEntropyGraph(t *testing.T, rows, classes int, scale float32, opts ...Option) (m G.VM, grad *G.Node, logits []float32, labels []int) {
	t.Helper()
	logits, labels = make([]float32, rows*classes), make([]int, rows)
	for i := range logits {
		logits[i] = float32(i%17) / 4
	}
	for i := range labels {
		labels[i] = i % classes
	}
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float32, G.WithName("x"), G.WithShape(rows, classes),
		G.WithValue(tensor.New(tensor.WithShape(rows, classes), tensor.WithBacking(logits))))
	y := G.NewVector(g, tensor.Int, G.WithName("y"), G.WithShape(rows),
		G.WithValue(tensor.New(tensor.WithShape(rows), tensor.WithBacking(labels))))
	cost, err := CrossEntropy(x, y, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if scale != 1 {
		cost = G.Must(G.Mul(cost, G.NewConstant(scale)))
	}
	grads, err := Gradients(cost, x)
	if err != nil {
		t.Fatal(err)
	}
	return G.NewTapeMachine(g), grads[0], logits, labels
}

func runOnce(t *testing.T, m G.VM) {
	t.Helper()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	m.Reset()
}

// Kept memory holds the last gradient when the next one is written: rows that have become ignored must not show it.
func TestBufferReuseGivesTheSameGradients(t *testing.T) {
	for _, c := range []struct {
		classes int
		scale   float32 // of the cost, a power of 2 because the kept gradient is multiplied after it was rounded
	}{{10, 1}, {300, 1}, {300, 0.25}} { // the row functions and the kernels
		classes := c.classes
		kept, keptGrad, logits, labels := crossEntropyGraph(t, 40, classes, c.scale, WithBufferReuse())
		fresh, freshGrad, others, otherLabels := crossEntropyGraph(t, 40, classes, c.scale)
		for step := range 4 {
			for i := range logits {
				logits[i] = float32((i*(step+3))%23) / 5
			}
			for i := range labels {
				if labels[i] = (i + step) % classes; (i+step)%3 == 0 {
					labels[i] = -100
				}
			}
			if step == 3 {
				for i := range labels {
					labels[i] = -100 // the whole gradient is 0
				}
			}
			copy(others, logits)
			copy(otherLabels, labels)
			runOnce(t, kept)
			runOnce(t, fresh)
			got, want := keptGrad.Value().Data().([]float32), freshGrad.Value().Data().([]float32)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%d classes, step %d: gradient[%d] is %v in kept memory, %v in fresh", classes, step, i, got[i], want[i])
				}
			}
		}
		kept.Close()
		fresh.Close()
	}
}

func TestBufferReuseRefusesTwoMachinesAtOnce(t *testing.T) {
	m, grad, _, _ := crossEntropyGraph(t, 4, 3, 1, WithBufferReuse())
	defer m.Close()
	o := grad.Op().(*op)
	o.kept.busy.Store(true) // as while another machine is inside the operation
	err := m.RunAll()
	if err == nil || !strings.Contains(err.Error(), "run by two machines at once") {
		t.Errorf("error %v, want one that says so", err)
	}
	o.kept.busy.Store(false)
	m.Reset()
	runOnce(t, m)
}

// TestMemory reads what a run allocates: the gradient, or nothing where its memory is kept, and little that does not grow with
// rows times classes.
func TestMemory(t *testing.T) {
	const rows, classes = 256, 8192
	const gradient = rows * classes * 4
	allocated := func(opts ...Option) uint64 {
		m, _, _, _ := crossEntropyGraph(t, rows, classes, 1, opts...)
		defer m.Close()
		runOnce(t, m) // scratch memory of the pool
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		runOnce(t, m)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	// A fifth of a gradient of room: one scratch row for each core, should the pools have been emptied, and the machine's own.
	const room = gradient / 5
	if got := allocated(); got < gradient || got > gradient+room {
		t.Errorf("a run allocates %d bytes, want the gradient's %d and at most %d beside it", got, gradient, room)
	}
	if got := allocated(WithBufferReuse()); got > room {
		t.Errorf("a run with kept memory allocates %d bytes, want at most %d", got, room)
	}
}
