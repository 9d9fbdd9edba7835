// Cases in which a signal does not end its receiver at once, because that one blocks it.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// blocker is a process that blocks a signal until it is released.
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
	v, err := u.bare(0, u.defaultAction(signal), u.block(signal), ready.say(u), release.listen(u), u.block(0), exitGroup(anExitOf1))
	if err != nil {
		return nil, err
	}
	return &blocker{v, release}, ready.await()
}

func (b *blocker) unblock() error {
	b.markBefore()
	return b.release.free()
}

// firstOfTwoSenders lets two killers send SIGTERM to a process that blocks it. When it no longer does, the first one's counts:
// the kernel keeps one pending instance and drops the second.
func firstOfTwoSenders(u *undertaker) error {
	v, err := u.startBlocker(unix.SIGTERM)
	if err != nil {
		return err
	}
	first, err := u.hire(0)
	if err != nil {
		return err
	}
	second, err := u.hire(0)
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
	return u.bury(v.victim, &first.actor)
}

// blockedAndSenderGone ends by a signal whose sender is long dead and gone when it comes true.
func blockedAndSenderGone(signal syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startBlocker(signal)
		if err != nil {
			return err
		}
		k, err := u.hire(0)
		if err != nil {
			return err
		}
		if err := k.order("kill", v.PID, int(signal)); err != nil {
			return err
		}
		if err := k.dismiss(); err != nil {
			return err
		}
		if err := v.unblock(); err != nil {
			return err
		}
		return u.bury(v.victim, &k.actor)
	}
}
