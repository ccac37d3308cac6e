package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
)

// TestRun: every loss has one row, with right derivatives, and one panel in pictures of both kinds.
// A second run writes the same bytes.
func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by the run")
	var text, again bytes.Buffer
	if err := run(&text, dir); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for line := range strings.Lines(text.String()) {
		if words := strings.Fields(line); len(words) > 0 {
			rows[words[0]]++
		}
	}
	panels := map[string]int{}
	files := map[string][]byte{}
	for _, sh := range sheets {
		path := filepath.Join(dir, sh.file)
		if !strings.Contains(text.String(), "to "+path+".png and .svg\n") {
			t.Errorf("the output does not say that there is %s.png", path)
		}
		for _, ending := range []string{".png", ".svg"} {
			b, err := os.ReadFile(path + ending)
			if err != nil {
				t.Fatal(err)
			}
			files[path+ending] = b
		}
		checkPNG(t, path+".png", files[path+".png"])
		for _, s := range svgText(t, path+".svg", files[path+".svg"]) {
			name, _, _ := strings.Cut(s, " ")
			panels[name]++
		}
	}
	for _, name := range names() {
		if rows[name] != 1 {
			t.Errorf("%s has %d rows in the table, want 1:\n%s", name, rows[name], text.String())
		}
		if panels[name] != 1 {
			t.Errorf("%s has %d panels, want 1", name, panels[name])
		}
	}
	if !strings.Contains(text.String(), ", 0 wrong;") || strings.Contains(text.String(), "WRONG") {
		t.Errorf("derivatives are wrong:\n%s", text.String())
	}
	if err := run(&again, dir); err != nil {
		t.Fatal(err)
	}
	if again.String() != text.String() {
		t.Errorf("a second run wrote\n%s\nwant\n%s", again.String(), text.String())
	}
	for path, want := range files {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("a second run drew another %s, error %v", path, err)
		}
	}
}

// checkPNG: the picture decodes, is large enough to be read, and has both curves.
func checkPNG(t *testing.T, path string, b []byte) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	size := img.Bounds().Size()
	if size.X < 1000 || size.Y < 600 {
		t.Errorf("%s has %v pixels, want at least 1000x600", path, size)
	}
	loss, slope := 0, 0
	for x := range size.X {
		for y := range size.Y {
			switch c := img.At(x, y); c {
			case color.Color(img.ColorModel().Convert(lossInk)):
				loss++
			case color.Color(img.ColorModel().Convert(slopeInk)):
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
	want := fmt.Sprintf("%d panels for %d losses", len(all)-1, len(all))
	if err := writeSheets(io.Discard, t.TempDir(), all); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a loss of an unknown family: got the error %v, want %q in it", err, want)
	}
	strange := specimen{Info: loss.Info{Name: "Strange"}, domains: []loss.Domain{loss.Scales, loss.Real}}
	if _, err := strange.view(); err == nil || !strings.Contains(err.Error(), "Strange") {
		t.Errorf("a loss of scales against reals: got the error %v, want one that names it", err)
	}
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var pathError *fs.PathError
	if err := writeSheets(io.Discard, filepath.Join(file, "below"), all); !errors.As(err, &pathError) {
		t.Errorf("a directory below a file: got the error %v, want a path error", err)
	}
}
