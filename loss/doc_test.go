package loss_test

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
)

// documentation is the package as go doc sees it, its examples included.
func documentation(t *testing.T) *doc.Package {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no source: %v", err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		if path == "gen_tables.go" { // a program of its own
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	pkg, err := doc.NewFromFiles(fset, files, "github.com/surprisal-go/surprisal/loss", doc.PreserveAST)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// graphFuncs are the exported functions that take nodes and options: the losses and the nodes they
// stand on.
func graphFuncs(pkg *doc.Package) (funcs []*doc.Func, operands map[string]int) {
	operands = make(map[string]int)
	all := slices.Clone(pkg.Funcs)
	for _, typ := range pkg.Types {
		all = append(all, typ.Funcs...)
	}
	for _, f := range all {
		nodes, options := 0, false
		for _, p := range f.Decl.Type.Params.List {
			switch x := p.Type.(type) {
			case *ast.StarExpr:
				if sel, ok := x.X.(*ast.SelectorExpr); ok && sel.Sel.Name == "Node" {
					nodes += len(p.Names)
				}
			case *ast.Ellipsis:
				id, ok := x.Elt.(*ast.Ident)
				options = options || ok && id.Name == "Option"
			}
		}
		if nodes > 0 && options {
			funcs = append(funcs, f)
			operands[f.Name] = nodes
		}
	}
	return funcs, operands
}

var (
	derivative = regexp.MustCompile(`d\w+(\(\w+\))?/d\S+`)
	optionLink = regexp.MustCompile(`\[(With\w+)\]`)
	docLink    = regexp.MustCompile(`\[([A-Z]\w*)\]`)
)

// paragraphs returns the paragraphs of a doc comment as text, and its code blocks.
func paragraphs(pkg *doc.Package, text string) (prose, code []string) {
	for _, block := range pkg.Parser().Parse(text).Content {
		switch b := block.(type) {
		case *comment.Code:
			code = append(code, b.Text)
		case *comment.Paragraph:
			p := pkg.Printer()
			prose = append(prose, strings.Join(strings.Fields(string(p.Comment(&comment.Doc{Content: []comment.Block{b}}))), " "))
		}
	}
	return prose, code
}

// TestDocumentation: the doc comment of a loss or node has a formula with a derivative, an Options
// line that says what the registry says, a source, and an example that is run.
func TestDocumentation(t *testing.T) {
	pkg := documentation(t)
	funcs, _ := graphFuncs(pkg)
	if len(funcs) < 20 {
		t.Fatalf("only %d losses and nodes found", len(funcs))
	}
	for _, f := range funcs {
		prose, code := paragraphs(pkg, f.Doc)
		if !slices.ContainsFunc(code, derivative.MatchString) {
			t.Errorf("%s: no formula block with a derivative", f.Name)
		}
		if !strings.HasPrefix(f.Doc, f.Name+" returns ") {
			t.Errorf("%s: the doc comment does not begin with %q", f.Name, f.Name+" returns ")
		}
		if n := len(prose); n == 0 || !strings.HasPrefix(prose[n-1], "Reference: ") {
			t.Errorf("%s: the last paragraph is not a Reference", f.Name)
		}
		at := slices.IndexFunc(prose, func(p string) bool { return strings.HasPrefix(p, "Options:") })
		if at < 0 {
			t.Errorf("%s: no Options line", f.Name)
			continue
		}
		var listed []string
		for _, m := range optionLink.FindAllStringSubmatch(prose[at], -1) {
			listed = append(listed, m[1])
		}
		if len(listed) == 0 && prose[at] != "Options: none." {
			t.Errorf("%s: the Options line is %q, want options or \"Options: none.\"", f.Name, prose[at])
		}
		if info, ok := loss.Describe(f.Name); ok {
			slices.Sort(listed)
			if want := slices.Sorted(slices.Values(info.Options)); !slices.Equal(listed, want) {
				t.Errorf("%s: the Options line lists %v, the registry %v", f.Name, listed, want)
			}
		}
		if !slices.ContainsFunc(f.Examples, func(e *doc.Example) bool { return e.Output != "" }) {
			t.Errorf("%s: no Example%s with output", f.Name, f.Name)
		}
	}
}

// TestFamiliesAreComplete: each exported function of two or more operands is a loss that the
// registry knows and a family lists, once, with its number of operands.
func TestFamiliesAreComplete(t *testing.T) {
	funcs, operands := graphFuncs(documentation(t))
	seen := make(map[string]bool)
	for _, family := range loss.Families() {
		for _, name := range family.Losses {
			info, ok := loss.Describe(name)
			if !ok || info.Family != family.Name || seen[name] {
				t.Errorf("%s in family %q: described %t, of family %q, seen before %t", name, family.Name, ok,
					info.Family, seen[name])
			}
			if n := operands[name]; n < len(info.Operands) || n > len(info.Operands)+len(info.Optional) {
				t.Errorf("%s has operands %v, its function %d", name, info.Operands, n)
			}
			seen[name] = true
		}
	}
	for _, f := range funcs {
		if operands[f.Name] > 1 && !seen[f.Name] {
			t.Errorf("%s is exported and in no family", f.Name)
		}
		info, _ := loss.Describe(f.Name)
		if _, ok := loss.Lookup(f.Name); ok != (operands[f.Name] == 2 && !info.Node) {
			t.Errorf("%s has %d operands, Lookup says %t", f.Name, operands[f.Name], ok)
		}
	}
}

// TestDocLinks: what stands in brackets in a doc comment is a name of the package.
func TestDocLinks(t *testing.T) {
	pkg := documentation(t)
	known := make(map[string]bool)
	texts := map[string]string{"package": pkg.Doc}
	addFunc := func(prefix string, f *doc.Func) {
		known[f.Name] = known[f.Name] || prefix == ""
		texts[prefix+f.Name] = f.Doc
	}
	addValue := func(v *doc.Value) {
		for _, name := range v.Names {
			known[name] = true
		}
		texts[v.Names[0]] = v.Doc
	}
	for _, f := range pkg.Funcs {
		addFunc("", f)
	}
	for _, v := range append(pkg.Consts, pkg.Vars...) {
		addValue(v)
	}
	for _, typ := range pkg.Types {
		known[typ.Name] = true
		texts[typ.Name] = typ.Doc
		for _, f := range typ.Funcs {
			addFunc("", f)
		}
		for _, m := range typ.Methods {
			addFunc(typ.Name+".", m)
		}
		for _, v := range append(typ.Consts, typ.Vars...) {
			addValue(v)
		}
	}
	for of, text := range texts {
		for _, m := range docLink.FindAllStringSubmatch(text, -1) {
			if !known[m[1]] {
				t.Errorf("the documentation of %s links to [%s], which is not there", of, m[1])
			}
		}
	}
}
