// Zoo shows all losses side by side, to help with the choice of one: a table with the value, the
// gradient and the error of the second derivative of each on a small problem, and sheets of small
// plots with its curve and slope.
//
//	go run ./examples/zoo [-out DIR]
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", filepath.Join(os.TempDir(), "surprisal-zoo"), "directory for the sheets of plots")
	flag.Parse()
	if err := run(os.Stdout, *out); err != nil {
		log.Fatal(err)
	}
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
