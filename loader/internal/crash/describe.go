// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"encoding/hex"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

// The bits of vm_flags (include/linux/mm.h).
const (
	vmRead      = 1
	vmWrite     = 2
	vmExec      = 4
	vmShared    = 8
	vmGrowsDown = 0x100
)

// Describe returns what is known of a crash without unwinding.
func Describe(slot *abi.CrashSlot) *record.Crash {
	pc, stackPointer := PCAndStackPointer(slot)
	described := &record.Crash{
		State: record.CrashUnwound, Tid: slot.Crashed.Tid, Signo: slot.Crashed.Signo,
		InstructionPointer: record.Hexadecimal(pc), StackPointer: record.Hexadecimal(stackPointer), Address: record.Hexadecimal(slot.Address),
		Mapping: mappingOf(slot, abi.MappingPlaceMAPPING_OF_ADDRESS), NextMapping: mappingOf(slot, abi.MappingPlaceMAPPING_ABOVE),
		Frames: []record.Frame{}, HandledFrames: []record.Frame{}, Problems: []string{},
	}
	if code := BytesOf(slot.Code[:min(slot.CodeBytes, uint64(len(slot.Code)))]); len(code) > 0 {
		text := hex.EncodeToString(code)
		described.Code = &text
	}
	if message := BytesOf(slot.Message[:min(slot.MessageBytes, uint64(len(slot.Message)))]); len(message) > 0 {
		text := strings.ToValidUTF8(strings.TrimRight(string(message), "\x00"), "\ufffd")
		described.Message = &text
	}
	return described
}

func mappingOf(slot *abi.CrashSlot, place abi.MappingPlace) *record.Mapping {
	raw := &slot.Mappings[place]
	if raw.End == 0 {
		return nil
	}
	access := []byte("---p")
	for i, bit := range []uint64{vmRead, vmWrite, vmExec, vmShared} {
		if raw.Flags&bit != 0 {
			access[i] = "rwxs"[i]
		}
	}
	mapping := &record.Mapping{
		Start: *record.Hexadecimal(raw.Start), End: *record.Hexadecimal(raw.End), Access: string(access), GrowsDown: raw.Flags&vmGrowsDown != 0,
	}
	if raw.Inode != 0 {
		path := strings.ToValidUTF8(PathOf(slot, raw), "\ufffd")
		mapping.Path, mapping.Offset, mapping.FileBytes, mapping.Deleted = &path, raw.Offset, raw.FileBytes, raw.Links == 0
	}
	return mapping
}

// PathOf returns the path of a mapping's file. The slot has the names from the leaf to the root, each with its NUL.
func PathOf(slot *abi.CrashSlot, mapping *abi.CrashMapping) string {
	paths := BytesOf(slot.Paths[:])
	from := min(uint64(mapping.PathAt), uint64(len(paths)))
	to := min(from+uint64(mapping.PathBytes), uint64(len(paths)))
	names := bytes.Split(bytes.TrimSuffix(paths[from:to], []byte{0}), []byte{0})
	slices.Reverse(names)
	return "/" + string(bytes.Join(names, []byte{'/'}))
}

// PCAndStackPointer returns two registers of the crashed thread, which each architecture keeps elsewhere (struct pt_regs of x86,
// struct user_pt_regs of arm64).
func PCAndStackPointer(slot *abi.CrashSlot) (pc, stackPointer uint64) {
	if runtime.GOARCH == "arm64" {
		return slot.Crashed.Words[32], slot.Crashed.Words[31]
	}
	return slot.Crashed.Words[16], slot.Crashed.Words[19]
}

// BytesOf returns the bytes of an array of C.
func BytesOf(raw []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw))
}
