// Cases in which the death of a parent, of one of its threads, or of a child has a part.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// channel is a pipe between a bare life and the undertaker.
type channel struct{ reader, writer int }

func (u *undertaker) newChannel() (*channel, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	for _, end := range ends {
		u.atClose = append(u.atClose, func() { _ = unix.Close(end) })
	}
	return &channel{ends[0], ends[1]}, nil
}

func (c *channel) tell(address uintptr, bytes int) call {
	return call{number: unix.SYS_WRITE, args: [6]uintptr{uintptr(c.writer), address, uintptr(bytes)}}
}

// say writes a byte that another process waits for.
func (c *channel) say(u *undertaker) call { return c.tell(u.hold(make([]byte, 1)), 1) }

func (c *channel) listen(u *undertaker) call {
	return call{number: unix.SYS_READ, args: [6]uintptr{uintptr(c.reader), u.hold(make([]byte, 1)), 1}}
}

// free lets the waiting process go on.
func (c *channel) free() error {
	_, err := unix.Write(c.writer, make([]byte, 1))
	return err
}

// await waits for a byte from say.
func (c *channel) await() error {
	_, err := unix.Read(c.reader, make([]byte, 1))
	return err
}

// offspring is the child of a bare life, and how the undertaker learns its pid.
type offspring struct {
	pid      []byte
	announce *channel
	unborn   death // what was known before
}

// inOffspring starts a process that makes these calls, and announces it. flags of clone(2) may be added.
func (u *undertaker) inOffspring(flags uintptr, calls ...call) (*offspring, []call, error) {
	announce, err := u.newChannel()
	if err != nil {
		return nil, nil, err
	}
	o := &offspring{make([]byte, 4), announce, u.own().death}
	start := inChild(flags|unix.CLONE_PARENT_SETTID, calls...)
	start.args[2] = u.hold(o.pid)
	return o, []call{start, announce.tell(u.hold(o.pid), len(o.pid))}, nil
}

// victim waits for the announcement.
func (o *offspring) victim(u *undertaker, parent int) (*victim, error) {
	v := &victim{death: o.unborn}
	if _, err := unix.Read(o.announce.reader, o.pid); err != nil {
		return nil, err
	}
	v.PID, v.ParentPID = int(*(*int32)(unsafe.Pointer(&o.pid[0]))), parent
	u.killAtClose(v)
	return v, nil
}

// inherit makes the undertaker the parent of whose parent dies.
func inherit() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// buryWithParent waits for the parent, which exits, and then buries what it left.
func (u *undertaker) buryWithParent(v, parent *victim) error {
	if err := parent.forget(); err != nil {
		return err
	}
	return u.bury(v, nil)
}

// doubleFork is how a daemon leaves its parent: the child forks and exits, and the grandchild is the undertaker's.
func doubleFork(u *undertaker) error {
	if err := inherit(); err != nil {
		return err
	}
	release, err := u.newChannel()
	if err != nil {
		return err
	}
	daemon, start, err := u.inOffspring(0, release.listen(u), exitGroup(4))
	if err != nil {
		return err
	}
	parent, err := u.bare(0, append(start, exitGroup(0))...)
	if err != nil {
		return err
	}
	v, err := daemon.victim(u, os.Getpid())
	if err != nil {
		return err
	}
	if err := parent.forget(); err != nil {
		return err
	}
	if err := release.free(); err != nil {
		return err
	}
	return u.bury(v, nil)
}

// parentDeath lets a parent exit whose child wants the signal for that case.
func parentDeath(signal syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error {
		wishes, release, err := u.wishful()
		if err != nil {
			return err
		}
		child, start, err := u.inOffspring(0, wishes(signal)...)
		if err != nil {
			return err
		}
		parent, err := u.bare(0, append(start, release.listen(u), exitGroup(0))...)
		if err != nil {
			return err
		}
		return u.releaseParent(child, parent, release, 0) // its parent changes in the middle of this
	}
}

// parentThreadDeath lets only the thread exit that started the child: PR_SET_PDEATHSIG is about that. The process waits for the child
// to die, leaves it as a zombie, and exits.
func parentThreadDeath(u *undertaker) error {
	wishes, release, err := u.wishful()
	if err != nil {
		return err
	}
	child, start, err := u.inOffspring(0, wishes(unix.SIGTERM)...)
	if err != nil {
		return err
	}
	exists, err := u.newChannel()
	if err != nil {
		return err
	}
	thread := append(start, exists.say(u), release.listen(u), exitThread(0))
	parent, err := u.bare(0, inThread(thread...), exists.listen(u), waitForChild(unix.WEXITED), exitGroup(0))
	if err != nil {
		return err
	}
	return u.releaseParent(child, parent, release, parent.PID)
}

// wishful is a child that wants a signal for the case that its parent dies; it says so in a channel that the undertaker reads before
// it releases the parent through the other one.
func (u *undertaker) wishful() (func(signal syscall.Signal) []call, *releasing, error) {
	ready, err := u.newChannel()
	if err != nil {
		return nil, nil, err
	}
	release, err := u.newChannel()
	if err != nil {
		return nil, nil, err
	}
	wishes := func(signal syscall.Signal) []call {
		wish := call{number: unix.SYS_PRCTL, args: [6]uintptr{unix.PR_SET_PDEATHSIG, uintptr(signal)}}
		return append([]call{u.defaultAction(signal), wish, ready.say(u)}, u.waitLong()...)
	}
	return wishes, &releasing{release, ready}, nil
}

type releasing struct {
	*channel
	ready *channel
}

func (u *undertaker) releaseParent(child *offspring, parent *victim, release *releasing, parentPID int) error {
	if err := inherit(); err != nil {
		return err
	}
	v, err := child.victim(u, parentPID)
	if err != nil {
		return err
	}
	if err := release.ready.await(); err != nil {
		return err
	}
	v.markBefore()
	if err := release.free(); err != nil {
		return err
	}
	return u.buryWithParent(v, parent)
}

// waitForChild waits until one has exited or stopped, and leaves it so.
func waitForChild(event uintptr) call {
	return call{number: unix.SYS_WAITID, args: [6]uintptr{unix.P_ALL, 0, 0, event | unix.WNOWAIT}}
}

// orphanedAndStopped: when the last tie of a stopped process group to its session ends, the kernel sends it SIGHUP (POSIX, exit(3)). No
// terminal has a part in it.
func orphanedAndStopped(u *undertaker) error {
	if err := inherit(); err != nil {
		return err
	}
	ownGroup := call{number: unix.SYS_SETPGID}
	stop := call{number: unix.SYS_KILL, args: [6]uintptr{0, uintptr(unix.SIGSTOP)}} // all of its group, which is itself
	child, start, err := u.inOffspring(0, append([]call{u.defaultAction(unix.SIGHUP), ownGroup, stop}, u.waitLong()...)...)
	if err != nil {
		return err
	}
	calls := append([]call{{number: unix.SYS_SETSID}}, start...)
	parent, err := u.bare(0, append(calls, waitForChild(unix.WSTOPPED), exitGroup(0))...)
	if err != nil {
		return err
	}
	v, err := child.victim(u, 0) // its parent changes in the middle of this
	if err != nil {
		return err
	}
	return u.buryWithParent(v, parent)
}

// childExitSignal: a child's end may send its parent another signal than SIGCHLD, and one that kills.
func childExitSignal(u *undertaker) error {
	child := call{number: unix.SYS_CLONE, args: [6]uintptr{uintptr(unix.SIGUSR1)}, zero: list(exitGroup(0))}
	v, err := u.bare(0, append([]call{u.defaultAction(unix.SIGUSR1), child}, u.waitLong()...)...)
	if err != nil {
		return err
	}
	return u.bury(v, nil)
}
