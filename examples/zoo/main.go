// Zoo shows all losses side by side, to help choose one: a table with the value, the gradient and
// the error of the second derivative of each on a small problem, and sheets of small plots with its
// curve and its derivative.
//
//	go run ./examples/zoo [-out DIR]
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/program"
)

func main() {
	out := program.Out("zoo")
	program.Main(func(context.Context) error { return run(os.Stdout, *out) })
}

// run writes the table to w and the sheets to the directory out.
func run(w io.Writer, out string) error {
	all, err := specimens()
	if err != nil {
		return err
	}
	if err := table(w, all); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return writeSheets(w, out, all)
}
