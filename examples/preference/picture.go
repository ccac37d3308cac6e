package main

import (
	"image/color"

	"github.com/surprisal-go/surprisal/train/report"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

var inks = []color.Color{color.Gray{Y: 0x80}, color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff},
	color.RGBA{R: 0xe0, G: 0x6c, B: 0x10, A: 0xff}, color.RGBA{R: 0x2c, G: 0x8a, B: 0x57, A: 0xff}}

// draw returns a picture of the ways that the objectives take from the reference, by objective, seed
// and time, below the bound of all models.
func draw(paths [][][]measure, far float64) (*report.Picture, error) {
	p := report.NewPlot("What a preference costs: the farther up for the same divergence, the better the loss",
		"KL divergence from the reference (nats a sentence)", "share of sentences that name a colour")
	p.Legend.Left, p.Legend.Top, p.Legend.XOffs = true, true, vg.Points(8)
	var limit plotter.XYs
	for kl := 0.0; kl <= far; kl += far / 100 {
		limit = append(limit, plotter.XY{X: kl, Y: bound(paths[0][0][0].share, kl)})
	}
	line, err := plotter.NewLine(limit)
	if err != nil {
		return nil, err
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
				return nil, err
			}
			line.Color, line.Width = inks[i], vg.Points(1.5)
			p.Add(line)
			if seed == 0 {
				p.Legend.Add(o.name, line)
			}
		}
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, far, 0, 1
	return report.Plot(p, 9*vg.Inch, 6*vg.Inch), nil
}
