// Exits: of the whole process, of one thread after another, and after an exec by a thread that is not the first.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// leaderGoneAfter is how long the other thread waits until the first one has exited.
const leaderGoneAfter = 20 * time.Millisecond

func exitCode(text string) (int, error) {
	code, err := strconv.Atoi(text)
	if err != nil || code < 0 || code > 255 {
		return 0, fmt.Errorf("exit code %q: a number from 0 to 255 is needed", text)
	}
	return code, nil
}

func exit(args []string) error {
	code, err := exitCode(args[0])
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

func exitInThread(args []string) error {
	code, err := exitCode(args[0])
	if err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			panic("this is the first thread")
		}
		unix.Exit(code) // exit_group(2)
	}()
	return sleepLong()
}

func leaderFirst(args []string) error {
	first, err := exitCode(args[0])
	if err != nil {
		return err
	}
	last, err := exitCode(args[1])
	if err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		time.Sleep(leaderGoneAfter)
		unix.Exit(last)
	}()
	return exitThread(first)
}

// leaderGone leaves the first thread as a zombie: its /proc no longer has executable or arguments.
func leaderGone([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		time.Sleep(leaderGoneAfter)
		_ = ready()
		_ = sleepLong()
		unix.Exit(1)
	}()
	return exitThread(0)
}

// exitThread is exit(2), of this thread only. Syscall, not RawSyscall: the runtime must know that it no longer runs Go.
func exitThread(code int) error {
	_, _, errno := syscall.Syscall(syscall.SYS_EXIT, uintptr(code), 0, 0)
	return errno
}

func execInThread(way []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		failed <- syscall.Exec(self, append([]string{"mortal"}, way...), os.Environ())
	}()
	return <-failed
}
