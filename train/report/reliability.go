package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"

	"github.com/surprisal-go/surprisal/train/metric"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Reliability draws a reliability diagram: the share of right predictions in each bin of
// confidence, against the diagonal on which a calibrated model lies. The light part of a bar is the
// gap to the bin's mean confidence; the strip below shows how the rows are spread over the bins.
func Reliability(title string, bins []metric.Bin) (*Picture, error) {
	if len(bins) == 0 {
		return nil, errors.New("report.Reliability: no bins")
	}
	var total float64
	for i, b := range bins {
		if !(b.Weight >= 0) || math.IsInf(b.Weight, 1) {
			return nil, fmt.Errorf("report.Reliability: weight of bin %d is %v, want a finite number >= 0", i, b.Weight)
		}
		total += b.Weight
	}
	if total == 0 {
		return nil, errors.New("report.Reliability: all bins are empty")
	}
	p := NewPlot(title, "confidence", "share that is right")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, -0.12, 1
	ticks := plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: .2, Label: "0.2"}, {Value: .4, Label: "0.4"}, {Value: .6, Label: "0.6"}, {Value: .8, Label: "0.8"}, {Value: 1, Label: "1"}}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks, ticks
	p.X.Padding, p.Y.Padding = 0, 0
	p.Add(bars{bins, total})
	diagonal, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		return nil, fmt.Errorf("report.Reliability: %w", err)
	}
	diagonal.LineStyle = draw.LineStyle{Color: color.Gray{0x55}, Width: vg.Points(1.2), Dashes: []vg.Length{vg.Points(5), vg.Points(3)}}
	p.Add(diagonal)
	return Plot(p, 5*vg.Inch, 5*vg.Inch), nil
}

// bars is the plotter of the bins.
type bars struct {
	bins  []metric.Bin
	total float64
}

func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	box := func(fill color.Color, x0, x1, y0, y1 float64) {
		gap := vg.Points(0.75)
		c.FillPolygon(fill, []vg.Point{{X: toX(x0) + gap, Y: toY(y0)}, {X: toX(x1) - gap, Y: toY(y0)},
			{X: toX(x1) - gap, Y: toY(y1)}, {X: toX(x0) + gap, Y: toY(y1)}})
	}
	light := color.RGBA{0xf3, 0xc4, 0x9f, 0xff}
	n := float64(len(b.bins))
	for i, bin := range b.bins {
		x0, x1 := float64(i)/n, float64(i+1)/n
		box(grey, x0, x1, -0.12, -0.02)
		if bin.Weight == 0 {
			continue
		}
		box(light, x0, x1, min(bin.Accuracy, bin.Confidence), max(bin.Accuracy, bin.Confidence))
		box(palette[0], x0, x1, 0, min(bin.Accuracy, bin.Confidence))
		// The end of the bar that is the accuracy is marked where the gap lies below it.
		if bin.Accuracy > bin.Confidence {
			box(palette[0], x0, x1, bin.Accuracy-0.006, bin.Accuracy)
		}
		box(palette[6], x0, x1, -0.12, -0.12+0.1*bin.Weight/b.total)
	}
}
