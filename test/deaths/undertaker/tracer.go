// A killer as the tracer of a victim, and the cases with a tracer.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// trace carries out one order: `trace PID OPTIONS` attaches, `await PID SIGNAL` waits for the signal-delivery stop of that signal (for
// PTRACE_EVENT_EXIT if it is 0), `continue PID SIGNAL` continues with that signal (none if it is 0), `end PID` is PTRACE_KILL.
func trace(order string, pid, number int) error {
	runtime.LockOSThread() // the tracer is this thread
	ptrace := func(request, data int) error {
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(pid), 0, uintptr(data), 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	}
	switch order {
	case "trace":
		return ptrace(unix.PTRACE_SEIZE, number)
	case "await":
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err != nil {
			return err
		}
		atEnd := status.Stopped() && int(status)>>16 == unix.PTRACE_EVENT_EXIT
		if !status.Stopped() || atEnd != (number == 0) || !atEnd && status.StopSignal() != syscall.Signal(number) {
			return fmt.Errorf("unexpected stop: status %#x", uint32(status))
		}
		return nil
	case "continue":
		err := ptrace(unix.PTRACE_CONT, number)
		if err == unix.ESRCH && number == 0 { // on Linux 5.10, SIGKILL has already continued it
			return nil
		}
		return err
	case "end":
		return ptrace(unix.PTRACE_KILL, 0)
	}
	return fmt.Errorf("unknown order")
}

const zombiePoll = time.Millisecond

// traced is a process whose first thread is traced by one killer, with a second killer that may kill it.
type traced struct {
	*victim
	tracer, killer *killerHandle
}

func (u *undertaker) startTraced(options int) (*traced, error) {
	life := append([]call{u.defaultAction(unix.SIGTERM), u.defaultAction(unix.SIGUSR1), inThread(u.waitLong()...)}, u.waitLong()...)
	return u.startTracedWith(options, life...)
}

func (u *undertaker) startTracedWith(options int, life ...call) (*traced, error) {
	v, err := u.bare(0, life...)
	if err != nil {
		return nil, err
	}
	tracer, err := u.startKiller(0)
	if err != nil {
		return nil, err
	}
	killer, err := u.startKiller(0)
	if err != nil {
		return nil, err
	}
	return &traced{v, tracer, killer}, tracer.order("trace", v.PID, options)
}

// receive has the killer send the signal, and the tracer wait for the signal-delivery stop.
func (t *traced) receive(signal syscall.Signal) error {
	t.markBefore()
	if err := t.killer.order("kill", t.PID, int(signal)); err != nil {
		return err
	}
	return t.tracer.order("await", t.PID, int(signal))
}

// reapTraced stops the tracer first: until then, the parent gets no status.
func (u *undertaker) reapTraced(t *traced, killer *actor) error {
	for {
		ended, err := isZombie(t.PID)
		if err != nil {
			return err
		}
		if ended {
			break
		}
		time.Sleep(zombiePoll)
	}
	if err := t.tracer.stop(); err != nil {
		return err
	}
	return u.reap(t.victim, killer)
}

// passedOn: the killer sends a signal, and the tracer delivers the same or another one.
func passedOn(sent, passed syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error {
		t, err := u.startTraced(0)
		if err != nil {
			return err
		}
		if err := t.receive(sent); err != nil {
			return err
		}
		if err := t.tracer.order("continue", t.PID, int(passed)); err != nil {
			return err
		}
		return u.reapTraced(t, &t.killer.actor)
	}
}

// sigkillWhileTraced: SIGKILL causes no stop for the tracer.
func sigkillWhileTraced(u *undertaker) error {
	t, err := u.startTraced(0)
	if err != nil {
		return err
	}
	t.markBefore()
	if err := t.killer.order("kill", t.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.reapTraced(t, &t.killer.actor)
}

// tracerKills: the tracer uses PTRACE_KILL.
func tracerKills(u *undertaker) error {
	t, err := u.startTraced(0)
	if err != nil {
		return err
	}
	if err := t.receive(unix.SIGUSR1); err != nil {
		return err
	}
	if err := t.tracer.order("end", t.PID); err != nil {
		return err
	}
	return u.reapTraced(t, &t.tracer.actor)
}

// suppressed: the tracer suppresses SIGTERM, and later delivers SIGTERM in place of SIGWINCH.
func suppressed(u *undertaker) error {
	t, err := u.startTraced(0)
	if err != nil {
		return err
	}
	for _, step := range []struct{ sent, passed syscall.Signal }{{unix.SIGTERM, 0}, {unix.SIGWINCH, unix.SIGTERM}} {
		if err := t.receive(step.sent); err != nil {
			return err
		}
		if err := t.tracer.order("continue", t.PID, int(step.passed)); err != nil {
			return err
		}
	}
	return u.reapTraced(t, &t.killer.actor)
}

// tooLate: SIGTERM is killing the victim, which its tracer has stopped during the exit, when another process sends this signal.
func tooLate(signal syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error { return u.tooLate(signal) }
}

func (u *undertaker) tooLate(signal syscall.Signal) error {
	t, err := u.startTraced(unix.PTRACE_O_TRACEEXIT)
	if err != nil {
		return err
	}
	late, err := u.startKiller(0)
	if err != nil {
		return err
	}
	if err := t.receive(unix.SIGTERM); err != nil {
		return err
	}
	if err := t.tracer.order("continue", t.PID, int(unix.SIGTERM)); err != nil {
		return err
	}
	if err := t.tracer.order("await", t.PID, 0); err != nil {
		return err
	}
	if err := late.order("kill", t.PID, int(signal)); err != nil {
		return err
	}
	if err := t.tracer.order("continue", t.PID, 0); err != nil {
		return err
	}
	return u.reapTraced(t, &t.killer.actor)
}

// tracerExit: a tracer with PTRACE_O_EXITKILL exits, and the kernel kills its tracees.
func tracerExit(u *undertaker) error {
	v, k, err := u.victimAndKiller("wait")
	if err != nil {
		return err
	}
	if err := k.order("trace", v.PID, unix.PTRACE_O_EXITKILL); err != nil {
		return err
	}
	v.markBefore()
	if err := k.stop(); err != nil {
		return err
	}
	return u.reap(v, nil)
}
