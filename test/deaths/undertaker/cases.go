// The table of all cases, and what makes those that need no more than a victim and a killer.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"slices"
	"syscall"
)

type deathCase struct {
	name   string
	happen func(u *undertaker) error
}

// nobody is a user id that owns nothing, on every machine.
const nobody = 65534

var cases = slices.Concat(statusCases, senderCases, kernelCases, handledCases, worldCases)

func byItself(args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.start(args...)
		if err != nil {
			return err
		}
		return u.bury(v, nil)
	}
}

// victimAndKiller starts a victim that lives in the given way, and a process that is to kill it.
func (u *undertaker) victimAndKiller(args ...string) (*victim, *killerHandle, error) {
	v, err := u.startReady(args...)
	if err != nil {
		return nil, nil, err
	}
	k, err := u.hire(0)
	return v, k, err
}

// killed lets a killer send the signal, in the way that its order names, to a victim that lives in the given way.
func killed(order string, signal syscall.Signal, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, k, err := u.victimAndKiller(args...)
		if err != nil {
			return err
		}
		return u.killedBy(v, k, order, v.PID, int(signal))
	}
}
