package loss_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BenchmarkPairs measures the losses of all pairs of a batch, value and gradients, sixteen rows with
// each label.
func BenchmarkPairs(b *testing.B) {
	for _, c := range []struct {
		loss, option string
		opts         []loss.Option
	}{
		{loss: "InfoNCE"}, {loss: "InfoNCE", option: "oneway", opts: []loss.Option{loss.WithOneWay()}}, {loss: "InfoNCE", option: "positives"},
		{loss: "NTXent"}, {loss: "SupCon"}, {loss: "SigLIP"}, {loss: "DCL"}, {loss: "Circle"}, {loss: "MultiSimilarity"},
	} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, shape := range [][2]int{{512, 128}, {4096, 128}} {
				name := "loss=" + c.loss
				if c.option != "" {
					name += "/option=" + c.option
				}
				rows, cols := shape[0], shape[1]
				b.Run(fmt.Sprintf("%s/dtype=%s/shape=%dx%d", name, dtypeName(dt), rows, cols), func(b *testing.B) {
					benchPairs(b, c.loss, c.option, dt, rows, cols, c.opts)
				})
			}
		}
	}
}

func benchPairs(b *testing.B, name, option string, dt tensor.Dtype, rows, cols int, opts []loss.Option) {
	g, r := G.NewGraph(), rand.New(rand.NewPCG(1, 2))
	labels := make([]int, rows)
	for i := range labels {
		labels[i] = i / 16
	}
	r.Shuffle(rows, func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
	info, _ := loss.Describe(name)
	var operands, floats G.Nodes
	for _, operand := range info.Operands {
		if operand == "labels" {
			operands = append(operands, G.NewTensor(g, tensor.Int, 1, G.WithName(operand), G.WithShape(rows),
				G.WithValue(tensor.New(tensor.WithShape(rows), tensor.WithBacking(labels)))))
			continue
		}
		x := make([]float64, rows*cols)
		for i := range x {
			x[i] = 3 * r.NormFloat64()
		}
		n := benchInput(g, dt, operand, x, rows, cols)
		operands, floats = append(operands, n), append(floats, n)
	}
	if option == "positives" {
		w := make([]bool, rows*rows)
		for i := range w {
			w[i] = labels[i/rows] == labels[i%rows]
		}
		opts = append(opts, loss.WithPositives(G.NewTensor(g, tensor.Bool, 2, G.WithName("positives"), G.WithShape(rows, rows),
			G.WithValue(tensor.New(tensor.WithShape(rows, rows), tensor.WithBacking(w))))))
	}
	var cost *G.Node
	for l := range loss.Losses() {
		if l.Name == name {
			var err error
			if cost, err = l.Call(operands, append(opts, loss.WithBufferReuse())...); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := loss.Gradients(cost, floats...); err != nil {
		b.Fatal(err)
	}
	benchMachine(b, floats[0], cost)
}
