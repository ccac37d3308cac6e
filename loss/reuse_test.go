package loss_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// crossEntropyGraph is a cross-entropy of float32 logits with its gradient, and the leaves' values
// to change.
func crossEntropyGraph(t *testing.T, rows, classes int, scale float32, opts ...loss.Option) (m G.VM, grad *G.Node, logits []float32, labels []int) {
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
	cost, err := loss.CrossEntropy(x, y, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if scale != 1 {
		cost = G.Must(G.Mul(cost, G.NewConstant(scale)))
	}
	grads, err := loss.Gradients(cost, x)
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

// Kept memory holds the last gradient when the next one is written: rows that have become ignored
// must not show it.
func TestBufferReuseGivesTheSameGradients(t *testing.T) {
	for _, c := range []struct {
		classes int
		scale   float32 // of the cost
	}{{10, 1}, {300, 1}, {300, 0.3}, {10, 65536}} { // the row functions and the kernels
		classes := c.classes
		kept, keptGrad, logits, labels := crossEntropyGraph(t, 40, classes, c.scale, loss.WithBufferReuse())
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
					t.Fatalf("%d classes, step %d: gradient[%d] is %v in kept memory, %v in fresh", classes, step, i,
						got[i], want[i])
				}
			}
		}
		kept.Close()
		fresh.Close()
	}
}

// TestMemory reads what a run allocates: the gradient, or nothing where its memory is kept, and
// little that does not grow with rows times classes.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools drop the memory that is counted here")
	}
	const rows, classes = 256, 8192
	const gradient = rows * classes * 4
	allocated := func(opts ...loss.Option) uint64 {
		m, _, _, _ := crossEntropyGraph(t, rows, classes, 1, opts...)
		defer m.Close()
		runOnce(t, m) // scratch memory of the pool
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		runOnce(t, m)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	// A fifth of a gradient of room: one scratch row for each core, should the pools have been
	// emptied, and the machine's own.
	const room = gradient / 5
	if got := allocated(); got < gradient || got > gradient+room {
		t.Errorf("a run allocates %d bytes, want the gradient's %d and at most %d beside it", got, gradient, room)
	}
	if got := allocated(loss.WithBufferReuse()); got > room {
		t.Errorf("a run with kept memory allocates %d bytes, want at most %d", got, room)
	}
}

// pointGraph is an elementwise loss of 700 float32 elements with its gradient, times a leaf to
// change.
func pointGraph(t *testing.T, fn loss.Func, pred, target []float32, opts ...loss.Option) (m G.VM, cost, grad *G.Node, scale *G.F32) {
	t.Helper()
	g := G.NewGraph()
	leaf := func(name string, data []float32) *G.Node {
		return G.NewVector(g, tensor.Float32, G.WithName(name), G.WithShape(len(data)),
			G.WithValue(tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data))))
	}
	x := leaf("x", pred)
	cost, err := fn(x, leaf("y", target), opts...)
	if err != nil {
		t.Fatal(err)
	}
	scale = G.NewF32(1)
	grads, err := loss.Gradients(G.Must(G.Mul(cost, G.NewScalar(g, tensor.Float32, G.WithName("s"), G.WithValue(scale)))), x)
	if err != nil {
		t.Fatal(err)
	}
	return G.NewTapeMachine(g), cost, grads[0], scale
}

// The gradient that the value's operation computes fused is for the upstream of the last run: the
// first run with another must not show it, and no bit may depend on the order of the work.
func TestElementsFused(t *testing.T) {
	pred, target := make([]float32, 700), make([]float32, 700)
	for name, fn := range map[string]loss.Func{"BinaryCrossEntropy": loss.BinaryCrossEntropy, "MSE": loss.MSE, "Huber": loss.Huber, "SmoothL1": loss.SmoothL1,
		"HalfSquared": loss.HalfSquared, "LogCosh": loss.LogCosh, "SigmoidFocal": loss.SigmoidFocal} {
		kept, keptCost, keptGrad, keptScale := pointGraph(t, fn, pred, target, loss.WithBufferReuse())
		fresh, freshCost, freshGrad, freshScale := pointGraph(t, fn, pred, target)
		for step, scale := range []float32{1, 1, 3, 3, 0, 65536, 1} {
			for i := range pred {
				pred[i], target[i] = float32((i*(step+3))%23)/5-2, float32(i%7)/7
			}
			if step == 3 {
				pred[5] = float32(math.Inf(1)) // no finite sum: the row functions take over
			}
			*keptScale, *freshScale = G.F32(scale), G.F32(scale)
			runOnce(t, kept)
			runOnce(t, fresh)
			a, b := keptCost.Value().Data().(float32), freshCost.Value().Data().(float32)
			if a != b && (a == a || b == b) {
				t.Errorf("%s, step %d: value %v fused, %v alone", name, step, a, b)
			}
			got, want := keptGrad.Value().Data().([]float32), freshGrad.Value().Data().([]float32)
			for i := range want {
				if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
					t.Fatalf("%s, step %d, upstream %v: gradient[%d] is %v fused, %v alone", name, step, scale, i,
						got[i], want[i])
				}
			}
		}
		kept.Close()
		fresh.Close()
	}
}

// A target outside its domain is found also where value and gradient are computed together, and the
// next run is right again.
func TestElementsFusedCheckTargets(t *testing.T) {
	pred, target := make([]float32, 700), make([]float32, 700)
	for _, c := range []struct {
		name  string
		fn    loss.Func
		right float32
		wrong []float32
		want  string
	}{
		{"BinaryCrossEntropy", loss.BinaryCrossEntropy, 0.5, []float32{-1e-30, 1.0000001, 2, float32(math.NaN())},
			"want numbers in [0, 1]"},
		{"SoftMargin", loss.SoftMargin, 1, []float32{0, 0.99999994, -1.0000001, float32(math.NaN())}, "want -1 or +1"},
	} {
		for i := range target {
			target[i] = c.right
		}
		m, _, grad, _ := pointGraph(t, c.fn, pred, target, loss.WithBufferReuse())
		for _, wrong := range c.wrong {
			for _, at := range []int{0, 77, 699} {
				target[at] = wrong
				err := m.RunAll()
				m.Reset()
				if isNaN := wrong != wrong; isNaN && c.name == "BinaryCrossEntropy" {
					// a NaN has no side: the loss is NaN
					if err != nil {
						t.Errorf("%s: target NaN: error %v, want none", c.name, err)
					}
				} else if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("target is %v at row %d, %s", float64(wrong), at, c.want)) {
					t.Errorf("%s: target %v at %d: error %v", c.name, wrong, at, err)
				}
				target[at] = c.right
			}
		}
		runOnce(t, m)
		for i, g := range grad.Value().Data().([]float32) {
			if want := float32(grad.Value().Data().([]float32)[1]); g != want || g != g {
				t.Fatalf("%s: gradient[%d] is %v after a fault, want %v", c.name, i, g, want)
			}
		}
		m.Close()
	}
}
