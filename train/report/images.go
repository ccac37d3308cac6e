package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
)

// Images returns a picture of images in rows of so many columns, with gaps between them. A pixel of
// an image is a square of scale times scale pixels in a PNG file. All images have the room of the
// largest.
func Images(images []image.Image, columns, scale int) (*Picture, error) {
	if columns < 1 || scale < 1 || len(images) == 0 {
		return nil, fmt.Errorf("report.Images: %d images in %d columns at the scale %d, want at least 1 of each", len(images), columns, scale)
	}
	var size image.Point
	for i, m := range images {
		if m == nil {
			return nil, fmt.Errorf("report.Images: image %d is nil", i)
		}
		s := m.Bounds().Size()
		size.X, size.Y = max(size.X, s.X), max(size.Y, s.Y)
	}
	columns = min(columns, len(images))
	rows := (len(images) + columns - 1) / columns
	cell := size.Add(image.Pt(1, 1)).Mul(scale) // with a gap of a pixel
	sheet := image.NewRGBA(image.Rect(0, 0, columns*cell.X+scale, rows*cell.Y+scale))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(color.Gray{Y: 0xd0}), image.Point{}, draw.Src)
	for i, m := range images {
		b := m.Bounds()
		corner := image.Pt(i%columns*cell.X+scale, i/columns*cell.Y+scale)
		for y := range b.Dy() * scale {
			for x := range b.Dx() * scale {
				sheet.Set(corner.X+x, corner.Y+y, m.At(b.Min.X+x/scale, b.Min.Y+y/scale))
			}
		}
	}
	points := func(pixels int) vg.Length { return vg.Length(pixels) * vg.Inch / dpi }
	return NewPicture(points(sheet.Rect.Dx()), points(sheet.Rect.Dy()), func(c vgdraw.Canvas) {
		c.DrawImage(c.Rectangle, sheet)
	}), nil
}
