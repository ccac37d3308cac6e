package main

import (
	"fmt"
	"image/color"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/decode"
	"github.com/surprisal-go/surprisal/train/report"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	drawn = 4 // lines in the picture
	cell  = 7 // points, of a pixel of a line and of a column of probabilities
	rows  = digits.Side + 3 + blank + 1 + 3
)

// inks are for neighbours among the digits of a line.
var inks = []color.RGBA{{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}, {R: 0xe0, G: 0x6c, B: 0x10, A: 0xff}}

// picture draws lines with the alignment of what was read below: the columns of each digit, and the
// probabilities of all classes in each column.
func picture(logits []float32, shape [3]int, l lines, read []decode.Labelling) (*report.Picture, error) {
	targets, lengths := make([]int, len(read)*longest), make([]int, len(read))
	for i, r := range read {
		lengths[i] = copy(targets[i*longest:(i+1)*longest], r.Labels)
	}
	alignments, err := decode.CTCAlign(logits, shape, targets, l.columns, lengths, decode.WithBlank(blank))
	if err != nil {
		return nil, err
	}
	p := make([]float32, len(logits))
	tensorops.SoftmaxRows(p, logits, blank+1)
	n := min(drawn, len(read))
	return report.NewPicture(vg.Length(longest+8)*cell, vg.Length(n*rows)*cell, func(c draw.Canvas) {
		for i := range n {
			sheet{c}.line(i*rows+1, i, p, shape, l, alignments[i])
		}
	}), nil
}

// sheet is a canvas in cells, from the top left corner.
type sheet struct{ draw.Canvas }

func (s sheet) fill(x, y, width, height float64, ink color.Color) {
	left, top := s.Min.X+vg.Length(x)*cell, s.Max.Y-vg.Length(y)*cell
	s.SetColor(ink)
	s.Fill(vg.Rectangle{Min: vg.Point{X: left, Y: top - vg.Length(height)*cell}, Max: vg.Point{X: left + vg.Length(width)*cell, Y: top}}.Path())
}

// write puts a text into the middle of a cell, or with its end there.
func (s sheet) write(x, y float64, ink color.Color, align text.XAlignment, words string) {
	style := plot.New().Title.TextStyle
	style.Font.Variant, style.Font.Size, style.Color, style.XAlign, style.YAlign = "Sans", cell*1.1, ink, align, draw.YCenter
	s.FillText(style, vg.Point{X: s.Min.X + vg.Length(x+0.5)*cell, Y: s.Max.Y - vg.Length(y+0.4)*cell}, words)
}

// line draws line i below a row of cells.
func (s sheet) line(top, i int, p []float32, shape [3]int, l lines, a decode.Alignment) {
	const left = 6
	grey := func(ink float64) color.Color { return color.Gray{Y: uint8(255*(1-ink) + 0.5)} }
	y := float64(top)
	for t := range l.columns[i] {
		x := float64(left + t)
		for k := range digits.Side {
			s.fill(x, y+float64(k), 1, 1, grey(l.pixels[i][k*(longest+2*margin)+margin+t]))
		}
		for c := range blank + 1 {
			v := float64(p[(t*shape[1]+i)*shape[2]+c])
			s.fill(x, y+digits.Side+3+float64(c), 1, 1, grey(0.06+0.94*v))
		}
	}
	for c := range blank {
		s.write(left-1.5, y+digits.Side+3+float64(c), color.Black, draw.XRight, fmt.Sprint(c))
	}
	s.write(left-1.5, y+digits.Side+3+blank, color.Black, draw.XRight, "blank")
	for k, span := range a.Spans {
		x, width := float64(left+span.From), float64(span.To-span.From)
		ink := inks[k%len(inks)]
		s.fill(x, y+digits.Side+0.5, width, 2, ink)
		s.write(x+width+0.1, y+digits.Side+1, ink, draw.XLeft, fmt.Sprint(a.Path[span.From]))
		s.fill(x, y, 0.15, digits.Side, ink)
		s.fill(x+width-0.15, y, 0.15, digits.Side, ink)
	}
	truth := ""
	for _, d := range l.digits[i] {
		truth += fmt.Sprint(d)
	}
	s.write(left+float64(l.columns[i]), y+digits.Side/2, color.Gray{Y: 0x66}, draw.XLeft, truth)
}
