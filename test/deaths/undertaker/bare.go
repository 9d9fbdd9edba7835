// Bare processes: they only make the system calls of a list. Without a C library or a runtime, every thread and its exit is in the list.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is one system call. Addresses in it must point to memory that hold keeps.
type call struct {
	number uintptr
	args   [6]uintptr
	zero   *call // the calls of a child of clone(2), which gets the result 0; nil: continue with the next call
}

// cloneThatCalls is clone(2) with a child that makes the calls in order; one of them must end it. It returns the pid or a negative errno.
//
//go:noescape
func cloneThatCalls(flags uintptr, calls *call) int

const (
	anExitOf1      = 1
	bareProcessMax = 60 * time.Second
	threadFlags    = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
	sigsetBytes    = 8
	sigactionLen   = 32
)

func list(calls ...call) *call { return &calls[0] }

func exitThread(code uintptr) call {
	return call{number: unix.SYS_EXIT, args: [6]uintptr{code}}
}

func exitGroup(code uintptr) call {
	return call{number: unix.SYS_EXIT_GROUP, args: [6]uintptr{code}}
}

// inThread starts a thread that makes these calls.
func inThread(calls ...call) call {
	return call{number: unix.SYS_CLONE, args: [6]uintptr{threadFlags}, zero: list(calls...)}
}

// inChild starts a process that makes these calls; flags of clone(2) may be added.
func inChild(flags uintptr, calls ...call) call {
	return call{number: unix.SYS_CLONE, args: [6]uintptr{flags | uintptr(unix.SIGCHLD)}, zero: list(calls...)}
}

func (u *undertaker) sleep(d time.Duration) call {
	ts := unix.NsecToTimespec(d.Nanoseconds())
	u.held = append(u.held, &ts)
	return call{number: unix.SYS_NANOSLEEP, args: [6]uintptr{uintptr(unsafe.Pointer(&ts))}}
}

// hold keeps the bytes alive and returns their address.
func (u *undertaker) hold(bytes []byte) uintptr {
	u.held = append(u.held, bytes)
	return uintptr(unsafe.Pointer(&bytes[0]))
}

// pointers returns the address of an array of addresses, such as argv. The last one must be 0.
func (u *undertaker) pointers(addresses ...uintptr) uintptr {
	u.held = append(u.held, addresses)
	return uintptr(unsafe.Pointer(&addresses[0]))
}

func execve(path, arguments, environment uintptr) call {
	return call{number: unix.SYS_EXECVE, args: [6]uintptr{path, arguments, environment}}
}

// defaultAction removes the handler of Go's runtime, which the child inherits.
func (u *undertaker) defaultAction(signal syscall.Signal) call {
	zero := u.hold(make([]byte, sigactionLen))
	return call{number: unix.SYS_RT_SIGACTION, args: [6]uintptr{uintptr(signal), zero, 0, sigsetBytes}}
}

// block sets the signal mask to this signal only; 0: to none.
func (u *undertaker) block(signal syscall.Signal) call {
	mask := make([]byte, sigsetBytes)
	if signal != 0 {
		bit := uint(signal) - 1
		mask[bit/8] = 1 << (bit % 8)
	}
	return call{number: unix.SYS_RT_SIGPROCMASK, args: [6]uintptr{unix.SIG_SETMASK, u.hold(mask), 0, sigsetBytes}}
}

// waitLong waits for a signal, and exits if none arrives.
func (u *undertaker) waitLong() []call { return []call{u.sleep(bareProcessMax), exitGroup(anExitOf1)} }

// forkedVictim is a victim that is a fork of the undertaker.
func (u *undertaker) forkedVictim() *victim {
	v := &victim{}
	v.Exe, v.Args, v.ParentPID, v.Cgroups = u.self, os.Args, os.Getpid(), u.cgroups
	v.markBefore()
	return v
}

// bare starts a process that makes these calls; flags of clone(2) may be added.
func (u *undertaker) bare(flags uintptr, calls ...call) (*victim, error) {
	v := u.forkedVictim()
	pid := cloneThatCalls(flags|uintptr(unix.SIGCHLD), list(calls...))
	runtime.KeepAlive(u.held)
	if pid < 0 {
		return nil, syscall.Errno(-pid)
	}
	v.PID = pid
	u.killAtClose(v)
	return v, nil
}

// byBareProcess is a case of one bare process that terminates by itself.
func byBareProcess(calls func(u *undertaker) []call) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.bare(0, calls(u)...)
		if err != nil {
			return err
		}
		return u.reap(v, nil)
	}
}
