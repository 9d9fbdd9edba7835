// SPDX-License-Identifier: Apache-2.0

// Package hosttest changes the machine for a test, as little as possible.
package hosttest

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// SetClock sets the wall clock by a nanosecond.
func SetClock(t *testing.T) {
	t.Helper()
	_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}})
	if errors.Is(err, unix.EPERM) {
		t.Skip("setting the clock needs CAP_SYS_TIME")
	}
	if err != nil {
		t.Fatal(err)
	}
}
