package train

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/surprisal-go/surprisal/train/data"
)

// epochRecords returns the examples of an epoch as they are trained on: those of a stream anew, and
// with Config.Augment.
func (r *run) epochRecords(epoch int) data.Records {
	ds := r.ds
	if s, ok := ds.(*data.Stream); ok {
		ds = s.Epoch(epoch)
	}
	if r.cfg.Augment != nil {
		ds = &augmented{Records: ds, seed: r.cfg.Seed, epoch: epoch, change: r.cfg.Augment}
	}
	return ds
}

// streamOf returns the stream behind records, nil where there is none.
func streamOf(ds data.Records) *data.Stream {
	if a, ok := ds.(*augmented); ok {
		ds = a.Records
	}
	s, _ := ds.(*data.Stream)
	return s
}

// closeRecords ends the reading of a stream.
func closeRecords(ds data.Records) {
	if s := streamOf(ds); s != nil {
		s.Close()
	}
}

// augmented are the examples of an epoch with random changes. The numbers of a row's generator
// depend on the seed, the epoch and the row alone, so nothing has to be saved.
type augmented struct {
	data.Records
	seed   uint64
	epoch  int
	change func(rng *rand.Rand, inputs, targets Row) error
}

func (a *augmented) ReadBatch(b *data.Batch) error {
	if err := a.Records.ReadBatch(b); err != nil {
		return err
	}
	purpose := "augment epoch " + strconv.Itoa(a.epoch)
	in, out := make(Row, len(b.In)), make(Row, len(b.Out))
	fields := a.Fields()
	for i, row := range b.Rows {
		takeRow(in, fields.Inputs, b.In, i)
		takeRow(out, fields.Targets, b.Out, i)
		err := a.change(data.Rand(a.seed, purpose, uint64(row)), in, out)
		if err == nil {
			err = sameMemory(data.InputName, in, fields.Inputs, b.In, i)
		}
		if err == nil {
			err = sameMemory(data.TargetName, out, fields.Targets, b.Out, i)
		}
		if err != nil {
			return fmt.Errorf("augmenting row %d: %w", row, err)
		}
	}
	return nil
}

// takeRow makes row the i-th row of columns, whose memory it shares.
func takeRow(row Row, fields map[string]data.Field, columns map[string]data.Column, i int) {
	clear(row)
	for name, f := range fields {
		row[name] = columns[name].Slice(i*f.Size(), (i+1)*f.Size())
	}
}

// sameMemory returns an error where the function of Config.Augment has put other slices into a row:
// they would have no effect.
func sameMemory(role string, row Row, fields map[string]data.Field, columns map[string]data.Column, i int) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		n := fields[name].Size()
		got, want := row[name], columns[name].Slice(i*n, (i+1)*n)
		same := sameSlice(got.F32, want.F32) && sameSlice(got.F64, want.F64) && sameSlice(got.Int, want.Int)
		if !same {
			return fmt.Errorf("it replaced the numbers of %s, want them changed in their place", data.Label(role, name))
		}
	}
	if len(row) != len(fields) {
		return fmt.Errorf("it added to the %ss, which are %q", role, slices.Sorted(maps.Keys(fields)))
	}
	return nil
}

func sameSlice[E any](a, b []E) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
