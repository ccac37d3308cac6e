package main

import (
	"fmt"
	"image/color"
	"io"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/train/report"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A sheet is a picture with a panel for each loss of some families.
type sheet struct {
	file, title, hint string
	families          []string
}

var sheets = []sheet{
	{"zoo-regression", "Regression",
		"A slope that grows makes outliers count most, a constant one makes them count like all others, one that falls back to 0 forgets them.",
		[]string{"Regression", "Quantiles and tolerances", "Relative errors", "Robust regression"}},
	{"zoo-classes", "Multi-class",
		"Where the slope is 0 an example teaches nothing more: on the right it is learnt, on the left a bounded loss has given it up as hopeless.",
		[]string{"Multi-class"}},
	{"zoo-binary", "Binary and multi-label",
		"Hinges leave right answers alone beyond a margin; logarithms never do. The slope on the left is the pull of a wrong answer.",
		[]string{"Binary and multi-label"}},
	{"zoo-likelihoods", "Counts, distributions, directions",
		"All are lowest at the target, where likelihoods need not be 0. The tails say what an outlier costs, the slopes how hard it pulls.",
		[]string{"Counts and positive amounts", "Location-scale likelihoods", "Similarity"}},
	{"zoo-divergences", "Divergences",
		"All are 0 where the distributions are equal. One that shoots up at an edge forbids certainty there; a bounded one allows it.",
		[]string{"Divergences"}},
	{"zoo-groups", "Regions, lists and embeddings",
		"A region's slope depends on all of its pixels, a list's on the order of its items. A margin leaves alone what is far enough.",
		[]string{"Overlap", "Ranking", "Embeddings"}},
	{"zoo-preference", "Preferences",
		"Where the slope is 0 a pair is learnt, or given up; a slope that never ends pulls the completions apart for ever.",
		[]string{"Preference and policy"}},
	{"zoo-scores", "Scores and imbalance",
		"A bounded score forgives a confident error, which then pulls no more; an asymmetric one lets go of what is right.",
		[]string{"Scores and imbalance"}},
}

const (
	columns     = 4
	panelWidth  = 2.45 * vg.Inch
	panelHeight = 2.05 * vg.Inch
	header      = .75 * vg.Inch
	margin      = .15 * vg.Inch
)

// Two colours that differ in lightness too.
var (
	lossInk  = color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}
	slopeInk = color.RGBA{R: 0xe0, G: 0x6c, B: 0x10, A: 0xff}
	gray     = color.Gray{Y: 0x50}
	faint    = color.Gray{Y: 0xe4}
	zero     = color.Gray{Y: 0x90}

	lossLine  = draw.LineStyle{Color: lossInk, Width: vg.Points(1.9)}
	slopeLine = draw.LineStyle{Color: slopeInk, Width: vg.Points(1.3)}
)

// writeSheets draws the sheets to the directory out, each as PNG and SVG, and says where they are.
func writeSheets(w io.Writer, out string, all []specimen) error {
	drawn := 0
	for _, sh := range sheets {
		var panels []*plot.Plot
		for i := range all {
			if s := &all[i]; s.pictured() && slices.Contains(sh.families, s.Family) {
				p, err := s.panel()
				if err != nil {
					return err
				}
				panels = append(panels, p)
			}
		}
		drawn += len(panels)
		width, height := sh.size(len(panels))
		picture := report.NewPicture(width, height, func(c draw.Canvas) { sh.paint(c, panels) })
		for _, ending := range []string{".png", ".svg"} {
			if err := program.Save(w, out, sh.file+ending, picture); err != nil {
				return err
			}
		}
	}
	want := 0
	for i := range all {
		if all[i].pictured() {
			want++
		}
	}
	if drawn != want {
		return fmt.Errorf("zoo: the sheets have %d panels for %d losses: a family is on no sheet, or on two", drawn, want)
	}
	return nil
}

// size is the size of a sheet of n panels.
func (sh *sheet) size(n int) (width, height vg.Length) {
	rows := vg.Length((n + columns - 1) / columns)
	return columns*panelWidth + 2*margin, rows*panelHeight + header + 2*margin
}

// paint draws the panels in rows below a header with the legend.
func (sh *sheet) paint(c draw.Canvas, panels []*plot.Plot) {
	c = draw.Crop(c, margin, -margin, margin, -margin)
	top := c.Max.Y
	c.FillText(style(16, color.Black, draw.XLeft), vg.Point{X: c.Min.X, Y: top}, sh.title)
	c.FillText(style(9.5, gray, draw.XLeft), vg.Point{X: c.Min.X, Y: top - vg.Points(25)}, sh.hint)
	x := c.Max.X
	for _, entry := range []struct {
		name string
		line draw.LineStyle
	}{{"derivative", slopeLine}, {"loss", lossLine}} {
		label := style(11, entry.line.Color, draw.XRight)
		c.FillText(label, vg.Point{X: x, Y: top - vg.Points(2)}, entry.name)
		x -= label.Width(entry.name) + vg.Points(5)
		c.StrokeLine2(entry.line, x-vg.Points(22), top-vg.Points(9), x, top-vg.Points(9))
		x -= vg.Points(38)
	}
	c = draw.Crop(c, 0, 0, 0, -header)
	grid := make([][]*plot.Plot, (len(panels)+columns-1)/columns)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
		copy(grid[i], panels[i*columns:])
	}
	tiles := draw.Tiles{Rows: len(grid), Cols: columns, PadX: vg.Points(12), PadY: vg.Points(10)}
	for i, row := range plot.Align(grid, tiles, c) {
		for j, tile := range row {
			if p := grid[i][j]; p != nil {
				p.Draw(tile)
			}
		}
	}
}

// panel draws a loss and its derivative.
func (s *specimen) panel() (*plot.Plot, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	c, err := s.curve(v)
	if err != nil {
		return nil, err
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text = s.Name, v.label
	if set := s.settings(); set != "" {
		p.Title.Text += "   " + set
	}
	p.Title.TextStyle = style(9.5, color.Black, draw.XCenter)
	p.Title.Padding = vg.Points(3)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = v.lo, v.hi, v.bottom, v.top
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Variant, a.Label.TextStyle.Font.Size, a.Label.TextStyle.Color = "Sans", vg.Points(7.5), gray
		a.Tick.Label.Font.Variant, a.Tick.Label.Font.Size, a.Tick.Label.Color = "Sans", vg.Points(7), gray
		a.Label.Padding, a.Padding = vg.Points(2), 0
		a.LineStyle.Width, a.Tick.LineStyle.Width, a.Tick.Length = vg.Points(.5), vg.Points(.5), vg.Points(3)
		a.LineStyle.Color, a.Tick.LineStyle.Color = zero, zero
		a.Tick.Marker = ticks(a.Min, a.Max)
	}
	grid := plotter.NewGrid()
	grid.Horizontal, grid.Vertical = draw.LineStyle{Color: faint, Width: vg.Points(.5)}, draw.LineStyle{Color: faint, Width: vg.Points(.5)}
	level := plotter.NewFunction(func(float64) float64 { return 0 })
	level.LineStyle = draw.LineStyle{Color: zero, Width: vg.Points(.7)}
	p.Add(grid, level)
	for _, l := range []struct {
		y     []float64
		style draw.LineStyle
	}{{c.slope, slopeLine}, {c.value, lossLine}} {
		for _, piece := range pieces(c.x, l.y, v.top-v.bottom) {
			line, err := plotter.NewLine(piece)
			if err != nil {
				return nil, fmt.Errorf("zoo: the curve of %s: %w", s.Name, err)
			}
			line.LineStyle = l.style
			p.Add(line)
		}
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = v.lo, v.hi, v.bottom, v.top // Add widens them to what is drawn
	return p, nil
}

// ticks are at most eight round numbers from lo to hi.
func ticks(lo, hi float64) plot.ConstantTicks {
	step := 50.
	for _, s := range []float64{.2, .5, 1, 2} {
		if (hi-lo)/s <= 7.5 {
			step = s
			break
		}
	}
	var t plot.ConstantTicks
	for n := int(lo/step) - 1; float64(n)*step <= hi; n++ {
		if x := float64(n) * step; x >= lo {
			t = append(t, plot.Tick{Value: x, Label: strings.Replace(fmt.Sprintf("%.3g", x), "-", "−", 1)})
		}
	}
	return t
}

func style(points float64, ink color.Color, align text.XAlignment) text.Style {
	s := plot.New().Title.TextStyle
	s.Font.Variant, s.Font.Size, s.Color, s.XAlign, s.YAlign = "Sans", vg.Points(points), ink, align, draw.YTop
	return s
}
