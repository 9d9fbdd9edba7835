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

const (
	// restartRest is between a worker that failed and the next one.
	restartRest = 50 * time.Millisecond
	// hungTime without a step is more than a worker needs for one crash (crashTimeMax). It is replaced after that.
	hungTime   = 1300 * time.Millisecond
	watchEvery = 100 * time.Millisecond
	killTime   = 100 * time.Millisecond
)

// Supervise runs a worker whenever there are requests, until the loader has ended.
func Supervise() error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE) // A terminal or a service manager sends them to the loader, too.
	if err := host.KeepOnlyReading(); err != nil {
		return err
	}
	// For as long as this process lives: Go closes the files that it can reach no more.
	requests, answers, crashes := os.NewFile(crash.RequestsFD, "requests"), os.NewFile(crash.AnswersFD, "answers"), os.NewFile(crash.ArenaFD, "crashes")
	arena, err := crash.OpenArena(crashes)
	if err != nil {
		return err
	}
	if err := host.FilterStarting(); err != nil && !errors.Is(err, host.ErrNoFilters) {
		return err
	}
	for {
		waits, err := hasRequests(nil)
		if err != nil || !waits {
			return err
		}
		if err := runWorker(arena.State(), requests, answers, crashes); err != nil {
			time.Sleep(restartRest)
		}
	}
}

// hasRequests waits for a request until the timeout; nil: until there is one. It returns false if there is none, or the loader has ended: no one
// would read the answers.
func hasRequests(timeout *unix.Timespec) (bool, error) {
	for {
		polled := []unix.PollFd{{Fd: crash.RequestsFD, Events: unix.POLLIN}}
		if _, err := unix.Ppoll(polled, timeout, nil); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return false, fmt.Errorf("wait for crashes: %w", err)
		}
		return polled[0].Revents&(unix.POLLIN|unix.POLLHUP) == unix.POLLIN, nil
	}
}

// watched is what runWorker sees of a worker.
type watched struct {
	steps uint32
	since time.Time // when it saw that first
}

// hangs reports whether the worker has made no step for hungTime, though it has a request. Another worker reads a request that this one did not.
func (w *watched) hangs(state *crash.WorkerState, now time.Time) bool {
	waiting, err := hasRequests(&unix.Timespec{})
	steps := state.Steps.Load()
	if steps != w.steps || (steps%2 == 0 && (err != nil || !waiting)) {
		w.steps, w.since = steps, now
	}
	return now.Sub(w.since) > hungTime
}

// runWorker starts a worker, and waits until it has ended or hangs. Then it is killed, and the loader gets an answer for the crash that it had.
func runWorker(state *crash.WorkerState, requests, answers, crashes *os.File) error {
	worker := exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], crash.HelperCommand, WorkerArgument}, Env: []string{}}
	worker.Stdout, worker.Stderr = os.Stderr, os.Stderr // not /dev/null, which would be opened for writing
	worker.ExtraFiles = []*os.File{requests, answers, crashes}
	state.Steps.Store(0)
	if err := worker.Start(); err != nil {
		return fmt.Errorf("start a process that unwinds: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Wait() }()
	seen := watched{since: time.Now()}
	var err error
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case now := <-time.After(watchEvery):
			if running = !seen.hangs(state, now); !running {
				err = kill(worker.Process, ended)
			}
		}
	}
	if state.Steps.Load()%2 == 1 {
		lost := crash.Message{Number: state.Number.Load(), Entry: state.Entry.Load()}
		err = errors.Join(err, crash.Answer(answers, lost))
	}
	return err
}

// kill kills a worker. It does not wait for one that hangs in the kernel: that one ends when it leaves it.
func kill(worker *os.Process, ended <-chan error) error {
	err := worker.Kill()
	select {
	case <-ended:
	case <-time.After(killTime):
	}
	return errors.Join(errors.New("a process that unwinds hung"), err)
}
