package data

import (
	"math"
	"strings"
	"testing"
)

func TestStandardizeFaults(t *testing.T) {
	f := flowers(t)
	huge, err := NewFrame(map[string]Series{"x": Numbers([][]float64{{math.MaxFloat64}, {-math.MaxFloat64}})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, call := range map[string]func() (Scaling, error){
		"records are nil":                       func() (Scaling, error) { return Standardize(nil, "x") },
		`there is no input "x", only ["colour"`: func() (Scaling, error) { return Standardize(f, "x") },
		`input "colour" is int (), want floats`: func() (Scaling, error) { return Standardize(f, "colour") },
		"no rows":                               func() (Scaling, error) { return Standardize(&chosen{f, nil}, "sizes") },
		"scaling has the":                       func() (Scaling, error) { return Standardize(huge, "x") },
		"the source has ended":                  func() (Scaling, error) { return Standardize(short{f}, "sizes") },
	} {
		if _, err := call(); err == nil || !strings.HasPrefix(err.Error(), "data.Standardize: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// Rows with an offset far larger than their spread keep their digits: 1e9 + {0, 1, 2}.
	far, err := NewFrame(map[string]Series{"x": Numbers([][]float64{{1e9}, {1e9 + 1}, {1e9 + 2}})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Standardize(far, "x")
	if want := math.Sqrt(2.0 / 3); err != nil || s.Mean[0] != 1e9+1 || math.Abs(s.Std[0]-want) > 1e-9 {
		t.Errorf("scaling %+v (%v), want 1e9+1 and √(2/3)", s, err)
	}
}
