// Package program has what the example programs do alike around what they show.
package program

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
)

// Main parses the flags and calls run with a context that an interrupt cancels. An error ends the
// program.
func Main(run func(ctx context.Context) error) {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// Seed defines the flag -seed.
func Seed(decides string) *uint64 { return flag.Uint64("seed", 0, "decides "+decides) }

// Out defines the flag -out, a directory for files, by default one of a name below the directory
// for temporary files.
func Out(name string) *string {
	return flag.String("out", filepath.Join(os.TempDir(), "surprisal-"+name), "directory for what the program writes")
}

// Int defines a flag for a whole number that is not below least.
func Int(name string, value, least int, usage string) *int {
	n := &number{value, least}
	flag.Var(n, name, usage)
	return &n.value
}

// number is the value of a flag.
type number struct{ value, least int }

func (n *number) String() string { return strconv.Itoa(n.value) }

func (n *number) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < n.least {
		return fmt.Errorf("want a whole number of at least %d", n.least)
	}
	n.value = v
	return nil
}

// Save saves a picture or a page to a file in the directory out, which it makes, and says so on w.
func Save(w io.Writer, out, name string, file interface{ Save(path string) error }) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	path := filepath.Join(out, name)
	if err := file.Save(path); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "wrote", path)
	return err
}
