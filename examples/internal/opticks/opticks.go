// Package opticks has the text of Newton's Opticks for the examples.
package opticks

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
)

// compressed is the fourth edition of 1730 in the text of Project Gutenberg, in the public domain.
//
//go:embed opticks.txt.gz
var compressed []byte

// Text returns the book.
func Text() (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(z)
	return string(text), err
}
