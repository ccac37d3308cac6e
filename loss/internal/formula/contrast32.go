package formula

import (
	"iter"
	"math"

	"github.com/surprisal-go/surprisal/tensorops"
)

// The functions of rows in float32 compute exponentials in float32 and their sums in float64.

// Out takes an entry out of the row: its number becomes -Inf.
func (r *PairRow) Out(j int) {
	if r.S32 != nil {
		r.S32[j] = float32(math.Inf(-1))
		return
	}
	r.S[j] = math.Inf(-1)
}

// terms32 replaces the numbers by exponentials e and returns their log-sum-exp and the factor that
// makes Σ e equal to f.
func (r *PairRow) terms32() (l float64, share func(f float64)) {
	largest, sum := tensorops.ExpTerms(r.S32, r.S32)
	if math.IsInf(float64(largest), -1) {
		clear(r.S32)
		return math.Inf(-1), func(float64) {}
	}
	return float64(largest) + math.Log(sum), func(f float64) { tensorops.MixTerms(r.S32, r.S32, r.S32, float32(f/sum), 0) }
}

// crossEntropy32 is CrossEntropy.
func (r *PairRow) crossEntropy32(t iter.Seq2[int, float64], f float64) (v float64) {
	sum, mean := 0.0, 0.0
	for j, q := range t {
		z := float64(r.S32[j])
		if q == 1 { // no 1 - p that cancels
			r.Out(j)
			l, share := r.terms32()
			v, yes, _ := SoftplusOf(l - z)
			share(f * yes)
			r.S32[j] = float32(-f * yes)
			return v
		}
		sum, mean = sum+q, mean+q*z
	}
	l, share := r.terms32()
	share(f)
	for j, q := range t {
		r.S32[j] = float32(float64(r.S32[j]) - f*q)
	}
	return sum*l - mean
}

// decoupled32 is Decoupled.
func (r *PairRow) decoupled32(partner int, f float64) float64 {
	positive := float64(r.S32[partner])
	r.Out(r.I)
	r.Out(partner)
	l, share := r.terms32()
	share(f)
	r.S32[partner] = float32(-f)
	return l - positive
}

// EachAgainst returns the sum over the entries at the places that t yields of -log of the share of
// e^S in it and the sum of e^S over the entries that same does not name, for a row in float32, and
// writes f times its derivatives. t yields some places of same, in their order.
func (r *PairRow) EachAgainst(t iter.Seq2[int, float64], same []int, f float64) (v float64) {
	z := r.Buf[0][:0]
	for j := range t {
		z = append(z, float64(r.S32[j]))
	}
	for _, j := range same {
		r.Out(j)
	}
	l, share := r.terms32()
	pull := 0.0
	for k, x := range z {
		lost, yes, _ := SoftplusOf(l - x)
		v, pull, z[k] = v+lost, pull+yes, yes
	}
	share(f * pull)
	k := 0
	for j := range t {
		r.S32[j] = float32(-f * z[k])
		k++
	}
	return v
}
