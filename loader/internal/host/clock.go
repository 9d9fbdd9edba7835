// SPDX-License-Identifier: Apache-2.0

package host

import (
	"math"

	"golang.org/x/sys/unix"
)

const (
	// offsetReadings is the most readings for one offset. The first that took at most offsetExactNs is the last.
	offsetReadings = 16
	offsetExactNs  = 20_000
)

// ClockOffsetNs returns CLOCK_REALTIME - CLOCK_BOOTTIME now, in nanoseconds: what to add to a kernel timestamp for wall time.
func ClockOffsetNs() int64 { return clockOffset(clockNs) }

// BoottimeNs returns CLOCK_BOOTTIME.
func BoottimeNs() uint64 { return uint64(clockNs(unix.CLOCK_BOOTTIME)) }

// clockOffset reads the two clocks one after the other. The thread may be preempted in between, on a busy machine for half a second, so the
// reading that took the least time is used. Its error is at most half of that time.
func clockOffset(read func(clock int32) int64) (offsetNs int64) {
	for tries, least := offsetReadings, int64(math.MaxInt64); tries > 0 && least > offsetExactNs; tries-- {
		before, wall, after := read(unix.CLOCK_BOOTTIME), read(unix.CLOCK_REALTIME), read(unix.CLOCK_BOOTTIME)
		if took := after - before; took < least {
			least, offsetNs = took, wall-before-took/2
		}
	}
	return offsetNs
}

func clockNs(clock int32) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		panic(err) // It fails only for an unknown clock.
	}
	return now.Nano()
}

// SuspendedNs returns CLOCK_BOOTTIME - CLOCK_MONOTONIC: how long the machine was suspended since its boot.
func SuspendedNs() uint64 {
	return uint64(max(0, clockOffset(func(clock int32) int64 {
		if clock == unix.CLOCK_REALTIME {
			return clockNs(unix.CLOCK_BOOTTIME)
		}
		return clockNs(unix.CLOCK_MONOTONIC)
	})))
}
