// Forks of the undertaker that execute nothing: the shortest possible lifetimes.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	shortLifetime      = time.Millisecond
	shortLifetimeTries = 50
)

// underAMillisecond repeats until fork, exit and wait together took less than a millisecond.
func underAMillisecond(u *undertaker) error {
	for range shortLifetimeTries {
		before := wallNs()
		v, err := u.bare(0, exitGroup(3))
		if err != nil {
			return err
		}
		if err := awaitZombie(v.PID); err != nil {
			return err
		}
		if wallNs()-before < int64(shortLifetime) {
			return u.reap(v, nil)
		}
		if err := v.reapUnrecorded(); err != nil {
			return err
		}
	}
	return fmt.Errorf("none of %d processes ran for less than %s", shortLifetimeTries, shortLifetime)
}

// forks starts count processes that exit with code 0, one after the other, and prints how many did.
func forks(count int) error {
	normal := 0
	for range count {
		pid := cloneThatCalls(uintptr(unix.SIGCHLD), list(exitGroup(0)))
		if pid < 0 {
			return fmt.Errorf("fork %d of %d: %w", normal, count, syscall.Errno(-pid))
		}
		var status syscall.WaitStatus
		var err error
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
