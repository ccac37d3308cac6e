package digits

import (
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/surprisal-go/surprisal/train/weights"
)

// Save writes images of height rows of pixels, of any width each, to a PNG file, columns of them
// side by side, with each pixel scale pixels wide and high. Ink is black; numbers outside [0, 1]
// count as the nearer end.
func Save(path string, images [][]float64, height, columns, scale int) error {
	width := 0
	for _, m := range images {
		width = max(width, len(m)/height)
	}
	columns = min(columns, len(images))
	rows := (len(images) + columns - 1) / columns
	cellW, cellH := (width+1)*scale, (height+1)*scale // with a gap of a pixel
	sheet := image.NewGray(image.Rect(0, 0, columns*cellW+scale, rows*cellH+scale))
	for i := range sheet.Pix {
		sheet.Pix[i] = 0xd0
	}
	for i, m := range images {
		left, top, w := i%columns*cellW+scale, i/columns*cellH+scale, len(m)/height
		for y := range height * scale {
			for x := range w * scale {
				ink := min(max(m[y/scale*w+x/scale], 0), 1)
				sheet.SetGray(left+x, top+y, color.Gray{Y: uint8(255*(1-ink) + 0.5)})
			}
		}
	}
	return weights.WriteFile(path, func(w io.Writer) error { return png.Encode(w, sheet) })
}
