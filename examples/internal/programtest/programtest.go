// Package programtest has what the tests of the example programs do alike.
package programtest

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Dir returns a directory that is not there yet.
func Dir(t *testing.T) string { return filepath.Join(t.TempDir(), "made", "by the program") }

// Picture decodes a PNG file.
func Picture(t *testing.T, path ...string) image.Image {
	t.Helper()
	f, err := os.Open(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", f.Name(), err)
	}
	return img
}

// Scan reads values from the line of an output that begins with a name, by the rest of the line in
// a format of fmt.Sscanf.
func Scan(t *testing.T, output, name, format string, values ...any) {
	t.Helper()
	_, rest, found := strings.Cut("\n"+output, "\n"+name)
	if _, err := fmt.Sscanf(strings.TrimLeft(rest, " "), format, values...); err != nil || !found {
		t.Fatalf("the line %q: %v in\n%s", name, err, output)
	}
}

// NoDirectory runs a program whose output directory cannot be made.
func NoDirectory(t *testing.T, run func(out string) error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var pathError *fs.PathError
	if err := run(filepath.Join(file, "below")); !errors.As(err, &pathError) {
		t.Errorf("a directory below a file: got the error %v, want a path error", err)
	}
}
