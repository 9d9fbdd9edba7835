// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

// deleteGonePrograms deletes the programs of processes that no longer exist, as deleteGoneFacts does.
func (p *Probes) deleteGonePrograms() error {
	var gone []abi.ProcessKey
	err := p.eachProgram(func(program *abi.Program) {
		if isGone(program.Key.Pid) {
			gone = append(gone, program.Key)
		}
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	deleted, err := deleteKeys(p.programMap, gone)
	if err != nil {
		return err
	}
	memory, err := mapMemory(p.pendingCounts)
	if err != nil {
		return err
	}
	slots := valuesOf[pendingCount](memory)
	for _, key := range deleted {
		clearBit(slotOf(slots, key.Pid), programBit(key.Pid))
	}
	return unix.Munmap(memory)
}

// eachProgram calls do for each entry of programs.
func (p *Probes) eachProgram(do func(program *abi.Program)) error {
	var key abi.ProcessKey
	var program abi.Program
	entries := p.programMap.Iterate()
	for raw := unsafe.Slice((*byte)(unsafe.Pointer(&program)), unsafe.Sizeof(program)); entries.Next(&key, &raw); {
		program = *(*abi.Program)(unsafe.Pointer(&raw[0]))
		do(&program)
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("list the programs that run: %w", err)
	}
	return nil
}

// programBit is program_bit() of bpf/pending_facts.h.
func programBit(pid uint32) uint32 {
	return 1 << (uint32(abi.PendingCountsSlotPROGRAM_BITS) + pid%uint32(abi.PendingCountsSlotPIDS_PER_SLOT))
}

// clearBit subtracts the bit, as the probes do, if it is set.
func clearBit(slot *uint32, bit uint32) {
	for {
		now := atomic.LoadUint32(slot)
		if now&bit == 0 || atomic.CompareAndSwapUint32(slot, now, now-bit) {
			return
		}
	}
}
