package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Kernels of softmax losses. A group is 16 rows side by side: element c of row i of the group is
// number 16c+i of an array. Their exponentials are the work, and exist for both instruction sets;
// what comes before and after waits for memory and exists for AVX2 alone.

// Where the arrays of 16 float64 numbers lie that belong to a group's rows; package tensorops has
// the same order in softmaxRows.
const (
	statOthers = 128 * iota
	statOwn
	statGap
	statMass
	statSigns
	statFactor
	statAdd
	statAtLabel
	statWeight
	statUp
	statValue
	statLabel
)

// Where the numbers lie that belong to a call; package tensorops has the same order in
// softmaxNumbers.
const (
	numKeep = 8 * iota
	numEach
	numWhole
	numZLoss
	numScale
	numGapScale
	numFloor
	numMore
)

// softmaxKernels emits the exponentials of softmax losses, and with AVX2 all else: that waits for
// memory.
func softmaxKernels(isa string) {
	g := newGen(isa, "F32", "F64")
	g.exps("exp", pow2Wide)
	g.exps("expFull", pow2Full)
	g.cappedExps("expCapped", pow2Wide, tanhWide, true)
	g.cappedExps("expCappedShort", pow2Short, tanhShort, false)
	g = newGen(isa, "F64", "F64")
	g.exps("exp", nil)
	g.cappedExps("expCapped", nil, tanh64, true)
	if isa != "AVX2" {
		return
	}
	for _, elem := range []string{"F32", "F64"} {
		g := newGen("AVX2", elem, "F64")
		g.pack()
		g.unpack()
		g.classes()
		g.copyTile()
		g.laneDot()
		g.rowDot()
		for _, capped := range []bool{false, true} {
			if capped && elem == "F64" {
				break // logits after a softcap are float64 numbers, as these are
			}
			g.laneTarget(capped)
			g.rowTarget(capped)
		}
		g.laneEntropy()
		g.gaps()
		g.storeLabels()
		g.gatherRows()
		g.spreadRows()
		for _, k := range gradKinds {
			g.laneGrad(k)
			g.rowGrad(k)
		}
	}
	g = newGen("AVX2", "F64", "F64")
	g.laneSum()
	g.rowSum()
	g.finish()
	g.finishTargets()
	g.bend()
	g.takeLabels()
}

// kernel begins a kernel. The signature may say F for the type of element.
func (g *gen) kernel(name, signature, doc string) { g.textWith(NOSPLIT, name, signature, doc) }

// param is the memory of a parameter.
func param(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// pointer loads a parameter of the size of a pointer.
func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// number spreads a float64 number of memory over a register.
func (g *gen) number(m Mem) reg.VecVirtual {
	v := g.vec()
	VBROADCASTSD(m, v)
	return v
}

// tanhShort, tanhWide and tanh64 are (tanh u/u - 1)/u² in u² for u² <= 1/2, interpolated at
// Chebyshev's nodes: tanh to 2^-32.7, 2^-41.6 and 2^-54.6.
var (
	tanhShort = []float64{-0.33333333304271195, 0.1333332762537552, -0.05396640805737392, 0.02184686708787544, -0.008729076952095726,
		0.0031711169593203474, -0.0007519124375358081}
	tanhWide = []float64{-0.33333333333271575, 0.13333333313299142, -0.0539682432155052, 0.021869265055670266, -0.008860891124627391,
		0.0035781557441939903, -0.0014059752738979207, 0.0004823989393060029, -0.00010225947037950059}
	tanh64 = []float64{-0.33333333333333326, 0.13333333333329847, -0.053968253964917945, 0.021869488410785825, -0.00886323308732899,
		0.0035920998336879356, -0.0014556266937810758, 0.0005890115556275362, -0.00023576697514593936, 8.938195061319972e-05,
		-2.8040703619543624e-05, 5.1287079738925226e-06}
)

// expLimit bounds the exponents of the powers of 2 that exps returns. Sums of up to 2^22 of them
// remain numbers.
const expLimit = 1000

// exps emits e[i] = exp(scale·x[i]). scale·x is taken for the nearest number within ±1000·ln 2. n is
// rounded up to a multiple of 16 in what is written; there x is -Inf.
func (g *gen) exps(name string, coefs []float64) {
	g.kernel(name, "func(e *float64, x *F, n int, scale float64)", "writes exp(scale·x).")
	e, x, n := pointer("e"), pointer("x"), pointer("n")
	t, scale := g.newExpTerm(coefs), g.number(param("scale"))
	if t.pow2 != nil {
		t.factor(scale)
	}
	g.sixteens(x, n, math.Inf(-1), func() {
		for i := 0; i < 16; i += t.per {
			xs := g.registers(x, i, t.per)
			if t.pow2 == nil {
				for _, v := range xs {
					g.mul(scale, v, v)
				}
			}
			for j, v := range t.exp(xs) {
				VMOVUPD(v, Mem{Base: e, Disp: 8 * (i + j*g.lanes())})
			}
		}
		ADDQ(U32(128), e)
	})
}

// registers loads n elements from index i on.
func (g *gen) registers(x reg.Register, i, n int) (xs []reg.VecVirtual) {
	for j := i; j < i+n; j += g.lanes() {
		xs = append(xs, g.load(x, j))
	}
	return xs
}

// cappedExps emits, in and out being the multipliers of a softcap,
//
//	z[i] = out·tanh(in·x[i])    e[i] = exp(z[i])    slope[i] = 1 - tanh²
//
// z is taken for the nearest number within ±1000·ln 2, where clamped; else it must be within. An x of
// -Inf is a z of -Inf. n is rounded up to a multiple of 16 in what is written; there x is 0. z may be
// nil.
func (g *gen) cappedExps(name string, coefs, tanh []float64, clamped bool) {
	g.kernel(name, "func(e, z, slope *float64, x *F, n int, in, out float64)", "writes z = out·tanh(in·x), exp(z) and the slope 1 - tanh².")
	e, x, n, z, slope := pointer("e"), pointer("x"), pointer("n"), pointer("z"), pointer("slope")
	t := &capTerm{expTerm: g.newExpTerm(coefs), coefs: tanh, in: param("in"), out: param("out"), far: AllocLocal(128)}
	g.sixteens(x, n, 0, func() {
		zs := t.cap(x, slope)
		TESTQ(z, z)
		JZ(LabelRef("dropped"))
		for i, v := range zs {
			VMOVUPD(v, lane(z, i*g.lanes()))
		}
		Label("dropped")
		if clamped {
			t.limits() // whose registers were taken
		}
		if t.per < 16 { // the others are in memory meanwhile
			for i, v := range zs {
				VMOVUPD(v, t.far.Offset(8*i*g.lanes()))
			}
		}
		for i := 0; i < 16; i += t.per {
			xs := zs[:t.per/g.lanes()]
			for j := 0; i > 0 && j < len(xs); j++ {
				VMOVUPD(t.far.Offset(8*(i+j*g.lanes())), xs[j])
			}
			exp := t.exp
			if !clamped {
				exp = t.within
			}
			for j, v := range exp(xs) {
				VMOVUPD(v, lane(e, i+j*g.lanes()))
			}
		}
		t.masked(x, e, z, slope)
		TESTQ(z, z)
		JZ(LabelRef("next"))
		ADDQ(U32(128), z)
		Label("next")
		ADDQ(U32(128), e)
		ADDQ(U32(128), slope)
	})
}

// sixteens emits a kernel's loop over n elements at x, 16 at a time; fill stands behind their end.
func (g *gen) sixteens(x, n reg.GPVirtual, fill float64, body func()) {
	rest := AllocLocal(16 * size(g.elem))
	Label("loop")
	CMPQ(n, U32(16))
	JGE(LabelRef("whole"))
	TESTQ(n, n)
	JLE(LabelRef("done"))
	for i := 0; i < 16; i += g.lanes() {
		g.copyTail(x, n, i, fill, rest)
	}
	LEAQ(rest, x)
	Label("whole")
	body()
	ADDQ(U32(uint32(16*size(g.elem))), x)
	SUBQ(U32(16), n)
	JG(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// copyTail copies the register of elements from index i on to the memory at to, with fill for those
// that do not lie below n.
func (g *gen) copyTail(x, n reg.Register, i int, fill float64, to Mem) {
	to = to.Offset(i * size(g.elem))
	if !g.wide() {
		VMOVUPD(g.loadTail(x, n, i, fill), to)
		return
	}
	if g.is512() {
		v := YMM()
		VMOVUPS(bitsConstant(uint64(math.Float32bits(float32(fill))), 4), v)
		VMOVUPS(g.elemAt(x, i), g.tailMask(n, i), v)
		VMOVUPS(v, to)
		return
	}
	v := XMM()
	mask := g.tailVector(n, i, v)
	VMASKMOVPS(g.elemAt(x, i), mask, v)
	if fill != 0 {
		VANDNPS(bitsConstant(uint64(math.Float32bits(float32(fill))), 4), mask, mask)
		VORPS(mask, v, v)
	}
	VMOVUPS(v, to)
}

// expTerm is an exponential of numbers within ±1000·ln 2, or taken for such: by the table of package
// exp for float64 elements, by pow2 for float32 ones.
type expTerm struct {
	*gen
	c         *expConsts
	pow2      *pow2
	by        Op  // what pow2 multiplies the numbers with
	per       int // elements whose steps are interleaved
	low, high reg.VecVirtual
}

// newExpTerm takes the coefficients of pow2, or nil.
func (g *gen) newExpTerm(coefs []float64) *expTerm {
	t := &expTerm{gen: g, low: g.vec(), high: g.vec(), per: 2 * g.lanes()}
	t.limits()
	if coefs == nil {
		t.c = g.expConstsOf(powers64, g.zero(), t.low)
		return t
	}
	t.pow2, t.by, t.per = g.newPow2(coefs), g.held(math.Log2E), 16
	return t
}

// limits loads the ends of the range.
func (t *expTerm) limits() {
	t.set(t.constant(-expLimit*math.Ln2), t.low)
	t.set(t.constant(expLimit*math.Ln2), t.high)
}

// factor makes the term that of numbers times scale, which is used up.
func (t *expTerm) factor(scale reg.VecVirtual) {
	VDIVPD(scale, t.high, t.high)
	VDIVPD(scale, t.low, t.low)
	t.mul(t.by, scale, scale)
	t.by = scale
}

// exp replaces xs by their exponentials. Those of float64 elements below the range are 0; those of
// float32 elements are as good as 0.
func (t *expTerm) exp(xs []reg.VecVirtual) []reg.VecVirtual {
	for _, x := range xs {
		VMINPD(x, t.high, x) // NaN stays
	}
	if t.pow2 == nil {
		return t.gen.exp(xs, t.c)
	}
	for _, x := range xs {
		VMAXPD(x, t.low, x)
	}
	return t.within(xs)
}

// within is exp for numbers within the range, of float32 elements.
func (t *expTerm) within(xs []reg.VecVirtual) []reg.VecVirtual { return t.pow2.of(xs, t.by) }

// withinWide is exp for a number within the range, with pow2Wide's digits at least.
func (t *expTerm) withinWide(x reg.VecVirtual) reg.VecVirtual {
	xs := []reg.VecVirtual{x}
	if t.pow2 == nil {
		return t.expKept(xs, nil, t.c)[0]
	}
	return t.pow2.with(pow2Wide).of(xs, t.by)[0]
}

// mask returns the lanes where a stands in the relation to b.
func (g *gen) mask(relation int, a reg.VecVirtual, b Op) reg.Register {
	if g.is512() {
		k := K()
		g.compare(relation, a, b, k)
		return k
	}
	m := g.vec()
	g.compare(relation, a, b, m)
	return m
}

// moveTo moves the lanes of a mask.
func (g *gen) moveTo(mask reg.Register, v, dst reg.VecVirtual) {
	if g.is512() {
		VMOVAPD(v, mask, dst)
		return
	}
	VBLENDVPD(mask, v, dst, dst)
}

// above returns a number that is not 0 where one of vs is above limit. NaN counts for nothing.
func (g *gen) above(vs []reg.VecVirtual, limit float64) reg.GPVirtual {
	const above = 14
	bits, most := GP32(), g.vec()
	g.set(g.constant(limit), most)
	for _, v := range vs {
		VMAXPD(most, v, most) // the second of two numbers of which one is NaN
	}
	any := g.mask(above, most, g.constant(limit))
	if g.is512() {
		KMOVB(any, bits)
	} else {
		VMOVMSKPD(any, bits)
	}
	return bits
}
