package report_test

import (
	"bytes"
	"fmt"

	"github.com/surprisal-go/surprisal/train/report"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// A plot of one's own, beside another, on a page.
func ExamplePlot() {
	line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		panic(err)
	}
	p := report.NewPlot("The diagonal", "x", "y")
	p.Add(line)
	picture := report.Plot(p, 3*vg.Inch, 2*vg.Inch)
	both, err := report.Tiles(2, picture, picture)
	if err != nil {
		panic(err)
	}
	page := report.Page{Title: "Lines", Figures: []report.Figure{{Caption: "Twice the same", Picture: both}}}
	var html bytes.Buffer
	if err := page.Write(&html); err != nil {
		panic(err)
	}
	fmt.Println(bytes.Count(html.Bytes(), []byte("<svg ")), "picture")
	// Output: 1 picture
}
