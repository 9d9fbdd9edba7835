// SPDX-License-Identifier: Apache-2.0

package host

import (
	"math"

	"golang.org/x/sys/unix"
)

const (
	// offsetReadings is the number of readings for one offset; an earlier one that took at most offsetExactNs ends them.
	offsetReadings = 16
	offsetExactNs  = 20_000
)

// ClockOffsetNs is CLOCK_REALTIME - CLOCK_BOOTTIME now. Added to a kernel timestamp, it gives wall time.
func ClockOffsetNs() int64 { return clockOffset(clockNs) }

// clockOffset reads the two clocks one after the other. The reader may be preempted in between, on a busy machine for half a second, so
// the reading that took the least time counts. It is wrong by at most half of that time.
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
