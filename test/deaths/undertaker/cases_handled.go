// Cases in which a signal is handled or ignored before the termination.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var handledCases = []deathCase{
	{"panic", byItself("panic")},
	{"panic-abort", panicAbort},
	{"fault-handler-exits", byItself("handle", "SIGSEGV", "exits", "segfault")},
	{"fault-handler-returns", byItself("handle", "SIGSEGV", "returns", "segfault")},
	{"fault-handler-raises", byItself("handle", "SIGSEGV", "raises", "segfault")},
	{"fault-handler-without-stack", byItself("handle", "SIGSEGV", "without-stack", "segfault")},
	{"sigsegv-handler-raises", killed("kill", unix.SIGSEGV, "handle", "SIGSEGV", "raises", "wait")},
	{"sigabrt-handler-raises", killed("kill", unix.SIGABRT, "handle", "SIGABRT", "raises", "wait")},
	{"sigabrt-handler-exits", killed("kill", unix.SIGABRT, "handle", "SIGABRT", "exits", "wait")},
	{"sigterm-handler-raises", killed("kill", unix.SIGTERM, "handle", "SIGTERM", "raises", "wait")},
	{"sigterm-in-go-runtime", killed("kill", unix.SIGTERM, "wait-caught")},
	{"sigterm-then-exit-1", killed("kill", unix.SIGTERM, "exit-on", "SIGTERM", "1")},
	{"sigterm-then-exit-143", killed("kill", unix.SIGTERM, "exit-on", "SIGTERM", "143")},
	{"sighup-then-exit-1", killed("kill", unix.SIGHUP, "exit-on", "SIGHUP", "1")},
	{"ctrl-c-then-exit-130", onTerminal(typed(keyInterrupt), "exit-on", "SIGINT", "130")},
	{"hangup-then-exit-1", onTerminal(hungUp, "exit-on", "SIGHUP", "1")},
	{"sigterm-then-segfault", killed("kill", unix.SIGTERM, "catch-then", "SIGTERM", "segfault")},
	{"sigterm-ignored-then-sigkill", twoSenders(unix.SIGTERM, unix.SIGKILL, pause, "ignore-term")},
	{"sigterm-handled-then-sigkill", twoSenders(unix.SIGTERM, unix.SIGKILL, (*victim).awaitReady, "catch-then", "SIGTERM", "wait")},
	{"two-requests", twoSenders(unix.SIGHUP, unix.SIGTERM, (*victim).awaitReady, "catch-then", "SIGHUP", "exit-on", "SIGTERM", "1")},
}

// grace is a grace period as service managers have it, but shorter.
const grace = 50 * time.Millisecond

func pause(*victim) error {
	time.Sleep(grace)
	return nil
}

// twoSenders has two killers send one signal each and calls between in the meantime. The second signal terminates the victim.
func twoSenders(first, second syscall.Signal, between func(v *victim) error, way ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, k, err := u.victimAndKiller(way...)
		if err != nil {
			return err
		}
		other, err := u.startKiller(0)
		if err != nil {
			return err
		}
		if err := other.order("kill", v.PID, int(first)); err != nil {
			return err
		}
		if err := between(v); err != nil {
			return err
		}
		return u.killedBy(v, k, "kill", v.PID, int(second))
	}
}

func panicAbort(u *undertaker) error {
	v, err := u.launch(launch{args: []string{"mortal", "panic"}, env: []string{"GOTRACEBACK=crash"}})
	if err != nil {
		return err
	}
	return u.reap(v, nil)
}
