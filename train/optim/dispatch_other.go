//go:build !amd64 || purego

package optim

// The functions below are never called where Generic is the only level.

func updateVector[F float32 | float64](f formula, c *[constants]F, p, g, a, b []F) {
	updateGeneric(f, c, p, g, a, b)
}

func squaresVector[F float32 | float64](sums *[lanes]float64, x []F) { squaresGeneric(sums, x) }
func scaleVector[F float32 | float64](x []F, f F)                    { scaleGeneric(x, f) }
func clampVector[F float32 | float64](x []F, f F)                    { clampGeneric(x, f) }
func accumulateVector[F float32 | float64](dst, src []F)             { accumulateGeneric(dst, src) }
