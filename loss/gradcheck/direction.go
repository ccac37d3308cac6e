package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/surprisal-go/surprisal/tensorops"
)

// chunk is the number of elements that one core works on at a time; a sum is kept per chunk, so
// that it does not depend on the number of cores.
const chunk = 1 << 16

// randomDirection draws numbers of random sign between half and one and a half units for the
// elements of the inputs that have a gradient. Infinite elements stay. It writes to dir where that
// has room.
func (k *checker) randomDirection(dir [][]float64) [][]float64 {
	if dir == nil {
		dir = make([][]float64, len(k.ref.operands))
	}
	for i, o := range k.ref.operands {
		if o.fixed {
			continue
		}
		if dir[i] == nil {
			dir[i] = make([]float64, len(o.pristine))
		}
		d, x, unit, seed := dir[i], o.pristine, o.unit, k.rng.Uint64()
		tensorops.ParallelFor(len(d), chunk, func(lo, hi int) {
			rng := rand.NewPCG(seed, uint64(lo))
			for e := lo; e < hi; e += 4 {
				bits := rng.Uint64()
				for j := e; j < min(e+4, hi); j++ {
					m := float64(int16(bits)) * 0x1p-15
					bits >>= 16
					d[j] = unit * (math.Copysign(0.5, m) + m)
					if x[j]-x[j] != 0 { // infinite
						d[j] = 0
					}
				}
			}
		})
	}
	return dir
}

// quickStep is the step of a quick look along a direction, and quickSafety what its truncation
// error may be, in units of that of the first direction.
const (
	quickStep   = 1.0 / 2048
	quickSafety = 16
)

// checkDirections is the directional mode. The first direction is differentiated in full, which
// also tells the error of a single central difference. That is enough for another direction on
// which the gradients agree; one on which they do not is differentiated in full before it is called
// wrong.
func (k *checker) checkDirections() error {
	var (
		dir   [][]float64
		quick float64 // the relative truncation error of a single difference
	)
	for n := range k.directions {
		if k.spent() {
			k.report.Skipped = k.directions - n
			break
		}
		dir = k.randomDirection(dir)
		along := k.differ.along(dir)
		one := single(along)
		if n > 0 && one.why == "" {
			one.tol += quickSafety * quick * math.Abs(one.value)
			if k.judgeDirection(n, dir, one) {
				continue
			}
		}
		s := directionPlan.differentiate(along, 1)
		if n == 0 {
			quick = math.Abs(one.value-s.value) / math.Abs(s.value)
			if !finite(quick) || quick > settled {
				quick = settled // the tolerance of a quick look stays below the faults that must be found
			}
		}
		k.report.Elements = append(k.report.Elements, k.alongDirection(n, dir, s)...)
	}
	k.ref.restore()
	return k.differ.f.run()
}

// single is one central difference; its tolerance is for rounding alone.
func single(f line) slope {
	up, upNoise, upErr := f(quickStep)
	down, downNoise, downErr := f(-quickStep)
	if upErr != nil || downErr != nil || !finite(up) || !finite(down) {
		return slope{why: "not defined"}
	}
	value := (up - down) / (2 * quickStep)
	return slope{value: value, tol: noiseSafety*(upNoise+downNoise)/(2*quickStep) + leastTol*math.Abs(value)}
}

// judgeDirection keeps a direction on which every pass agrees with a quick look.
func (k *checker) judgeDirection(n int, dir [][]float64, s slope) bool {
	elements := k.alongDirection(n, dir, s)
	for i := range elements {
		if elements[i].Failed() {
			return false
		}
	}
	k.report.Elements = append(k.report.Elements, elements...)
	return true
}

// alongDirection compares the passes with a slope along a direction.
func (k *checker) alongDirection(n int, dir [][]float64, s slope) []Element {
	var elements []Element
	for _, j := range k.grads {
		elements = append(elements, k.directional(j, n, dir, s))
	}
	return elements
}

// directional judges one pass along one direction.
func (k *checker) directional(j *judge, n int, dir [][]float64, s slope) Element {
	el := Element{Pass: j.pass, Order: 1, Direction: n, Numeric: s.value, Lo: s.lo, Hi: s.hi}
	var variance float64
	for i, p := range j.parts {
		if dir[i] == nil {
			continue
		}
		if len(p.values) != len(dir[i]) {
			el.Verdict, el.Analytic, el.Input = Missing, math.NaN(), k.names[i]
			if el.Note = p.why; p.why == "" {
				el.Verdict, el.Note = Shape, fmt.Sprintf("the gradient has shape %s, want %s", shapeText(p.shape), shapeText(k.ref.operands[i].shape))
			}
			return el
		}
		sum, sq := product(dir[i], p.values)
		el.Analytic += sum
		variance += sq
	}
	el.Tol = s.tol + 16*epsOf(k.dtype)*(math.Sqrt(variance)+math.Abs(el.Analytic))
	if decide(&el, s); k.small() && (el.Verdict == Wrong || el.Verdict == Zero) {
		variance = 0
		for i := range j.parts {
			for e, v := range dir[i] {
				t := v * k.gradientNoise(j, i, e)
				variance += t * t
			}
		}
		el.Tol += noiseSafety * math.Sqrt(variance)
		decide(&el, s)
	}
	return el
}

// product returns Σ d·g and Σ (d·g)².
func product(d, g []float64) (sum, sq float64) {
	parts := make([][2]float64, (len(d)+chunk-1)/chunk)
	tensorops.ParallelFor(len(d), chunk, func(lo, hi int) {
		var a, b float64
		for e, v := range d[lo:hi] {
			t := v * g[lo+e]
			a += t
			b += t * t
		}
		parts[lo/chunk] = [2]float64{a, b}
	})
	for _, p := range parts {
		sum += p[0]
		sq += p[1]
	}
	return sum, sq
}
