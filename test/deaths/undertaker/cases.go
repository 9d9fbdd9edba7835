// The table of all cases, and the functions for cases that need only a victim and a killer.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"slices"
	"syscall"
)

type deathCase struct {
	name string
	run  func(u *undertaker) error
}

// nobody is a user id that owns nothing on any machine.
const nobody = 65534

var cases = slices.Concat(statusCases, senderCases, kernelCases, handledCases, stoppedCases, gracefulCases, worldCases)

func byItself(args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.start(args...)
		if err != nil {
			return err
		}
		return u.reap(v, nil)
	}
}

// victimAndKiller starts mortal with these arguments, and a killer.
func (u *undertaker) victimAndKiller(args ...string) (*victim, *killerHandle, error) {
	v, err := u.startReady(args...)
	if err != nil {
		return nil, nil, err
	}
	k, err := u.startKiller(0)
	return v, k, err
}

// killed starts mortal with these arguments and orders a killer to send it the signal. order: the kind of system call (killer.go).
func killed(order string, signal syscall.Signal, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, k, err := u.victimAndKiller(args...)
		if err != nil {
			return err
		}
		return u.killedBy(v, k, order, v.PID, int(signal))
	}
}
