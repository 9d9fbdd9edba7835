// Command reaper starts processes that terminate at a given rate, and writes the ledger: one line for each termination, after wait4(2)
// returned it. The chaos tests compare the records of whodunit with this file.
//
//	reaper [--rate N] [--count N] [--refused-every N] --ledger FILE
//
// It runs until SIGTERM or until COUNT terminations; then it exits with code 0 and the ledger is complete. Each line has five numbers:
//
//	pid, start after and before (ns since 1970), time after wait4 (ns of CLOCK_BOOTTIME), status from wait4
//
// The children are forks of the reaper that execute nothing: the cheapest processes, so that most of the load is terminations and not
// starts. One in four exits with code 3, the others are killed.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	exitEvery = 4
	exitCode  = 3
	// refusedCode marks terminations that a collector of the tests may refuse. It finds the exit code in the body, in every encoding.
	refusedCode = 113
)

type reaper struct {
	rate, count, refusedEvery uint64
	ledger                    *os.File

	next    atomic.Uint64 // the number of the next victim
	stopped atomic.Bool
	start   time.Time
}

func main() {
	var r reaper
	flag.Uint64Var(&r.rate, "rate", 0, "terminations a second; 0: as fast as all processors can")
	flag.Uint64Var(&r.count, "count", 0, "number of terminations; 0: until SIGTERM")
	flag.Uint64Var(&r.refusedEvery, "refused-every", 0, "every n-th process exits with code 113; 0: none")
	path := flag.String("ledger", "", "the file to append the lines to")
	flag.Parse()
	if err := r.run(*path); err != nil {
		fmt.Fprintf(os.Stderr, "reaper: %v\n", err)
		os.Exit(1)
	}
}

func (r *reaper) run(path string) (err error) {
	if r.ledger, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-asked
		r.stopped.Store(true)
	}()
	r.start = time.Now()
	failures := make([]error, runtime.NumCPU())
	var working sync.WaitGroup
	for worker := range failures {
		working.Go(func() { failures[worker] = r.work() })
	}
	working.Wait()
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	return r.ledger.Close()
}

// work starts and reaps one process after the other. It locks its thread, because fork copies only the calling thread.
func (r *reaper) work() error {
	runtime.LockOSThread()
	for !r.stopped.Load() {
		number := r.next.Add(1) - 1
		if r.count > 0 && number >= r.count {
			return nil
		}
		if r.rate > 0 {
			time.Sleep(time.Until(r.start.Add(time.Duration(number) * time.Second / time.Duration(r.rate))))
		}
		if err := r.reap(number); err != nil {
			return fmt.Errorf("termination %d: %w", number, err)
		}
	}
	return nil
}

func (r *reaper) reap(number uint64) error {
	code := uintptr(0)
	switch {
	case r.refusedEvery > 0 && number%r.refusedEvery == 0:
		code = refusedCode
	case number%exitEvery == 0:
		code = exitCode
	}
	startAfter := time.Now().UnixNano()
	pid, err := fork(code)
	if err != nil {
		return fmt.Errorf("fork: %w", err)
	}
	startBefore := time.Now().UnixNano()
	if code == 0 {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	var status unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("wait4(%d): %w", pid, err)
	}
	var reaped unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &reaped); err != nil {
		return err
	}
	// A single write, so that lines of other workers do not mix with it.
	_, err = fmt.Fprintf(r.ledger, "%d %d %d %d %d\n", pid, startAfter, startBefore, reaped.Nano(), status)
	return err
}

// fork is fork(2) with a child that exits with the code, or waits to be killed if the code is 0. Only this thread exists in the child, so it
// must not use Go's runtime: it makes raw system calls only.
//
//go:norace
func fork(code uintptr) (int, error) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		for {
			if code == 0 {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			} else {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, code, 0, 0)
			}
		}
	}
	return int(pid), nil
}
