package digits

import "testing"

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
