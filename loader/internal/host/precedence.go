// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// sliceNs is the shortest time slice that the kernel takes. Since Linux 6.12 it shortens the wait for a processor, without a privilege.
	sliceNs = 100_000
	// nice of a process that runs soon.
	nice = -20
)

// RunSoon makes this process wait less for a processor when it has something to do, as far as it may: by its nice value (CAP_SYS_NICE, or
// RLIMIT_NICE), and by short time slices. Threads and processes that it starts inherit that.
func RunSoon() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("run soon: %w", err)
	}
	errs := []error{}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = setFirst(tid, unix.SchedAttr{Runtime: sliceNs})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// RunFirst makes the calling thread run before those of all programs that are not real-time programs, if it may (CAP_SYS_NICE, or RLIMIT_RTPRIO);
// else it does what RunSoon does. Threads and processes that it starts do not inherit that.
func RunFirst() error {
	const forgotten = unix.SCHED_FLAG_RESET_ON_FORK
	return setFirst(0,
		unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1, Flags: forgotten},
		unix.SchedAttr{Nice: nice, Runtime: sliceNs, Flags: forgotten},
		unix.SchedAttr{Runtime: sliceNs, Flags: forgotten},
	)
}

// setFirst sets the first of the attributes that the kernel takes.
func setFirst(tid int, attributes ...unix.SchedAttr) (err error) {
	for _, one := range attributes {
		one.Size = unix.SizeofSchedAttr
		if err = unix.SchedSetAttr(tid, &one, 0); err == nil {
			return nil
		}
	}
	return fmt.Errorf("set the scheduling of a thread: %w", err)
}
