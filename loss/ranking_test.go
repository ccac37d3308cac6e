package loss_test

import (
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

func init() {
	scores := []float64{0.5, -1, 2, 0.25, 1.5, -0.75, 0, 3, -2, 1.25, 0.75, -0.5}
	relevance := []float64{0, 1, 3, 2, 1, 0, 0, 2, 1, 1, 0, 2}
	lists := []groupInput{{name: "scores", shape: []int{3, 4}, x: scores, masked: everyRow(1)},
		{name: "relevance", shape: []int{3, 4}, x: relevance, data: true, masked: everyRow(1)}}
	row := []groupInput{{name: "scores", shape: []int{12}, x: scores, masked: everyRow(1)},
		{name: "relevance", shape: []int{12}, x: relevance, data: true, masked: everyRow(1)}}
	segments := append(row, groupInput{name: "segments", shape: []int{12}, ints: []int{7, 2, 7, -1, 2, 7, 9, 9, 2, -4, 7, 9},
		with: loss.WithSegments, field: func(d *eager.Data) *eager.Operand { return &d.Segments }})
	for _, name := range []string{"ListNet"} {
		groupProblems = append(groupProblems,
			groupProblem{loss: name, title: "lists", inputs: lists, mask: []int{3, 4}, weights: []int{3}},
			groupProblem{loss: name, title: "one list", inputs: row, mask: []int{12}},
			groupProblem{loss: name, title: "segments", inputs: segments, mask: []int{12}})
	}
}
