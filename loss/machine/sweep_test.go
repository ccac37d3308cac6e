package machine_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// tapeFails lists the graphs of the sweep that a TapeMachine of Gorgonia v0.9.18 cannot run, or
// runs wrongly.
var tapeFails = map[string]string{
	"At/matrix":             "the TapeMachine leaves the operation out and reads the matrix",
	"ConvType/to the other": "the operation converts scalars only",
	"MaxBetween/scalars":    "the operation takes tensors only",
	"MinBetween/scalars":    "the operation takes tensors only",
	"OuterProd/vectors":     "the derivative multiplies shapes that do not fit",
	"YOLOv3/evaluation":     "the operation takes float32 only, and changes the shape of its operand, which the second run cannot take",
}

// setUp builds a case with the gradients of its sum by all inputs and Read statements for
// everything.
func setUp(build builder, dt tensor.Dtype, gradients bool) (s *scene, results []G.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	s = &scene{g: G.NewGraph(), dt: dt}
	out, err := build(s)
	if err != nil {
		return nil, nil, err
	}
	results = make([]G.Value, 1+len(s.inputs))
	if gradients && len(s.inputs) > 0 && out.Dtype() != tensor.Bool {
		cost := out
		if !out.IsScalar() {
			// not the plain sum, whose gradient is the same for every element
			if cost, err = G.Sum(G.Must(G.HadamardProd(out, out))); err != nil {
				return nil, nil, err
			}
		}
		grads, err := G.Grad(cost, s.inputs...)
		if err != nil {
			return nil, nil, err
		}
		for i, d := range grads {
			G.Read(d, &results[1+i])
		}
	}
	G.Read(out, &results[0])
	return s, results, nil
}

// change gives the inputs other values, in place, a new set for each run.
func (s *scene) change(run int) {
	for i, x := range s.inputs {
		next := func(j int) float64 { return 0.3 + math.Abs(math.Sin(float64(j+i+5*run))) }
		switch d := x.Value().Data().(type) {
		case []float64:
			for j := range d {
				d[j] = next(j)
			}
		case []float32:
			for j := range d {
				d[j] = float32(next(j))
			}
		case float64:
			if err := G.Let(x, next(0)); err != nil {
				panic(err)
			}
		case float32:
			if err := G.Let(x, float32(next(0))); err != nil {
				panic(err)
			}
		}
	}
}

// bits are the numbers of a value, exactly. A NaN is a NaN: which of two operands gives its sign is
// the compiler's choice.
func bits(v G.Value) string {
	if v == nil {
		return "nothing"
	}
	text := fmt.Append(nil, v.Shape(), v.Dtype())
	switch d := v.Data().(type) {
	case []float64:
		for _, x := range d {
			if math.IsNaN(x) {
				text = append(text, " NaN"...)
				continue
			}
			text = strconv.AppendUint(append(text, ' '), math.Float64bits(x), 16)
		}
	case []float32:
		for _, x := range d {
			if x != x {
				text = append(text, " NaN"...)
				continue
			}
			text = strconv.AppendUint(append(text, ' '), uint64(math.Float32bits(x)), 16)
		}
	default:
		text = fmt.Append(text, " ", d)
	}
	return string(text)
}

// threeRuns returns what the Read statements gave in three runs with changed inputs.
func threeRuns(s *scene, vm G.VM, results []G.Value) (text []string, err error) {
	defer vm.Close()
	for run := range 3 {
		s.change(run)
		if err := vm.RunAll(); err != nil {
			return nil, fmt.Errorf("run %d: %w", run, err)
		}
		vm.Reset()
		for _, v := range results {
			text = append(text, bits(v))
		}
	}
	return text, nil
}

// TestEveryOperationEqualsTheTapeMachine runs every operation of Gorgonia with its gradients three
// times, with inputs that change, on a TapeMachine and in three ways on the machine, and compares
// all results to the bit.
func TestEveryOperationEqualsTheTapeMachine(t *testing.T) {
	all := operations()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			t.Run(fmt.Sprintf("%s %v", name, dt), func(t *testing.T) { sweep(t, name, all[name], dt) })
		}
	}
}

func sweep(t *testing.T, name string, build builder, dt tensor.Dtype) {
	gradients := true
	if _, _, err := setUp(build, dt, true); err != nil {
		gradients = false // a side effect of the attempt may be a graph that is half differentiated: start again
	}
	options := map[string][]machine.Option{
		"plain":       nil,
		"with reuse":  {machine.WithBufferReuse()},
		"only needed": {machine.WithOutputs()},
		"all options": {machine.WithOutputs(), machine.WithBufferReuse()},
	}
	ours := make(map[string][]string)
	for mode, opts := range options {
		s, results, err := setUp(build, dt, gradients)
		if err != nil {
			t.Fatal(err)
		}
		m, err := machine.New(s.g, opts...)
		if err != nil {
			t.Fatal(err)
		}
		ours[mode], err = threeRuns(s, m, results)
		var named *machine.Error
		switch {
		case err != nil && (tapeFails[name] == "" || !errors.As(err, &named)):
			t.Errorf("%s: %v", mode, err)
		case errors.Is(err, machine.ErrPanic):
			t.Fatalf("%s: %v (on a TapeMachine it would end the process)", mode, err)
		}
	}
	s, results, err := setUp(build, dt, gradients)
	if err != nil {
		t.Fatal(err)
	}
	tape := G.NewTapeMachine(s.g)
	want, err := threeRuns(s, tape, results)
	if reason := tapeFails[name]; reason != "" {
		if err == nil && slices.Equal(ours["plain"], want) {
			t.Errorf("the TapeMachine is listed as failing (%s) and gives the same", reason)
		}
		return
	}
	if err != nil {
		t.Fatalf("the TapeMachine fails: %v", err)
	}
	for mode, got := range ours {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("%s: result %d of run %d is %.80s, the TapeMachine gives %.80s", mode, i%len(results), i/len(results), got[i], want[i])
				break
			}
		}
	}
}

// TestEveryExportedOperationIsInTheSweep reads Gorgonia's source: each exported function that
// returns a node has a case, or stands here with the reason why not.
func TestEveryExportedOperationIsInTheSweep(t *testing.T) {
	without := map[string]string{
		"Grad": "every case", "Must": "no operation", "Read": "every case", "Set": "see TestSet",
		"NewScalar": "inputs", "NewVector": "inputs", "NewMatrix": "inputs", "NewTensor": "inputs", "NodeFromAny": "inputs",
		"NodesFromInputs": "inputs", "NewUniqueNode": "no operation", "Sort": "no operation", "UnstableSort": "no operation",
		"UniformRandomNode": "see TestRandomNodes", "GaussianRandomNode": "see TestRandomNodes", "BinomialRandomNode": "see TestRandomNodes",
	}
	covered := make(map[string]bool)
	for name := range operations() {
		function, _, _ := strings.Cut(name, "/")
		covered[function] = true
	}
	pkg, err := build.Import("gorgonia.org/gorgonia", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(pkg.Dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(filepath.Base(name), "cuda") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			if r := types.ExprString(f.Type.Results.List[0].Type); r != "*Node" && r != "Nodes" {
				continue
			}
			found++
			if name := f.Name.Name; covered[name] == (without[name] != "") {
				t.Errorf("gorgonia.%s has no case in the sweep, or has one and an excuse", name)
			}
		}
	}
	if found < 90 { // v0.9.18 has 97
		t.Errorf("only %d functions found in %s", found, pkg.Dir)
	}
}
