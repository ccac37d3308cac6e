package program

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInt(t *testing.T) {
	n := Int("rounds", 5, 2, "number of rounds")
	if *n != 5 {
		t.Errorf("the default is %d, want 5", *n)
	}
	if err := flag.Set("rounds", "3"); err != nil || *n != 3 {
		t.Errorf("set to 3: %d, error %v", *n, err)
	}
	for _, text := range []string{"1", "x", ""} {
		if err := flag.Set("rounds", text); err == nil || !strings.Contains(err.Error(), "at least 2") || *n != 3 {
			t.Errorf("set to %q: %d, error %v", text, *n, err)
		}
	}
}

// fileOf is a file with a text.
type fileOf string

func (text fileOf) Save(path string) error { return os.WriteFile(path, []byte(text), 0o644) }

func TestSave(t *testing.T) {
	var w strings.Builder
	dir := filepath.Join(t.TempDir(), "made", "by Save")
	if err := Save(&w, dir, "a.txt", fileOf("text")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.txt")
	if text, err := os.ReadFile(path); err != nil || string(text) != "text" || w.String() != "wrote "+path+"\n" {
		t.Errorf("the file has %q, error %v; the output is %q", text, err, w.String())
	}
	var pathError *os.PathError
	if err := Save(&w, filepath.Join(path, "below"), "b.txt", fileOf("")); !errors.As(err, &pathError) {
		t.Errorf("a directory below a file: got the error %v, want a path error", err)
	}
}
