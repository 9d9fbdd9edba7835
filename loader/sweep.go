// SPDX-License-Identifier: Apache-2.0

// What is remembered of a process is deleted by its exit. Where the kernel skipped that, and counted it (`missed`), this deletes it,
// or the maps would fill up in the course of years.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// hostPidNamespace is PROC_PID_INIT_INO of include/linux/proc_ns.h: elsewhere a pid of the kernel says nothing.
const hostPidNamespace = "pid:[4026531836]"

// Sweep deletes what is remembered of processes that are gone. Those lived when it was written, so if no process has the pid now, the
// exit has come and gone; a pid in use again waits for another time. The count in `remembered` stays one too high, as the probes
// alone may change it: that costs the exits of one slot in 16,384 a look-up.
func (p *Probes) Sweep() (swept int, err error) {
	if namespace, err := os.Readlink("/proc/self/ns/pid"); err != nil || namespace != hostPidNamespace {
		return 0, err
	}
	for _, from := range []*ebpf.Map{p.memories, p.ooms} {
		var gone []bpfProcessKey
		var key bpfProcessKey
		entries := from.Iterate()
		for value := make([]byte, from.ValueSize()); entries.Next(&key, &value); {
			if errors.Is(unix.Kill(int(key.Pid), 0), unix.ESRCH) {
				gone = append(gone, key)
			}
		}
		if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
			return swept, fmt.Errorf("look through what is remembered: %w", err)
		}
		for _, key := range gone {
			if err := from.Delete(key); err == nil {
				swept++
			} else if !errors.Is(err, ebpf.ErrKeyNotExist) {
				return swept, fmt.Errorf("delete what is remembered of pid %d: %w", key.Pid, err)
			}
		}
	}
	return swept, nil
}
