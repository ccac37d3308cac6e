package decode

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops"
)

// The files of testdata hold values that were computed elsewhere; README.md there explains them.

type refCase struct {
	Name    string
	Dtype   string
	Options struct {
		Epsilon       float64
		TransportCost bool `json:"transport_cost"`
	}
	Inputs, Aux, Grads map[string]refArray
	Output, Output64   *refArray
	Error              any
}

type refArray struct {
	Shape []int
	Data  []refNumber
}

type refNumber float64

func (n *refNumber) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	*n = refNumber(v)
	return err
}

func (a refArray) ints() []int {
	out := make([]int, len(a.Data))
	for i, v := range a.Data {
		out[i] = int(v)
	}
	return out
}

func reals[F tensorops.Float](a refArray) []F {
	if a.Data == nil {
		return nil
	}
	out := make([]F, len(a.Data))
	for i, v := range a.Data {
		out[i] = F(v)
	}
	return out
}

func reference(t *testing.T, file string) []refCase {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []refCase }
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f.Cases
}

// near reports whether the numbers agree to tol, relative to the larger or to 1.
func near(got, want []float64, tol float64) bool {
	return slices.EqualFunc(got, want, func(g, w float64) bool {
		return g == w || math.Abs(g-w) <= tol*max(1, math.Abs(w))
	})
}

func TestViterbiReference(t *testing.T) {
	cases := reference(t, "viterbi.json")
	if len(cases) != 4 {
		t.Errorf("%d cases, want 4", len(cases))
	}
	for _, c := range cases {
		e := c.Inputs["emissions"]
		var opts []Option
		if s, ok := c.Inputs["start"]; ok {
			opts = append(opts, WithStart(reals[float64](s)), WithEnd(reals[float64](c.Inputs["end"])))
		}
		scores, tags, err := Viterbi(reals[float64](e), [3]int(e.Shape), reals[float64](c.Inputs["transitions"]), c.Inputs["lengths"].ints(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		// Sums of up to 9 numbers below 10, each addition rounded: 9·2^-53·10 = 1e-14.
		if want := reals[float64](*c.Output); !near(scores, want, 1e-14) {
			t.Errorf("%s: scores %v, want %v", c.Name, scores, want)
		}
		if want := c.Aux["tags"].ints(); !slices.Equal(tags, want) {
			t.Errorf("%s: tags %v, want %v", c.Name, tags, want)
		}
	}
}

func TestSinkhornReference(t *testing.T) {
	tested := 0
	for _, c := range reference(t, "sinkhorn.json") {
		tested++
		if c.Dtype == "float32" {
			sinkhornCase[float32](t, c)
		} else {
			sinkhornCase[float64](t, c)
		}
	}
	if tested != 20 {
		t.Errorf("%d cases, want 20", tested)
	}
}

// sinkhornCase: with a marginal error of 1e-13 the plan is within 1e-12 of the one at the optimum,
// and the potentials within 1e-11, since the mass that links rows and columns is at least a tenth.
// In the case with ε = 0.1 it is e^-12.5, 3.7e-6: there potentials are good to ε·1e-13/3.7e-6 =
// 3e-9. Both dtypes are computed in float64 from the same numbers.
func sinkhornCase[F tensorops.Float](t *testing.T, c refCase) {
	in := c.Inputs["cost"]
	n, m := in.Shape[0], in.Shape[1]
	a, b := reals[F](c.Inputs["a"]), reals[F](c.Inputs["b"])
	p, err := SinkhornPlan(reals[F](in), [2]int{n, m}, a, b, WithEpsilon(c.Options.Epsilon), WithThreshold(1e-13))
	if c.Error != nil {
		if !errors.Is(err, ErrValue) {
			t.Errorf("%s: error %v, want ErrValue", c.Name, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	want, value := c.Output, p.Value
	if c.Output64 != nil {
		want = c.Output64
	}
	if c.Options.TransportCost {
		value = p.TransportCost
	}
	if !near([]float64{value}, reals[float64](*want), 1e-12) {
		t.Errorf("%s: value %v, want %v", c.Name, value, want.Data)
	}
	if plan := reals[float64](c.Aux["plan"]); !near(p.Mass, plan, 1e-12) {
		t.Errorf("%s: plan %v, want %v", c.Name, p.Mass, plan)
	}
	if f, ok := c.Grads["a"]; ok && c.Dtype == "float64" {
		g, tol := reals[float64](c.Grads["b"]), 1e-11
		if c.Options.Epsilon == 0.1 {
			tol = 3e-9
		}
		for i, v := range reals[float64](f) { // differences alone are determined
			if d := p.F[i] - p.F[0]; math.Abs(d-(v-float64(f.Data[0]))) > tol {
				t.Errorf("%s: potentials %v, want %v but for a constant", c.Name, p.F, f.Data)
			}
		}
		for j, v := range g {
			if d := p.G[j] - p.G[0]; math.Abs(d-(v-g[0])) > tol {
				t.Errorf("%s: potentials %v, want %v but for a constant", c.Name, p.G, g)
			}
		}
	}
}
