// Signals from the process itself, from another process, and from the kernel.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lifeLongestMs limits the wait for a signal, so that a failed test leaves no process behind.
const (
	lifeLongestMs = 60_000
)

// sleepLong blocks in poll(2). Not on a channel: without signal handlers, Go's runtime would report a deadlock.
func sleepLong() error {
	end := time.Now().Add(lifeLongestMs * time.Millisecond)
	for time.Now().Before(end) {
		_, _ = unix.Poll(nil, int(time.Until(end).Milliseconds()))
	}
	return errors.New("no signal arrived")
}

func ready() error {
	_, err := fmt.Println("ready")
	return err
}

func signalNamed(name string) (syscall.Signal, error) {
	sig := unix.SignalNum(name)
	if sig == 0 {
		return 0, fmt.Errorf("no such signal: %q (as in SIGTERM)", name)
	}
	return sig, nil
}

func abort([]string) error { return raise([]string{"SIGABRT"}) }

// raise does what raise(3) does: tgkill(2) to the calling thread.
func raise(args []string) error {
	sig, err := signalNamed(args[0])
	if err != nil {
		return err
	}
	if err := defaultActions(); err != nil {
		return err
	}
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), sig); err != nil {
		return err
	}
	return sleepLong()
}

// raiseInThread sends the signal to the first thread from another one.
func raiseInThread(args []string) error {
	sig, err := signalNamed(args[0])
	if err != nil {
		return err
	}
	if err := defaultActions(); err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		_ = unix.Tgkill(unix.Getpid(), unix.Getpid(), sig)
	}()
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

func waitWithThreads(args []string) error {
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("threads %q: a number is needed", args[0])
	}
	if err := defaultActions(); err != nil {
		return err
	}
	var started sync.WaitGroup
	started.Add(count)
	for range count {
		go func() {
			runtime.LockOSThread()
			started.Done()
			_ = sleepLong()
		}()
	}
	started.Wait()
	return wait(nil)
}

func waitCaught([]string) error {
	if err := ready(); err != nil {
		return err
	}
	return sleepLong()
}

func exitOn(args []string) error {
	sig, err := signalNamed(args[0])
	if err != nil {
		return err
	}
	code, err := exitCode(args[1])
	if err != nil {
		return err
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, sig)
	if err := ready(); err != nil {
		return err
	}
	select {
	case <-caught:
		os.Exit(code)
	case <-time.After(lifeLongestMs * time.Millisecond):
	}
	return fmt.Errorf("no %s arrived", args[0])
}

// catchThen handles the first signal and continues with the next way.
func catchThen(args []string) error {
	sig, err := signalNamed(args[0])
	if err != nil {
		return err
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, sig)
	if err := ready(); err != nil {
		return err
	}
	<-caught
	signal.Stop(caught)
	return run(args[1:])
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

// brokenPipe calls write(2) directly: os.File raises SIGPIPE itself on EPIPE for descriptors 1 and 2.
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
	_, err := unix.Write(pipe[1], []byte("hello?\n"))
	return err
}

// brokenSocket is the same with a socket.
func brokenSocket([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Close(pair[0]); err != nil {
		return err
	}
	return unix.Sendto(pair[1], []byte("hello?\n"), 0, nil)
}

// brokenPipeBlocked unblocks SIGPIPE after the write.
func brokenPipeBlocked([]string) error {
	var mask, none unix.Sigset_t
	mask.Val[0] = 1 << (unix.SIGPIPE - 1)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil); err != nil {
		return err
	}
	if err := brokenPipe(nil); !errors.Is(err, unix.EPIPE) {
		return err
	}
	return unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
}
