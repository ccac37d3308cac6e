package main

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss/gradcheck"
)

// faulty are the operations of Gorgonia v0.9.18 that the checker is known to find; all others must
// pass.
var faulty = []string{
	"BinaryXent at the ends",
	"ByIndices on axis 1",
	"CTCLoss with Mean",
	"CTCLoss with Sum, LispMachine",
	"Grad called twice",
	"LogSoftMax, wide rows",
	"Max along axis 1, LispMachine",
	"MaxBetween, LispMachine",
	"OuterProd",
	"SoftMax, wide rows",
	"Softplus above 16",
	"Sparsemax on axis 0",
}

func TestOperations(t *testing.T) {
	for seed := range uint64(3) {
		var found, right []string
		note := func(_ io.Writer, name string, r *gradcheck.Report) error {
			switch {
			case r == nil:
			case r.OK():
				right = append(right, name)
				if slices.Contains(faulty, name) {
					t.Errorf("seed %d: %s passes", seed, name)
				}
			default:
				found = append(found, name)
				if !slices.Contains(faulty, name) {
					t.Errorf("seed %d: %s fails:\n%v", seed, name, r)
				}
			}
			return nil
		}
		if err := run(io.Discard, "", seed, note); err != nil {
			t.Fatal(err)
		}
		if len(found) != len(faulty) || len(found)+len(right) != len(operations) {
			t.Errorf("seed %d: %d faulty and %d right of %d, want %d faulty", seed, len(found), len(right),
				len(operations), len(faulty))
		}
	}
}

// What the program prints names the fault.
func TestOutput(t *testing.T) {
	var b strings.Builder
	if err := run(&b, "ByIndices", 1, text(false)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ok      ByIndices on axis 0: 12 derivatives", "FAULTY  ByIndices on axis 1", "only where axis 1 is [0 3]",
		"1 right, 1 faulty:\n  ByIndices on axis 1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := run(&b, "Tanh", 1, text(true)); err != nil || !strings.Contains(b.String(), "largest relative error") {
		t.Errorf("verbose output, error %v:\n%s", err, b.String())
	}
	b.Reset()
	if err := run(&b, "Max", 1, asLines); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(strings.NewReader(b.String()))
	n := 0
	for lines.More() {
		var line struct {
			Operation string
			Report    struct{ Elements []any }
		}
		if err := lines.Decode(&line); err != nil || line.Operation == "" || len(line.Report.Elements) == 0 {
			t.Fatalf("line %d: %+v, error %v", n, line, err)
		}
		n++
	}
	// SoftMax, LogSoftMax, Sparsemax and their like are not "Max"
	if n != 4+4 {
		t.Errorf("%d lines of JSON, want 8", n)
	}
}
