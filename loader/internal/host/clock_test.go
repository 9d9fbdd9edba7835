// SPDX-License-Identifier: Apache-2.0
package host

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheClockOffsetIsFromAReadingWithoutPreemption(t *testing.T) {
	const offset, step, interruption = 1_000_000_000_000, 100, 500_000_000
	for _, interrupted := range [][]int{{}, {1}, {2}, {1, 4}, {2, 5, 7}} {
		var boot int64
		reads := 0
		got := clockOffset(func(clock int32) int64 {
			boot += step
			for _, at := range interrupted {
				if at == reads {
					boot += interruption
				}
			}
			reads++
			if clock == unix.CLOCK_REALTIME {
				return boot + offset
			}
			return boot
		})
		if off := got - offset; off < -step || off > step {
			t.Errorf("interrupted before the readings %v: the offset is wrong by %d ns", interrupted, off)
		}
	}
}

func TestTheErrorOfTheClockOffsetIsAtMostHalfOfTheQuickestReading(t *testing.T) {
	const offset, slow = 1_000_000_000_000, 1_000_000
	var boot int64
	got := clockOffset(func(clock int32) int64 {
		boot += slow
		if clock == unix.CLOCK_REALTIME {
			return boot + offset
		}
		return boot
	})
	if off := got - offset; off < -slow || off > slow {
		t.Errorf("the offset is wrong by %d ns", off)
	}
}
