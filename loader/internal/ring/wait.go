// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// After records arrived, restMin to restMax pass before the probes are asked for another wake-up. Each wake-up is an interrupt on the
	// CPU of the terminating process, one round of the loader and one transaction of the service; in a storm, 20 per second are enough.
	restMin = 4 * time.Millisecond
	restMax = 50 * time.Millisecond
	// restPerKiB is added for each KiB that arrived: about six records in one rest double the next one. If more than size/restShare
	// arrived, the rest is restMin: records that are not read occupy the ring.
	restPerKiB = time.Millisecond
	restShare  = 16
	// sleepMax ends a sleep for which the probes could not send a wake-up, because the ring was full to the last byte.
	sleepMax = 5 * time.Second
)

// Wait calls wake whenever records have arrived, and at least every sleepMax, until the context ends; then it returns nil. At most one call
// may run.
func (r *Ring) Wait(ctx context.Context, wake func()) error {
	wakeups, err := r.wakeups.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for the ring: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { r.wakeups.SetReadDeadline(time.Now()) })
	defer stop()
	seen := r.Written()
	for {
		if err := r.wakeups.SetReadDeadline(time.Now().Add(sleepMax)); err != nil {
			return fmt.Errorf("wait for the ring: %w", err)
		}
		if ctx.Err() != nil { // AfterFunc set a deadline, which the line above may have replaced.
			return nil
		}
		atomic.StoreUint32(r.waits, 1)
		// A record written before the flag was set sent no wake-up. One that was busy when a reader came to it may be such a record, too: the
		// reader looks at it again.
		polled := false
		err := wakeups.Read(func(uintptr) bool { again := polled; polled = true; return again || r.Written() != seen })
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("wait for the ring: %w", err)
		}
		atomic.StoreUint32(r.waits, 0)
		before := seen
		seen = r.Written()
		wake()
		time.Sleep(r.restAfter(seen - before))
	}
}

// WaitHere calls wake whenever the probes have sent a wake-up, and at least every sleepMax, until stop is readable; then it returns nil. It waits on
// the calling thread and does not rest: for what is lost unless it is taken at once. It acknowledges everything, so it is for a ring without
// records.
func (r *Ring) WaitHere(stop *os.File, wake func()) error {
	polled := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}, {Fd: int32(stop.Fd()), Events: unix.POLLIN}}
	for {
		timeout := unix.NsecToTimespec(sleepMax.Nanoseconds()) // ppoll(2) changes it
		atomic.StoreUint32(r.waits, 1)
		_, err := unix.Ppoll(polled, &timeout, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for the ring: %w", err)
		}
		atomic.StoreUint32(r.waits, 0)
		if err == nil && polled[1].Revents != 0 {
			return nil
		}
		r.Ack(r.Written())
		wake()
	}
}

// restAfter returns how long to rest after this many bytes arrived.
func (r *Ring) restAfter(bytes uint64) time.Duration {
	if bytes > r.size/restShare {
		return restMin
	}
	return min(restMin+time.Duration(bytes>>10)*restPerKiB, restMax)
}
