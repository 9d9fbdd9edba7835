// SPDX-License-Identifier: Apache-2.0

// Replacing the probes of another build without a gap and without a duplicate record. A link of a raw tracepoint cannot be updated, so
// for a while both sets are attached, on the same maps. Both write the facts about a signal, to the same entry. Both run for an exit; the
// first to enter the process in `seen` reports it.

package probes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

// overlapLinger passes between the removal of the old pins and the end of the overlap. The kernel detaches a program some milliseconds
// after its last pin is removed, and an exiting task may be preempted between the two programs.
const overlapLinger = 10 * time.Second

// others returns the paths of the links of other objects, in the order of the hooks.
func (p *Probes) others(digest string) (paths []string, _ error) {
	directories := []string{p.directory}
	for _, former := range p.former {
		directories = append(directories, former.directory)
	}
	for _, hook := range allHooks() {
		for _, directory := range directories {
			pinned, err := filepath.Glob(filepath.Join(directory, hook.program+"-*"))
			if err != nil {
				return nil, fmt.Errorf("list the pinned probes: %w", err)
			}
			for _, path := range pinned {
				if path != p.linkPath(hook.program, digest) {
					paths = append(paths, path)
				}
			}
		}
	}
	return paths, nil
}

// beginOverlap sets the flag if other probes are attached. It must precede the first attachment: which sets run for an exit is decided when
// the tracepoint is reached, and if both run, both must see the flag.
func (p *Probes) beginOverlap(digest string) error {
	others, err := p.others(digest)
	if err != nil || len(others) == 0 {
		return err
	}
	return p.markOverlap(true)
}

// pendingCount is a slot of pending_counts. An array has at least 8 bytes for each value.
type pendingCount struct{ count, _ uint32 }

// markOverlap sets or clears the flag in the slots of all pids, atomically, as the probes change the counts in the same words.
func (p *Probes) markOverlap(overlap bool) error {
	memory, err := mapMemory(p.pendingCounts)
	if err != nil {
		return err
	}
	slots := valuesOf[pendingCount](memory)
	for i := range slots {
		if overlap {
			atomic.OrUint32(&slots[i].count, uint32(abi.PendingCountsSlotOVERLAP))
		} else {
			atomic.AndUint32(&slots[i].count, ^uint32(abi.PendingCountsSlotOVERLAP))
		}
	}
	return unix.Munmap(memory)
}

// slotOf returns the slot of a process (pending_count_of() of bpf/pending_facts.h).
func slotOf(slots []pendingCount, pid uint32) *uint32 {
	return &slots[int(pid)/int(abi.PendingCountsSlotPIDS_PER_SLOT)&(len(slots)-1)].count
}

// countFormer counts the pending facts that an older ABI added, which counted them in other slots. Where it runs twice, or the process exits
// meanwhile, the count is too high: an exit then looks into pending_facts without need.
func (p *Probes) countFormer() error {
	memory, err := mapMemory(p.pendingCounts)
	if err != nil {
		return err
	}
	slots := valuesOf[pendingCount](memory)
	err = p.eachFacts(func(key abi.ProcessKey, holds abi.Holding) {
		if isFormer(holds) {
			atomic.AddUint32(slotOf(slots, key.Pid), 1)
		}
	})
	return errors.Join(err, unix.Munmap(memory))
}

// valuesOf returns the values of an array that mapMemory mapped.
func valuesOf[T any](memory []byte) []T {
	var value T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/int(unsafe.Sizeof(value)))
}

func (p *Probes) overlaps() (bool, error) {
	var slot uint32
	if err := p.pendingCounts.Lookup(uint32(0), &slot); err != nil {
		return false, fmt.Errorf("read pending_counts: %w", err)
	}
	return slot&uint32(abi.PendingCountsSlotOVERLAP) != 0, nil
}

// detachOthers removes the probes of another object.
func (p *Probes) detachOthers(digest string) error {
	others, err := p.others(digest)
	if err != nil {
		return err
	}
	for _, path := range others {
		if err := p.detach(path); err != nil {
			return fmt.Errorf("remove the probe %s of another loader: %w", path, err)
		}
	}
	return nil
}

// detach removes one pinned probe, and adds the kernel's count of its missed runs to the shared counts, which outlive it.
func (p *Probes) detach(path string) error {
	old, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return err
	}
	program := programOf(old)
	if err := errors.Join(os.Remove(path), old.Close()); err != nil || program == nil {
		return err
	}
	stats, err := program.Stats()
	if err == nil {
		switch name, _, _ := strings.Cut(filepath.Base(path), "-"); name {
		case bpfProgOnSchedProcessExit:
			atomic.AddUint64(&p.shared.ExitsMissed, stats.RecursionMisses)
		case bpfProgOnSchedProcessExitAgain, bpfProgOnSchedProcessExitOnceMore, bpfProgOnSchedProcessExec:
		default:
			atomic.AddUint64(&p.shared.FactsMissed, stats.RecursionMisses)
		}
	}
	return errors.Join(err, program.Close())
}

// EndOverlap waits for overlapLinger, until the replaced programs have stopped running, and clears the flag: the exit probes skip `seen` again.
// It returns at once if the flag is not set. If the context ends first, it returns nil and leaves the flag to the next loader.
func (p *Probes) EndOverlap(ctx context.Context) error {
	if overlap, err := p.overlaps(); err != nil || !overlap {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(overlapLinger):
	}
	if err := errors.Join(p.countFormer(), p.markOverlap(false)); err != nil {
		return err
	}
	// The replaced programs deleted facts that these added, and may not have counted that.
	_, err := p.Sweep()
	return err
}
