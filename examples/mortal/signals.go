// Deaths by a signal that somebody sends: the process itself, another one, or the kernel for a reason.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lifeLongestMs ends a process that nobody kills, so that a test which fails leaves nothing behind.
const (
	lifeLongestMs = 60_000
	alarmMs       = 20
)

// sleepLong blocks in the kernel. It is poll(2) and no channel: without its handlers Go's runtime has nothing to wait for.
func sleepLong() error {
	end := time.Now().Add(lifeLongestMs * time.Millisecond)
	for time.Now().Before(end) {
		_, _ = unix.Poll(nil, int(time.Until(end).Milliseconds()))
	}
	return errors.New("nobody killed me")
}

func ready() error {
	_, err := fmt.Println("ready")
	return err
}

func abort([]string) error { return raise([]string{"SIGABRT"}) }

// raise is what raise(3) does: tgkill(2) to the calling thread.
func raise(args []string) error {
	sig := unix.SignalNum(args[0])
	if sig == 0 {
		return fmt.Errorf("no such signal: %q (as in SIGTERM)", args[0])
	}
	if err := defaultActions(); err != nil {
		return err
	}
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), sig); err != nil {
		return err
	}
	return sleepLong()
}

func wait([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	return sleepLong()
}

func waitCaught([]string) error {
	if err := ready(); err != nil {
		return err
	}
	return sleepLong()
}

func exitOnTerm(args []string) error {
	code, err := exitCode(args[0])
	if err != nil {
		return err
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGTERM)
	if err := ready(); err != nil {
		return err
	}
	select {
	case <-caught:
		os.Exit(code)
	case <-time.After(lifeLongestMs * time.Millisecond):
	}
	return errors.New("no SIGTERM came")
}

func ignoreTerm([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGTERM)
	if err := ready(); err != nil {
		return err
	}
	return sleepLong()
}

// brokenPipe writes with write(2) itself: os.File turns EPIPE on descriptors 1 and 2 into a raise.
func brokenPipe([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], 0); err != nil {
		return err
	}
	if err := unix.Close(pipe[0]); err != nil {
		return err
	}
	_, err := unix.Write(pipe[1], []byte("is anybody there?\n"))
	return err
}

func alarm([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	once := unix.Itimerval{Value: unix.NsecToTimeval(alarmMs * 1_000_000)}
	if _, err := unix.Setitimer(unix.ITIMER_REAL, once); err != nil {
		return err
	}
	return sleepLong()
}

// posixTimer asks for the default notification: SIGALRM, with SI_TIMER in its siginfo.
func posixTimer([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	var timer int32
	_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&timer)))
	if errno != 0 {
		return fmt.Errorf("timer_create: %w", errno)
	}
	once := unix.ItimerSpec{Value: unix.NsecToTimespec(alarmMs * 1_000_000)}
	_, _, errno = unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(timer), 0, uintptr(unsafe.Pointer(&once)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("timer_settime: %w", errno)
	}
	return sleepLong()
}
