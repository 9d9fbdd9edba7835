// SPDX-License-Identifier: Apache-2.0

// Package helper is the process that unwinds the stacks of crashes. It reads the files of other users, which may be hostile, and so holds no
// descriptor of BPF and no privilege but CAP_DAC_READ_SEARCH, if it was given that (docs/decisions/0076).
//
// It is two processes. The supervisor only starts the worker, when there is a crash, and again after that has ended: the loader itself may
// start none once it serves. The worker unwinds, and ends when there was no crash for a while: nothing of it stays in memory.
package helper

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/host"
)

// WorkerArgument makes the helper's command a worker.
const WorkerArgument = "--worker"

// restartRest is between a worker that failed and the next one.
const restartRest = 50 * time.Millisecond

// Supervise runs a worker whenever there are requests, until the loader has ended.
func Supervise() error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE) // A terminal or a service manager sends them to the loader, too.
	if err := host.KeepOnlyReading(); err != nil {
		return err
	}
	if err := host.FilterStarting(); err != nil && !errors.Is(err, host.ErrNoFilters) {
		return err
	}
	for {
		waits, err := hasRequests()
		if err != nil || !waits {
			return err
		}
		if err := runWorker(); err != nil {
			time.Sleep(restartRest)
		}
	}
}

// hasRequests waits for a request. It returns false if the loader has ended: no one would read the answers.
func hasRequests() (bool, error) {
	for {
		polled := []unix.PollFd{{Fd: crash.RequestsFD, Events: unix.POLLIN}}
		if _, err := unix.Ppoll(polled, nil, nil); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return false, fmt.Errorf("wait for crashes: %w", err)
		}
		return polled[0].Revents&unix.POLLHUP == 0, nil
	}
}

func runWorker() error {
	worker := exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], crash.HelperCommand, WorkerArgument}, Env: []string{}}
	worker.Stdout, worker.Stderr = os.Stderr, os.Stderr // not /dev/null, which would be opened for writing
	for _, fd := range []uintptr{crash.RequestsFD, crash.AnswersFD, crash.ArenaFD} {
		worker.ExtraFiles = append(worker.ExtraFiles, os.NewFile(fd, ""))
	}
	return worker.Run()
}
