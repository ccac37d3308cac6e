// Serve answers requests over HTTP with a classifier of handwritten digits. Its page has a canvas:
// draw a digit, and see the model's distribution over the ten, the entropy of the distribution in
// bits, and the surprisal of each digit.
//
//	go run ./examples/serve
//	go run ./examples/serve -save digits.safetensors
//	go run ./examples/serve -model digits.safetensors
//
// Without a model it trains one, which takes a few seconds. For programs there is
//
//	POST /predict   {"pixels": [64 numbers in [0, 1], row by row]}
//
// A browser does all of this in
//
//	go run ./examples/serve/browser
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/program"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on; port 0 takes a free one")
	model := flag.String("model", "", "file of a saved model; none means to train one")
	save := flag.String("save", "", "file to save the model to")
	epochs := program.Int("epochs", 40, 1, "passes over the training images")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, os.Stderr, *addr, *model, *save, *epochs) })
}

func run(ctx context.Context, w, progress io.Writer, addr, model, save string, epochs int) error {
	l, err := net.Listen("tcp", addr) // before the training: an address in use is soon known
	if err != nil {
		return err
	}
	defer l.Close()
	digits, err := newNet(ctx, model, epochs, w, progress)
	if err != nil {
		return err
	}
	if save != "" {
		if err := digits.Save(save); err != nil {
			return err
		}
		fmt.Fprintln(w, "wrote", save)
	}
	fmt.Fprintf(w, "http://%v\n", l.Addr())
	if err := serve(ctx, l, newHandler(digits)); err != nil {
		return err
	}
	fmt.Fprintln(w, "stopped")
	return nil
}
