// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

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

// ClockSteps show when the wall clock is set, by settimeofday(2) or a step of NTP: a timer that never expires, and is cancelled then.
type ClockSteps struct{ timer *os.File }

// OpenClockSteps returns what Watch watches (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
func OpenClockSteps() (*ClockSteps, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch the wall clock: %w", err)
	}
	steps := &ClockSteps{os.NewFile(uintptr(fd), "timerfd")}
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt32}}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("watch the wall clock: %w", err), steps.timer.Close())
	}
	return steps, nil
}

// Watch calls set after each step of the wall clock, until the context ends; then it closes the timer and returns nil.
func (c *ClockSteps) Watch(ctx context.Context, set func()) error {
	defer c.timer.Close()
	stop := context.AfterFunc(ctx, func() { c.timer.SetReadDeadline(time.Now()) })
	defer stop()
	for ctx.Err() == nil {
		_, err := c.timer.Read(make([]byte, 8))
		switch {
		case errors.Is(err, unix.ECANCELED):
			set()
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("watch the wall clock: %w", err)
		}
	}
	return nil
}
