package main

import (
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
)

// names are all losses.
func names() []string {
	var all []string
	for info := range loss.Losses() {
		if !info.Node {
			all = append(all, info.Name)
		}
	}
	return all
}

// linear are the losses that are piecewise linear in all operands: their second derivative is 0
// where it exists.
var linear = map[string]bool{"NLL": true, "MultiMargin": true, "MulticlassHinge": true, "MulticlassPerceptron": true,
	"CategoricalHinge": true, "MultiLabelMargin": true, "Hinge": true, "DPOHinge": true, "MarginRanking": true, "Perceptron": true, "HingeEmbedding": true, "MAE": true,
	"Quantile": true, "EpsilonInsensitive": true, "TotalVariation": true, "LovaszSoftmaxFromProb": true, "LovaszHinge": true,
	"PairwiseHinge": true, "PairwiseQuantile": true, "EnsembleCRPS": true, "QuantileCRPS": true}

// TestMeasure: products with the Hessian are right to 1e-6 of their largest element (differences of
// gradients are good to some 1e-7 of it), and are 0 for the losses without curvature alone.
func TestMeasure(t *testing.T) {
	for _, s := range specimenList(t) {
		m, err := s.measure()
		if err != nil {
			t.Error(err)
			continue
		}
		if holdsConstant[s.Name] {
			m.second, m.curvature = 0, 1 // not compared
		} else if m.checked == 0 {
			t.Errorf("%s: nothing is checked", s.Name)
		}
		if m.failed > 0 || !(m.second <= 1e-6) || math.IsInf(m.value, 0) || math.IsNaN(m.value) || !(m.gradient > 0) {
			t.Errorf("%s: %+v, want right derivatives", s.Name, m)
		}
		if curved := m.curvature > 0; curved == linear[s.Name] {
			t.Errorf("%s has a Hessian-vector product with an element of %v", s.Name, m.curvature)
		}
	}
}

func specimenList(t *testing.T) []specimen {
	t.Helper()
	all, err := specimens()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(names()) {
		t.Fatalf("%d specimens, want %d", len(all), len(names()))
	}
	return all
}
