package main

import "math"

// unigram returns the perplexity of test under the frequencies of words in training, each count
// raised by one.
func unigram(training, test []int, vocabulary int) float64 {
	count := make([]float64, vocabulary)
	for i := range count {
		count[i] = 1
	}
	for _, id := range training {
		count[id]++
	}
	total := float64(len(training) + vocabulary)
	var nats float64
	for _, id := range test {
		nats -= math.Log(count[id] / total)
	}
	return math.Exp(nats / float64(len(test)))
}
