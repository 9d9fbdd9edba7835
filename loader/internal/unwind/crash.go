// SPDX-License-Identifier: Apache-2.0

// Package unwind computes the stack of a crashed process from what the probes copied of it, and from the files that it had mapped: the frames, how
// each was found, and the names of their functions. The process is gone by then. Nothing here trusts its memory or its files. Which process it
// was, which signal, and how the stack is shown are left to others. See docs/decisions/0072-own-unwinder.md.
package unwind

import (
	"io"

	"whodunit/loader/internal/unwind/cfi"
)

// Architecture is the one of the crashed thread. A 32-bit process has none that is known.
type Architecture uint8

// The architectures whose stacks are unwound.
const (
	AMD64 Architecture = iota + 1
	ARM64
)

// Crash is what was copied of a process. Unwind reads it, and keeps nothing of it after it has returned.
type Crash struct {
	Architecture Architecture
	Registers    Registers
	// Fault has the registers at the last fault of this thread that a handler took, if there was one shortly before; nil: there was none. Go
	// programs, for example, abort on another stack than the one that faulted.
	Fault   *Registers
	Stack   []Region
	Modules []Module // sorted by Start
	// Code has the bytes at the program counter, as far as they could be read.
	Code []byte
}

// Registers are the registers of a thread, by their DWARF numbers (cfi.Columns). The program counter lies in the column of x86-64's return address, on
// arm64 in PC.
type Registers = cfi.Registers

// Region is a part of a stack that was copied.
type Region struct {
	Start uint64 // a multiple of the page size
	Data  []byte
	// Present has a bit for each page of Data that could be read.
	Present uint64
}

// Module is an executable mapping.
type Module struct {
	Start, End uint64
	Offset     uint64 // in the file, in bytes
	// File is zero if there is none: code that the process made itself.
	File FileID
	Path string // for people
	// Executable: the file is the one that was executed.
	Executable bool
	// Open opens the file. It returns an error if the file that is found is not the one that was mapped. It is called when a frame lies in the
	// module and its tables are not cached; nil if there is no file. That of the vDSO is OpenVDSO.
	Open func() (File, error)
}

// FileID identifies a file with its contents: changing these changes the time. Build ids do not, since anyone may write any build id into a file.
type FileID struct {
	Device, Inode, Generation uint64
	Bytes                     int64
	ChangedNs                 int64 // ctime
}

// File is an open file of a module.
type File interface {
	io.ReaderAt
	io.Closer
}

const pageBytes = 4096 // of Present's bits

// memory is the copied memory of the process.
type memory []Region

// Word implements cfi.Memory.
func (m memory) Word(address uint64) (uint64, bool) {
	for _, region := range m {
		at := address - region.Start
		if uint64(len(region.Data)) < 8 || at > uint64(len(region.Data))-8 {
			continue
		}
		first, last := at/pageBytes, (at+7)/pageBytes
		if region.Present>>first&1 == 1 && region.Present>>last&1 == 1 {
			return littleEndian(region.Data[at:]), true
		}
	}
	return 0, false
}

// has reports whether the word at the address was copied.
func (m memory) has(address uint64) bool {
	_, ok := m.Word(address)
	return ok
}

// together reports whether both addresses lie in the same region, its end included.
func (m memory) together(a, b uint64) bool {
	for _, region := range m {
		length := uint64(len(region.Data))
		if a-region.Start <= length && b-region.Start <= length {
			return true
		}
	}
	return false
}
