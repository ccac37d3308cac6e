package tensorops

import "unsafe"

// pointKernel computes an elementwise loss l with the parameters a, b and c of p, for n elements, a
// multiple of pointGroup or pointLanes. It adds the terms w·l to the sums, and writes scale·w·l to
// values and factor·w·dl/dx to dst as the flags say; w is 1 without weights. Where w is 0, x and t
// do not count. dst is an input or overlaps none. l is NaN for targets outside the domain; where it
// is not finite, a number may have overflowed on the way, and what is written to dst is unspecified.
// What is written for an element depends on that element alone. p and sums point to a pointParams
// and a pointSums.
type pointKernel[F Float] func(dst, x, t, w, v, values *F, n int, p, sums *float64, flags uint32)

// pointParams are the parameters of a kernel, in both types.
type pointParams struct {
	factor, scale, a, b, c float64
	single                 [5]float32
}

// set takes the parameters of a plan.
func (p *pointParams) set(plan *pointPlan) {
	p.factor, p.scale, p.a, p.b, p.c = plan.gain, plan.scale, plan.a, plan.b, plan.c
	p.single[0], p.single[1] = float32(p.factor), float32(p.scale)
	p.single[2], p.single[3], p.single[4] = float32(p.a), float32(p.b), float32(p.c)
}

// pointSums are the lanes of a kernel's sum: those that it has moved to float64 and what has come
// since.
type pointSums struct {
	wide   [16]float64
	narrow [16]float32
}

// total returns the sum of all lanes: those of one half onto the other, and so on.
func (s *pointSums) total() float64 {
	w := &s.wide
	if *(*[8]uint64)(unsafe.Pointer(&s.narrow)) != [8]uint64{} { // many losses leave nothing here
		for i, v := range s.narrow {
			w[i] += float64(v)
		}
	}
	a, b, c, d := (w[0]+w[8])+(w[4]+w[12]), (w[1]+w[9])+(w[5]+w[13]), (w[2]+w[10])+(w[6]+w[14]), (w[3]+w[11])+(w[7]+w[15])
	return (a + c) + (b + d)
}

// The flags of a pointKernel.
const (
	pointValueOnly = 1 << iota // dst is not written
	pointStream                // dst, which is aligned to 64 bytes, goes past the caches
	pointWeights               // w holds the weights
	pointValues                // values is written
	pointPositive              // v holds the weights of the positive class
)

// pointKernels are the kernels of the losses below, whose formulas are documented with the
// assembly.
type pointKernels[F Float] [pointBodies]pointKernel[F]

const (
	pointSquared = iota
	pointAbsolute
	pointHuber
	pointLogCosh
	pointBinary
	pointBinaryOptions
	pointMargin
	pointPseudoHuber
	pointCauchy
	pointPoisson
	pointGamma
	pointFocal
	pointCharbonnier
	pointQuantile
	pointExpectile
	pointInsensitive
	pointRelative
	pointSymmetric
	pointHinge
	pointBentHinge
	pointEmbedding
	pointGaussian
	pointLogGap
	pointWing
	pointGemanMcClure
	pointWelsch
	pointTukey
	pointTweedie
	// What follows is for float32 elements alone.
	pointFocalPower
	pointBarron
	pointNegativeBinomial
	pointProbability
	pointBernoulli
	pointAsymmetric
	pointBodies
)
