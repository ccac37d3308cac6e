//go:build !amd64 || purego

package mat

import "github.com/surprisal-go/surprisal/tensorops/vec"

// The kernels by level.
var (
	kernels32 = [vec.Levels]*kernels[float32]{&generic32}
	kernels64 = [vec.Levels]*kernels[float64]{&generic64}
)
