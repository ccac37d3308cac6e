package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
)

// Checkpoint keeps a run on disk, so that a run that was killed continues to the same bits as an
// uninterrupted one.
//
// A run continues with the configuration, loss and data that it began with; anything else is an
// error. Epochs may change if the schedule still gives all past steps the rates that they had,
// which a cosine over the whole run does not.
//
// Each checkpoint is a directory in Dir, named by its step. It holds weights.safetensors,
// optimizer.safetensors, best.safetensors with EarlyStop, and state.json, which has the digests of
// these files and its own. It is written under a temporary name, flushed to disk and renamed, so it
// is either complete or absent. Earlier checkpoints are removed only afterwards.
type Checkpoint struct {
	Dir string // created if it does not exist
	// Resume continues from the newest checkpoint in Dir, if there is one. Without it, a Dir that holds
	// checkpoints is an error.
	Resume     bool
	Every      int    // epochs between checkpoints; 0 means 1. The last epoch is always saved, and so is a run that is cancelled or stopped
	EverySteps int    // steps between additional checkpoints within an epoch; 0 means none
	Keep       int    // number of newest checkpoints to keep; 0 means 2
	Monitor    string // value whose best checkpoint is also kept, for LoadBest; "" means none. NaN is never the best
	Maximize   bool   // larger values of Monitor are better
	KeepGoing  bool   // continue if a checkpoint cannot be written, and report the error in Result.CheckpointError
}

func (c *Checkpoint) check() error {
	if c.Dir == "" {
		return errors.New("Checkpoint.Dir is empty")
	}
	if c.Every < 0 || c.EverySteps < 0 || c.Keep < 0 {
		return fmt.Errorf("Checkpoint has Every %d, EverySteps %d and Keep %d, want numbers >= 0", c.Every, c.EverySteps, c.Keep)
	}
	return nil
}

// due reports whether the end of an epoch has a checkpoint.
func (c *Checkpoint) due(epoch, epochs int, stopped bool) bool {
	return stopped || epoch == epochs || epoch%max(1, c.Every) == 0
}

const (
	stateFile     = "state.json"
	weightsFile   = "weights.safetensors"
	optimizerFile = "optimizer.safetensors"
	bestFile      = "best.safetensors"
	stepPrefix    = "step-"
	stateFormat   = "surprisal checkpoint"
	stateVersion  = 3
)

// savedState is state.json.
type savedState struct {
	Format   string              `json:"format"`
	Version  int                 `json:"version"`
	Settings map[string]string   `json:"settings"` // what has to be the same for the run to go on
	Epochs   int                 `json:"epochs"`   // of the whole run, as it was planned
	At       position            `json:"at"`
	History  *History            `json:"history"`         // nil for a Trainer
	Steps    map[string]progress `json:"steps,omitempty"` // of a Trainer
	Schedule bits                `json:"schedule"`
	Metrics  []bits              `json:"metrics"`
	Files    map[string]string   `json:"files"` // SHA-256 of the other files
	Sum      string              `json:"sum"`   // SHA-256 of this file with an empty sum
}

// encode returns the file's text for its contents, with the sum filled in.
func (s savedState) encode() ([]byte, error) {
	s.Sum = ""
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	s.Sum = hex.EncodeToString(sum[:])
	return json.MarshalIndent(s, "", " ")
}

// bits are numbers that JSON keeps to the bit, infinities and NaN among them.
type bits []float64

// MarshalJSON writes the little-endian bytes in base64.
func (b bits) MarshalJSON() ([]byte, error) {
	raw := make([]byte, 0, 8*len(b))
	for _, v := range b {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(raw))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (b *bits) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw)%8 != 0 {
		return errors.New("damaged numbers")
	}
	*b = make(bits, len(raw)/8)
	for i := range *b {
		(*b)[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return nil
}

// settings are all that decides a run's course, in words. Epochs is not among them: a run may be
// made longer.
func (r *run) settings() (map[string]string, error) {
	if r.words != nil {
		return r.words, nil
	}
	c := &r.cfg
	sample := r.epochRecords(1)
	defer closeRecords(sample)
	examples, err := dataIdentity(sample, r.graph.single && c.Augment != nil)
	if err != nil {
		return nil, err
	}
	validation, err := dataIdentity(r.held, false)
	if err != nil {
		return nil, fmt.Errorf("validation: %w", err)
	}
	lossText, model, err := r.identity()
	if err != nil {
		return nil, err
	}
	s := map[string]string{
		"optimizer": c.Optimizer.Name(), "schedule": r.schedule.Name(), "dtype": c.DType.String(),
		"batch size": strconv.Itoa(r.whole), "accumulate": strconv.Itoa(c.Accumulate),
		"seed": strconv.FormatUint(c.Seed, 10), "keep order": strconv.FormatBool(c.KeepOrder),
		"loss": lossText, "model": model, "examples": examples, "validation": validation, "inputs": fmt.Sprint(r.net.about.fields.Inputs), "targets": fmt.Sprint(r.net.about.fields.Targets),
		"groups": fmt.Sprintf("%+v", c.Groups), "clip norm": number(c.ClipNorm), "clip value": number(c.ClipValue),
		"class weights": fmt.Sprint(c.ClassWeights), "overfit batch": strconv.Itoa(c.OverfitBatch),
	}
	for name, v := range c.Optimizer.Settings() {
		s["optimizer "+name] = number(v)
	}
	if c.ValidateEvery > 1 {
		s["validate every"] = strconv.Itoa(c.ValidateEvery)
	}
	if c.ValidateSteps > 0 {
		s["validate steps"] = strconv.Itoa(c.ValidateSteps)
	}
	if len(c.Initial) > 0 {
		s["initial"] = arraysIdentity(c.Initial)
	}
	if c.EarlyStop != nil {
		s["early stop"] = fmt.Sprintf("%+v", *c.EarlyStop)
	}
	var metrics []string
	for _, m := range r.metrics {
		metrics = append(metrics, m.Name())
	}
	s["metrics"] = strings.Join(metrics, ", ")
	r.words = s
	return s, nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// stepDir is the name of the checkpoint of a step.
func stepDir(step int) string { return fmt.Sprintf("%s%09d", stepPrefix, step) }

// save writes a checkpoint of the present and removes those that are no longer kept. It returns its
// path.
func (r *run) save() (path string, err error) {
	c := r.cfg.Checkpoint
	if r.savedAt == r.mark() {
		return c.path(r.at.Step), nil
	}
	settings, err := r.settings()
	if err != nil {
		return c.path(r.at.Step), err
	}
	st := &savedState{Settings: settings, Epochs: r.cfg.Epochs, At: r.at, History: r.history}
	if a, ok := r.schedule.(optim.Adaptive); ok {
		st.Schedule = a.State()
	}
	for _, m := range r.metrics {
		st.Metrics = append(st.Metrics, m.State())
	}
	meta, err := r.net.about.metadata()
	if err != nil {
		return c.path(r.at.Step), err
	}
	files := []file{{weightsFile, r.net.params.list, meta}, {optimizerFile, r.slots(), nil}}
	if r.best != nil {
		files = append(files, file{bestFile, r.best, meta})
	}
	best := -1
	if c.Monitor != "" && r.at.Kept.Step > 0 {
		best = r.at.Kept.Step
	}
	path, written, err := c.write(r.at.Step, st, files, best)
	if written {
		r.savedAt = r.mark()
	}
	return path, err
}

// file is a weights file of a checkpoint.
type file struct {
	name   string
	arrays []*weights.Array
	meta   map[string]string
}

func (c *Checkpoint) path(step int) string { return filepath.Join(c.Dir, stepDir(step)) }

// write makes the checkpoint of a step and removes those that are no longer kept; that of the step
// best is. It returns the path, and whether the checkpoint is there.
func (c *Checkpoint) write(step int, st *savedState, files []file, best int) (path string, written bool, err error) {
	path = c.path(step)
	tmp, err := os.MkdirTemp(c.Dir, ".writing-*")
	if err != nil {
		return path, false, err
	}
	defer os.RemoveAll(tmp)
	st.Format, st.Version, st.Files = stateFormat, stateVersion, make(map[string]string)
	for _, f := range files {
		name := filepath.Join(tmp, f.name)
		if err := weights.Save(name, f.arrays, f.meta); err != nil {
			return path, false, err
		}
		if st.Files[f.name], err = digest(name); err != nil {
			return path, false, err
		}
	}
	text, err := st.encode()
	if err != nil {
		return path, false, err
	}
	err = weights.WriteFile(filepath.Join(tmp, stateFile), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return path, false, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return path, false, err
	}
	if err := replaceDir(tmp, path); err != nil {
		return path, false, err
	}
	return path, true, c.prune(best)
}

// mark tells apart the moments at which a run can be saved: a step, before and after its epoch was
// measured.
func (r *run) mark() [2]int { return [2]int{r.at.Step, 1 + len(r.history.Epochs)} }

// replaceDir renames a finished directory. One that already has the name, saved at the same step
// before the epoch was measured, steps aside first; a crash between the two renames leaves the
// older checkpoints.
func replaceDir(tmp, path string) error {
	err := os.Rename(tmp, path)
	if err != nil {
		// What is no directory is no checkpoint, and its owner may want to keep it.
		if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
			return err
		}
		old := tmp + ".old"
		if err := os.Rename(path, old); err != nil {
			return err
		}
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	return weights.SyncDir(filepath.Dir(path))
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Checkpoints returns the paths of the checkpoints in a directory, oldest first.
func Checkpoints(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("train.Checkpoints: %w", err)
	}
	var out []string
	for _, e := range list {
		if _, err := strconv.Atoi(strings.TrimPrefix(e.Name(), stepPrefix)); err == nil && e.IsDir() && strings.HasPrefix(e.Name(), stepPrefix) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}

// prune removes all checkpoints but the newest and that of the step best, and what killed runs left
// half written.
func (c *Checkpoint) prune(best int) error {
	paths, err := Checkpoints(c.Dir)
	if err != nil {
		return err
	}
	keep := c.Keep
	if keep == 0 {
		keep = 2
	}
	for _, p := range paths[:max(0, len(paths)-keep)] {
		if filepath.Base(p) == stepDir(best) {
			continue
		}
		if err := os.RemoveAll(p); err != nil {
			return err
		}
	}
	return removeUnfinished(c.Dir)
}

func removeUnfinished(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, ".writing-*"))
	if err != nil {
		return err
	}
	for _, p := range left {
		if err := os.RemoveAll(p); err != nil {
			return err
		}
	}
	return nil
}

// readState reads and checks state.json and the digests of the other files of a checkpoint.
func readState(dir string) (*savedState, error) {
	path := filepath.Join(dir, stateFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	st := new(savedState)
	fault := func(path, format string, args ...any) error {
		return &weights.FileError{Path: path, Fault: fmt.Sprintf(format, args...)}
	}
	if err := json.Unmarshal(text, st); err != nil {
		return nil, fault(path, "not a checkpoint's state or damaged: %v", err)
	}
	if st.Format != stateFormat {
		return nil, fault(path, "format is %q, want %q", st.Format, stateFormat)
	}
	if st.Version != stateVersion {
		return nil, fault(path, "version is %d, want %d", st.Version, stateVersion)
	}
	again, err := st.encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, fault(path, "damaged: its digest does not fit its contents")
	}
	for _, name := range slices.Sorted(maps.Keys(st.Files)) {
		file := filepath.Join(dir, name)
		got, err := digest(file)
		if err != nil {
			return nil, err
		}
		if got != st.Files[name] {
			// Reading it tells more about what is wrong.
			if _, _, err := weights.Load(file); err != nil {
				return nil, err
			}
			return nil, fault(file, "digest is %s, want %s: not the file of this checkpoint", got, st.Files[name])
		}
	}
	return st, nil
}
