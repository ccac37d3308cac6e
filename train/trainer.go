package train

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/weights"
	"gorgonia.org/tensor"
)

// A Trainer is a set of parameters with the steps that update them, for training that is not one
// loop over one dataset: adversarial networks, online learning, reinforcement learning. [Fit] is a
// loop around a single step.
//
//	t, err := train.NewTrainer(train.TrainerConfig{Seed: 1})
//	critic, err := t.NewStep("critic", train.StepConfig{Model: judge, Objective: apart, ...})
//	generator, err := t.NewStep("generator", train.StepConfig{Model: judge, Objective: alike, ...})
//	for generator.Updates() < 1000 {
//		values, err := critic.Run(batch)
//		norm, err := critic.Apply()
//		...
//	}
//
// The models of a trainer share parameters of the same name. A step updates the parameters that its
// own model uses, except those that its Groups freeze, and has its own optimizer with its own
// memory. A trainer and its steps are not safe for concurrent use; the nets of [Trainer.Net] are.
type Trainer struct {
	cfg    TrainerConfig
	params *paramSet
	steps  []*Step
}

// A TrainerConfig holds the settings of a [Trainer]. Its zero value is valid.
type TrainerConfig struct {
	Seed    uint64           // decides initial parameters and dropout
	DType   tensor.Dtype     // tensor.Float32, the default, or tensor.Float64
	Initial []*weights.Array // as in Config; by the first Run every entry must be a parameter of a step
	// Checkpoint sets where [Trainer.Save] saves the run; nil means nowhere. Only Dir, Resume and Keep
	// apply.
	Checkpoint *Checkpoint
}

// NewTrainer returns a trainer without parameters or steps.
func NewTrainer(cfg TrainerConfig) (*Trainer, error) {
	if cfg.DType == (tensor.Dtype{}) {
		cfg.DType = tensor.Float32
	}
	if cfg.DType != tensor.Float32 && cfg.DType != tensor.Float64 {
		return nil, fmt.Errorf("train.NewTrainer: DType is %v, want float32 or float64", cfg.DType)
	}
	if cfg.Checkpoint != nil {
		if err := cfg.Checkpoint.check(); err != nil {
			return nil, fmt.Errorf("train.NewTrainer: %w", err)
		}
	}
	t := &Trainer{cfg: cfg, params: newParamSet(cfg.DType, cfg.Seed)}
	t.params.shared = true
	if err := t.params.setInitial(cfg.Initial); err != nil {
		return nil, fmt.Errorf("train.NewTrainer: %w", err)
	}
	return t, nil
}

// NewStep adds a step under a unique name. Parameters of its model that no earlier step has are
// initialised from the trainer's seed and their names.
func (t *Trainer) NewStep(name string, cfg StepConfig) (s *Step, err error) {
	defer func() {
		if err != nil {
			s, err = nil, fmt.Errorf("train.NewStep: step %q: %w", name, err)
		}
	}()
	if name == "" || slices.ContainsFunc(t.steps, func(s *Step) bool { return s.name == name }) {
		return nil, errors.New("want a name of its own")
	}
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, err
	}
	made := len(t.params.list)
	if s, err = newStep(name, t.params, cfg, false, nil); err == nil {
		if err = s.graph.checkUse(); err == nil {
			t.steps = append(t.steps, s)
			return s, nil
		}
		s.close()
	}
	for _, a := range t.params.list[made:] {
		delete(t.params.index, a.Name)
	}
	t.params.list = t.params.list[:made]
	return nil, err
}

// withDefaults checks the configuration and fills in its defaults.
func (c StepConfig) withDefaults() (StepConfig, error) {
	if c.BatchSize == 0 {
		c.BatchSize = 32
	}
	switch {
	case c.Model == nil:
		return c, errors.New("model is nil")
	case c.Optimizer == nil:
		return c, errors.New("no Optimizer")
	case c.BatchSize < 1:
		return c, fmt.Errorf("BatchSize is %d, want at least 1", c.BatchSize)
	case c.Objective.lossless():
		return c, errors.New("the objective has no loss")
	}
	if err := checkLimits(c.ClipNorm, c.ClipValue); err != nil {
		return c, err
	}
	if err := c.Fields.Check(); err != nil {
		return c, err
	}
	if err := c.Objective.check(); err != nil {
		return c, err
	}
	return c, c.Optimizer.Check()
}

// Net returns a model over the trainer's parameters, to predict, to evaluate and to save. It
// follows their training. The parameters must be those of existing steps, but not all of them need
// be used: a generator works without its critic.
func (t *Trainer) Net(model Network, fields data.Fields) (*Net, error) {
	if model == nil {
		return nil, errors.New("train.Net: model is nil")
	}
	if err := fields.Check(); err != nil {
		return nil, fmt.Errorf("train.Net: %w", err)
	}
	known := t.params.with(t.params.list)
	f, err := buildSound(model, fields.Inputs, known, 1, false)
	if err != nil {
		return nil, fmt.Errorf("train.Net: %w", err)
	}
	return &Net{model: model, about: description{fields: fields}, params: known.with(f.used)}, nil
}

// Close frees the graphs of the steps.
func (t *Trainer) Close() {
	for _, s := range t.steps {
		s.close()
	}
}

// progress is the position of a step.
type progress struct {
	Updates int `json:"updates"`
	Runs    int `json:"runs"`
}

// settings describes everything that decides the course of the trainer's steps.
func (t *Trainer) settings() map[string]string {
	words := map[string]string{"dtype": t.cfg.DType.String(), "seed": fmt.Sprint(t.cfg.Seed)}
	if len(t.cfg.Initial) > 0 {
		words["initial"] = arraysIdentity(t.cfg.Initial)
	}
	for _, s := range t.steps {
		for name, v := range s.settings() {
			words[s.name+": "+name] = v
		}
	}
	return words
}

// settings describes everything that decides the course of a step.
func (s *Step) settings() map[string]string {
	c := &s.cfg
	words := map[string]string{"optimizer": c.Optimizer.Name(), "batch size": fmt.Sprint(s.graph.batch),
		"loss":  s.graph.lossIdentity(),
		"model": s.graph.modelIdentity(), "inputs": fmt.Sprint(c.Fields.Inputs), "targets": fmt.Sprint(c.Fields.Targets),
		"groups": fmt.Sprintf("%+v", c.Groups), "clip norm": number(c.ClipNorm), "clip value": number(c.ClipValue)}
	for name, v := range c.Optimizer.Settings() {
		words["optimizer "+name] = number(v)
	}
	return words
}

// memory returns the optimizers' memory, by step and parameter. The arrays share the memory of the
// steps.
func (t *Trainer) memory() (all []*weights.Array) {
	for _, s := range t.steps {
		for _, a := range s.slots() {
			named := *a
			named.Name = s.name + ": " + a.Name
			all = append(all, &named)
		}
	}
	return all
}

// updates returns the number of updates of all steps.
func (t *Trainer) updates() (n int) {
	for _, s := range t.steps {
		n += s.updates
	}
	return n
}

// Save writes a checkpoint of the parameters and the steps, named by the total number of updates,
// with the format and the guarantees of [Fit]. For a killed and resumed run to end with the same
// bits as an uninterrupted one, the loop must derive its position from [Step.Updates] and its
// random numbers from that position, with [data.Rand].
func (t *Trainer) Save() error {
	c := t.cfg.Checkpoint
	if c == nil {
		return errors.New("train.Save: the trainer has no Checkpoint")
	}
	st := &savedState{Settings: t.settings(), Steps: make(map[string]progress)}
	for _, s := range t.steps {
		st.Steps[s.name] = progress{s.updates, s.runs}
	}
	t.params.mu.RLock()
	defer t.params.mu.RUnlock()
	path, _, err := c.write(t.updates(), st, []file{{weightsFile, t.params.list, nil}, {optimizerFile, t.memory(), nil}}, -1)
	if err != nil {
		return fmt.Errorf("train.Save: %s: %w", path, err)
	}
	return nil
}

// Resume restores the parameters and the steps from the newest checkpoint and reports whether there
// was one. All steps must have been added before. If Checkpoint.Resume is false, a directory that
// holds checkpoints is an error.
func (t *Trainer) Resume() (resumed bool, err error) {
	c := t.cfg.Checkpoint
	if c == nil {
		return false, errors.New("train.Resume: the trainer has no Checkpoint")
	}
	path, st, err := c.open()
	if err != nil || st == nil {
		if err != nil {
			err = fmt.Errorf("train.Resume: %w", err)
		}
		return false, err
	}
	if err := t.restore(path, st); err != nil {
		return false, fmt.Errorf("train.Resume: %w", err)
	}
	return true, nil
}

func (t *Trainer) restore(path string, st *savedState) error {
	if err := sameSettings(path, st.Settings, t.settings()); err != nil {
		return err
	}
	params, memory := cloneAll(t.params.list), cloneAll(t.memory())
	if err := fill(filepath.Join(path, weightsFile), params); err != nil {
		return err
	}
	if err := fill(filepath.Join(path, optimizerFile), memory); err != nil {
		return err
	}
	t.params.mu.Lock()
	defer t.params.mu.Unlock()
	copyAll(t.params.list, params)
	copyAll(t.memory(), memory)
	for _, s := range t.steps {
		s.updates, s.runs, s.rows = st.Steps[s.name].Updates, st.Steps[s.name].Runs, nil
	}
	return nil
}

func copyAll(into, from []*weights.Array) {
	for i, a := range into {
		copy(a.F32, from[i].F32)
		copy(a.F64, from[i].F64)
	}
}
