package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
)

// draw writes a picture and returns its file. Each row has a scene, its digit and what each loss
// finds of it: hits are white, misses blue and false alarms orange.
func draw(out string, found []masks) (file string, err error) {
	const zoom, gap, rows = 6, 1, 8 // dots for a pixel, pixels between tiles
	tile := func(i int) int { return i * (side + gap) * zoom }
	img := image.NewRGBA(image.Rect(0, 0, tile(len(found)+2), tile(min(rows, found[0].scenes.Len()))))
	for y := range img.Rect.Max.Y {
		for x := range img.Rect.Max.X {
			scene, column := y/tile(1), x/tile(1)
			i, j := y%tile(1)/zoom, x%tile(1)/zoom
			if i >= side || j >= side {
				img.Set(x, y, color.White)
				continue
			}
			at := (scene*side+i)*side + j
			there := found[0].truth[at] == 1
			hit := there
			if column > 1 {
				hit = found[column-2].margins[at] > 0
			}
			ink := color.RGBA{R: 0x28, G: 0x28, B: 0x28, A: 0xff}
			switch {
			case column == 0:
				v := uint8(255 * min(max((found[0].scenes.Input(scene).F32[i*side+j]+1)/3, 0), 1))
				ink.R, ink.G, ink.B = v, v, v
			case hit && there:
				ink.R, ink.G, ink.B = 0xff, 0xff, 0xff
			case hit:
				ink.R, ink.G, ink.B = 0xe0, 0x6c, 0x10
			case there:
				ink.R, ink.G, ink.B = 0x3b, 0x7d, 0xd8
			}
			img.Set(x, y, ink)
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	file = filepath.Join(out, "segmentation.png")
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		return "", err
	}
	return file, f.Close()
}
