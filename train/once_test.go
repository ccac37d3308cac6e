package train

import (
	"testing"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
)

// counted counts how often each example is read.
type counted struct {
	data.Dataset
	reads []int
}

func (c *counted) Read(rows []int, x, y data.Column) error {
	for _, r := range rows {
		c.reads[r]++
	}
	return c.Dataset.Read(rows, x, y)
}

// TestNothingIsReadTwice: an epoch reads every example once, whether ahead or not, and validation
// reads its own once.
func TestNothingIsReadTwice(t *testing.T) {
	const epochs, rows, held = 3, 50, 17
	for _, ahead := range []int{0, 1, 4} {
		train := &counted{blobs(t, rows, 1), make([]int, rows)}
		val := &counted{blobs(t, held, 2), make([]int, held)}
		mustFit(t, linear3, train, Config{Epochs: epochs, BatchSize: 8, Optimizer: optim.SGD(0.1), Validation: val, Prefetch: ahead})
		for name, c := range map[string]*counted{"training": train, "validation": val} {
			for i, n := range c.reads {
				if n != epochs {
					t.Errorf("prefetch %d: %s row %d was read %d times in %d epochs", ahead, name, i, n, epochs)
				}
			}
		}
	}
}
