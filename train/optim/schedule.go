package optim

import (
	"fmt"
	"math"
)

// A Position is a place in a run: the update about to be made.
type Position struct {
	Step          int // counts from 1
	Epoch         int // counts from 1
	StepsPerEpoch int
	Steps         int // of the whole run
}

// A Schedule sets the learning rate of each step as a factor of the optimizer's rate.
type Schedule interface {
	// Factor returns the factor of a step, >= 0.
	Factor(p Position) float64
	// Name identifies the schedule and its settings, for a checkpoint to be compared with.
	Name() string
	// Check returns an error when a setting is out of its range.
	Check() error
}

// An Adaptive schedule also depends on a value that is measured after each epoch.
type Adaptive interface {
	Schedule
	// Monitor names the value, such as "val_loss".
	Monitor() string
	// Observe is called with the value after each epoch.
	Observe(value float64)
	// New returns the schedule as it is before a run.
	New() Adaptive
	// State returns what was observed, for Restore to continue from.
	State() []float64
	// Restore replaces it by an earlier State.
	Restore(state []float64) error
}

type constant struct{}

// Constant returns the schedule whose factor is 1 at every step.
func Constant() Schedule { return constant{} }

func (constant) Factor(Position) float64 { return 1 }
func (constant) Name() string            { return "constant" }
func (constant) Check() error            { return nil }

type staircase struct {
	every int
	gamma float64
}

// Staircase returns the schedule that multiplies the rate by gamma > 0 after every so many epochs,
// PyTorch's StepLR: factor = gamma^⌊(epoch-1)/every⌋.
func Staircase(every int, gamma float64) Schedule { return staircase{every, gamma} }

func (s staircase) Factor(p Position) float64 {
	return math.Pow(s.gamma, float64((p.Epoch-1)/s.every))
}
func (s staircase) Name() string {
	return fmt.Sprintf("staircase(every=%d,gamma=%v)", s.every, s.gamma)
}
func (s staircase) Check() error {
	if s.every < 1 || !(s.gamma > 0) || math.IsInf(s.gamma, 1) {
		return fmt.Errorf("optim.Staircase: every is %d and gamma %v, want every >= 1 and gamma > 0", s.every, s.gamma)
	}
	return nil
}

type cosine struct {
	warmup int
	floor  float64
}

// Cosine returns the schedule that rises linearly over the first warmup steps and then falls along
// half a cosine to floor, in [0, 1], at the run's last step. With N steps in all, at step n,
//
//	factor = n/warmup                                                        n <= warmup
//	factor = floor + (1-floor)·(1 + cos(π·(n-warmup)/(N-warmup)))/2          n > warmup
//
// Reference: I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts,
// 2017.
func Cosine(warmup int, floor float64) Schedule { return cosine{warmup, floor} }

func (c cosine) Factor(p Position) float64 {
	if p.Step <= c.warmup {
		return float64(p.Step) / float64(c.warmup)
	}
	if p.Steps <= c.warmup {
		return 1
	}
	t := min(1, float64(p.Step-c.warmup)/float64(p.Steps-c.warmup))
	return c.floor + float64((1-c.floor)*(1+math.Cos(math.Pi*t))/2)
}
func (c cosine) Name() string { return fmt.Sprintf("cosine(warmup=%d,floor=%v)", c.warmup, c.floor) }
func (c cosine) Check() error {
	if c.warmup < 0 || !(c.floor >= 0 && c.floor <= 1) {
		return fmt.Errorf("optim.Cosine: warmup is %d and floor %v, want warmup >= 0 and floor in [0, 1]", c.warmup,
			c.floor)
	}
	return nil
}

// Plateau multiplies the rate by Factor when a value has not improved for more than Patience
// epochs. It is PyTorch's ReduceLROnPlateau with threshold_mode "abs".
type plateau struct {
	monitor  string
	factor   float64
	patience int
	minDelta float64
	maximize bool
	current  float64
	best     float64
	seen     bool
	bad      int
}

// PlateauSettings are the settings of [Plateau]; the zero value has the defaults that PyTorch has,
// with an absolute threshold of 0.
type PlateauSettings struct {
	Monitor  string  // value to watch; "" means "val_loss"
	Factor   float64 // in (0, 1); 0 means 0.1
	Patience int     // epochs without improvement that are tolerated; 0 means 10, a negative number none
	MinDelta float64 // how much better counts as better, >= 0
	Maximize bool    // larger is better
}

// Plateau returns the schedule that multiplies the rate by Factor each time the monitored value has
// gone more than Patience epochs without improving by more than MinDelta.
func Plateau(s PlateauSettings) Schedule {
	if s.Monitor == "" {
		s.Monitor = "val_loss"
	}
	if s.Factor == 0 {
		s.Factor = 0.1
	}
	if s.Patience == 0 {
		s.Patience = 10
	}
	return &plateau{monitor: s.Monitor, factor: s.Factor, patience: max(0, s.Patience), minDelta: s.MinDelta, maximize: s.Maximize, current: 1}
}

func (p *plateau) Factor(Position) float64 { return p.current }
func (p *plateau) Monitor() string         { return p.monitor }
func (p *plateau) Name() string {
	return fmt.Sprintf("plateau(monitor=%s,factor=%v,patience=%d,mindelta=%v,maximize=%v)", p.monitor, p.factor,
		p.patience, p.minDelta, p.maximize)
}

func (p *plateau) Check() error {
	if !(p.factor > 0 && p.factor < 1) || !(p.minDelta >= 0) {
		return fmt.Errorf("optim.Plateau: factor is %v and minimal change %v, want a factor in (0, 1) and a change >= 0", p.factor, p.minDelta)
	}
	return nil
}

func (p *plateau) Observe(v float64) {
	better := v < p.best-p.minDelta
	if p.maximize {
		better = v > p.best+p.minDelta
	}
	if !p.seen && !math.IsNaN(v) || better {
		p.best, p.seen, p.bad = v, true, 0
		return
	}
	if p.bad++; p.bad > p.patience {
		p.current *= p.factor
		p.bad = 0
	}
}

func (p *plateau) New() Adaptive {
	c := *p
	c.current, c.best, c.seen, c.bad = 1, 0, false, 0
	return &c
}

func (p *plateau) State() []float64 {
	seen := 0.0
	if p.seen {
		seen = 1
	}
	return []float64{p.current, p.best, seen, float64(p.bad)}
}

func (p *plateau) Restore(s []float64) error {
	if len(s) != 4 {
		return fmt.Errorf("optim.Plateau: state has %d numbers, want 4", len(s))
	}
	p.current, p.best, p.seen, p.bad = s[0], s[1], s[2] == 1, int(s[3])
	return nil
}
