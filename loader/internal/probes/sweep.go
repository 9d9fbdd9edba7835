// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

// hostPidNamespace is PROC_PID_INIT_INO of include/linux/proc_ns.h. In another namespace, kill(2) does not find the pids of the maps.
const hostPidNamespace = "pid:[4026531836]"

func inHostPidNamespace() (bool, error) {
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return false, fmt.Errorf("find the pid namespace: %w", err)
	}
	return namespace == hostPidNamespace, nil
}

// Sweep deletes the facts about processes that no longer exist, and returns their number. The exit probe does that, but the kernel may skip it
// (Lost.Missed), and over years the maps would fill up. An entry whose pid is not in use now belongs to a process that has exited. If the pid
// is in use again, the entry stays until a later sweep. Outside of the initial pid namespace, it deletes nothing.
//
// Then it corrects what the probes count for each origin, by what is there.
func (p *Probes) Sweep() (swept int, err error) {
	if p.seesPids {
		if swept, err = p.deleteGone(); err != nil {
			return swept, err
		}
		if err := p.deleteGonePrograms(); err != nil {
			return swept, err
		}
	}
	return swept, p.correctShares()
}

// deleteGone deletes the entries of processes that no longer exist from all maps.
func (p *Probes) deleteGone() (swept int, err error) {
	for _, facts := range []*ebpf.Map{p.ooms, p.stops} {
		gone, err := goneOf[abi.ProcessKey](facts, func(key abi.ProcessKey) uint32 { return key.Pid })
		if err == nil {
			gone, err = deleteKeys(facts, gone)
		}
		if swept += len(gone); err != nil {
			return swept, err
		}
	}
	deleted, err := p.deleteGoneFacts()
	if swept += deleted; err != nil {
		return swept, err
	}
	parts, err := goneOf[abi.SenderPartKey](p.senderParts, func(key abi.SenderPartKey) uint32 { return key.Pid })
	if err == nil {
		_, err = deleteKeys(p.senderParts, parts)
	}
	return swept, err
}

// deleteGoneFacts deletes the entries of processes that no longer exist from pending_facts, and returns their number.
func (p *Probes) deleteGoneFacts() (int, error) {
	var gone []abi.ProcessKey
	former := map[abi.ProcessKey]bool{}
	err := p.eachFacts(func(key abi.ProcessKey, holds abi.Holding) {
		if isGone(key.Pid) {
			gone, former[key] = append(gone, key), isFormer(holds)
		}
	})
	if err != nil {
		return 0, err
	}
	deleted, err := deleteKeys(p.pendingFacts, gone)
	if err != nil {
		return len(deleted), err
	}
	counted := slices.DeleteFunc(slices.Clone(deleted), func(key abi.ProcessKey) bool { return former[key] })
	return len(deleted), p.uncount(counted)
}

// eachFacts calls do for each entry of pending_facts.
func (p *Probes) eachFacts(do func(key abi.ProcessKey, holds abi.Holding)) error {
	var key abi.ProcessKey
	entries := p.pendingFacts.Iterate()
	for value := make([]byte, p.pendingFacts.ValueSize()); entries.Next(&key, &value); {
		// The last field of struct pending_facts.
		do(key, *(*abi.Holding)(unsafe.Pointer(&value[len(value)-int(unsafe.Sizeof(abi.Holding{}))])))
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("list the pending facts: %w", err)
	}
	return nil
}

// isFormer reports whether a build of an older ABI added the entry.
func isFormer(holds abi.Holding) bool { return holds.Share == 0 }

func isGone(pid uint32) bool { return errors.Is(unix.Kill(int(pid), 0), unix.ESRCH) }

// goneOf returns the keys of processes that no longer exist.
func goneOf[K any](facts *ebpf.Map, pidOf func(K) uint32) (gone []K, err error) {
	var key K
	entries := facts.Iterate()
	for value := make([]byte, facts.ValueSize()); entries.Next(&key, &value); {
		if isGone(pidOf(key)) {
			gone = append(gone, key)
		}
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return nil, fmt.Errorf("list the pending facts: %w", err)
	}
	return gone, nil
}

// deleteKeys returns the keys that it deleted: without those that the probes were faster to delete.
func deleteKeys[K any](facts *ebpf.Map, keys []K) (deleted []K, err error) {
	for _, key := range keys {
		if err := facts.Delete(key); err == nil {
			deleted = append(deleted, key)
		} else if !errors.Is(err, ebpf.ErrKeyNotExist) {
			return deleted, fmt.Errorf("delete the pending facts of a process that no longer exists: %w", err)
		}
	}
	return deleted, nil
}

// uncount lowers pending_counts by these entries. It must be called for each entry that is deleted, but for those of an older ABI.
func (p *Probes) uncount(deleted []abi.ProcessKey) error {
	if len(deleted) == 0 {
		return nil
	}
	memory, err := mapMemory(p.pendingCounts)
	if err != nil {
		return err
	}
	slots := valuesOf[pendingCount](memory)
	for _, key := range deleted {
		lower(slotOf(slots, key.Pid))
	}
	return unix.Munmap(memory)
}

// lower subtracts one of the count, but never below 0, where it would change the bits beside it.
func lower(count *uint32) {
	for {
		now := atomic.LoadUint32(count)
		if now&uint32(abi.PendingCountsSlotPENDING_COUNT) == 0 || atomic.CompareAndSwapUint32(count, now, now-1) {
			return
		}
	}
}

// correctShares sets what the origins hold to what is in the maps. What the probes change meanwhile may stay wrong until the next time.
func (p *Probes) correctShares() error {
	held := make([]abi.Share, p.shareMap.MaxEntries())
	err := p.eachFacts(func(_ abi.ProcessKey, holds abi.Holding) {
		if isFormer(holds) {
			return
		}
		for _, share := range []*abi.Share{&held[0], &held[holds.Share]} {
			share.Processes++
			share.SenderParts += senderPartsOf(holds)
		}
	})
	if err != nil {
		return err
	}
	err = p.eachProgram(func(program *abi.Program) {
		held[0].Programs++
		if program.Share != 0 {
			held[program.Share].Programs++
		}
	})
	if err != nil {
		return err
	}
	memory, err := mapMemory(p.shareMap)
	if err != nil {
		return err
	}
	for i, share := range valuesOf[abi.Share](memory) {
		now := &valuesOf[abi.Share](memory)[i]
		atomic.AddInt32(&now.Processes, held[i].Processes-share.Processes)
		atomic.AddInt32(&now.SenderParts, held[i].SenderParts-share.SenderParts)
		atomic.AddInt32(&now.Programs, held[i].Programs-share.Programs)
	}
	return unix.Munmap(memory)
}

// senderPartsOf adds up the parts in the three slots of a process (parts_held() of bpf/pending_facts.h).
func senderPartsOf(holds abi.Holding) int32 {
	return int32(holds.SenderParts&15) + int32(holds.SenderParts>>4) + int32(holds.Stop&^stopKept)
}

// stopKept is STOP_KEPT of bpf/pending_facts.h.
const stopKept = 0x80

// Refused returns how many facts were not kept because the share of their origin, or all room, was full, and the user for whom that happened
// most often.
func (p *Probes) Refused() (facts uint64, uid uint32, err error) {
	memory, err := mapMemory(p.shareMap)
	if err != nil {
		return 0, 0, err
	}
	var most uint64
	for i := range valuesOf[abi.Share](memory) {
		share := &valuesOf[abi.Share](memory)[i]
		refused := atomic.LoadUint64(&share.Refused)
		facts += refused
		if refused > most {
			most, uid = refused, atomic.LoadUint32(&share.Uid)
		}
	}
	return facts, uid, unix.Munmap(memory)
}
