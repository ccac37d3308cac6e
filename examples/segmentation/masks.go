package main

import (
	"context"

	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
)

// masks are what a model finds in scenes: by how much the logit of the digit exceeds that of the
// background, and the truth, pixel by pixel.
type masks struct {
	scenes  *data.Table
	margins []float64
	truth   []int
}

func find(ctx context.Context, net *train.Net, scenes *data.Table) (m masks, err error) {
	out, err := net.Predict(ctx, scenes)
	if err != nil {
		return m, err
	}
	m.scenes = scenes
	for logits := out.Data().([]float32); len(logits) > 0; logits = logits[2:] {
		m.margins = append(m.margins, float64(logits[1]-logits[0]))
	}
	for i := range scenes.Len() {
		m.truth = append(m.truth, scenes.Target(i).Int...)
	}
	return m, nil
}

// iou is the intersection over the union of the digits and of the pixels above a threshold.
func (m masks) iou(threshold float64) float64 {
	var both, either float64
	for i, margin := range m.margins {
		found, there := margin > threshold, m.truth[i] == 1
		if found && there {
			both++
		}
		if found || there {
			either++
		}
	}
	return both / either
}

// threshold is the one with the best overlap, in steps of a tenth.
func (m masks) threshold() (best float64) {
	for t := -4.0; t <= 4; t += .1 {
		if m.iou(t) > m.iou(best) {
			best = t
		}
	}
	return best
}
