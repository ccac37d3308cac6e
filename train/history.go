package train

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/surprisal-go/surprisal/train/weights"
)

// A History records the values of a run after each epoch.
type History struct {
	Epochs []Epoch `json:"epochs"`
	// Validations holds the validations within epochs that Config.ValidateSteps sets, with values of
	// the validation set only.
	Validations []Epoch `json:"validations,omitempty"`
}

// An Epoch is one line of a [History].
type Epoch struct {
	Epoch   int     `json:"epoch"` // counts from 1
	Step    int     `json:"step"`  // updates made so far
	Rate    float64 `json:"rate"`  // learning rate of the last update
	Seconds float64 `json:"seconds"`
	// Values are the epoch's losses and metrics by name: "loss" and "accuracy" over the training
	// batches as they came, each batch before its own update, "val_loss" and "val_accuracy" over
	// the validation set after the epoch.
	Values Values `json:"values"`
}

// Values are numbers by name. In JSON a number that is not finite is a string: "NaN", "+Inf" or
// "-Inf".
type Values map[string]float64

// Names returns the names in display order: training before validation, losses before metrics.
func (v Values) Names() []string {
	names := make([]string, 0, len(v))
	for n := range v {
		names = append(names, n)
	}
	rank := func(n string) int {
		switch {
		case n == "loss":
			return 0
		case n == "val_loss":
			return 2
		case len(n) > 4 && n[:4] == "val_":
			return 3
		}
		return 1
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
	return names
}

// MarshalJSON writes an object with sorted names.
func (v Values) MarshalJSON() ([]byte, error) {
	m := make(map[string]any, len(v))
	for k, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			m[k] = strconv.FormatFloat(x, 'g', -1, 64)
		} else {
			m[k] = x
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON writes, to the bit.
func (v *Values) UnmarshalJSON(text []byte) error {
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*v = make(Values, len(m))
	for k, x := range m {
		switch x := x.(type) {
		case float64:
			(*v)[k] = x
		case string:
			f, err := strconv.ParseFloat(x, 64)
			if err != nil {
				return fmt.Errorf("train: value %q of %q is no number", x, k)
			}
			(*v)[k] = f
		default:
			return fmt.Errorf("train: value of %q is a %T, want a number", k, x)
		}
	}
	return nil
}

// Names returns the names of all values of the history in the order of [Values.Names].
func (h *History) Names() []string {
	all := make(Values)
	for _, e := range h.Epochs {
		for n := range e.Values {
			all[n] = 0
		}
	}
	return all.Names()
}

// Series returns one value for every epoch, NaN for epochs without it.
func (h *History) Series(name string) []float64 {
	out := make([]float64, len(h.Epochs))
	for i, e := range h.Epochs {
		v, ok := e.Values[name]
		if !ok {
			v = math.NaN()
		}
		out[i] = v
	}
	return out
}

// Last returns a value of the last epoch, or NaN if there is none.
func (h *History) Last(name string) float64 {
	if s := h.Series(name); len(s) > 0 {
		return s[len(s)-1]
	}
	return math.NaN()
}

// Seconds returns the total duration of the epochs.
func (h *History) Seconds() float64 {
	var sum float64
	for _, e := range h.Epochs {
		sum += e.Seconds
	}
	return sum
}

// WriteJSON writes the history as indented JSON.
func (h *History) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(h)
}

// Save writes the history to a .json or .csv file, atomically.
func (h *History) Save(path string) error {
	var write func(io.Writer) error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".json":
		write = h.WriteJSON
	case ".csv":
		write = h.WriteCSV
	default:
		return fmt.Errorf("train.History.Save: %s ends in %q, want .json or .csv", path, ext)
	}
	if err := weights.WriteFile(path, write); err != nil {
		return fmt.Errorf("train.History.Save: %w", err)
	}
	return nil
}

// ReadHistory reads what [History.WriteJSON] wrote.
func ReadHistory(r io.Reader) (*History, error) {
	h := new(History)
	if err := json.NewDecoder(r).Decode(h); err != nil {
		return nil, fmt.Errorf("train.ReadHistory: %w", err)
	}
	return h, nil
}

// WriteCSV writes one line per epoch under a line of column names. A validation within an epoch is a
// line of its own, in the order of steps, which has no values of the training set.
func (h *History) WriteCSV(w io.Writer) error {
	lines := slices.Concat(h.Validations, h.Epochs)
	slices.SortStableFunc(lines, func(a, b Epoch) int { return a.Step - b.Step })
	names := (&History{Epochs: lines}).Names()
	out := csv.NewWriter(w)
	out.Write(append([]string{"epoch", "step", "rate", "seconds"}, names...))
	num := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, e := range lines {
		line := []string{strconv.Itoa(e.Epoch), strconv.Itoa(e.Step), num(e.Rate), num(e.Seconds)}
		for _, n := range names {
			if v, ok := e.Values[n]; ok {
				line = append(line, num(v))
			} else {
				line = append(line, "")
			}
		}
		out.Write(line)
	}
	out.Flush()
	return out.Error()
}
