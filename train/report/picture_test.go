package report

import (
	"bytes"
	"image"
	"image/color"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/metric"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// fill is a picture of one colour.
func fill(width, height vg.Length, ink color.Color) *Picture {
	return NewPicture(width, height, func(c draw.Canvas) {
		c.SetColor(ink)
		c.Fill(c.Rectangle.Path())
	})
}

// TestTiles: three squares of half an inch, red, green and blue, in rows of two.
func TestTiles(t *testing.T) {
	inks := []color.RGBA{{R: 255, A: 255}, {G: 255, A: 255}, {B: 255, A: 255}}
	var squares []*Picture
	for _, ink := range inks {
		squares = append(squares, fill(vg.Inch/2, vg.Inch/2, ink))
	}
	p, err := Tiles(2, squares...)
	if err != nil {
		t.Fatal(err)
	}
	img := drawn(t, p)
	if got := img.Bounds().Size(); got != image.Pt(dpi, dpi) {
		t.Fatalf("the picture has %v pixels, want %d by %d", got, dpi, dpi)
	}
	for at, want := range map[image.Point]color.RGBA{{X: 10, Y: 10}: inks[0], {X: 100, Y: 10}: inks[1], {X: 10, Y: 100}: inks[2], {X: 100, Y: 100}: {255, 255, 255, 255}} {
		if got := color.RGBAModel.Convert(img.At(at.X, at.Y)); got != want {
			t.Errorf("pixel %v is %v, want %v", at, got, want)
		}
	}
}

// TestImages: images of 3 by 2 and 2 by 2 pixels under each other, each pixel 2 by 2.
func TestImages(t *testing.T) {
	a, b := image.NewGray(image.Rect(5, 5, 8, 7)), image.NewRGBA(image.Rect(0, 0, 2, 2))
	a.SetGray(6, 5, color.Gray{Y: 255})
	b.Set(1, 1, color.RGBA{R: 0xe0, G: 0x6c, B: 0x10, A: 255})
	p, err := Images([]image.Image{a, b}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	img := drawn(t, p)
	if got := img.Bounds().Size(); got != image.Pt(10, 14) {
		t.Fatalf("the picture has %v pixels, want 10 by 14", got)
	}
	gap := color.RGBA{0xd0, 0xd0, 0xd0, 255}
	for at, want := range map[image.Point]color.RGBA{
		{X: 0, Y: 0}: gap, {X: 2, Y: 2}: {A: 255}, {X: 4, Y: 2}: {255, 255, 255, 255}, {X: 5, Y: 3}: {255, 255, 255, 255},
		{X: 4, Y: 4}: {A: 255}, {X: 8, Y: 3}: gap, {X: 5, Y: 11}: {0xe0, 0x6c, 0x10, 255}, {X: 6, Y: 11}: gap,
	} {
		if got := color.RGBAModel.Convert(img.At(at.X, at.Y)); got != want {
			t.Errorf("pixel %v is %v, want %v", at, got, want)
		}
	}
}

// TestEmbedding: three labels far from each other on a plane have points in three colours, whatever
// the lengths of the embeddings.
func TestEmbedding(t *testing.T) {
	var rows []float64
	var labels []int
	for i, length := range []float64{1, 2, 1e-200, 0, 1e200} {
		for k, corner := range [][]float64{{5, 0, 1}, {0, 5, 1}, {-5, -5, 1}} {
			for _, v := range corner {
				rows = append(rows, (v+.1*float64(i))*length)
			}
			labels = append(labels, 7+k)
		}
	}
	p, err := Embedding("title", metric.Cosine, rows, labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	img := drawn(t, p)
	for k := range 3 {
		if n := count(img, palette[k]); n < 40 {
			t.Errorf("%d pixels in the colour of label %d", n, 7+k)
		}
	}
	for name, fault := range map[string]func() (*Picture, error){
		"5 numbers for 2 labels": func() (*Picture, error) { return Embedding("", 0, make([]float64, 5), []int{0, 1}, nil) },
		"2 numbers for 1 labels": func() (*Picture, error) { return Embedding("", 0, []float64{1, 2}, []int{1}, nil) },
		"similarity is 2":        func() (*Picture, error) { return Embedding("", 2, rows, labels, nil) },
		"element 1 of embedding 1 is NaN": func() (*Picture, error) {
			return Embedding("", 0, []float64{1, 2, 3, math.NaN()}, []int{1, 2}, nil)
		},
		"labels are 7 to 9, want labels in [0, 2)": func() (*Picture, error) { return Embedding("", 0, rows, labels, []string{"a", "b"}) },
		"0 pictures in 2 columns":                  func() (*Picture, error) { return Tiles(2) },
		"picture 1 is nil":                         func() (*Picture, error) { return Tiles(1, p, nil) },
		"0 images in 1 columns at the scale 1":     func() (*Picture, error) { return Images(nil, 1, 1) },
		"image 0 is nil":                           func() (*Picture, error) { return Images([]image.Image{nil}, 1, 1) },
	} {
		if _, err := fault(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}

func TestWriteFaults(t *testing.T) {
	for want, p := range map[string]*Picture{
		"nothing to paint it":      NewPicture(1, 1, nil),
		"is 0 by 72 points":        fill(0, vg.Inch, color.Black),
		"is +Inf by 72 points":     fill(vg.Length(math.Inf(1)), vg.Inch, color.Black),
		`format is "", want png `:  fill(1, 1, color.Black),
		"is NaN by NaN points, wa": fill(vg.Length(math.NaN()), vg.Length(math.NaN()), color.Black),
	} {
		format := ""
		if !strings.HasPrefix(want, "format") {
			format = "png"
		}
		if err := p.Write(&bytes.Buffer{}, format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
