package tensorops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// pixelSoftmax is the softmax of a pixel in float64.
func pixelSoftmax(x []float32, stride, classes, i int) []float64 {
	p, most, sum := make([]float64, classes), math.Inf(-1), 0.0
	for c := range p {
		most = math.Max(most, float64(x[c*stride+i]))
	}
	for c := range p {
		p[c] = math.Exp(float64(x[c*stride+i]) - most)
		sum += p[c]
	}
	for c := range p {
		p[c] /= sum
	}
	return p
}

// others is Σ p without class c.
func others(p []float64, c int) (q float64) {
	for k, v := range p {
		if k != c {
			q += v
		}
	}
	return q
}

// below is the distance of a class's logit from the largest one.
func below(p []float64, c int) float64 { return min(800, math.Log(slices.Max(p)/p[c])) }

func testPixels(r *rand.Rand, classes, n, stride int, spread float64) (x []float32, labels []int) {
	x, labels = make([]float32, classes*stride), make([]int, n)
	for i := range x {
		x[i] = float32(spread * r.NormFloat64())
	}
	for i := range labels {
		labels[i] = r.IntN(classes+1) - 1
	}
	return x, labels
}

// Every count of pixels and classes, spread logits and large ones, against float64.
func TestPixels(t *testing.T) {
	if !HasPixels() {
		t.Skip("these kernels are assembly")
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, classes := range []int{1, 2, 3, 4, 5, 21} {
		for _, n := range []int{1, 15, 16, 17, 100, 1025} {
			for _, spread := range []float64{1e-9, 1, 30, 1e4} {
				t.Run(fmt.Sprintf("%dx%d/%g", classes, n, spread), func(t *testing.T) {
					stride := n + 3
					x, labels := testPixels(r, classes, n, stride, spread)
					sums, slopes := make([]float64, 3*classes), make([]float32, 2*classes)
					for i := range slopes {
						slopes[i] = float32(r.NormFloat64())
					}
					dst := make([]float32, classes*(n+1))
					PixelSums(sums, x, stride, dst, n+1, labels)
					PixelPull(dst, n+1, labels, slopes)
					want := make([]float64, 3*classes)
					for i, y := range labels {
						p := pixelSoftmax(x, stride, classes, i)
						u := make([]float64, classes)
						for c := range p {
							u[c] = float64(slopes[2*c])
							switch {
							case y == c:
								u[c] = float64(slopes[2*c+1])
								want[3*c] += p[c]
								want[3*c+2] += others(p, c)
							case y >= 0:
								want[3*c+1] += p[c]
							}
						}
						for c := range p {
							g, tolerance := 0.0, 0.0
							for k := range p {
								term := p[c] * p[k] * (u[c] - u[k])
								g += term
								// a logit's distance a from the largest one is rounded, which is a·2^-24 of
								// its p; each p has 3 units beside that, and sums one for each class
								tolerance += 0x1p-23 * math.Abs(term) * (6 + float64(classes)/2 + (below(p, c)+below(p, k))/2)
							}
							got := float64(dst[c*(n+1)+i])
							if y < 0 {
								g, tolerance = 0, 0
							}
							// p below 2^-126 is 0
							if math.Abs(got-g) > tolerance+0x1p-120 {
								t.Fatalf("class %d of pixel %d: %v, want %v ± %v", c, i, got, g, tolerance)
							}
						}
					}
					for i, w := range want {
						// p as above, of logits up to 87 apart in sums that small ones make, and the
						// roundings of up to 64 float32 additions, which are random
						if math.Abs(sums[i]-w) > 6e-6*w+1e-35 {
							t.Errorf("sum %d of class %d: %v, want %v", i%3, i/3, sums[i], w)
						}
					}
				})
			}
		}
	}
}

// NaN and infinities stay in their pixels, and those that are left out are in no sum.
func TestPixelsHostile(t *testing.T) {
	if !HasPixels() {
		t.Skip("these kernels are assembly")
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	x := []float32{nan, inf, 1, -inf, -inf, 3e38, 0, 0, 0, 0, 0, -inf, -3e38, 0} // 2 classes of 7
	labels := []int{-1, -1, 1, 1, -1, 0, 1}
	sums, dst := make([]float64, 6), make([]float32, 14)
	PixelSums(sums, x, 7, dst, 7, labels)
	for i, v := range sums {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("sum %d is %v", i, v)
		}
	}
	PixelPull(dst, 7, labels, []float32{1, 2, 3, 4})
	for i, v := range dst {
		if v != v {
			t.Errorf("derivative %d is NaN", i)
		}
		if labels[i%7] < 0 && v != 0 {
			t.Errorf("derivative %d is %v, want 0", i, v)
		}
	}
	labels[0] = 0
	PixelSums(sums, x, 7, dst, 7, labels)
	PixelPull(dst, 7, labels, []float32{1, 2, 3, 4})
	if !math.IsNaN(sums[0]) || dst[0] == dst[0] || dst[7] == dst[7] || dst[1] != 0 || dst[2] != dst[2] {
		t.Errorf("NaN in a pixel: sums %v, derivatives %v", sums, dst)
	}
}
