package main

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/floats"
)

// The hazard of patient x in month t is 1.5·√(t/20)/20·exp(truth·x). Half of the patients are
// treated; age, marker and noise are normally distributed, age and marker with a correlation of ½.
// Patients are seen every third month, so that many deaths have the same time. Most of those who
// are treated joined late: they are followed for 3 to 15 months, all others for 12 to 36, and who
// is alive at the end is censored.
var (
	covariates = []string{"treated", "age", "marker", "noise"}
	truth      = []float64{-0.8, 0.5, 0.9, 0}
)

const (
	shape = 1.5 // cumulative hazard (t/scale)^shape·exp(truth·x)
	scale = 20.0
	visit = 3.0 // months
)

// study has for each patient a row of covariates, a time in months, and 1 for a death at this time
// or 0 for the end of the patient's part in the study.
type study struct{ x, time, event []float64 }

func (s *study) add(x []float64, time, event float64) {
	s.x, s.time, s.event = append(s.x, x...), append(s.time, time), append(s.event, event)
}

func (s study) row(i int) []float64 { return s.x[i*len(truth) : (i+1)*len(truth)] }

// simulate is study number of those that a seed decides.
func simulate(seed uint64, number, patients int) (s study) {
	r := rand.New(rand.NewPCG(seed, uint64(number)))
	for range patients {
		treated, age := float64(r.IntN(2)), r.NormFloat64()
		x := []float64{treated, age, age/2 + math.Sqrt(.75)*r.NormFloat64(), r.NormFloat64()}
		death := scale * math.Pow(r.ExpFloat64()/math.Exp(floats.Dot(x, truth)), 1/shape)
		visits := float64(4 + r.IntN(9))
		if treated == 1 {
			visits = float64(1 + r.IntN(5))
		}
		if seen := math.Ceil(death / visit); seen <= visits {
			s.add(x, visit*seen, 1)
		} else {
			s.add(x, visit*visits, 0)
		}
	}
	return s
}

// uncensored takes censored patients for dead, or leaves them out.
func (s study) uncensored(keep bool) (u study) {
	for i, event := range s.event {
		if keep || event == 1 {
			u.add(s.row(i), s.time[i], 1)
		}
	}
	return u
}

// censored is the share of patients who are alive at the end.
func (s study) censored() float64 { return 1 - floats.Sum(s.event)/float64(len(s.event)) }
