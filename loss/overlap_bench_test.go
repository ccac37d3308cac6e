package loss_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The losses of pixels: images by classes by pixels, and with the classes last, with labels that are
// uniform.
func init() {
	add := func(name string, fn loss.Func, dt tensor.Dtype, soft bool, opts ...loss.Option) {
		familyGraphs = append(familyGraphs, struct {
			name string
			run  func(b *testing.B)
		}{fmt.Sprintf("loss=%s/dtype=%s/shape=8x4x65536/pass=both", name, dtypeName(dt)), func(b *testing.B) {
			const images, classes, pixels = 8, 4, 65536
			g, r := G.NewGraph(), rand.New(rand.NewPCG(1, 2))
			x, y := make([]float64, images*classes*pixels), make([]int, images*pixels)
			for i := range x {
				x[i] = 3 * r.NormFloat64()
			}
			for i := range y {
				y[i] = r.IntN(classes)
			}
			target := labelLeaf(g, tensor.Int, "labels", []int{images, pixels}, y)
			if soft {
				target = benchInput(g, dt, "target", reversedSigmoid(x, classes), images, classes, pixels)
			}
			pred := benchInput(g, dt, "logits", x, images, classes, pixels)
			if len(opts) > 0 && !soft { // the same numbers with the classes last
				pred = benchInput(g, dt, "logits", x, images, pixels, classes)
			}
			benchRuns(b, fn, pred, target, opts...)
		}})
	}
	add("Dice", loss.Dice, tensor.Float32, false)
	add("Dice", loss.Dice, tensor.Float64, false)
	add("Dice/option=last", loss.Dice, tensor.Float32, false, loss.WithAxis(-1))
	add("Dice/option=soft", loss.Dice, tensor.Float32, true)
	add("Dice/option=squared", loss.Dice, tensor.Float32, true, loss.WithSquared())
	add("LovaszSoftmax", loss.LovaszSoftmax, tensor.Float32, false)
}
