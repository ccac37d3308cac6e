package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme: the packages to get are there, and the training snippet is the code that package
// train's examples run.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/surprisal-go/surprisal"
	commands := regexp.MustCompile(`(?m)^go get .*$`).FindAllString(string(text), -1)
	if len(commands) == 0 {
		t.Error("no command to get the packages")
	}
	for _, c := range commands {
		for _, p := range strings.Fields(c)[2:] {
			dir, ok := strings.CutPrefix(p, module)
			files, err := filepath.Glob(".." + dir + "/*.go")
			if err != nil {
				t.Fatal(err)
			}
			sources := 0
			for _, f := range files {
				if !strings.HasSuffix(f, "_test.go") {
					sources++
				}
			}
			if !ok || sources == 0 {
				t.Errorf("%q: %s is no package of this module", c, p)
			}
		}
	}
	_, rest, found := strings.Cut(string(text), "```go\nfunc fit")
	snippet, _, _ := strings.Cut("func fit"+rest, "```")
	example, err := os.ReadFile("../train/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !found || !strings.Contains(string(example), snippet) {
		t.Errorf("train/example_test.go does not have\n%s", snippet)
	}
	for _, word := range []string{"Lint(", "FastDevRun", "OverfitBatch", "Load(", "Predict(", "2 minutes"} {
		if !strings.Contains(string(text), word) {
			t.Errorf("README.md does not mention %s", word)
		}
	}
}
