// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/wire"
)

// mapShared maps the memory that loader and probes share (struct shared, struct clock and struct repeat_total of bpf/maps.h): flags that the
// probes read, counts that outlive a loader, the wall clock, the totals of counted terminations, the counts of normal exits. Close unmaps it.
func (p *Probes) mapShared() error {
	for _, shared := range []*ebpf.Map{p.sharedMap, p.wallClock, p.repeatTotals, p.normalExits} {
		page, err := mapMemory(shared)
		if err != nil {
			return err
		}
		p.mapped = append(p.mapped, page)
	}
	p.shared, p.clock = (*abi.Shared)(unsafe.Pointer(&p.mapped[0][0])), (*abi.Clock)(unsafe.Pointer(&p.mapped[1][0]))
	p.totals = unsafe.Slice((*abi.RepeatTotal)(unsafe.Pointer(&p.mapped[2][0])), p.repeatTotals.MaxEntries())
	p.exits = valuesOf[abi.ProcessorExits](p.mapped[3])
	return nil
}

// mapMemory maps the values of an array that the probes read and write. Each begins at a multiple of 8 bytes (array_map_alloc()).
func mapMemory(array *ebpf.Map) ([]byte, error) {
	bytes := int(array.MaxEntries()) * int((array.ValueSize()+7)&^7)
	memory, err := unix.Mmap(array.FD(), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the memory shared with the probes: %w", err)
	}
	return memory, nil
}

// PublishClock sets what the probes stamp records with: CLOCK_REALTIME - CLOCK_BOOTTIME, and when it was read, in CLOCK_BOOTTIME. One call
// at a time.
func (p *Probes) PublishClock(offsetNs int64, boottimeNs uint64) {
	atomic.StoreInt64(&p.clock.OffsetNs, offsetNs)
	atomic.StoreUint64(&p.clock.PublishedNs, boottimeNs)
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
	for i := range p.exits {
		sum.ExitsNormal += atomic.LoadUint64(&p.exits[i].Count)
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
	var programs []abi.ProgramCounters
	if err := p.programCounts.Lookup(uint32(0), &programs); err != nil {
		return wire.Counters{}, fmt.Errorf("read the counters of programs: %w", err)
	}
	var ofPrograms abi.ProgramCounters
	for _, one := range programs {
		ofPrograms.RequestsRefused += one.RequestsRefused
		ofPrograms.Unknown += one.Unknown
	}
	lostByOrigin, err := p.losses(sum.LostRingFull)
	if err != nil {
		return wire.Counters{}, err
	}
	return wire.Counters{
		RequestsRefused: ofPrograms.RequestsRefused, ProgramsUnknown: ofPrograms.Unknown,
		LostByOrigin: lostByOrigin, ExitsNormal: sum.ExitsNormal, Terminations: sum.Terminations + counted, Counted: counted,
		Lost: wire.LostCounts{
			RingFull: sum.LostRingFull, MemoryFull: sum.LostMemoryFull, Missed: missed - min(missed, sum.ExitsRescued),
			Undecodable: atomic.LoadUint64(&p.shared.Undecodable),
		},
	}, nil
}

// lostByOriginMax limits the origins whose losses are reported: those that lost most.
const lostByOriginMax = 8

// losses returns whose terminations had no room in the ring. sum is their number: the map is read only when it has changed.
func (p *Probes) losses(sum uint64) ([]wire.OriginLoss, error) {
	if sum == p.lostByOriginSum {
		return p.lostByOrigin, nil
	}
	losses := []wire.OriginLoss{}
	var origin abi.Origin
	var share abi.OriginShare
	entries := p.originShares.Iterate()
	for entries.Next(&origin, &share) {
		if share.Lost > 0 {
			losses = append(losses, wire.OriginLoss{
				Origin: record.Origin{Cgroup: origin.Cgroup, UID: origin.Uid}, Unit: textOf(share.Unit[:]), Terminations: share.Lost,
			})
		}
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return nil, fmt.Errorf("read the losses by origin: %w", err)
	}
	slices.SortFunc(losses, func(a, b wire.OriginLoss) int {
		return cmp.Or(cmp.Compare(b.Terminations, a.Terminations), cmp.Compare(a.Origin.Cgroup, b.Origin.Cgroup), cmp.Compare(a.Origin.UID, b.Origin.UID))
	})
	p.lostByOrigin, p.lostByOriginSum = losses[:min(len(losses), lostByOriginMax)], sum
	return p.lostByOrigin, nil
}

// textOf returns the text in a C array, up to its NUL.
func textOf(array []int8) string {
	text := unsafe.Slice((*byte)(unsafe.Pointer(&array[0])), len(array))
	name, _, _ := bytes.Cut(text, []byte{0})
	return string(name)
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
