package data

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Rand returns the generator of one purpose of a run, such as the shuffling of an epoch: the
// numbers depend on the seed, the purpose's name and its index alone, so no generator's state has
// to be saved for a run to be resumed.
func Rand(seed uint64, purpose string, index uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	// Two rounds of a 64-bit mixer (SplitMix64) keep neighbouring indices apart.
	return rand.New(rand.NewPCG(mix(seed^h.Sum64()), mix(index+0x9e3779b97f4a7c15)))
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom
// Number Generators, 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Permutation returns the order in which an epoch visits n examples. A negative n is an error.
func Permutation(n int, seed uint64, epoch int) ([]int, error) {
	if n < 0 {
		return nil, fmt.Errorf("data.Permutation: %d examples, want at least 0", n)
	}
	return Rand(seed, "shuffle", uint64(epoch)).Perm(n), nil
}
