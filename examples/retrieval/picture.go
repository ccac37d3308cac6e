package main

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// panel is rows of numbers with a name.
type panel struct {
	name string
	rows []float64
}

var inks = map[int]color.Color{7: color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff},
	8: color.RGBA{R: 0xe0, G: 0x6c, B: 0x10, A: 0xff}, 9: color.RGBA{R: 0x2c, G: 0x8a, B: 0x57, A: 0xff}}

// draw writes a picture and returns its file: the directions of the rows of each panel along their
// first two principal components, with a colour for each digit.
func draw(out string, panels []panel, shown []int) (file string, err error) {
	const columns = 3
	grid := make([][]*plot.Plot, (len(panels)+columns-1)/columns)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
	}
	for k, c := range panels {
		p := plot.New()
		p.Title.Text = c.name
		p.HideAxes()
		width := len(c.rows) / len(shown)
		x := mat.NewDense(len(shown), width, append([]float64(nil), c.rows...))
		for i := range shown {
			row := x.RawRowView(i)
			floats.Scale(1/max(floats.Norm(row, 2), 1e-9), row)
		}
		var pc stat.PC
		if !pc.PrincipalComponents(x, nil) {
			return "", fmt.Errorf("retrieval: %s has no principal components", c.name)
		}
		var axes, flat mat.Dense
		pc.VectorsTo(&axes)
		flat.Mul(x, axes.Slice(0, width, 0, 2))
		for digit := 7; digit <= 9; digit++ {
			var points plotter.XYs
			for i, d := range shown {
				if d == digit {
					points = append(points, plotter.XY{X: flat.At(i, 0), Y: flat.At(i, 1)})
				}
			}
			dots, err := plotter.NewScatter(points)
			if err != nil {
				return "", err
			}
			dots.Color, dots.Radius, dots.Shape = inks[digit], vg.Points(1.5), vgdraw.CircleGlyph{}
			p.Add(dots)
			if k == 0 {
				p.Legend.Add(fmt.Sprint(digit), dots)
			}
		}
		grid[k/columns][k%columns] = p
	}
	c := vgimg.NewWith(vgimg.UseWH(columns*3*vg.Inch, vg.Length(len(grid))*3*vg.Inch), vgimg.UseDPI(144))
	tiles := vgdraw.Tiles{Rows: len(grid), Cols: columns, PadX: vg.Points(8), PadY: vg.Points(8)}
	for i, row := range plot.Align(grid, tiles, vgdraw.New(c)) {
		for j, tile := range row {
			if grid[i][j] != nil {
				grid[i][j].Draw(tile)
			}
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	file = filepath.Join(out, "retrieval.png")
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(f); err != nil {
		return "", err
	}
	return file, f.Close()
}
