package data

import (
	"bufio"
	"compress/gzip"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// Bytes is an array of bytes from an IDX file.
type Bytes struct {
	Shape []int
	Data  []uint8
}

// check returns an error when the shape is missing, has a dimension that is not positive, or does
// not fit the data.
func (b *Bytes) check() error {
	if b == nil {
		return errors.New("array is nil")
	}
	if len(b.Shape) == 0 {
		return errors.New("array has no dimensions")
	}
	size := 1
	for _, d := range b.Shape {
		if d <= 0 {
			return fmt.Errorf("shape is %v, want positive dimensions", b.Shape)
		}
	}
	for _, d := range b.Shape {
		if size > len(b.Data)/d { // more than there is, and perhaps more than an int holds
			return fmt.Errorf("%d elements, too few for shape %v", len(b.Data), b.Shape)
		}
		size *= d
	}
	if len(b.Data) != size {
		return fmt.Errorf("%d elements, want %d for shape %v", len(b.Data), size, b.Shape)
	}
	return nil
}

// IDX reads an IDX file of unsigned bytes, the format of MNIST and its successors. It may be
// compressed with gzip.
func IDX(r io.Reader) (*Bytes, error) {
	if r == nil {
		return nil, errors.New("data.IDX: reader is nil")
	}
	text, err := readIDX(r)
	if err != nil {
		return nil, fmt.Errorf("data.IDX: %w", err)
	}
	b, err := parseIDX(text)
	if err != nil {
		return nil, fmt.Errorf("data.IDX: %w", err)
	}
	return b, nil
}

// readIDX returns the unpacked bytes.
func readIDX(r io.Reader) ([]byte, error) {
	in := bufio.NewReader(r)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	return io.ReadAll(in)
}

func parseIDX(text []byte) (*Bytes, error) {
	if len(text) < 4 || text[0] != 0 || text[1] != 0 {
		return nil, errors.New("not an IDX file: it does not begin with two zero bytes")
	}
	if text[2] != 8 {
		return nil, fmt.Errorf("elements have type 0x%02x, want 0x08 for unsigned bytes", text[2])
	}
	dims := int(text[3])
	if dims == 0 || len(text) < 4+4*dims {
		return nil, fmt.Errorf("%d bytes, too short for the header of %d dimensions", len(text), dims)
	}
	b := &Bytes{Data: text[4+4*dims:]}
	for i := range dims {
		d := binary.BigEndian.Uint32(text[4+4*i:])
		if uint64(d) > uint64(len(text)) { // also what an int of 32 bits does not hold
			return nil, fmt.Errorf("dimension %d is %d in a file of %d bytes", i, d, len(text))
		}
		b.Shape = append(b.Shape, int(d))
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return b, nil
}

// Images is a dataset of byte images with class labels. Pixels are divided by 255 when they are
// read, so that the images stay as small as they are.
type Images struct {
	images *Bytes
	labels []int
	size   int
	pixels [256]float64
}

// NewImages pairs images, shape (n, height, width), with labels, shape (n). An example's input is
// flat: height·width numbers in [0, 1].
func NewImages(images, labels *Bytes) (*Images, error) {
	if err := images.check(); err != nil {
		return nil, fmt.Errorf("data.NewImages: images: %w", err)
	}
	if err := labels.check(); err != nil {
		return nil, fmt.Errorf("data.NewImages: labels: %w", err)
	}
	if len(images.Shape) < 2 || len(labels.Shape) != 1 || images.Shape[0] != labels.Shape[0] {
		return nil, fmt.Errorf("data.NewImages: images have shape %v and labels %v, want (n, ...) and (n)", images.Shape, labels.Shape)
	}
	m := &Images{images: images, size: len(images.Data) / images.Shape[0]}
	for _, l := range labels.Data {
		m.labels = append(m.labels, int(l))
	}
	for i := range m.pixels {
		m.pixels[i] = float64(i) / 255
	}
	return m, nil
}

// Len returns the number of images.
func (m *Images) Len() int { return len(m.labels) }

// Labels returns the class labels of all images.
func (m *Images) Labels() []int { return append([]int(nil), m.labels...) }

// Spec describes the images.
func (m *Images) Spec() Spec {
	return Spec{Field{Float, []int{m.size}}, Field{Kind: Int}}
}

// Read copies images and labels.
func (m *Images) Read(rows []int, x, y Column) error {
	for i, r := range rows {
		if r < 0 || r >= len(m.labels) {
			return fmt.Errorf("data: row %d, want a row in [0, %d)", r, len(m.labels))
		}
		if y.Int != nil {
			y.Int[i] = m.labels[r]
		}
		src := m.images.Data[r*m.size : (r+1)*m.size]
		if x.F32 != nil {
			dst := x.F32[i*m.size : (i+1)*m.size]
			for j, p := range src {
				dst[j] = float32(m.pixels[p])
			}
			continue
		}
		dst := x.F64[i*m.size : (i+1)*m.size]
		for j, p := range src {
			dst[j] = m.pixels[p]
		}
	}
	return nil
}

// mnistFiles are the files of MNIST with the MD5 digests of their unpacked contents.
var mnistFiles = []struct{ name, sum string }{
	{"train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"},
	{"train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"},
	{"t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"},
	{"t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"},
}

// ErrNoMNIST is wrapped by the error of [MNIST] for a directory that lacks the files.
var ErrNoMNIST = errors.New("MNIST is not there")

// MNIST reads the 60,000 training and 10,000 test images of handwritten digits from a directory
// with the four files of the original distribution, packed (train-images-idx3-ubyte.gz and so on)
// or unpacked. Their contents are checked by digest.
func MNIST(dir string) (train, test *Images, err error) {
	var parts [4]*Bytes
	for i, f := range mnistFiles {
		path := filepath.Join(dir, f.name)
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			path += ".gz"
			file, err = os.Open(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("data.MNIST: %w: %s", ErrNoMNIST, path)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("data.MNIST: %w", err)
		}
		text, err := readIDX(file)
		file.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("data.MNIST: %s: %w", path, err)
		}
		sum := md5.Sum(text)
		if got := hex.EncodeToString(sum[:]); got != f.sum {
			return nil, nil, fmt.Errorf("data.MNIST: %s: unpacked MD5 is %s, want %s", path, got, f.sum)
		}
		if parts[i], err = parseIDX(text); err != nil {
			return nil, nil, fmt.Errorf("data.MNIST: %s: %w", path, err)
		}
	}
	if train, err = NewImages(parts[0], parts[1]); err != nil {
		return nil, nil, err
	}
	test, err = NewImages(parts[2], parts[3])
	return train, test, err
}

// WriteIDX writes an array in the IDX format.
func WriteIDX(w io.Writer, b *Bytes) error {
	if w == nil {
		return errors.New("data.WriteIDX: writer is nil")
	}
	if err := b.check(); err != nil {
		return fmt.Errorf("data.WriteIDX: %w", err)
	}
	if len(b.Shape) > math.MaxUint8 {
		return fmt.Errorf("data.WriteIDX: %d dimensions, want at most %d", len(b.Shape), math.MaxUint8)
	}
	head := []byte{0, 0, 8, byte(len(b.Shape))}
	for _, d := range b.Shape {
		if uint64(d) > math.MaxUint32 {
			return fmt.Errorf("data.WriteIDX: dimension %d, want at most %d", d, uint32(math.MaxUint32))
		}
		head = binary.BigEndian.AppendUint32(head, uint32(d))
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("data.WriteIDX: %w", err)
	}
	if _, err := w.Write(b.Data); err != nil {
		return fmt.Errorf("data.WriteIDX: %w", err)
	}
	return nil
}
