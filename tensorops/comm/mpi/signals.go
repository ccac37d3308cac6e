//go:build (linux && (amd64 || arm64 || riscv64)) || (darwin && (amd64 || arm64))

package mpi

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// faults are the signals by which the processor reports faults, of which Go makes panics. Libraries
// below MPI, UCX for one, print a backtrace and end the process instead.
var faults = [...]syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP,
	syscall.SIGABRT}

// handlers are what the C library says of the present handlers of faults: larger than a struct
// sigaction of any platform.
type handlers [len(faults)][512]byte

// takeHandlers reads the present handlers, to be put back by restore.
func takeHandlers() (*handlers, error) {
	h := new(handlers)
	return h, h.each(func(sigaction uintptr, signal syscall.Signal, room uintptr) uintptr {
		code, _, _ := purego.SyscallN(sigaction, uintptr(signal), 0, room)
		return code
	})
}

func (h *handlers) restore() error {
	return h.each(func(sigaction uintptr, signal syscall.Signal, room uintptr) uintptr {
		code, _, _ := purego.SyscallN(sigaction, uintptr(signal), room, 0)
		return code
	})
}

func (h *handlers) each(f func(sigaction uintptr, signal syscall.Signal, room uintptr) uintptr) error {
	sigaction, err := purego.Dlsym(purego.RTLD_DEFAULT, "sigaction")
	if err != nil {
		return err
	}
	for i, s := range faults {
		if int32(f(sigaction, s, uintptr(unsafe.Pointer(&h[i])))) != 0 {
			return fmt.Errorf("the handler of signal %v can not be changed", s)
		}
	}
	return nil
}
