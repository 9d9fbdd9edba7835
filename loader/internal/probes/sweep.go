// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

// seesPids reports whether kill(2) finds the pids of the maps: in the initial pid namespace, whose number is PROC_PID_INIT_INO of
// include/linux/proc_ns.h.
func seesPids() bool {
	namespace, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && namespace == "pid:[4026531836]"
}

// Sweep deletes the facts about processes that no longer exist, and returns the number of entries. The exit probe does that, but the kernel
// may skip it (Lost.Missed), and over years the maps would fill up. An entry whose pid is not in use now belongs to a process that has exited.
// If the pid is in use again, the entry stays until a later sweep. The count in pending_counts stays one too high, because only the probes may
// change it: exits of that slot (one in 16,384) cost a lookup more. Outside of the initial pid namespace, Sweep does nothing.
func (p *Probes) Sweep() (swept int, err error) {
	if !p.seesPids {
		return 0, nil
	}
	for _, facts := range []*ebpf.Map{p.pendingFacts, p.ooms} {
		n, err := sweepMap(facts)
		swept += n
		if err != nil {
			return swept, err
		}
	}
	return swept, nil
}

func sweepMap(facts *ebpf.Map) (swept int, err error) {
	var gone []abi.ProcessKey
	var key abi.ProcessKey
	entries := facts.Iterate()
	for value := make([]byte, facts.ValueSize()); entries.Next(&key, &value); {
		if errors.Is(unix.Kill(int(key.Pid), 0), unix.ESRCH) {
			gone = append(gone, key)
		}
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return 0, fmt.Errorf("list the pending facts: %w", err)
	}
	for _, key := range gone {
		if err := facts.Delete(key); err == nil {
			swept++
		} else if !errors.Is(err, ebpf.ErrKeyNotExist) {
			return swept, fmt.Errorf("delete the pending facts of pid %d: %w", key.Pid, err)
		}
	}
	return swept, nil
}
