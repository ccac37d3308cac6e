package main

import (
	"fmt"
	"io"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	"github.com/surprisal-go/surprisal/tensorops/info"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// What happened (1 yes, 0 no), and the probability of yes that was forecast.
var (
	happened = []float64{1, 0, 1, 0, 1, 0}
	forecast = []float64{.90, .20, .60, .05, .30, .70}
)

func logLoss(w io.Writer) error {
	fmt.Fprint(w, `
5. Log loss: the cross-entropy of forecasts

   What happened is a distribution too, all of it on one outcome. Then the cross-entropy is
   the surprise of the forecaster, and its mean is known as log loss or binary cross-entropy.
   Below -log of the probability given to what happened, and H(what happened, forecast).

   happened   forecast of yes   -log p, nats   H, nats
`)
	var l ledger
	var p, q []float64
	for i, y := range happened {
		p, q = append(p, y, 1-y), append(q, forecast[i], 1-forecast[i])
	}
	matrix := func(x []float64) *tensor.Dense {
		return tensor.New(tensor.WithShape(len(happened), 2), tensor.WithBacking(x))
	}
	cross, err := info.CrossEntropyAxis(matrix(p), matrix(q), 1, info.Nats)
	if err != nil {
		return err
	}
	total, crossTotal := 0.0, 0.0
	for i, h := range cross.Data().([]float64) {
		answer, given := "no", 1-forecast[i]
		if happened[i] == 1 {
			answer, given = "yes", forecast[i]
		}
		surprise := l.of(info.SelfInformation(given, info.Nats))
		fmt.Fprintf(w, "   %-8s              %4.2f        %7.5f   %7.5f\n", answer, forecast[i], surprise, h)
		total, crossTotal = total+surprise, crossTotal+h
	}
	n := float64(len(happened))
	fmt.Fprintf(w, "   %-26s        %7.5f   %7.5f\n", "mean", total/n, crossTotal/n)
	return l.err
}

// asNodes computes the same figures in a Gorgonia graph, where they have gradients.
func asNodes(w io.Writer) error {
	g := G.NewGraph()
	node := func(name string, x []float64) *G.Node {
		return G.NewVector(g, tensor.Float64, G.WithName(name), G.WithShape(len(x)),
			G.WithValue(tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))))
	}
	logits := make([]float64, len(forecast)) // a classifier's raw scores, of which the forecasts are the sigmoid
	for i, p := range forecast {
		logits[i] = math.Log(p / (1 - p))
	}
	q, scores := node("model", model), node("scores", logits)
	cross, err := loss.CrossEntropyFromProb(q, node("truth", truth))
	if err != nil {
		return err
	}
	binary, err := loss.BinaryCrossEntropy(scores, node("happened", happened))
	if err != nil {
		return err
	}
	slopes, err := loss.Gradients(cross, q)
	if err != nil {
		return err
	}
	binarySlopes, err := loss.Gradients(binary, scores)
	if err != nil {
		return err
	}
	var value, binaryValue, slope, binarySlope G.Value
	G.Read(cross, &value)
	G.Read(binary, &binaryValue)
	G.Read(slopes[0], &slope)
	G.Read(binarySlopes[0], &binarySlope)
	m, err := machine.New(g)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return err
	}
	fmt.Fprintf(w, `
6. The same as loss nodes: numbers to train with

   loss.CrossEntropyFromProb of Q against P   %7.5f nats, the H(P,Q) of chapter 3
   loss.BinaryCrossEntropy of the forecasts   %7.5f nats, the mean of chapter 5

   A node has a gradient, which says how to be less wrong:
   of H(P,Q) by q, -p/q                  %8.5f
   of the mean by the scores, (σ-y)/n    %8.5f
`, value.Data(), binaryValue.Data(), slope.Data(), binarySlope.Data())
	return nil
}
