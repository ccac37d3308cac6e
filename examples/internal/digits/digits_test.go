package digits

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

func TestImages(t *testing.T) {
	pixels, labels, err := Images()
	if err != nil {
		t.Fatal(err)
	}
	// The numbers of each digit, as the data set's description gives them.
	var counts [10]int
	for i, image := range pixels {
		if len(image) != Side*Side {
			t.Fatalf("image %d has %d pixels", i, len(image))
		}
		for _, p := range image {
			if p < 0 || p > 1 {
				t.Fatalf("image %d has a pixel %v", i, p)
			}
		}
		counts[labels[i]]++
	}
	if want := [10]int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}; counts != want {
		t.Errorf("images of each digit: %v, want %v", counts, want)
	}
	train, test, err := Split()
	if err != nil || train.Len() != 1438 || test.Len() != 359 {
		t.Errorf("%d images for training and %d for tests, want 1438 and 359 (%v)", train.Len(), test.Len(), err)
	}
}

// TestSave: two images of two rows, of 2 and 3 pixels, under each other.
func TestSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sheet.png")
	if err := Save(path, [][]float64{{0, 1, 2, -1}, {0.5, 0, 0, 0, 0, 1}}, 2, 1, 2); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds(); got != image.Rect(0, 0, 10, 14) {
		t.Fatalf("the sheet is %v, want 10x14 pixels", got)
	}
	for at, want := range map[image.Point]uint8{
		{X: 0, Y: 0}: 0xd0, {X: 2, Y: 2}: 255, {X: 5, Y: 3}: 0, {X: 3, Y: 4}: 0, {X: 4, Y: 5}: 255, {X: 6, Y: 3}: 0xd0,
		{X: 2, Y: 8}: 128, {X: 7, Y: 11}: 0, {X: 8, Y: 11}: 0xd0,
	} {
		if got := color.GrayModel.Convert(img.At(at.X, at.Y)).(color.Gray).Y; got != want {
			t.Errorf("pixel %v is %d, want %d", at, got, want)
		}
	}
}
