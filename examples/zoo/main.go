// Zoo shows all losses side by side, to help with the choice of one: a table with the value, the gradient and the
// error of the second derivative of each on a small problem.
//
//	go run ./examples/zoo
package main

import (
	"io"
	"log"
	"os"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run writes the table to w.
func run(w io.Writer) error {
	all, err := specimens()
	if err != nil {
		return err
	}
	return table(w, all)
}
