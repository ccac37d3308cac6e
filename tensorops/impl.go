package tensorops

// implementation is one set of kernels that this binary contains. available says whether this processor runs it.
type implementation struct {
	name      string
	available bool
	k32       *kernels[float32]
	k64       *kernels[float64]
}

// implementations lists them from slow to fast; the last available one is in use from start-up on.
func implementations() []implementation {
	return append([]implementation{{"generic", true, &generic32, &generic64}}, archImplementations()...)
}

func init() {
	for _, impl := range implementations() {
		if impl.available {
			useImplementation(impl)
		}
	}
}

// useImplementation makes impl the one in use. It must not run beside anything else of this package.
func useImplementation(impl implementation) { active32, active64 = impl.k32, impl.k64 }
