package tensorops

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
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

	limit float64 // for float32 values, in units of the last place
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
				t.Run(file+"/"+c.Name, func(t *testing.T) {
					c.limit = logUlps32
					if file == "softmax" {
						c.limit = softmaxUlps
					}
					c.check(t, f)
					if c.Dtype == "float32" {
						checkTorchGradient[float32](t, &c, file, c.Grads64.Input)
					} else {
						checkTorchGradient[float64](t, &c, file, c.Grads.Input)
					}
				})
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
		if !c.close(got[i], v, is32, 1) {
			t.Errorf("element %d is %v, want %v", i, got[i], v)
		}
	}
}

// checkSummary compares sums and samples. Go's and PyTorch's sin differ in the last bit of the
// inputs, hence the absolute tolerance in units of scale.
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
		if !c.close(got[i], float64(v), is32, max(1, c.Inputs.Input.Scale)) {
			t.Errorf("element %d is %v, want %v", i, got[i], v)
		}
	}
}

// close is the rule for values: float64 relative 1e-12 or absolute 1e-14; float32 within the case's
// limit of the float64 value of the same inputs, or absolute 1e-14.
func (c *torchCase) close(got, want float64, is32 bool, scale float64) bool {
	if !is32 {
		return same(got, want) || math.Abs(got-want) <= scale*max(1e-14, 1e-12*math.Abs(want))
	}
	return math.Abs(got-want) <= 1e-14 || ulps(float32(got), want) <= c.limit
}

// referenceRounds names the cases of logsumexp in which PyTorch's gradient, exp(x - logsumexp),
// suffers from the rounding of a large logsumexp: three equal logits of -3e38 get 1 each. There our
// gradient is held to its sum.
var referenceRounds = map[string]bool{
	"hostile-plus1e4": true, "hostile-pm3e38": true, "hostile-pm1e308": true, "hostile-all_equal": true,
}

// checkRowSums checks that a gradient of log-sum-exp adds up to the upstream one in the rows that
// are finite.
func checkRowSums[F Float](t *testing.T, dst, g []F, cols int) {
	t.Helper()
	for i, want := range g {
		sum := 0.0
		for _, v := range dst[i*cols : (i+1)*cols] {
			sum += float64(v)
		}
		if sum == sum && math.Abs(sum-float64(want)) > gradientUlps*ulp[F](float64(want)) {
			t.Errorf("gradient of row %d adds up to %v, want %v", i, sum, want)
		}
	}
}

// checkTorchGradient compares the vector-Jacobian products of the row forms. Each element is a
// difference of terms of up to the upstream gradient's size.
func checkTorchGradient[F Float](t *testing.T, c *torchCase, file string, want torchArray) {
	t.Helper()
	shape := c.Inputs.Input.Shape
	if want.Data == nil || c.Options.Axis != -1 && c.Options.Axis != len(shape)-1 {
		return // the row forms have the last axis; results given as sums are compared by values alone
	}
	cols := shape[len(shape)-1]
	x := convert[F](c.Inputs.Input.values())
	g := []F{1}
	if c.Upstream != nil {
		g = convert[F](c.Upstream.values())
	}
	largest := 0.0
	for _, v := range g {
		largest = max(largest, math.Abs(float64(v)))
	}
	dst := make([]F, len(x))
	switch file {
	case "logsumexp":
		LogSumExpGradRows(dst, x, g, cols)
	case "softmax":
		SoftmaxRows(dst, x, cols)
		SoftmaxGradRows(dst, dst, g, cols)
	case "log_softmax":
		LogSoftmaxRows(dst, x, cols)
		LogSoftmaxGradRows(dst, dst, g, cols)
	}
	if name, _, _ := strings.Cut(c.Name, "/"); file == "logsumexp" && referenceRounds[name] {
		checkRowSums(t, dst, g, cols)
		return
	}
	for i, w := range want.values() {
		if !same(float64(dst[i]), w) && !(math.Abs(float64(dst[i])-w) <= gradientUlps*ulp[F](float64(cols)*largest)) {
			t.Errorf("gradient[%d] is %v, want %v", i, dst[i], w)
		}
	}
}
