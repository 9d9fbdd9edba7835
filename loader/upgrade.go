// SPDX-License-Identifier: Apache-2.0

// Replacing the probes of another loader without a gap and without a death told twice. A link of a raw tracepoint cannot be updated,
// so for a while both sets are attached, on the same maps: whatever a signal leaves behind is written twice, to the same place, and
// of the two exits of a process the first to enter `seen` reports.
package main

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
)

// overlapLinger passes from the removal of the old pins until `seen` is left alone again. The kernel detaches a program some
// milliseconds after its last pin is gone, and a process may be between the two programs for as long as it is not scheduled.
const overlapLinger = 10 * time.Second

const overlapFlag = uint32(bpfPendingCountsFlagOVERLAP)

// others are the paths of links that are not this object's.
func (p *Probes) others(digest string) (paths []string, _ error) {
	for _, hook := range allHooks {
		pinned, err := filepath.Glob(filepath.Join(p.directory, hook.program+"-*"))
		if err != nil {
			return nil, fmt.Errorf("list the pinned probes: %w", err)
		}
		for _, path := range pinned {
			if path != p.linkPath(hook.program, digest) {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}

// beginOverlap is to be called before the first program is attached: an exit runs both sets or one, by what was attached when it
// began, and when it runs both, both must know.
func (p *Probes) beginOverlap(digest string) error {
	others, err := p.others(digest)
	if err != nil || len(others) == 0 {
		return err
	}
	return p.markOverlap(true)
}

// markOverlap tells the exits of all pids. The slots are counted up and down meanwhile; a slot of the map takes 8 bytes (array_map_alloc()).
func (p *Probes) markOverlap(overlap bool) error {
	const slotBytes = 8
	slots, err := unix.Mmap(p.remembered.FD(), 0, int(p.remembered.MaxEntries())*slotBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map what the exits look at: %w", err)
	}
	for at := 0; at < len(slots); at += slotBytes {
		slot := (*uint32)(unsafe.Pointer(&slots[at]))
		if overlap {
			atomic.OrUint32(slot, overlapFlag)
		} else {
			atomic.AndUint32(slot, ^overlapFlag)
		}
	}
	return unix.Munmap(slots)
}

func (p *Probes) overlaps() (bool, error) {
	var slot uint32
	if err := p.remembered.Lookup(uint32(0), &slot); err != nil {
		return false, fmt.Errorf("read what the exits look at: %w", err)
	}
	return slot&overlapFlag != 0, nil
}

// detachOthers removes the probes of another object, and adds what the kernel counted for them to what outlives them.
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

// EndOverlap waits until the programs that were replaced run no more, and lets the exits do without `seen` again. It returns at once
// if nothing was replaced, by this loader or by one that ended before its time. If the context ends first, the next loader does it.
func (p *Probes) EndOverlap(ctx context.Context) error {
	if overlap, err := p.overlaps(); err != nil || !overlap {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(overlapLinger):
		return p.markOverlap(false)
	}
}
