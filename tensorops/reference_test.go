package tensorops

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"

	"gorgonia.org/tensor"
)

// num reads a JSON number or one of the strings inf, -inf, nan.
type num float64

func (n *num) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(s) > 1 && s[0] == '"' {
		s = s[1 : len(s)-1]
	}
	v, err := strconv.ParseFloat(s, 64)
	*n = num(v)
	return err
}

type torchArray struct {
	Shape         []int
	Data          []num
	Gen           string
	A, B          float64
	Scale, Offset float64
	Sum           num
	AbsSum        num `json:"abs_sum"`
	Samples       map[string]num
}

type torchCase struct {
	Name, Dtype string
	Options     struct{ Axis int }
	Inputs      struct{ Input torchArray }
	Output      torchArray
	Output64    *torchArray
	Upstream    *torchArray
	Grads       struct{ Input torchArray }
	Grads64     *struct{ Input torchArray }
}

func (a *torchArray) values() []float64 {
	if a.Gen == "" {
		out := make([]float64, len(a.Data))
		for i, v := range a.Data {
			out[i] = float64(v)
		}
		return out
	}
	out := make([]float64, a.Shape[0]*a.Shape[1])
	for i := range out {
		row, col := i/a.Shape[1], i%a.Shape[1]
		out[i] = a.Scale*math.Sin(float64(row)*a.A+float64(col)*a.B) + a.Offset
	}
	return out
}

func TestTorchReference(t *testing.T) {
	for file, f := range map[string]func(dst, x *tensor.Dense, axis int) (*tensor.Dense, error){
		"logsumexp": LogSumExp, "softmax": Softmax, "log_softmax": LogSoftmax,
	} {
		raw, err := os.ReadFile("testdata/torch/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Cases []torchCase }
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		if len(doc.Cases) < 30 {
			t.Fatalf("%s: %d cases, want at least 30", file, len(doc.Cases))
		}
		forEachImpl(t, func(t *testing.T) {
			for _, c := range doc.Cases {
				t.Run(file+"/"+c.Name, func(t *testing.T) { c.check(t, f) })
			}
		})
	}
}

func (c *torchCase) check(t *testing.T, f func(dst, x *tensor.Dense, axis int) (*tensor.Dense, error)) {
	in := c.Inputs.Input
	want := &c.Output
	var x *tensor.Dense
	if c.Dtype == "float32" {
		want = c.Output64
		x = tensor.New(tensor.WithShape(in.Shape...), tensor.WithBacking(convert[float32](in.values())))
	} else {
		x = tensor.New(tensor.WithShape(in.Shape...), tensor.WithBacking(in.values()))
	}
	out, err := f(nil, x, c.Options.Axis)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(out.Shape()) != fmt.Sprint(tensor.Shape(want.Shape)) {
		t.Fatalf("shape %v, want %v", out.Shape(), want.Shape)
	}
	var got []float64
	is32 := c.Dtype == "float32"
	if is32 {
		for _, v := range out.Float32s() {
			got = append(got, float64(v))
		}
	} else {
		got = out.Float64s()
	}
	if want.Samples != nil {
		c.checkSummary(t, got, want, is32)
		return
	}
	for i, v := range want.values() {
		if !close2(got[i], v, is32, 1) {
			t.Errorf("element %d is %v, want %v", i, got[i], v)
		}
	}
}

// checkSummary compares sums and samples. Go's and PyTorch's sin differ in the last bit of the inputs, hence
// the absolute tolerance in units of scale.
func (c *torchCase) checkSummary(t *testing.T, got []float64, want *torchArray, is32 bool) {
	sum, abs := 0.0, 0.0
	for _, v := range got {
		sum, abs = sum+v, abs+math.Abs(v)
	}
	limit := 1e-12
	if is32 {
		limit = 1e-6
	}
	if math.Abs(sum-float64(want.Sum)) > limit*float64(want.AbsSum) || math.Abs(abs-float64(want.AbsSum)) > limit*float64(want.AbsSum) {
		t.Errorf("sum %v, sum of magnitudes %v, want %v, %v", sum, abs, want.Sum, want.AbsSum)
	}
	for key, v := range want.Samples {
		i, err := strconv.Atoi(key)
		if err != nil {
			t.Fatal(err)
		}
		if !close2(got[i], float64(v), is32, max(1, c.Inputs.Input.Scale)) {
			t.Errorf("element %d is %v, want %v", i, got[i], v)
		}
	}
}

// close2 is the rule for values: float64 relative 1e-12 or absolute 1e-14; float32 within softmaxUlps of the
// float64 value of the same inputs rounded to float32, or absolute 1e-14.
func close2(got, want float64, is32 bool, scale float64) bool {
	if !is32 {
		return same(got, want) || math.Abs(got-want) <= scale*max(1e-14, 1e-12*math.Abs(want))
	}
	return math.Abs(got-want) <= 1e-14 || ulps(float32(got), want) <= softmaxUlps
}
