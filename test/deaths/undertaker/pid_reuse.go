// Two processes with the same pid, one soon after the other: a bare pid must never be the key of anything.
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
	lastPidPath   = "/proc/sys/kernel/ns_last_pid" // the next process gets the number after the one written here
	pidReuseTries = 50
	// pidReusePause sets their starts apart by more than twice what the clocks of an emulated machine may differ by (test/kernels), and a
	// clock tick: so it is clear which record is about which.
	pidReusePause = 250 * time.Millisecond
)

// pidReuse lets the first one end in the given way, and the second one, with its pid, exit with code 4.
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
