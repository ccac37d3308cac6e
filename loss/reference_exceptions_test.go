package loss_test

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
)

// An exception is a set of cases that are not held against the file as they stand.
type exception struct {
	file, cases string // the cases by a regular expression on their names
	why         string
	unsupported bool // a dtype or a derivative that there is not
	refused     error
	want        func(*refCase) (*refCase, error) // the case with the values of this package's convention
	hessian     func(*refCase) *refArray         // where PyTorch's Hessian-vector product alone is another
}

// exceptions is the whole list of what this package does otherwise than PyTorch in the cases of the
// reference files. The values that stand in for PyTorch's are computed from the inputs of the case
// by the rule that is named.
var exceptions = []exception{
	{file: "cross_entropy", cases: `^lowp-`, why: "Gorgonia has neither float16 nor bfloat16", unsupported: true},
	{file: "cross_entropy", cases: `^bad-label-`, why: "label out of range", refused: loss.ErrValue},
	{file: "cross_entropy", cases: `^float-index-target/`, why: "floating labels", refused: loss.ErrShape},
	{file: "cross_entropy", cases: `^shape-mismatch/`, why: "2 labels for 3 rows", refused: loss.ErrShape},
	{file: "cross_entropy", cases: `^ls-out-of-range/`, why: "smoothing of 1.5", refused: loss.ErrOption},
	{file: "cross_entropy", cases: `^empty-batch-`, why: "an empty batch is an error here, PyTorch returns NaN or 0",
		refused: loss.ErrShape},
	{file: "bce_with_logits", cases: `^shape-mismatch/`, why: "(3, 1) against (3)", refused: loss.ErrShape},
	{file: "mse_loss", cases: `^broadcast-Nx1-vs-N `, why: "(3, 1) against (3): PyTorch broadcasts with a warning",
		refused: loss.ErrShape},
	{file: "kl_div", cases: `^hostile-t_negative/`, why: "a negative target is no distribution", refused: loss.ErrValue},

	{file: "cross_entropy", cases: `^5x3-mean-.*-nign5/`, why: "all ignored: 0, not NaN", want: nothing},
	{file: "cross_entropy", cases: `^5x3-mean-.*-w0\.0_0\.0_0\.0-.*-nign[0-4]/`, why: "no weight at all: 0, not NaN",
		want: nothing},
	{file: "nll_loss", cases: `^all-ignored/`, why: "all ignored: 0, not NaN", want: nothing},
	{file: "cross_entropy", cases: `^hostile-(all_neginf|posinf|two_posinf|nan)-ignored-row0/`,
		why: "an ignored row is not read", want: crossEntropyRule},
	{file: "cross_entropy", cases: `^hostile-pm1e308-ignored-row0/float32`, why: "an ignored row is not read",
		want: crossEntropyRule},
	{file: "cross_entropy", cases: `^hostile-neginf_(other|target)-(none|mean)-ls0\.1-`,
		why: "smoothing gives a masked class no mass", want: crossEntropyRule},
	{file: "cross_entropy_prob", cases: `^hostile-(neginf_(other|target)-onehot0/|pm1e308-onehot0/float64)`,
		why: "0·log 0 = 0", want: crossEntropyRule},
	{file: "cross_entropy_prob", cases: `-weighted/`, why: "the mean divides by Σ w·t, not by N", want: divideByWeights},
	{file: "nll_loss", cases: `^zero-weight-neginf/`,
		why: "a label of weight 0 with log-probability -Inf: 0, not NaN", want: nllRule},
	{file: "kl_div", cases: `^hostile-(t_zero|t_zero_q_neginf|t_one)/`,
		why: "0·log 0 = 0 and no gradient for a target of 0", want: klRule},
	{file: "kl_div", cases: `^hostile-t_tiny/float32`, why: "the targets are 0 in float32", want: klRule},
	{file: "kl_div", cases: `^hostile-logt-neginf/`, why: "0·log 0 = 0 and no gradient for a target of 0", want: klRule},
	{file: "kl_div", cases: `^hostile-nan_q(_t0)?/`, why: "a row with NaN is NaN, its gradients too", want: klRule},
	{file: "bce_with_logits", cases: `^inf-logits/`, why: "logits of ±Inf give the limits", want: binaryRule},
	{file: "l1_loss", cases: `^inf-`, why: "the gradient of NaN is NaN, in PyTorch 0", want: absoluteRule},
	{file: "entropy", cases: `^zeros\+uniform/`, why: "no gradient for a probability of 0", want: entropyRule},
	{file: "entropy_from_logits", cases: `^hostile-(neginf_other|neginf_target) `,
		why: "a masked class has gradient 0", want: entropyLogitsRule},
	{file: "entropy_from_logits", cases: `^hostile-(pm3e38 |pm1e308 .*/float64)`,
		why: "three equal logits have entropy log 3 at any size", want: entropyLogitsRule},
	{file: "entropy_from_logits", cases: `^hostile-(plus1e4|all_equal) `,
		why: "PyTorch loses digits: 9e-14 where equal probabilities make 0", want: entropyLogitsRule},
	{file: "logsumexp", cases: `^hostile-(pm3e38/|pm1e308/float64)`,
		why: "PyTorch loses log 3 beside 3e38 and makes the gradient of three equal logits 1, 1, 1", want: logSumExpRule},
	{file: "softplus", cases: `^extreme/float64`, why: "PyTorch returns x above 20", want: softplusRule},
}

var exceptionPatterns = make(map[*exception]*regexp.Regexp)

// exceptionOf returns the exception that a case falls under, if any.
func exceptionOf(file string, c *refCase) *exception {
	for i := range exceptions {
		e := &exceptions[i]
		if exceptionPatterns[e] == nil {
			exceptionPatterns[e] = regexp.MustCompile(e.cases)
		}
		if e.file == file && exceptionPatterns[e].MatchString(c.Name) {
			return e
		}
	}
	return nil
}

// runRefused expects the error of an exception, from building the node or from running it on either
// machine.
func runRefused(e *exception, c *refCase, number int, build adapter) error {
	_, tape := onTape(c, number, build, false)
	if !errors.Is(loss.Cause(tape), e.refused) {
		return fmt.Errorf("tape: error is %v, want one of kind %q: %s", tape, e.refused, e.why)
	}
	forward := *c
	forward.Diff = nil
	if _, lisp := onLisp(&forward, number, build); !errors.Is(loss.Cause(lisp), e.refused) {
		return fmt.Errorf("lisp: error is %v, want one of kind %q: %s", lisp, e.refused, e.why)
	}
	return nil
}

// TestExceptionsAreDisjoint: a case falls under one exception, so that the reason given for it is
// the reason.
func TestExceptionsAreDisjoint(t *testing.T) {
	for name, f := range readReference(t) {
		for _, c := range f.Cases {
			e := exceptionOf(name, c)
			for i := range exceptions {
				other := &exceptions[i]
				if other != e && other.file == name && regexp.MustCompile(other.cases).MatchString(c.Name) {
					t.Errorf("%s: %s falls under %q and %q", name, c.Name, e.why, other.why)
				}
			}
		}
	}
}
