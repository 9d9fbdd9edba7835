// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// floodSignals: what this process sends to each child. A child takes SIGTERM by sigtimedwait(2), and exits with code 0.
var floodSignals = map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGTERM}

// flood makes children terminate, one after the other, until its input is closed: they exit with the code, or this process sends them a
// signal. It counts what wait4(2) returned, and prints that number.
func flood(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("flood takes a code, kill or stop")
	}
	signal, signals := floodSignals[args[0]]
	code, err := strconv.Atoi(args[0])
	if err != nil && !signals {
		return err
	}
	if signal == syscall.SIGTERM {
		runtime.LockOSThread()
		sigterm.Val[0] = 1 << (syscall.SIGTERM - 1)
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &sigterm, nil); err != nil {
			return err
		}
	}
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	fmt.Println("ready")
	for count := 0; ; count++ {
		select {
		case <-ended:
			fmt.Println(count)
			return nil
		default:
		}
		if err := terminate(code, signal); err != nil {
			return err
		}
	}
}

// sigterm will be a set with SIGTERM alone.
var sigterm unix.Sigset_t

// terminate forks a child, which only makes system calls, and waits until it has terminated as asked. signal 0: it exits with the code.
func terminate(code int, signal syscall.Signal) error {
	const waits, setBytes = unix.SYS_RT_SIGTIMEDWAIT, 8
	set := uintptr(unsafe.Pointer(&sigterm))
	child, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if child == 0 {
		for {
			if signal == syscall.SIGKILL {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
				continue
			}
			if signal == syscall.SIGTERM {
				syscall.RawSyscall6(waits, set, 0, 0, setBytes, 0, 0)
			}
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0)
		}
	}
	if errno != 0 {
		return errno
	}
	if signal != 0 {
		if err := syscall.Kill(int(child), signal); err != nil {
			return err
		}
	}
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(int(child), &status, 0, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return err
		case signal == syscall.SIGKILL && status.Signal() != signal || signal != syscall.SIGKILL && status.ExitStatus() != code:
			return fmt.Errorf("a child has the status %#x", uint32(status))
		}
		return nil
	}
}
