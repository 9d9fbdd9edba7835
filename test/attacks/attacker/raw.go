// Raw processes: children that make a list of system calls and then wait. They start in a fraction of a millisecond, without Go's handlers.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sigsetBytes    = 8
	sigactionBytes = 32
)

// call is one system call. Addresses in its arguments are those of memory that hold returned.
type call struct {
	number uintptr
	args   [6]uintptr
	into   *uintptr // where the result goes, such as an argument of a later call; nil: nowhere
}

// held keeps what calls point to: the garbage collector does not see their arguments.
var held []any

func hold[T any](value *T) uintptr {
	held = append(held, value)
	return uintptr(unsafe.Pointer(value))
}

func text(value string) uintptr {
	bytes := append([]byte(value), 0)
	return hold(&bytes[0])
}

// fork starts a child that makes the calls, then waits. exitSignal is what its parent gets when it ends. The child has one thread and
// must not run Go's scheduler.
//
//go:noinline
//go:norace
//go:nosplit
func fork(exitSignal syscall.Signal, calls []call) int {
	pid, _, failed := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(exitSignal), 0, 0, 0, 0, 0)
	if failed != 0 {
		return -int(failed)
	}
	if pid != 0 {
		return int(pid)
	}
	for i := range calls {
		c := &calls[i]
		result, _, _ := syscall.RawSyscall6(c.number, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		if c.into != nil {
			*c.into = result
		}
	}
	syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&rawLife)), 0, 0)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 3, 0, 0)
	}
}

// rawLife limits the life of a child that no signal terminates.
var rawLife = unix.NsecToTimespec(time.Minute.Nanoseconds())

// victims forks and awaits that many children, one after the other. each is called with the pid of each.
func victims(count int, calls []call, each func(pid int) error) error {
	for range count {
		pid := fork(unix.SIGCHLD, calls)
		if pid < 0 {
			return fmt.Errorf("clone: %w", syscall.Errno(-pid))
		}
		if each != nil {
			if err := each(pid); err != nil {
				return err
			}
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			return fmt.Errorf("wait4: %w", err)
		}
	}
	return nil
}

// defaultAction removes the handler of Go's runtime, which a child inherits.
func defaultAction(signal syscall.Signal) call {
	return call{number: unix.SYS_RT_SIGACTION, args: [6]uintptr{uintptr(signal), hold(&[sigactionBytes]byte{}), 0, sigsetBytes}}
}

func blockOnly(signals ...syscall.Signal) call {
	var set uint64
	for _, signal := range signals {
		set |= 1 << (signal - 1)
	}
	return call{number: unix.SYS_RT_SIGPROCMASK, args: [6]uintptr{unix.SIG_SETMASK, hold(&set), 0, sigsetBytes}}
}
