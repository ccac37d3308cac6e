package loss_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The files of testdata/torch hold values and derivatives that PyTorch computed; README.md there
// explains the format.

// refFile is one of them.
type refFile struct {
	Torch string
	Loss  string
	Cases []*refCase
}

// refCase is one call of a PyTorch function.
type refCase struct {
	Name     string
	Loss     string
	Function string
	Dtype    string
	Inputs   map[string]*refArray
	Options  map[string]any
	Upstream *refArray
	Output   *refArray
	Output64 *refArray
	Diff     []string
	Grads    map[string]*refArray
	Grads64  map[string]*refArray
	HVP      map[string]*refArray
	HVPError string                          `json:"hvp_error"`
	HVPJoint map[string]map[string]*refArray `json:"hvp_joint"`
	Error    string
	Tags     []string
}

// refArray is an array written out, given by a formula, or summarised.
type refArray struct {
	Shape []int
	Dtype string
	Data  []refNumber

	Gen                 string
	A, B, Scale, Offset float64
	Mul, Add, Mod       int
	IgnoreEvery         int `json:"ignore_every"`
	IgnoreIndex         int `json:"ignore_index"`
	Summary             bool
	Sum                 refNumber
	AbsSum              refNumber `json:"abs_sum"`
	Max, Min            refNumber
	Nonfinite           int
	Samples             map[string]refNumber
	zero                bool // a Hessian that the file describes as zeros in words
}

// UnmarshalJSON reads an array; a string in its place says in words that it is zero.
func (a *refArray) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		a.zero = true
		return nil
	}
	type plain refArray
	return json.Unmarshal(text, (*plain)(a))
}

// refNumber is a number that may be one of the strings inf, -inf and nan.
type refNumber float64

// UnmarshalJSON reads a number.
func (n *refNumber) UnmarshalJSON(text []byte) error {
	s := string(text)
	if u, err := strconv.Unquote(s); err == nil {
		s = u
	}
	v, err := strconv.ParseFloat(s, 64)
	*n = refNumber(v)
	return err
}

// size is the number of elements.
func (a *refArray) size() int {
	n := 1
	for _, d := range a.Shape {
		n *= d
	}
	return n
}

// values returns the elements in row-major order, as the file's float64 numbers.
func (a *refArray) values() []float64 {
	out := make([]float64, a.size())
	switch a.Gen {
	case "":
		for i, v := range a.Data {
			out[i] = float64(v)
		}
	case "sin":
		for k := range out {
			// The conversions keep a compiler from fusing the products into the sums, which the
			// generator does not do.
			i, j := float64(k/a.Shape[1]), float64(k%a.Shape[1])
			out[k] = float64(a.Scale*math.Sin(float64(i*a.A)+float64(j*a.B))) + a.Offset
		}
	case "modlabels":
		for i := range out {
			out[i] = float64((i*a.Mul + a.Add) % a.Mod)
			if a.IgnoreEvery != 0 && i%a.IgnoreEvery == 0 {
				out[i] = float64(a.IgnoreIndex)
			}
		}
	case "0.5+0.25*((7*k)%5)":
		for k := range out {
			out[k] = 0.5 + 0.25*float64(7*k%5)
		}
	default:
		panic("unknown generator " + a.Gen)
	}
	return out
}

// spread is the factor on the tolerances of a case that is ill conditioned, and of one with inputs
// from a formula: Go's sine and PyTorch's differ in the last bit of float64, and the derivative of
// every function here is of order 1.
func (c *refCase) spread() float64 {
	scale := 1.0
	if c.Name == "2x2-eps.1/float64" {
		// All mass but 2e-6 lies on the diagonal: rounding of the marginals, 1e-16, is 5e-11 of what
		// the potentials follow from.
		scale = 50
	}
	for _, a := range c.Inputs {
		if a.Gen == "sin" {
			scale = max(scale, a.Scale)
		}
	}
	return scale
}

// readReference reads all files of testdata/torch by name.
func readReference(t *testing.T) map[string]*refFile {
	t.Helper()
	paths, err := filepath.Glob("testdata/torch/*.json.gz")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no reference files: %v", err)
	}
	files := make(map[string]*refFile)
	for _, path := range paths {
		f, err := readReferenceFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".json.gz")] = f
	}
	return files
}

func readReferenceFile(path string) (*refFile, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := new(refFile)
	if err := json.NewDecoder(z).Decode(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !strings.HasPrefix(filepath.Base(path), f.Loss) {
		return nil, fmt.Errorf("%s holds %s", path, f.Loss)
	}
	return f, nil
}

// compare holds got against the reference: float64 to a relative error of 1e-12 or 1e-14 absolute,
// float32 to ulps units in the last place of the reference computed in float64 and rounded, or
// 1e-14 absolute. PyTorch rounds its own results to a few units of float64, and float32 results are
// the float64 computation rounded once.
func (c *refCase) compare(what string, got []float64, want *refArray, ulps int) error {
	if len(got) != want.size() && !want.zero {
		return fmt.Errorf("%s has %d elements, want %d", what, len(got), want.size())
	}
	if want.Summary {
		return c.compareSummary(what, got, want, ulps)
	}
	values := make([]float64, len(got))
	if !want.zero {
		values = want.values()
	}
	for i, w := range values {
		if !c.near(got[i], w, ulps) {
			return fmt.Errorf("%s[%d] = %v, want %v (%s)", what, i, got[i], w, distance(c.Dtype, got[i], w))
		}
	}
	return nil
}

func (c *refCase) compareSummary(what string, got []float64, want *refArray, ulps int) error {
	var sum, abs float64
	nonfinite := 0
	largest, smallest := math.Inf(-1), math.Inf(1)
	for _, v := range got {
		sum += v
		abs += math.Abs(v)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			nonfinite++
			continue
		}
		largest, smallest = max(largest, v), min(smallest, v)
	}
	// A float32 result is a rounding of each element, 6e-8 relative.
	tolerance := 1e-12 * c.spread()
	if c.Dtype == "float32" {
		tolerance = 1e-6
	}
	tolerance *= float64(want.AbsSum)
	switch {
	case nonfinite != want.Nonfinite:
		return fmt.Errorf("%s has %d elements that are not finite, want %d", what, nonfinite, want.Nonfinite)
	case !(math.Abs(sum-float64(want.Sum)) <= tolerance):
		return fmt.Errorf("Σ %s = %v, want %v ± %v", what, sum, want.Sum, tolerance)
	case !(math.Abs(abs-float64(want.AbsSum)) <= tolerance):
		return fmt.Errorf("Σ |%s| = %v, want %v ± %v", what, abs, want.AbsSum, tolerance)
	case !c.near(largest, float64(want.Max), ulps):
		return fmt.Errorf("max %s = %v, want %v", what, largest, want.Max)
	case !c.near(smallest, float64(want.Min), ulps):
		return fmt.Errorf("min %s = %v, want %v", what, smallest, want.Min)
	}
	for at, w := range want.Samples {
		i, err := strconv.Atoi(at)
		if err != nil {
			return err
		}
		if !c.near(got[i], float64(w), ulps) {
			return fmt.Errorf("%s[%d] = %v, want %v (%s)", what, i, got[i], w, distance(c.Dtype, got[i], float64(w)))
		}
	}
	return nil
}

// near is the rule for one element.
func (c *refCase) near(got, want float64, ulps int) bool {
	scale := c.spread()
	if c.Dtype == "float32" {
		if c.Loss == "linear_cross_entropy" || c.Function == "LinearTokenLogProb" {
			// The logits are float32 products of up to 32 terms: off by up to 34·2^-24·Σ|h·w|, here
			// 2^-24·34·5 and below.
			if math.Abs(got-want) <= 1e-5*max(1, math.Abs(want)) {
				return true
			}
		}
		return near32(float32(got), float32(want), ulps) || math.Abs(got-want) <= 1e-14
	}
	return near64(got, want, 1e-12*scale, 1e-14*scale)
}

// near64 reports whether got is want: both NaN, the same infinity, or within the relative or the
// absolute error.
func near64(got, want, rel, abs float64) bool {
	if got == want || got != got && want != want {
		return true
	}
	d := math.Abs(got - want)
	return !math.IsInf(want, 0) && (d <= rel*math.Abs(want) || d <= abs)
}

// near32 reports whether got is within ulps units in the last place of want.
func near32(got, want float32, ulps int) bool {
	if got == want || got != got && want != want {
		return true
	}
	if got != got || want != want || math.IsInf(float64(want), 0) || math.IsInf(float64(got), 0) {
		return false
	}
	return abs(ordinal32(got)-ordinal32(want)) <= ulps
}

// ordinal32 numbers the float32 values in their order.
func ordinal32(v float32) int {
	bits := int(math.Float32bits(v) & 0x7fffffff)
	if math.Signbit(float64(v)) {
		return -bits
	}
	return bits
}

func abs(i int) int { return max(i, -i) }

// distance words how far apart two numbers are.
func distance(dtype string, got, want float64) string {
	if dtype == "float32" {
		return fmt.Sprintf("%d ulp", ordinal32(float32(got))-ordinal32(float32(want)))
	}
	return fmt.Sprintf("relative %.2g", math.Abs(got-want)/math.Abs(want))
}
