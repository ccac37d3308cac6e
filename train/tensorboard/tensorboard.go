// Package tensorboard writes scalars and histograms to event files that TensorBoard shows.
//
// An event file is a sequence of TFRecords, each a length, its checksum, a protocol buffer of the
// message Event and its checksum. Only the fields for scalars and histograms are written.
package tensorboard

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"
)

// A Writer appends events to one file. It is for one goroutine at a time.
type Writer struct {
	file *os.File
	out  *bufio.Writer
	path string
}

// NewWriter makes a new event file in a directory, which it makes too where needed. Runs that go on
// write a file each; TensorBoard shows those of a directory as one run.
func NewWriter(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("tensorboard.NewWriter: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	now := time.Now()
	// The number keeps apart files of one second and process.
	for n := 0; ; n++ {
		path := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", now.Unix(), host, os.Getpid(), n))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tensorboard.NewWriter: %w", err)
		}
		w := &Writer{f, bufio.NewWriter(f), path}
		if err := w.record(bytesField(event(now, 0), fieldFileVersion, []byte("brain.Event:2"))); err != nil {
			f.Close()
			return nil, err
		}
		return w, nil
	}
}

// Path returns the name of the file.
func (w *Writer) Path() string { return w.path }

// Scalar appends the value of a tag at a step >= 0, at a time.
func (w *Writer) Scalar(tag string, step int, at time.Time, v float64) error {
	value := bytesField(nil, fieldTag, []byte(tag))
	value = binary.AppendUvarint(value, fieldSimpleValue<<3|wire32)
	value = binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(v)))
	return w.record(bytesField(event(at, step), fieldSummary, bytesField(nil, fieldValue, value)))
}

// histogramBuckets is the number of buckets of a histogram, that of TensorFlow's summaries.
const histogramBuckets = 30

// Histogram appends the distribution of numbers under a tag at a step >= 0, at a time, as counts in
// 30 buckets of one width from the least to the largest. No numbers, and numbers that are not
// finite, are an error.
func (w *Writer) Histogram(tag string, step int, at time.Time, v []float64) error {
	if len(v) == 0 {
		return fmt.Errorf("tensorboard.Histogram: %q has no numbers", tag)
	}
	low, high, sum, squares := v[0], v[0], 0.0, 0.0
	for i, x := range v {
		if x-x != 0 {
			return fmt.Errorf("tensorboard.Histogram: %q has %v at index %d, want finite numbers", tag, x, i)
		}
		low, high, sum, squares = min(low, x), max(high, x), sum+x, squares+x*x
	}
	limits, counts := []float64{high}, []float64{float64(len(v))}
	if width := high/histogramBuckets - low/histogramBuckets; low+width > low { // a range to divide
		limits, counts = make([]float64, histogramBuckets), make([]float64, histogramBuckets)
		for i := range limits {
			limits[i] = low + float64(i+1)*width
		}
		limits[histogramBuckets-1] = high
		for _, x := range v {
			counts[min(int(x/width-low/width), histogramBuckets-1)]++
		}
	}
	var b []byte
	for field, x := range map[int]float64{fieldMin: low, fieldMax: high, fieldNum: float64(len(v)), fieldSum: sum, fieldSquares: squares} {
		b = binary.AppendUvarint(b, uint64(field)<<3|wire64)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	b = bytesField(bytesField(b, fieldLimits, doubles(limits)), fieldCounts, doubles(counts))
	value := bytesField(bytesField(nil, fieldTag, []byte(tag)), fieldHistogram, b)
	return w.record(bytesField(event(at, step), fieldSummary, bytesField(nil, fieldValue, value)))
}

// doubles returns numbers as a packed field.
func doubles(v []float64) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

// Start appends the record of a session that begins with a step: what other files of the directory,
// of a session that was interrupted, have at this step and after it no longer holds.
func (w *Writer) Start(step int, at time.Time) error {
	status := binary.AppendUvarint(nil, fieldStatus<<3|wireVarint)
	status = binary.AppendUvarint(status, statusStart)
	return w.record(bytesField(event(at, step), fieldSessionLog, status))
}

// Flush hands everything to the operating system.
func (w *Writer) Flush() error {
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("tensorboard: %s: %w", w.path, err)
	}
	return nil
}

// Close flushes and closes the file.
func (w *Writer) Close() error { return errors.Join(w.Flush(), w.file.Close()) }

// Field numbers of tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto,
// and wire types of protocol buffers.
const (
	fieldWallTime    = 1 // Event, double
	fieldStep        = 2 // Event, int64
	fieldFileVersion = 3 // Event, string
	fieldSummary     = 5 // Event, Summary
	fieldValue       = 1 // Summary, repeated Value
	fieldTag         = 1 // Value, string
	fieldSimpleValue = 2 // Value, float
	fieldHistogram   = 5 // Value, HistogramProto
	fieldMin         = 1 // HistogramProto, double, and so are the next four
	fieldMax         = 2
	fieldNum         = 3
	fieldSum         = 4
	fieldSquares     = 5
	fieldLimits      = 6 // HistogramProto, repeated double: the upper ends of the buckets
	fieldCounts      = 7 // HistogramProto, repeated double
	fieldSessionLog  = 7 // Event, SessionLog
	fieldStatus      = 1 // SessionLog, SessionStatus
	statusStart      = 1

	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// event returns the beginning of an Event.
func event(at time.Time, step int) []byte {
	b := binary.AppendUvarint(nil, fieldWallTime<<3|wire64)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(at.Unix())+float64(at.Nanosecond())/1e9))
	b = binary.AppendUvarint(b, fieldStep<<3|wireVarint)
	return binary.AppendUvarint(b, uint64(step))
}

func bytesField(b []byte, field uint64, v []byte) []byte {
	b = binary.AppendUvarint(b, field<<3|wireBytes)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked returns the checksum of a TFRecord: CRC-32C, turned and shifted so that a record may hold
// records.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// record frames a message.
func (w *Writer) record(message []byte) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(message)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, message...)
	b = binary.LittleEndian.AppendUint32(b, masked(message))
	if _, err := w.out.Write(b); err != nil {
		return fmt.Errorf("tensorboard: %s: %w", w.path, err)
	}
	return nil
}
