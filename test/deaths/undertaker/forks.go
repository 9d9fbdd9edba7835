// Processes that are forks of the undertaker itself and never execute anything: the shortest lives there are.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	shortLife      = time.Millisecond
	shortLifeTries = 50
)

// forkThatExits is fork(2) with a child that only calls exit_group(2). The child is a copy of this thread alone, so it
// must not touch Go's runtime: raw system calls and nothing else.
//
//go:norace
func forkThatExits(code uintptr) (int, error) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		for {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, code, 0, 0)
		}
	}
	return int(pid), nil
}

// underAMillisecond repeats it until a whole life, with its fork and its wait, took less than that by our own clock.
func underAMillisecond(u *undertaker) error {
	for range shortLifeTries {
		v := &victim{}
		v.Exe, v.Args, v.ParentPID, v.Cgroups = u.self, os.Args, os.Getpid(), u.cgroups
		before := wallNs()
		pid, err := forkThatExits(3)
		if err != nil {
			return err
		}
		if err := awaitZombie(pid); err != nil {
			return err
		}
		after := wallNs()
		v.PID, v.BeforeUnixNs, v.AfterUnixNs = pid, strconv.FormatInt(before, 10), strconv.FormatInt(after, 10)
		if after-before < int64(shortLife) {
			return u.bury(v, nil)
		}
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
			return err
		}
	}
	return fmt.Errorf("none of %d lives was shorter than %s", shortLifeTries, shortLife)
}

// forks lets count processes exit with code 0, one after the other, and prints how many really did.
func forks(count int) error {
	normal := 0
	for range count {
		pid, err := forkThatExits(0)
		if err != nil {
			return fmt.Errorf("fork %d of %d: %w", normal, count, err)
		}
		var status syscall.WaitStatus
		for {
			_, err = syscall.Wait4(pid, &status, 0, nil)
			if err != unix.EINTR {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("wait4(%d): %w", pid, err)
		}
		if status.Exited() && status.ExitStatus() == 0 {
			normal++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{"exited_with_0": normal})
}
