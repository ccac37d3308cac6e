package main

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/tensorops/info"
	"github.com/surprisal-go/surprisal/train/report"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

var (
	ink   = color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}
	shade = color.RGBA{R: 0xe3, G: 0xec, B: 0xf5, A: 0xff}
	faint = color.Gray{Y: 0xc8}
)

// picture draws -log2 p over (0, 1] with some events on the curve.
func picture(w io.Writer, out string) error {
	const top = 8 // bits; the curve goes on to +Inf
	var l ledger
	var curve plotter.XYs
	for i := range 401 { // even steps in bits, so that the steep part is as smooth as the flat one
		p := math.Exp2(-top * float64(i) / 400)
		curve = append(curve, plotter.XY{X: p, Y: l.of(info.SelfInformation(p, info.Bits))})
	}
	var events plotter.XYs
	var names []string
	for _, e := range []struct {
		name string
		p    float64
	}{{"certain", 1}, {"a coin shows heads", 1. / 2}, {"a die shows six", 1. / 6}, {"one chance in ten", 1. / 10},
		{"six coins all show heads", 1. / 64}} {
		bits := l.of(info.SelfInformation(e.p, info.Bits))
		events = append(events, plotter.XY{X: e.p, Y: bits})
		unit := "bits"
		if bits == 1 {
			unit = "bit"
		}
		names = append(names, fmt.Sprintf("%s: %.3g %s", e.name, bits, unit))
	}
	if l.err != nil {
		return l.err
	}

	line, err := plotter.NewLine(curve)
	if err != nil {
		return err
	}
	line.Color, line.Width = ink, vg.Points(2.5)
	under, err := plotter.NewPolygon(append(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 0}}, append(curve, plotter.XY{X: 0, Y: top})...))
	if err != nil {
		return err
	}
	under.Color, under.LineStyle.Width = shade, 0
	dots, err := plotter.NewScatter(events)
	if err != nil {
		return err
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: vg.Points(4.5), Shape: draw.CircleGlyph{}}
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: events, Labels: names})
	if err != nil {
		return err
	}
	labels.Offset = vg.Point{X: vg.Points(8), Y: vg.Points(7)}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Font.Variant = "Sans"
	}
	labels.TextStyle[0].XAlign = draw.XRight // at the right edge, and clear of the curve
	labels.XYs[0].Y += .12

	p := report.NewPlot("The less likely, the more surprising", "probability p of the event", "self-information −log₂ p (bits)")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1.02, 0, top
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks(0, 1, .1, "%.1f"), ticks(0, top, 1, "%.0f")
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	p.Add(under, grid, line, dots, labels)

	fmt.Fprint(w, "\n   The curve of -log2 p: ")
	return program.Save(w, out, "self-information.png", report.Plot(p, 9*vg.Inch, 6*vg.Inch))
}

// ticks labels every step from lo to hi.
func ticks(lo, hi, step float64, format string) plot.ConstantTicks {
	var t plot.ConstantTicks
	for i := range int(math.Round((hi-lo)/step)) + 1 {
		v := lo + float64(i)*step
		t = append(t, plot.Tick{Value: v, Label: fmt.Sprintf(format, v)})
	}
	return t
}
