// Cases in which a signal does not end its receiver at once: one that is blocked, and one that comes when a tracer goes.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// firstOfTwoSenders lets two killers send SIGTERM to a process that blocks it. When it no longer does, the first one's counts:
// the kernel keeps one pending instance and drops the second.
func firstOfTwoSenders(u *undertaker) error {
	var ready, release [2]int
	for _, pipe := range []*[2]int{&ready, &release} {
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return err
		}
	}
	v := &victim{out: bufio.NewReader(os.NewFile(uintptr(ready[0]), "ready"))}
	v.Exe, v.Args, v.ParentPID, v.Cgroups = u.self, os.Args, os.Getpid(), u.cgroups
	v.markBefore()
	pid, err := forkThatBlocks(unix.SIGTERM, ready[1], release[0])
	if err != nil {
		return err
	}
	v.PID = pid
	u.killAtClose(v)
	if err := v.awaitReady(); err != nil {
		return err
	}
	first, err := u.hire(0)
	if err != nil {
		return err
	}
	second, err := u.hire(0)
	if err != nil {
		return err
	}
	for _, k := range []*killerHandle{first, second} {
		if err := k.order("kill", v.PID, int(unix.SIGTERM)); err != nil {
			return err
		}
	}
	v.markBefore()
	if _, err := unix.Write(release[1], []byte{0}); err != nil {
		return err
	}
	return u.bury(v, &first.actor)
}

var readyLine = []byte("ready\n")

// forkThatBlocks forks a child of one thread that gives the signal its default action, blocks it, says that it is ready, and
// unblocks it when told to. As in forkThatExits: raw system calls and nothing else.
//
//go:norace
func forkThatBlocks(signal syscall.Signal, ready, release int) (int, error) {
	var dfl [4]uint64 // the kernel's struct sigaction, all zero: SIG_DFL
	mask := uint64(1) << (uint(signal) - 1)
	var none uint64
	line := unsafe.Pointer(&readyLine[0])
	const maskBytes = 8
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid != 0 {
		return int(pid), nil
	}
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&dfl)), 0, maskBytes, 0, 0)
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&mask)), 0, maskBytes, 0, 0)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(ready), uintptr(line), uintptr(len(readyLine)))
	syscall.RawSyscall(syscall.SYS_READ, uintptr(release), uintptr(unsafe.Pointer(&none)), 1)
	none = 0
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&none)), 0, maskBytes, 0, 0)
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 1, 0, 0)
	}
}

// tracerExit lets a tracer with PTRACE_O_EXITKILL go: the kernel then kills whom it traced, and nobody sent anything.
func tracerExit(u *undertaker) error {
	v, k, err := u.victimAndKiller("wait")
	if err != nil {
		return err
	}
	if err := k.order("trace", v.PID); err != nil {
		return err
	}
	v.markBefore()
	if err := k.dismiss(); err != nil {
		return err
	}
	return u.bury(v, nil)
}
