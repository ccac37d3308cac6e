package info

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gorgonia.org/tensor"
)

// number is a float64 that JSON may hold as a number or as "inf", "-inf" or "nan".
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		return json.Unmarshal(b, (*float64)(n))
	}
	_, err := fmt.Sscan(s, (*float64)(n))
	return err
}

type array struct {
	Shape []int    `json:"shape"`
	Data  []number `json:"data"`
}

type reference struct {
	Torch string `json:"torch"`
	Cases []struct {
		Name     string            `json:"name"`
		DType    string            `json:"dtype"`
		Options  map[string]string `json:"options"`
		Inputs   map[string]array  `json:"inputs"`
		Output   array             `json:"output"`
		Output64 *array            `json:"output64"`
	} `json:"cases"`
}

func convert[T Float](x []number) []T {
	y := make([]T, len(x))
	for i, v := range x {
		y[i] = T(v)
	}
	return y
}

func dense(a array, dtype string) *tensor.Dense {
	if dtype == "float32" {
		return tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(convert[float32](a.Data)))
	}
	return tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(convert[float64](a.Data)))
}

// rowsOf applies f to every row of p and q (q may have no data).
func rowsOf[T Float](p, q array, f func(p, q []T) (float64, error)) ([]float64, error) {
	n := p.Shape[len(p.Shape)-1]
	x, y := convert[T](p.Data), convert[T](q.Data)
	var values []float64
	for lo := 0; lo < len(x); lo += n {
		v, err := f(x[lo:lo+n], y[min(lo, len(y)):min(lo+n, len(y))])
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func selfEach[T Float](u Unit) func(p, _ []T) (float64, error) {
	return func(p, _ []T) (float64, error) { return SelfInformation(float64(p[0]), u) }
}

func entropyEach[T Float](u Unit) func(p, _ []T) (float64, error) {
	return func(p, _ []T) (float64, error) { return Entropy(p, u) }
}

func pairEach[T Float](f func(p, q []T, u Unit) (float64, error), u Unit) func(p, q []T) (float64, error) {
	return func(p, q []T) (float64, error) { return f(p, q, u) }
}

// TestReference compares with PyTorch, see testdata/README.md. The value is float64 for both
// dtypes, so float32 cases are held against what PyTorch makes of the same float32 numbers in
// float64. The tolerance is that of PyTorch's own sums, which are not compensated: relative 1e-12,
// or 1e-14 where terms cancel.
func TestReference(t *testing.T) {
	files := map[string]struct {
		f64  func(u Unit) func(p, q []float64) (float64, error)
		f32  func(u Unit) func(p, q []float32) (float64, error)
		axis func(p, q *tensor.Dense, axis int, u Unit) (*tensor.Dense, error)
	}{
		"self_information": {selfEach[float64], selfEach[float32], nil},
		"entropy": {entropyEach[float64], entropyEach[float32],
			func(p, _ *tensor.Dense, axis int, u Unit) (*tensor.Dense, error) { return EntropyAxis(p, axis, u) }},
		"info_cross_entropy": {
			func(u Unit) func(p, q []float64) (float64, error) { return pairEach(CrossEntropy[float64], u) },
			func(u Unit) func(p, q []float32) (float64, error) { return pairEach(CrossEntropy[float32], u) }, CrossEntropyAxis},
		"info_kl": {
			func(u Unit) func(p, q []float64) (float64, error) { return pairEach(KL[float64], u) },
			func(u Unit) func(p, q []float32) (float64, error) { return pairEach(KL[float32], u) }, KLAxis},
		"js_divergence": {
			func(u Unit) func(p, q []float64) (float64, error) { return pairEach(JensenShannon[float64], u) },
			func(u Unit) func(p, q []float32) (float64, error) { return pairEach(JensenShannon[float32], u) }, JensenShannonAxis},
	}
	units := map[string]Unit{"nats": Nats, "bits": Bits}
	for name, measure := range files {
		raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var file reference
		if err := json.Unmarshal(raw, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(file.Cases) < 4 {
			t.Errorf("%s: %d cases, want at least 4", name, len(file.Cases))
		}
		for _, c := range file.Cases {
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				unit, ok := units[c.Options["base"]]
				if !ok {
					t.Fatalf("unknown base %q", c.Options["base"])
				}
				p, q, want := c.Inputs["p"], c.Inputs["q"], c.Output.Data
				if name == "self_information" {
					p.Shape = []int{len(p.Data), 1} // a function of single numbers: rows of one
				}
				var got []float64
				var err error
				if c.DType == "float32" {
					want = c.Output64.Data
					got, err = rowsOf(p, q, measure.f32(unit))
				} else {
					got, err = rowsOf(p, q, measure.f64(unit))
				}
				if err != nil {
					t.Fatal(err)
				}
				compareReference(t, got, want)
				if measure.axis == nil {
					return
				}
				second := q
				if q.Data == nil {
					second = p
				}
				lines, err := measure.axis(dense(p, c.DType), dense(second, c.DType), -1, unit)
				if err != nil {
					t.Fatal(err)
				}
				compareReference(t, lines.Data().([]float64), want)
			})
		}
	}
}

func compareReference(t *testing.T, got []float64, want []number) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d values, want %d", len(got), len(want))
	}
	for i, w := range want {
		w := float64(w)
		if got[i] == w && !math.Signbit(got[i]) { // the reference has -0 where ours is +0
			continue
		}
		if diff := math.Abs(got[i] - w); !(diff <= max(1e-12*math.Abs(w), 1e-14)) || math.Signbit(got[i]) {
			t.Errorf("value %d = %v, want %v", i, got[i], w)
		}
	}
}
