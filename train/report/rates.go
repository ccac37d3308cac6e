package report

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Rates draws losses over learning rates, which are positive and increase, on a logarithmic axis,
// with a line at the rate best. Losses that are not finite leave a gap.
func Rates(title string, rates, losses []float64, best float64) (*Picture, error) {
	if len(rates) != len(losses) || len(rates) < 2 {
		return nil, fmt.Errorf("report.Rates: %d rates and %d losses, want as many, and 2 at least", len(rates), len(losses))
	}
	for i, r := range rates {
		if !(r > 0) || math.IsInf(r, 1) || i > 0 && r <= rates[i-1] {
			return nil, fmt.Errorf("report.Rates: rate %v at index %d, want positive rates that increase", r, i)
		}
	}
	if !(best > 0) || math.IsInf(best, 1) {
		return nil, fmt.Errorf("report.Rates: best is %v, want a positive rate", best)
	}
	p := NewPlot(title, "learning rate", "loss")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = grey, grey
	p.Add(grid)
	drawn := false
	for _, piece := range pieces(losses, false) {
		for i := range piece {
			piece[i].X = rates[int(piece[i].X)-1]
		}
		line, err := plotter.NewLine(piece)
		if err != nil {
			return nil, fmt.Errorf("report.Rates: %w", err)
		}
		line.LineStyle = draw.LineStyle{Color: palette[0], Width: vg.Points(1.8)}
		p.Add(line)
		drawn = true
	}
	if !drawn {
		return nil, fmt.Errorf("report.Rates: no loss is finite")
	}
	if p.Y.Min == p.Y.Max { // gonum cannot scale a flat line
		p.Y.Min, p.Y.Max = p.Y.Min-math.Abs(p.Y.Min)/10-1e-9, p.Y.Max+math.Abs(p.Y.Max)/10+1e-9
	}
	mark, err := plotter.NewLine(plotter.XYs{{X: best, Y: p.Y.Min}, {X: best, Y: p.Y.Max}})
	if err != nil {
		return nil, fmt.Errorf("report.Rates: %w", err)
	}
	mark.LineStyle = draw.LineStyle{Color: palette[1], Width: vg.Points(1.2), Dashes: []vg.Length{vg.Points(5), vg.Points(3)}}
	p.Add(mark)
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, vg.Points(8)
	p.Legend.Add(fmt.Sprintf("rate %.2g", best), mark)
	return Plot(p, 5.6*vg.Inch, 3.8*vg.Inch), nil
}
