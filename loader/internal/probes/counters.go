// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/wire"
)

// mapMemory maps all memory that the loader and the probes share. Close unmaps it.
func (p *Probes) mapMemory() error { return errors.Join(p.mapShared(), p.mapTotals()) }

// unmap is the inverse of mapMemory.
func (p *Probes) unmap() error {
	var errs []error
	for _, page := range []*[]byte{&p.sharedPage, &p.totalsPage} {
		if *page != nil {
			errs = append(errs, unix.Munmap(*page))
			*page = nil
		}
	}
	p.shared, p.totals = nil, nil
	return errors.Join(errs...)
}

// mapShared maps the memory that loader and probes share (struct shared of bpf/event.h): flags that the probes read, and counts that
// outlive a loader.
func (p *Probes) mapShared() error {
	page, err := unix.Mmap(p.sharedMap.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the memory shared with the probes: %w", err)
	}
	p.shared, p.sharedPage = (*abi.Shared)(unsafe.Pointer(&page[0])), page
	return nil
}

// Counters returns the sums over all CPUs since the probes were first attached.
//
// Lost.Missed counts exits, of threads too, for which the kernel ran no exit probe: those for which it skipped the first copy, minus those
// for which another copy ran. Skipped runs of the other probes are facts that were not kept, and count as Lost.MemoryFull. A skipped
// sched_process_exec is not counted: it only loses a restart.
func (p *Probes) Counters() (wire.Counters, error) {
	var perCPU []abi.Counters
	if err := p.counters.Lookup(uint32(0), &perCPU); err != nil {
		return wire.Counters{}, fmt.Errorf("read the counters: %w", err)
	}
	var sum abi.Counters
	for _, one := range perCPU {
		sum.ExitsNormal += one.ExitsNormal
		sum.Terminations += one.Terminations
		sum.LostRingFull += one.LostRingFull
		sum.LostMemoryFull += one.LostMemoryFull
		sum.ExitsRescued += one.ExitsRescued
	}
	counted := atomic.LoadUint64(&p.totals[0].Count)
	missed := atomic.LoadUint64(&p.shared.ExitsMissed)
	sum.LostMemoryFull += atomic.LoadUint64(&p.shared.FactsMissed)
	for name, program := range p.programs {
		stats, err := program.Stats()
		if err != nil {
			return wire.Counters{}, fmt.Errorf("read the statistics of %s: %w", name, err)
		}
		switch name {
		case bpfProgOnSchedProcessExit:
			missed += stats.RecursionMisses
		case bpfProgOnSchedProcessExitAgain, bpfProgOnSchedProcessExitOnceMore, bpfProgOnSchedProcessExec:
		default:
			sum.LostMemoryFull += stats.RecursionMisses
		}
	}
	return wire.Counters{
		ExitsNormal: sum.ExitsNormal, Terminations: sum.Terminations + counted, Counted: counted,
		Lost: wire.LostCounts{
			RingFull: sum.LostRingFull, MemoryFull: sum.LostMemoryFull, Missed: missed - min(missed, sum.ExitsRescued),
			Undecodable: atomic.LoadUint64(&p.shared.Undecodable),
		},
	}, nil
}

// CountUndecodable counts the record that ends at seq as lost. It returns false if this or an earlier loader counted it already. One call
// at a time.
func (p *Probes) CountUndecodable(seq uint64) bool {
	if seq <= atomic.LoadUint64(&p.shared.UndecodableSeq) {
		return false
	}
	atomic.StoreUint64(&p.shared.UndecodableSeq, seq)
	atomic.AddUint64(&p.shared.Undecodable, 1)
	return true
}
