package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

func binaryKernel(*core.Settings, core.Dims) core.Kernels       { return core.Kernels{} }
func sigmoidFocalKernel(*core.Settings, core.Dims) core.Kernels { return core.Kernels{} }
func softMarginKernel(*core.Settings, core.Dims) core.Kernels   { return core.Kernels{} }
func bernoulliKernel(*core.Settings, core.Dims) core.Kernels    { return core.Kernels{} }
func klKernel(*core.Settings, core.Dims) core.Kernels           { return core.Kernels{} }
func poissonKernel(*core.Settings, core.Dims) core.Kernels      { return core.Kernels{} }
func gammaKernel(*core.Settings, core.Dims) core.Kernels        { return core.Kernels{} }
func crossEntropyKernel(*core.Settings, core.Dims) core.Kernels { return core.Kernels{} }
func logSumExpKernel(*core.Settings, core.Dims) core.Kernels    { return core.Kernels{} }
func softmaxKernel(*core.Settings, core.Dims) core.Kernels      { return core.Kernels{} }
func logSoftmaxKernel(*core.Settings, core.Dims) core.Kernels   { return core.Kernels{} }
func entropyKernel(*core.Settings, core.Dims) core.Kernels      { return core.Kernels{} }
func mseKernel(*core.Settings, core.Dims) core.Kernels          { return core.Kernels{} }
func halfSquaredKernel(*core.Settings, core.Dims) core.Kernels  { return core.Kernels{} }
func maeKernel(*core.Settings, core.Dims) core.Kernels          { return core.Kernels{} }
func huberKernel(*core.Settings, core.Dims) core.Kernels        { return core.Kernels{} }
func smoothL1Kernel(*core.Settings, core.Dims) core.Kernels     { return core.Kernels{} }
func logCoshKernel(*core.Settings, core.Dims) core.Kernels      { return core.Kernels{} }
func pseudoHuberKernel(*core.Settings, core.Dims) core.Kernels  { return core.Kernels{} }
func cauchyKernel(*core.Settings, core.Dims) core.Kernels       { return core.Kernels{} }
