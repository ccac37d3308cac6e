package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
)

// openCheckpoints puts the run where the newest checkpoint says, where there is one.
func (r *run) openCheckpoints() error {
	if r.cfg.Checkpoint == nil {
		return nil
	}
	if r.ranks == nil {
		return r.openNewest()
	}
	var err error
	if r.ranks.first() {
		err = r.openNewest()
	}
	return r.resumeRanks(err)
}

func (r *run) openNewest() error {
	path, st, err := r.cfg.Checkpoint.open()
	if err != nil || st == nil {
		return err
	}
	if err := r.restore(path, st); err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	return nil
}

// open makes the directory of checkpoints and returns the newest that it holds, which has to be
// asked for; a nil state where there is none.
func (c *Checkpoint) open() (path string, st *savedState, err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("checkpoint directory: %w", err)
	}
	paths, err := Checkpoints(c.Dir)
	if err != nil {
		return "", nil, err
	}
	if err := removeUnfinished(c.Dir); err != nil {
		return "", nil, fmt.Errorf("checkpoint directory: %w", err)
	}
	if len(paths) == 0 {
		return "", nil, nil
	}
	if !c.Resume {
		return "", nil, fmt.Errorf("checkpoint directory %s holds %d checkpoints of an earlier run; set Resume to go on with it, or use another directory", c.Dir, len(paths))
	}
	newest := paths[len(paths)-1]
	st, err = readState(newest)
	if err != nil {
		if len(paths) > 1 {
			return "", nil, fmt.Errorf("resuming: %w (the checkpoint before is %s; remove the damaged one to go on from there)", err, paths[len(paths)-2])
		}
		return "", nil, fmt.Errorf("resuming: %w", err)
	}
	return newest, st, nil
}

// sameSettings returns an error for a checkpoint of a run with other settings; those that are later
// are compared later.
func sameSettings(path string, have, want map[string]string, later ...string) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] != want[name] && !slices.Contains(later, name) {
			return fmt.Errorf("%s is of another run: %s is %q there and %q here", path, name, have[name], want[name])
		}
	}
	if len(have) != len(want) {
		return fmt.Errorf("%s is of another run: it has the settings %q", path, slices.Sorted(maps.Keys(have)))
	}
	return nil
}

// restore puts the run where a checkpoint says.
func (r *run) restore(path string, st *savedState) error {
	want, err := r.settings()
	if err != nil {
		return err
	}
	if st.History == nil {
		return fmt.Errorf("%s is of another run: it is that of a Trainer", path)
	}
	// Parameters that do not fit say more about another model than its digest.
	if err := sameSettings(path, st.Settings, want, "loss", "model"); err != nil {
		return err
	}
	if n := len(st.History.Epochs); n > r.cfg.Epochs {
		return fmt.Errorf("%s has %d epochs and Epochs is %d", path, n, r.cfg.Epochs)
	}
	if err := r.checkRates(st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := fill(filepath.Join(path, weightsFile), r.net.params.list); err != nil {
		return err
	}
	if err := sameSettings(path, st.Settings, want); err != nil {
		return err
	}
	if err := fill(filepath.Join(path, optimizerFile), r.slots()); err != nil {
		return err
	}
	if st.Files[bestFile] != "" {
		best := cloneAll(r.net.params.list)
		if err := fill(filepath.Join(path, bestFile), best); err != nil {
			return err
		}
		r.best = best
	}
	if a, ok := r.schedule.(optim.Adaptive); ok {
		if err := a.Restore(st.Schedule); err != nil {
			return err
		}
	}
	if len(st.Metrics) != len(r.metrics) {
		return fmt.Errorf("%s has the state of %d metrics, want %d", path, len(st.Metrics), len(r.metrics))
	}
	for i, m := range r.metrics {
		if err := m.Restore(st.Metrics[i]); err != nil {
			return err
		}
	}
	r.at, r.history = st.At, st.History
	r.savedAt = r.mark()
	return nil
}

// fill overwrites arrays by those of a file, which has the same names, types and shapes and no
// others.
func fill(path string, into []*weights.Array) error {
	from, _, err := weights.Load(path)
	if err != nil {
		return err
	}
	byName := make(map[string]*weights.Array)
	for _, a := range from {
		byName[a.Name] = a
	}
	for _, a := range into {
		b := byName[a.Name]
		if b == nil {
			return &weights.FileError{Path: path, Fault: fmt.Sprintf("of another model: it has no %q", a.Name)}
		}
		if err := a.CopyFrom(b); err != nil {
			return &weights.FileError{Path: path, Fault: "of another model: " + err.Error()}
		}
		delete(byName, a.Name)
	}
	for name := range byName {
		return &weights.FileError{Path: path, Fault: fmt.Sprintf("of another model: it has %q", name)}
	}
	return nil
}

// Save writes the parameters to a safetensors file, atomically. [Load] and other readers of the
// format read it.
func (n *Net) Save(path string) error {
	if n.params == nil {
		return fmt.Errorf("train.Save: %w", errNoModel)
	}
	n.params.mu.RLock()
	defer n.params.mu.RUnlock()
	meta, err := n.about.metadata()
	if err != nil {
		return fmt.Errorf("train.Save: %w", err)
	}
	if err := weights.Save(path, n.params.list, meta); err != nil {
		return fmt.Errorf("train.Save: %w", err)
	}
	return nil
}

// Load reads a model from a file written by [Net.Save] or from a checkpoint directory, for
// prediction and evaluation. It needs neither data nor an optimizer. The parameters must be exactly
// those that the model builds. A checkpoint yields the last trained parameters; [LoadBest] reads
// the best.
func Load(path string, model Model) (*Net, error) { return load("Load", path, model.network()) }

// LoadNamed is [Load] for a network.
func LoadNamed(path string, model Network) (*Net, error) { return load("LoadNamed", path, model) }

func load(name, path string, model Network) (n *Net, err error) {
	defer func() {
		if err != nil {
			n, err = nil, fmt.Errorf("train.%s: %w", name, err)
		}
	}()
	if model == nil {
		return nil, errors.New("model is nil")
	}
	path, arrays, meta, err := readModel(path)
	if err != nil {
		return nil, err
	}
	n = new(Net)
	if n.about, err = readDescription(meta); err != nil {
		return nil, &weights.FileError{Path: path, Fault: err.Error()}
	}
	if n.params, err = arraySet(path, arrays); err != nil {
		return nil, err
	}
	n.model = n.about.scaled(model)
	if _, err := buildSound(n.model, n.about.fields.Inputs, n.params, 1, false); err != nil {
		return nil, fmt.Errorf("%s is of another model: %w", path, err)
	}
	return n, nil
}

// readModel reads the parameters of a file or of a checkpoint's directory and returns the file.
func readModel(path string) (file string, arrays []*weights.Array, meta map[string]string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return path, nil, nil, err
	}
	if info.IsDir() {
		if _, err := readState(path); err != nil {
			if list, listErr := Checkpoints(path); listErr == nil && len(list) > 0 {
				err = fmt.Errorf("%s is no checkpoint and holds %d; the newest is %s", path, len(list), list[len(list)-1])
			}
			return path, nil, nil, err
		}
		path = filepath.Join(path, weightsFile)
	}
	arrays, meta, err = weights.Load(path)
	return path, arrays, meta, err
}

// exact is a number that JSON keeps to the bit, an infinity too.
type exact float64

// MarshalJSON writes the shortest text that reads back to the same number, as a string.
func (e exact) MarshalJSON() ([]byte, error) { return json.Marshal(number(float64(e))) }

// UnmarshalJSON reads what MarshalJSON writes.
func (e *exact) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	v := math.NaN()
	if _, err := fmt.Sscan(s, &v); err != nil {
		return fmt.Errorf("%q is no number", s)
	}
	*e = exact(v)
	return nil
}
