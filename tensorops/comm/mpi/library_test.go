//go:build (linux && (amd64 || arm64 || riscv64)) || (darwin && (amd64 || arm64))

package mpi

import (
	"slices"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	_, err := open([]string{"libmissing.so.1", "libmissing.so.2"})
	if err == nil {
		t.Fatal("no error for libraries that are not there")
	}
	for _, want := range []string{"install Open MPI or MPICH", "openmpi-bin", "libmissing.so.1", "libmissing.so.2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
}

// TestForeign: a library without MPI's functions is an error that names one.
func TestForeign(t *testing.T) {
	for _, name := range []string{"libc.so.6", "/usr/lib/libSystem.B.dylib"} {
		l, err := load([]string{name})
		if l != nil && (err == nil || !strings.Contains(err.Error(), "MPI_Allreduce")) {
			t.Errorf("%s: %v, want that MPI_Allreduce is missing", name, err)
		}
	}
}

// TestPieces: slices that are longer than the library counts are cut without a gap.
func TestPieces(t *testing.T) {
	defer func(n int) { longest = n }(longest)
	longest = 4
	var got []int
	err := pieces(10, func(at, n int) error {
		got = append(got, at, n)
		return nil
	})
	if want := []int{0, 4, 4, 4, 8, 2}; err != nil || !slices.Equal(got, want) {
		t.Errorf("pieces of 10: %v, %v, want %v", got, err, want)
	}
}
