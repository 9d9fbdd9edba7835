// The storms: processes terminate with statuses that are known, while the loader is killed and started again, with a reader and without one. Each
// termination must have a record with its status, or be counted as lost, or lie in a gap that is reported.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// calm is what terminates around each kill of the loader.
	calm = 200
	// flood is what terminates without a pause: more than the queue of a kernel without a ring buffer holds.
	flood = 2000
	// pause is between two terminations while the loader is killed: the queue must not be full when it comes back.
	pause = 5 * time.Millisecond
	kills = 3
)

// ended is a termination, and between which times of CLOCK_BOOTTIME it was.
type ended struct {
	pid      int
	status   uint32
	from, to uint64
}

type gap struct {
	from, to uint64
}

// process is not its pid alone: a small kernel has 4,096 of them.
type process struct {
	pid   int
	start string
}

// outcome is what the parent knows of a process.
type outcome struct {
	pid    int
	status uint32
}

// storm is what became of the terminations of one. At most Absent are counted as lost, and at least those that are in no gap.
type storm struct {
	Name     string `json:"name"`
	Happened int    `json:"happened"`
	Reported int    `json:"reported"`
	Wrong    int    `json:"wrong"` // records that no termination explains
	Absent   int    `json:"absent"`
	InGap    int    `json:"in_gap"` // of the absent ones
	Gaps     int    `json:"gaps"`
	Lost     uint64 `json:"lost"` // counted meanwhile
}

// storms are those that run, with the loader of the machine.
type storms struct {
	loader *exec.Cmd
	reader reader
	// killed are loaders. Their own probes see them exit: an exiting process closes its files later.
	killed []ended
}

// runStorms kills the loader of the machine, and starts its own.
func runStorms(loader *exec.Cmd) error {
	s := storms{loader: loader, reader: reader{statuses: map[process]uint32{}}}
	if err := errors.Join(s.kill(), s.start()); err != nil {
		return err
	}
	for _, run := range []func() error{s.whileRead, s.withoutReader, s.killedWhileRead, s.killedWithoutReader} {
		if err := run(); err != nil {
			return err
		}
	}
	s.reader.disconnect()
	return s.kill()
}

func (s *storms) start() error {
	s.loader = exec.Command("/loader", "run", "--socket", socketPath)
	s.loader.Stdout, s.loader.Stderr = os.Stdout, os.Stderr
	if err := s.loader.Start(); err != nil {
		return err
	}
	conn, err := connect() // It serves.
	if err != nil {
		return err
	}
	return conn.Close()
}

func (s *storms) kill() error {
	from := boottime()
	if err := s.loader.Process.Kill(); err != nil {
		return err
	}
	_ = s.loader.Wait() // It was killed.
	status := uint32(s.loader.ProcessState.Sys().(syscall.WaitStatus))
	s.killed = append(s.killed, ended{s.loader.Process.Pid, status, from, boottime()})
	return nil
}

func (s *storms) compare(name string, all []ended, lost uint64) {
	s.reader.compare(name, append(all, s.killed...), lost)
	s.killed = nil
}

func (s *storms) whileRead() error {
	if err := s.reader.connect(); err != nil {
		return err
	}
	s.reader.settle()
	lost := s.reader.lost
	all, err := terminate(flood, 0)
	s.compare("with a reader", all, lost)
	return err
}

// withoutReader fills the queue. What it holds must outlive the loader.
func (s *storms) withoutReader() error {
	lost := s.reader.lost
	s.reader.disconnect()
	all, err := terminate(flood, 0)
	if err := errors.Join(err, s.kill(), s.start(), s.reader.connect()); err != nil {
		return err
	}
	s.compare("without a reader, then the loader is killed", all, lost)
	return nil
}

func (s *storms) killedWhileRead() error {
	lost := s.reader.lost
	all, err := s.whileKilled(s.reader.connect)
	if err != nil {
		return err
	}
	s.compare("the loader is killed while it is read", all, lost)
	return nil
}

func (s *storms) killedWithoutReader() error {
	lost := s.reader.lost
	s.reader.disconnect()
	all, err := s.whileKilled(func() error { return nil })
	if err := errors.Join(err, s.reader.connect()); err != nil {
		return err
	}
	s.compare("the loader is killed without a reader", all, lost)
	return nil
}

// whileKilled lets processes terminate before the loader is killed, while there is none, and after it was started again and restarted was called.
func (s *storms) whileKilled(restarted func() error) (all []ended, err error) {
	var stop atomic.Bool
	finished := make(chan error, 1)
	go func() {
		for !stop.Load() {
			some, err := terminate(1, pause)
			if err != nil {
				finished <- err
				return
			}
			all = append(all, some...)
		}
		finished <- nil
	}()
	for range kills {
		time.Sleep(calm * pause)
		if err = s.kill(); err != nil {
			break
		}
		time.Sleep(calm * pause)
		if err = errors.Join(s.start(), restarted()); err != nil {
			break
		}
	}
	time.Sleep(calm * pause)
	stop.Store(true)
	return all, errors.Join(err, <-finished)
}

// terminate lets processes terminate one after the other: a third is killed, and the others exit with all codes but 0.
func terminate(count int, pause time.Duration) (all []ended, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range count {
		code := uint32(terminated.Add(1))%255 + 1
		from := boottime()
		one, err := terminateOne(code, code%3 == 0)
		if err != nil {
			return all, err
		}
		one.from, one.to = from, boottime()
		all = append(all, one)
		time.Sleep(pause)
	}
	return all, nil
}

var terminated atomic.Int64

// terminateOne forks a child, which makes only system calls. Killed, it has the status of SIGKILL.
func terminateOne(code uint32, isKilled bool) (ended, error) {
	child, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if child == 0 {
		for {
			if isKilled {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			} else {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0)
			}
		}
	}
	if errno != 0 {
		return ended{}, errno
	}
	if isKilled {
		if err := syscall.Kill(int(child), syscall.SIGKILL); err != nil {
			return ended{}, err
		}
	}
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(int(child), &status, 0, nil)
		if err != syscall.EINTR {
			return ended{pid: int(child), status: uint32(status)}, err
		}
	}
}

func boottime() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err)
	}
	return uint64(now.Nano())
}
