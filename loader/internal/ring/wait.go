// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

const (
	// After records came, restMin to restMax pass before the probes are asked for another wake-up. Each wake-up is an interrupt on the
	// processor of the terminating process, a round of the loader and a transaction of the service; in a storm, 20 a second are enough.
	restMin = 4 * time.Millisecond
	restMax = 50 * time.Millisecond
	// restPerKiB of records that came: with some six records in one rest, the next one is twice as long. It is restMin if more than
	// size/restShare came: records that are not read take room in the ring.
	restPerKiB = time.Millisecond
	restShare  = 16
	// sleepMax ends a sleep for which the probes could not send a wake-up, because the ring was full to the last byte.
	sleepMax = 5 * time.Second
)

// Wait calls wake after each time that records came, until the context ends. At most one call may run.
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
		// A record that came before the flag was set sent no wake-up. One that was busy then is committed when its wake-up comes.
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

// restAfter is how long to rest after so many bytes came.
func (r *Ring) restAfter(bytes uint64) time.Duration {
	if bytes > r.size/restShare {
		return restMin
	}
	return min(restMin+time.Duration(bytes>>10)*restPerKiB, restMax)
}
