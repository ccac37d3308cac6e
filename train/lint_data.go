package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// holds returns what the numbers of a node are by the operation that made them, "" where that is
// not known.
func holds(n *G.Node) string {
	for n.Op() != nil && strings.HasPrefix(fmt.Sprint(n.Op()), "Reshape(") {
		in := loss.Operands(n)(n)
		if len(in) != 1 {
			return ""
		}
		n = in[0]
	}
	if n.Op() == nil {
		return ""
	}
	switch name := fmt.Sprint(n.Op()); {
	case name == "loss.Softmax", name == "sigmoid", strings.HasPrefix(name, "Softmax{"):
		return "probabilities"
	case name == "loss.LogSoftmax", name == "loss.LogSigmoid", strings.HasPrefix(name, "LogSoftmax{"):
		return "log-probabilities"
	case name == "ln":
		if in := loss.Operands(n)(n); len(in) == 1 && holds(in[0]) == "probabilities" {
			return "log-probabilities"
		}
	case strings.HasPrefix(name, "train.affine["), strings.HasPrefix(name, "train.product["):
		return "logits"
	}
	return ""
}

// lossOf returns what is known of the loss that a node is.
func lossOf(n *G.Node) (loss.Info, bool) {
	if n.Op() == nil {
		return loss.Info{}, false
	}
	name, ok := strings.CutPrefix(fmt.Sprint(n.Op()), "loss.")
	if !ok {
		return loss.Info{}, false
	}
	info, ok := loss.Describe(name)
	return info, ok && !info.Node
}

// lintOperand looks at what a loss is given.
func lintOperand(n *G.Node, operands G.Nodes) []Finding {
	info, ok := lossOf(n)
	if !ok || len(operands) < 2 || info.Product {
		return nil
	}
	pred := operands[0]
	got := holds(pred)
	say := func(format string, args ...any) []Finding {
		return []Finding{{"loss." + info.Name, fmt.Sprintf(format, args...)}}
	}
	switch {
	case info.Pred == loss.Logits && got == "probabilities":
		return say("it takes logits and applies the softmax or sigmoid itself, and is given the probabilities of %v: give it the logits", pred.Op())
	case info.Pred == loss.Logits && got == "log-probabilities":
		return say("it takes logits and applies the softmax or sigmoid itself, which %v has done already: give it the logits, or use NLL", pred.Op())
	case info.Pred == loss.LogProbabilities && (got == "probabilities" || got == "logits"):
		return say("it takes log-probabilities and is given %s: use LogSoftmax before it, or CrossEntropy on logits", got)
	case info.Pred == loss.Probabilities && (got == "log-probabilities" || got == "logits"):
		return say("it takes probabilities and is given %s: use Softmax before it, or the form of the loss on logits", got)
	case info.Family == "Multi-class" && !info.Elementwise && pred.Dims() == 2 && pred.Shape()[1] == 1:
		return say("there is one score for each row, and a softmax over one class is always 1: BinaryCrossEntropy takes one score")
	}
	return nil
}

// watchedRows is the number of rows after which their labels say enough.
const watchedRows = 1024

// watched is what early batches show of labels and of the first loss.
type watched struct {
	terms []watchedTerm
	rows  int
	found []Finding
}

// watchedTerm is a term with labels of classes.
type watchedTerm struct {
	index   int // among the program's
	target  string
	classes int
	seen    []bool // by label, up to classes
}

// newWatched returns what is to be watched: terms that compare logits or log-probabilities of
// classes on the last axis with labels.
func newWatched(pr *program, fields data.Fields) *watched {
	w := &watched{}
	for i, t := range pr.terms {
		f, ok := fields.Targets[t.Target]
		info, known := lossOf(t.node)
		if !ok || f.Kind != data.Int || !known || info.Family != "Multi-class" || t.Loss == nil || pr.out[t.Output].Dims() != 2 {
			continue
		}
		classes := pr.out[t.Output].Shape()[1]
		if classes > 1 {
			w.terms = append(w.terms, watchedTerm{index: i, target: t.Target, classes: classes, seen: make([]bool, classes+1)})
		}
	}
	if len(w.terms) == 0 {
		return nil
	}
	return w
}

// see looks at a batch that the graph has run on.
func (w *watched) see(pr *program, b *data.Batch) {
	if w == nil {
		return
	}
	for i := range w.terms {
		t := &w.terms[i]
		term := pr.terms[t.index]
		if w.rows == 0 && term.divisor.Len() > 0 {
			w.first(term, t.classes, pr.summing)
		}
		for _, label := range b.Out[t.target].Slice(0, len(b.Rows)).Int {
			if label >= 0 && label <= t.classes {
				t.seen[label] = true
			}
		}
	}
	w.rows += len(b.Rows)
}

// first compares the first loss of a term with that of a model that knows nothing.
func (w *watched) first(t *costTerm, classes int, summing bool) {
	v, blind := first(t.cost), math.Log(float64(classes))
	if summing {
		v /= first(t.divisor)
	}
	name := fmt.Sprint(t.node.Op())
	// A model that begins with small weights is within a few per cent of log C.
	if (name == "loss.CrossEntropy" || name == "loss.NLL") && v > 2*blind+1 {
		w.found = append(w.found, Finding{name, fmt.Sprintf("the first loss is %s, and a model that knows nothing has log %d = %s: "+
			"inputs or initial weights are too large; Config.Scaling scales inputs", short(v), classes, short(blind))})
	}
}

// findings returns what is suspicious, once enough was seen or the epoch is at its end, and each
// finding once.
func (w *watched) findings(last bool) []Finding {
	if w == nil {
		return nil
	}
	found := w.found
	w.found = nil
	if w.rows < watchedRows && !last {
		return found
	}
	for _, t := range w.terms {
		most := slices.Index(t.seen[1:], false) // the labels 1 to most were all seen
		if most < 0 {
			most = t.classes
		}
		if !t.seen[0] && most >= t.classes-1 && most > 1 {
			found = append(found, Finding{data.Label(data.TargetName, t.target), fmt.Sprintf("the labels of %d rows are 1 to %d and never 0, "+
				"and the model has %d classes, from 0: subtract 1, unless a class has no examples", w.rows, most, t.classes)})
		}
	}
	w.terms = nil
	return found
}

// warn tells the callbacks of findings.
func (r *run) warn(ctx context.Context, found []Finding) error {
	for _, f := range found {
		if err := r.emit(ctx, Event{Kind: Warning, Finding: f}); err != nil {
			return err
		}
	}
	return nil
}

// LintData is [Lint] with the numbers of a dataset. It runs the untrained model once on the first
// rows, at most 256 of them, and also reports
//
//	a dead layer, whose outputs are 0 for all rows
//	labels that begin with 1 instead of 0
//	a first loss far above log C, the loss of an uninformed model over C classes
func LintData(model Model, lossFn loss.Func, ds data.Dataset) ([]Finding, error) {
	r, err := records("dataset", ds)
	if err != nil {
		return nil, fmt.Errorf("train.LintData: %w", err)
	}
	return lintData("LintData", model.network(), objectiveOf(lossFn), r)
}

// LintDataNamed is [LintData] for a network, its objective and records.
func LintDataNamed(model Network, objective Objective, ds data.Records) ([]Finding, error) {
	return lintData("LintDataNamed", model, objective, ds)
}

func lintData(name string, model Network, objective Objective, ds data.Records) (found []Finding, err error) {
	defer func() {
		if err != nil {
			found, err = nil, fmt.Errorf("train.%s: %w", name, err)
		}
	}()
	if err := checkData("dataset", ds); err != nil {
		return nil, err
	}
	cfg, err := StepConfig{Model: model, Objective: objective, Fields: ds.Fields(),
		BatchSize: min(ds.Len(), predictBatch), Optimizer: optim.SGD(1)}.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := newStep("", newParamSet(tensor.Float64, 0), cfg, false, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	found = s.graph.lint()
	b := s.NewBatch()
	rows := make([]int, cfg.BatchSize)
	for i := range rows {
		rows[i] = i
	}
	if err := fillBatch(b, ds, rows); err != nil {
		return nil, err
	}
	w := newWatched(s.graph, cfg.Fields)
	if _, _, err := s.forward(context.Background(), b, nil, 0, func(float64) error { return nil }); err != nil {
		var bad *NonFiniteError
		if !errors.As(err, &bad) {
			return nil, err
		}
		found = append(found, Finding{bad.Node, "the first loss is not finite"})
	}
	w.see(s.graph, b)
	found = append(found, w.findings(true)...)
	dead, above := make(map[*G.Node]bool), make(map[*G.Node]bool)
	err = s.inspect(b, nil, 0, func(n *G.Node, operands G.Nodes, v data.Column) {
		above[n] = slices.ContainsFunc(operands, func(o *G.Node) bool { return dead[o] || above[o] })
		if above[n] || !activation(n) || slices.ContainsFunc(v.F64, func(x float64) bool { return x != 0 }) {
			return
		}
		dead[n] = true
		found = append(found, Finding{fmt.Sprint(n.Op()), fmt.Sprintf("its results of shape %v are all 0: a dead layer, which does not learn", n.Shape())})
	})
	return found, err
}

// activation reports whether a node may be the result of an activation. Products and lookups may be
// 0 because their weights begin so, and comparisons are part of one.
func activation(n *G.Node) bool {
	if n.Op() == nil || n.Dims() < 2 {
		return false
	}
	name := fmt.Sprint(n.Op())
	for _, other := range []string{"train.", "loss.", ">", "<", "A × B", "Reshape(", "Broadcast"} {
		if strings.HasPrefix(name, other) {
			return false
		}
	}
	return true
}
