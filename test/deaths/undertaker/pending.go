// Cases in which a signal stays pending because the receiver blocks it.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// blocker is a process that blocks a signal until unblock is called.
type blocker struct {
	*victim
	release *channel
}

// startBlocker returns when the signal is blocked.
func (u *undertaker) startBlocker(signal syscall.Signal) (*blocker, error) {
	ready, err := u.newChannel()
	if err != nil {
		return nil, err
	}
	release, err := u.newChannel()
	if err != nil {
		return nil, err
	}
	v, err := u.bare(0, u.defaultAction(signal), u.block(signal), ready.send(u), release.receive(u), u.block(0), exitGroup(anExitOf1))
	if err != nil {
		return nil, err
	}
	return &blocker{v, release}, ready.await()
}

func (b *blocker) unblock() error {
	b.markBefore()
	return b.release.signal()
}

// firstOfTwoSenders: two killers send SIGTERM to a process that blocks it. When it is unblocked, the first sender counts: the kernel keeps
// one pending instance and drops the second.
func firstOfTwoSenders(u *undertaker) error {
	v, err := u.startBlocker(unix.SIGTERM)
	if err != nil {
		return err
	}
	first, err := u.startKiller(0)
	if err != nil {
		return err
	}
	second, err := u.startKiller(0)
	if err != nil {
		return err
	}
	for _, k := range []*killerHandle{first, second} {
		if err := k.order("kill", v.PID, int(unix.SIGTERM)); err != nil {
			return err
		}
	}
	if err := v.unblock(); err != nil {
		return err
	}
	return u.reap(v.victim, &first.actor)
}

// blockedAndSenderGone: the sender has exited and was reaped when its signal is delivered.
func blockedAndSenderGone(signal syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startBlocker(signal)
		if err != nil {
			return err
		}
		k, err := u.startKiller(0)
		if err != nil {
			return err
		}
		if err := k.order("kill", v.PID, int(signal)); err != nil {
			return err
		}
		if err := k.stop(); err != nil {
			return err
		}
		if err := v.unblock(); err != nil {
			return err
		}
		return u.reap(v.victim, &k.actor)
	}
}
