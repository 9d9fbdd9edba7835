// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/host"
)

// foundMax limits the programs that AddRunning adds: what is left is for those that start later.
const foundMax = 8192

// procTickNs is PROC_TICK_NS of bpf/program_maps.h.
const procTickNs = 10_000_000

// AddRunning adds the programs of processes that were there before the probes. The probes cannot read the memory of other processes, so the
// loader reads /proc, where that shows the processes of the machine. It returns how many it added, which is at most foundMax.
func (p *Probes) AddRunning() (added int, err error) {
	if !p.seesPids {
		return 0, nil
	}
	processes, err := host.ReadProcesses(len(abi.Program{}.Args))
	if err != nil {
		return 0, err
	}
	memory, err := mapMemory(p.pendingCounts)
	if err != nil {
		return 0, err
	}
	slots := valuesOf[pendingCount](memory)
	executables := map[uint32]string{}
	for i := range processes {
		executables[processes[i].Pid] = processes[i].Executable
	}
	for i := range processes {
		process := &processes[i]
		runsParents := process.Forked && process.Executable != "" && process.Executable == executables[process.Parent]
		if added >= foundMax || runsParents || int(process.Pid)/int(abi.PendingCountsSlotPIDS_PER_SLOT) >= len(slots) {
			continue
		}
		if p.addProgram(process, slotOf(slots, process.Pid)) {
			added++
		}
	}
	return added, errors.Join(p.correctShares(), unix.Munmap(memory))
}

// addProgram adds the program of a process whose bit in its slot is not set. The bit comes first: an exit that sees it deletes the entry.
func (p *Probes) addProgram(process *host.Process, slot *uint32) bool {
	program := foundProgram(process)
	bit := programBit(process.Pid)
	if !setBit(slot, bit) {
		return false
	}
	if err := p.programMap.Update(program.Key, program, ebpf.UpdateNoExist); err != nil {
		clearBit(slot, bit)
		return false
	}
	if isGone(process.Pid) && p.programMap.Delete(program.Key) == nil {
		clearBit(slot, bit)
		return false
	}
	return true
}

// foundProgram returns the entry of a program that was found in /proc. It counts to no origin.
func foundProgram(process *host.Process) *abi.Program {
	program := &abi.Program{
		Key: abi.ProcessKey{StartBoottimeNs: process.StartTicks * procTickNs, Pid: process.Pid}, Uid: process.UID,
		Credentials: abi.Credentials{RealUid: process.RealUID, LoginUid: process.LoginUID, Session: process.Session},
	}
	var path []byte
	for _, name := range slices.Backward(strings.Split(process.Executable, "/")) {
		if name != "" {
			path = append(append(path, name...), 0)
		}
	}
	if len(path) > len(program.Exe) {
		program.Flags |= uint16(abi.ProgramFlagPROGRAM_EXE_CUT)
	}
	if process.ArgsCut {
		program.Flags |= uint16(abi.ProgramFlagPROGRAM_ARGS_CUT)
	}
	program.ExeBytes, program.ArgsBytes = uint16(copyTo(program.Exe[:], path)), uint16(copyTo(program.Args[:], process.Args))
	return program
}

// copyTo copies what fits, and returns its length.
func copyTo(array []int8, text []byte) int {
	length := min(len(array), len(text))
	for i := range length {
		array[i] = int8(text[i])
	}
	return length
}

// setBit adds the bit, as the probes do. It returns false if it is set.
func setBit(slot *uint32, bit uint32) bool {
	for {
		now := atomic.LoadUint32(slot)
		if now&bit != 0 {
			return false
		}
		if atomic.CompareAndSwapUint32(slot, now, now+bit) {
			return true
		}
	}
}

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
