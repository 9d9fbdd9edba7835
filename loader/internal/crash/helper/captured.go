// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"errors"
	"runtime"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/unwind"
)

// The bits of vm_flags (include/linux/mm.h).
const (
	vmWrite      = 2
	vmExec       = 4
	vmDontCopy   = 0x20000
	vmDontExpand = 0x40000
)

// The words of x86's struct pt_regs, by DWARF number (arch/x86/include/asm/ptrace.h).
var wordsX86 = map[uint64]int{0: 10, 1: 12, 2: 11, 3: 5, 4: 13, 5: 14, 6: 4, 7: 19, 8: 9, 9: 8, 10: 7, 11: 6, 12: 3, 13: 2, 14: 1, 15: 0, 16: 16}

const (
	codeSegmentX86    = 17   // the word with cs
	codeSegmentX86_64 = 0x33 // __USER_CS of arch/x86/include/asm/segment.h
	pstateARM         = 33
	pstate32          = 0x10 // PSR_MODE32_BIT of arch/arm64/include/uapi/asm/ptrace.h
)

const vdsoName = "[vdso]"

var err32 = errors.New("stacks of 32-bit processes are not unwound")

// registersOf returns the registers of a thread.
func registersOf(raw *abi.ThreadRegisters) (registers unwind.Registers, err error) {
	if runtime.GOARCH == "arm64" {
		if raw.Words[pstateARM]&pstate32 != 0 {
			return registers, err32
		}
		for column := range uint64(unwind.PC + 1) {
			registers.Set(column, raw.Words[column])
		}
		return registers, nil
	}
	if raw.Words[codeSegmentX86] != codeSegmentX86_64 {
		return registers, err32
	}
	for column, word := range wordsX86 {
		registers.Set(column, raw.Words[word])
	}
	return registers, nil
}

// crashOf returns the crash in the slot as the unwinder takes it, with the pages of files that go with it. Its memory is theirs.
func crashOf(slot *abi.CrashSlot, pages *abi.CrashPages, opener *opener) (*unwind.Crash, error) {
	registers, err := registersOf(&slot.Crashed)
	if err != nil {
		return nil, err
	}
	captured := &unwind.Crash{Architecture: unwind.AMD64, Registers: registers, Code: crash.BytesOf(slot.Code[:min(slot.CodeBytes, uint64(len(slot.Code)))])}
	if runtime.GOARCH == "arm64" {
		captured.Architecture = unwind.ARM64
	}
	if slot.Handled.Signo != 0 {
		if handled, err := registersOf(&slot.Handled); err == nil {
			captured.Fault = &handled
		}
	}
	stack := crash.BytesOf(slot.Stack[:])
	for i, region := range slot.Regions {
		bytes := crash.RegionPages[i] * crash.PageBytes
		if region.Present != 0 {
			captured.Stack = append(captured.Stack, unwind.Region{Start: region.Start, Data: stack[:bytes], Present: region.Present})
		}
		stack = stack[bytes:]
	}
	copied := pagesOf(pages)
	modules := slot.Mappings[abi.MappingPlaceMAPPING_OF_MODULES:]
	for i := range modules[:min(slot.ModulesCount, uint64(len(modules)))] {
		mapping := &modules[i]
		module := unwind.Module{Start: mapping.Start, End: mapping.End, Offset: mapping.Offset}
		if mapping.Inode != 0 {
			file := fileOf(mapping, crash.PathOf(slot, mapping))
			module.Executable = mapping.IsExecutable != 0
			module.File, module.Path, module.Open = file.id(), file.path, func() (unwind.File, error) { return opener.openOr(file, copied[uint32(i)]) }
		} else if isVDSO(mapping.Flags) {
			module.File, module.Path, module.Open = unwind.VDSO, vdsoName, unwind.OpenVDSO
		}
		captured.Modules = append(captured.Modules, module)
	}
	return captured, nil
}

// isVDSO reports whether an executable mapping without a file is the vDSO: the kernel made it (__install_special_mapping()), and it is not that of
// uprobes (xol_add_vma()), which has VM_DONTCOPY. No process can set VM_DONTEXPAND.
func isVDSO(flags uint64) bool {
	return flags&(vmExec|vmWrite|vmDontCopy|vmDontExpand) == vmExec|vmDontExpand
}
