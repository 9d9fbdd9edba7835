// What a killer does as the tracer of a victim, and the cases of that.
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

// trace carries out one order: `trace PID OPTIONS`, `await PID SIGNAL` until the victim stops before it takes that signal (at its end
// where SIGNAL is 0), `continue PID SIGNAL` with that signal, or none where it is 0, `end PID` with PTRACE_KILL.
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
			return fmt.Errorf("it did not stop for that: status %#x", uint32(status))
		}
		return nil
	case "continue":
		err := ptrace(unix.PTRACE_CONT, number)
		if err == unix.ESRCH && number == 0 { // on Linux 5.10, SIGKILL has let it go on
			return nil
		}
		return err
	case "end":
		return ptrace(unix.PTRACE_KILL, 0)
	}
	return fmt.Errorf("unknown order")
}

const zombiePoll = time.Millisecond

// traced is a process whose first thread is under a tracer, with another process that may kill it.
type traced struct {
	*victim
	tracer, killer *killerHandle
}

func (u *undertaker) startTraced(options int) (*traced, error) {
	life := append([]call{u.defaultAction(unix.SIGTERM), u.defaultAction(unix.SIGUSR1), inThread(u.waitLong()...)}, u.waitLong()...)
	return u.startTracedLife(options, life...)
}

func (u *undertaker) startTracedLife(options int, life ...call) (*traced, error) {
	v, err := u.bare(0, life...)
	if err != nil {
		return nil, err
	}
	tracer, err := u.hire(0)
	if err != nil {
		return nil, err
	}
	killer, err := u.hire(0)
	if err != nil {
		return nil, err
	}
	return &traced{v, tracer, killer}, tracer.order("trace", v.PID, options)
}

// receive lets the killer send the signal, and the tracer stop the victim before it takes it.
func (t *traced) receive(signal syscall.Signal) error {
	t.markBefore()
	if err := t.killer.order("kill", t.PID, int(signal)); err != nil {
		return err
	}
	return t.tracer.order("await", t.PID, int(signal))
}

// buryTraced lets the tracer go first: until it does, the parent gets no status.
func (u *undertaker) buryTraced(t *traced, killer *actor) error {
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
	if err := t.tracer.dismiss(); err != nil {
		return err
	}
	return u.bury(t.victim, killer)
}

// passedOn lets the tracer pass a signal on when the killer has sent one: the same, or another in its place.
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
		return u.buryTraced(t, &t.killer.actor)
	}
}

// sigkillWhileTraced: no tracer is asked.
func sigkillWhileTraced(u *undertaker) error {
	t, err := u.startTraced(0)
	if err != nil {
		return err
	}
	t.markBefore()
	if err := t.killer.order("kill", t.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.buryTraced(t, &t.killer.actor)
}

// tracerKills with PTRACE_KILL.
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
	return u.buryTraced(t, &t.tracer.actor)
}

// swallowed: the tracer takes SIGTERM away, and later makes one of its own of a signal that means nothing.
func swallowed(u *undertaker) error {
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
	return u.buryTraced(t, &t.killer.actor)
}

// tooLate: the victim is dying of SIGTERM, and its tracer holds it there, when another one sends this signal.
func tooLate(signal syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error { return u.tooLate(signal) }
}

func (u *undertaker) tooLate(signal syscall.Signal) error {
	t, err := u.startTraced(unix.PTRACE_O_TRACEEXIT)
	if err != nil {
		return err
	}
	late, err := u.hire(0)
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
	return u.buryTraced(t, &t.killer.actor)
}

// tracerExit lets a tracer with PTRACE_O_EXITKILL go: the kernel then kills its tracees, and no process sent anything.
func tracerExit(u *undertaker) error {
	v, k, err := u.victimAndKiller("wait")
	if err != nil {
		return err
	}
	if err := k.order("trace", v.PID, unix.PTRACE_O_EXITKILL); err != nil {
		return err
	}
	v.markBefore()
	if err := k.dismiss(); err != nil {
		return err
	}
	return u.bury(v, nil)
}
