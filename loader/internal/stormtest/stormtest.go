// SPDX-License-Identifier: Apache-2.0

// Package stormtest makes thousands of processes terminate, and compares their pids with the records about them.
package stormtest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"whodunit/loader/internal/record"
)

// variable makes the test binary a storm. Its value is the number of children; 0: until the input is closed.
const variable = "WHODUNIT_TEST_STORM"

// exitCode is a code that other programs on the machine do not exit with.
const exitCode = 71

// Main is the body of TestMain in a package that starts storms: it runs the tests or, in a storm's process, the storm. It returns the exit
// code.
func Main(m *testing.M) int {
	of := os.Getenv(variable)
	if of == "" {
		return m.Run()
	}
	if err := run(of); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// run forks children, kills every second one, and writes the pid of each to its output after it has terminated. It runs in a process of its
// own, as its children inherit its open files.
func run(of string) error {
	var count int
	if _, err := fmt.Sscan(of, &count); err != nil {
		return err
	}
	runtime.LockOSThread()
	ended := make(chan struct{})
	if count == 0 {
		go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	}
	out := bufio.NewWriter(os.Stdout)
	for i := 0; count == 0 || i < count; i++ {
		select {
		case <-ended:
			return out.Flush()
		default:
		}
		pid, err := Terminate(i%2 == 0)
		if err != nil {
			return err
		}
		if err := binary.Write(out, binary.NativeEndian, uint32(pid)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Terminate makes a child by fork(2) alone, which is ten times faster than os/exec. It waits until the child has exited with exitCode or,
// if killed is true, was terminated by SIGKILL, and returns an error for any other status.
//
//go:norace
func Terminate(killed bool) (pid int, err error) {
	child, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if child == 0 {
		for {
			if killed {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			} else {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, exitCode, 0, 0)
			}
		}
	}
	if errno != 0 {
		return 0, errno
	}
	if killed {
		if err := syscall.Kill(int(child), syscall.SIGKILL); err != nil {
			return 0, err
		}
	}
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(int(child), &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err == nil && (killed && status.Signal() != syscall.SIGKILL || !killed && status.ExitStatus() != exitCode) {
			err = fmt.Errorf("the child has the status %#x", uint32(status))
		}
		return int(child), err
	}
}

// Storm is a storm with the pids of its terminated children.
type Storm struct {
	Terminated int // valid after Stop
	command    *exec.Cmd
	input      io.Closer
	read       sync.WaitGroup
	byPid      map[uint32]int // pids are reused
}

// Start starts a storm of count children, or until Stop if count is 0. It fails the test if it cannot.
func Start(t *testing.T, count int) *Storm {
	t.Helper()
	s := &Storm{command: exec.Command(os.Args[0]), byPid: map[uint32]int{}}
	s.command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, count))
	s.command.Stderr = os.Stderr
	input, err := s.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.input = input
	output, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.input.Close(); s.command.Process.Kill() })
	s.read.Go(func() {
		pids := bufio.NewReader(output)
		var pid uint32
		for binary.Read(pids, binary.NativeEndian, &pid) == nil {
			s.byPid[pid]++
			s.Terminated++
		}
	})
	return s
}

// Stop waits for the storm, and ends it if it has no count.
func (s *Storm) Stop(t *testing.T) {
	t.Helper()
	s.input.Close()
	s.read.Wait()
	if err := s.command.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Reported counts the records of the storms' children by pid.
type Reported map[uint32]int

// Add counts the event if it is the termination of a child of these storms.
func (r Reported) Add(event *record.Event, storms ...*Storm) {
	for _, s := range storms {
		if event.Process.ParentPid == uint32(s.command.Process.Pid) && (event.StatusRaw == exitCode<<8 || event.StatusRaw == 9) {
			r[event.Process.Pid]++
		}
	}
}

// Compare returns how many children terminated, how many of them have no record, and how many records are too many.
func (r Reported) Compare(storms ...*Storm) (terminated, absent, doubled int) {
	byPid := map[uint32]int{}
	for _, s := range storms {
		terminated += s.Terminated
		for pid, n := range s.byPid {
			byPid[pid] += n
		}
	}
	for pid, n := range byPid {
		absent += max(0, n-r[pid])
	}
	for pid, n := range r {
		doubled += max(0, n-byPid[pid])
	}
	return terminated, absent, doubled
}
