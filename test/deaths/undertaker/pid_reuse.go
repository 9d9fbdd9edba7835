// Two processes with the same pid, one soon after the other: a pid alone must never be a key.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	lastPidPath   = "/proc/sys/kernel/ns_last_pid" // the next process gets the next number
	pidReuseTries = 50
	// pidReusePause separates the two start times by more than twice the clock tolerance of emulated machines (test/kernels) and a clock
	// tick, so that each record matches only one process.
	pidReusePause = 250 * time.Millisecond
)

// pidReuse runs the first case, then a second process with the same pid that exits with code 4.
func pidReuse(first func(u *undertaker) error) func(u *undertaker) error {
	return func(u *undertaker) error { return u.pidReuse(first) }
}

func (u *undertaker) pidReuse(first func(u *undertaker) error) error {
	for range pidReuseTries {
		u.discard()
		if err := first(u); err != nil {
			return err
		}
		time.Sleep(pidReusePause)
		pid := u.deaths[0].PID
		if err := os.WriteFile(lastPidPath, []byte(strconv.Itoa(pid-1)), 0); err != nil {
			return err
		}
		if err := byItself("exit", "4")(u); err != nil {
			return err
		}
		if u.deaths[1].PID == pid {
			return nil
		}
	}
	return fmt.Errorf("another process took the pid, %d times", pidReuseTries)
}
