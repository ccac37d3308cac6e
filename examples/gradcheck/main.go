// Command gradcheck checks the gradients of Gorgonia's own operations and prints a report for each:
// what is wrong, at which elements, by how much and, where it can tell, why.
//
//	go run ./examples/gradcheck            all operations; those that pass in one line
//	go run ./examples/gradcheck -v         the full report of each
//	go run ./examples/gradcheck -only Max  those whose name contains Max
//	go run ./examples/gradcheck -json      one JSON object per operation
//
// Nothing in the table of operations says which of them are faulty. Operations may panic, and on a
// machine's goroutine a panic ends the program; the checker runs them on its own goroutine first,
// and gives the LispMachine a copy of the graph whose operations recover. What it cannot catch is a
// panic in a machine itself, or on a goroutine that an operation starts.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
)

func main() {
	verbose := flag.Bool("v", false, "print the full report of operations that pass")
	asJSON := flag.Bool("json", false, "print JSON")
	only := flag.String("only", "", "check only operations whose name contains this")
	seed := flag.Uint64("seed", 1, "seed of the points' upstreams")
	program.Main(func(context.Context) error {
		print := text(*verbose)
		if *asJSON {
			print = asLines
		}
		return run(os.Stdout, *only, *seed, print)
	})
}

// A printer writes the outcome of one operation.
type printer func(w io.Writer, name string, r *gradcheck.Report) error

// run checks the operations whose name contains only, and prints a summary.
func run(w io.Writer, only string, seed uint64, print printer) error {
	var right, faulty []string
	for _, o := range operations {
		if !strings.Contains(o.name, only) {
			continue
		}
		r, err := o.check(seed)
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		if err := print(w, o.name, r); err != nil {
			return err
		}
		if r.OK() {
			right = append(right, o.name)
		} else {
			faulty = append(faulty, o.name)
		}
	}
	return print(w, fmt.Sprintf("%d right, %d faulty:\n  %s", len(right), len(faulty), strings.Join(faulty, "\n  ")), nil)
}

func (o operation) check(seed uint64) (*gradcheck.Report, error) {
	opts := []gradcheck.Option{gradcheck.WithPasses(o.passes...), gradcheck.WithSeed(seed)}
	if !o.cost {
		opts = append(opts, gradcheck.WithRandomUpstream())
	}
	return gradcheck.Check(o.build, o.inputs, opts...)
}

func text(verbose bool) printer {
	return func(w io.Writer, name string, r *gradcheck.Report) (err error) {
		switch {
		case r == nil:
			_, err = fmt.Fprintf(w, "\n%s\n", name)
		case r.OK() && !verbose:
			_, err = fmt.Fprintf(w, "ok      %s: %d derivatives\n", name, len(r.Elements))
		case r.OK():
			_, err = fmt.Fprintf(w, "ok      %s\n%v\n", name, r)
		default:
			_, err = fmt.Fprintf(w, "FAULTY  %s\n%v\n", name, r)
		}
		return err
	}
}

func asLines(w io.Writer, name string, r *gradcheck.Report) error {
	if r == nil {
		return nil
	}
	return json.NewEncoder(w).Encode(map[string]any{"operation": name, "report": r})
}
