package opticks

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	text, err := Text()
	if err != nil {
		t.Fatal(err)
	}
	const size = 567198 // bytes of the same file in Go's own testdata
	if len(text) != size || !strings.Contains(text, "My Design in this Book is not to explain the Properties of Light") {
		t.Errorf("the text has %d bytes, want the %d of the book", len(text), size)
	}
}
