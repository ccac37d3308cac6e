package info_test

import (
	"errors"
	"fmt"

	"github.com/surprisal-go/surprisal/tensorops/info"
	"gorgonia.org/tensor"
)

// The truth P and the model Q that the examples measure.
var (
	truth = []float64{.10, .40, .50}
	model = []float64{.80, .15, .05}
)

func ExampleSelfInformation() {
	for _, p := range []float64{1, 0.5, 0.1, 0} {
		bits, err := info.SelfInformation(p, info.Bits)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("p = %-3v  %.5f bits\n", p, bits)
	}
	// Output:
	// p = 1    0.00000 bits
	// p = 0.5  1.00000 bits
	// p = 0.1  3.32193 bits
	// p = 0    +Inf bits
}

func ExampleEntropy() {
	coin, _ := info.Entropy([]float64{0.5, 0.5}, info.Bits)
	bent, _ := info.Entropy([]float64{0.9, 0.1}, info.Bits)
	fmt.Printf("fair coin %.5f bits, bent coin %.5f bits\n", coin, bent)
	// Output: fair coin 1.00000 bits, bent coin 0.46900 bits
}

// What is no distribution is an error that says what is wrong with it.
func ExampleEntropy_refused() {
	_, err := info.Entropy([]float64{0.5, 0.4}, info.Bits)
	fmt.Println(errors.Is(err, info.ErrSum))
	_, err = info.Entropy([]float64{1.2, -0.2}, info.Bits)
	fmt.Println(err)
	// Output:
	// true
	// info.Entropy: p[1] is -0.2, want a finite number of at least 0
}

func ExampleCrossEntropy() {
	h, _ := info.CrossEntropy(truth, model, info.Bits)
	own, _ := info.Entropy(truth, info.Bits)
	kl, _ := info.KL(truth, model, info.Bits)
	fmt.Printf("H(P,Q) = %.5f, H(P) + KL(P‖Q) = %.5f + %.5f bits\n", h, own, kl)
	// Output: H(P,Q) = 3.28794, H(P) + KL(P‖Q) = 1.36096 + 1.92698 bits
}

func ExampleKL() {
	forth, _ := info.KL(truth, model, info.Bits)
	back, _ := info.KL(model, truth, info.Bits)
	fmt.Printf("KL(P‖Q) = %.5f bits, KL(Q‖P) = %.5f bits\n", forth, back)
	// Output: KL(P‖Q) = 1.92698 bits, KL(Q‖P) = 2.02165 bits
}

func ExampleJensenShannon() {
	js, _ := info.JensenShannon(truth, model, info.Bits)
	apart, _ := info.JensenShannon([]float64{1, 0}, []float64{0, 1}, info.Bits)
	fmt.Printf("%.5f bits, and %v bit for what has nothing in common\n", js, apart)
	// Output: 0.42020 bits, and 1 bit for what has nothing in common
}

// How much the weather (rows) tells about the umbrella (columns).
func ExampleMutualInformation() {
	bits, _ := info.MutualInformation([]float64{
		0.30, 0.05, // rain: umbrella, none
		0.10, 0.55, // no rain
	}, 2, info.Bits)
	fmt.Printf("%.5f bits\n", bits)
	// Output: 0.36127 bits
}

func ExamplePerplexity() {
	die := []float64{1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6}
	loaded := []float64{.5, .1, .1, .1, .1, .1}
	fair, _ := info.Perplexity(die, die)
	own, _ := info.Perplexity(loaded, loaded)
	wrong, _ := info.Perplexity(loaded, die)
	fmt.Printf("a die %.3f, a loaded die %.3f, taken for a fair one %.3f\n", fair, own, wrong)
	// Output: a die 6.000, a loaded die 4.472, taken for a fair one 6.000
}

// Counts need not be normalised first.
func ExampleEntropyWeights() {
	letters := make([]int, 26)
	for _, r := range "abracadabra" {
		letters[r-'a']++
	}
	bits, _ := info.EntropyWeights(letters, info.Bits)
	fmt.Printf("%.5f bits a letter\n", bits)
	// Output: 2.04037 bits a letter
}

// The entropy of every row of a matrix.
func ExampleEntropyAxis() {
	p := tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float32{
		0.5, 0.5,
		0.75, 0.25,
		1, 0,
	}))
	h, err := info.EntropyAxis(p, -1, info.Bits)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.5f\n", h.Data())
	// Output: [1.00000 0.81128 0.00000]
}
