// Cases of special senders: already exited, with many ancestors, setuid, or in the signalled group themselves.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	roleRelay = "relay" // a process between the undertaker and a killer
	// chainOfRelays is longer than the ancestors in a record.
	chainOfRelays = ancestorsMax + 2
)

// relay starts the next relay, or a killer at the end of the chain, and waits for it.
func relay(args []string) error {
	left, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	next := []string{roleKiller, "0"}
	if left > 1 {
		next = []string{roleRelay, strconv.Itoa(left - 1)}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, next...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func chainOfSenders(u *undertaker) error {
	v, err := u.startReady("wait")
	if err != nil {
		return err
	}
	k, err := u.startKillerWith(exec.Command(u.self, roleRelay, strconv.Itoa(chainOfRelays)))
	if err != nil {
		return err
	}
	return u.killedBy(v, k, "kill", v.PID, int(unix.SIGTERM))
}

// killedBy sends the killer the order that terminates the victim, and reaps the victim.
func (u *undertaker) killedBy(v *victim, k *killerHandle, order ...any) error {
	v.markBefore()
	if err := k.order(order...); err != nil {
		return err
	}
	return u.reap(v, &k.actor)
}

// setuidSender is started by an unprivileged user and runs as root: the record must have the effective user.
func setuidSender(u *undertaker) error {
	path, err := u.setuidCopy(u.self)
	if err != nil {
		return err
	}
	v, err := u.startReady("wait")
	if err != nil {
		return err
	}
	cmd := exec.Command(path, roleKiller, "0")
	cmd.SysProcAttr = asNobody()
	k, err := u.startKillerWith(cmd)
	if err != nil {
		return err
	}
	return u.killedBy(v, k, "kill", v.PID, int(unix.SIGKILL))
}

// child is the actor for a fork of the undertaker.
func (u *undertaker) child(pid int) (*actor, error) {
	who, err := readActor(os.Getpid())
	if err != nil {
		return nil, err
	}
	who.Ancestors = append([]ancestor{who.asAncestor()}, who.Ancestors...)
	who.Ancestors = who.Ancestors[:min(len(who.Ancestors), ancestorsMax)]
	who.PID = pid
	return who, nil
}

// senderGone: the sender has exited and was reaped before a reader of /proc could see it.
func senderGone(u *undertaker) error {
	v, err := u.startReady("wait")
	if err != nil {
		return err
	}
	v.markBefore()
	kill := call{number: unix.SYS_KILL, args: [6]uintptr{uintptr(v.PID), uintptr(unix.SIGTERM)}}
	sender, err := u.bare(0, kill, exitGroup(0))
	if err != nil {
		return err
	}
	if err := sender.reapUnrecorded(); err != nil {
		return err
	}
	who, err := u.child(sender.PID)
	if err != nil {
		return err
	}
	return u.reap(v, who)
}

// killedByChild: the victim is a relay, and its child is the killer.
func killedByChild(u *undertaker) error {
	reader, orders, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	u.atClose = append(u.atClose, func() { _ = orders.Close() })
	v, err := u.launch(launch{exe: u.self, args: []string{u.self, roleRelay, "1"}, stdin: reader})
	if err != nil {
		return err
	}
	var pid int
	if _, err := fmt.Fscanln(v.out, &pid); err != nil {
		return err
	}
	who, err := readActor(pid)
	if err != nil {
		return err
	}
	v.markBefore()
	if _, err := fmt.Fprintln(orders, "kill", v.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.reap(v, who)
}

// ownGroup: a process sends SIGTERM to its process group, which has one other member.
func ownGroup(u *undertaker) error {
	other, start, err := u.inAnnouncedChild(unix.CLONE_PARENT, u.waitLong()...)
	if err != nil {
		return err
	}
	calls := append([]call{{number: unix.SYS_SETPGID}, u.defaultAction(unix.SIGTERM)}, start...)
	v, err := u.bare(0, append(calls, call{number: unix.SYS_KILL, args: [6]uintptr{0, uintptr(unix.SIGTERM)}}, exitGroup(anExitOf1))...)
	if err != nil {
		return err
	}
	neighbour, err := other.victim(u, os.Getpid())
	if err != nil {
		return err
	}
	neighbour.BeforeUnixNs = v.BeforeUnixNs
	if err := u.reap(v, nil); err != nil {
		return err
	}
	who, err := u.child(v.PID)
	if err != nil {
		return err
	}
	return u.reap(neighbour, who)
}

// zombieSignalled: the victim has exited and was not reaped yet when the signals arrive.
func zombieSignalled(u *undertaker) error {
	v, k, err := u.victimAndKiller("exit-on", "SIGUSR1", "3")
	if err != nil {
		return err
	}
	v.markBefore()
	if err := unix.Kill(v.PID, unix.SIGUSR1); err != nil {
		return err
	}
	if err := awaitZombie(v.PID); err != nil {
		return err
	}
	for _, signal := range []syscall.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := k.order("kill", v.PID, int(signal)); err != nil {
			return err
		}
	}
	return u.reap(v, nil)
}

const (
	dumpMiB      = 48
	dumpMiBLimit = 400
	dumpPoll     = 200 * time.Microsecond
)

// dumpInterrupted kills a process that is writing its core. If the dump finished too soon, the next process has more memory to write.
func dumpInterrupted(u *undertaker) error {
	if err := allowCore(); err != nil {
		return err
	}
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	for mib := dumpMiB; mib <= dumpMiBLimit; mib *= 2 {
		v, err := u.startReady("segfault-with-memory", strconv.Itoa(mib))
		if err != nil {
			return err
		}
		for {
			dumping, err := readStatusNumbers(v.PID, "CoreDumping")
			if err != nil {
				return err
			}
			if dumping[0] == 1 {
				break
			}
			if ended, err := isZombie(v.PID); err != nil || ended {
				return fmt.Errorf("no core of process %d was written: %w", v.PID, err)
			}
			time.Sleep(dumpPoll)
		}
		v.markBefore()
		if err := k.order("kill", v.PID, int(unix.SIGKILL)); err != nil {
			return err
		}
		if err := u.reap(v, &k.actor); err != nil {
			return err
		}
		if *u.deaths[0].Signal == int(unix.SIGKILL) {
			return nil
		}
		u.discard()
	}
	return fmt.Errorf("every core was complete before the signal arrived, up to %d MiB", dumpMiBLimit)
}
