package report

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/train/metric"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Embedding draws a point for each label: its embedding, one of equally many numbers after the
// other, in the plane of the first two principal components of all. With [metric.Cosine] the
// embeddings are first divided by their lengths, so that what is near in the sense of
// [metric.Retrieval] is near; with [metric.Euclidean] they are taken as they are. Each label has a
// colour and a name in the legend: names[label], or the number of the label if names is nil.
func Embedding(title string, s metric.Similarity, embeddings []float64, labels []int, names []string) (*Picture, error) {
	n := len(labels)
	if n < 2 || len(embeddings)%n != 0 || len(embeddings) < 2*n {
		return nil, fmt.Errorf("report.Embedding: %d numbers for %d labels, want at least 2 labels with as many numbers each, at least 2", len(embeddings), n)
	}
	if s > metric.Euclidean {
		return nil, fmt.Errorf("report.Embedding: similarity is %d, want metric.Cosine or metric.Euclidean", s)
	}
	width := len(embeddings) / n
	for i, v := range embeddings {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("report.Embedding: element %d of embedding %d is %v, want a finite number", i%width, i/width, v)
		}
	}
	classes := slices.Compact(slices.Sorted(slices.Values(labels)))
	if lo, hi := classes[0], classes[len(classes)-1]; names != nil && (lo < 0 || hi >= len(names)) {
		return nil, fmt.Errorf("report.Embedding: labels are %d to %d, want labels in [0, %d) to match the names", lo, hi, len(names))
	}
	x := mat.NewDense(n, width, slices.Clone(embeddings))
	if s == metric.Cosine {
		for i := range n {
			if row := x.RawRowView(i); floats.Max(row) != 0 || floats.Min(row) != 0 {
				floats.Scale(1/floats.Norm(row, math.Inf(1)), row) // so that no square overflows
				floats.Scale(1/floats.Norm(row, 2), row)
			}
		}
	}
	var pc stat.PC
	if !pc.PrincipalComponents(x, nil) {
		return nil, errors.New("report.Embedding: the embeddings have no principal components")
	}
	var axes, flat mat.Dense
	pc.VectorsTo(&axes)
	if _, found := axes.Dims(); found < 2 {
		return nil, fmt.Errorf("report.Embedding: %d embeddings have %d principal components, want 2", n, found)
	}
	flat.Mul(x, axes.Slice(0, width, 0, 2))
	p := NewPlot(title, "", "")
	p.HideAxes()
	legend := p.Legend // beside the points; the plot's own stays empty
	legend.Top, legend.ThumbnailWidth = true, vg.Points(8)
	shapes := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}}
	for k, class := range classes {
		var points plotter.XYs
		for i, label := range labels {
			if label == class {
				points = append(points, plotter.XY{X: flat.At(i, 0), Y: flat.At(i, 1)})
			}
		}
		dots, err := plotter.NewScatter(points)
		if err != nil {
			return nil, fmt.Errorf("report.Embedding: %w", err)
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: palette[k%len(palette)], Radius: vg.Points(1.6), Shape: shapes[k/len(palette)%len(shapes)]}
		p.Add(dots)
		name := fmt.Sprint(class)
		if names != nil {
			name = names[class]
		}
		legend.Add(name, dots)
	}
	return NewPicture(3.8*vg.Inch, 3.4*vg.Inch, func(c draw.Canvas) {
		c = margins(c)
		room := legend.Rectangle(c).Size().X + vg.Points(4)
		p.Draw(draw.Crop(c, 0, -room, 0, 0))
		legend.Draw(draw.Crop(c, 0, 0, 0, -vg.Points(20)))
	}), nil
}
