// SPDX-License-Identifier: Apache-2.0

// Package crashtest runs programs until they crash, and copies of them what the probes would. It uses ptrace(2), so that tests of the unwinder need
// neither probes nor privileges.
package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/unwind"
)

const (
	// faults are signals that instructions cause; fatal are those that a stack is copied for.
	faults  = 1<<unix.SIGSEGV | 1<<unix.SIGBUS | 1<<unix.SIGFPE | 1<<unix.SIGILL | 1<<unix.SIGTRAP
	fatal   = faults | 1<<unix.SIGABRT | 1<<unix.SIGSYS
	timeout = time.Minute
)

// Crash is a crash, and the process that it happened to, which is gone.
type Crash struct {
	unwind.Crash
	Signal unix.Signal
}

// Run runs the command until a signal would end it. The error says so if it ends in another way.
func Run(command *exec.Cmd) (*Crash, error) {
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	command.SysProcAttr = &unix.SysProcAttr{Ptrace: true, Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	pid := command.Process.Pid
	defer func() {
		unix.Kill(-pid, unix.SIGKILL)
		for {
			if _, err := unix.Wait4(-pid, nil, unix.WALL, nil); err != nil && err != unix.EINTR {
				break
			}
		}
		command.Process.Release()
	}()
	alarm := time.AfterFunc(timeout, func() { unix.Kill(-pid, unix.SIGKILL) })
	defer alarm.Stop()
	t := tracer{group: pid, known: map[int]bool{pid: false}}
	return t.follow()
}

// tracer follows the threads of a process.
type tracer struct {
	group int
	known map[int]bool // threads, and whether they had their first stop
	fault *faulted
}

type faulted struct {
	thread    int
	registers unwind.Registers
}

func (t *tracer) follow() (*Crash, error) {
	for {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-t.group, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait4: %w", err)
		}
		if !status.Stopped() {
			if thread == t.group {
				return nil, fmt.Errorf("the process ended with status %#x, and no stack", uint32(status))
			}
			continue
		}
		crash, deliver, err := t.stopped(thread, status)
		if crash != nil || err != nil {
			return crash, err
		}
		if err := unix.PtraceCont(thread, deliver); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("continue: %w", err)
		}
	}
}

// stopped decides what a stop means: it returns the crash, or the signal to deliver.
func (t *tracer) stopped(thread int, status unix.WaitStatus) (*Crash, int, error) {
	signal := status.StopSignal()
	first := !t.known[thread]
	t.known[thread] = true
	if first && thread == t.group {
		return nil, 0, unix.PtraceSetOptions(thread, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL)
	}
	if status>>16 != 0 || (first && signal == unix.SIGSTOP) {
		return nil, 0, nil
	}
	if fatal>>signal&1 == 0 {
		return nil, int(signal), nil
	}
	registers, err := registersOf(thread)
	if err != nil {
		return nil, 0, fmt.Errorf("registers: %w", err)
	}
	caught, err := handled(thread, signal)
	if err != nil {
		return nil, 0, err
	}
	if caught {
		if faults>>signal&1 == 1 {
			t.fault = &faulted{thread, registers}
		}
		return nil, int(signal), nil
	}
	crash, err := t.copy(thread, registers)
	if err != nil {
		return nil, 0, err
	}
	return &Crash{*crash, signal}, 0, nil
}

// handled reports whether the process has a handler for the signal, or ignores it.
func handled(thread int, signal unix.Signal) (bool, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != "SigCgt" && name != "SigIgn" {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return false, err
		}
		if mask>>(signal-1)&1 == 1 {
			return true, nil
		}
	}
	return false, nil
}
