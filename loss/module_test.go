package loss_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConsumer builds and runs a module that requires only this one: it must start on a current Go
// without a step of its own.
func TestConsumer(t *testing.T) {
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const main = `package main

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() {
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float64, G.WithName("x"), G.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{0, 0}))))
	y := G.NewVector(g, tensor.Int, G.WithName("y"), G.WithValue(tensor.New(tensor.WithShape(1), tensor.WithBacking([]int{1}))))
	cost := G.Must(loss.CrossEntropy(x, y))
	m := G.NewTapeMachine(g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		panic(err)
	}
	fmt.Printf("%.6f\n", cost.Value().Data())
}
`
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": main, "go.sum": string(sums),
		"go.mod": "module consumer\n\ngo 1.26.0\n\nrequire github.com/surprisal-go/surprisal v0.0.0\n\nreplace github.com/surprisal-go/surprisal => " + here + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "run", "-mod=mod", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "0.693147\n") { // log 2
		t.Fatalf("go run: %v\n%s", err, out)
	}
}

// TestImports holds the arrows examples -> train -> loss -> tensorops, and those between the
// packages of loss: the core and the formulas know nothing of graphs.
func TestImports(t *testing.T) {
	const module = "github.com/surprisal-go/surprisal/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{join .Imports ","}}`, "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	level := map[string]int{"tensorops": 0, "loss": 1, "train": 2, "examples": 3}
	inside := map[string]int{ // of the packages below loss
		"loss/internal/core": 0, "loss/internal/formula": 1, "loss/internal/graph": 1, "loss": 2, "loss/eager": 3,
		"loss/machine": 3, "loss/gradcheck": 4,
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		from, _, _ := strings.Cut(strings.TrimPrefix(pkg, module), "/")
		for _, imp := range strings.Split(imports, ",") {
			if to, _, _ := strings.Cut(strings.TrimPrefix(imp, module), "/"); strings.HasPrefix(imp, module) && level[to] > level[from] {
				t.Errorf("%s imports %s", pkg, imp)
			}
			a, known := inside[strings.TrimPrefix(pkg, module)]
			if b, ok := inside[strings.TrimPrefix(imp, module)]; known && ok && b >= a {
				t.Errorf("%s imports %s", pkg, imp)
			}
			if (from == "tensorops" || strings.HasSuffix(pkg, "/core") || strings.HasSuffix(pkg, "/formula")) && imp == "gorgonia.org/gorgonia" {
				t.Errorf("%s imports %s", pkg, imp)
			}
		}
	}
}
