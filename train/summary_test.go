package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

func ExampleSummarize() {
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("hidden", x, 256)
		if err != nil {
			return nil, err
		}
		if h, err = b.BatchNorm("norm", G.Must(G.Rectify(h))); err != nil {
			return nil, err
		}
		return b.Dense("out", h, 10)
	}
	s, err := Summarize(model, data.Spec{Input: data.Field{Kind: data.Float, Shape: []int{784}}, Target: data.Field{Kind: data.Int}})
	if err != nil {
		panic(err)
	}
	fmt.Print(s)
	// Output:
	// input      input              [784]       784
	// parameter  hidden.weight      [784, 256]  200704
	// parameter  hidden.bias        [256]       256
	// state      norm.running_mean  [256]       256
	// state      norm.running_var   [256]       256
	// parameter  norm.weight        [256]       256
	// parameter  norm.bias          [256]       256
	// parameter  out.weight         [256, 10]   2560
	// parameter  out.bias           [10]        10
	// output     output             [10]        10
	// 204554 numbers of float32 in 8 parameters
}

// TestSummary: the summary of a trained model is that of its function, and faults are errors.
func TestSummary(t *testing.T) {
	ds := blobs(t, 9, 1)
	res := mustFit(t, normed, ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1)})
	before, err := Summarize(normed, ds.Spec())
	if err != nil {
		t.Fatal(err)
	}
	after, err := res.Summary()
	if err != nil || after.String() != before.String() || after.Size != res.Size() {
		t.Errorf("after training\n%vwant\n%v(%v)", after, before, err)
	}
	named, err := SummarizeNamed(gardener, garden(t, 4, 1).Fields())
	if err != nil || len(named.Inputs) != 4 || len(named.Outputs) != 5 {
		t.Errorf("a network has\n%v(%v)", named, err)
	}
	if _, err := Summarize(nil, ds.Spec()); err == nil || !strings.HasPrefix(err.Error(), "train.Summarize: ") {
		t.Errorf("a nil model: %v", err)
	}
	if _, err := SummarizeNamed(gardener, data.Fields{}); err == nil {
		t.Error("no error for fields without an input")
	}
	if _, err := new(Net).Summary(); err == nil {
		t.Error("no error for an empty Net")
	}
}

// TestHistograms: each parameter and each gradient has a histogram after the epochs that are due,
// and the last.
func TestHistograms(t *testing.T) {
	dir := t.TempDir()
	mustFit(t, normed, blobs(t, 60, 8), Config{Epochs: 5, BatchSize: 8, Optimizer: optim.SGD(0.1), Callbacks: []Callback{NewHistograms(dir, 2)}})
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]int{"parameters/": 3 * 6, "gradients/": 3 * 4} { // two of the six are averages
		if got := strings.Count(string(text), tag); got != want {
			t.Errorf("%d histograms of %s, want %d", got, tag, want)
		}
	}
}
