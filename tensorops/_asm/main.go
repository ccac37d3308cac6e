// Command _asm writes the assembly of tensorops, vec and optim: all of it, or the outputs that are
// named.
//
//	go run . [output]...
//
// Every kernel exists for AVX2 with FMA and for AVX-512, from the same description, and gives the
// same bits on both.
package main

import (
	"flag"
	"log"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"

	. "github.com/mmcloughlin/avo/build"
)

// An output is the assembly of one package, or a part of it, with the Go declarations.
type output struct {
	name       string
	asm, stubs string // files
	pkg        string
	emit       func(isa string) // emits the kernels for AVX2 or AVX512
	once       func()           // emits what exists once; may be nil
}

var outputs = []output{
	{"rows", "../kernels_amd64.s", "../stubs_amd64.go", "tensorops", rowKernels, fence},
	{"vec", "../vec/kernel_amd64.s", "../vec/kernel_amd64.go", "vec", functionKernels, nil},
	{"weights", "../vec/weights_amd64.s", "../vec/weights_stubs_amd64.go", "vec", weightKernels, nil},
	{"optim", "../../train/optim/kernel_amd64.s", "../../train/optim/kernel_amd64.go", "optim", updateKernels, nil},
	{"point", "../point_amd64.s", "../point_stubs_amd64.go", "tensorops", pointKernels, nil},
	{"softmax", "../softmax_amd64.s", "../softmax_stubs_amd64.go", "tensorops", softmaxKernels, nil},
	{"pixels", "../pixels_amd64.s", "../pixels_stubs_amd64.go", "tensorops", pixelKernels, nil},
	{"vectors", "../vectors_amd64.s", "../vectors_stubs_amd64.go", "tensorops", vectorsAndLists, nil},
	{"mat", "../mat/kernels_amd64.s", "../mat/stubs_amd64.go", "mat", matrixKernels, transpositions},
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	if flag.NArg() == 1 {
		for _, o := range outputs {
			if o.name == flag.Arg(0) {
				o.write()
				return
			}
		}
		log.Fatalf("no output %s", flag.Arg(0))
	}
	names := flag.Args()
	if len(names) == 0 {
		for _, o := range outputs {
			names = append(names, o.name)
		}
	}
	if err := writeEach(names); err != nil {
		log.Fatal(err)
	}
}

// write writes the files of o. avo can do that once in a process.
func (o output) write() {
	for name, value := range map[string]string{"out": o.asm, "stubs": o.stubs, "pkg": o.pkg} {
		if err := flag.Set(name, value); err != nil {
			log.Fatal(err)
		}
	}
	ConstraintExpr("amd64,!purego")
	for _, isa := range []string{"AVX2", "AVX512"} {
		o.emit(isa)
	}
	if o.once != nil {
		o.once()
	}
	Generate()
	o.check()
}

// highRegister is a register that AVX2 lacks; avo allots it without a word.
var highRegister = regexp.MustCompile(`\b[XY](1[6-9]|2[0-9]|3[01])\b|\bZ[0-9]`)

// check ends the program where a kernel for AVX2 has a register that only AVX-512 has.
func (o output) check() {
	text, err := os.ReadFile(o.asm)
	if err != nil {
		log.Fatal(err)
	}
	kernel := ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "TEXT") {
			kernel, _, _ = strings.Cut(line, "(")
		}
		if strings.HasSuffix(kernel, "AVX2") && highRegister.MatchString(line) {
			log.Fatalf("%s: not a register of AVX2:%s", kernel, line)
		}
	}
}

// writeEach runs this program once for each name, and returns the first error.
func writeEach(names []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			cmd := exec.Command(self, name)
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			errs[i] = cmd.Run()
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rowKernels emits the kernels of rows: sums, maps and the search. Elements are taken in groups of
// four AVX-512 registers, or eight AVX2 ones (twice that in sums of float32 exponentials), and
// element i of a group adds to lane i mod 16 (float64: 8) on both, in the same order: that makes
// the sums of the two equal to the bit.
func rowKernels(isa string) {
	for _, elem := range []string{"F32", "F64"} {
		g := newGen(isa, elem, elem)
		g.expSum(sumKind{name: "expSum"})
		if elem == "F32" {
			g.expSum(sumKind{name: "expSumLong", long: true})
		} else {
			g.expSum(sumKind{name: "expSumStore", store: true})
		}
		g.scale()
		g.expScale()
		g.expScaleAdd()
		g.shift()
		g.mulShift()
		g.targetSum()
		g.scaleAdd()
		g.gapSum()
		g.xlogx()
		g.logGap()
		g.expGap()
		g.expScaleGap()
		g.index()
	}
	newGen(isa, "F32", "F64").expSum(sumKind{name: "expSumWide"})
}

// pointKernels emits the elementwise losses.
func pointKernels(isa string) {
	for _, elem := range []string{"F32", "F64"} {
		for _, l := range pointLosses {
			if elem == "F32" || l.kind != in64Only {
				newGen(isa, elem, elem).point(l)
			}
		}
	}
}

// weightKernels emits what package vec does with weights.
func weightKernels(isa string) {
	for _, elem := range []string{"F32", "F64"} {
		g := newGen(isa, elem, elem)
		g.maskWeights()
		g.sumWeights()
		g.multiply()
		if elem == "F64" {
			g.divide()
		}
	}
}
