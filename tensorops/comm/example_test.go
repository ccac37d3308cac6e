package comm_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// Three ranks find the mean of the numbers that they hold, of which rank 2 has none: numerators
// and denominators are added, never means.
func ExampleAllreduce() {
	rows := [][]float64{{1, 2, 3}, {6}, {}}
	err := comm.Run(len(rows), func(c comm.Comm) error {
		sums := []float64{0, 0}
		for _, v := range rows[c.Rank()] {
			sums[0] += v
			sums[1]++
		}
		if err := comm.Allreduce(c, sums, comm.Sum); err != nil {
			return err
		}
		if c.Rank() == 0 {
			fmt.Println(sums[0] / sums[1])
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: 3
}
