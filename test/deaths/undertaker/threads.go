// Cases in which threads exit one after the other, or at once. They are bare processes, because the threads of a runtime would outlive
// them.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// oneAfterTheOther is the delay between the exits of two threads.
	oneAfterTheOther = 50 * time.Millisecond
	manyThreads      = 32
	exitRaces        = 50
	racingThreads    = 3

	// include/uapi/linux/futex.h
	futexWaitPrivate = 128
	futexWakePrivate = 129
)

// leaderThenWorker: the first thread exits with the one call, then a second thread with the other.
func leaderThenWorker(leader, worker call) func(u *undertaker) []call {
	return func(u *undertaker) []call {
		return []call{inThread(u.sleep(oneAfterTheOther), worker), leader}
	}
}

func workerThenLeader(u *undertaker) []call {
	return []call{inThread(exitThread(9)), u.sleep(oneAfterTheOther), exitThread(5)}
}

// manyThreadsExit: each thread calls exit(2) with its own code.
func manyThreadsExit(u *undertaker) []call {
	var calls []call
	for i := range manyThreads {
		calls = append(calls, inThread(u.sleep(oneAfterTheOther), exitThread(uintptr(100+i))))
	}
	return append(calls, u.sleep(oneAfterTheOther), exitThread(5))
}

func leaderGoneThenKilled(u *undertaker) error {
	v, err := u.bare(0, inThread(u.waitLong()...), exitThread(5))
	if err != nil {
		return err
	}
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	time.Sleep(oneAfterTheOther)
	v.markBefore()
	if err := k.order("kill", v.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.reap(v, &k.actor)
}

// exitRace wakes threads that exit with code 0 while the first one calls exit_group(3). It repeats this, because only some of the races
// are close.
func exitRace(u *undertaker) error {
	gate := u.hold(make([]byte, 4))
	futex := func(operation, value uintptr) call {
		return call{number: unix.SYS_FUTEX, args: [6]uintptr{gate, operation, value}}
	}
	const all = 1 << 30
	for range exitRaces {
		var calls []call
		for range racingThreads {
			calls = append(calls, inThread(futex(futexWaitPrivate, 0), exitThread(0)))
		}
		calls = append(calls, u.sleep(time.Millisecond), futex(futexWakePrivate, all), exitGroup(3))
		v, err := u.bare(0, calls...)
		if err != nil {
			return err
		}
		if err := u.reap(v, nil); err != nil {
			return err
		}
	}
	return nil
}

// execInThread executes mortal again, with other arguments, before it terminates.
func execInThread(way ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.start(append([]string{"exec-in-thread"}, way...)...)
		if err != nil {
			return err
		}
		v.Args = append([]string{"mortal"}, way...)
		return u.reap(v, nil)
	}
}

// vforked is a child of vfork(2): it shares the memory of its parent, which waits for it.
func vforked(calls func(u *undertaker) []call) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.bare(unix.CLONE_VM|unix.CLONE_VFORK, calls(u)...)
		if err != nil {
			return err
		}
		return u.reap(v, nil)
	}
}

// noSuchProgram has the calls of posix_spawn(3) for a program that does not exist.
func noSuchProgram(u *undertaker) []call {
	path := u.hold([]byte("/no/such/program\x00"))
	return []call{execve(path, u.pointers(path, 0), u.pointers(0)), exitGroup(127)}
}
