package report

import (
	"bytes"
	"encoding/xml"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/metric"
)

// drawn renders a picture in both formats, checks their form and returns the pixels.
func drawn(t *testing.T, p *Picture) image.Image {
	t.Helper()
	var svg, raster bytes.Buffer
	if err := p.Write(&svg, "svg"); err != nil {
		t.Fatal(err)
	}
	dec := xml.NewDecoder(&svg)
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("SVG is no XML: %v", err)
		}
	}
	if err := p.Write(&raster, "png"); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&raster)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// count returns how many pixels have a colour.
func count(img image.Image, c color.RGBA) int {
	n := 0
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if color.RGBAModel.Convert(img.At(x, y)) == c {
				n++
			}
		}
	}
	return n
}

func TestCurves(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, log := range []bool{false, true} {
		p, err := Curves("title", "loss", log, Series{"a", []float64{3, 2, nan, 1, inf, 0.5}, false}, Series{"b", []float64{1, 1, 1, 1, 1, 1}, true},
			Series{"c", []float64{0.1, -0.2, 0, 4, 5, 6}, false})
		if err != nil {
			t.Fatal(err)
		}
		img := drawn(t, p)
		for i := range 2 {
			if n := count(img, palette[i]); n < 200 {
				t.Errorf("log %v: %d pixels in the colour of series %d", log, n, i)
			}
		}
		if n := count(img, palette[2]); n > 20 {
			t.Errorf("log %v: %d pixels in a third colour, want the dashed series in that of the first", log, n)
		}
	}
	for name, s := range map[string][]Series{"one point": {{"a", []float64{2}, false}}, "flat": {{"a", []float64{0, 0}, false}}} {
		p, err := Curves("", "", false, s...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := count(drawn(t, p), palette[0]); n < 20 {
			t.Errorf("%s: %d pixels drawn", name, n)
		}
	}
	for name, s := range map[string][]Series{"nothing": nil, "all NaN": {{"a", []float64{nan, nan}, false}}, "not positive": {{"a", []float64{0, -1}, false}}} {
		if _, err := Curves("", "", true, s...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestConfusion reads the colours of the cells back: deep on the diagonal, and pale beside it.
func TestConfusion(t *testing.T) {
	p, err := Confusion("title", []string{"cat", "dog"}, [][]float64{{9, 1}, {0, 0}})
	if err != nil {
		t.Fatal(err)
	}
	img := drawn(t, p)
	for _, share := range []float64{0.9, 0.1, 0} {
		fill, _ := shade(share)
		if n := count(img, fill.(color.RGBA)); n < 3000 {
			t.Errorf("%d pixels in the colour of share %v", n, share)
		}
	}
	for name, m := range map[string][][]float64{"empty": {}, "ragged": {{1}, {1, 2}}, "NaN": {{1, math.NaN()}, {1, 2}}, "negative": {{1, -1}, {1, 2}}} {
		if _, err := Confusion("", nil, m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Confusion("", []string{"a"}, [][]float64{{1, 2}, {3, 4}}); err == nil {
		t.Error("one name for two classes: no error")
	}
}

func TestReliability(t *testing.T) {
	nan := math.NaN()
	p, err := Reliability("title", []metric.Bin{{Weight: 0, Confidence: nan, Accuracy: nan}, {Weight: 5, Confidence: 0.4, Accuracy: 0.2}, {Weight: 9, Confidence: 0.9, Accuracy: 0.95}})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(drawn(t, p), palette[0]); n < 10000 {
		t.Errorf("%d pixels of bars", n)
	}
	if _, err := Reliability("", nil); err == nil {
		t.Error("no bins: no error")
	}
	if _, err := Reliability("", []metric.Bin{{}}); err == nil {
		t.Error("empty bins: no error")
	}
}

func TestSave(t *testing.T) {
	p, err := Curves("", "y", false, Series{"a", []float64{1, 2}, false})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"a.png", "a.svg", "a.PNG"} {
		if err := p.Save(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if err := p.Save(filepath.Join(dir, "a.gif")); err == nil || !strings.Contains(err.Error(), "want png or svg") {
		t.Errorf("gif: %v", err)
	}
}

// series is a History.
type series map[string][]float64

func (s series) Names() []string {
	var out []string
	for _, n := range []string{"loss", "accuracy", "val_loss"} {
		if s[n] != nil {
			out = append(out, n)
		}
	}
	return out
}
func (s series) Series(name string) []float64 { return s[name] }

// TestPage: the page is well-formed where a parser of XML can tell, has all pictures inside and no
// address outside itself.
func TestPage(t *testing.T) {
	p, err := NewPage("A <title> & more", series{"loss": {2, 1, 0.5}, "val_loss": {2, 1.5, math.NaN()}, "accuracy": {0.1, 0.5, 0.9}})
	if err != nil {
		t.Fatal(err)
	}
	p.Facts = append(p.Facts, Fact{"optimizer", "<adam>"})
	path := filepath.Join(t.TempDir(), "r.html")
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if got := strings.Count(text, "<svg "); got != 2 {
		t.Errorf("%d pictures, want 2", got)
	}
	for _, want := range []string{"A &lt;title&gt; &amp; more", "&lt;adam&gt;", "<td>0.90000</td>", "<figcaption>Accuracy per epoch</figcaption>"} {
		if !strings.Contains(text, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	rest := text
	for _, name := range []string{`xmlns="http://www.w3.org/2000/svg"`, `xmlns:xlink="http://www.w3.org/1999/xlink"`} {
		rest = strings.ReplaceAll(rest, name, "")
	}
	for _, bad := range []string{"http://", "https://", "<script", "<link", "@import", "url("} {
		if strings.Contains(rest, bad) {
			t.Errorf("page has %q", bad)
		}
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Strict, dec.AutoClose, dec.Entity = false, []string{"meta"}, xml.HTMLEntity
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("page is not well-formed: %v", err)
		}
	}
}

// TestColumnFormat: the numbers of a column have the same places, and none that is not 0 is shown
// as 0.
func TestColumnFormat(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		in   []float64
		want string
	}{
		{[]float64{2.10527, 0.0261, 1e-5, 0}, "2.1053 0.0261 1.00e-05 0.0000"},
		{[]float64{0.96379, 0.9415, math.NaN()}, "0.96379 0.94150 NaN"},
		{[]float64{318.0839, 24.5, inf}, "318.08 24.50 +Inf"},
		{[]float64{-1234567, 12}, "-1234567 12"},
		{[]float64{1e-9, 3e8}, "1.00e-09 3.00e+08"},
		{[]float64{0, 0}, "0.0000 0.0000"},
	} {
		show := columnFormat(c.in)
		var got []string
		for _, v := range c.in {
			got = append(got, show(v))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%v is shown as %q, want %q", c.in, text, c.want)
		}
	}
}

// TestRates: the curve and the line at the best rate are in the picture, with a gap where a loss is
// not finite.
func TestRates(t *testing.T) {
	rates := []float64{1e-4, 1e-3, 1e-2, 0.1, 1}
	p, err := Rates("title", rates, []float64{2, 1, 0.5, math.NaN(), 4}, 1e-3)
	if err != nil {
		t.Fatal(err)
	}
	img := drawn(t, p)
	if n := count(img, palette[0]); n < 500 {
		t.Errorf("%d pixels of the curve", n)
	}
	if n := count(img, palette[1]); n < 200 { // dashed
		t.Errorf("%d pixels of the line at the best rate", n)
	}
	if _, err := Rates("", rates, []float64{1, 1, 1, 1, 1}, 1e-3); err != nil {
		t.Errorf("a flat curve: %v", err)
	}
	for name, c := range map[string]struct {
		rates, losses []float64
		best          float64
	}{
		"one rate": {[]float64{1}, []float64{1}, 1}, "another number of losses": {rates, []float64{1, 2}, 1},
		"rates that fall": {[]float64{2, 1}, []float64{1, 2}, 1}, "a rate of 0": {[]float64{0, 1}, []float64{1, 2}, 1},
		"no best":        {[]float64{1, 2}, []float64{1, 2}, 0},
		"nothing finite": {[]float64{1, 2}, []float64{math.NaN(), math.Inf(1)}, 1},
	} {
		if _, err := Rates("", c.rates, c.losses, c.best); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
