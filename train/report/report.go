// Package report draws what a training run measured: curves, confusion matrices, reliability
// diagrams, embeddings and images as PNG or SVG, and one HTML page that holds them all and needs no
// network. [Plot] and [NewPicture] take drawings of one's own.
//
// It takes plain numbers, from a history, a metric or elsewhere, and imports no graph.
package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Series is a named sequence of numbers over epochs 1, 2, 3 and so on. Numbers that are not
// finite leave a gap.
type Series struct {
	Name   string
	Values []float64
	Dashed bool // drawn dashed, and in the colour of the series before it
}

// palette has colours that people with colour blindness tell apart (Okabe and Ito, Color Universal
// Design, 2008).
var palette = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0x56, 0xb4, 0xe9, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x33, 0x33, 0x33, 0xff},
}

var grey = color.RGBA{0xe4, 0xe4, 0xe4, 0xff}

// NewPlot returns a plot in the style of this package's pictures.
func NewPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 13, Weight: 3}
	p.Title.Padding = vg.Points(8)
	sans := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font, a.Tick.Label.Font = sans, sans
		a.Label.Padding = vg.Points(4)
		a.LineStyle.Color, a.Tick.LineStyle.Color = color.Gray{0x66}, color.Gray{0x66}
	}
	p.Legend.TextStyle.Font = sans
	p.Legend.Padding = vg.Points(3)
	p.Legend.ThumbnailWidth = vg.Points(26)
	p.BackgroundColor = color.White
	return p
}

// Curves draws series over epochs. With log the vertical axis is logarithmic, and numbers <= 0
// leave gaps too.
func Curves(title, label string, log bool, series ...Series) (*Picture, error) {
	if len(series) == 0 {
		return nil, errors.New("report.Curves: no series")
	}
	p := NewPlot(title, "epoch", label)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = grey, grey
	p.Add(grid)
	if log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
	}
	// The legend goes to the right, above curves that fall and below those that rise. Its text
	// follows the lines, with room for the longest name in a browser's wider font: two thirds of
	// the size for a letter.
	width, longest := 5.6*vg.Inch, 0
	for _, s := range series {
		longest = max(longest, utf8.RuneCountInString(s.Name))
	}
	room := p.Legend.ThumbnailWidth + vg.Points(10) + vg.Length(longest)*p.Legend.TextStyle.Font.Size*2/3
	p.Legend.Left, p.Legend.XOffs = true, max(0, width-0.9*vg.Inch-room)
	if p.Legend.Top = falls(series[0].Values); p.Legend.Top {
		p.Legend.YOffs = -vg.Points(6)
	} else {
		p.Legend.YOffs = vg.Points(6)
	}
	drawn, hue := 0, -1
	for _, s := range series {
		if !s.Dashed || hue < 0 {
			hue++
		}
		style := draw.LineStyle{Color: palette[hue%len(palette)], Width: vg.Points(1.8)}
		if s.Dashed {
			style.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		shown := false
		for _, piece := range pieces(s.Values, log) {
			line, err := plotter.NewLine(piece)
			if err != nil {
				return nil, fmt.Errorf("report.Curves: series %q: %w", s.Name, err)
			}
			line.LineStyle = style
			p.Add(line)
			if len(piece) == 1 { // a line of one point is invisible
				dot, err := plotter.NewScatter(piece)
				if err != nil {
					return nil, fmt.Errorf("report.Curves: series %q: %w", s.Name, err)
				}
				dot.GlyphStyle = draw.GlyphStyle{Color: style.Color, Radius: vg.Points(3), Shape: draw.CircleGlyph{}}
				p.Add(dot)
			}
			if !shown {
				p.Legend.Add(s.Name, line)
				shown = true
			}
			drawn++
		}
	}
	if drawn == 0 {
		return nil, errors.New("report.Curves: no number to draw")
	}
	if p.Y.Min == p.Y.Max { // gonum cannot scale a flat line
		p.Y.Min, p.Y.Max = p.Y.Min-math.Abs(p.Y.Min)/10-1e-9, p.Y.Max+math.Abs(p.Y.Max)/10+1e-9
	}
	if p.X.Min == p.X.Max {
		p.X.Min, p.X.Max = p.X.Min-0.5, p.X.Max+0.5
	}
	return Plot(p, width, 3.8*vg.Inch), nil
}

// falls reports whether the last finite number is below the first.
func falls(values []float64) bool {
	var finite []float64
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			finite = append(finite, v)
		}
	}
	return len(finite) == 0 || finite[len(finite)-1] <= finite[0]
}

// pieces cuts a series at the numbers that cannot be drawn.
func pieces(values []float64, log bool) []plotter.XYs {
	var out []plotter.XYs
	var current plotter.XYs
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || log && v <= 0 {
			if current != nil {
				out = append(out, current)
			}
			current = nil
			continue
		}
		current = append(current, plotter.XY{X: float64(i + 1), Y: v})
	}
	if current != nil {
		out = append(out, current)
	}
	return out
}

// logTicks marks 1, 2 and 5 of each power of ten, of more than three only the powers, with labels as
// plain numbers.
type logTicks struct{}

func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	steps := []float64{1, 2, 5}
	if hi > 1e3*lo { // labels of all would overlap
		steps = steps[:1]
	}
	var out []plot.Tick
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		for _, m := range steps {
			if v := m * math.Pow(10, e); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				out = append(out, plot.Tick{Value: v, Label: fmt.Sprintf("%.3g", v)})
			}
		}
	}
	return out
}

// label returns centred text.
func label(size vg.Length, c color.Color) text.Style {
	return text.Style{Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Color: c,
		Handler: plot.DefaultTextHandler, XAlign: text.XCenter, YAlign: text.YCenter}
}
