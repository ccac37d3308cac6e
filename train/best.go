package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// LoadBest reads the model with the best parameters of a run from the directory of its checkpoints,
// Checkpoint.Dir: the best checkpoint by Checkpoint.Monitor if that was set, otherwise the best
// epoch by Config.EarlyStop. [Load] of a checkpoint reads the last parameters instead, those with
// which a resumed run continues.
func LoadBest(dir string, model Model) (*Net, error) { return LoadBestNamed(dir, model.network()) }

// LoadBestNamed is [LoadBest] for a network.
func LoadBestNamed(dir string, model Network) (*Net, error) {
	path, err := bestOf(dir)
	if err != nil {
		return nil, fmt.Errorf("train.LoadBest: %w", err)
	}
	return load("LoadBest", path, model)
}

// bestOf returns the file or directory of the best parameters among the checkpoints of a run.
func bestOf(dir string) (string, error) {
	paths, err := Checkpoints(dir)
	if err != nil {
		return "", err
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("%s holds no checkpoints", dir)
	}
	newest := paths[len(paths)-1]
	st, err := readState(newest)
	switch {
	case err != nil:
		return "", err
	case st.At.Kept.Step > 0:
		return filepath.Join(dir, stepDir(st.At.Kept.Step)), nil
	case st.Files[bestFile] != "":
		return filepath.Join(newest, bestFile), nil
	}
	return "", errNoBest
}

// bestPath is where bestOf finds the best parameters of this run, "" where they are on no disk.
func (r *run) bestPath() string {
	c := r.cfg.Checkpoint
	if c == nil || r.savedAt[0] == 0 || !r.ranks.first() {
		return ""
	}
	path := filepath.Join(c.Dir, stepDir(r.savedAt[0]), bestFile)
	if r.at.Kept.Step > 0 {
		path = filepath.Join(c.Dir, stepDir(r.at.Kept.Step))
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// keep notes the checkpoint that is about to be written where it is the best so far by
// Checkpoint.Monitor. NaN is never the best: nothing would improve on it.
func (r *run) keep(values Values) {
	c := r.cfg.Checkpoint
	if c.Monitor == "" {
		return
	}
	v, measured := values[c.Monitor]
	best := float64(r.at.Kept.Value)
	if measured && !math.IsNaN(v) && (r.at.Kept.Step == 0 || v < best && !c.Maximize || v > best && c.Maximize) {
		r.at.Kept = kept{r.at.Step, exact(v)}
	}
}

// restoreBest puts the parameters of the best epoch back at the end of a run.
func (r *run) restoreBest() {
	if r.best == nil {
		return
	}
	r.net.params.mu.Lock()
	defer r.net.params.mu.Unlock()
	copyAll(r.net.params.list, r.best)
}
