// Cases in which the exit of a parent, of one of its threads, or of a child matters.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// channel is a pipe between bare processes and the undertaker.
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

func (c *channel) write(address uintptr, bytes int) call {
	return call{number: unix.SYS_WRITE, args: [6]uintptr{uintptr(c.writer), address, uintptr(bytes)}}
}

// send writes a byte that another process waits for.
func (c *channel) send(u *undertaker) call { return c.write(u.hold(make([]byte, 1)), 1) }

func (c *channel) receive(u *undertaker) call {
	return call{number: unix.SYS_READ, args: [6]uintptr{uintptr(c.reader), u.hold(make([]byte, 1)), 1}}
}

// signal writes the byte that a process waits for in receive.
func (c *channel) signal() error {
	_, err := unix.Write(c.writer, make([]byte, 1))
	return err
}

// await waits for the byte of send.
func (c *channel) await() error {
	_, err := unix.Read(c.reader, make([]byte, 1))
	return err
}

// announcedChild is a child of a bare process, with the channel on which the undertaker gets its pid.
type announcedChild struct {
	pid      []byte
	announce *channel
	known    death // what is known before the fork
}

// inAnnouncedChild starts a process that makes these calls, and announces its pid. flags: more flags of clone(2).
func (u *undertaker) inAnnouncedChild(flags uintptr, calls ...call) (*announcedChild, []call, error) {
	announce, err := u.newChannel()
	if err != nil {
		return nil, nil, err
	}
	o := &announcedChild{make([]byte, 4), announce, u.forkedVictim().death}
	start := inChild(flags|unix.CLONE_PARENT_SETTID, calls...)
	start.args[2] = u.hold(o.pid)
	return o, []call{start, announce.write(u.hold(o.pid), len(o.pid))}, nil
}

// victim waits for the announcement.
func (o *announcedChild) victim(u *undertaker, parent int) (*victim, error) {
	v := &victim{death: o.known}
	if _, err := unix.Read(o.announce.reader, o.pid); err != nil {
		return nil, err
	}
	v.PID, v.ParentPID = int(*(*int32)(unsafe.Pointer(&o.pid[0]))), parent
	u.killAtClose(v)
	return v, nil
}

// becomeSubreaper makes the undertaker the new parent of orphaned descendants.
func becomeSubreaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// reapWithParent waits for the parent, which exits, and then reaps the orphan.
func (u *undertaker) reapWithParent(v, parent *victim) error {
	if err := parent.reapUnrecorded(); err != nil {
		return err
	}
	return u.reap(v, nil)
}

// doubleFork is how a daemon leaves its parent: the child forks and exits, and the undertaker becomes the parent of the grandchild.
func doubleFork(u *undertaker) error {
	if err := becomeSubreaper(); err != nil {
		return err
	}
	release, err := u.newChannel()
	if err != nil {
		return err
	}
	daemon, start, err := u.inAnnouncedChild(0, release.receive(u), exitGroup(4))
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
	if err := parent.reapUnrecorded(); err != nil {
		return err
	}
	if err := release.signal(); err != nil {
		return err
	}
	return u.reap(v, nil)
}

// parentDeath: a parent exits, and its child has set PR_SET_PDEATHSIG to the signal.
func parentDeath(signal syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error {
		calls, release, err := u.requestParentDeathSignal()
		if err != nil {
			return err
		}
		child, start, err := u.inAnnouncedChild(0, calls(signal)...)
		if err != nil {
			return err
		}
		parent, err := u.bare(0, append(start, release.receive(u), exitGroup(0))...)
		if err != nil {
			return err
		}
		return u.releaseParent(child, parent, release, 0) // the parent changes during the termination
	}
}

// parentKilled: a killer kills a parent, and its child has set PR_SET_PDEATHSIG.
func parentKilled(u *undertaker) error {
	calls, release, err := u.requestParentDeathSignal()
	if err != nil {
		return err
	}
	child, start, err := u.inAnnouncedChild(0, calls(unix.SIGTERM)...)
	if err != nil {
		return err
	}
	parent, err := u.bare(0, append(start, u.waitLong()...)...)
	if err != nil {
		return err
	}
	if err := becomeSubreaper(); err != nil {
		return err
	}
	v, err := child.victim(u, 0) // the parent changes during the termination
	if err != nil {
		return err
	}
	if err := release.ready.await(); err != nil {
		return err
	}
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("kill", parent.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.reapWithParent(v, parent)
}

// parentThreadDeath: only the thread that started the child exits, which is enough for PR_SET_PDEATHSIG. The process waits until the child
// has terminated, leaves it as a zombie, and exits.
func parentThreadDeath(u *undertaker) error {
	calls, release, err := u.requestParentDeathSignal()
	if err != nil {
		return err
	}
	child, start, err := u.inAnnouncedChild(0, calls(unix.SIGTERM)...)
	if err != nil {
		return err
	}
	exists, err := u.newChannel()
	if err != nil {
		return err
	}
	thread := append(start, exists.send(u), release.receive(u), exitThread(0))
	parent, err := u.bare(0, inThread(thread...), exists.receive(u), waitForChild(unix.WEXITED), exitGroup(0))
	if err != nil {
		return err
	}
	return u.releaseParent(child, parent, release, parent.PID)
}

// requestParentDeathSignal returns the calls of a child that sets PR_SET_PDEATHSIG and then announces it on a channel. The undertaker waits
// for that before it releases the parent on the other channel.
func (u *undertaker) requestParentDeathSignal() (func(signal syscall.Signal) []call, *parentRelease, error) {
	ready, err := u.newChannel()
	if err != nil {
		return nil, nil, err
	}
	release, err := u.newChannel()
	if err != nil {
		return nil, nil, err
	}
	calls := func(signal syscall.Signal) []call {
		request := call{number: unix.SYS_PRCTL, args: [6]uintptr{unix.PR_SET_PDEATHSIG, uintptr(signal)}}
		return append([]call{u.defaultAction(signal), request, ready.send(u)}, u.waitLong()...)
	}
	return calls, &parentRelease{release, ready}, nil
}

type parentRelease struct {
	*channel
	ready *channel
}

func (u *undertaker) releaseParent(child *announcedChild, parent *victim, release *parentRelease, parentPID int) error {
	if err := becomeSubreaper(); err != nil {
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
	if err := release.signal(); err != nil {
		return err
	}
	return u.reapWithParent(v, parent)
}

// waitForChild waits until a child has exited or stopped, and does not reap it.
func waitForChild(event uintptr) call {
	return call{number: unix.SYS_WAITID, args: [6]uintptr{unix.P_ALL, 0, 0, event | unix.WNOWAIT}}
}

// orphanedAndStopped: when a stopped process group becomes orphaned, the kernel sends it SIGHUP (POSIX, exit(3)). No terminal is involved.
func orphanedAndStopped(u *undertaker) error {
	if err := becomeSubreaper(); err != nil {
		return err
	}
	ownGroup := call{number: unix.SYS_SETPGID}
	stop := call{number: unix.SYS_KILL, args: [6]uintptr{0, uintptr(unix.SIGSTOP)}} // its process group, which has only this process
	child, start, err := u.inAnnouncedChild(0, append([]call{u.defaultAction(unix.SIGHUP), ownGroup, stop}, u.waitLong()...)...)
	if err != nil {
		return err
	}
	calls := append([]call{{number: unix.SYS_SETSID}}, start...)
	parent, err := u.bare(0, append(calls, waitForChild(unix.WSTOPPED), exitGroup(0))...)
	if err != nil {
		return err
	}
	v, err := child.victim(u, 0) // the parent changes during the termination
	if err != nil {
		return err
	}
	return u.reapWithParent(v, parent)
}

// childExitSignal: the exit of a child may send its parent a signal other than SIGCHLD, which may kill the parent.
func childExitSignal(u *undertaker) error {
	child := call{number: unix.SYS_CLONE, args: [6]uintptr{uintptr(unix.SIGUSR1)}, zero: list(exitGroup(0))}
	v, err := u.bare(0, append([]call{u.defaultAction(unix.SIGUSR1), child}, u.waitLong()...)...)
	if err != nil {
		return err
	}
	return u.reap(v, nil)
}
