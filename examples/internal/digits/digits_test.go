package digits

import (
	"image"
	"image/color"
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

// TestPicture: of two rows of three pixels.
func TestPicture(t *testing.T) {
	m := Picture([]float64{0, 1, .5, 2, -1, .25}, 3)
	if got := m.Bounds(); got != image.Rect(0, 0, 3, 2) {
		t.Fatalf("the picture is %v, want 3 by 2 pixels", got)
	}
	for i, want := range []uint8{255, 0, 128, 0, 255, 191} {
		if got := m.At(i%3, i/3).(color.Gray).Y; got != want {
			t.Errorf("pixel %d is %d, want %d", i, got, want)
		}
	}
}
