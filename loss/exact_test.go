package loss

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// exactNumber is a number that may be the string inf or -inf.
type exactNumber float64

// UnmarshalJSON reads a number.
func (n *exactNumber) UnmarshalJSON(text []byte) error {
	s := string(text)
	if u, err := strconv.Unquote(s); err == nil {
		s = u
	}
	v, err := strconv.ParseFloat(s, 64)
	*n = exactNumber(v)
	return err
}

// An exactRow is a point and what a loss is there: value, gradient and Hessian.
type exactRow struct {
	x       []float64
	value   exactNumber
	grad    []exactNumber
	hessian [][]exactNumber
}

// UnmarshalJSON reads [point, value, gradient, Hessian].
func (r *exactRow) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&r.x, &r.value, &r.grad, &r.hessian})
}

// exactOptions are the options by the names that the file uses.
var exactOptions = map[string]func(float64) Option{
	"alpha": WithAlpha, "beta": WithBeta, "delta": WithDelta, "epsilon": WithEpsilon, "margin": WithMargin,
	"power":    WithPower,
	"quantile": WithQuantile, "scale": WithScale, "tau": WithTau,
}

// TestRegressionExact holds values and derivatives of first and second order against
// multiple-precision arithmetic (testdata/exact/regression.py): tiny and huge errors, and
// parameters at and beside the values where a formula is 0/0.
func TestRegressionExact(t *testing.T) {
	f, err := os.Open("testdata/exact/regression.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Loss    string
			Options map[string]any
			Rows    []exactRow
		}
	}
	if err := json.NewDecoder(z).Decode(&file); err != nil {
		t.Fatal(err)
	}
	defs := make(map[string]*core.Definition)
	for _, c := range regressionProbes() {
		defs[c.def.Name] = c.def
	}
	tested := make(map[string]bool)
	for _, c := range file.Cases {
		p := probe{def: defs[c.Loss]}
		if p.def == nil {
			t.Fatalf("no loss %s", c.Loss)
		}
		tested[c.Loss] = true
		for name, v := range c.Options {
			if name == "full" {
				p.opts = append(p.opts, WithFull())
			} else {
				p.opts = append(p.opts, exactOptions[name](v.(float64)))
			}
		}
		if !p.def.Elementwise() {
			p.length = len(c.Rows[0].x) / len(p.def.Required())
		}
		fn := p.fn(t)
		for _, r := range c.Rows {
			check := func(what string, got float64, want exactNumber) {
				t.Helper()
				if !exactly(got, float64(want)) {
					t.Errorf("%s %v at %v: %s is %v, want %v (relative %.2g)", c.Loss, c.Options, r.x, what, got,
						want, math.Abs(got/float64(want)-1))
				}
			}
			check("value", p.value(fn, r.x), r.value)
			g := p.grad(fn, r.x)
			for k, want := range r.grad {
				check("derivative "+strconv.Itoa(k), g[k], want)
			}
			for j := range r.x {
				v := make([]float64, len(r.x))
				v[j] = 1
				h := p.hess(fn, r.x, v)
				for k := range r.x {
					check("second derivative "+strconv.Itoa(k)+","+strconv.Itoa(j), h[k], r.hessian[k][j])
				}
			}
		}
	}
	for name := range defs {
		if !tested[name] {
			t.Errorf("the file has no row of %s", name)
		}
	}
}

// exactly reports whether got is want up to the rounding of a dozen operations and of one
// exponential with an argument of a few hundred: 2e-13 relative. Numbers below 1e-307 have not all
// their digits.
func exactly(got, want float64) bool {
	return got == want || math.Abs(got-want) <= max(2e-13*math.Abs(want), 1e-307)
}
