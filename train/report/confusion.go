package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Confusion draws a confusion matrix: counts[t][p] is how often class t was taken for class p. A
// cell's colour is its share of its row, its text the count. classes names the classes; nil means
// 0, 1, 2 and so on.
func Confusion(title string, classes []string, counts [][]float64) (*Picture, error) {
	n := len(counts)
	if n == 0 {
		return nil, fmt.Errorf("report.Confusion: no classes")
	}
	if classes == nil {
		for i := range n {
			classes = append(classes, fmt.Sprint(i))
		}
	}
	if len(classes) != n {
		return nil, fmt.Errorf("report.Confusion: %d names, want %d to match the matrix", len(classes), n)
	}
	for i, row := range counts {
		if len(row) != n {
			return nil, fmt.Errorf("report.Confusion: row %d has %d counts, want %d", i, len(row), n)
		}
		for j, v := range row {
			if !(v >= 0) || math.IsInf(v, 1) {
				return nil, fmt.Errorf("report.Confusion: count (%d, %d) is %v, want a finite number >= 0", i, j, v)
			}
		}
	}
	p := NewPlot(title, "predicted class", "true class")
	p.Add(cells(counts))
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5, -0.5, float64(n)-0.5
	var xs, ys []plot.Tick
	for i, name := range classes {
		xs = append(xs, plot.Tick{Value: float64(i), Label: name})
		ys = append(ys, plot.Tick{Value: float64(n - 1 - i), Label: name})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(xs), plot.ConstantTicks(ys)
	p.X.Tick.Length, p.Y.Tick.Length = 0, 0
	p.X.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
	p.X.Padding, p.Y.Padding = 0, 0
	side := vg.Length(math.Max(4.5, 1.4+0.48*float64(n))) * vg.Inch
	return Plot(p, side, side), nil
}

// cells is a plotter of coloured, numbered squares, the first class at the top.
type cells [][]float64

func (m cells) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	n := len(m)
	for i, row := range m {
		var total float64
		for _, v := range row {
			total += v
		}
		for j, v := range row {
			share := 0.0
			if total > 0 {
				share = v / total
			}
			x, y := float64(j), float64(n-1-i)
			gap := vg.Points(0.75)
			box := []vg.Point{
				{X: toX(x-0.5) + gap, Y: toY(y-0.5) + gap}, {X: toX(x+0.5) - gap, Y: toY(y-0.5) + gap},
				{X: toX(x+0.5) - gap, Y: toY(y+0.5) - gap}, {X: toX(x-0.5) + gap, Y: toY(y+0.5) - gap},
			}
			fill, ink := shade(share)
			c.FillPolygon(fill, box)
			if v == 0 {
				continue
			}
			size := toX(0.5) - toX(-0.5)
			text := fmt.Sprintf("%.4g", v)
			points := vg.Length(math.Min(12, float64(size)*1.5/math.Max(3, float64(len(text)))))
			c.FillText(label(points, ink), vg.Point{X: toX(x), Y: toY(y)}, text)
		}
	}
}

// shade returns the colour of a share and a text colour that is readable on it: white to blue on
// the diagonal of a good classifier, with small shares visible, as the root of the share sets the
// depth.
func shade(share float64) (fill, ink color.Color) {
	t := math.Sqrt(share)
	mix := func(a, b float64) uint8 { return uint8(math.Round(a + (b-a)*t)) }
	ink = color.Gray{0x22}
	if t > 0.55 {
		ink = color.White
	}
	return color.RGBA{mix(0xf4, 0x08), mix(0xf6, 0x45), mix(0xfa, 0x94), 0xff}, ink
}
