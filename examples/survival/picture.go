package main

import (
	"image/color"
	"math"

	"github.com/surprisal-go/surprisal/train/report"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

var inks = []color.Color{color.RGBA{R: 0xe0, G: 0x6c, B: 0x10, A: 0xff}, color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}}

// draw returns a picture of the share of the treated and of the others in a study who survive: by
// Kaplan and Meier, by the model and in truth.
func draw(s study, beta []float64) (*report.Picture, error) {
	p := report.NewPlot("Survival in the first study: Kaplan-Meier (circles), Cox (lines), truth (dashes)", "months", "share alive")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 36, 0, 1
	p.Legend.Top, p.Legend.XOffs = true, vg.Points(-8)
	hazard := baseline(s, beta)
	for group, name := range []string{"others", "treated"} {
		var patients study
		for i, t := range s.time {
			if x := s.row(i); x[0] == float64(group) {
				patients.add(x, t, s.event[i])
			}
		}
		meier, model, real := patients.kaplanMeier(), plotter.XYs{{Y: 1}}, plotter.XYs{}
		for _, h := range hazard {
			model = append(model, plotter.XY{X: h.X, Y: patients.mean(beta, h.Y)})
		}
		for t := 0.0; t <= 36; t++ {
			real = append(real, plotter.XY{X: t, Y: patients.mean(truth, math.Pow(t/scale, shape))})
		}
		points, err := plotter.NewScatter(meier)
		if err != nil {
			return nil, err
		}
		points.Color, points.Radius = inks[group], vg.Points(4)
		line, err := plotter.NewLine(model)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = inks[group], vg.Points(2)
		dashes, err := plotter.NewLine(real)
		if err != nil {
			return nil, err
		}
		dashes.Color, dashes.Dashes = inks[group], []vg.Length{vg.Points(5), vg.Points(4)}
		p.Add(points, line, dashes)
		p.Legend.Add(name, line)
	}
	return report.Plot(p, 9*vg.Inch, 6*vg.Inch), nil
}

// mean is the share of patients who are alive, on average, under a cumulative baseline hazard.
func (s study) mean(beta []float64, hazard float64) (alive float64) {
	for i := range s.time {
		alive += math.Exp(-hazard*math.Exp(floats.Dot(s.row(i), beta))) / float64(len(s.time))
	}
	return alive
}

// baseline is the cumulative hazard at x = 0 after each visit, by Efron's rule: with d deaths, the
// q-th of them is drawn from the risks of all without a share of q/d of those who die.
func baseline(s study, beta []float64) (cumulative plotter.XYs) {
	sum := 0.0
	for t := visit; t <= 36; t += visit {
		var all, dying, deaths float64
		for i, end := range s.time {
			risk := math.Exp(floats.Dot(s.row(i), beta))
			if end >= t {
				all += risk
			}
			if end == t && s.event[i] == 1 {
				dying, deaths = dying+risk, deaths+1
			}
		}
		for q := range int(deaths) {
			sum += 1 / (all - float64(q)/deaths*dying)
		}
		cumulative = append(cumulative, plotter.XY{X: t, Y: sum})
	}
	return cumulative
}

// kaplanMeier is the share alive after each visit at which someone was at risk.
func (s study) kaplanMeier() (curve plotter.XYs) {
	alive := 1.0
	for t := visit; t <= 36; t += visit {
		var risk, deaths float64
		for i, end := range s.time {
			if end >= t {
				risk++
			}
			if end == t {
				deaths += s.event[i]
			}
		}
		if risk > 0 {
			alive *= 1 - deaths/risk
			curve = append(curve, plotter.XY{X: t, Y: alive})
		}
	}
	return curve
}
