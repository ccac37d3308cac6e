package main

import (
	"fmt"
	"image"
	"image/color"
	"io"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/report"
)

// inks are for pixels by whether they are of a digit and whether they are taken for it: hits are
// white, misses blue and false alarms orange.
var inks = map[[2]bool]color.RGBA{
	{false, false}: {R: 0x28, G: 0x28, B: 0x28, A: 0xff}, {true, true}: {R: 0xff, G: 0xff, B: 0xff, A: 0xff},
	{false, true}: {R: 0xe0, G: 0x6c, B: 0x10, A: 0xff}, {true, false}: {R: 0x3b, G: 0x7d, B: 0xd8, A: 0xff},
}

// draw writes a picture whose rows have a scene, its digit, and what is found by the logits of each
// loss.
func draw(w io.Writer, out string, scenes *data.Table, found [][]float32) error {
	var tiles []image.Image
	tile := func(ink func(pixel int) color.Color) {
		m := image.NewRGBA(image.Rect(0, 0, side, side))
		for k := range side * side {
			m.Set(k%side, k/side, ink(k))
		}
		tiles = append(tiles, m)
	}
	for i := range min(8, scenes.Len()) {
		light, truth := scenes.Input(i).F32, scenes.Target(i).Int
		tile(func(k int) color.Color { return color.Gray{Y: uint8(255 * min(max((light[k]+1)/3, 0), 1))} })
		tile(func(k int) color.Color { return inks[[2]bool{truth[k] == 1, truth[k] == 1}] })
		for _, logits := range found {
			z := logits[2*i*side*side:]
			tile(func(k int) color.Color { return inks[[2]bool{truth[k] == 1, z[2*k+1] > z[2*k]}] })
		}
	}
	picture, err := report.Images(tiles, 2+len(found), 6)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nThe columns of the picture are the scene, its digit, and what each loss finds, in their order.")
	return program.Save(w, out, "segmentation.png", picture)
}
