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
	// pidReusePause sets their starts apart by more than the clock ticks of /proc/PID/stat and the clocks' own difference.
	pidReusePause = 50 * time.Millisecond
)

func pidReuse(u *undertaker) error {
	for range pidReuseTries {
		u.deaths = nil
		if err := byItself("exit", "3")(u); err != nil {
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
	return fmt.Errorf("somebody else took the pid, %d times", pidReuseTries)
}
