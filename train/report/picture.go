package report

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/surprisal-go/surprisal/train/weights"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// dpi is the number of pixels per inch of a PNG file.
const dpi = 144

// A Picture is a drawing of a fixed size, to be saved or put on a [Page].
type Picture struct {
	width, height vg.Length
	paint         func(c draw.Canvas)
}

// NewPicture returns a picture that paint draws with gonum's plot. The canvas has the given size,
// with its origin in the lower left corner, and is white. paint is called for each Write:
//
//	picture := report.NewPicture(2*vg.Inch, 2*vg.Inch, func(c draw.Canvas) {
//		c.StrokeLine2(style, c.Min.X, c.Min.Y, c.Max.X, c.Max.Y)
//	})
func NewPicture(width, height vg.Length, paint func(c draw.Canvas)) *Picture {
	return &Picture{width, height, paint}
}

// Plot returns a picture of a plot of one's own, with a margin. [NewPlot] returns one in the style
// of this package.
func Plot(p *plot.Plot, width, height vg.Length) *Picture {
	return NewPicture(width, height, func(c draw.Canvas) { p.Draw(margins(c)) })
}

func margins(c draw.Canvas) draw.Canvas {
	margin := vg.Points(10)
	return draw.Crop(c, margin, -vg.Points(16), margin, -margin)
}

// Tiles returns a picture of pictures, side by side in rows of so many columns. All have the room
// of the largest.
func Tiles(columns int, pictures ...*Picture) (*Picture, error) {
	if columns < 1 || len(pictures) == 0 {
		return nil, fmt.Errorf("report.Tiles: %d pictures in %d columns, want at least 1 of each", len(pictures), columns)
	}
	var width, height vg.Length
	for i, p := range pictures {
		if p == nil {
			return nil, fmt.Errorf("report.Tiles: picture %d is nil", i)
		}
		width, height = max(width, p.width), max(height, p.height)
	}
	columns = min(columns, len(pictures))
	rows := (len(pictures) + columns - 1) / columns
	return NewPicture(vg.Length(columns)*width, vg.Length(rows)*height, func(c draw.Canvas) {
		for i, p := range pictures {
			left, top := c.Min.X+vg.Length(i%columns)*width, c.Max.Y-vg.Length(i/columns)*height
			p.paint(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
				Min: vg.Point{X: left, Y: top - p.height}, Max: vg.Point{X: left + p.width, Y: top}}})
		}
	}), nil
}

// Save writes the picture to a file in the format of its name, .png or .svg: all of it or nothing.
func (p *Picture) Save(path string) error {
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	err := weights.WriteFile(path, func(w io.Writer) error { return p.Write(w, format) })
	if err != nil {
		return fmt.Errorf("report.Save: %w", err)
	}
	return nil
}

// Write writes the picture as "png", at 144 dots per inch, or "svg".
func (p *Picture) Write(w io.Writer, format string) error {
	switch size := max(p.width, p.height); {
	case p.paint == nil:
		return errors.New("the picture has nothing to paint it")
	case !(p.width > 0 && p.height > 0) || math.IsInf(float64(size), 1):
		return fmt.Errorf("the picture is %v by %v points, want positive numbers", float64(p.width), float64(p.height))
	}
	var c interface {
		vg.CanvasSizer
		io.WriterTo
	}
	switch format {
	case "png":
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))}
	case "svg":
		c = vgsvg.New(p.width, p.height)
	default:
		return fmt.Errorf("format is %q, want png or svg", format)
	}
	p.paint(draw.New(c))
	_, err := c.WriteTo(w)
	return err
}
