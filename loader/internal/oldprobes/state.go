// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/wire"
)

// pinnedSlots returns the size of the pinned queue; 0: none is pinned.
func (p *Probes) pinnedSlots() uint32 {
	pinned, err := ebpf.LoadPinnedMap(filepath.Join(p.directory, oldMapSlots), nil)
	if err != nil {
		return 0
	}
	defer pinned.Close()
	return pinned.MaxEntries()
}

// open takes the maps of the collection, and goes on where the last loader stopped: what it had not given back is copied again.
func (p *Probes) open(collection *ebpf.Collection, options Options) error {
	take := func(name string) *ebpf.Map {
		opened := collection.DetachMap(name)
		p.maps = append(p.maps, opened)
		return opened
	}
	p.counters, p.clock, p.stateMap, p.texts, p.gaps = take(oldMapCountersMap), take(oldMapWallClock), take(oldMapStateMap), take(oldMapTexts), take(oldMapGaps)
	q := &queue{
		slots: take(oldMapSlots), heads: take(oldMapHeads), tails: take(oldMapTails), returned: take(oldMapReturned), stackMap: take(oldMapStacks), texts: p.texts,
		gapMap: p.gaps, classic: p.object.isClassic, stackMem: map[uint32][]uint64{}, keepSeq: p.keepPosition,
	}
	p.queue = q
	if err := p.stateMap.Lookup(uint32(0), &p.state); err != nil {
		return fmt.Errorf("read the state of the queue: %w", err)
	}
	cpus := q.tails.MaxEntries()
	q.slotsOf = uint64(q.slots.MaxEntries() / cpus)
	for cpu := range cpus {
		var tail oldTail
		if err := q.tails.Lookup(cpu, &tail); err != nil {
			return fmt.Errorf("read a tail of the queue: %w", err)
		}
		q.acked = append(q.acked, tail.Acknowledged)
		tail.Slots = q.slotsOf
		if err := q.tails.Update(cpu, &tail, ebpf.UpdateExist); err != nil {
			return fmt.Errorf("set a tail of the queue: %w", err)
		}
	}
	q.copied, q.written = slices.Clone(q.acked), slices.Clone(q.acked)
	var err error
	q.mirror, err = newMirror(uint64(options.RingBytes), p.state.Position)
	return err
}

// keepPosition keeps the position past the last record, so that a later loader gives none again.
func (p *Probes) keepPosition(position uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Position = position
	return p.keepState()
}

func (p *Probes) keepState() error {
	if err := p.stateMap.Update(uint32(0), &p.state, ebpf.UpdateExist); err != nil {
		return fmt.Errorf("keep the state of the queue: %w", err)
	}
	return nil
}

// PublishClock sets what the probes stamp records with.
func (p *Probes) PublishClock(offsetNs int64, boottimeNs uint64) {
	clock := oldClock{OffsetNs: offsetNs, SuspendedNs: host.SuspendedNs(), PublishedNs: boottimeNs}
	// What fails here fails in Counters, too, which reports it: this is an array, and open.
	_ = p.clock.Update(uint32(0), &clock, ebpf.UpdateExist)
}

// keepWatched keeps until when the probes ran, for the next loader.
func (p *Probes) keepWatched(boottimeNs uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.WatchedNs = boottimeNs
	return p.keepState()
}

// CountUndecodable counts the record that ends at seq as lost. It returns false if this or an earlier loader counted it already.
func (p *Probes) CountUndecodable(seq uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq <= p.state.UndecodableSeq {
		return false
	}
	p.state.UndecodableSeq = seq
	p.state.Undecodable++
	return p.keepState() == nil
}

// missedBy returns how often the kernel skipped a program: it counts that from 5.12 on, and says nothing of a program before 4.13
// (BPF_OBJ_GET_INFO_BY_FD).
func missedBy(stats *ebpf.ProgramStats, err error) (uint64, error) {
	switch {
	case errors.Is(err, unix.EINVAL):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return stats.RecursionMisses, nil
}

// Counters returns the sums over all CPUs since the queue was made.
func (p *Probes) Counters() (wire.Counters, error) {
	var perCPU []oldCounters
	if err := p.counters.Lookup(uint32(0), &perCPU); err != nil {
		return wire.Counters{}, fmt.Errorf("read the counters: %w", err)
	}
	sum := wire.Counters{LostByOrigin: []wire.OriginLoss{}}
	for _, one := range perCPU {
		sum.ExitsNormal += one.ExitsNormal
		sum.Terminations += one.Terminations
		sum.Lost.RingFull += one.LostQueueFull
		sum.Lost.MemoryFull += one.LostMemoryFull
		sum.ProgramsUnknown += one.ProgramsUnknown
	}
	missed, err := missedBy(p.exitProgram.Stats())
	if err != nil {
		return wire.Counters{}, fmt.Errorf("read the statistics of the probe %s: %w", exitHook, err)
	}
	sum.Lost.Missed = missed
	p.mu.Lock()
	defer p.mu.Unlock()
	sum.Lost.Undecodable = p.state.Undecodable
	return sum, nil
}

// Sweep deletes nothing: what these probes keep of processes goes with them.
func (p *Probes) Sweep() (swept int, err error) { return 0, nil }

// Refused returns nothing: these probes do not share their room by origins.
func (p *Probes) Refused() (facts uint64, uid uint32, err error) { return 0, 0, nil }

const procTickNs = 10_000_000 // OLD_PROC_TICK_NS of bpf/old_maps.h

// AddRunning adds what the processes execute that were there before the probes.
func (p *Probes) AddRunning() error {
	if !p.seesPids || p.TookOver || p.object.isClassic {
		return nil
	}
	processes, err := host.ReadProcesses(len(oldProgram{}.Args) * len(oldText{}.Text))
	if err != nil {
		return err
	}
	for i := range processes {
		if err := p.addProgram(&processes[i]); err != nil {
			return fmt.Errorf("add what process %d executes: %w", processes[i].Pid, err)
		}
	}
	return nil
}

// addProgram adds the texts of a process, and removes them if it ended meanwhile.
func (p *Probes) addProgram(process *host.Process) error {
	key := oldKey{StartBoottimeNs: process.StartTicks * procTickNs, Pid: process.Pid}
	for kind, text := range foundTexts(process) {
		key.Kind = kind
		if err := p.texts.Update(&key, text, ebpf.UpdateAny); err != nil {
			return err
		}
		if unix.Kill(int(process.Pid), 0) == unix.ESRCH {
			_ = p.texts.Delete(&key) // The probe may have been faster.
		}
	}
	return nil
}

// foundTexts returns the texts of a process that was found in /proc.
func foundTexts(process *host.Process) map[oldKind]*oldText {
	var path []byte
	for _, name := range slices.Backward(strings.Split(process.Executable, "/")) {
		if name != "" {
			path = append(append(path, name...), 0)
		}
	}
	texts := map[oldKind]*oldText{}
	add := func(kind oldKind, text []byte, cut bool) {
		kept := &oldText{Uid: process.UID, LoginUid: process.LoginUID}
		kept.Bytes = uint32(copy(unsigned(kept.Text[:]), text))
		if cut || len(text) > len(kept.Text) {
			kept.Truncated = 1
		}
		texts[kind] = kept
	}
	if len(path) > 0 {
		add(oldKindOLD_EXE, path, false)
	}
	parts := slices.Collect(slices.Chunk(process.Args, len(oldText{}.Text)))
	for i, part := range parts {
		add(oldKindOLD_ARGS+oldKind(i), part, process.ArgsCut || i < len(parts)-1)
	}
	if first := texts[oldKindOLD_ARGS]; first != nil {
		first.Texts = uint16(len(parts))
	}
	return texts
}
