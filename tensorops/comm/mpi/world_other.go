//go:build !(linux && (amd64 || arm64 || riscv64)) && !(darwin && (amd64 || arm64))

package mpi

import (
	"fmt"
	"runtime"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

func libraries() []string { return nil }

func open([]string) (comm.Comm, error) {
	return nil, fmt.Errorf("MPI is not supported on %s/%s, only on linux/amd64, linux/arm64, "+
		"linux/riscv64, darwin/amd64 and darwin/arm64", runtime.GOOS, runtime.GOARCH)
}
