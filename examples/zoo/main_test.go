package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/examples/internal/programtest"
	"github.com/surprisal-go/surprisal/loss"
)

// TestRun: every loss has one row, with right derivatives, and those of rows and the ones that stand
// for others have one panel in pictures of both kinds. A second time the same bytes are written.
func TestRun(t *testing.T) {
	dir := programtest.Dir(t)
	var text, again bytes.Buffer
	if err := run(&text, dir); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for line := range strings.Lines(text.String()) {
		if words := strings.Fields(line); strings.HasPrefix(line, "   ") && len(words) > 0 { // no family
			rows[words[0]]++
		}
	}
	panels := map[string]int{}
	files := map[string][]byte{}
	for _, sh := range sheets {
		path := filepath.Join(dir, sh.file)
		for _, ending := range []string{".png", ".svg"} {
			if !strings.Contains(text.String(), "wrote "+path+ending+"\n") {
				t.Errorf("the output does not say that there is %s%s", path, ending)
			}
			b, err := os.ReadFile(path + ending)
			if err != nil {
				t.Fatal(err)
			}
			files[path+ending] = b
		}
		checkPNG(t, path+".png")
		for _, s := range svgText(t, path+".svg", files[path+".svg"]) {
			name, _, _ := strings.Cut(s, " ")
			panels[name]++
		}
	}
	all := specimenList(t)
	for i := range all {
		s := &all[i]
		if rows[s.Name] != 1 {
			t.Errorf("%s has %d rows in the table, want 1:\n%s", s.Name, rows[s.Name], text.String())
		}
		want := 0
		if s.pictured() {
			want = 1
		}
		if panels[s.Name] != want {
			t.Errorf("%s has %d panels, want %d", s.Name, panels[s.Name], want)
		}
	}
	if !strings.Contains(text.String(), ", 0 wrong;") || strings.Contains(text.String(), "WRONG") {
		t.Errorf("derivatives are wrong:\n%s", text.String())
	}
	if err := writeSheets(&again, dir, all); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(text.String(), again.String()) {
		t.Errorf("a second run wrote\n%s\nwant the end of\n%s", again.String(), text.String())
	}
	for path, want := range files {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("another drawing makes another %s, error %v", path, err)
		}
	}
}

// checkPNG: the picture decodes, is large enough to be read, and has both curves.
func checkPNG(t *testing.T, path string) {
	t.Helper()
	img := programtest.Picture(t, path)
	size := img.Bounds().Size()
	if size.X < 1000 || size.Y < 600 {
		t.Errorf("%s has %v pixels, want at least 1000x600", path, size)
	}
	loss, slope := 0, 0
	ofLoss, ofSlope := img.ColorModel().Convert(lossInk), img.ColorModel().Convert(slopeInk)
	for x := range size.X {
		for y := range size.Y {
			switch img.At(x, y) {
			case ofLoss:
				loss++
			case ofSlope:
				slope++
			}
		}
	}
	if loss < 1000 || slope < 1000 {
		t.Errorf("%s has %d pixels of losses and %d of derivatives, want thousands", path, loss, slope)
	}
}

// svgText parses the file and returns its texts.
func svgText(t *testing.T, path string, b []byte) (texts []string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	inText, root := false, ""
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if inText = e.Name.Local == "text"; root == "" {
				root = e.Name.Local
			}
		case xml.CharData:
			if inText {
				texts = append(texts, strings.TrimSpace(string(e)))
			}
		case xml.EndElement:
			inText = false
		}
	}
	if root != "svg" {
		t.Errorf("%s begins with the element %q, want svg", path, root)
	}
	return texts
}

// TestFaults: a loss without a sheet, a loss without a view and a directory that cannot be made are
// errors.
func TestFaults(t *testing.T) {
	all := specimenList(t)
	all[0].Family = "Unheard of"
	panels := 0
	for i := range all {
		if all[i].pictured() {
			panels++
		}
	}
	want := fmt.Sprintf("%d panels for %d losses", panels-1, panels)
	if err := writeSheets(io.Discard, t.TempDir(), all); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a loss of an unknown family: got the error %v, want %q in it", err, want)
	}
	strange := specimen{Info: loss.Info{Name: "Strange"}, domains: []loss.Domain{loss.Scales, loss.Real}}
	if _, err := strange.view(); err == nil || !strings.Contains(err.Error(), "Strange") {
		t.Errorf("a loss of scales against reals: got the error %v, want one that names it", err)
	}
	programtest.NoDirectory(t, func(out string) error { return writeSheets(io.Discard, out, all) })
}
