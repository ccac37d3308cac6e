package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
)

// A run that goes on with another loss or other data is another run. Functions and datasets have no
// names, so a checkpoint has a digest of what they do.

// lossIdentity describes the part of a graph that computes the loss from the model's outputs.
func (pr *program) lossIdentity() string {
	var terms []string
	for _, t := range pr.terms {
		text := fmt.Sprintf("%v %016x", t.node.Op(), graphIdentity(G.Nodes{t.node}, pr.roots()))
		if pr.names != nil || t.factor() != 1 {
			text = fmt.Sprintf("%v·%s %s", t.factor(), t.label, text)
		}
		terms = append(terms, text)
	}
	return strings.Join(terms, ", ")
}

// modelIdentity describes the part that computes the model's outputs from inputs and parameters.
func (pr *program) modelIdentity() string {
	text := fmt.Sprintf("%016x", graphIdentity(pr.roots(), nil))
	if len(pr.outputs) > 1 {
		text = fmt.Sprintf("%q %s", pr.outputs, text)
	}
	return text
}

// graphIdentity is a digest of the operations and constants that compute some nodes, without those
// that compute others.
func graphIdentity(to, from G.Nodes) uint64 {
	model := make(map[*G.Node]bool)
	for n := range loss.Walk(from...) {
		model[n] = true
	}
	h := fnv.New64a()
	number := make(map[*G.Node]int)
	for n, operands := range loss.Walk(to...) {
		if model[n] {
			continue
		}
		number[n] = len(number)
		fmt.Fprint(h, n.Shape(), len(operands))
		for _, o := range operands {
			if model[o] {
				fmt.Fprint(h, " model ", slices.Index(from, o))
			} else {
				fmt.Fprint(h, " ", number[o])
			}
		}
		_, constant := n.Op().(interface{ Value() G.Value })
		switch {
		case constant:
			v := leafValue(n)
			fmt.Fprint(h, v.Dtype(), v.Data())
		case n.Op() != nil:
			n.Op().WriteHash(opHash{h})
		default:
			fmt.Fprint(h, n.Name(), n.Dtype())
		}
	}
	for _, n := range to {
		fmt.Fprint(h, " ", number[n])
	}
	return h.Sum64()
}

// opHash is a 64-bit hash where operations of a graph expect any.
type opHash struct{ hash.Hash64 }

// identitySample is the number of rows of a dataset of which its digest is made.
const identitySample = 64

// dataIdentity describes a dataset by its size and some of its rows, read as float32 or float64:
// rows from everywhere, but the first of a stream, which may take long to get to the others.
func dataIdentity(ds data.Records, single bool) (text string, err error) {
	if ds == nil {
		return "none", nil
	}
	defer func() {
		if r := recover(); r != nil { // a stranger's
			err = fmt.Errorf("reading some rows: %v", r)
		}
	}()
	n := ds.Len()
	rows := make([]int, min(n, identitySample))
	for i := range rows {
		rows[i] = i
		if streamOf(ds) == nil {
			rows[i] = i * n / len(rows)
		}
	}
	b := data.NewBatch(ds.Fields(), len(rows), single)
	if err := b.Fill(ds, rows); err != nil {
		return "", err
	}
	h := fnv.New64a()
	for _, columns := range []map[string]data.Column{b.In, b.Out} {
		for _, name := range slices.Sorted(maps.Keys(columns)) {
			io.WriteString(h, name)
			writeColumn(h, columns[name])
		}
	}
	for _, w := range b.W {
		writeBits(h, math.Float64bits(w))
	}
	for _, name := range slices.Sorted(maps.Keys(b.Mask)) {
		fmt.Fprint(h, name, b.Mask[name])
	}
	return fmt.Sprintf("%d rows %016x", n, h.Sum64()), nil
}

// arraysIdentity is a digest of the names, shapes and numbers of arrays.
func arraysIdentity(list []*weights.Array) string {
	h := fnv.New64a()
	for _, a := range list {
		fmt.Fprint(h, a.Name, a.Shape)
		for _, v := range a.F32 {
			writeBits(h, uint64(math.Float32bits(v)))
		}
		writeColumn(h, data.Column{F64: a.F64})
	}
	return fmt.Sprintf("%d arrays %016x", len(list), h.Sum64())
}

func writeColumn(w io.Writer, c data.Column) {
	for _, v := range c.F32 {
		writeBits(w, math.Float64bits(float64(v)))
	}
	for _, v := range c.F64 {
		writeBits(w, math.Float64bits(v))
	}
	for _, v := range c.Int {
		writeBits(w, uint64(v))
	}
}

func writeBits(w io.Writer, v uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	w.Write(b[:])
}

// checkRates returns an error when a run that was planned for another number of epochs would have
// had other learning rates so far: its rate would jump.
func (r *run) checkRates(st *savedState) error {
	if st.Epochs == r.cfg.Epochs {
		return nil
	}
	factor := func(step, epochs int) float64 {
		return r.schedule.Factor(optim.Position{Step: step, Epoch: 1 + (step-1)/r.perEpoch, StepsPerEpoch: r.perEpoch, Steps: epochs * r.perEpoch})
	}
	for step := 1; step <= st.At.Step; step++ {
		if a, b := factor(step, st.Epochs), factor(step, r.cfg.Epochs); a != b {
			return fmt.Errorf("the run was planned for %d epochs and Epochs is %d: the schedule %s depends on the length of the run, and the "+
				"learning rate would jump; keep Epochs, or start a new run from the loaded parameters", st.Epochs, r.cfg.Epochs, r.schedule.Name())
		}
	}
	return nil
}

var errNoBest = errors.New("the run kept no best parameters: that takes Checkpoint.Monitor, or EarlyStop without KeepLast")
