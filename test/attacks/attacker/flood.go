// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
)

// flood makes children terminate, one after the other, until its input is closed: they exit with the code, or are killed by this process if
// that is `kill`. It counts what wait4(2) returned, and prints that number.
func flood(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("flood takes a code, or kill")
	}
	code, err := strconv.Atoi(args[0])
	if kill := args[0] == "kill"; err != nil && !kill {
		return err
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
		if err := terminate(code, args[0] == "kill"); err != nil {
			return err
		}
	}
}

// terminate forks a child, which only makes system calls, and waits until it has terminated as asked.
func terminate(code int, kill bool) error {
	child, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if child == 0 {
		for {
			if kill {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			} else {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0)
			}
		}
	}
	if errno != 0 {
		return errno
	}
	if kill {
		if err := syscall.Kill(int(child), syscall.SIGKILL); err != nil {
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
		case kill && status.Signal() != syscall.SIGKILL || !kill && status.ExitStatus() != code:
			return fmt.Errorf("a child has the status %#x", uint32(status))
		}
		return nil
	}
}
