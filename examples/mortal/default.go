// Restores the kernel's default actions in place of Go's signal handlers.
//
// signal.Reset is not enough: it stops the delivery to channels, but the runtime's own handler stays. Only rt_sigaction(2)
// removes it; then SIGSEGV has the same effect as in a C program.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct, not libc's: the same on amd64 and arm64. All zero: SIG_DFL, no flags, empty mask.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	signalsMax = 64
	maskBytes  = 8
)

func setAction(sig syscall.Signal, action *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(action)), 0, maskBytes, 0, 0)
	if errno != 0 {
		return fmt.Errorf("rt_sigaction(%d): %w", sig, errno)
	}
	return nil
}

// defaultActions gives every signal its default action, for the whole process, as in the shell's `sleep`.
func defaultActions() error {
	for sig := syscall.Signal(1); sig <= signalsMax; sig++ {
		if sig == syscall.SIGKILL || sig == syscall.SIGSTOP || sig == keepsHandler {
			continue
		}
		if err := setAction(sig, &sigaction{}); err != nil {
			return err
		}
	}
	return nil
}
