package main

import (
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

var inks = []color.Color{color.Gray{Y: 0x80}, color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff},
	color.RGBA{R: 0xe0, G: 0x6c, B: 0x10, A: 0xff}, color.RGBA{R: 0x2c, G: 0x8a, B: 0x57, A: 0xff}}

// draw writes a picture of the ways that the objectives take from the reference, by objective, seed
// and time, below the bound of all models, and returns the file.
func draw(out string, paths [][][]measure, far float64) (file string, err error) {
	p := plot.New()
	p.Title.Text = "What a preference costs: the farther up for the same divergence, the better the loss"
	sans(&p.Title.TextStyle, 14)
	p.Title.Padding = vg.Points(12)
	p.X.Label.Text, p.Y.Label.Text = "KL divergence from the reference (nats a sentence)", "share of sentences that name a colour"
	p.Legend.Left, p.Legend.Top, p.Legend.XOffs, p.Legend.Padding = true, true, vg.Points(8), vg.Points(4)
	sans(&p.Legend.TextStyle, 12)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		sans(&a.Label.TextStyle, 13)
		sans(&a.Tick.Label, 11)
		a.Padding = 0
	}
	var limit plotter.XYs
	for kl := 0.0; kl <= far; kl += far / 100 {
		limit = append(limit, plotter.XY{X: kl, Y: bound(paths[0][0][0].share, kl)})
	}
	line, err := plotter.NewLine(limit)
	if err != nil {
		return "", err
	}
	line.Dashes = []vg.Length{vg.Points(5), vg.Points(4)}
	p.Add(line)
	p.Legend.Add("any model", line)
	for i, o := range objectives {
		for seed, path := range paths[i] {
			var points plotter.XYs
			for _, m := range path {
				points = append(points, plotter.XY{X: m.kl, Y: m.share})
			}
			if line, err = plotter.NewLine(points); err != nil {
				return "", err
			}
			line.Color, line.Width = inks[i], vg.Points(1.5)
			p.Add(line)
			if seed == 0 {
				p.Legend.Add(o.name, line)
			}
		}
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, far, 0, 1
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	file = filepath.Join(out, "preference.png")
	return file, p.Save(9*vg.Inch, 6*vg.Inch, file)
}

func sans(style *text.Style, points float64) {
	style.Font.Variant, style.Font.Size = "Sans", vg.Points(points)
}
