// SPDX-License-Identifier: Apache-2.0

// The offset between two clocks of the kernel: the probes tell the time since boot, people want that of the day.
package main

import (
	"math"

	"golang.org/x/sys/unix"
)

const (
	// offsetReadings are made for one offset, until one is as exact as offsetExactNs.
	offsetReadings = 16
	offsetExactNs  = 20_000
)

// clockOffsetNs is CLOCK_REALTIME - CLOCK_BOOTTIME now: what turns the kernel's times into wall time.
func clockOffsetNs() int64 { return clockOffset(clockNs) }

// clockOffset reads the clocks one after the other, and whoever reads may be interrupted in between, on a busy machine for half a
// second: the reading that took the least counts, and is wrong by at most half of what it took.
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
		panic(err) // it fails for an unknown clock only
	}
	return now.Nano()
}
